//! The session and its one section: entries in order, each snapshot checked before the next thing is read.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::contents::Contents;
use super::failure::refused;
use super::mode::property;
use super::origin::{Origin, Stream, Whole};
use super::tar::Watch;
use super::{ABOUT, CONTENTS, POINTS_ENDING, SNAPSHOT};
use crate::fault::ErrorKind;
use crate::format::{Bytes, Consistency, Entry, EntryKind, EntryPath, Property};
use crate::source::private::private_attributes;
use crate::source::text::TextBody;
use crate::source::{
    Body, BodyStatus, Item, OpenBody, Outcome, Section, Session, SourceEntry, SourceError,
};

pub(super) type Properties = Vec<(String, String)>;

/// An entry to come.
pub(super) struct Part {
    /// What it is called before its ending; its facts in the manifest begin with that, too.
    stem: String,
    path: EntryPath,
    kind: EntryKind,
    properties: Vec<Property>,
    what: What,
}

enum What {
    Told(String),
    Read(Box<dyn Origin>),
    /// What was seen of the snapshot of this stem.
    Contents,
}

impl Part {
    /// `<collection>.info.json`
    pub fn about(collection: &str, text: String) -> Result<Self, SourceError> {
        Self::new(collection, ABOUT, EntryKind::File, Vec::new(), What::Told(text))
    }

    /// `<stem>.snapshot` and, behind it, what is in it.
    pub fn snapshot(
        stem: &str,
        kind: EntryKind,
        properties: Vec<Property>,
        origin: impl Origin + 'static,
    ) -> Result<[Self; 2], SourceError> {
        let read = What::Read(Box::new(origin));
        Ok([
            Self::new(stem, SNAPSHOT, kind, properties, read)?,
            Self::new(stem, CONTENTS, EntryKind::File, Vec::new(), What::Contents)?,
        ])
    }

    /// `<collection>.points.jsonl`
    pub fn points(
        collection: &str,
        kind: EntryKind,
        properties: Vec<Property>,
        origin: impl Origin + 'static,
    ) -> Result<Self, SourceError> {
        Self::new(collection, POINTS_ENDING, kind, properties, What::Read(Box::new(origin)))
    }

    fn new(
        stem: &str,
        ending: &str,
        kind: EntryKind,
        properties: Vec<Property>,
        what: What,
    ) -> Result<Self, SourceError> {
        let path = EntryPath::new(format!("{stem}{ending}"))
            .map_err(|error| refused(ErrorKind::Usage, stem, error.to_string()))?;
        Ok(Self { stem: stem.to_owned(), path, kind, properties, what })
    }
}

/// What session and section know together.
#[derive(Default)]
struct Shared {
    properties: Properties,
    /// When the states were taken that are backed up.
    times: Vec<String>,
    is_done: bool,
}

pub(super) struct QdrantSession {
    section: Option<QdrantSection>,
    shared: Arc<Mutex<Shared>>,
    consistency: &'static str,
}

impl QdrantSession {
    /// `consistency`: of which kind what is read is.
    pub fn new(
        mut parts: Vec<Part>,
        consistency: &'static str,
        properties: Properties,
    ) -> Result<Self, SourceError> {
        parts.sort_by(|a, b| a.path.cmp(&b.path));
        let twice = parts.iter().zip(parts.iter().skip(1)).find(|(a, b)| a.path == b.path);
        if let Some((part, _)) = twice {
            let message = "two things would be entries of this name: back them up one by one";
            return Err(refused(ErrorKind::Usage, &part.path.display(), message));
        }
        let shared = Arc::new(Mutex::new(Shared { properties, ..Shared::default() }));
        let section = QdrantSection {
            parts: parts.into(),
            reading: None,
            contents: BTreeMap::new(),
            shared: Arc::clone(&shared),
        };
        Ok(Self { section: Some(section), shared, consistency })
    }
}

impl Session for QdrantSession {
    fn sections(&mut self) -> Result<Vec<Box<dyn Section>>, SourceError> {
        let section = self.section.take().map(|section| Box::new(section) as Box<dyn Section>);
        Ok(section.into_iter().collect())
    }

    fn finish(self: Box<Self>) -> Result<Outcome, SourceError> {
        let mut shared = std::mem::take(&mut *lock(&self.shared));
        shared.times.sort();
        if !shared.is_done {
            return Err(refused(ErrorKind::Failed, "qdrant", "was not read to its end"));
        }
        let value = match shared.times.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            [first, .., last] => Some(format!("{first} to {last}")),
        };
        let kind = self.consistency.to_owned();
        let consistency = value.map(|value| Consistency { kind, value });
        Ok(Outcome { consistency, properties: shared.properties })
    }
}

