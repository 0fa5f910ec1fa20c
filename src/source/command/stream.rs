//! A source that is one stream: a session with one entry.

use std::io::{self, Read};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};

use crate::fault::ErrorKind;
use crate::format::{EntryKind, EntryPath};
use crate::progress::Cancel;
use crate::source::private::private_entry;
use crate::source::{
    Body, BodyEnd, Description, Item, OpenBody, Outcome, Session, SourceEntry, SourceError,
};

/// How often a wait looks whether it was told to stop.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Gives the bytes, then says whether they may be kept.
pub(super) trait Producer: Send {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Called after the last byte. Returns facts for the manifest, or the reason why nothing may be kept.
    fn finish(&mut self) -> Result<Vec<(String, String)>, SourceError>;
}

/// Starts a producer: called when the engine begins to read the stream.
pub(super) type Start = Box<dyn FnOnce() -> Result<Box<dyn Producer>, SourceError> + Send>;

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

    pub fn describe(&self, kind: &str) -> Description {
        Description { kind: kind.to_owned(), url: self.url.clone(), label: self.name.clone() }
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

/// The session of one stream: one entry.
pub(super) struct StreamSession {
    name: StreamName,
    start: Option<Start>,
}

impl StreamSession {
    pub fn new(name: StreamName, start: Start) -> Self {
        Self { name, start: Some(start) }
    }
}

impl Session for StreamSession {
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        let Some(start) = self.start.take() else { return Ok(None) };
        let path = EntryPath::new(self.name.name.as_str())
            .map_err(|error| refused(ErrorKind::Usage, &self.name.url, error.to_string()))?;
        let entry = private_entry(path, EntryKind::File, Vec::new());
        let body = Box::new(StreamBody { start, name: self.name.clone() });
        Ok(Some(SourceEntry::whole(entry, body, 0).into()))
    }

    fn finish(self: Box<Self>) -> Result<Outcome, SourceError> {
        Ok(Outcome::default())
    }
}

struct StreamBody {
    start: Start,
    name: StreamName,
}

impl OpenBody for StreamBody {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        let Self { start, name } = *self;
        Ok(Box::new(OpenStream { producer: start()?, name, len: 0, is_at_end: false }))
    }
}

struct OpenStream {
    producer: Box<dyn Producer>,
    name: StreamName,
    len: u64,
    is_at_end: bool,
}

impl Read for OpenStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.producer.read(buffer) {
            Ok(count) => {
                self.is_at_end = count == 0 && !buffer.is_empty();
                self.len = self.len.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(io::Error::other(SourceError::of_read(&self.name.url, error))),
        }
    }
}

impl Body for OpenStream {
    fn finish(mut self: Box<Self>) -> Result<BodyEnd, SourceError> {
        if !self.is_at_end {
            let message = "was not read to its end";
            return Err(refused(ErrorKind::Failed, &self.name.url, message));
        }
        let facts = self.producer.finish()?;
        if self.len == 0 && !self.name.allow_empty {
            let message = "gave no bytes: --allow-empty accepts that";
            return Err(refused(ErrorKind::Unreachable, &self.name.url, message));
        }
        Ok(BodyEnd { facts, ..BodyEnd::good() })
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
        let start: Start = Box::new(|| Ok(Box::new(Stopped)));
        let mut body = Box::new(StreamBody { start, name }).open().unwrap();
        body.read(&mut [0; 8]).unwrap_err();
        body.finish().unwrap_err();
    }
}
