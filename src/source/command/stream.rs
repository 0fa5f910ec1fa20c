//! A source that is one stream: the session, its only section, its only entry.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};

use crate::fault::ErrorKind;
use crate::format::{Bytes, Entry, EntryKind, EntryPath};
use crate::progress::Cancel;
use crate::source::private::private_attributes;
use crate::source::{
    Body, BodyStatus, Item, OpenBody, Outcome, Section, Session, SourceEntry, SourceError,
};

/// How often a wait looks whether it was told to stop.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Gives the bytes, then a verdict on them.
pub(super) trait Producer: Send {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// After the last byte: what is worth recording, or why nothing of it may be kept.
    fn finish(&mut self) -> Result<Vec<(String, String)>, SourceError>;
}

/// Starts a producer, when it is the source's turn to be read.
pub(super) type Start = Box<dyn FnOnce() -> Result<Box<dyn Producer>, SourceError> + Send>;

/// What came of the stream.
enum Verdict {
    Unread,
    Failed(SourceError),
    Good(Vec<(String, String)>),
}

type Shared = Arc<Mutex<Verdict>>;

/// What a stream is called, and whether it may be empty.
#[derive(Debug, Clone)]
pub(super) struct StreamName {
    pub name: String,
    /// `command:NAME` or `stdin:NAME`.
    pub url: String,
    pub allow_empty: bool,
}

impl StreamName {
    /// `name` becomes a file's name on restore.
    pub fn new(scheme: &str, name: &str, allow_empty: bool) -> Result<Self, SourceError> {
        let url = format!("{scheme}:{name}");
        let is_one = !name.is_empty() && name.len() <= 255 && !name.contains('/');
        if !is_one || EntryPath::new(name).is_err() || name.contains(char::is_control) {
            let message = format!("the name after {scheme}: must be one a file can have");
            return Err(refused(ErrorKind::Usage, &url, message));
        }
        Ok(Self { name: name.to_owned(), url, allow_empty })
    }
}

pub(super) fn refused(kind: ErrorKind, url: &str, message: impl Into<String>) -> SourceError {
    SourceError::Refused { kind, path: url.to_owned(), message: message.into() }
}

/// Reads once there is something to read; stops waiting when it is told to. `None`: nothing came for a while.
pub(super) fn read_patiently(
    stream: impl std::os::fd::AsFd,
    buffer: &mut [u8],
    cancel: &Cancel,
) -> io::Result<Option<usize>> {
    if cancel.is_cancelled() {
        return Err(io::ErrorKind::Interrupted.into());
    }
    let mut wanted = [PollFd::new(&stream, PollFlags::IN)];
    match poll(&mut wanted, Some(&GLANCE)) {
        Ok(0) | Err(Errno::INTR) => Ok(None),
        Ok(_) => Ok(Some(retry_on_intr(|| rustix::io::read(&stream, &mut *buffer))?)),
        Err(errno) => Err(errno.into()),
    }
}

pub(super) struct StreamSession {
    name: StreamName,
    start: Option<Start>,
    verdict: Shared,
}

impl StreamSession {
    pub fn new(name: StreamName, start: Start) -> Self {
        Self { name, start: Some(start), verdict: Arc::new(Mutex::new(Verdict::Unread)) }
    }
}

impl Session for StreamSession {
    fn sections(&mut self) -> Result<Vec<Box<dyn Section>>, SourceError> {
        let section = self.start.take().map(|start| {
            let verdict = Arc::clone(&self.verdict);
            let section = StreamSection { name: self.name.clone(), start: Some(start), verdict };
            Box::new(section) as Box<dyn Section>
        });
        Ok(section.into_iter().collect())
    }

    fn finish(self: Box<Self>) -> Result<Outcome, SourceError> {
        let properties = judge(&self.name, &self.verdict)?;
        Ok(Outcome { consistency: None, properties })
    }
}

struct StreamSection {
    name: StreamName,
    start: Option<Start>,
    verdict: Shared,
}

