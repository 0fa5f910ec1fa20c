//! What lies beside a database: `-wal`, `-shm`, `-journal`. Applied to another database of the same name they
//! would destroy it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::failure::{failed, is_busy, refused};
use super::reading::beside;
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
/// behind, and takes away what lies beside it. Refuses where another process has it open.
pub(super) fn settle_old(database: &Path) -> Result<(), SourceError> {
    let in_use = || {
        let message = "another process has this database open: stop it, then restore again";
        Err(refused(ErrorKind::Exists, database, message))
    };
    let is_file = database.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    let is_sound = match is_file.then(|| recover(database)) {
        None => false,
        Some(Ok(())) => true,
        Some(Err(error)) if is_busy(&error) => return in_use(),
        // Broken, or none at all: what lies beside it mends nothing any more.
        Some(Err(_)) => false,
    };
    let left = leftovers(database);
    // The last connection to close takes its -wal away. It was not ours.
    if is_sound && left.contains(&"-wal") {
        return in_use();
    }
    for suffix in left {
        let path = beside(database, suffix);
        std::fs::remove_file(&path).map_err(failed("remove", &path))?;
    }
    Ok(())
}

/// Rolls back a journal, moves a `-wal` into the file, and finds out whether somebody writes.
fn recover(database: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?;
    // In other modes it does nothing.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}
