//! What can go wrong between us and the objects.

use std::io;

use super::Key;
use crate::fault::ErrorKind;

/// What was asked of the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Open,
    Put,
    Get,
    List,
    Delete,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Open => "open",
            Self::Put => "write",
            Self::Get => "read",
            Self::List => "list",
            Self::Delete => "delete",
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("object {key} is not in the repository at {place}")]
    Missing { place: String, key: Key },
    #[error("object {key} ends at byte {found}, expected {expected} bytes from offset {offset}")]
    Short { key: Key, offset: u64, expected: u64, found: u64 },
    #[error("object {key} has {found} bytes, more than the {limit} one of its kind may have")]
    TooLong { key: Key, limit: u64, found: u64 },
    #[error("cannot {operation} {path}: {source}")]
    Io {
        operation: Operation,
        path: String,
        #[source]
        source: io::Error,
    },
}

impl StorageError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::Short { .. } | Self::TooLong { .. } => ErrorKind::Damage,
            Self::Io { operation: Operation::Open, source, .. }
                if source.kind() == io::ErrorKind::NotFound =>
            {
                ErrorKind::NotFound
            }
            Self::Io { .. } => ErrorKind::Failed,
        }
    }
}
