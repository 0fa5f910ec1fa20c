//! The importer of a database into a folder.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::{failed, refused};
use super::leftover::leftovers;
use super::sink::{SqliteSink, Target};
use crate::fault::ErrorKind;
use crate::format::{Entry, EntryKind};
use crate::progress::Cancel;
use crate::source::files::Context;
use crate::source::{Fate, ImportReport, Importer, RestoreOptions, Sink, SourceError};

/// Writes databases into a folder, each beside its place first.
pub struct SqliteImporter {
    folder: PathBuf,
    context: Arc<Context>,
    cancel: Cancel,
}

impl SqliteImporter {
    /// `folder` need not exist. `cancel` stops the check of what was restored.
    pub fn new(folder: impl AsRef<Path>, options: RestoreOptions, cancel: &Cancel) -> Self {
        let (folder, context) = (folder.as_ref().to_owned(), Context::new(options));
        Self { folder, context, cancel: cancel.clone() }
    }

    /// What could not be done without failing for it.
    pub fn report(&self) -> Arc<ImportReport> {
        Arc::clone(&self.context.report)
    }

    /// One name, directly in the folder: nothing else is ever in a snapshot of a database.
    fn place_of(&self, entry: &Entry) -> Result<PathBuf, SourceError> {
        if entry.kind != EntryKind::File || entry.path.components().count() != 1 {
            let path = PathBuf::from(OsStr::from_bytes(entry.path.as_bytes()));
            return Err(refused(ErrorKind::Damage, &path, "no entry of a SQLite database"));
        }
        Ok(self.folder.join(OsStr::from_bytes(entry.path.as_bytes())))
    }

    fn fate(&self, place: &Path, entry: &Entry) -> Result<Fate, SourceError> {
        let left = leftovers(place);
        let beside = match left.is_empty() {
            true => String::new(),
            false => format!(" with its {}", left.join(", ")),
        };
        let found = match place.symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && left.is_empty() => {
                return Ok(Fate::New);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let what = format!("no database, but {} of one", left.join(", "));
                return Ok(Fate::Replaced(what));
            }
            Err(error) => return Err(failed("look at", place)(error)),
        };
        if found.is_dir() {
            return Err(refused(ErrorKind::Exists, place, "a folder is where the database goes"));
        }
        Ok(match found.is_file() && left.is_empty() && looks_like(&found, entry) {
            true => Fate::Kept,
            false if found.is_file() => {
                Fate::Replaced(format!("file, {} bytes{beside}", found.len()))
            }
            false => Fate::Replaced("no regular file".to_owned()),
        })
    }
}

fn looks_like(found: &Metadata, entry: &Entry) -> bool {
    entry.unix.as_ref().is_some_and(|unix| {
        unix.mtime.seconds == found.mtime() && i64::from(unix.mtime.nanos) == found.mtime_nsec()
    }) && found.len() == entry.len()
}

impl Importer for SqliteImporter {
    fn inspect(&mut self, entry: &Entry) -> Result<Fate, SourceError> {
        let place = self.place_of(entry)?;
        self.fate(&place, entry)
    }

    fn place(&mut self, entry: &Entry) -> Result<Option<Box<dyn Sink>>, SourceError> {
        let place = self.place_of(entry)?;
        let fate = self.fate(&place, entry)?;
        if let Fate::Replaced(what) = &fate
            && !self.context.options.overwrite
        {
            return Err(refused(ErrorKind::Exists, &place, format!("in the way: {what}")));
        }
        std::fs::create_dir_all(&self.folder).map_err(failed("create", &self.folder))?;
        let target = Target { place, fate, len: entry.len(), unix: entry.unix.clone() };
        let sink = SqliteSink::new(target, Arc::clone(&self.context), self.cancel.clone())?;
        Ok(Some(Box::new(sink)))
    }

    fn settle(&mut self, _: &Entry) -> Result<(), SourceError> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        Ok(())
    }
}
