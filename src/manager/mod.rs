//! The library's face: [`SnapshotManager`], a thin one over [`crate::ops`], and the same on an async
//! runtime's blocking threads, [`AsyncSnapshotManager`].

mod confirm;
mod keep;
mod targets;
#[cfg(feature = "async")]
mod tasks;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::codec::Secret;
use crate::format::EntryPath;
use crate::id::SnapshotId;
use crate::ops::{
    BackupOptions, BackupReport, CheckOptions, CheckReport, ExportOptions, ExportReport, OpError,
    RestoreOptions, RestorePlan, RestoreReport, StatsOptions, StatsReport, backup, cat, check,
    export, load, plan_load, plan_restore, restore, stats,
};
#[cfg(feature = "servers")]
use crate::ops::{Selection, export_arangodump};
use crate::progress::{Cancel, Observer, Silent};
use crate::repo::{
    Filter, Identity, NoteChange, OpenOptions, RepoError, Repository, Selector, Snapshot,
    SnapshotView, Standing,
};
use crate::source::{Exporter, Importer, Loader};
use crate::storage::Storage;

pub use self::confirm::{Confirmed, Deletion, Overwrite};
use self::targets::Planned;
#[cfg(feature = "async")]
pub use self::tasks::AsyncSnapshotManager;

/// The snapshots of one repository. Clones share it; every method may be called from any thread.
///
/// Several sources given to one [`create`](Self::create) are one snapshot: all of them, or none.
///
/// ```
/// use std::sync::Arc;
/// use restow::{
///     BackupOptions, CreateOptions, Filter, FolderExporter, FolderOptions, Identity, Memory,
///     Overwrite, Secret, SnapshotManager,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let storage = Arc::new(Memory::new());
/// let secret = Secret::Passphrase("correct horse battery staple".into());
/// restow::create(&*storage, &secret, &CreateOptions::default(), &Identity::of_this_process())?;
/// let manager = SnapshotManager::open(storage, &secret)?;
///
/// let folder = FolderExporter::new("src/chunk", FolderOptions::default())?;
/// let options = BackupOptions { description: "first night".into(), ..Default::default() };
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
pub struct SnapshotList {
    /// Oldest first.
    pub snapshots: Vec<Snapshot>,
    /// Snapshots whose manifests cannot be read, and why.
    pub unreadable: Vec<(SnapshotId, RepoError)>,
}

impl SnapshotManager {
    pub fn new(repository: Repository) -> Self {
        let (repository, observer) = (Arc::new(repository), Arc::new(Silent));
        Self { repository, observer, cancel: Cancel::new() }
    }

    /// Opens a repository as this process on this host, its index in memory. For a cached index open a
    /// [`Repository`] with [`OpenOptions::cache`].
    pub fn open(storage: Arc<dyn Storage>, secret: &Secret) -> Result<Self, OpError> {
        let identity = Identity::of_this_process();
        Ok(Self::new(Repository::open(storage, secret, identity, OpenOptions::default())?))
    }

