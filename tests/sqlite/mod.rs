//! SQLite databases as sources and targets.

mod locks;
mod restore;
mod support;
mod writers;
