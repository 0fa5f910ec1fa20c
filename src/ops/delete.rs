//! Deleting snapshots: planned first, executed second. Space is freed by a prune, not here.

use crate::fault::ErrorKind;
use crate::id::SnapshotId;
use crate::options::options;
use crate::progress::{Cancel, Event, Observer};
use crate::repo::{RepoError, Repository, Snapshot};

use super::OpError;

options! {
    /// How snapshots are deleted.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct DeleteOptions {
        /// Permanent ones too, and those of which it cannot be told.
        pub force: bool,
        /// Refuse what would be refused, delete nothing.
        pub dry_run: bool,
    }
}

/// What is going to be deleted.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DeletePlan {
    /// Snapshots whose manifests can be read.
    pub snapshots: Vec<Snapshot>,
    /// Snapshots whose manifests are damaged: whether they are permanent cannot be told.
    pub damaged: Vec<(SnapshotId, RepoError)>,
}

impl DeletePlan {
    /// The ones that are not deleted without force, each with its name where that can be read.
    pub fn protected(&self) -> Vec<String> {
        let named =
            |snapshot: &Snapshot| format!("{} ({})", snapshot.id.short(), snapshot.manifest.name);
        let kept = self.snapshots.iter().filter(|snapshot| snapshot.is_protected()).map(named);
        kept.chain(self.damaged.iter().map(|(id, _)| format!("{} (damaged)", id.short()))).collect()
    }

    fn ids(&self) -> impl Iterator<Item = SnapshotId> {
        let snapshots = self.snapshots.iter().map(|snapshot| snapshot.id);
        snapshots.chain(self.damaged.iter().map(|(id, _)| *id))
    }
}

/// What was deleted; in a dry run what would have been.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteReport {
    /// Snapshots that were deleted, or would be.
    pub deleted: Vec<SnapshotId>,
    /// Notes that went with them.
    pub notes: u64,
    /// Somebody else deleted these between plan and execution.
    pub gone: Vec<SnapshotId>,
}

/// Looks at what is to be deleted. A snapshot that is not there is an error.
pub fn plan_delete(repository: &Repository, ids: &[SnapshotId]) -> Result<DeletePlan, OpError> {
    let mut wanted = ids.to_vec();
    wanted.sort();
    wanted.dedup();
    let mut plan = DeletePlan::default();
    for id in wanted {
        match repository.snapshot(&id) {
            Ok(snapshot) => plan.snapshots.push(snapshot),
            Err(error) if error.kind() == ErrorKind::Damage => plan.damaged.push((id, error)),
            Err(error) => return Err(error.into()),
        }
    }
    plan.snapshots.sort_by_key(|snapshot| (snapshot.manifest.time, snapshot.id));
    Ok(plan)
}

/// Deletes what was planned. Nothing is deleted if any of it is permanent and `force` was not given.
///
/// What became permanent since the plan was made is looked for once more just before it would go.
pub fn delete(
    repository: &Repository,
    plan: &DeletePlan,
    options: &DeleteOptions,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<DeleteReport, OpError> {
    let snapshots = plan.protected();
    if !options.force && !snapshots.is_empty() {
        return Err(OpError::Protected { snapshots });
    }
    let mut report = DeleteReport::default();
    if options.dry_run {
        report.deleted.extend(plan.ids());
        return Ok(report);
    }
    for id in plan.ids() {
        if cancel.is_cancelled() {
            return Err(OpError::Interrupted);
        }
        if !options.force {
            match plan_delete(repository, &[id]) {
                Ok(now) if now.protected().is_empty() => {}
                Ok(now) => return Err(OpError::Protected { snapshots: now.protected() }),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    report.gone.push(id);
                    continue;
                }
                Err(error) => return Err(error),
            }
        }
        report.notes += repository.delete_snapshot(&id)?;
        tracing::info!("snapshot {id} deleted");
        report.deleted.push(id);
        observer.on(Event::Items(1));
    }
    report.notes += repository.sweep_notes()?;
    Ok(report)
}
