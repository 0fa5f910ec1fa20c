//! Qdrant: collections as their server's own snapshots.
//!
//! A backup has the server make a snapshot of each collection, streams it as one entry
//! `<collection>.snapshot`, checks its length and SHA-256 and deletes the server's copy. A restore uploads it.
//! The bytes of a snapshot are not taken apart: as one stream it comes back as it was, and deltas find what
//! stayed the same all the same.

mod api;
mod copy;
mod decide;
mod export;
mod failure;
mod form;
mod load;
mod section;
mod server;
mod upload;

pub use decide::{Decision, Existing, Policy, Wanted, decide};
pub use export::{QdrantExporter, QdrantOptions};
pub use load::{Priority, QdrantLoader, QdrantRestore};
pub use server::{QdrantServer, QdrantSource};

/// What an entry with a collection's bytes, and one that tells of it, end with.
const SNAPSHOT: &str = ".snapshot";
const INFO: &str = ".info.json";
/// Properties of a snapshot's entry.
const ALIASES: &str = "aliases";
const PARAMS: &str = "params";
const SHA256: &str = "sha256";
const POINTS: &str = "points";
