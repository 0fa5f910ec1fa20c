//! What can go wrong between restow and the objects.

use std::io;
use std::time::Duration;

use super::Key;
use crate::fault::ErrorKind;

/// What was asked of the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Opening or creating a place.
    Open,
    /// Storing an object.
    Put,
    /// Reading an object or a part of it.
    Get,
    /// Looking at an object.
    Stat,
    /// Listing objects.
    List,
    /// Deleting objects.
    Delete,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Open => "open",
            Self::Put => "write",
            Self::Get => "read",
            Self::Stat => "look up",
            Self::List => "list",
            Self::Delete => "delete",
        })
    }
}

/// Why a storage did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The credentials are wrong, or they do not permit the operation.
    Refused,
    /// No connection, or the connection broke before an answer came.
    Unreachable,
    /// The storage asks for fewer requests.
    Throttled {
        /// How long it wants to be left alone, if it says so.
        after: Option<Duration>,
    },
    /// The storage rejects requests because this host's clock is too far from its own.
    ClockSkew,
    /// The storage failed in a way that may be gone at the next try.
    Temporary,
    /// The same request will fail again.
    Permanent,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Refused => "access refused",
            Self::Unreachable => "storage unreachable",
            Self::Throttled { .. } => "too many requests",
            Self::ClockSkew => "this host's clock is wrong",
            Self::Temporary => "the storage failed for now",
            Self::Permanent => "the storage failed",
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message of a variant is its documentation")]
pub enum StorageError {
    #[error("object {key} is not in the repository at {place}")]
    Missing { place: String, key: Key },
    #[error("object {key} ends at byte {found}, expected {expected} bytes from offset {offset}")]
    Short { key: Key, offset: u64, expected: u64, found: u64 },
    #[error("object {key} has {found} bytes, more than the {limit} one of its kind may have")]
    TooLong { key: Key, limit: u64, found: u64 },
    /// A file system's error.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        operation: Operation,
        path: String,
        #[source]
        source: io::Error,
    },
    /// A server's error. `message` is what the server or the connection says; it holds no secret.
    #[error("cannot {operation} {path}: {cause}: {message}")]
    Failed { operation: Operation, path: String, cause: Cause, message: String },
    #[error("no storage has the scheme {scheme:?}; known schemes: {}", .known.join(", "))]
    UnknownScheme { scheme: String, known: Vec<String> },
    #[error("{place:?} does not name a storage: {reason}")]
    BadPlace { place: String, reason: String },
    #[error("interrupted")]
    Interrupted,
}

impl StorageError {
    /// The kind of the failure, from which an exit code follows.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::Short { .. } | Self::TooLong { .. } => ErrorKind::Damage,
            Self::Io { operation: Operation::Open, source, .. }
                if source.kind() == io::ErrorKind::NotFound =>
            {
                ErrorKind::NotFound
            }
            Self::Failed { cause: Cause::Permanent, .. } | Self::Io { .. } => ErrorKind::Failed,
            Self::Failed { .. } => ErrorKind::Unreachable,
            Self::UnknownScheme { .. } | Self::BadPlace { .. } => ErrorKind::Usage,
            Self::Interrupted => ErrorKind::Interrupted,
        }
    }

    /// Why the storage failed. `None`: it did not fail, the request has an answer that is an error (no such
    /// object, an object of another length, an interruption).
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Failed { cause, .. } => Some(*cause),
            Self::Io { source, .. } => Some(cause_of(source)),
            _ => None,
        }
    }

    /// Whether the same request may succeed at another try.
    pub fn is_transient(&self) -> bool {
        let transient = |cause| {
            matches!(cause, Cause::Unreachable | Cause::Throttled { .. } | Cause::Temporary)
        };
        self.cause().is_some_and(transient)
    }
}

fn cause_of(error: &io::Error) -> Cause {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable,
        Interrupted, NetworkDown, NetworkUnreachable, PermissionDenied, ReadOnlyFilesystem,
        ResourceBusy, StaleNetworkFileHandle, TimedOut, WouldBlock,
    };
    match error.kind() {
        PermissionDenied | ReadOnlyFilesystem => Cause::Refused,
        BrokenPipe | ConnectionAborted | ConnectionRefused | ConnectionReset | HostUnreachable
        | NetworkDown | NetworkUnreachable | TimedOut => Cause::Unreachable,
        Interrupted | ResourceBusy | StaleNetworkFileHandle | WouldBlock => Cause::Temporary,
        _ => Cause::Permanent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(cause: Cause) -> StorageError {
        let (operation, path) = (Operation::Put, "s3:bucket/packs/0f".to_owned());
        StorageError::Failed { operation, path, cause, message: "503".into() }
    }

    fn io(operation: Operation, kind: io::ErrorKind) -> StorageError {
        StorageError::Io { operation, path: "/r/config".into(), source: kind.into() }
    }

    #[test]
    fn causes_decide_exit_codes_and_retries() {
        let throttled = Cause::Throttled { after: Some(Duration::from_secs(3)) };
        for (cause, kind, is_transient) in [
            (Cause::Refused, ErrorKind::Unreachable, false),
            (Cause::Unreachable, ErrorKind::Unreachable, true),
            (throttled, ErrorKind::Unreachable, true),
            (Cause::ClockSkew, ErrorKind::Unreachable, false),
            (Cause::Temporary, ErrorKind::Unreachable, true),
            (Cause::Permanent, ErrorKind::Failed, false),
        ] {
            let error = failed(cause);
            assert_eq!((error.kind(), error.is_transient()), (kind, is_transient), "{error}");
            assert_eq!(error.cause(), Some(cause));
        }
    }

    #[test]
    fn a_local_disk_fails_as_ever() {
        for (error, kind, cause) in [
            (io(Operation::Open, io::ErrorKind::NotFound), ErrorKind::NotFound, Cause::Permanent),
            (io(Operation::Get, io::ErrorKind::NotFound), ErrorKind::Failed, Cause::Permanent),
            (
                io(Operation::Put, io::ErrorKind::PermissionDenied),
                ErrorKind::Failed,
                Cause::Refused,
            ),
            (io(Operation::Put, io::ErrorKind::StorageFull), ErrorKind::Failed, Cause::Permanent),
            (io(Operation::List, io::ErrorKind::TimedOut), ErrorKind::Failed, Cause::Unreachable),
        ] {
            assert_eq!((error.kind(), error.cause()), (kind, Some(cause)), "{error}");
        }
        assert!(!StorageError::Interrupted.is_transient());
    }
}
