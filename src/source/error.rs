//! What can go wrong with a source or a target.

use std::io;

use crate::fault::ErrorKind;

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// "read", "list", "create", "set attributes of"…
        action: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{path}: {message}")]
    Refused { kind: ErrorKind, path: String, message: String },
    #[error("interrupted")]
    Interrupted,
}

impl SourceError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::NotFound
            }
            Self::Io { .. } => ErrorKind::Failed,
            Self::Refused { kind, .. } => *kind,
            Self::Interrupted => ErrorKind::Interrupted,
        }
    }
}
