//! ArangoDB: databases as collections of documents, whatever they come from.
//!
//! A server's answers and the files of arangodump become the same entries (`model`): documents sorted by key,
//! out of their envelopes, their `_rev`s in a stream of their own. A server changes order, envelope and every
//! `_rev` from one dump to the next; this way only what changed in the data is new to the repository.

mod documents;
mod dump;
mod failure;
mod joined;
mod kind;
mod lines;
pub mod model;
mod server;
mod sort;
mod stored;

pub use documents::{Collector, Documents, Revisions, Sorted};
pub use dump::{
    ArangodumpExporter, ArangodumpOptions, ArangodumpReport, is_arangodump, write_arangodump,
};
pub use joined::Joined;
pub(super) use kind::ArangoKind;
pub use lines::{Document, Line, LineError};
pub use model::CollectionKind;
pub use server::{
    ArangoConnection, ArangoExporter, ArangoLoader, ArangoLogin, ArangoOptions, ArangoRestore,
    ArangoSelection, ArangoServer, ArangoSource,
};
pub use sort::SortOptions;
pub use stored::{StoredCollection, StoredDatabase, StoredDatabases, definition};
