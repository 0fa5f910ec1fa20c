//! A collection's lines in any order and form in; two streams out, documents and revisions, sorted by key.

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use tempfile::SpooledTempFile;

use super::failure::{refused, temporary};
use super::lines::Line;
use super::sort::{Merge, Record, SortOptions, SortedRuns, Sorter, Totals, Value};
use crate::fault::ErrorKind;
use crate::limits::{KIB, MIB};
use crate::progress::Cancel;
use crate::source::{Body, BodyEnd, OpenBody, SourceError};

/// Compressed revisions up to this many bytes stay in memory.
const SPOOL: usize = MIB;
const BUFFER: usize = 64 * KIB;

/// Takes the lines of one collection.
pub struct Collector {
    sorter: Sorter,
    /// What is read, for errors: a file, a collection's URL.
    what: String,
    line: u64,
    line_max: usize,
    document: Vec<u8>,
    revision: Vec<u8>,
}

impl Collector {
    /// `what` is read, for errors to name: a file, a collection of a server.
    pub fn new(options: &SortOptions, what: impl Into<String>, cancel: &Cancel) -> Self {
        Self {
            sorter: Sorter::new(options, cancel),
            what: what.into(),
            line: 0,
            line_max: options.line_max,
            document: Vec::new(),
            revision: Vec::new(),
        }
    }

    /// Lines of something else follow, which belong to the same collection.
    pub fn begin(&mut self, what: impl Into<String>) {
        self.what = what.into();
        self.line = 0;
    }

    /// A line, with its line break or without. An empty one says nothing.
    pub fn push(&mut self, line: &[u8]) -> Result<(), SourceError> {
        self.line += 1;
        if line.len() > self.line_max {
            return Err(self.too_long());
        }
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        match Line::parse(line) {
            Ok(Line::Document(document)) => {
                self.document.clear();
                self.revision.clear();
                document.write(&mut self.document);
                document.write_revision(&mut self.revision);
                let value = Value { revision: &self.revision, document: &self.document };
                self.sorter.push(document.key.as_bytes(), Some(value))
            }
            Ok(Line::Removal(key)) => self.sorter.push(key.as_bytes(), None),
            Err(error) => Err(self.bad(&format!(
                "{error}: what is read is damaged, or holds no documents of ArangoDB"
            ))),
        }
    }

    /// All lines of a reader. Its error, if it is none of restow's, is one of reading `what`.
    pub fn read(&mut self, from: impl Read) -> Result<(), SourceError> {
        let mut from = BufReader::with_capacity(BUFFER, from);
        let most = (self.line_max as u64).saturating_add(1);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = from.by_ref().take(most).read_until(b'\n', &mut line);
            match read.map_err(|error| SourceError::of_read(&self.what, error))? {
                0 => return Ok(()),
                _ => self.push(&line)?,
            }
        }
    }

    /// Everything was pushed.
    pub fn finish(self) -> Result<Sorted, SourceError> {
        let runs = self.sorter.finish()?;
        let totals = runs.totals()?;
        Ok(Sorted { runs, totals, what: self.what })
    }

    fn too_long(&self) -> SourceError {
        self.bad(&format!(
            "is longer than {} bytes: what is read is damaged, or holds no documents of ArangoDB",
            self.line_max
        ))
    }

    fn bad(&self, why: &str) -> SourceError {
        refused(ErrorKind::Failed, &self.what, format!("line {} {why}", self.line))
    }
}

/// A collection, sorted.
pub struct Sorted {
    runs: SortedRuns,
    totals: Totals,
    what: String,
}

impl Sorted {
    /// Documents in it.
    pub fn count(&self) -> u64 {
        self.totals.records
    }

    /// The two streams. Revisions can be opened after the documents were read to their end.
    pub fn split(self) -> Result<(Documents, Revisions), SourceError> {
        let folder = self.runs.folder().to_owned();
        let failed = temporary(&folder);
        let spool = tempfile::spooled_tempfile_in(SPOOL, &folder);
        let spool = zstd::Encoder::new(spool, 1).map_err(&failed)?;
        let (to_revisions, from_documents) = channel();
        let documents = Documents {
            merge: self.runs.merge()?,
            record: Record::default(),
            given: 0,
            bytes: self.totals.documents.saturating_add(self.totals.records),
            left: self.totals.records,
            spool: Some(spool),
            to_revisions,
            what: self.what.clone(),
            folder: folder.clone(),
        };
        let bytes = self.totals.revisions.saturating_add(self.totals.records);
        Ok((documents, Revisions { spool: from_documents, bytes, what: self.what, folder }))
    }
}

