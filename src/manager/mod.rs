//! The library's face: [`SnapshotManager`], a thin one over [`crate::ops`], and the same on an async
//! runtime's blocking threads, [`AsyncSnapshotManager`].

mod confirm;
mod content;
mod keep;
mod keys;
mod targets;
#[cfg(feature = "async")]
mod tasks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::Secret;
use crate::format::Manifest;
use crate::id::{RepositoryId, SnapshotId};
use crate::ops::{
    BackupOptions, BackupReport, CheckOptions, CheckReport, Costs, EntryCost, OpError,
    StatsOptions, StatsReport, backup, check, check_names, costs, entry_costs, stats,
};
use crate::progress::{Cancel, Observer, Silent};
use crate::repo::{
    CreateOptions, Filter, Identity, NoteChange, OpenOptions, RepoError, Repository, Selector,
    Snapshot, Standing, cache_folder, create,
};
use crate::source::Exporter;
use crate::storage::Storage;

pub use self::confirm::{Confirmed, Overwrite};
pub use self::content::Viewable;
#[cfg(feature = "async")]
pub use self::tasks::AsyncSnapshotManager;

/// The snapshots of one repository. Clones share it; every method may be called from any thread.
///
/// Several sources given to one [`create`](Self::create) are one snapshot: all of them, or none.
///
/// ```
/// use std::sync::Arc;
/// use restow::{
///     BackupOptions, CreateOptions, Filter, FolderExporter, FolderOptions, Memory,
///     Overwrite, Secret, SnapshotManager,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let storage = Arc::new(Memory::new());
/// let secret = Secret::Passphrase("correct horse battery staple".into());
/// SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
/// let manager = SnapshotManager::open(storage, &secret)?;
///
/// let folder = FolderExporter::new("src/chunk", FolderOptions::default())?;
/// let options = BackupOptions::default().description("first night".into());
/// let report = manager.create(&[&folder], &options)?;
///
/// let listed = manager.list(&Filter::default())?;
/// assert_eq!(listed.snapshots.len(), 1);
/// let latest = manager.get("latest")?.expect("there is one now");
/// assert_eq!(Some(latest.id), report.id);
/// // What is not there is no error.
/// assert!(manager.get("0000000000")?.is_none());
///
/// let target = tempfile::tempdir()?;
/// let restored = manager.restore(&latest.id, target.path(), Overwrite::Refuse)?;
/// assert_eq!(restored.damaged_count, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SnapshotManager {
    repository: Arc<Repository>,
    observer: Arc<dyn Observer>,
    cancel: Cancel,
}

/// What there is.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SnapshotList {
    /// Oldest first.
    pub snapshots: Vec<Snapshot>,
    /// Snapshots whose manifests cannot be read, and why.
    pub unreadable: Vec<(SnapshotId, RepoError)>,
}

/// What a change of notes came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NotesChanged {
    /// The snapshot as it is now.
    pub snapshot: Snapshot,
    /// `false`: it was so already.
    pub is_changed: bool,
}

/// What this project's tests use.
#[cfg(feature = "internals")]
impl SnapshotManager {
    /// The snapshots of a repository.
    pub fn new(repository: Repository) -> Self {
        Self::of(repository)
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }
}

impl SnapshotManager {
    fn of(repository: Repository) -> Self {
        let (repository, observer) = (Arc::new(repository), Arc::new(Silent));
        Self { repository, observer, cancel: Cancel::new() }
    }

    /// Makes a repository in an empty place, with one key. Gives its id.
    pub fn init(
        storage: &dyn Storage,
        secret: &Secret,
        options: &CreateOptions,
    ) -> Result<RepositoryId, OpError> {
        Ok(create(storage, secret, options, &Identity::of_this_process())?)
    }

    /// The id of the repository in a storage; an error where there is none. Needs no secret.
    pub fn probe(storage: &dyn Storage) -> Result<RepositoryId, OpError> {
        Ok(Repository::marker(storage)?.repository)
    }

    /// Where a repository's index cache lies in [`OpenOptions::cache`].
    pub fn cache_folder(caches: &Path, repository: RepositoryId) -> PathBuf {
        cache_folder(caches, repository)
    }

    /// Compares the objects that are named by a hash of their bytes with their names. Needs no secret.
    pub fn check_names(
        storage: &dyn Storage,
        observer: &dyn Observer,
        cancel: &Cancel,
    ) -> Result<CheckReport, OpError> {
        Self::probe(storage)?;
        check_names(storage, observer, cancel)
    }

    /// Opens a repository as this process on this host, its index in memory.
    pub fn open(storage: Arc<dyn Storage>, secret: &Secret) -> Result<Self, OpError> {
        Self::open_with(storage, secret, OpenOptions::default())
    }

    /// Opens a repository as this process on this host.
    pub fn open_with(
        storage: Arc<dyn Storage>,
        secret: &Secret,
        options: OpenOptions,
    ) -> Result<Self, OpError> {
        Ok(Self::of(Repository::open(storage, secret, Identity::of_this_process(), options)?))
    }

    /// The host that snapshots from here name.
    pub fn host(&self) -> &str {
        &self.repository.identity().host
    }