    pub fn repository(&self) -> &Repository {
        &self.repository
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

    /// The snapshots that match. Left out are those whose writer was taken for dead while it ran.
    pub fn list(&self, filter: &Filter) -> Result<SnapshotList, OpError> {
        let (mut snapshots, unreadable) = self.repository.snapshots()?;
        snapshots.retain(|found| found.standing != Standing::Void && filter.matches(found));
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

    /// A snapshot opened for reading: its entries by path and in order, and their bytes.
    pub fn view(&self, id: &SnapshotId) -> Result<SnapshotView, OpError> {
        Ok(self.repository.view(&self.repository.snapshot(id)?)?)
    }

    /// What a restore into the folder `target` would do. Changes nothing. Of several sources each goes into a
    /// folder of its own below it.
    pub fn plan_restore(
        &self,
        id: &SnapshotId,
        target: impl AsRef<Path>,
    ) -> Result<RestorePlan, OpError> {
        let planned = Planned::new(&self.view(id)?, target.as_ref(), false, &self.cancel)?;
        Ok(planned.plan)
    }

    /// Restores a snapshot into the folder `target`. Nothing is replaced that was not confirmed:
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use restow::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (storage, secret) = (Arc::new(Memory::new()), Secret::Passphrase("correct horse".into()));
    /// # restow::create(&*storage, &secret, &CreateOptions::default(), &Identity::of_this_process())?;
    /// # let manager = SnapshotManager::open(storage, &secret)?;
    /// # let source = tempfile::tempdir()?;
    /// # std::fs::write(source.path().join("notes.txt"), "old")?;
    /// # let exporter = FolderExporter::new(source.path(), FolderOptions::default())?;
    /// # let id = manager.create(&[&exporter], &BackupOptions::default())?.id.expect("no dry run");
    /// std::fs::write(source.path().join("notes.txt"), "something else")?;
    /// assert!(manager.restore(&id, source.path(), Overwrite::Refuse).is_err());
    ///
    /// let plan = manager.plan_restore(&id, source.path())?;
    /// for (path, what) in &plan.replacements {
    ///     println!("{} replaces {what}", path.display());
    /// }
    /// manager.restore(&id, source.path(), Overwrite::Confirmed(Confirmed::of(&plan)))?;
    /// assert_eq!(std::fs::read(source.path().join("notes.txt"))?, b"old");
    /// # Ok(())
    /// # }
    /// ```
    pub fn restore(
        &self,
        id: &SnapshotId,
        target: impl AsRef<Path>,
        overwrite: Overwrite,
    ) -> Result<RestoreReport, OpError> {
        let (view, replace) = (self.view(id)?, overwrite.allows_any());
        let planned = Planned::new(&view, target.as_ref(), replace, &self.cancel)?;
        overwrite.check(&planned.plan)?;
        planned.restore(&view, &*self.observer, &self.cancel)
    }

    /// Restores a snapshot, or a part of it, through any importer. It is asked first what it would replace.
    pub fn restore_into(
        &self,
        id: &SnapshotId,
        mut importer: Box<dyn Importer>,
        options: &RestoreOptions,
        overwrite: Overwrite,
    ) -> Result<RestoreReport, OpError> {
        let view = self.view(id)?;
        overwrite.check(&plan_restore(&view, &mut *importer, options, &self.cancel)?)?;
        restore(&view, importer, options, &*self.observer, &self.cancel)
    }

    /// What a restore into a server would do. Changes nothing.
    pub fn plan_load(
        &self,
        id: &SnapshotId,
        loader: &mut dyn Loader,
        options: &RestoreOptions,
    ) -> Result<RestorePlan, OpError> {
        plan_load(&self.view(id)?, loader, options, &self.cancel)
    }

    /// Restores a snapshot, or a part of it, into a server. It is asked first what it would replace.
    pub fn load(
        &self,
        id: &SnapshotId,
        mut loader: Box<dyn Loader>,
        options: &RestoreOptions,
        overwrite: Overwrite,
    ) -> Result<RestoreReport, OpError> {
        let view = self.view(id)?;
        overwrite.check(&plan_load(&view, &mut *loader, options, &self.cancel)?)?;
        let may_replace = overwrite.allows_any();
        load(&view, loader, options, may_replace, &*self.observer, &self.cancel)
    }

    /// Adds tags. What a snapshot has already stays as it is.
    pub fn tag(&self, id: &SnapshotId, tags: &[&str]) -> Result<(), OpError> {
        self.change(id, NoteChange { add_tags: owned(tags), ..NoteChange::default() })
    }

    /// Removes tags. Others' tags, and those that another host adds at this moment, stay.
    pub fn untag(&self, id: &SnapshotId, tags: &[&str]) -> Result<(), OpError> {
        self.change(id, NoteChange { remove_tags: owned(tags), ..NoteChange::default() })
    }

    /// Makes a snapshot permanent, so that it is not deleted by accident or by age, or no longer.
    pub fn set_permanent(&self, id: &SnapshotId, permanent: bool) -> Result<(), OpError> {
        self.change(id, NoteChange { permanent: Some(permanent), ..NoteChange::default() })
    }

    fn change(&self, id: &SnapshotId, change: NoteChange) -> Result<(), OpError> {
        self.repository.change_notes(id, &change)?;
        Ok(())
    }

    /// Counts what snapshots and repository come to.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use restow::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (storage, secret) = (Arc::new(Memory::new()), Secret::Passphrase("correct horse".into()));
    /// # restow::create(&*storage, &secret, &CreateOptions::default(), &Identity::of_this_process())?;
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

    /// Writes the bytes of the entry at `path`, and gives their number.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use restow::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (storage, secret) = (Arc::new(Memory::new()), Secret::Passphrase("correct horse".into()));
    /// # restow::create(&*storage, &secret, &CreateOptions::default(), &Identity::of_this_process())?;
    /// # let manager = SnapshotManager::open(storage, &secret)?;
    /// # let exporter = FolderExporter::new("src/chunk", FolderOptions::default())?;
    /// # let id = manager.create(&[&exporter], &BackupOptions::default())?.id.expect("no dry run");
    /// let mut bytes = Vec::new();
    /// manager.cat(&id, "mod.rs", &mut bytes)?;
    /// assert_eq!(bytes, std::fs::read("src/chunk/mod.rs")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cat(
        &self,
        id: &SnapshotId,
        path: impl AsRef<[u8]>,
        out: &mut dyn Write,
    ) -> Result<u64, OpError> {
        let wrong = |error: crate::format::BadPath| OpError::Usage(error.to_string());
        let path = EntryPath::new(path.as_ref()).map_err(wrong)?;
        cat(&self.view(id)?, &path, out, &*self.observer, &self.cancel)
    }

    /// Writes a snapshot as plain files with a description, for those who have no restow.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use restow::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (storage, secret) = (Arc::new(Memory::new()), Secret::Passphrase("correct horse".into()));
    /// # restow::create(&*storage, &secret, &CreateOptions::default(), &Identity::of_this_process())?;
    /// # let manager = SnapshotManager::open(storage, &secret)?;
    /// # let exporter = FolderExporter::new("src/chunk", FolderOptions::default())?;
    /// # let id = manager.create(&[&exporter], &BackupOptions::default())?.id.expect("no dry run");
    /// # let folder = tempfile::tempdir()?;
    /// let to = folder.path().join("handover");
    /// manager.export(&id, &to, &ExportOptions::default())?;
    /// assert!(to.join("manifest.json").exists());
    /// assert_eq!(std::fs::read(to.join("files/mod.rs"))?, std::fs::read("src/chunk/mod.rs")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn export(
        &self,
        id: &SnapshotId,
        to: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<ExportReport, OpError> {
        export(&self.view(id)?, to.as_ref(), options, &*self.observer, &self.cancel)
    }

    /// Writes the ArangoDB databases in a snapshot, or a part of them, as arangorestore reads them: into a new
    /// folder, or an archive where `to` ends with `.tar.gz` or `.tgz`.
    #[cfg(feature = "servers")]
    pub fn export_arangodump(
        &self,
        id: &SnapshotId,
        to: impl AsRef<Path>,
        selection: &Selection,
    ) -> Result<ExportReport, OpError> {
        let view = self.view(id)?;
        export_arangodump(&view, to.as_ref(), selection, &*self.observer, &self.cancel)
    }

    /// Checks that every snapshot can be restored.
    pub fn check(&self, options: &CheckOptions) -> Result<CheckReport, OpError> {
        check(&self.repository, options, &*self.observer, &self.cancel)
    }
}

fn owned(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}
