//! SQLite databases.
//!
//! A backup copies the pages of one read transaction into an unlinked temporary file and streams that: the
//! bytes of a database file, so that unchanged pages deduplicate. A restore writes beside its target, runs
//! `integrity_check` and renames. Why this way: `docs/decisions/0005-sqlite.md`.

mod check;
mod copy;
mod export;
mod failure;
mod header;
mod import;
mod kind;
mod leftover;
mod reading;
mod sink;
mod users;

pub use export::{SqliteExporter, SqliteOptions};
pub use import::SqliteImporter;
pub(super) use kind::SqliteKind;
