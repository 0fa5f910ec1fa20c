//! The async face: every operation of [`SnapshotManager`] on one of tokio's blocking threads.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use tokio::task::AbortHandle;

use crate::codec::Secret;
use crate::format::{EntryPath, Manifest};
use crate::id::{ObjectId, SnapshotId};
use crate::ops::{
    BackupOptions, BackupReport, CheckOptions, CheckReport, Costs, DeleteOptions, DeletePlan,
    DeleteReport, EntryCost, ExportOptions, ExportReport, Gaps, OpError, PruneOptions, PrunePlan,
    PruneReport, RebuildOptions, RebuildReport, RestoreOptions, RestorePlan, RestoreReport,
    RetentionOptions, RetentionPlan, RetentionReport, Selection, StatsOptions, StatsReport,
};
#[cfg(feature = "servers")]
use crate::ops::{ExportedSnapshot, QdrantExportOptions};
use crate::progress::Cancel;
use crate::repo::{Filter, KeyListing, KeyOptions, NoteChange, Selector, Snapshot, SnapshotView};
use crate::source::{Exporter, Importer, Loader};

use super::{NotesChanged, Overwrite, SnapshotList, SnapshotManager, Viewable};

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
/// SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
/// let manager = AsyncSnapshotManager::new(SnapshotManager::open(storage, &secret)?);
///
/// let folder = FolderExporter::new("src/chunk", FolderOptions::default())?;
/// let report = manager.create(vec![Box::new(folder)], BackupOptions::default()).await?;
/// let id = report.id.expect("no dry run");
/// assert_eq!(manager.list(Filter::default()).await?.snapshots.len(), 1);
///
/// let bytes = manager.cat(id, "mod.rs", Vec::new()).await?;
/// assert_eq!(bytes, std::fs::read("src/chunk/mod.rs")?);
/// let plan = manager.plan_delete(vec![id]).await?;
/// manager.delete(plan, DeleteOptions::default()).await?;
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
    /// Wraps a manager.
    pub fn new(inner: SnapshotManager) -> Self {
        Self { inner }
    }

    /// The manager for code that may block.
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

    /// See [`SnapshotManager::plan_load`]. Gives the loader back.
    pub async fn plan_load(
        &self,
        of: impl Viewable + Send + 'static,
        mut loader: Box<dyn Loader>,
        options: RestoreOptions,
    ) -> Result<(RestorePlan, Box<dyn Loader>), OpError> {
        self.run(move |manager| Ok((manager.plan_load(&of, &mut *loader, &options)?, loader))).await
    }

    /// See [`SnapshotManager::cat`]. Gives `out` back.
    pub async fn cat<W: Write + Send + 'static>(
        &self,
        of: impl Viewable + Send + 'static,
        path: impl AsRef<[u8]> + Send + 'static,
        mut out: W,
    ) -> Result<W, OpError> {
        self.run(move |manager| manager.cat(&of, path, &mut out).map(|_| out)).await
    }
}

/// The operations of [`SnapshotManager`] that need nothing of their own here. Each parameter is given by value, and
/// handed over as the expression behind `as` says. A test compares this list with the blocking face.
macro_rules! operations {
    ($($name:ident($($arg:ident: $type:ty as $given:expr),*) -> $result:ty;)*) => {
        impl AsyncSnapshotManager {
            $(
                #[doc = concat!("See [`SnapshotManager::", stringify!($name), "`].")]
                pub async fn $name(&self, $($arg: $type),*) -> Result<$result, OpError> {
                    self.run(move |manager| manager.$name($($given),*)).await
                }
            )*
        }
    };
}

