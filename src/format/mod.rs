//! Repository format, version 1: bytes to structs and back. Pure: no I/O, no keys, no clocks.
//!
//! `docs/FORMAT.md` gives the layout byte by byte. Every decoder here takes hostile bytes: it is bounded by
//! `limits`, does not panic, and says what it expected, what it found, and where.

mod actor;
mod bounded;
mod bytes;
mod catalog;
mod condemned;
mod config;
mod envelope;
mod error;
mod index;
mod key;
mod manifest;
pub mod name;
mod note;
mod pack;
mod path;
mod recipe;
mod record;
mod tree;

pub use actor::{ActorRecord, ActorRole};
pub use bytes::Bytes;
pub use catalog::{
    CatalogLeaf, CatalogNode, Content, Entry, EntryKind, LinkGroup, Property, Time, UnixAttributes,
    Xattr,
};
pub use condemned::{Condemnation, CondemnedRecord};
pub use config::{ConfigRecord, MARKER_NAME, Marker};
pub use envelope::{HEADER_LEN, Header, ObjectKind, Salt, SealedPart, TAG_LEN, WHOLE_ORDINAL};
pub use error::{FormatError, Reason};
pub use index::{IndexRecord, IndexedPack};
pub use key::{Kdf, KeyRecord};
pub use manifest::{
    Consistency, GitState, Manifest, ManifestKind, Problem, SourceRecord, Statistics,
};
pub use note::{Note, NoteFact};
pub use pack::{
    BaseRef, BlockRecord, ChunkRecord, Codec, FOOTER_LEN, Footer, PackContents, PackKind, Trailer,
    padding_len,
};
pub use path::{BadPath, EntryPath};
pub use recipe::{ChunkRef, Recipe, RecipeLeaf, RecipeNode};
pub use record::{Extension, Record, decode, encode};
pub use tree::{CatalogChild, NodeRef, RecipeChild, TreeRoot};
