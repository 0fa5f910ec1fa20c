//! What can go wrong with a repository as a whole.

use crate::codec::CodecError;
use crate::fault::ErrorKind;
use crate::format::FormatError;
use crate::id::{ObjectId, SnapshotId};
use crate::index::IndexError;
use crate::storage::{BadKey, StorageError};
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message of a variant is its documentation")]
pub enum RepoError {
    #[error("no restow repository at {place}")]
    NoRepository { place: String },
    #[error("{place} already holds a repository")]
    AlreadyThere { place: String },
    #[error("{place} is not empty and holds no repository: {found}")]
    NotEmpty { place: String, found: String },
    #[error(
        "wrong passphrase or key for the repository at {place}: it opens none of its {keys} keys"
    )]
    WrongKey { place: String, keys: usize },
    #[error(
        "no key of the repository at {place} fits: {tried} of {keys} were tried, the others cost more than is reasonable"
    )]
    CostlyKeys { place: String, tried: usize, keys: usize },
    #[error("the repository at {place} has no key object, and nothing can open it")]
    NoKeys { place: String },
    #[error("the repository at {place} has lost its configuration object")]
    NoConfig { place: String },
    #[error(
        "{place} mixes objects of two repositories: expected the configuration of {expected}, found that of {found}"
    )]
    Foreign { place: String, expected: String, found: String },
    #[error("no snapshot {wanted:?} in {place}")]
    NoSnapshot { place: String, wanted: String },
    #[error("no snapshot of this source in {place}; it has snapshots of {}", known.join(", "))]
    NoSource { place: String, known: Vec<String> },
    #[error("{wanted:?} matches several sources: {}", sources.join(", "))]
    SeveralSources { wanted: String, sources: Vec<String> },
    #[error("the latest snapshot may be {id}, whose manifest cannot be read: {source}")]
    LatestUnreadable {
        id: SnapshotId,
        #[source]
        source: Box<RepoError>,
    },
    #[error("{wanted:?} is ambiguous: {}", .candidates.join(", "))]
    Ambiguous { wanted: String, candidates: Vec<String> },
    #[error(
        "writer {writer} was declared dead while it ran: its snapshot was withdrawn, nothing else is lost"
    )]
    Expired { writer: String },
    #[error("prune {prune} was declared dead while it ran: it stopped, nothing is lost")]
    PruneExpired { prune: String },
    #[error(
        "the manifest of snapshot {id} cannot be read, and what it needs is unknown: nothing is freed: \
         {source}"
    )]
    UnreadableManifest {
        id: SnapshotId,
        #[source]
        source: Box<RepoError>,
    },
    #[error("{object}, which lists condemned packs, cannot be read: {source}")]
    UnreadableCondemned {
        object: String,
        #[source]
        source: Box<RepoError>,
    },
    #[error("{object} is misplaced: it is a note on snapshot {snapshot}")]
    MisplacedNote { object: String, snapshot: SnapshotId },
    #[error("no key {wanted:?} in {place}")]
    NoKey { place: String, wanted: String },
    #[error("key {key} opened the repository and cannot be removed")]
    KeyInUse { key: ObjectId },
    #[error(
        "key {key} stays, because it may be the last one: the key that opened the repository was removed meanwhile"
    )]
    KeyNeeded { key: ObjectId },
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
    /// The kind of the failure, from which an exit code follows.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoRepository { .. }
            | Self::NoSnapshot { .. }
            | Self::NoSource { .. }
            | Self::NoKey { .. } => ErrorKind::NotFound,
            Self::MisplacedNote { .. } => ErrorKind::Damage,
            Self::KeyInUse { .. } | Self::KeyNeeded { .. } => ErrorKind::Usage,
            Self::AlreadyThere { .. } | Self::NotEmpty { .. } => ErrorKind::Exists,
            Self::WrongKey { .. } | Self::CostlyKeys { .. } => ErrorKind::WrongKey,
            Self::NoKeys { .. } | Self::NoConfig { .. } | Self::Foreign { .. } => ErrorKind::Damage,
            Self::Ambiguous { .. } | Self::SeveralSources { .. } | Self::Usage(_) => {
                ErrorKind::Usage
            }
            Self::Expired { .. } | Self::PruneExpired { .. } | Self::Key(_) => ErrorKind::Failed,
            Self::Snapshot { source, .. } => source.kind(),
            Self::LatestUnreadable { source, .. }
            | Self::UnreadableManifest { source, .. }
            | Self::UnreadableCondemned { source, .. } => source.kind(),
            Self::Store(error) => error.kind(),
            Self::Storage(error) => error.kind(),
            Self::Index(error) => error.kind(),
            Self::Format { source, .. } => source.kind(),
            Self::Codec(error) => error.kind(),
            Self::Interrupted => ErrorKind::Interrupted,
        }
    }

    /// Whether an object is not there: deleted, as a rule, between list and read.
    pub fn is_missing_object(&self) -> bool {
        matches!(self, Self::Storage(StorageError::Missing { .. }))
    }

    pub(crate) fn format(object: impl ToString, source: FormatError) -> Self {
        Self::Format { object: object.to_string(), source }
    }
}
