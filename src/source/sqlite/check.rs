//! `PRAGMA integrity_check` on a file that nobody else has open.

use std::path::Path;

use rusqlite::ErrorCode;

use super::failure::{code, is_broken};
use super::reading::{IMMUTABLE, connect};
use crate::progress::Cancel;

/// Steps of SQLite's machine between two looks at whether to stop; complaints shown.
const OPERATIONS: i32 = 100_000;
const COMPLAINTS: usize = 5;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Integrity {
    Sound,
    Broken(String),
    /// SQLite could not check: an extension is missing that the schema needs.
    Unknown(String),
    Interrupted,
}

pub(super) fn check(path: &Path, cancel: &Cancel) -> Integrity {
    match complaints(path, cancel) {
        Ok(complaints) if complaints == ["ok"] => Integrity::Sound,
        Ok(complaints) => Integrity::Broken(complaints.join("; ")),
        Err(error) if is_broken(&error) => Integrity::Broken(error.to_string()),
        Err(error) if code(&error) == Some(ErrorCode::OperationInterrupted) => {
            Integrity::Interrupted
        }
        Err(error) => Integrity::Unknown(error.to_string()),
    }
}

fn complaints(path: &Path, cancel: &Cancel) -> rusqlite::Result<Vec<String>> {
    let mut connection = connect(path, IMMUTABLE)?;
    let cancel = cancel.clone();
    connection.progress_handler(OPERATIONS, Some(move || cancel.is_cancelled()))?;
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({COMPLAINTS})"))?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    lines.collect()
}
