//! What stays, what goes, and what is freed.

use crate::id::SnapshotId;
use crate::ops::{
    DeleteOptions, DeletePlan, DeleteReport, OpError, PruneOptions, PrunePlan, PruneReport,
    RebuildOptions, RebuildReport, RetentionOptions, RetentionPlan, RetentionReport,
    apply_retention, delete, plan_delete, plan_prune, plan_retention, prune, rebuild_index,
};

use super::SnapshotManager;

impl SnapshotManager {
    /// What deleting these would delete, and what of it is permanent.
    pub fn plan_delete(&self, ids: &[SnapshotId]) -> Result<DeletePlan, OpError> {
        plan_delete(&self.repository, ids)
    }

    /// Deletes the snapshots of a plan. The space they alone took is freed by the next [`prune`](Self::prune).
    /// Permanent ones need [`DeleteOptions::force`]; with one of them in the plan nothing else is deleted either.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use restow::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (storage, secret) = (Arc::new(Memory::new()), Secret::Passphrase("correct horse".into()));
    /// # SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
    /// # let manager = SnapshotManager::open(storage, &secret)?;
    /// # let exporter = FolderExporter::new("src/chunk", FolderOptions::default())?;
    /// # let id = manager.create(&[&exporter], &BackupOptions::default())?.id.expect("no dry run");
    /// manager.tag(&id, &["before the migration"])?;
    /// manager.set_permanent(&id, true)?;
    /// let refused = manager.delete(&manager.plan_delete(&[id])?, &DeleteOptions::default());
    /// assert!(refused.is_err());
    ///
    /// manager.untag(&id, &["before the migration"])?;
    /// manager.set_permanent(&id, false)?;
    /// manager.delete(&manager.plan_delete(&[id])?, &DeleteOptions::default())?;
    /// assert!(manager.get("latest")?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete(
        &self,
        plan: &DeletePlan,
        options: &DeleteOptions,
    ) -> Result<DeleteReport, OpError> {
        delete(&self.repository, plan, options, &*self.observer, &self.cancel)
    }

    /// Says which snapshots would stay and which would go, each with the rules that say so. Changes nothing.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use restow::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (storage, secret) = (Arc::new(Memory::new()), Secret::Passphrase("correct horse".into()));
    /// # SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
    /// # let manager = SnapshotManager::open(storage, &secret)?;
    /// let exporter = FolderExporter::new("src/chunk", FolderOptions::default())?;
    /// for _night in 0..3 {
    ///     manager.create(&[&exporter], &BackupOptions::default())?;
    /// }
    /// let policy = RetentionPolicy { last: Some(2), ..RetentionPolicy::nothing() };
    /// let options = RetentionOptions::default().policy(policy);
    /// let plan = manager.plan_retention(&options)?;
    /// for verdict in &plan.verdicts {
    ///     println!("{} {:?}", verdict.snapshot.name, verdict.rules());
    /// }
    /// let report = manager.apply_retention(&plan)?;
    /// assert_eq!((plan.verdicts.len(), report.deleted.len()), (3, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn plan_retention(&self, options: &RetentionOptions) -> Result<RetentionPlan, OpError> {
        plan_retention(&self.repository, options, &self.cancel)
    }

    /// Deletes what a plan that somebody saw drops, and nothing else. What became permanent since stays.
    pub fn apply_retention(&self, plan: &RetentionPlan) -> Result<RetentionReport, OpError> {
        apply_retention(&self.repository, plan, &*self.observer, &self.cancel)
    }

    /// What a prune would free if these snapshots were gone. Changes nothing.
    pub fn plan_prune(&self, without: &[SnapshotId]) -> Result<PrunePlan, OpError> {
        plan_prune(&self.repository, without, &*self.observer, &self.cancel)
    }

    /// Gives back the space of what no snapshot needs. Backups and restores may go on meanwhile, on this host and others;
    /// what a backup at work may refer to is left for a later prune.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use restow::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (storage, secret) = (Arc::new(Memory::new()), Secret::Passphrase("correct horse".into()));
    /// # SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
    /// # let manager = SnapshotManager::open(storage, &secret)?;
    /// # let exporter = FolderExporter::new("src/chunk", FolderOptions::default())?;
    /// # let id = manager.create(&[&exporter], &BackupOptions::default())?.id.expect("no dry run");
    /// let would_free = manager.plan_prune(&[id])?.freed();
    /// manager.delete(&manager.plan_delete(&[id])?, &DeleteOptions::default())?;
    /// // There is no snapshot any more, and that is meant.
    /// let options = PruneOptions::default().empty(true);
    /// let report = manager.prune(&options)?;
    /// assert_eq!(report.deleted.bytes, would_free);
    /// # Ok(())
    /// # }
    /// ```
    pub fn prune(&self, options: &PruneOptions) -> Result<PruneReport, OpError> {
        prune(&self.repository, options, &*self.observer, &self.cancel)
    }

    /// Makes the index from the packs, where index objects are damaged or lost. Backups and restores may go on meanwhile, on
    /// this host and others; what one at work may have put is left alone.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use restow::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (storage, secret) = (Arc::new(Memory::new()), Secret::Passphrase("correct horse".into()));
    /// # SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
    /// # let manager = SnapshotManager::open(storage.clone(), &secret)?;
    /// # let exporter = FolderExporter::new("src/chunk", FolderOptions::default())?;
    /// # let id = manager.create(&[&exporter], &BackupOptions::default())?.id.expect("no dry run");
    /// let mut lost = Vec::new();
    /// storage.list(&storage::Key::new("index")?, &mut |found| lost.push(found.key))?;
    /// storage.delete_many(&lost, &mut |_, deleted| deleted.expect("deleted"));
    /// assert!(!manager.check(&CheckOptions::default())?.is_clean());
    ///
    /// let report = manager.rebuild_index(&RebuildOptions::default())?;
    /// assert_eq!((report.listed.count, report.is_whole()), (report.packs, true));
    /// assert!(manager.check(&CheckOptions::default())?.is_clean());
    /// # Ok(())
    /// # }
    /// ```
    pub fn rebuild_index(&self, options: &RebuildOptions) -> Result<RebuildReport, OpError> {
        rebuild_index(&self.repository, options, &*self.observer, &self.cancel)
    }
}
