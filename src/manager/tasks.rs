//! The async face: every operation on one of tokio's blocking threads.

use std::io::Write;
use std::path::PathBuf;

use tokio::task::AbortHandle;

use crate::id::SnapshotId;
use crate::ops::{
    BackupOptions, BackupReport, DeleteReport, ExportOptions, ExportReport, OpError, PruneOptions,
    PrunePlan, PruneReport, RebuildOptions, RebuildReport, RestoreOptions, RestorePlan,
    RestoreReport, RetentionOptions, RetentionPlan, RetentionReport, StatsOptions, StatsReport,
};
use crate::progress::Cancel;
use crate::repo::{Filter, Snapshot};
use crate::source::{Exporter, Loader};

use super::{Deletion, Overwrite, SnapshotList, SnapshotManager};

/// [`SnapshotManager`] for async code. Its futures need a tokio runtime, of any flavour.
///
/// Dropping a future cancels what it stands for: a backup that has not been committed yet never is. (A
/// commit is one put of one object; where that was under way, the snapshot may be there.)
///
/// ```
/// use std::sync::Arc;
/// use restow::*;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let storage = Arc::new(Memory::new());
/// let secret = Secret::Passphrase("correct horse battery staple".into());
/// restow::create(&*storage, &secret, &CreateOptions::default(), &Identity::of_this_process())?;
/// let manager = AsyncSnapshotManager::new(SnapshotManager::open(storage, &secret)?);
///
/// let folder = FolderExporter::new("src/chunk", FolderOptions::default())?;
/// let report = manager.create(vec![Box::new(folder)], BackupOptions::default()).await?;
/// let id = report.id.expect("no dry run");
/// assert_eq!(manager.list(Filter::default()).await?.snapshots.len(), 1);
///
/// let bytes = manager.cat(id, "mod.rs", Vec::new()).await?;
/// assert_eq!(bytes, std::fs::read("src/chunk/mod.rs")?);
/// manager.delete(vec![id], Deletion::Confirmed).await?;
/// assert!(manager.get("latest").await?.is_none());
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone)]
pub struct AsyncSnapshotManager {
    inner: SnapshotManager,
}

/// Stops a task whose future is gone.
struct StopOnDrop {
    cancel: Cancel,
    task: AbortHandle,
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.cancel.cancel();
        // One that waits for a thread never starts; one that runs hears of it by `cancel`.
        self.task.abort();
    }
}

impl AsyncSnapshotManager {
    pub fn new(inner: SnapshotManager) -> Self {
        Self { inner }
    }

    pub fn blocking(&self) -> &SnapshotManager {
        &self.inner
    }

