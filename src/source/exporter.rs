//! How a source is read: an exporter opens a session, the session gives entries, an entry opens its body.

use std::io::Read;

use super::{Description, SourceError};
use crate::format::{Consistency, Entry, Problem, Property};
use crate::progress::Cancel;

/// About how much a source holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Entries to come, or a guess.
    pub entries: u64,
    /// Bytes to come, or a guess.
    pub bytes: u64,
}

/// Reads a source.
pub trait Exporter: Send + Sync {
    /// Names the source, without opening it.
    fn describe(&self) -> Description;

    /// Expected entries and bytes, where they are cheap to find out. Used for progress only.
    fn estimate(&self, cancel: &Cancel) -> Result<Option<Estimate>, SourceError> {
        let _ = cancel;
        Ok(None)
    }

    /// Connects and fixes one consistent point. `cancel` is set when the user stops the backup and when the
    /// backup fails: whatever waits in the session or in a body returns soon after.
    fn open(&self, cancel: &Cancel) -> Result<Box<dyn Session>, SourceError>;
}

/// A source held at one point until `finish` or drop.
pub trait Session: Send {
    /// The next entry, in catalog order. An error ends the backup; trouble with one entry is an
    /// [`Item::Problem`].
    fn next(&mut self) -> Result<Option<Item>, SourceError>;

    /// How many bodies the engine may read at the same time; it reads up to four. With 1, the engine calls `next` only after it
    /// finished or dropped the body before. With more, it calls `next` while earlier bodies wait or are read.
    fn bodies_at_once(&self) -> usize {
        1
    }

    /// The engine calls this after the last entry, once every body is read. An error ends the backup: no snapshot
    /// is written.
    fn finish(self: Box<Self>) -> Result<Outcome, SourceError>;
}

/// What a session knows after its last entry, for the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The point in its own time at which a database was read.
    pub consistency: Option<Consistency>,
    /// What else the source says of itself.
    pub properties: Vec<(String, String)>,
}

/// What a session gives next.
pub enum Item {
    /// An entry.
    Entry(Box<SourceEntry>),
    /// Something could not be read. The snapshot will be incomplete.
    Problem(Problem),
}

/// An entry as its source gives it: the path is relative to the source, `entry.content` is `None`.
pub struct SourceEntry {
    /// Path, kind and attributes.
    pub entry: Entry,
    /// Opens the bytes. The engine does not open them where the parent has the same token.
    pub body: Option<Box<dyn OpenBody>>,
    /// What a failure of the body means for the backup.
    pub need: Need,
    /// Expected bytes of the stream: for progress only.
    pub size_hint: u64,
}

/// What a failure of an entry's body means: an error from `open`, from a read or from `finish`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Need {
    /// The failure is a problem of this entry: the snapshot is incomplete and lacks the entry.
    #[default]
    Best,
    /// The failure ends the backup with the body's error: no snapshot is written.
    Whole,
}

impl SourceEntry {
    /// An entry without a stream: a directory, a link.
    pub fn bare(entry: Entry) -> Self {
        Self { entry, body: None, need: Need::Best, size_hint: 0 }
    }

    /// An entry whose stream is in the snapshot in full, or there is no snapshot.
    pub fn whole(entry: Entry, body: Box<dyn OpenBody>, size_hint: u64) -> Self {
        Self { entry, body: Some(body), need: Need::Whole, size_hint }
    }
}

impl From<SourceEntry> for Item {
    fn from(entry: SourceEntry) -> Self {
        Self::Entry(Box::new(entry))
    }
}

/// A stream not yet opened. It may be opened and read on another thread than the session's.
pub trait OpenBody: Send {
    /// Opens the bytes, once.
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError>;
}

/// The bytes of an entry. A read error may carry a [`SourceError`], see [`SourceError::of_read`]; the engine
/// reads again after [`std::io::ErrorKind::Interrupted`].
pub trait Body: Read + Send {
    /// Called once after the last byte, never after a read error.
    fn finish(self: Box<Self>) -> Result<BodyEnd, SourceError>;
}

/// What a body knows after its last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyEnd {
    /// Whether the bytes are one state of the entry.
    pub status: BodyStatus,
    /// Added to the properties of the entry in the catalog: row counts and the like.
    pub properties: Vec<Property>,
    /// Added to the properties of the source in the manifest, after those of [`Outcome`].
    pub facts: Vec<(String, String)>,
}

impl BodyEnd {
    /// Whether the bytes read are one state of the entry.
    pub fn is_good(&self) -> bool {
        self.status == BodyStatus::Good
    }

    /// A good body without properties.
    pub fn good() -> Self {
        Self::from(BodyStatus::Good)
    }
}

impl From<BodyStatus> for BodyEnd {
    fn from(status: BodyStatus) -> Self {
        Self { status, properties: Vec::new(), facts: Vec::new() }
    }
}

/// How good the bytes of a body are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyStatus {
    /// The bytes read are one state of the entry.
    Good,
    /// The entry changed while it was read: its bytes are kept, its token is not, the snapshot is incomplete.
    Changed(String),
}
