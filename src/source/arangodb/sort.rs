//! Sorting more than memory holds: sorted runs in temporary files, merged.
//!
//! Memory is bounded by [`SortOptions`] and the longest record; open files grow with the logarithm of the data.

mod merge;
mod run;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use self::merge::Merge;

use self::merge::Cursor;
use self::run::Run;
use super::failure::temporary;
use crate::limits::MIB;
use crate::progress::Cancel;
use crate::source::{SourceError, temporary as place};

/// How documents are sorted.
#[derive(Debug, Clone)]
pub struct SortOptions {
    /// Bytes of documents held in memory. One document may exceed it.
    pub memory: usize,
    /// Runs that are merged at once, at least 2.
    pub fan_in: usize,
    /// Longest line that is taken.
    pub line_max: usize,
    /// Where runs go. Without it `TMPDIR`, else `/var/tmp`.
    pub temp_dir: Option<PathBuf>,
}

impl Default for SortOptions {
    fn default() -> Self {
        Self { memory: 48 * MIB, fan_in: 16, line_max: 512 * MIB, temp_dir: None }
    }
}

/// One record, as it comes out. Reused from one to the next.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub key: Vec<u8>,
    pub revision: Vec<u8>,
    pub document: Vec<u8>,
}

/// Takes records in any order.
pub(super) struct Sorter {
    buffer: Buffer,
    /// Oldest first; levels never rise from one to the next.
    runs: Vec<Run>,
    memory: usize,
    fan_in: usize,
    folder: PathBuf,
    cancel: Cancel,
}

impl Sorter {
    pub fn new(options: &SortOptions, cancel: &Cancel) -> Self {
        Self {
            buffer: Buffer::default(),
            runs: Vec::new(),
            memory: options.memory,
            fan_in: options.fan_in.max(2),
            folder: place::folder(options.temp_dir.as_deref()),
            cancel: cancel.clone(),
        }
    }

    /// A record with this key, in place of any before. `None` where there is to be none.
    pub fn push(&mut self, key: &[u8], value: Option<Value<'_>>) -> Result<(), SourceError> {
        let value_len = value.map_or(0, |it| it.revision.len().saturating_add(it.document.len()));
        let needed = key.len().saturating_add(value_len);
        if !self.buffer.is_empty() && self.buffer.size().saturating_add(needed) > self.memory {
            self.spill()?;
        }
        self.buffer.push(key, value);
        Ok(())
    }

    /// All records, by key. What was pushed later stands.
    pub fn finish(mut self) -> Result<SortedRuns, SourceError> {
        self.buffer.sort();
        while self.runs.len() > self.fan_in {
            let surplus = self.runs.len() - self.fan_in + 1;
            self.merge_last(surplus.min(self.fan_in))?;
        }
        let Self { buffer, runs, folder, cancel, .. } = self;
        Ok(SortedRuns { buffer: Arc::new(buffer), runs, folder, cancel })
    }

    fn spill(&mut self) -> Result<(), SourceError> {
        self.buffer.sort();
        let buffer = Arc::new(std::mem::take(&mut self.buffer));
        let run = self.write(Merge::new(vec![Cursor::memory(&buffer)], self.runs.is_empty()), 0)?;
        self.runs.push(run);
        self.buffer = Arc::into_inner(buffer).unwrap_or_default().emptied(self.memory);
        while let Some(level) = self.full_level() {
            self.merge_last_to(self.fan_in, level.saturating_add(1))?;
        }
        Ok(())
    }

    /// The level of the last runs, where there are enough of them to merge.
    fn full_level(&self) -> Option<u32> {
        let last = self.runs.last()?.level;
        let count = self.runs.iter().rev().take_while(|run| run.level == last).count();
        (count >= self.fan_in).then_some(last)
    }

    fn merge_last(&mut self, count: usize) -> Result<(), SourceError> {
        let from = self.runs.len().saturating_sub(count);
        let level = self.runs.get(from).map_or(0, |run| run.level);
        self.merge_last_to(count, level)
    }

