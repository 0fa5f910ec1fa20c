//! Errors of system calls, with what was tried on which path.

use rustix::io::Errno;

use crate::fault::ErrorKind;
use crate::source::SourceError;

pub(super) fn failed(action: &'static str, path: &[u8], errno: Errno) -> SourceError {
    SourceError::Io { action, path: shown(path), source: errno.into() }
}

pub(super) fn refused(kind: ErrorKind, path: &[u8], message: impl Into<String>) -> SourceError {
    SourceError::Refused { kind, path: shown(path), message: message.into() }
}

/// The words for an error number alone.
pub(super) fn words(errno: Errno) -> String {
    std::io::Error::from(errno).to_string()
}

fn shown(path: &[u8]) -> String {
    if path.is_empty() { ".".to_owned() } else { String::from_utf8_lossy(path).into_owned() }
}
