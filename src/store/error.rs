//! What can go wrong between chunks and objects.

use std::sync::Arc;

use crate::codec::CodecError;
use crate::fault::ErrorKind;
use crate::format::{FormatError, Reason};
use crate::id::{BaseId, ChunkId, PackId};
use crate::index::IndexError;
use crate::storage::{BadKey, StorageError};

#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message of a variant is its documentation")]
pub enum StoreError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Key(#[from] BadKey),
    #[error("object {object}: {source}")]
    Format {
        object: String,
        #[source]
        source: FormatError,
    },
    #[error("object {object}: {source}")]
    Codec {
        object: String,
        #[source]
        source: CodecError,
    },
    #[error("object {object} is damaged: its bytes hash to {found}")]
    WrongName { object: String, found: String },
    #[error(
        "pack {pack}, block {ordinal}: expected chunk {expected}, found bytes of chunk {found}"
    )]
    WrongChunk { pack: PackId, ordinal: u32, expected: ChunkId, found: ChunkId },
    #[error("chunk {chunk} is in no existing pack")]
    MissingChunk { chunk: ChunkId },
    #[error("base {base} is in no existing pack")]
    MissingBase { base: BaseId },
    /// Bases come from shallower blocks only, so no chain goes round in circles.
    #[error("chunk {chunk}, a base of a block of depth {depth}, is in no shallower block")]
    NoShallowerCopy { chunk: ChunkId, depth: u8 },
    #[error("the chain of chunk {chunk} takes more than {limit} bytes of {what}")]
    CostlyChain { chunk: ChunkId, what: &'static str, limit: u64 },
    #[error("chunk {chunk} has {found} bytes, expected {expected}")]
    WrongLength { chunk: ChunkId, expected: u64, found: u64 },
    #[error("the repository at {place} has disappeared: its marker is gone")]
    Gone { place: String },
    #[error("entry {path:?} comes after {after:?}, which sorts behind it")]
    Unsorted { path: String, after: String },
    /// What was found wrong before, and would be again.
    #[error(transparent)]
    Known(Arc<StoreError>),
    #[error("an earlier write failed")]
    Poisoned,
    #[error("interrupted")]
    Interrupted,
}

impl StoreError {
    /// The kind of the failure, from which an exit code follows.
    pub fn kind(&self) -> ErrorKind {
        match self {
            // Inside a repository what is not there, but should be, is damage.
            Self::Storage(StorageError::Missing { .. }) => ErrorKind::Damage,
            Self::Storage(error) => error.kind(),
            Self::Index(error) => error.kind(),
            Self::Format { source, .. } => source.kind(),
            Self::Codec { source, .. } => source.kind(),
            Self::WrongName { .. }
            | Self::WrongChunk { .. }
            | Self::MissingChunk { .. }
            | Self::MissingBase { .. }
            | Self::NoShallowerCopy { .. }
            | Self::CostlyChain { .. }
            | Self::WrongLength { .. } => ErrorKind::Damage,
            Self::Known(error) => error.kind(),
            Self::Gone { .. } => ErrorKind::Unreachable,
            Self::Key(_) | Self::Unsorted { .. } | Self::Poisoned => ErrorKind::Failed,
            Self::Interrupted => ErrorKind::Interrupted,
        }
    }

    /// Whether everything else would meet it too: it says nothing of the one thing that was to be read.
    pub fn is_general(&self) -> bool {
        let general = [ErrorKind::Unreachable, ErrorKind::Interrupted, ErrorKind::TooNew];
        if let Self::Known(error) = self {
            return error.is_general();
        }
        let is_cache = matches!(self, Self::Index(error) if error.kind() != ErrorKind::Damage);
        is_cache || general.contains(&self.kind())
    }

    /// Whether something is not there that could be elsewhere by now.
    pub fn is_absence(&self) -> bool {
        match self {
            Self::Known(error) => error.is_absence(),
            Self::MissingChunk { .. } | Self::MissingBase { .. } | Self::NoShallowerCopy { .. } => {
                true
            }
            Self::Storage(error) => matches!(error, StorageError::Missing { .. }),
            _ => false,
        }
    }

    pub(crate) fn format(object: impl ToString, source: FormatError) -> Self {
        Self::Format { object: object.to_string(), source }
    }

    pub(crate) fn codec(object: impl ToString, source: CodecError) -> Self {
        Self::Codec { object: object.to_string(), source }
    }

    pub(crate) fn damaged(
        object: impl ToString,
        what: &'static str,
        expected: impl Into<String>,
        found: impl ToString,
    ) -> Self {
        let (expected, found) = (expected.into(), found.to_string());
        let reason = Reason::Damaged;
        Self::format(object, FormatError { what, offset: 0, expected, found, reason })
    }
}
