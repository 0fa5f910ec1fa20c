//! What can go wrong with a repository as a whole.

use crate::codec::CodecError;
use crate::fault::ErrorKind;
use crate::format::FormatError;
use crate::id::SnapshotId;
use crate::index::IndexError;
use crate::storage::{BadKey, StorageError};
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    #[error("there is no restow repository at {place}")]
    NoRepository { place: String },
    #[error("there already is a repository at {place}")]
    AlreadyThere { place: String },
    #[error("{place} is not empty and holds no repository: {found}")]
    NotEmpty { place: String, found: String },
    #[error(
        "wrong passphrase or key for the repository at {place}: it opens none of its {keys} keys"
    )]
    WrongKey { place: String, keys: usize },
    #[error(
        "{tried} of the {keys} keys of the repository at {place} were tried, the others cost more than is reasonable: remove from keys/ what you did not add"
    )]
    CostlyKeys { place: String, tried: usize, keys: usize },
    #[error("the repository at {place} has no key object: nothing can open it")]
    NoKeys { place: String },
    #[error("the repository at {place} has lost its configuration object")]
    NoConfig { place: String },
    #[error(
        "the configuration at {place} is of repository {found}, the marker says {expected}: objects of two repositories are mixed"
    )]
    Foreign { place: String, expected: String, found: String },
    #[error("no snapshot {wanted:?} in {place}{hint}")]
    NoSnapshot { place: String, wanted: String, hint: String },
    #[error(
        "the latest snapshot may be {id}, whose manifest cannot be read ({source}): name the id of another, or delete this one"
    )]
    LatestUnreadable {
        id: SnapshotId,
        #[source]
        source: Box<RepoError>,
    },
    #[error("{wanted:?} could be any of {}", .candidates.join(", "))]
    Ambiguous { wanted: String, candidates: Vec<String> },
    #[error(
        "this backup was taken for dead while it ran (writer {writer}): its snapshot was withdrawn, nothing is lost; run it again"
    )]
    Expired { writer: String },
    #[error("snapshot {id}: {source}")]
    Snapshot {
        id: SnapshotId,
        #[source]
        source: StoreError,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("object {object}: {source}")]
    Format {
        object: String,
        #[source]
        source: FormatError,
    },
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Key(#[from] BadKey),
    #[error("{0}")]
    Usage(String),
    #[error("interrupted")]
    Interrupted,
}

impl RepoError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoRepository { .. } | Self::NoSnapshot { .. } => ErrorKind::NotFound,
            Self::AlreadyThere { .. } | Self::NotEmpty { .. } => ErrorKind::Exists,
            Self::WrongKey { .. } | Self::CostlyKeys { .. } => ErrorKind::WrongKey,
            Self::NoKeys { .. } | Self::NoConfig { .. } | Self::Foreign { .. } => ErrorKind::Damage,
            Self::Ambiguous { .. } | Self::Usage(_) => ErrorKind::Usage,
            Self::Expired { .. } | Self::Key(_) => ErrorKind::Failed,
            Self::Snapshot { source, .. } => source.kind(),
            Self::LatestUnreadable { source, .. } => source.kind(),
            Self::Store(error) => error.kind(),
            Self::Storage(error) => error.kind(),
            Self::Index(error) => error.kind(),
            Self::Format { source, .. } => source.kind(),
            Self::Codec(error) => error.kind(),
            Self::Interrupted => ErrorKind::Interrupted,
        }
    }

    pub(crate) fn format(object: impl ToString, source: FormatError) -> Self {
        Self::Format { object: object.to_string(), source }
    }
}
