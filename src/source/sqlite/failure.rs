//! Errors of SQLite and of system calls, in words that say what to do.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

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

pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(code(error), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// The bytes are not those of a sound database.
pub(super) fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(code(error), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

/// Why a source cannot be read.
pub(super) fn unreadable(path: &Path, error: &rusqlite::Error) -> SourceError {
    use rusqlite::ffi::{
        SQLITE_READONLY_CANTINIT, SQLITE_READONLY_RECOVERY, SQLITE_READONLY_ROLLBACK,
    };
    let extended = error.sqlite_error().map_or(0, |error| error.extended_code);
    let message = match (code(error), extended) {
        (Some(ErrorCode::NotADatabase), _) => {
            "not a SQLite database, or an encrypted one; back it up as a file instead".to_owned()
        }
        (_, SQLITE_READONLY_ROLLBACK) => {
            "its writer crashed and left a journal that must be rolled back first: \
             open it once with its application or with sqlite3"
                .to_owned()
        }
        (_, SQLITE_READONLY_RECOVERY | SQLITE_READONLY_CANTINIT)
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
