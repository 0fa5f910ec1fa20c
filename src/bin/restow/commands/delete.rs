use anyhow::Result;
use restow::{
    DeleteOptions, DeletePlan, DeleteReport, Filter, Selector, SnapshotId, SnapshotManager,
};
use serde_json::{Value, json};

use super::Context;
use super::prune::{self, Pruned};
use crate::args::DeleteArgs;
use crate::error::Outcome;
use crate::{location, output, prompt};

pub fn run(context: &Context, args: &DeleteArgs) -> Result<Outcome> {
    let manager = location::open(context)?;
    let filter = args.filter.to_filter(context)?;
    let ids: Result<Vec<SnapshotId>> =
        args.ids.iter().map(|wanted| meant(&manager, wanted, &filter)).collect();
    let plan = manager.plan_delete(&ids?)?;
    let execute = |dry_run| {
        manager.delete(&plan, &DeleteOptions::default().force(args.force).dry_run(dry_run))
    };
    // Refuses, before a question, what would be refused.
    let mut report = execute(true)?;
    let as_json = context.options.json;
    if !as_json && (args.dry_run || !(args.yes || context.options.quiet)) {
        show(&plan, args.dry_run);
    }
    if !args.dry_run {
        let count = report.deleted.len();
        prompt::confirm(context, args.yes, &format!("delete {count} snapshots"))?;
        let _gently = context.signals.gently();
        report = execute(false)?;
    }
    let pruned = match args.prune {
        true => Pruned::after(context, &manager, &report.deleted, args.dry_run),
        false => Ok(Pruned::Not),
    };
    if as_json {
        output::json(&prune::beside(to_json(&report, args.dry_run), &pruned))?;
    } else if let Ok(Pruned::Planned(plan)) = &pruned {
        prune::print_plan(plan, "would free");
    } else if !args.dry_run && !context.options.quiet {
        prune::print_deleted(report.deleted.len(), report.gone.len(), &pruned);
    }
    pruned?;
    Ok(Outcome::Done)
}

/// A damaged snapshot cannot be looked up, but it can be named.
fn meant(manager: &SnapshotManager, wanted: &str, filter: &Filter) -> Result<SnapshotId> {
    if let Ok(id) = wanted.to_ascii_lowercase().parse() {
        return Ok(id);
    }
    Ok(manager.find(&Selector::new(wanted), filter)?.id)
}

fn show(plan: &DeletePlan, dry_run: bool) {
    let verb = if dry_run { "would delete" } else { "delete" };
    for snapshot in &plan.snapshots {
        println!(
            "{verb} {}  {}  {}  {}",
            snapshot.id.short(),
            output::local_time(&snapshot.manifest),
            output::text(&snapshot.manifest.name),
            output::marks(snapshot),
        );
    }
    for (id, error) in &plan.damaged {
        println!("{verb} {id}  damaged: {error}");
    }
}

fn to_json(report: &DeleteReport, dry_run: bool) -> Value {
    let hex = |ids: &[SnapshotId]| ids.iter().map(|id| id.to_hex()).collect::<Vec<_>>();
    json!({
        "dry_run": dry_run,
        "deleted": hex(&report.deleted),
        "notes": report.notes,
        "gone": hex(&report.gone),
    })
}
