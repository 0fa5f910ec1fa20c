//! Retention: which snapshots stay. Planned first, and shown; executed second, by the deletion that everybody uses.

mod measure;
mod plan;
mod policy;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::HashMap;

use jiff::Zoned;

use crate::fault::ErrorKind;
use crate::format::name;
use crate::id::SnapshotId;
use crate::options::options;
use crate::progress::{Cancel, Observer};
use crate::repo::{Filter, RepoError, Repository, Snapshot, Standing};

use self::measure::Scales;
use self::plan::{Policies, plan};
use super::OpError;
use super::delete::{DeleteOptions, DeletePlan, delete, plan_delete};

pub use self::plan::Budget;
pub use self::policy::{Age, Period, Reach, RetentionPolicy};
pub use self::verdict::{Candidate, DropReason, Fate, KeepReason, RetentionGroup, Verdict};

options! {
    /// What to plan with.
    #[derive(Debug, Clone)]
    pub struct RetentionOptions {
        /// The rules for every group without own ones.
        pub policy: RetentionPolicy,
        /// Groups with a policy of their own.
        pub own: Vec<(RetentionGroup, RetentionPolicy)>,
        /// What may go. The rest is left alone, and counts for no rule.
        pub filter: Filter,
        /// Only what has the same sources and host as this snapshot.
        pub like: Option<SnapshotId>,
        /// Ages count from here; days, weeks, months and years are those of its time zone.
        pub now: Zoned,
    }
}

impl Default for RetentionOptions {
    /// The default policy for everything, now, in the time zone of this machine.
    fn default() -> Self {
        let policy = RetentionPolicy::default();
        let (own, filter) = (Vec::new(), Filter::default());
        Self { policy, own, filter, like: None, now: Zoned::now() }
    }
}

/// A verdict on each snapshot.
#[derive(Debug)]
#[non_exhaustive]
pub struct RetentionPlan {
    /// The oldest first of each group.
    pub verdicts: Vec<Verdict>,
    /// The groups that `max_size` limits.
    pub budgets: Vec<Budget>,
    /// The time from which ages count.
    pub now: Zoned,
    /// Snapshots whose manifests cannot be read: they are left alone.
    pub unreadable: Vec<(SnapshotId, RepoError)>,
}

impl RetentionPlan {
    /// What goes, the oldest first of each group.
    pub fn dropped(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| verdict.is_dropped())
    }
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetentionReport {
    /// Snapshots that were deleted.
    pub deleted: Vec<SnapshotId>,
    /// Notes that went with them.
    pub notes: u64,
    /// Somebody else deleted these between plan and execution.
    pub gone: Vec<SnapshotId>,
    /// These became permanent, or unreadable, meanwhile: they stay.
    pub spared: Vec<SnapshotId>,
}

/// Says what would stay and what would go, and why. Changes nothing.
///
/// While a note cannot be read that is on one of the sources in question, nothing is planned: it may say that its
/// snapshot is permanent.
pub fn plan_retention(
    repository: &Repository,
    options: &RetentionOptions,
    cancel: &Cancel,
) -> Result<RetentionPlan, OpError> {
    let policies = [&options.policy].into_iter().chain(options.own.iter().map(|(_, own)| own));
    if let Some(fault) = policies.into_iter().find_map(RetentionPolicy::fault) {
        return Err(OpError::Usage(fault.to_owned()));
    }
    let (snapshots, unreadable) = repository.snapshots()?;
    options.filter.refuse_unknown(&snapshots, || repository.place())?;
    let like = match options.like {
        Some(id) => Some(Candidate::new(&repository.snapshot(&id)?, true).group),
        None => None,
    };
    let in_group = |candidate: &Candidate| like.as_ref().is_none_or(|it| *it == candidate.group);
    let candidates: Vec<Candidate> = snapshots
        .iter()
        .map(|snapshot| {
            let mut candidate = Candidate::new(snapshot, options.filter.matches(snapshot));
            candidate.in_scope &= in_group(&candidate);
            candidate
        })
        .collect();
    // What such a note says may be a tag, too: of the filter only sources and hosts count.
    let (source, host) = (options.filter.source.clone(), options.filter.host.clone());
    let wide = Filter { source, host, ..Filter::default() };
    let looked_at = snapshots.iter().zip(&candidates);
    let concerned: Vec<&Snapshot> = looked_at
        .filter(|(snapshot, candidate)| wide.matches(snapshot) && in_group(candidate))
        .map(|(snapshot, _)| snapshot)
        .filter(|snapshot| snapshot.standing != Standing::Void)
        .collect();
    refuse_unreadable_notes(repository, &concerned)?;
    let catalogs: HashMap<_, _> =
        concerned.iter().map(|found| (found.id, found.manifest.catalog)).collect();
    let scales = Scales::new(repository, catalogs, cancel);
    let policies = Policies { common: &options.policy, own: &options.own };
    let (verdicts, budgets) =
        plan(&candidates, policies, &options.now, |question| scales.measure(question))?;
    Ok(RetentionPlan { verdicts, budgets, now: options.now.clone(), unreadable })
}

fn refuse_unreadable_notes(repository: &Repository, on: &[&Snapshot]) -> Result<(), OpError> {
    if on.iter().all(|snapshot| snapshot.unreadable_notes == 0) {
        return Ok(());
    }
    let folders: Vec<String> =
        on.iter().map(|snapshot| format!("{}/", name::notes_of(&snapshot.id))).collect();
    let notes = repository.notes()?;
    let names = notes.unreadable().map(|(object, _)| object.clone());
    let mut notes: Vec<String> =
        names.filter(|object| folders.iter().any(|folder| object.starts_with(folder))).collect();
    notes.sort();
    match notes.is_empty() {
        // Gone by now.
        true => Ok(()),
        false => Err(OpError::UnreadableNotes { notes }),
    }
}

/// Deletes what the plan drops, and nothing else. What became permanent since is spared.
pub fn apply_retention(
    repository: &Repository,
    plan: &RetentionPlan,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<RetentionReport, OpError> {
    let mut report = RetentionReport::default();
    let mut now = DeletePlan::default();
    for verdict in plan.dropped() {
        let id = verdict.snapshot.id;
        match plan_delete(repository, &[id]) {
            Ok(one) if one.protected().is_empty() => now.snapshots.extend(one.snapshots),
            Ok(_) => report.spared.push(id),
            Err(error) if error.kind() == ErrorKind::NotFound => report.gone.push(id),
            Err(error) => return Err(error),
        }
    }
    if now.snapshots.is_empty() {
        return Ok(report);
    }
    // Each is looked at once more there, just before it goes.
    let done = delete(repository, &now, &DeleteOptions::default(), observer, cancel)?;
    report.deleted = done.deleted;
    report.notes = done.notes;
    report.gone.extend(done.gone);
    Ok(report)
}
