//! The folder source: what is exported, and what an import makes of it.

mod bodies;
mod excludes;
mod hostile;
mod links;
mod options;
mod property;
mod rerun;
mod rights;
mod round_trip;
mod support;
mod tokens;
mod walk;
