use anyhow::Result;
use restow::{
    DeleteOptions, DeletePlan, DeleteReport, Filter, Selector, SnapshotId, SnapshotManager,
};
use serde_json::{Value, json};

use super::{Context, prune};
use crate::args::DeleteArgs;
use crate::error::Outcome;
use crate::{location, output, prompt};

pub fn run(context: &Context, args: &DeleteArgs) -> Result<Outcome> {
    let manager = location::open(context)?;
    let filter = args.filter.to_filter();
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
    let freed = match (args.prune, args.dry_run) {
        (true, false) => Some(prune::after(context, &manager, report.deleted.len())),
        _ => None,
    };
    let would_free = match (args.prune, args.dry_run) {
        (true, true) => Some(prune::without(context, &manager, &report.deleted)?),
        _ => None,
    };
    if as_json {
        let pruned = match (&freed, &would_free) {
            (Some(Ok(report)), _) => prune::to_json(report, false),
            // Told when what was deleted has been.
            (Some(Err(_)), _) => Value::Null,
            (None, Some(plan)) => prune::planned_to_json(plan),
            (None, None) => Value::Null,
        };
        output::json(&prune::beside(to_json(&report, args.dry_run), pruned))?;
    } else if let Some(plan) = &would_free {
        prune::print_plan(plan, "would free");
    } else if !args.dry_run && !context.options.quiet {
        let (count, gone) = (report.deleted.len(), report.gone.len());
        match freed {
            Some(_) => println!("{count} snapshots deleted"),
            None => {
                println!("{count} snapshots deleted; the next prune frees their space")
            }
        }
        if gone > 0 {
            println!("{gone} snapshots were deleted by another process meanwhile");
        }
        if let Some(Ok(freed)) = &freed {
            prune::print(freed, false);
        }
    }
    freed.transpose()?;
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
        let mut rest = output::markers(snapshot).join(" ");
        for tag in &snapshot.tags {
            rest.push_str(&format!(" #{}", output::lossy(tag.as_bytes())));
        }
        println!(
            "{verb} {}  {}  {}  {}",
            snapshot.id.short(),
            output::local_time(&snapshot.manifest),
            output::lossy(snapshot.manifest.name.as_bytes()),
            rest.trim(),
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
