//! Sources: what is backed up, and how it is written back.
//!
//! An [`Exporter`] fixes one consistent state of its source and yields entries in catalog order; it knows
//! nothing of chunks. An [`Importer`] takes entries and bytes back; it knows nothing of packs. What joins the
//! two with a repository is `ops`.

mod accounts;
#[cfg(feature = "servers")]
#[allow(missing_docs, reason = "the kind's options are the face; the rest is for this crate")]
pub mod arangodb;
pub mod command;
mod error;
mod exporter;
pub mod files;
#[cfg(feature = "servers")]
#[allow(missing_docs, reason = "the kind's options are the face; the rest is for this crate")]
pub mod http;
pub mod kind;
mod loader;
mod options;
mod private;
#[cfg(feature = "servers")]
#[allow(missing_docs, reason = "the kind's options are the face; the rest is for this crate")]
pub mod qdrant;
mod registry;
mod report;
mod sealed;
pub mod sqlite;
#[cfg(feature = "servers")]
mod tables;
mod temporary;
#[cfg(feature = "servers")]
mod text;
mod url;

pub use error::SourceError;
pub use exporter::{
    Body, BodyEnd, BodyStatus, Estimate, Exporter, Item, Need, OpenBody, Outcome, Session,
    SourceEntry,
};
pub use kind::SourceKind;
pub use loader::{LoadPlan, LoadReport, LoadStep, Loader, Stored};
pub use options::{OwnerPolicy, RestoreOptions};
pub use registry::{GivenFlags, NamedSource, SourceKinds, merge};
pub use report::ImportReport;
#[cfg(feature = "servers")]
pub use tables::Rename;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::format::Entry;

/// Whether sources of this kind are servers: they are restored by a [`Loader`].
pub fn is_server(kind: &str) -> bool {
    matches!(kind, "arangodb" | "qdrant")
}

/// What a source is called, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `folder`, `file`, `sqlite`…
    pub kind: String,
    /// Absolute path or URL: the source's identity when a parent snapshot is looked for.
    pub url: String,
    /// One path component that says what it is: the start of a snapshot's name.
    pub label: String,
}

impl Description {
    /// Of a path where nothing is now: the last that was there had this place. None where there is no such place.
    pub(crate) fn of_path(kind: &str, path: &OsStr) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        // A link on the way stands for what it leads to, as when the source was there.
        let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
        let path: PathBuf = match there {
            Some((above, real)) => real.join(path.strip_prefix(above).ok()?),
            None => path,
        };
        // Without what is written after the last name: `/` and `/.`.
        let path: PathBuf = path.components().collect();
        let bytes = path.as_os_str().as_bytes();
        let label = path.file_name().map_or("root".into(), |name| url::label(name.as_bytes()));
        Some(Self { kind: kind.to_owned(), url: url::of_path(bytes), label })
    }
}

/// What would become of what is at an entry's place now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Nothing is there.
    New,
    /// What is there looks the same, or is a directory that stays.
    Kept,
    /// What is there would be replaced or rewritten; in words.
    Replaced(String),
}

/// Writes entries into a target. Calls come in catalog order, each walk over the same entries:
/// `inspect` for all, then `place` for all, then `settle` for all directories, children first.
///
/// An error that is not [fatal](SourceError::is_fatal) is one entry's own, here and in its sink: the others
/// follow all the same.
pub trait Importer: Send {
    /// Looks, changes nothing.
    fn inspect(&mut self, entry: &Entry) -> Result<Fate, SourceError>;

    /// Makes the entry. A sink is returned where bytes are to be written.
    fn place(&mut self, entry: &Entry) -> Result<Option<Box<dyn Sink>>, SourceError>;

    /// Gives a directory its final attributes, after everything in it is done.
    fn settle(&mut self, entry: &Entry) -> Result<(), SourceError>;

    /// Everything was written and settled.
    fn finish(self: Box<Self>) -> Result<(), SourceError>;
}

/// Where an entry's bytes go, in any order and from any thread.
pub trait Sink: Send + Sync {
    /// Bytes already there that may be right. 0 where nothing is.
    fn existing_len(&self) -> u64;

    /// Reads what is there at `offset`: all of `buffer`, or false where there is less.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<bool, SourceError>;

    /// Writes bytes at an offset, from any thread.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), SourceError>;

    /// All bytes are right: sets the length and the final attributes.
    fn finish(self: Box<Self>) -> Result<(), SourceError>;

    /// The same where bytes are lost and were not written: what must be whole to be of use stays out of the
    /// place it was meant for.
    fn finish_damaged(self: Box<Self>) -> Result<(), SourceError> {
        self.finish()
    }
}
