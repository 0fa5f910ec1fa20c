use anyhow::Result;
use restow::{
    RetentionGroup, RetentionPlan, RetentionReport, SnapshotId, SnapshotManager, Verdict,
};

use super::Context;
use super::prune::{self, Pruned};
use crate::args::CleanupArgs;
use crate::error::Outcome;
use crate::jobs::Job;
use crate::location::Access;
use crate::{output, prompt, retention};

pub fn run(context: &Context, args: &CleanupArgs) -> Result<Outcome> {
    let access = Access::of(context, None)?;
    let manager = access.open(context)?;
    let host = manager.host();
    let options = retention::of_arguments(context, args, host)?;
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
    let deleted: Vec<SnapshotId> = match &report {
        Some(report) => report.deleted.clone(),
        None => plan.dropped().map(|verdict| verdict.snapshot.id).collect(),
    };
    let pruned = match args.prune {
        true => Pruned::after(context, &manager, &deleted, args.dry_run),
        false => Ok(Pruned::Not),
    };
    if as_json {
        output::json(&prune::beside(retention::to_json(&plan, report.as_ref()), &pruned))?;
    } else {
        if let Some(report) = report.as_ref().filter(|_| !context.options.quiet) {
            prune::print_deleted(report.deleted.len(), report.gone.len(), &pruned);
            for id in &report.spared {
                println!("{} became permanent meanwhile and stays", id.short());
            }
        }
        if let Ok(Pruned::Planned(plan)) = &pruned {
            prune::print_plan(plan, "would free");
        }
        output::complain("snapshot", &plan.unreadable);
    }
    pruned?;
    Ok(if plan.unreadable.is_empty() { Outcome::Done } else { Outcome::Damaged })
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
    id: SnapshotId,
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
            let sources: Vec<_> = of.sources.iter().map(|(_, url)| output::text(url)).collect();
            println!("{} on {}", sources.join(", "), output::text(&of.host));
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
        output::text(&it.name),
        output::text(&reasons.join("; ")),
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
