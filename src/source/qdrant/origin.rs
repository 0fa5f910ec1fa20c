//! Where the bytes of an entry come from, and what must hold of them once they came.

use super::api::Api;
use super::contents::Contents;
use super::copy::ServerCopy;
use crate::source::SourceError;
use crate::source::http::Download;

/// Something that is read once, from its beginning to its end.
pub(super) trait Origin: Send {
    /// Bytes that are expected: for progress.
    fn size(&self) -> u64;

    fn begin(&mut self) -> Result<Box<dyn Stream>, SourceError>;

    /// SHA-256 in hexadecimal digits, where somebody else knows it too. Once it was begun.
    fn checksum(&self) -> Option<String> {
        None
    }

    /// Called after the last byte: checks what was read and returns its facts. An error ends the backup.
    fn conclude(&mut self, read: &Whole) -> Result<Facts, SourceError>;

    /// Whether it is a snapshot with members worth listing.
    fn has_members(&self) -> bool {
        true
    }
}

pub(super) trait Stream: Send {
    /// 0 at the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError>;
}

/// What came.
pub(super) struct Whole {
    pub len: u64,
    pub sha256: String,
    pub contents: Contents,
}

#[derive(Default)]
pub(super) struct Facts {
    /// When this state of the source was taken.
    pub times: Vec<String>,
    pub properties: Vec<(&'static str, String)>,
}

/// A snapshot that the server keeps until it was read.
pub(super) struct Kept {
    copy: ServerCopy,
    points: Option<u64>,
}

impl Kept {
    pub fn new(copy: ServerCopy, points: Option<u64>) -> Self {
        Self { copy, points }
    }
}

impl Origin for Kept {
    fn size(&self) -> u64 {
        self.copy.described.size
    }

    fn begin(&mut self) -> Result<Box<dyn Stream>, SourceError> {
        Ok(Box::new(Downloaded { download: self.copy.download()?, api: self.copy.api.clone() }))
    }

    fn checksum(&self) -> Option<String> {
        self.copy.described.checksum.clone()
    }

    fn conclude(&mut self, read: &Whole) -> Result<Facts, SourceError> {
        let copy = &mut self.copy;
        copy.check(read.len, &read.sha256)?;
        let created = copy.described.creation_time.clone();
        let mut properties = vec![("snapshot", copy.described.name.clone())];
        properties.extend(created.clone().map(|time| ("created", time)));
        properties.extend(self.points.map(|points| ("points", points.to_string())));
        if let Err(error) = copy.delete() {
            let name = &copy.described.name;
            tracing::warn!("snapshot {name} stays on the server: {error}");
            properties.push(("left_on_server", name.clone()));
        }
        Ok(Facts { times: created.into_iter().collect(), properties })
    }
}

/// Bytes that come over the network, and the words for it when they do not.
pub(super) struct Downloaded {
    pub download: Download,
    pub api: Api,
}

impl Stream for Downloaded {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        self.download.read(buffer).map_err(|error| self.api.plain(error))
    }
}
