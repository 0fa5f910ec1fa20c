//! The session and its one section: entries in order, each snapshot checked before the next thing is read.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::copy::ServerCopy;
use super::failure::refused;
use super::{INFO, SNAPSHOT};
use crate::fault::ErrorKind;
use crate::format::{Bytes, Consistency, Entry, EntryKind, EntryPath, Property};
use crate::source::http::{Download, HttpError};
use crate::source::private::private_attributes;
use crate::source::{
    Body, BodyStatus, Item, OpenBody, Outcome, Section, Session, SourceEntry, SourceError,
};

type Properties = Vec<(String, String)>;

/// An entry to come.
pub(super) struct Part {
    path: EntryPath,
    properties: Vec<Property>,
    what: What,
}

enum What {
    Info(String),
    Snapshot { copy: Box<ServerCopy>, points: Option<u64> },
}

impl Part {
    pub fn info(collection: &str, text: String) -> Result<Self, SourceError> {
        let path = path(collection, INFO)?;
        Ok(Self { path, properties: Vec::new(), what: What::Info(text) })
    }

    pub fn snapshot(
        copy: ServerCopy,
        properties: Vec<Property>,
        points: Option<u64>,
    ) -> Result<Self, SourceError> {
        let path = path(&copy.collection, SNAPSHOT)?;
        Ok(Self { path, properties, what: What::Snapshot { copy: Box::new(copy), points } })
    }
}

fn path(collection: &str, ending: &str) -> Result<EntryPath, SourceError> {
    EntryPath::new(format!("{collection}{ending}"))
        .map_err(|error| refused(ErrorKind::Usage, collection, error.to_string()))
}

/// What session and section know together.
#[derive(Default)]
struct Shared {
    properties: Properties,
    /// When the first and the last copy were made.
    times: Vec<String>,
    is_done: bool,
}

pub(super) struct QdrantSession {
    section: Option<QdrantSection>,
    shared: Arc<Mutex<Shared>>,
}

impl QdrantSession {
    pub fn new(mut parts: Vec<Part>, version: Option<String>) -> Self {
        parts.sort_by(|a, b| a.path.cmp(&b.path));
        let mut shared = Shared::default();
        shared.properties.extend(version.map(|version| ("server_version".to_owned(), version)));
        let shared = Arc::new(Mutex::new(shared));
        let section =
            QdrantSection { parts: parts.into(), reading: None, shared: Arc::clone(&shared) };
        Self { section: Some(section), shared }
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
        let consistency =
            value.map(|value| Consistency { kind: "qdrant-snapshot".to_owned(), value });
        Ok(Outcome { consistency, properties: shared.properties })
    }
}

struct QdrantSection {
    parts: VecDeque<Part>,
    reading: Option<Reading>,
    shared: Arc<Mutex<Shared>>,
}

/// A snapshot under way.
struct Reading {
    copy: Box<ServerCopy>,
    points: Option<u64>,
    verdict: Arc<Mutex<Verdict>>,
}

/// What came of the bytes.
enum Verdict {
    Unread,
    Failed(HttpError),
    Read { len: u64, sha256: String },
}

impl Section for QdrantSection {
    /// A snapshot that did not come whole ends the backup here: it must not be one entry's problem.
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        if let Some(reading) = self.reading.take() {
            self.conclude(reading)?;
        }
        let Some(Part { path, mut properties, what }) = self.parts.pop_front() else {
            lock(&self.shared).is_done = true;
            return Ok(None);
        };
        let (body, size_hint): (Box<dyn OpenBody>, u64) = match what {
            What::Info(text) => {
                let len = text.len() as u64;
                (Box::new(InfoBody(Cursor::new(text.into_bytes()))), len)
            }
            What::Snapshot { mut copy, points } => {
                let download = copy.download()?;
                // Of the one that is read: another may have taken the place of the first.
                let checksum = copy.described.checksum.clone();
                properties.extend(checksum.map(|checksum| Property {
                    name: super::SHA256.to_owned(),
                    value: checksum.into_bytes().into(),
                }));
                let (size, verdict) = (copy.described.size, Arc::new(Mutex::new(Verdict::Unread)));
                let body = SnapshotBody {
                    download,
                    hasher: Sha256::new(),
                    len: 0,
                    verdict: Arc::clone(&verdict),
                };
                self.reading = Some(Reading { copy, points, verdict });
                (Box::new(body), size)
            }
        };
        let entry = Entry {
            path,
            kind: EntryKind::File,
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
    fn conclude(&self, reading: Reading) -> Result<(), SourceError> {
        let Reading { mut copy, points, verdict } = reading;
        let verdict = std::mem::replace(&mut *lock(&verdict), Verdict::Unread);
        let (len, sha256) = match verdict {
            Verdict::Read { len, sha256 } => (len, sha256),
            Verdict::Failed(error) => return Err(copy.plain(error)),
            Verdict::Unread => {
                let message = "its snapshot was not read to its end";
                return Err(refused(ErrorKind::Failed, &copy.collection, message));
            }
        };
        copy.check(len, &sha256)?;
        let mut properties = vec![
            ("snapshot", copy.described.name.clone()),
            ("bytes", len.to_string()),
            (super::SHA256, sha256),
        ];
        if let Some(time) = &copy.described.creation_time {
            properties.push(("created", time.clone()));
            lock(&self.shared).times.push(time.clone());
        }
        properties.extend(points.map(|points| ("points", points.to_string())));
        if let Err(error) = copy.delete() {
            let name = &copy.described.name;
            tracing::warn!("snapshot {name} stays on the server: {error}");
            properties.push(("left_on_server", name.clone()));
        }
        let collection = &copy.collection;
        let named =
            properties.into_iter().map(|(key, value)| (format!("{collection}/{key}"), value));
        lock(&self.shared).properties.extend(named);
        Ok(())
    }
}

struct InfoBody(Cursor<Vec<u8>>);

impl OpenBody for InfoBody {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        Ok(self)
    }
}

impl Read for InfoBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Body for InfoBody {
    fn finish(self: Box<Self>) -> Result<BodyStatus, SourceError> {
        Ok(BodyStatus::Good)
    }
}

struct SnapshotBody {
    download: Download,
    hasher: Sha256,
    len: u64,
    verdict: Arc<Mutex<Verdict>>,
}

impl OpenBody for SnapshotBody {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        Ok(self)
    }
}

impl Read for SnapshotBody {
    /// A failure ends the stream here and the backup in the section.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.download.read(buffer) {
            Ok(count) => {
                self.hasher.update(buffer.get(..count).unwrap_or_default());
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

impl Body for SnapshotBody {
    fn finish(self: Box<Self>) -> Result<BodyStatus, SourceError> {
        let Self { hasher, len, verdict, .. } = *self;
        let mut verdict = lock(&verdict);
        if matches!(*verdict, Verdict::Unread) {
            let digest = hasher.finalize();
            let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            *verdict = Verdict::Read { len, sha256 };
        }
        Ok(BodyStatus::Good)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
