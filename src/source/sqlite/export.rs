//! The exporter of a database.

use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::{Stat, stat};
use serde::{Deserialize, Serialize};

use super::copy::{Copy, copy};
use super::failure::{failed, refused};
use super::reading::{NoReading, Reading};
use crate::fault::ErrorKind;
use crate::format::{Bytes, Consistency, Entry, EntryKind, EntryPath, Time, UnixAttributes};
use crate::progress::Cancel;
use crate::source::accounts::Accounts;
use crate::source::files::unix;
use crate::source::kind::seconds;
use crate::source::sealed::SealedReader;
use crate::source::temporary;
use crate::source::url;
use crate::source::{
    Body, BodyEnd, Description, Estimate, Exporter, Item, OpenBody, Outcome, Session, SourceEntry,
    SourceError,
};

/// Copies made without locks before it is given up.
const ATTEMPTS: u32 = 3;

/// How a database is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "With SQLite"))]
#[serde(default, rename_all = "kebab-case")]
pub struct SqliteOptions {
    /// Copy databases to this folder while they are backed up (default: TMPDIR, else /var/tmp)
    #[cfg_attr(feature = "cli", arg(long, value_name = "FOLDER"))]
    pub temp_dir: Option<PathBuf>,
    /// Wait this long for a database that another process has locked
    #[cfg_attr(feature = "cli", arg(long, value_name = "SECONDS", value_parser = seconds::parse, default_value = "60"))]
    #[serde(with = "seconds")]
    pub busy_timeout: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { temp_dir: None, busy_timeout: Duration::from_secs(60) }
    }
}

/// Reads a SQLite database as it is at one moment, while others write to it.
pub struct SqliteExporter {
    path: PathBuf,
    options: SqliteOptions,
}

impl SqliteExporter {
    /// What is missing, or no database, is told here. A database that is locked may still become free.
    pub fn new(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, SourceError> {
        let path = path.as_ref();
        let path = path.canonicalize().map_err(failed("find", path))?;
        let metadata = std::fs::metadata(&path).map_err(failed("look at", &path))?;
        if !metadata.is_file() {
            return Err(refused(ErrorKind::Usage, &path, "not a file, so no SQLite database"));
        }
        if metadata.len() == 0 {
            let message = "empty: nothing was ever written to this database";
            return Err(refused(ErrorKind::Unreachable, &path, message));
        }
        match Reading::try_begin(&path) {
            Ok(_) | Err(NoReading::Locked) => Ok(Self { path, options }),
            Err(NoReading::Other(error)) => Err(error),
        }
    }

    /// The copy, and the file and the time when it was begun.
    fn take_copy(&self, cancel: &Cancel) -> Result<(Copy, Stat, Timestamp), SourceError> {
        let path = &self.path;
        let folder = temporary::folder(self.options.temp_dir.as_deref());
        let mut attempts = 1;
        loop {
            let reading = Reading::begin(path, self.options.busy_timeout, cancel)?;
            let now = Timestamp::now();
            // By path: closing a descriptor of the file would drop this process's locks on it.
            let stat = stat(path).map_err(|errno| failed("look at", path)(errno.into()))?;
            // Without locks a writer may have come meanwhile: the copy is worth nothing then, whatever
            // came of it. By now there may be files to lock.
            let may_try_again = reading.is_unlocked() && attempts < ATTEMPTS;
            let copied = copy(&reading, path, &folder, cancel);
            match reading.end() {
                Ok(()) => return copied.map(|copied| (copied, stat, now)),
                Err(_) if may_try_again => attempts += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn name(&self) -> &[u8] {
        self.path.file_name().map(OsStrExt::as_bytes).unwrap_or_default()
    }
}

impl Exporter for SqliteExporter {
    fn describe(&self) -> Description {
        Description {
            kind: "sqlite".to_owned(),
            url: url::of_path(self.path.as_os_str().as_bytes()),
            label: url::label(self.name()),
        }
    }

    /// What is in a `-wal` only is not counted.
    fn estimate(&self, _: &Cancel) -> Result<Option<Estimate>, SourceError> {
        let metadata = std::fs::metadata(&self.path).map_err(failed("look at", &self.path))?;
        Ok(Some(Estimate { entries: 1, bytes: metadata.len() }))
    }

    /// Takes the whole copy, so that the database is let go of before anything else is read: locks of SQLite
    /// are lost when the process closes any descriptor of the file, as reading its folder would.
    fn open(&self, cancel: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        let path = &self.path;
        let (copied, stat, now) = self.take_copy(cancel)?;
        let entry = Entry {
            path: EntryPath::new(self.name())
                .map_err(|error| refused(ErrorKind::Usage, path, error.to_string()))?,
            kind: EntryKind::File,
            unix: Some(attributes(&stat, copied.header.is_wal.then_some(now))),
            token: Bytes::default(),
            content: None,
            properties: Vec::new(),
            ext: Vec::new(),
        };
        Ok(Box::new(SqliteSession {
            path: path.clone(),
            consistency: Consistency {
                kind: "read-transaction".to_owned(),
                value: now.to_string(),
            },
            properties: copied.header.properties(),
            waiting: Some((entry, copied)),
        }))
    }
}

/// Mode, owner and time of the file. What is in a `-wal` does not show in the file's time: then it is the
/// transaction's, so that two states never share one.
fn attributes(stat: &Stat, begun: Option<Timestamp>) -> UnixAttributes {
    let mut unix = unix(stat, &Accounts::system(), Vec::new());
    (unix.link, unix.sparse) = (None, false);
    if let Some(begun) = begun {
        let nanos = u32::try_from(begun.subsec_nanosecond()).unwrap_or(0);
        unix.mtime = Time { seconds: begun.as_second(), nanos };
    }
    unix
}

struct SqliteSession {
    path: PathBuf,
    consistency: Consistency,
    properties: Vec<(String, String)>,
    waiting: Option<(Entry, Copy)>,
}

impl Session for SqliteSession {
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        Ok(self.waiting.take().map(|(entry, copied)| {
            let len = copied.file.len();
            let body =
                CopyBody { path: self.path.clone(), file: copied.file.reader(), len, read: 0 };
            SourceEntry::whole(entry, Box::new(body), len).into()
        }))
    }

    fn finish(self: Box<Self>) -> Result<Outcome, SourceError> {
        Ok(Outcome { consistency: Some(self.consistency), properties: self.properties })
    }
}

/// The copy of a database, still in its file.
struct CopyBody {
    path: PathBuf,
    file: SealedReader,
    len: u64,
    read: u64,
}

impl OpenBody for CopyBody {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        Ok(self)
    }
}

impl Read for CopyBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.file.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(io::Error::other(failed("read the copy of", &self.path)(error)))
            }
            read => read,
        }?;
        self.read += count as u64;
        Ok(count)
    }
}

impl Body for CopyBody {
    fn finish(self: Box<Self>) -> Result<BodyEnd, SourceError> {
        let Self { path, len, read, .. } = *self;
        if read != len {
            let message = format!("only {read} of {len} bytes of its copy could be read");
            return Err(refused(ErrorKind::Failed, &path, message));
        }
        Ok(BodyEnd::good())
    }
}
