//! Errors of SQLite and of system calls, in words that say what to do.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi::{
    SQLITE_READONLY_CANTINIT, SQLITE_READONLY_DIRECTORY, SQLITE_READONLY_RECOVERY,
    SQLITE_READONLY_ROLLBACK,
};

use crate::fault::ErrorKind;
use crate::source::SourceError;

pub(super) fn refused(kind: ErrorKind, path: &Path, message: impl Into<String>) -> SourceError {
    SourceError::Refused { kind, path: path.display().to_string(), message: message.into() }
}

pub(super) fn failed(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> SourceError + use<> {
    let path = path.display().to_string();
    move |source| SourceError::Io { action, path, source }
}

pub(super) fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    error.sqlite_error_code()
}

fn extended(error: &rusqlite::Error) -> i32 {
    error.sqlite_error().map_or(0, |error| error.extended_code)
}

/// A WAL database cannot be read without making files beside it.
pub(super) fn is_for_want_of_writing(error: &rusqlite::Error) -> bool {
    code(error) == Some(ErrorCode::CannotOpen) || extended(error) == SQLITE_READONLY_DIRECTORY
}

pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(code(error), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// The bytes are not those of a sound database.
pub(super) fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(code(error), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

/// Why a source cannot be read.
pub(super) fn unreadable(path: &Path, error: &rusqlite::Error) -> SourceError {
    let message = match (code(error), extended(error)) {
        (Some(ErrorCode::NotADatabase), _) => {
            "not a SQLite database, or an encrypted one; back it up as a file instead".to_owned()
        }
        (_, SQLITE_READONLY_ROLLBACK) => {
            "its writer crashed and left a journal that must be rolled back first: \
             open it once with its application or with sqlite3"
                .to_owned()
        }
        (_, SQLITE_READONLY_RECOVERY | SQLITE_READONLY_CANTINIT | SQLITE_READONLY_DIRECTORY)
        | (Some(ErrorCode::CannotOpen), _) => format!(
            "its -wal cannot be read without write access to its folder ({error}): \
             grant that, or back up a copy of the database with its -wal"
        ),
        _ => format!("cannot be read: {error}"),
    };
    refused(ErrorKind::Unreachable, path, message)
}

pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    code(error) == Some(ErrorCode::DiskFull)
}
