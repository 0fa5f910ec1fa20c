//! What can go wrong with an operation as a whole.

use crate::fault::ErrorKind;
use crate::format::EntryPath;
use crate::id::{ObjectId, PackId, SnapshotId};
use crate::repo::RepoError;
use crate::source::SourceError;
use crate::storage::StorageError;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the message of a variant is its documentation")]
pub enum OpError {
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("no entry {} in snapshot {snapshot}{}", .path.display(), near_names(.near))]
    NoEntry { snapshot: String, path: EntryPath, near: Vec<EntryPath> },
    #[error("{} is {what}: it has no bytes", .path.display())]
    NoBytes { path: EntryPath, what: String },
    #[error("{}, from byte {offset} on: {source}", .path.display())]
    LostBytes {
        path: EntryPath,
        offset: u64,
        #[source]
        source: StoreError,
    },
    #[error("cannot write: {0}")]
    Output(#[source] std::io::Error),
    #[error("these snapshots are or may be permanent, and only a forced deletion takes them: {}", .snapshots.join(", "))]
    Protected { snapshots: Vec<String> },
    #[error(
        "notes that may mark a snapshot as permanent cannot be read: {}: nothing is deleted",
        .notes.join(", ")
    )]
    UnreadableNotes { notes: Vec<String> },
    #[error("another prune is at work: {other}")]
    PruneAtWork { other: String },
    #[error(
        "the repository has {packs} packs but no snapshot: nothing is freed, because the snapshots may only be out of reach (a disk \
         that is not mounted?)"
    )]
    NoSnapshots { packs: usize },
    #[error("{url} came from no folder, and needs a target folder")]
    NoTarget { url: String },
    #[error(
        "pack {pack} is damaged, and snapshots need chunks that only it holds: nothing more is freed: {source}"
    )]
    DamagedPack {
        pack: PackId,
        #[source]
        source: StoreError,
    },
    #[error(
        "snapshot {snapshot} is damaged, and what else it needs is unknown: nothing is freed: {source}"
    )]
    NotWhole {
        snapshot: SnapshotId,
        #[source]
        source: StoreError,
    },
    #[error(
        "index object {object} cannot be read, and what its packs hold is unknown: nothing is freed: {source}"
    )]
    UnreadableIndex {
        object: ObjectId,
        #[source]
        source: RepoError,
    },
    #[error(
        "the index cache contradicts the repository: nothing is freed: pack {pack}: expected {expected} needed blocks, \
         found {found}"
    )]
    StaleCache { pack: PackId, expected: u64, found: u64 },
    #[error("{place} {what}")]
    TargetExists { place: String, what: String },
    #[error("{0}")]
    Usage(String),
    #[error("a worker thread ended without a result: this is a bug in restow")]
    Lost,
    #[error("interrupted")]
    Interrupted,
}

impl OpError {
    /// What it means for a snapshot that this went wrong with it: damage is its own, all else is not.
    pub(super) fn not_whole(snapshot: SnapshotId, source: StoreError) -> Self {
        match source.kind() == ErrorKind::Damage && !source.is_general() {
            true => Self::NotWhole { snapshot, source },
            false => source.into(),
        }
    }

    /// What it means for what frees space that this index object could not be read.
    pub(super) fn unread_index(object: ObjectId, source: RepoError) -> Self {
        match source.kind() == ErrorKind::Damage {
            true => Self::UnreadableIndex { object, source },
            false => source.into(),
        }
    }

    /// The kind of the failure, from which an exit code follows.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Store(error) | Self::LostBytes { source: error, .. } => error.kind(),
            Self::Storage(error) => error.kind(),
            // A source that is not there is no missing repository or snapshot.
            Self::Source(error) => match error.kind() {
                ErrorKind::NotFound => ErrorKind::Unreachable,
                kind => kind,
            },
            Self::NoEntry { .. } => ErrorKind::NotFound,
            Self::UnreadableNotes { .. } | Self::StaleCache { .. } => ErrorKind::Damage,
            Self::NoSnapshots { .. } | Self::NoTarget { .. } => ErrorKind::Usage,
            Self::NotWhole { source, .. } | Self::DamagedPack { source, .. } => source.kind(),
            Self::UnreadableIndex { source, .. } => source.kind(),
            Self::TargetExists { .. } => ErrorKind::Exists,
            Self::NoBytes { .. } | Self::Protected { .. } | Self::Usage(_) => ErrorKind::Usage,
            Self::Output(_) | Self::Lost | Self::PruneAtWork { .. } => ErrorKind::Failed,
            Self::Interrupted => ErrorKind::Interrupted,
        }
    }

    /// Whether whoever read the output went away: no failure for `cat FILE | head`.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

fn near_names(near: &[EntryPath]) -> String {
    match near {
        [] => String::new(),
        _ => {
            let names: Vec<_> = near.iter().map(EntryPath::display).collect();
            format!("; similar entries: {}", names.join(", "))
        }
    }
}
