//! The session: entries in order, each snapshot checked before the next entry is read.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::contents::Contents;
use super::failure::refused;
use super::origin::{Origin, Stream, Whole};
use super::tar::Watch;
use super::{ABOUT, CONTENTS, POINTS_ENDING, SNAPSHOT, property};
use crate::fault::ErrorKind;
use crate::format::{Consistency, EntryKind, EntryPath, Property};
use crate::source::private::private_entry;
use crate::source::text::TextBody;
use crate::source::{Body, BodyEnd, Item, OpenBody, Outcome, Session, SourceEntry, SourceError};

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

/// Gives the entries in order. The list of a snapshot's members follows the snapshot, so that bodies are read one
/// after the other.
pub(super) struct QdrantSession {
    parts: VecDeque<Part>,
    consistency: &'static str,
    properties: Properties,
    /// What bodies found out that were read to their ends.
    seen: Receiver<SeenContents>,
    to_session: Sender<SeenContents>,
    /// When the states were taken that are backed up.
    times: Vec<String>,
    /// The members of snapshots whose lists are still to be given, by stem.
    contents: BTreeMap<String, Contents>,
}

/// What a body found out, for the session.
struct SeenContents {
    times: Vec<String>,
    /// The stem and the members, where the stream has any.
    contents: Option<(String, Contents)>,
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
        let (to_session, seen) = channel();
        Ok(Self {
            parts: parts.into(),
            consistency,
            properties,
            seen,
            to_session,
            times: Vec::new(),
            contents: BTreeMap::new(),
        })
    }

    fn take_seen(&mut self) {
        for SeenContents { times, contents } in self.seen.try_iter() {
            self.times.extend(times);
            self.contents.extend(contents);
        }
    }
}

impl Session for QdrantSession {
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        self.take_seen();
        let Some(Part { stem, path, kind, mut properties, what }) = self.parts.pop_front() else {
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
                // The checksum of the copy that is read: it may have replaced a first one.
                properties.extend(origin.checksum().map(|sum| property(super::SHA256, &sum)));
                let body = WatchedBody {
                    stem,
                    origin,
                    stream,
                    watch: Watch::new(),
                    hasher: Sha256::new(),
                    len: 0,
                    to_session: self.to_session.clone(),
                };
                (Box::new(body), size)
            }
        };
        let entry = private_entry(path, kind, properties);
        Ok(Some(SourceEntry::whole(entry, body, size_hint).into()))
    }

    fn finish(mut self: Box<Self>) -> Result<Outcome, SourceError> {
        self.take_seen();
        self.times.sort();
        let value = match self.times.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            [first, .., last] => Some(format!("{first} to {last}")),
        };
        let kind = self.consistency.to_owned();
        let consistency = value.map(|value| Consistency { kind, value });
        Ok(Outcome { consistency, properties: self.properties })
    }
}

/// Bytes that are counted, hashed and looked at as they go by, then compared with what their origin promised.
struct WatchedBody {
    stem: String,
    origin: Box<dyn Origin>,
    stream: Box<dyn Stream>,
    watch: Watch,
    hasher: Sha256,
    len: u64,
    to_session: Sender<SeenContents>,
}

impl OpenBody for WatchedBody {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        Ok(self)
    }
}

impl Read for WatchedBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer).map_err(io::Error::other)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        self.hasher.update(bytes);
        self.watch.push(bytes);
        self.len = self.len.saturating_add(count as u64);
        Ok(count)
    }
}

impl Body for WatchedBody {
    fn finish(self: Box<Self>) -> Result<BodyEnd, SourceError> {
        let Self { stem, mut origin, watch, hasher, len, to_session, .. } = *self;
        let sha256 = HEXLOWER.encode(&hasher.finalize());
        let whole = Whole { len, sha256, contents: watch.finish() };
        let found = origin.conclude(&whole)?;
        let Whole { len, sha256, contents } = whole;
        let mut facts = vec![("bytes", len.to_string()), (super::SHA256, sha256)];
        facts.extend(found.properties);
        let contents = origin.has_members().then(|| {
            facts.extend(contents.properties());
            (stem.clone(), contents)
        });
        let named = |(key, value)| (format!("{stem}/{key}"), value);
        let facts = facts.into_iter().map(named).collect();
        // The session may be gone: then nothing is committed.
        let _ = to_session.send(SeenContents { times: found.times, contents });
        Ok(BodyEnd { facts, ..BodyEnd::good() })
    }
}