operations! {
    create(sources: Vec<Box<dyn Exporter>> as &borrowed(&sources), options: BackupOptions as &options) -> BackupReport;
    list(filter: Filter as &filter) -> SnapshotList;
    get(wanted: impl AsRef<str> + Send + 'static as wanted.as_ref()) -> Option<Snapshot>;
    find(selector: Selector as &selector, filter: Filter as &filter) -> Snapshot;
    newest_complete(like: Arc<Manifest> as &like, filter: Filter as &filter) -> Option<Snapshot>;
    view(of: impl Viewable + Send + 'static as &of) -> SnapshotView;
    gaps(of: impl Viewable + Send + 'static as &of, selection: Selection as &selection) -> Gaps;
    gaps_in(of: impl Viewable + Send + 'static as &of, path: EntryPath as &path) -> Gaps;
    plan_restore(of: impl Viewable + Send + 'static as &of, target: impl AsRef<Path> + Send + 'static as target)
        -> RestorePlan;
    restore(
        of: impl Viewable + Send + 'static as &of,
        target: impl AsRef<Path> + Send + 'static as target,
        overwrite: Overwrite as overwrite
    ) -> RestoreReport;
    restore_into(
        of: impl Viewable + Send + 'static as &of,
        importer: Box<dyn Importer> as importer,
        options: RestoreOptions as &options,
        overwrite: Overwrite as overwrite
    ) -> RestoreReport;
    load(
        of: impl Viewable + Send + 'static as &of,
        loader: Box<dyn Loader> as loader,
        options: RestoreOptions as &options,
        overwrite: Overwrite as overwrite
    ) -> RestoreReport;
    export(
        of: impl Viewable + Send + 'static as &of,
        to: impl AsRef<Path> + Send + 'static as to,
        options: ExportOptions as &options
    ) -> ExportReport;
    check(options: CheckOptions as &options) -> CheckReport;
    stats(options: StatsOptions as &options) -> StatsReport;
    costs() -> Costs;
    entry_costs(id: SnapshotId as &id) -> Vec<EntryCost>;
    tag(id: SnapshotId as &id, tags: Vec<String> as &texts(&tags)) -> ();
    untag(id: SnapshotId as &id, tags: Vec<String> as &texts(&tags)) -> ();
    set_permanent(id: SnapshotId as &id, permanent: bool as permanent) -> ();
    change_notes(id: SnapshotId as &id, change: NoteChange as &change) -> NotesChanged;
    plan_delete(ids: Vec<SnapshotId> as &ids) -> DeletePlan;
    delete(plan: DeletePlan as &plan, options: DeleteOptions as &options) -> DeleteReport;
    plan_retention(options: RetentionOptions as &options) -> RetentionPlan;
    apply_retention(plan: RetentionPlan as &plan) -> RetentionReport;
    plan_prune(without: Vec<SnapshotId> as &without) -> PrunePlan;
    prune(options: PruneOptions as &options) -> PruneReport;
    rebuild_index(options: RebuildOptions as &options) -> RebuildReport;
    keys() -> KeyListing;
    find_key(wanted: impl AsRef<str> + Send + 'static as wanted.as_ref()) -> ObjectId;
    add_key(secret: Secret as &secret, options: KeyOptions as &options) -> ObjectId;
    remove_key(id: ObjectId as &id) -> ();
    change_key(secret: Secret as &secret, options: KeyOptions as &options) -> ObjectId;
}

#[cfg(feature = "servers")]
operations! {
    export_arangodump(
        of: impl Viewable + Send + 'static as &of,
        to: impl AsRef<Path> + Send + 'static as to,
        selection: Selection as &selection
    ) -> ExportReport;
    export_qdrant(
        of: impl Viewable + Send + 'static as &of,
        to: impl AsRef<Path> + Send + 'static as to,
        options: QdrantExportOptions as &options
    ) -> Vec<ExportedSnapshot>;
}

fn borrowed(sources: &[Box<dyn Exporter>]) -> Vec<&dyn Exporter> {
    sources.iter().map(|source| &**source).collect()
}

fn texts(tags: &[String]) -> Vec<&str> {
    tags.iter().map(String::as_str).collect()
}
