//! A read transaction on somebody else's database.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::process::geteuid;

use super::failure::{code, failed, is_busy, is_for_want_of_writing, refused, unreadable};
use super::users::{is_locked_elsewhere, is_open_here};
use crate::fault::ErrorKind;
use crate::progress::Cancel;
use crate::source::{SourceError, url};

/// How long SQLite waits by itself, and how long before the user hears what is waited for.
const GLANCE: Duration = Duration::from_millis(100);
const GLANCES: usize = 10;
const QUIET: Duration = Duration::from_secs(1);

/// Promises that nobody writes: no locks, no files beside it.
pub(super) const IMMUTABLE: &str = "?immutable=1";

/// A database held at one state until this is dropped. Its file is opened for reading only.
pub(super) struct Reading {
    pub connection: Connection,
    path: PathBuf,
    /// How the file looked, where it had to be opened without locks.
    unlocked: Option<Look>,
    /// Last: it tidies up once the connection is closed.
    _tidy: Tidy,
}

#[derive(PartialEq, Eq)]
struct Look {
    times: [i64; 4],
    len: u64,
    inode: u64,
    /// A `-wal` or `-journal` that may hold a part of the state.
    has_more: bool,
    /// Files that SQLite would make for a reader of a WAL database, and that are not there.
    lacks_wal: bool,
    lacks_shm: bool,
    owner: u32,
    names: u64,
}

/// Why there is no transaction.
pub(super) enum NoReading {
    /// Somebody else holds a lock that excludes readers.
    Locked,
    Other(SourceError),
}

impl Reading {
    /// Waits up to `patience` while the database is locked.
    pub fn begin(path: &Path, patience: Duration, cancel: &Cancel) -> Result<Self, SourceError> {
        let started = Instant::now();
        let mut has_said = false;
        loop {
            match Self::try_begin(path) {
                Ok(reading) => return Ok(reading),
                Err(NoReading::Other(error)) => return Err(error),
                Err(NoReading::Locked) => {}
            }
            if cancel.is_cancelled() {
                return Err(SourceError::Interrupted);
            }
            let waited = started.elapsed();
            if waited >= patience {
                let message = format!(
                    "locked by another process for {} s: try again when that is done, \
                     or wait longer with --busy-timeout",
                    waited.as_secs()
                );
                return Err(refused(ErrorKind::Unreachable, path, message));
            }
            if waited >= QUIET && !has_said {
                has_said = true;
                let (path, most) = (path.display(), patience.as_secs());
                tracing::warn!("{path} is locked by another process: waiting, at most {most} s");
            }
        }
    }

    pub fn try_begin(path: &Path) -> Result<Self, NoReading> {
        let looked = Look::at(path).map_err(NoReading::Other)?;
        looked.refuse_other_names(path).map_err(NoReading::Other)?;
        let is_alone = looked.may_be_alone(path).map_err(NoReading::Other)?;
        let tidy = Tidy::before(path);
        let begun = match is_alone {
            true => connect(path, IMMUTABLE).and_then(hold).map(|connection| (connection, true)),
            false => connect(path, "").and_then(hold).map(|connection| (connection, false)),
        };
        let unreadable = |error| NoReading::Other(unreadable(path, &error));
        let (connection, is_unlocked) = match begun {
            Ok(begun) => begun,
            Err(error) if is_busy(&error) => return Err(NoReading::Locked),
            // A WAL database at rest in a folder we cannot write to: all of it is in its file.
            Err(error) if is_for_want_of_writing(&error) && !looked.has_more => {
                (connect(path, IMMUTABLE).and_then(hold).map_err(unreadable)?, true)
            }
            Err(error) => return Err(unreadable(error)),
        };
        let unlocked = is_unlocked.then_some(looked);
        Ok(Self { connection, path: path.to_owned(), unlocked, _tidy: tidy })
    }

    /// Whether another attempt may fare better than one that ended in an error.
    pub fn is_unlocked(&self) -> bool {
        self.unlocked.is_some()
    }

    /// Lets go. An error where a database read without locks was written to meanwhile.
    pub fn end(self) -> Result<(), SourceError> {
        drop(self.connection);
        match self.unlocked {
            Some(looked) if looked != Look::at(&self.path)? => {
                let message = "was written to while it was read, and could not be locked: try \
                               again, as its owner or with write access to its folder";
                Err(refused(ErrorKind::Unreachable, &self.path, message))
            }
            _ => Ok(()),
        }
    }
}