fn unread(what: &str, which: &str) -> SourceError {
    refused(ErrorKind::Failed, what, format!("its {which} were not read to their end"))
}

/// The stream of documents, one a line.
pub struct Documents {
    merge: Merge,
    record: Record,
    /// Bytes of the record that were given out.
    given: usize,
    bytes: u64,
    left: u64,
    /// The revisions of the documents that were read. `None` after the last.
    spool: Option<zstd::Encoder<'static, SpooledTempFile>>,
    to_revisions: Sender<SpooledTempFile>,
    what: String,
    folder: PathBuf,
}

impl Documents {
    /// Bytes of the stream.
    pub fn stream_len(&self) -> u64 {
        self.bytes
    }

    /// Goes to the next document and keeps its revision. False at the end.
    fn next(&mut self) -> io::Result<bool> {
        let Some(spool) = &mut self.spool else { return Ok(false) };
        if self.merge.next()? {
            self.merge.read(&mut self.record)?;
            self.record.document.push(b'\n');
            self.record.revision.push(b'\n');
            spool.write_all(&self.record.revision)?;
            self.left = self.left.checked_sub(1).ok_or_else(miscounted)?;
            self.given = 0;
            return Ok(true);
        }
        if self.left != 0 {
            return Err(miscounted());
        }
        if let Some(spool) = self.spool.take() {
            let mut spool = spool.finish()?;
            spool.rewind()?;
            // Whoever reads the documents alone has dropped the revisions.
            let _ = self.to_revisions.send(spool);
        }
        self.record = Record::default();
        Ok(false)
    }
}

fn miscounted() -> io::Error {
    io::Error::other("there are not as many documents as were counted")
}

impl Read for Documents {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while let Some(room) = buffer.get_mut(read..).filter(|room| !room.is_empty()) {
            let rest = self.record.document.get(self.given..).unwrap_or_default();
            if rest.is_empty() {
                match self.next() {
                    Ok(true) => continue,
                    Ok(false) => break,
                    Err(error) => return Err(failed(&self.folder, error)),
                }
            }
            let count = rest.len().min(room.len());
            for (to, from) in room.iter_mut().zip(rest) {
                *to = *from;
            }
            self.given += count;
            read += count;
        }
        Ok(read)
    }
}

fn failed(folder: &Path, error: io::Error) -> io::Error {
    io::Error::other(temporary(folder)(error))
}

impl OpenBody for Documents {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        Ok(self)
    }
}

impl Body for Documents {
    fn finish(self: Box<Self>) -> Result<BodyEnd, SourceError> {
        match self.spool {
            None => Ok(BodyEnd::good()),
            Some(_) => Err(unread(&self.what, "documents")),
        }
    }
}

/// The stream of revisions, one a line.
pub struct Revisions {
    spool: Receiver<SpooledTempFile>,
    bytes: u64,
    what: String,
    folder: PathBuf,
}

impl Revisions {
    /// Bytes of the stream.
    pub fn stream_len(&self) -> u64 {
        self.bytes
    }
}

impl OpenBody for Revisions {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        let Self { spool, bytes, what, folder } = *self;
        let spool = spool.try_recv().map_err(|_| unread(&what, "documents"))?;
        let from = zstd::Decoder::new(spool).map_err(temporary(&folder))?;
        Ok(Box::new(RevisionsBody { from, left: bytes, is_at_end: false, what, folder }))
    }
}

struct RevisionsBody {
    from: zstd::Decoder<'static, BufReader<SpooledTempFile>>,
    left: u64,
    is_at_end: bool,
    what: String,
    folder: PathBuf,
}

impl Read for RevisionsBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.from.read(buffer) {
            Ok(0) if !buffer.is_empty() && self.left != 0 => Err(miscounted()),
            Ok(0) if !buffer.is_empty() => {
                self.is_at_end = true;
                Ok(0)
            }
            Ok(count) => match self.left.checked_sub(count as u64) {
                Some(left) => {
                    self.left = left;
                    Ok(count)
                }
                None => Err(miscounted()),
            },
            Err(error) => Err(error),
        };
        count.map_err(|error| failed(&self.folder, error))
    }
}

impl Body for RevisionsBody {
    fn finish(self: Box<Self>) -> Result<BodyEnd, SourceError> {
        match self.is_at_end {
            true => Ok(BodyEnd::good()),
            false => Err(unread(&self.what, "revisions")),
        }
    }
}
