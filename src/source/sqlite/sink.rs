//! Where a database's bytes go: a file beside its place, which takes the place once it is found sound.

use std::fs::File;
use std::io::BufRead;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::check::{Integrity, check};
use super::copy::copy;
use super::failure::{failed, refused};
use super::leftover::{in_use, leftovers, settle_old};
use super::reading::{NoReading, Reading};
use crate::fault::ErrorKind;
use crate::format::UnixAttributes;
use crate::progress::Cancel;
use crate::source::files::Context;
use crate::source::sealed::SealedReader;
use crate::source::{Fate, Sink, SourceError};

/// Bytes compared at a time.
const PIECE: usize = 1 << 20;

/// What is to stand where.
pub(super) struct Target {
    pub place: PathBuf,
    /// What was there when the restore began.
    pub fate: Fate,
    pub len: u64,
    pub unix: Option<UnixAttributes>,
}

pub(super) struct SqliteSink {
    /// Removed when this is dropped, unless it took its place.
    file: NamedTempFile,
    target: Target,
    context: Arc<Context>,
    cancel: Cancel,
}

impl SqliteSink {
    pub fn new(target: Target, context: Arc<Context>, cancel: Cancel) -> Result<Self, SourceError> {
        let folder = folder_of(&target.place);
        let file = tempfile::Builder::new()
            .prefix("restow-unfinished-")
            .suffix(".db")
            .tempfile_in(folder)
            .map_err(failed("create a file in", folder))?;
        Ok(Self { file, target, context, cancel })
    }

    /// Broken is kept: part of it may be what its owner needs most.
    fn keep_broken(self, complaint: &str) -> SourceError {
        let place = self.target.place;
        let (_, kept) = match self.file.keep() {
            Ok(kept) => kept,
            Err(error) => return failed("keep a broken copy of", &place)(error.error),
        };
        let message = format!(
            "what was restored {complaint}; it is kept as {}, and {} is as it was",
            kept.display(),
            place.display()
        );
        refused(ErrorKind::Damage, &place, message)
    }

    fn take_place(self) -> Result<(), SourceError> {
        let Target { place, fate, .. } = self.target;
        let folder = folder_of(&place);
        let (held, renamed) = if fate == Fate::New {
            if !leftovers(&place).is_empty() {
                return Err(refused(ErrorKind::Exists, &place, "a database began to be made here"));
            }
            (None, self.file.persist_noclobber(&place))
        } else {
            (settle_old(&place)?, self.file.persist(&place))
        };
        renamed.map_err(|error| failed("put in its place", &place)(error.error))?;
        // Where nothing could be locked, somebody may have been quick.
        if held.is_none()
            && let left = leftovers(&place)
            && !left.is_empty()
        {
            let path = place.as_os_str().as_encoded_bytes();
            let message = format!(
                "{} appeared beside it while it was restored: it may be another database's and \
                 spoil this one; see who uses it, and restore again",
                left.join(", ")
            );
            self.context.report.problem(path, message);
        }
        drop(held);
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(failed("sync", folder))
    }

    /// Whether the database in its place is the restored one already: as a backup of it would read now.
    fn is_there_already(&self) -> Result<bool, SourceError> {
        let place = &self.target.place;
        let reading = match Reading::try_begin(place) {
            Ok(reading) => reading,
            Err(NoReading::Locked) => return Err(in_use(place, "")),
            // Whatever it is, it is another.
            Err(NoReading::Other(_)) => return Ok(false),
        };
        let found = match copy(&reading, place, folder_of(place), &self.cancel) {
            Ok(found) => found,
            Err(SourceError::Interrupted) => return Err(SourceError::Interrupted),
            Err(_) => return Ok(false),
        };
        if reading.end().is_err() || found.file.len() != self.target.len {
            return Ok(false);
        }
        same_bytes(found.file.reader(), self.file.as_file()).map_err(failed("read", place))
    }

    /// `lost`: some of its bytes are, whatever SQLite makes of it.
    fn conclude(self, lost: bool) -> Result<(), SourceError> {
        let file = self.file.as_file();
        let unwritable = |error| failed("write", self.file.path())(error);
        // Where damaged chunks were left out, zeros stand.
        file.set_len(self.target.len).map_err(unwritable)?;
        match check(self.file.path(), &self.cancel) {
            Integrity::Interrupted => return Err(SourceError::Interrupted),
            Integrity::Broken(complaint) => {
                return Err(self.keep_broken(&format!("fails integrity_check ({complaint})")));
            }
            _ if lost => return Err(self.keep_broken("lacks what the repository has lost")),
            Integrity::Sound => {}
            Integrity::Unknown(why) => {
                let place = self.target.place.display();
                tracing::warn!("{place} is restored, but could not be checked: {why}");
                let path = self.target.place.as_os_str().as_encoded_bytes();
                self.context
                    .report
                    .note(path, "integrity_check could not run on what was restored");
            }
        }
        if self.target.fate == Fate::Kept {
            if self.is_there_already()? {
                return Ok(());
            }
            if !self.context.options.overwrite {
                let message = "in the way: a file of the same size and time, but another state of \
                               the database; --overwrite replaces it";
                return Err(refused(ErrorKind::Exists, &self.target.place, message));
            }
        }
        if let Some(unix) = &self.target.unix {
            self.context.apply_to(file, unix, self.target.place.as_os_str().as_encoded_bytes());
        }
        file.sync_all().map_err(unwritable)?;
        self.take_place()
    }
}

/// Whether `file` has the copy's bytes. The two are of one length.
fn same_bytes(mut copy: SealedReader, file: &File) -> std::io::Result<bool> {
    let (mut buffer, mut offset) = (vec![0; PIECE], 0);
    loop {
        let piece = copy.fill_buf()?;
        let count = piece.len().min(PIECE);
        let (Some(piece), Some(buffer)) = (piece.get(..count), buffer.get_mut(..count)) else {
            return Ok(false);
        };
        if count == 0 {
            return Ok(true);
        }
        file.read_exact_at(buffer, offset)?;
        if piece != buffer {
            return Ok(false);
        }
        copy.consume(count);
        offset += count as u64;
    }
}

fn folder_of(place: &Path) -> &Path {
    place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Sink for SqliteSink {
    fn existing_len(&self) -> u64 {
        0
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<bool, SourceError> {
        Ok(false)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), SourceError> {
        let end = u64::try_from(bytes.len()).ok().and_then(|len| offset.checked_add(len));
        if end.is_none_or(|end| end > self.target.len) {
            let message = "bytes beyond the length the snapshot gives";
            return Err(refused(ErrorKind::Damage, &self.target.place, message));
        }
        self.file.as_file().write_all_at(bytes, offset).map_err(failed("write", self.file.path()))
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        self.conclude(false)
    }

    fn finish_damaged(self: Box<Self>) -> Result<(), SourceError> {
        self.conclude(true)
    }
}
