//! What lies beside a database: `-wal`, `-shm`, `-journal`. Applied to another database of the same name they
//! would destroy it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::failure::{failed, is_broken, is_busy, refused};
use super::reading::{beside, uri};
use super::users::{is_open_here, other_user};
use crate::fault::ErrorKind;
use crate::source::SourceError;

const SUFFIXES: [&str; 3] = ["-wal", "-shm", "-journal"];
const PATIENCE: Duration = Duration::from_secs(2);

/// Those that are there.
pub(super) fn leftovers(database: &Path) -> Vec<&'static str> {
    let is_there = |suffix: &&str| beside(database, suffix).symlink_metadata().is_ok();
    SUFFIXES.into_iter().filter(is_there).collect()
}

/// Makes the old database whole in its own file, so that an interruption from here on leaves all of it
/// behind, and takes away what lies beside it. Refuses where anybody has it open. Until what is returned is
/// dropped nobody else can begin to use it; `None` where it is no database that could be locked.
pub(super) fn settle_old(database: &Path) -> Result<Option<Connection>, SourceError> {
    let is_file = database.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    let look = failed("find out who has open", database);
    if is_file && is_open_here(database).map_err(look)? {
        return Err(in_use(database, ""));
    }
    let held = match is_file.then(|| hold(database)) {
        None => None,
        Some(Ok(held)) => Some(held),
        Some(Err(NotHeld::Refused(error))) => return Err(error),
        Some(Err(NotHeld::Sqlite(error))) if is_busy(&error) => return Err(in_use(database, "")),
        // No database: what lies beside it mends nothing any more.
        Some(Err(NotHeld::Sqlite(error))) if is_broken(&error) => None,
        Some(Err(NotHeld::Sqlite(error))) => {
            let message = format!(
                "cannot be made whole before it is replaced ({error}): mend that, or move it away \
                 with all that lies beside it, then restore again"
            );
            return Err(refused(ErrorKind::Failed, database, message));
        }
    };
    if is_file {
        let look = failed("find out who has open", database);
        if let Some(user) = other_user(database).map_err(look)? {
            return Err(in_use(database, &format!(" (process {user})")));
        }
    }
    for suffix in leftovers(database) {
        let path = beside(database, suffix);
        std::fs::remove_file(&path).map_err(failed("remove", &path))?;
    }
    Ok(held)
}

pub(super) fn in_use(database: &Path, who: &str) -> SourceError {
    let message =
        format!("another process{who} has this database open: stop it, then restore again");
    refused(ErrorKind::Exists, database, message)
}

enum NotHeld {
    Sqlite(rusqlite::Error),
    Refused(SourceError),
}

impl From<rusqlite::Error> for NotHeld {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Rolls back a journal, moves a `-wal` into the file, and keeps everybody out.
fn hold(database: &Path) -> Result<Connection, NotHeld> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri(database, ""), flags)?;
    if connection.is_readonly("main")? {
        let message = "not writable for us, so that it cannot be made whole before it is replaced: \
                       allow that, or move it away with all that lies beside it, then restore again";
        return Err(NotHeld::Refused(refused(ErrorKind::Exists, database, message)));
    }
    connection.busy_timeout(PATIENCE)?;
    // The lock outlives the transaction.
    connection.execute_batch("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT")?;
    // In other modes it does nothing.
    let is_blocked =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))?;
    if is_blocked != 0 {
        return Err(NotHeld::Refused(in_use(database, "")));
    }
    Ok(connection)
}
