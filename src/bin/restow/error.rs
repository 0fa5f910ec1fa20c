//! Errors to exit codes.

use restow::{Error, ErrorKind, SourceError, StorageError};

/// How a command that did its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Done, but something could not be read or written.
    Incomplete,
    /// Damage was found.
    Damaged,
    /// The worst of several, said already.
    Code(u8),
}

impl Outcome {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Incomplete => 3,
            Self::Damaged => 4,
            Self::Code(code) => code,
        }
    }
}

/// The exit code of an error; the manual lists them.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    match kind(error) {
        ErrorKind::Failed => 1,
        ErrorKind::Usage => 2,
        ErrorKind::Damage => 4,
        ErrorKind::NotFound => 5,
        ErrorKind::WrongKey => 6,
        ErrorKind::Exists => 7,
        ErrorKind::Unreachable => 8,
        ErrorKind::TooNew => 9,
        ErrorKind::Interrupted => 130,
    }
}

fn kind(error: &anyhow::Error) -> ErrorKind {
    let found = error.chain().find_map(|cause| {
        None.or_else(|| cause.downcast_ref::<Error>().map(Error::kind))
            .or_else(|| cause.downcast_ref::<StorageError>().map(StorageError::kind))
            .or_else(|| cause.downcast_ref::<SourceError>().map(SourceError::kind))
    });
    found.unwrap_or(ErrorKind::Failed)
}
