//! Loaders: what writes a source back where the target, not the catalog, decides on the order.
//!
//! An [`Importer`](super::Importer) is handed entries and bytes as they come; a [`Loader`] reads what it needs
//! when it needs it: structure before rows, the same bytes again after a connection broke.

use std::io::Read;

use super::{Fate, SourceError};
use crate::format::{Entry, EntryPath, Problem};
use crate::progress::{Cancel, Observer};

/// What a snapshot holds of one source.
pub trait Stored: Sync {
    /// Calls `each` with every selected entry in catalog order, paths relative to the source. An error of
    /// `each` ends it and is handed on.
    fn each(
        &self,
        each: &mut dyn FnMut(Entry) -> Result<(), SourceError>,
    ) -> Result<(), SourceError>;

    /// The verified bytes of an entry, in order, as often as it is called. Where bytes are lost, a read fails
    /// after those before them: [`SourceError::of_read`] tells what it was.
    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + Send>, SourceError>;
}

/// Writes a source into a server.
pub trait Loader: Send {
    /// Looks at what is there and says what would become of it. Changes nothing.
    fn plan(&mut self, stored: &dyn Stored) -> Result<LoadPlan, SourceError>;

    /// Does what was planned. Without `may_replace` nothing that is there is replaced; with it nothing but
    /// what the plan named. The error is for what stops everything; what concerns one thing is in the report.
    fn load(
        self: Box<Self>,
        stored: &dyn Stored,
        may_replace: bool,
        observer: &dyn Observer,
        cancel: &Cancel,
    ) -> Result<LoadReport, SourceError>;
}

/// What a loader would do.
#[derive(Debug, Default)]
pub struct LoadPlan {
    /// One for each thing that the target would get.
    pub steps: Vec<LoadStep>,
    /// What cannot be done, and why.
    pub problems: Vec<Problem>,
    /// What is left out on purpose, and why.
    pub notes: Vec<String>,
}

/// What becomes of one thing at the target: a collection, a table.
#[derive(Debug, Clone)]
pub struct LoadStep {
    /// What it is called there.
    pub name: EntryPath,
    /// Whether it is new, kept or replaced.
    pub fate: Fate,
    /// Rows that it has there now. `None`: it is not there, or nobody knows.
    pub rows: Option<u64>,
    /// Bytes that are read for it.
    pub bytes: u64,
}

/// What a loader did.
#[derive(Debug, Default)]
pub struct LoadReport {
    /// Things made or replaced.
    pub loaded: u64,
    /// Bytes that were loaded.
    pub bytes: u64,
    /// What was not made since the repository has lost bytes of it.
    pub damaged: Vec<Problem>,
    /// What else could not be done.
    pub problems: Vec<Problem>,
    /// What is worth saying: things left out on purpose, counts that were compared.
    pub notes: Vec<String>,
}
