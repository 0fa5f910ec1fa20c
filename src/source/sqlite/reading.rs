//! A read transaction on somebody else's database.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::failure::{failed, is_busy, is_for_want_of_writing, refused, unreadable};
use crate::fault::ErrorKind;
use crate::progress::Cancel;
use crate::source::SourceError;

/// How long SQLite waits by itself, and how long before the user hears what is waited for.
const GLANCE: Duration = Duration::from_millis(100);
const QUIET: Duration = Duration::from_secs(1);

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
        let tidy = Tidy::before(path);
        let begun = connect(path, false).and_then(hold);
        let unreadable = |error| NoReading::Other(unreadable(path, &error));
        let (connection, unlocked) = match begun {
            Ok(connection) => (connection, None),
            Err(error) if is_busy(&error) => return Err(NoReading::Locked),
            // A WAL database at rest in a folder we cannot write to: all of it is in its file.
            Err(error) if is_for_want_of_writing(&error) && !looked.has_more => {
                let connection = connect(path, true).and_then(hold).map_err(unreadable)?;
                (connection, Some(looked))
            }
            Err(error) => return Err(unreadable(error)),
        };
        Ok(Self { connection, path: path.to_owned(), unlocked, _tidy: tidy })
    }

    /// Lets go. An error where a database read without locks was written to meanwhile.
    pub fn end(self) -> Result<(), SourceError> {
        drop(self.connection);
        match self.unlocked {
            Some(looked) if looked != Look::at(&self.path)? => {
                let message = "was written to while it was read, and could not be locked: its \
                               folder is not writable for us";
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
        })
    }
}

/// Takes the read lock and keeps it. The schema is not parsed: pages are copied whatever it says.
fn hold(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(GLANCE)?;
    connection.execute_batch("BEGIN")?;
    connection.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

fn connect(path: &Path, immutable: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri(path, immutable), flags)
}

/// A path as SQLite's URIs have it. `immutable` promises that nobody writes: no locks, no files beside it.
pub(super) fn uri(path: &Path, immutable: bool) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    if immutable {
        uri.push_str("?immutable=1");
    }
    uri
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