    /// Makes one run of the last ones. Where nothing older is left, removals have done their work.
    fn merge_last_to(&mut self, count: usize, level: u32) -> Result<(), SourceError> {
        let from = self.runs.len().saturating_sub(count);
        let last = self.runs.split_off(from);
        let cursors = last.iter().map(Cursor::run).collect::<Result<Vec<_>, _>>();
        let cursors = cursors.map_err(temporary(&self.folder))?;
        let merged = self.write(Merge::new(cursors, self.runs.is_empty()), level)?;
        self.runs.push(merged);
        Ok(())
    }

    fn write(&self, merge: Merge, level: u32) -> Result<Run, SourceError> {
        tracing::debug!("sorting: a run of level {level} goes to {}", self.folder.display());
        Run::write(merge, level, &self.folder, &self.cancel)
    }
}

/// What is kept of a record besides its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    pub revision: &'a [u8],
    pub document: &'a [u8],
}

/// Records in memory: their bytes one after the other, and where each is.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    start: usize,
    key: usize,
    revision: usize,
    document: usize,
    is_removal: bool,
}

impl Buffer {
    fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>()
    }

    fn push(&mut self, key: &[u8], value: Option<Value<'_>>) {
        let start = self.bytes.len();
        let Value { revision, document } = value.unwrap_or(Value { revision: b"", document: b"" });
        for part in [key, revision, document] {
            self.bytes.extend_from_slice(part);
        }
        self.places.push(Place {
            start,
            key: key.len(),
            revision: revision.len(),
            document: document.len(),
            is_removal: value.is_none(),
        });
    }

    /// By key, and by age where keys are equal.
    fn sort(&mut self) {
        let bytes = &self.bytes;
        let key = |place: &Place| bytes.get(place.start..place.start + place.key);
        self.places.sort_unstable_by(|a, b| key(a).cmp(&key(b)).then(a.start.cmp(&b.start)));
    }

    /// The room for as many records again, but not that of one which was far longer than all others.
    fn emptied(mut self, memory: usize) -> Self {
        self.places.clear();
        self.bytes.clear();
        self.bytes.shrink_to(memory);
        self
    }

    fn key(&self, at: usize) -> Option<&[u8]> {
        self.places.get(at).map(|place| self.part(place.start, place.key))
    }

    /// Whether it is a removal; bytes of revision and document.
    fn head(&self, at: usize) -> Option<(bool, u64, u64)> {
        let Place { revision, document, is_removal, .. } = self.places.get(at)?;
        Some((*is_removal, *revision as u64, *document as u64))
    }

    fn read(&self, at: usize, record: &mut Record) {
        let Some(place) = self.places.get(at) else { return };
        let revision = place.start + place.key;
        record.revision.clear();
        record.revision.extend_from_slice(self.part(revision, place.revision));
        record.document.clear();
        record.document.extend_from_slice(self.part(revision + place.revision, place.document));
    }

    fn part(&self, start: usize, len: usize) -> &[u8] {
        self.bytes.get(start..start.saturating_add(len)).unwrap_or_default()
    }
}

/// Sorted records, to be read as often as needed.
pub(super) struct SortedRuns {
    buffer: Arc<Buffer>,
    runs: Vec<Run>,
    folder: PathBuf,
    cancel: Cancel,
}

/// How many there are, and the bytes of their documents and revisions.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    pub records: u64,
    pub documents: u64,
    pub revisions: u64,
}

impl SortedRuns {
    pub fn merge(&self) -> Result<Merge, SourceError> {
        let runs = self.runs.iter().map(Cursor::run).collect::<Result<Vec<_>, _>>();
        let mut cursors = runs.map_err(temporary(&self.folder))?;
        cursors.push(Cursor::memory(&self.buffer));
        Ok(Merge::new(cursors, true))
    }

    /// Reads the keys once.
    pub fn totals(&self) -> Result<Totals, SourceError> {
        let (mut merge, mut totals) = (self.merge()?, Totals::default());
        while merge.next().map_err(temporary(&self.folder))? {
            if self.cancel.is_cancelled() {
                return Err(SourceError::Interrupted);
            }
            let (revision, document) = merge.lengths();
            totals.records += 1;
            totals.revisions = totals.revisions.saturating_add(revision);
            totals.documents = totals.documents.saturating_add(document);
        }
        Ok(totals)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