struct QdrantSection {
    parts: VecDeque<Part>,
    reading: Option<Reading>,
    /// What was seen of snapshots, until it is an entry.
    contents: BTreeMap<String, Contents>,
    shared: Arc<Mutex<Shared>>,
}

/// An entry under way.
struct Reading {
    stem: String,
    origin: Box<dyn Origin>,
    verdict: Arc<Mutex<Verdict>>,
}

/// What came of the bytes.
enum Verdict {
    Unread,
    Failed(SourceError),
    Read(Box<Whole>),
}

impl Section for QdrantSection {
    /// What did not come whole ends the backup here: it must not be one entry's problem.
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        if let Some(reading) = self.reading.take() {
            self.conclude(reading)?;
        }
        let Some(Part { stem, path, kind, mut properties, what }) = self.parts.pop_front() else {
            lock(&self.shared).is_done = true;
            return Ok(None);
        };
        let (body, size_hint): (Box<dyn OpenBody>, u64) = match what {
            What::Told(text) => TextBody::of(text.into_bytes()),
            What::Contents => {
                let contents = self.contents.remove(&stem).unwrap_or_default();
                TextBody::of(contents.text().into_bytes())
            }
            What::Read(mut origin) => {
                let (stream, size) = (origin.begin()?, origin.size());
                // Of what is read: another may have taken the place of the first copy.
                properties.extend(origin.checksum().map(|sum| property(super::SHA256, &sum)));
                let verdict = Arc::new(Mutex::new(Verdict::Unread));
                let body = WatchedBody {
                    stream,
                    watch: Watch::new(),
                    hasher: Sha256::new(),
                    len: 0,
                    verdict: Arc::clone(&verdict),
                };
                self.reading = Some(Reading { stem, origin, verdict });
                (Box::new(body), size)
            }
        };
        let entry = Entry {
            path,
            kind,
            unix: Some(private_attributes()),
            token: Bytes::default(),
            content: None,
            properties,
            ext: Vec::new(),
        };
        Ok(Some(Item::Entry(Box::new(SourceEntry { entry, body: Some(body), size_hint }))))
    }
}

impl QdrantSection {
    fn conclude(&mut self, reading: Reading) -> Result<(), SourceError> {
        let Reading { stem, mut origin, verdict } = reading;
        let verdict = std::mem::replace(&mut *lock(&verdict), Verdict::Unread);
        let whole = match verdict {
            Verdict::Read(whole) => whole,
            Verdict::Failed(error) => return Err(error),
            Verdict::Unread => {
                let message = "its snapshot was not read to its end";
                return Err(refused(ErrorKind::Failed, &stem, message));
            }
        };
        let facts = origin.conclude(&whole)?;
        let Whole { len, sha256, contents } = *whole;
        let mut properties = vec![("bytes", len.to_string()), (super::SHA256, sha256)];
        properties.extend(facts.properties);
        if origin.has_members() {
            properties.extend(contents.properties());
            self.contents.insert(stem.clone(), contents);
        }
        let named = properties.into_iter().map(|(key, value)| (format!("{stem}/{key}"), value));
        let mut shared = lock(&self.shared);
        shared.properties.extend(named);
        shared.times.extend(facts.times);
        Ok(())
    }
}

/// Bytes that are counted, hashed and looked at as they go by.
struct WatchedBody {
    stream: Box<dyn Stream>,
    watch: Watch,
    hasher: Sha256,
    len: u64,
    verdict: Arc<Mutex<Verdict>>,
}

impl OpenBody for WatchedBody {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        Ok(self)
    }
}

impl Read for WatchedBody {
    /// A failure ends the stream here and the backup in the section.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stream.read(buffer) {
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                self.hasher.update(bytes);
                self.watch.push(bytes);
                self.len = self.len.saturating_add(count as u64);
                Ok(count)
            }
            Err(error) => {
                *lock(&self.verdict) = Verdict::Failed(error);
                Ok(0)
            }
        }
    }
}

impl Body for WatchedBody {
    fn finish(self: Box<Self>) -> Result<BodyStatus, SourceError> {
        let Self { watch, hasher, len, verdict, .. } = *self;
        let mut verdict = lock(&verdict);
        if matches!(*verdict, Verdict::Unread) {
            let digest = hasher.finalize();
            let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            *verdict = Verdict::Read(Box::new(Whole { len, sha256, contents: watch.finish() }));
        }
        Ok(BodyStatus::Good)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