/// Even to read, SQLite puts an empty `-wal` and a `-shm` beside a WAL database at rest, and only a connection
/// that may write takes them away again.
struct Tidy {
    path: PathBuf,
    had_wal: bool,
}

impl Tidy {
    fn before(path: &Path) -> Self {
        Self { path: path.to_owned(), had_wal: beside(path, "-wal").exists() }
    }
}

impl Drop for Tidy {
    fn drop(&mut self) {
        if self.had_wal || len_of(&beside(&self.path, "-wal")) != Some(0) {
            return;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Opened and closed. Should it fail, what stays is harmless: the next writer takes it away.
        let _ = Connection::open_with_flags(&self.path, flags).and_then(hold);
    }
}

impl Look {
    fn at(path: &Path) -> Result<Self, SourceError> {
        // By path only: closing a descriptor of the file would drop this process's locks on it.
        let metadata = std::fs::metadata(path).map_err(failed("look at", path))?;
        Ok(Self {
            times: [
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            ],
            len: metadata.len(),
            inode: metadata.ino(),
            has_more: ["-wal", "-journal"]
                .iter()
                .any(|suffix| len_of(&beside(path, suffix)).is_some_and(|len| len > 0)),
            lacks_wal: !beside(path, "-wal").exists(),
            lacks_shm: !beside(path, "-shm").exists(),
            owner: metadata.uid(),
            names: metadata.nlink(),
        })
    }

    /// What lies beside a database lies beside the name it is used by, which may be another than ours.
    fn refuse_other_names(&self, path: &Path) -> Result<(), SourceError> {
        let refuse = |message| Err(refused(ErrorKind::Unreachable, path, message));
        if self.names > 1 {
            let message = "has several names (hard links), and a part of it may lie beside another \
                           of them: remove the others, or back up a copy made with its application";
            return refuse(message);
        }
        if self.lacks_wal && is_wal(path) && self.is_used_without_wal(path)? {
            let message = "is in use under another name, and a part of it lies beside that one: \
                           back it up by the name (or the mounted folder) that its application uses";
            return refuse(message);
        }
        Ok(())
    }

    fn is_used_without_wal(&self, path: &Path) -> Result<bool, SourceError> {
        let here = is_open_here(path).map_err(failed("find out who has open", path))?;
        // Then looking would drop locks, and whoever uses it in this process has other means.
        if here {
            return Ok(false);
        }
        // One that is about to make its -wal, or has just removed it, holds a lock for a moment.
        for _ in 0..GLANCES {
            let locked = is_locked_elsewhere(path).map_err(failed("look for locks of", path))?;
            if !locked || beside(path, "-wal").exists() {
                return Ok(false);
            }
            std::thread::sleep(GLANCE);
        }
        Ok(true)
    }

    /// Whether it is a WAL database at rest and somebody else's. The files that locks need would be ours then,
    /// and its owner could not write to the database while they are there, or after a crash of ours.
    fn may_be_alone(&self, path: &Path) -> Result<bool, SourceError> {
        let euid = geteuid();
        let is_theirs = !euid.is_root() && euid.as_raw() != self.owner;
        if !is_theirs || !(self.lacks_wal || self.lacks_shm) || !is_wal(path) {
            return Ok(false);
        }
        if self.has_more {
            let message = "its -wal was left by a crash, and files to read it with would be \
                           somebody else's than its owner's: open it once with its application";
            return Err(refused(ErrorKind::Unreachable, path, message));
        }
        Ok(true)
    }
}

/// Takes the read lock and keeps it. The schema is not parsed: pages are copied whatever it says.
fn hold(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(GLANCE)?;
    connection.execute_batch("BEGIN")?;
    connection.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

pub(super) fn connect(path: &Path, query: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri(path, query), flags)
}

/// Whether the header says so: without locks at the pager's level SQLite refuses such a database, and only
/// such a one. Its own descriptors never cost this process a lock, as one of ours would.
fn is_wal(path: &Path) -> bool {
    let read = connect(path, "?nolock=1").and_then(hold);
    read.is_err_and(|error| code(&error) == Some(ErrorCode::CannotOpen))
}

/// A path as SQLite's URIs have it, with a query or none.
pub(super) fn uri(path: &Path, query: &str) -> String {
    format!("file:{}{query}", url::escaped_path(path.as_os_str().as_bytes()))
}

/// `app.db` and `-wal` to `app.db-wal`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn len_of(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| metadata.len())
}
