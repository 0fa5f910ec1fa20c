//! Errors of ArangoDB's sources.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::fault::ErrorKind;
use crate::source::SourceError;

pub(super) fn refused(kind: ErrorKind, path: &str, message: impl Into<String>) -> SourceError {
    SourceError::Refused { kind, path: path.to_owned(), message: message.into() }
}

/// What befell a temporary file in `folder`.
pub(super) fn temporary(folder: &Path) -> impl Fn(io::Error) -> SourceError + use<> {
    let path = folder.display().to_string();
    move |source| match source.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOSPC | Errno::DQUOT) => {
            let message =
                "no room for temporary files: name a larger place with --temp-dir or TMPDIR";
            refused(ErrorKind::Failed, &path, message)
        }
        _ => SourceError::Io { action: "use a temporary file in", path: path.clone(), source },
    }
}

pub(super) fn io_failed(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> SourceError + use<> {
    let path = path.display().to_string();
    move |source| SourceError::Io { action, path, source }
}