impl Section for StreamSection {
    /// The entry; then, once its bytes were read, the end or the failure: the other sources need not be read
    /// for a snapshot that cannot be.
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        let Some(start) = self.start.take() else {
            return judge(&self.name, &self.verdict).map(|_| None);
        };
        let body = StreamBody {
            producer: start()?,
            name: self.name.clone(),
            len: 0,
            verdict: Arc::clone(&self.verdict),
        };
        let path = EntryPath::new(self.name.name.as_str())
            .map_err(|error| refused(ErrorKind::Usage, &self.name.url, error.to_string()))?;
        let entry = Entry {
            path,
            kind: EntryKind::File,
            unix: Some(private_attributes()),
            token: Bytes::default(),
            content: None,
            properties: Vec::new(),
            ext: Vec::new(),
        };
        let source = SourceEntry { entry, body: Some(Box::new(body)), size_hint: 0 };
        Ok(Some(Item::Entry(Box::new(source))))
    }
}

/// A failure is given away once; whoever asks again learns that there was one.
fn judge(name: &StreamName, verdict: &Shared) -> Result<Vec<(String, String)>, SourceError> {
    let mut verdict = verdict.lock().unwrap_or_else(PoisonError::into_inner);
    match std::mem::replace(&mut *verdict, Verdict::Unread) {
        Verdict::Unread => Err(refused(ErrorKind::Failed, &name.url, "was not read to its end")),
        Verdict::Failed(error) => Err(error),
        Verdict::Good(properties) => {
            *verdict = Verdict::Good(properties.clone());
            Ok(properties)
        }
    }
}

struct StreamBody {
    producer: Box<dyn Producer>,
    name: StreamName,
    len: u64,
    verdict: Shared,
}

impl StreamBody {
    fn set(&self, verdict: Verdict) {
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = verdict;
    }

    fn has_failed(&self) -> bool {
        let verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*verdict, Verdict::Failed(_))
    }
}

impl OpenBody for StreamBody {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        Ok(self)
    }
}

impl Read for StreamBody {
    /// A read error ends the stream here and the backup in the section: it must not be one entry's problem.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.producer.read(buffer) {
            Ok(count) => {
                self.len = self.len.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                // Whatever is asked of it later: this is not all of it.
                self.set(Verdict::Failed(SourceError::Interrupted));
                Err(error)
            }
            Err(source) => {
                let path = self.name.url.clone();
                self.set(Verdict::Failed(SourceError::Io { action: "read", path, source }));
                Ok(0)
            }
        }
    }
}

impl Body for StreamBody {
    fn finish(mut self: Box<Self>) -> Result<BodyStatus, SourceError> {
        if self.has_failed() {
            return Ok(BodyStatus::Good);
        }
        let verdict = match self.producer.finish() {
            Err(error) => Verdict::Failed(error),
            Ok(_) if self.len == 0 && !self.name.allow_empty => {
                let message = "gave no bytes: --allow-empty accepts that";
                Verdict::Failed(refused(ErrorKind::Unreachable, &self.name.url, message))
            }
            Ok(properties) => Verdict::Good(properties),
        };
        self.set(verdict);
        Ok(BodyStatus::Good)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stopped;

    impl Producer for Stopped {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::Interrupted.into())
        }

        fn finish(&mut self) -> Result<Vec<(String, String)>, SourceError> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn a_stream_that_was_not_read_to_its_end_is_never_good() {
        let name = StreamName::new("stdin", "x", true).unwrap();
        let verdict = Arc::new(Mutex::new(Verdict::Unread));
        let shared = Arc::clone(&verdict);
        let producer = Box::new(Stopped);
        let mut body =
            Box::new(StreamBody { producer, name: name.clone(), len: 3, verdict: shared });
        body.read(&mut [0; 8]).unwrap_err();
        body.finish().unwrap();
        judge(&name, &verdict).unwrap_err();
    }
}
