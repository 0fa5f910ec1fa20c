//! Restoring into a server: a loader pulls what it needs.

use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::SnapshotView;
use crate::source::{Fate, Loader};

use super::super::OpError;
use super::super::stored::StoredPart;
use super::{NAMED_MAX, RestoreOptions, RestorePlan, RestoreReport, keep};

/// Looks at what is there and says what would become of it. Changes nothing.
pub fn plan_load(
    view: &SnapshotView,
    loader: &mut dyn Loader,
    options: &RestoreOptions,
    cancel: &Cancel,
) -> Result<RestorePlan, OpError> {
    let stored = StoredPart::new(view, options, cancel);
    let planned = loader.plan(&stored)?;
    let mut plan =
        RestorePlan { losses: stored.losses(), notes: planned.notes, ..Default::default() };
    for step in planned.steps {
        plan.bytes += step.bytes;
        match step.fate {
            Fate::New => plan.new += 1,
            Fate::Kept => plan.kept += 1,
            Fate::Replaced(what) => {
                plan.replaced += 1;
                if plan.replacements.len() < NAMED_MAX {
                    plan.replacements.push((step.name, what));
                }
            }
        }
    }
    planned.problems.into_iter().for_each(|problem| plan.fail(problem));
    Ok(plan)
}

/// Does what was planned: see [`Loader::load`].
pub fn load(
    view: &SnapshotView,
    loader: Box<dyn Loader>,
    options: &RestoreOptions,
    may_replace: bool,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<RestoreReport, OpError> {
    observer.on(Event::Started(Phase::Restore));
    let stored = StoredPart::new(view, options, cancel);
    let loaded = loader.load(&stored, may_replace, observer, cancel)?;
    let mut report = RestoreReport {
        entries: loaded.loaded,
        bytes: loaded.bytes,
        losses: stored.losses(),
        notes: loaded.notes,
        ..Default::default()
    };
    for problem in loaded.damaged {
        keep(&mut report.damaged, &mut report.damaged_count, problem);
    }
    for problem in loaded.problems {
        keep(&mut report.problems, &mut report.problem_count, problem);
    }
    observer.on(Event::Finished(Phase::Restore));
    Ok(report)
}
