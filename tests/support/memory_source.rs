//! A source and a target in memory: the exporter and importer seam without a file system.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Barrier, Mutex};

use restow::format::{Bytes, Entry, EntryKind, EntryPath};
use restow::progress::Cancel;
use restow::source::{
    Body, BodyEnd, BodyStatus, Description, Exporter, Fate, Importer, Item, Need, OpenBody,
    Outcome, Session, Sink, SourceEntry, SourceError,
};

/// What happens when one entry is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    Unopenable,
    /// After that many bytes.
    Unreadable(usize),
    Changed,
}

#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    pub name: String,
    pub files: BTreeMap<EntryPath, Vec<u8>>,
    /// Equal tokens mean unchanged; missing means none.
    pub tokens: BTreeMap<EntryPath, Vec<u8>>,
    pub troubles: BTreeMap<EntryPath, Trouble>,
    /// What a trouble means for the backup.
    pub need: Need,
    /// The source says in the end that it must not be used.
    pub fails_at_end: bool,
    /// How many bytes one read gives at most.
    pub read_size: usize,
    /// Counts entries whose bytes were asked for.
    pub opened: Arc<Mutex<Vec<EntryPath>>>,
    /// What the session says of bodies at once; 0 means 1.
    pub bodies_at_once: usize,
    /// Bodies wait here for each other before their first byte.
    pub meeting: Option<Arc<Barrier>>,
}

impl MemorySource {
    pub fn new(files: BTreeMap<EntryPath, Vec<u8>>) -> Self {
        Self { name: "memory".into(), files, read_size: usize::MAX, ..Self::default() }
    }
}

impl Exporter for MemorySource {
    fn describe(&self) -> Description {
        Description {
            kind: "memory".into(),
            url: format!("memory:{}", self.name),
            label: self.name.clone(),
        }
    }

    fn open(&self, _: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        let files = self.files.clone().into_iter();
        Ok(Box::new(MemorySession { source: self.clone(), files }))
    }
}

fn refused(message: &str) -> SourceError {
    SourceError::Refused {
        kind: restow::fault::ErrorKind::Failed,
        path: "memory".into(),
        message: message.into(),
    }
}

struct MemorySession {
    source: MemorySource,
    files: std::collections::btree_map::IntoIter<EntryPath, Vec<u8>>,
}

impl Session for MemorySession {
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        let Some((path, bytes)) = self.files.next() else { return Ok(None) };
        let token = self.source.tokens.get(&path).cloned().unwrap_or_default();
        let body = MemoryBody {
            path: path.clone(),
            opened: Arc::clone(&self.source.opened),
            trouble: self.source.troubles.get(&path).cloned(),
            read_size: self.source.read_size,
            at: 0,
            bytes,
            meeting: self.source.meeting.clone(),
        };
        let entry = Entry {
            path,
            kind: EntryKind::File,
            unix: None,
            token: Bytes(token),
            content: None,
            properties: Vec::new(),
            ext: Vec::new(),
        };
        let size_hint = body.bytes.len() as u64;
        let body: Option<Box<dyn OpenBody>> = Some(Box::new(body));
        let entry = SourceEntry { entry, body, need: self.source.need, size_hint };
        Ok(Some(entry.into()))
    }

    fn bodies_at_once(&self) -> usize {
        self.source.bodies_at_once.max(1)
    }

    fn finish(self: Box<Self>) -> Result<Outcome, SourceError> {
        if self.source.fails_at_end {
            return Err(refused("the source failed at its end"));
        }
        Ok(Outcome::default())
    }
}

struct MemoryBody {
    path: EntryPath,
    opened: Arc<Mutex<Vec<EntryPath>>>,
    trouble: Option<Trouble>,
    read_size: usize,
    at: usize,
    bytes: Vec<u8>,
    meeting: Option<Arc<Barrier>>,
}

impl OpenBody for MemoryBody {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        if self.trouble == Some(Trouble::Unopenable) {
            return Err(refused("cannot be opened"));
        }
        self.opened.lock().unwrap().push(self.path.clone());
        if let Some(meeting) = &self.meeting {
            meeting.wait();
        }
        Ok(self)
    }
}

impl Read for MemoryBody {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if let Some(Trouble::Unreadable(after)) = self.trouble
            && self.at >= after.min(self.bytes.len())
        {
            return Err(std::io::Error::other("made to fail"));
        }
        let len = buffer.len().min(self.read_size).min(self.bytes.len() - self.at);
        buffer[..len].copy_from_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

impl Body for MemoryBody {
    fn finish(self: Box<Self>) -> Result<BodyEnd, SourceError> {
        match self.trouble {
            Some(Trouble::Changed) => Ok(BodyStatus::Changed("changed while read".into()).into()),
            _ => Ok(BodyEnd::good()),
        }
    }
}

/// What was restored.
#[derive(Debug, Clone, Default)]
pub struct MemoryTarget {
    pub files: Arc<Mutex<BTreeMap<EntryPath, Vec<u8>>>>,
    pub finished: Arc<Mutex<Vec<EntryPath>>>,
}

impl MemoryTarget {
    pub fn importer(&self) -> MemoryImporter {
        MemoryImporter { target: self.clone() }
    }

    /// The restored files; every sink must have been finished.
    pub fn contents(&self) -> BTreeMap<EntryPath, Vec<u8>> {
        let files = self.files.lock().unwrap().clone();
        let mut finished = self.finished.lock().unwrap().clone();
        finished.sort();
        assert_eq!(finished, files.keys().cloned().collect::<Vec<_>>(), "a sink was not finished");
        files
    }
}

pub struct MemoryImporter {
    target: MemoryTarget,
}

impl Importer for MemoryImporter {
    fn inspect(&mut self, _: &Entry) -> Result<Fate, SourceError> {
        Ok(Fate::New)
    }

    fn place(&mut self, entry: &Entry) -> Result<Option<Box<dyn Sink>>, SourceError> {
        self.target.files.lock().unwrap().insert(entry.path.clone(), Vec::new());
        let sink = MemorySink { path: entry.path.clone(), target: self.target.clone() };
        Ok(Some(Box::new(sink)))
    }

    fn settle(&mut self, _: &Entry) -> Result<(), SourceError> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        Ok(())
    }
}

struct MemorySink {
    path: EntryPath,
    target: MemoryTarget,
}

impl Sink for MemorySink {
    fn existing_len(&self) -> u64 {
        0
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<bool, SourceError> {
        Ok(false)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), SourceError> {
        let mut files = self.target.files.lock().unwrap();
        let file = files.get_mut(&self.path).unwrap();
        let end = offset as usize + bytes.len();
        if file.len() < end {
            file.resize(end, 0);
        }
        file[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        self.target.finished.lock().unwrap().push(self.path.clone());
        Ok(())
    }
}
