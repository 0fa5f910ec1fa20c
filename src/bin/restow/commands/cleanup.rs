use anyhow::Result;
use restow::{
    PrunePlan, PruneReport, RetentionGroup, RetentionPlan, RetentionReport, SnapshotManager,
    Verdict,
};
use serde_json::Value;

use super::{Context, prune};
use crate::args::CleanupArgs;
use crate::error::Outcome;
use crate::jobs::Job;
use crate::location::Access;
use crate::{output, prompt, retention};

pub fn run(context: &Context, args: &CleanupArgs) -> Result<Outcome> {
    let access = Access::of(context, None)?;
    let manager = access.open(context)?;
    let host = manager.host();
    let options = retention::of_arguments(context, args, &access, host)?;
    let plan = manager.plan_retention(&options)?;
    let (as_json, count) = (context.options.json, plan.dropped().count());
    if !as_json && (args.dry_run || !context.options.quiet) {
        show(&plan, args.dry_run);
    }
    let mut report = None;
    if !args.dry_run {
        if count > 0 {
            prompt::confirm(context, args.yes, &format!("delete {count} snapshots"))?;
        }
        let _gently = context.signals.gently();
        report = Some(manager.apply_retention(&plan)?);
    }
    let deleted = report.as_ref().map_or(0, |report| report.deleted.len());
    let pruned = pruned(context, args, &manager, (&plan, deleted));
    if as_json {
        let freed = match &pruned {
            // An error is told when what was deleted has been.
            Ok(Pruned::Not) | Err(_) => Value::Null,
            Ok(Pruned::Done(report)) => prune::to_json(report, false),
            Ok(Pruned::Planned(plan)) => prune::planned_to_json(plan),
        };
        let deleted = retention::to_json(&plan, report.as_ref());
        output::json(&prune::beside(deleted, freed))?;
    } else {
        if let Some(report) = report.as_ref().filter(|_| !context.options.quiet) {
            said(report, matches!(pruned, Ok(Pruned::Done(_))));
        }
        match &pruned {
            Ok(Pruned::Done(report)) if !context.options.quiet => prune::print(report, false),
            Ok(Pruned::Planned(plan)) => prune::print_plan(plan, "would free"),
            _ => {}
        }
        for (id, error) in &plan.unreadable {
            eprintln!("restow: snapshot {id} cannot be read and stays: {error}");
        }
    }
    pruned?;
    Ok(if plan.unreadable.is_empty() { Outcome::Done } else { Outcome::Damaged })
}

/// What `--prune` came to.
enum Pruned {
    Not,
    Done(PruneReport),
    Planned(PrunePlan),
}

fn pruned(
    context: &Context,
    args: &CleanupArgs,
    manager: &SnapshotManager,
    (plan, deleted): (&RetentionPlan, usize),
) -> Result<Pruned> {
    if !args.prune {
        return Ok(Pruned::Not);
    }
    if !args.dry_run {
        return Ok(Pruned::Done(prune::after(context, manager, deleted)?));
    }
    let dropped: Vec<_> = plan.dropped().map(|verdict| verdict.snapshot.id).collect();
    Ok(Pruned::Planned(prune::without(context, manager, &dropped)?))
}

/// What a backup did beside its snapshot.
pub struct Cleaned {
    pub plan: RetentionPlan,
    pub report: RetentionReport,
}

/// After a backup: what has the same sources and host as the snapshot it took.
pub fn after(
    context: &Context,
    manager: &SnapshotManager,
    job: &Job,
    id: restow::SnapshotId,
) -> Result<Cleaned> {
    let mut options = retention::of_job(context, job)?;
    options.like = Some(id);
    let plan = manager.plan_retention(&options)?;
    let _gently = context.signals.gently();
    let report = manager.apply_retention(&plan)?;
    Ok(Cleaned { plan, report })
}

impl Cleaned {
    pub fn print(&self) {
        let (kept, deleted) = (self.plan.verdicts.len(), self.report.deleted.len());
        println!("  cleanup: {deleted} snapshots deleted, {} kept", kept.saturating_sub(deleted));
        over_budget(&self.plan);
    }
}

/// Everything in a dry run; before a deletion what goes.
fn show(plan: &RetentionPlan, all: bool) {
    let mut group: Option<&RetentionGroup> = None;
    for verdict in plan.verdicts.iter().filter(|verdict| all || verdict.is_dropped()) {
        let of = &verdict.snapshot.group;
        if group != Some(of) {
            let sources: Vec<_> =
                of.sources.iter().map(|(_, url)| output::lossy(url.as_bytes())).collect();
            println!("{} on {}", sources.join(", "), output::lossy(of.host.as_bytes()));
        }
        group = Some(of);
        line(verdict);
    }
    let (dropped, total) = (plan.dropped().count(), plan.verdicts.len());
    let zone = retention::zone_name(plan);
    println!("{} snapshots to keep, {dropped} to drop (days and weeks of {zone})", total - dropped);
    over_budget(plan);
}

fn line(verdict: &Verdict) {
    let it = &verdict.snapshot;
    let reasons: Vec<String> = verdict.rules().into_iter().map(|(_, words)| words).collect();
    println!(
        "  {} {}  {}  {}  {}",
        if verdict.is_dropped() { "drop" } else { "keep" },
        it.id.short(),
        output::at_offset(it.time, it.zone_offset),
        output::lossy(it.name.as_bytes()),
        output::lossy(reasons.join("; ").as_bytes()),
    );
}

fn over_budget(plan: &RetentionPlan) {
    for budget in &plan.budgets {
        let (max, after) = (output::bytes(budget.max), output::bytes(budget.after));
        println!("  {after} of {max}, {} before", output::bytes(budget.before));
        if budget.after > budget.max {
            println!("  still over the budget: rules keep the rest");
        }
    }
}

fn said(report: &RetentionReport, pruned: bool) {
    let count = report.deleted.len();
    match pruned {
        true => println!("{count} snapshots deleted"),
        false => println!("{count} snapshots deleted; the next prune frees their space"),
    }
    if !report.gone.is_empty() {
        println!("{} snapshots were deleted by another process meanwhile", report.gone.len());
    }
    for id in &report.spared {
        println!("{} became permanent meanwhile and stays", id.short());
    }
}