    /// The same snapshots; what happens is told to `observer`.
    #[must_use]
    pub fn with_observer(&self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self.clone() }
    }

    /// The same snapshots; setting `cancel` ends whatever runs, with [`OpError::Interrupted`].
    #[must_use]
    pub fn with_cancel(&self, cancel: Cancel) -> Self {
        Self { cancel, ..self.clone() }
    }

    /// Takes one snapshot of all sources together.
    pub fn create(
        &self,
        sources: &[&dyn Exporter],
        options: &BackupOptions,
    ) -> Result<BackupReport, OpError> {
        backup(&self.repository, sources, options, &*self.observer, &self.cancel)
    }

    /// The snapshots that match, without their lists of problems. Those whose writer was taken for dead while it ran
    /// are left out, unless [`Filter::void`] asks for them.
    pub fn list(&self, filter: &Filter) -> Result<SnapshotList, OpError> {
        let (mut snapshots, unreadable) = self.repository.snapshots()?;
        filter.refuse_unknown(&snapshots, || self.repository.place())?;
        let is_shown = |found: &Snapshot| filter.void || found.standing != Standing::Void;
        snapshots.retain(|found| is_shown(found) && filter.matches(found));
        Ok(SnapshotList { snapshots, unreadable })
    }

    /// The snapshot with this id, prefix of an id (four digits or more) or name, or the `latest`. One that
    /// could be several is an error that names them.
    pub fn get(&self, wanted: &str) -> Result<Option<Snapshot>, OpError> {
        match self.repository.find(&Selector::new(wanted), &Filter::default()) {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(RepoError::NoSnapshot { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The one snapshot that is meant among those that match. It is an error if there is none, or several.
    pub fn find(&self, selector: &Selector, filter: &Filter) -> Result<Snapshot, OpError> {
        Ok(self.repository.find(selector, filter)?)
    }

    /// The newest snapshot of the same sources and host as `like` that matches and lacks nothing.
    pub fn newest_complete(
        &self,
        like: &Manifest,
        filter: &Filter,
    ) -> Result<Option<Snapshot>, OpError> {
        Ok(self.repository.newest_complete(like, filter)?)
    }

    /// Adds tags. Those that the snapshot has already stay as they are.
    pub fn tag(&self, id: &SnapshotId, tags: &[&str]) -> Result<(), OpError> {
        self.change_notes(id, &NoteChange { add_tags: owned(tags), ..NoteChange::default() })?;
        Ok(())
    }

    /// Removes tags. Others' tags, and those that another host adds at this moment, stay.
    pub fn untag(&self, id: &SnapshotId, tags: &[&str]) -> Result<(), OpError> {
        self.change_notes(id, &NoteChange { remove_tags: owned(tags), ..NoteChange::default() })?;
        Ok(())
    }

    /// Makes a snapshot permanent, so that it is not deleted by accident or by age, or no longer.
    pub fn set_permanent(&self, id: &SnapshotId, permanent: bool) -> Result<(), OpError> {
        let permanent = Some(permanent);
        self.change_notes(id, &NoteChange { permanent, ..NoteChange::default() })?;
        Ok(())
    }

    /// Several changes of tags and permanence in one. Gives the snapshot as it is afterwards, and whether anything
    /// had to be written.
    pub fn change_notes(
        &self,
        id: &SnapshotId,
        change: &NoteChange,
    ) -> Result<NotesChanged, OpError> {
        let is_changed = !self.repository.change_notes(id, change)?.is_empty();
        Ok(NotesChanged { snapshot: self.repository.snapshot(id)?, is_changed })
    }

    /// What only one snapshot needs, of each there is. Reads all catalogs.
    pub fn costs(&self) -> Result<Costs, OpError> {
        costs(&self.repository, &*self.observer, &self.cancel)
    }

    /// The entries of a snapshot that need something nobody else does, in the order of their paths.
    pub fn entry_costs(&self, id: &SnapshotId) -> Result<Vec<EntryCost>, OpError> {
        entry_costs(&self.repository, id, &self.cancel)
    }

    /// Counts what snapshots and repository come to.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use restow::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (storage, secret) = (Arc::new(Memory::new()), Secret::Passphrase("correct horse".into()));
    /// # SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
    /// # let manager = SnapshotManager::open(storage, &secret)?;
    /// let exporter = FolderExporter::new("src/chunk", FolderOptions::default())?;
    /// for _night in 0..2 {
    ///     manager.create(&[&exporter], &BackupOptions::default())?;
    /// }
    /// let whole = manager.stats(&StatsOptions::default())?.repository.expect("asked for");
    /// // Two nights, stored once.
    /// assert_eq!(whole.deduplication(), Some(2.0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self, options: &StatsOptions) -> Result<StatsReport, OpError> {
        stats(&self.repository, options, &self.cancel)
    }

    /// Checks that every snapshot can be restored.
    pub fn check(&self, options: &CheckOptions) -> Result<CheckReport, OpError> {
        check(&self.repository, options, &*self.observer, &self.cancel)
    }
}

fn owned(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}
