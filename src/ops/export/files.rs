//! Entries as files a person can open.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use crate::format::{Entry, EntryKind, EntryPath, UnixAttributes};
use crate::source::files::FolderImporter;
use crate::source::{Fate, Importer, Sink, SourceError};

use super::super::OpError;
use super::place;

/// What a stream without a path of its own is called.
const ROOT_STREAM: &str = "content";

/// Makes folders, files and links. What is none of these is left out.
pub(super) struct ExportImporter {
    inner: FolderImporter,
}

impl ExportImporter {
    pub fn new(inner: FolderImporter) -> Self {
        Self { inner }
    }
}

impl Importer for ExportImporter {
    fn inspect(&mut self, entry: &Entry) -> Result<Fate, SourceError> {
        self.inner.inspect(&adapted(entry))
    }

    fn place(&mut self, entry: &Entry) -> Result<Option<Box<dyn Sink>>, SourceError> {
        match entry.kind {
            EntryKind::Fifo
            | EntryKind::Socket
            | EntryKind::CharDevice { .. }
            | EntryKind::BlockDevice { .. } => Ok(None),
            _ => self.inner.place(&adapted(entry)),
        }
    }

    fn settle(&mut self, entry: &Entry) -> Result<(), SourceError> {
        self.inner.settle(&adapted(entry))
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        Box::new(self.inner).finish()
    }
}

/// Where an entry's bytes go below `files/`.
pub(super) fn exported_path(entry: &Entry) -> EntryPath {
    match entry.path.is_root() && entry.kind != EntryKind::Directory {
        true => EntryPath::new(ROOT_STREAM).unwrap_or_default(),
        false => entry.path.clone(),
    }
}

/// The entry with a place, and closed to nobody who exports it: it is read back, and moved.
fn adapted(entry: &Entry) -> Entry {
    let mut entry = Entry { path: exported_path(entry), ..entry.clone() };
    let needed = if entry.kind == EntryKind::Directory { 0o700 } else { 0o400 };
    if let Some(UnixAttributes { mode, .. }) = &mut entry.unix
        && !matches!(entry.kind, EntryKind::Symlink { .. })
    {
        *mode |= needed;
    }
    entry
}

/// Length and BLAKE3 of a file; of one that is not there, nothing.
pub(super) fn read_back(path: &Path) -> Result<Option<(u64, blake3::Hash)>, OpError> {
    let failed = |source| place::failed("read back", path, source);
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(failed)?;
    Ok(Some((hasher.count(), hasher.finalize())))
}
