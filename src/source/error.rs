//! What can go wrong with a source or a target.

use std::io;

use rustix::io::Errno;

use crate::fault::ErrorKind;

#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message of a variant is its documentation")]
pub enum SourceError {
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// "read", "list", "create", "set attributes of"…
        action: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
    /// Nothing at all can be written to the target.
    #[error("cannot use the target {path}: {source}")]
    Target {
        path: String,
        #[source]
        source: io::Error,
    },
    /// What was written did not reach the disk: nobody knows which of it.
    #[error("the restored files in {target} are not all on disk: {source}")]
    NotOnDisk {
        target: String,
        #[source]
        source: io::Error,
    },
    #[error("{path}: {message}")]
    Refused { kind: ErrorKind, path: String, message: String },
    #[error("interrupted")]
    Interrupted,
}

impl SourceError {
    /// `path`: what refused, or what is refused.
    pub(super) fn refused(kind: ErrorKind, path: &str, message: impl Into<String>) -> Self {
        Self::Refused { kind, path: path.to_owned(), message: message.into() }
    }

    /// The same error with more to tell behind its message.
    #[cfg(feature = "servers")]
    pub(super) fn with_context(self, context: &str) -> Self {
        match self {
            Self::Refused { kind, path, message } => {
                Self::Refused { kind, path, message: format!("{message}; {context}") }
            }
            other => Self::refused(other.kind(), "the restore", format!("{other}; {context}")),
        }
    }

    /// The kind of the failure, from which an exit code follows.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::NotFound
            }
            Self::Io { .. } | Self::Target { .. } | Self::NotOnDisk { .. } => ErrorKind::Failed,
            Self::Refused { kind, .. } => *kind,
            Self::Interrupted => ErrorKind::Interrupted,
        }
    }

    /// What a reader's error is, that had to travel as the standard library's; `path` for one that is nothing else.
    pub fn of_read(path: &str, error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(source) => Self::Io { action: "read", path: path.to_owned(), source },
        }
    }

    /// Whether nothing else can be expected to succeed either: a full or failing disk, a lost connection.
    /// Any other error is one entry's own.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Io { source, .. } => match source.raw_os_error().map(Errno::from_raw_os_error) {
                Some(errno) => FATAL.contains(&errno),
                None => true,
            },
            Self::Target { .. } | Self::NotOnDisk { .. } | Self::Interrupted => true,
            Self::Refused { kind, .. } => match kind {
                ErrorKind::Failed | ErrorKind::Damage | ErrorKind::NotFound | ErrorKind::Exists => {
                    false
                }
                ErrorKind::Usage
                | ErrorKind::WrongKey
                | ErrorKind::Unreachable
                | ErrorKind::TooNew
                | ErrorKind::Interrupted => true,
            },
        }
    }
}

const FATAL: &[Errno] = &[
    Errno::NOSPC,
    Errno::DQUOT,
    Errno::ROFS,
    Errno::IO,
    Errno::NOMEM,
    Errno::MFILE,
    Errno::NFILE,
    Errno::PIPE,
    Errno::NOTCONN,
    Errno::CONNREFUSED,
    Errno::CONNRESET,
    Errno::CONNABORTED,
    Errno::TIMEDOUT,
    Errno::HOSTUNREACH,
    Errno::NETUNREACH,
    Errno::NETDOWN,
];
