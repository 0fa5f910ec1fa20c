//! Qdrant: collections as their server's own snapshots.
//!
//! A backup has the server make a snapshot of each collection, streams it as one entry
//! `<collection>.snapshot`, checks its length and SHA-256 and deletes the server's copy. A restore uploads it.
//! The bytes of a snapshot are not taken apart: as one stream it comes back as it was, and deltas find what
//! stayed the same all the same.

mod api;
mod contents;
mod copy;
mod export;
mod failure;
mod file;
mod form;
mod kind;
mod known;
mod layout;
mod load;
mod logical;
mod mode;
mod options;
mod origin;
mod parts;
mod recreate;
mod server;
mod session;
mod shards;
mod tar;
mod upload;
mod writer;

pub use export::QdrantExporter;
pub use file::{QdrantFileExporter, QdrantFileOptions};
pub(super) use kind::QdrantKind;
pub use load::{Priority, QdrantLoader, QdrantRestore};
pub use logical::Imported;
pub use mode::{Mode, QdrantBackup};
pub use options::QdrantOptions;
pub use recreate::{index_bodies, recreate_body, shard_keys};
pub use server::{QdrantServer, QdrantSource};

/// What an entry with a collection's bytes ends with, and one that is there for people to read.
const SNAPSHOT: &str = ".snapshot";
const INFO: &str = ".json";
/// What the server says of a collection; its points; what is inside a snapshot.
const ABOUT: &str = ".info.json";
const POINTS_ENDING: &str = ".points.jsonl";
const CONTENTS: &str = ".snapshot.contents.json";
/// Properties of a snapshot's entry.
const ALIASES: &str = "aliases";
const PARAMS: &str = "params";
const SHA256: &str = "sha256";
const POINT_COUNT: &str = "points";
/// Properties of entries that are a part of a collection: which one's, and which part.
const COLLECTION: &str = "collection";
const PEER: &str = "peer";
const SHARDS: &str = "shards";
const SHARD: &str = "shard";
const SHARD_KEY: &str = "shard_key";
/// Their classes. No such entry is a collection's snapshot that a server takes by itself.
const PEER_SNAPSHOT: &str = "qdrant-peer-snapshot";
const SHARD_SNAPSHOT: &str = "qdrant-shard-snapshot";
const POINTS: &str = "qdrant-points";

fn property(name: &str, value: &str) -> crate::format::Property {
    crate::format::Property { name: name.to_owned(), value: value.as_bytes().to_vec().into() }
}
