//! Sources: what is backed up, and how it is written back.
//!
//! An [`Exporter`] fixes one consistent state of its source and yields entries in catalog order; it knows
//! nothing of chunks. An [`Importer`] takes entries and bytes back; it knows nothing of packs. What joins the
//! two with a repository is `ops`.

mod accounts;
#[cfg(feature = "servers")]
pub mod arangodb;
pub mod command;
mod error;
pub mod files;
#[cfg(feature = "servers")]
pub mod http;
mod loader;
mod options;
mod private;
#[cfg(feature = "servers")]
pub mod qdrant;
#[cfg(feature = "servers")]
mod renames;
mod report;
pub mod sqlite;
mod temporary;
#[cfg(feature = "servers")]
mod text;
mod url;

use std::io::Read;

pub use error::SourceError;
pub use loader::{LoadPlan, LoadReport, LoadStep, Loader, Stored};
pub use options::{OwnerPolicy, RestoreOptions};
pub use report::ImportReport;

use crate::format::{Consistency, Entry, Problem};
use crate::progress::Cancel;

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

/// About how much a source holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    pub entries: u64,
    pub bytes: u64,
}

/// Reads a source.
pub trait Exporter: Send + Sync {
    fn describe(&self) -> Description;

    /// What a backup will come to, where that is cheap to find out. For progress only.
    fn estimate(&self, cancel: &Cancel) -> Result<Option<Estimate>, SourceError> {
        let _ = cancel;
        Ok(None)
    }

    /// Connects and fixes one consistent point.
    fn open(&self, cancel: &Cancel) -> Result<Box<dyn Session>, SourceError>;
}

/// A source held at one point until `finish` or drop.
pub trait Session: Send {
    /// The parts of the source, in catalog order: all entries of a section sort before those of the next.
    fn sections(&mut self) -> Result<Vec<Box<dyn Section>>, SourceError>;

    /// Every section was read to its end. An error here means that the source must not be committed.
    fn finish(self: Box<Self>) -> Result<Outcome, SourceError>;
}

/// What a session knows once everything was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    pub consistency: Option<Consistency>,
    pub properties: Vec<(String, String)>,
}

/// A part of a source that is read on its own.
pub trait Section: Send {
    /// The next entry in catalog order. An error is fatal to the backup; what concerns one entry is
    /// an [`Item::Problem`].
    fn next(&mut self) -> Result<Option<Item>, SourceError>;
}

pub enum Item {
    Entry(Box<SourceEntry>),
    /// Something could not be read. The snapshot will be incomplete.
    Problem(Problem),
}

/// An entry as its source gives it: paths relative to the source, no content yet.
pub struct SourceEntry {
    /// `content` is `None` here; the engine fills it in.
    pub entry: Entry,
    /// How to get at the bytes. Not opened when a parent has the same token.
    pub body: Option<Box<dyn OpenBody>>,
    /// Bytes the stream is expected to have: for progress only.
    pub size_hint: u64,
}

/// A stream not yet opened.
pub trait OpenBody: Send {
    /// An error here is this entry's problem only.
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError>;
}

/// The bytes of an entry. A read error is this entry's problem, not the backup's.
pub trait Body: Read + Send {
    /// Called at the end of the stream: what came of it.
    fn finish(self: Box<Self>) -> Result<BodyStatus, SourceError>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyStatus {
    /// The bytes read are one state of the entry.
    Good,
    /// The entry changed while it was read: its bytes are kept, its token is not, the snapshot is incomplete.
    Changed(String),
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

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), SourceError>;

    /// All bytes are right: sets the length and the final attributes.
    fn finish(self: Box<Self>) -> Result<(), SourceError>;

    /// The same where bytes are lost and were not written: what must be whole to be of use stays out of the
    /// place it was meant for.
    fn finish_damaged(self: Box<Self>) -> Result<(), SourceError> {
        self.finish()
    }
}