    /// Runs anything the blocking face can do. The manager it is given stops when the future is dropped.
    pub async fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce(SnapshotManager) -> Result<T, OpError> + Send + 'static,
    ) -> Result<T, OpError> {
        // What stops the blocking face stops this one, too.
        let cancel = self.inner.cancel.child();
        let manager = self.inner.with_cancel(cancel.clone());
        let task = tokio::task::spawn_blocking(move || act(manager));
        let _stop = StopOnDrop { cancel, task: task.abort_handle() };
        match task.await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down.
                Err(_) => Err(OpError::Interrupted),
            },
        }
    }

    /// See [`SnapshotManager::create`].
    pub async fn create(
        &self,
        sources: Vec<Box<dyn Exporter>>,
        options: BackupOptions,
    ) -> Result<BackupReport, OpError> {
        self.run(move |manager| {
            let sources: Vec<&dyn Exporter> = sources.iter().map(|source| &**source).collect();
            manager.create(&sources, &options)
        })
        .await
    }

    /// See [`SnapshotManager::list`].
    pub async fn list(&self, filter: Filter) -> Result<SnapshotList, OpError> {
        self.run(move |manager| manager.list(&filter)).await
    }

    /// See [`SnapshotManager::get`].
    pub async fn get(&self, wanted: impl Into<String>) -> Result<Option<Snapshot>, OpError> {
        let wanted = wanted.into();
        self.run(move |manager| manager.get(&wanted)).await
    }

    /// See [`SnapshotManager::plan_restore`].
    pub async fn plan_restore(
        &self,
        id: SnapshotId,
        target: impl Into<PathBuf>,
    ) -> Result<RestorePlan, OpError> {
        let target = target.into();
        self.run(move |manager| manager.plan_restore(&id, target)).await
    }

    /// See [`SnapshotManager::restore`]. One that is cut off can be run again: it writes what differs.
    pub async fn restore(
        &self,
        id: SnapshotId,
        target: impl Into<PathBuf>,
        overwrite: Overwrite,
    ) -> Result<RestoreReport, OpError> {
        let target = target.into();
        self.run(move |manager| manager.restore(&id, target, overwrite)).await
    }

    /// See [`SnapshotManager::load`].
    pub async fn load(
        &self,
        id: SnapshotId,
        loader: Box<dyn Loader>,
        options: RestoreOptions,
        overwrite: Overwrite,
    ) -> Result<RestoreReport, OpError> {
        self.run(move |manager| manager.load(&id, loader, &options, overwrite)).await
    }

    /// See [`SnapshotManager::delete`].
    pub async fn delete(
        &self,
        ids: Vec<SnapshotId>,
        deletion: Deletion,
    ) -> Result<DeleteReport, OpError> {
        self.run(move |manager| manager.delete(&ids, deletion)).await
    }

    /// See [`SnapshotManager::plan_retention`].
    pub async fn plan_retention(
        &self,
        options: RetentionOptions,
    ) -> Result<RetentionPlan, OpError> {
        self.run(move |manager| manager.plan_retention(&options)).await
    }

    /// See [`SnapshotManager::apply_retention`].
    pub async fn apply_retention(&self, plan: RetentionPlan) -> Result<RetentionReport, OpError> {
        self.run(move |manager| manager.apply_retention(&plan)).await
    }

    /// See [`SnapshotManager::plan_prune`].
    pub async fn plan_prune(&self, without: Vec<SnapshotId>) -> Result<PrunePlan, OpError> {
        self.run(move |manager| manager.plan_prune(&without)).await
    }

    /// See [`SnapshotManager::prune`].
    pub async fn prune(&self, options: PruneOptions) -> Result<PruneReport, OpError> {
        self.run(move |manager| manager.prune(&options)).await
    }

    /// See [`SnapshotManager::rebuild_index`].
    pub async fn rebuild_index(&self, options: RebuildOptions) -> Result<RebuildReport, OpError> {
        self.run(move |manager| manager.rebuild_index(&options)).await
    }

    /// See [`SnapshotManager::tag`].
    pub async fn tag(&self, id: SnapshotId, tags: Vec<String>) -> Result<(), OpError> {
        self.run(move |manager| manager.tag(&id, &borrowed(&tags))).await
    }

    /// See [`SnapshotManager::untag`].
    pub async fn untag(&self, id: SnapshotId, tags: Vec<String>) -> Result<(), OpError> {
        self.run(move |manager| manager.untag(&id, &borrowed(&tags))).await
    }

    /// See [`SnapshotManager::set_permanent`].
    pub async fn set_permanent(&self, id: SnapshotId, permanent: bool) -> Result<(), OpError> {
        self.run(move |manager| manager.set_permanent(&id, permanent)).await
    }

    /// See [`SnapshotManager::stats`].
    pub async fn stats(&self, options: StatsOptions) -> Result<StatsReport, OpError> {
        self.run(move |manager| manager.stats(&options)).await
    }

    /// See [`SnapshotManager::cat`]. Gives `out` back.
    pub async fn cat<W: Write + Send + 'static>(
        &self,
        id: SnapshotId,
        path: impl Into<Vec<u8>>,
        mut out: W,
    ) -> Result<W, OpError> {
        let path = path.into();
        self.run(move |manager| manager.cat(&id, path, &mut out).map(|_| out)).await
    }

    /// See [`SnapshotManager::export`].
    pub async fn export(
        &self,
        id: SnapshotId,
        to: impl Into<PathBuf>,
        options: ExportOptions,
    ) -> Result<ExportReport, OpError> {
        let to = to.into();
        self.run(move |manager| manager.export(&id, to, &options)).await
    }
}

fn borrowed(tags: &[String]) -> Vec<&str> {
    tags.iter().map(String::as_str).collect()
}
