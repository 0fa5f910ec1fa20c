//! What can go wrong with the index cache. None of it loses data.

use std::path::PathBuf;

use crate::fault::ErrorKind;
use crate::id::{BaseId, ChunkId};

#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message of a variant is its documentation")]
pub enum IndexError {
    #[error("index cache {path}: {message}")]
    Cache { path: PathBuf, message: String },
    /// The cache contradicts itself; it is thrown away and rebuilt.
    #[error("index cache {path} is damaged: {message}")]
    Damaged { path: PathBuf, message: String },
    /// No matter of the cache: the repository has both.
    #[error("base {base} is ambiguous: chunk {one} or chunk {other}")]
    AmbiguousBase { base: BaseId, one: ChunkId, other: ChunkId },
}

impl IndexError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Cache { .. } | Self::Damaged { .. } => ErrorKind::Failed,
            Self::AmbiguousBase { .. } => ErrorKind::Damage,
        }
    }
}
