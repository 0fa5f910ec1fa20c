//! What can go wrong with an operation as a whole.

use crate::fault::ErrorKind;
use crate::repo::RepoError;
use crate::source::SourceError;
use crate::storage::StorageError;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum OpError {
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{0}")]
    Usage(String),
    #[error("a worker thread ended without an answer: this is a bug in restow")]
    Lost,
    #[error("interrupted")]
    Interrupted,
}

impl OpError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Storage(error) => error.kind(),
            // A source that is not there is no missing repository or snapshot.
            Self::Source(error) => match error.kind() {
                ErrorKind::NotFound => ErrorKind::Unreachable,
                kind => kind,
            },
            Self::Usage(_) => ErrorKind::Usage,
            Self::Lost => ErrorKind::Failed,
            Self::Interrupted => ErrorKind::Interrupted,
        }
    }
}
