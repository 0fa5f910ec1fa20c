//! What can go wrong with a repository as a whole.

use crate::codec::CodecError;
use crate::fault::ErrorKind;
use crate::format::FormatError;
use crate::id::{ObjectId, SnapshotId};
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
    #[error("no snapshot {wanted:?} in {place}")]
    NoSnapshot { place: String, wanted: String },
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
    #[error(
        "this prune was taken for dead while it ran ({prune}): it stopped, nothing is lost; run it again"
    )]
    PruneExpired { prune: String },
    #[error(
        "the manifest of snapshot {id} cannot be read, so that it cannot be told what it needs: nothing is freed \
         ({source})"
    )]
    UnreadableManifest {
        id: SnapshotId,
        #[source]
        source: Box<RepoError>,
    },
    #[error(
        "{object} cannot be read ({source}): it names packs that a prune means to delete. If no prune is at work on any host, \
         remove it from the repository, then prune again"
    )]
    UnreadableCondemned {
        object: String,
        #[source]
        source: Box<RepoError>,
    },
    #[error("{object} is a note on another snapshot, {snapshot}: somebody put it there")]
    MisplacedNote { object: String, snapshot: SnapshotId },
    #[error("no key {wanted:?} in {place}")]
    NoKey { place: String, wanted: String },
    #[error(
        "key {key} is the one that opened the repository: it cannot be removed; change its secret, or open with another"
    )]
    KeyInUse { key: ObjectId },
    #[error(
        "key {key} stays: the key that opened the repository was removed meanwhile, so this may be the last one"
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
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoRepository { .. } | Self::NoSnapshot { .. } | Self::NoKey { .. } => {
                ErrorKind::NotFound
            }
            Self::MisplacedNote { .. } => ErrorKind::Damage,
            Self::KeyInUse { .. } | Self::KeyNeeded { .. } => ErrorKind::Usage,
            Self::AlreadyThere { .. } | Self::NotEmpty { .. } => ErrorKind::Exists,
            Self::WrongKey { .. } | Self::CostlyKeys { .. } => ErrorKind::WrongKey,
            Self::NoKeys { .. } | Self::NoConfig { .. } | Self::Foreign { .. } => ErrorKind::Damage,
            Self::Ambiguous { .. } | Self::Usage(_) => ErrorKind::Usage,
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
