use std::time::Duration;

use anyhow::Result;
use restow::{
    CompactOptions, PackTotals, Peer, PruneOptions, PrunePlan, PruneReport, SnapshotId,
    SnapshotManager,
};
use serde_json::{Value, json};

use super::Context;
use crate::args::{CompactArgs, PruneArgs};
use crate::error::Outcome;
use crate::{location, output};

pub fn run(context: &Context, args: &PruneArgs) -> Result<Outcome> {
    let manager = location::open(context)?;
    let expire_after = Duration::from_secs(args.expire_after);
    let (dry_run, empty) = (args.dry_run, args.empty);
    let options = PruneOptions::default().dry_run(dry_run).expire_after(expire_after).empty(empty);
    told(context, &manager, &options)
}

/// Old packs coded anew, by the way.
pub fn compact(context: &Context, args: &CompactArgs) -> Result<Outcome> {
    let manager = location::open(context)?;
    let compact = CompactOptions::default().older_than(args.older_than.0).level(args.compression);
    let compact = Some(compact);
    let options = PruneOptions::default().dry_run(args.dry_run).compact(compact);
    told(context, &manager, &options)
}

fn told(context: &Context, manager: &SnapshotManager, options: &PruneOptions) -> Result<Outcome> {
    let report = context.watch(manager, |manager| manager.prune(options))?;
    let dry_run = options.dry_run;
    context.report(Outcome::Done, || to_json(&report, dry_run), || print(&report, dry_run))
}

/// What `--prune` of a deletion came to.
pub enum Pruned {
    Not,
    Done(PruneReport),
    Planned(PrunePlan),
}

impl Pruned {
    /// Prunes after `deleted` went, or in a dry run plans it. Who has deleted the last snapshots has seen that there were
    /// some.
    pub fn after(
        context: &Context,
        manager: &SnapshotManager,
        deleted: &[SnapshotId],
        dry_run: bool,
    ) -> Result<Self> {
        if dry_run {
            return Ok(Self::Planned(without(context, manager, deleted)?));
        }
        let options = PruneOptions::default().empty(!deleted.is_empty());
        Ok(Self::Done(context.watch(manager, |manager| manager.prune(&options))?))
    }
}

/// A deletion's document, with what its prune came to. An error is told when what was deleted has been.
pub fn beside(deletion: Value, pruned: &Result<Pruned>) -> Value {
    let pruned = match pruned {
        Ok(Pruned::Not) | Err(_) => Value::Null,
        Ok(Pruned::Done(report)) => to_json(report, false),
        Ok(Pruned::Planned(plan)) => {
            let mut report = PruneReport::default();
            report.plan = Some(*plan);
            to_json(&report, true)
        }
    };
    output::with(deletion, json!({ "prune": pruned }))
}

/// Says how many snapshots a deletion took, what other processes took meanwhile, and what its prune came to.
pub fn print_deleted(deleted: usize, gone: usize, pruned: &Result<Pruned>) {
    match pruned {
        Ok(Pruned::Not) => {
            println!("{deleted} snapshots deleted; the next prune frees their space")
        }
        _ => println!("{deleted} snapshots deleted"),
    }
    if gone > 0 {
        println!("{gone} snapshots were deleted by another process meanwhile");
    }
    if let Ok(Pruned::Done(report)) = pruned {
        print(report, false);
    }
}

/// What a prune would do if these snapshots were gone.
pub fn without(
    context: &Context,
    manager: &SnapshotManager,
    ids: &[SnapshotId],
) -> Result<PrunePlan> {
    context.watch(manager, |manager| manager.plan_prune(ids))
}

pub fn print_expired(expired: &[Peer]) {
    for peer in expired {
        println!("{} was declared dead", output::text(&peer.describe()));
    }
}

pub fn print(report: &PruneReport, dry_run: bool) {
    print_expired(&report.expired);
    if let Some(plan) = &report.plan {
        let verb = match (dry_run, report.waits_for.is_empty()) {
            (true, _) => "would free",
            (false, true) => "frees",
            (false, false) => "will free",
        };
        print_plan(plan, verb);
    }
    if dry_run {
        return;
    }
    if report.went_on && report.waits_for.is_empty() {
        println!("finished an earlier prune");
    }
    for peer in &report.waits_for {
        let who = output::text(&peer.describe());
        println!("{who} may still need condemned packs: prune again when it has ended");
    }
    if report.deleted.count > 0 {
        let (count, bytes) = (report.deleted.count, output::bytes(report.deleted.bytes));
        let difference = output::bytes(report.freed().unsigned_abs());
        // What is coded anew and gains nothing is padded anew.
        let verb = if report.freed() < 0 { "more are taken" } else { "freed" };
        println!("{count} packs of {bytes} deleted: {difference} {verb}");
    }
}

pub fn packs(totals: &PackTotals) -> String {
    format!("{} packs, {}", totals.count, output::bytes(totals.bytes))
}

pub fn print_plan(plan: &PrunePlan, verb: &str) {
    let of = packs;
    println!("{} snapshots, {}", plan.snapshots, of(&plan.packs));
    if plan.is_nothing() {
        println!("  nothing to free");
    } else {
        println!("  unused:         {}", of(&plan.dead));
        if plan.unindexed.count > 0 {
            println!("    from interrupted backups: {}", of(&plan.unindexed));
        }
        println!("  mostly waste:   {}", of(&plan.emptied));
        if plan.compacted.count > 0 {
            println!("  to be compacted: {}", of(&plan.compacted));
        }
        if plan.merged.count > 0 {
            let (count, bytes) = (plan.merged.count, output::bytes(plan.merged.bytes));
            println!("    bases merged into the deltas on them: {count} blocks, {bytes}");
        }
        println!("  to be copied:   {}", output::bytes(plan.rewritten));
        println!("  {verb}:  about {}", output::bytes(plan.freed()));
    }
    if plan.waste > 0 {
        println!("  waste that stays: {}", output::bytes(plan.waste));
    }
    if plan.young.count > 0 {
        println!("  newer than a running backup: {}", of(&plan.young));
    }
    if plan.condemned.count > 0 {
        println!("  condemned by an earlier prune: {}", of(&plan.condemned));
    }
}

pub fn to_json(report: &PruneReport, dry_run: bool) -> Value {
    json!({
        "dry_run": dry_run,
        "plan": report.plan.as_ref().map(plan_to_json),
        "deleted": report.deleted,
        "copied_blocks": report.copied.blocks,
        "copied_read_bytes": report.copied.read_bytes,
        "copied_bytes": report.copied.pack_bytes,
        "rebased_blocks": report.copied.rebased,
        "freed_bytes": report.freed(),
        "went_on": report.went_on,
        "waits_for": peers(&report.waits_for),
        "expired": peers(&report.expired),
    })
}

pub fn plan_to_json(plan: &PrunePlan) -> Value {
    output::with(json!(plan), json!({ "freed_bytes": plan.freed() }))
}

pub fn peers(peers: &[Peer]) -> Vec<Value> {
    peers
        .iter()
        .map(|peer| {
            let record = peer.record.as_ref();
            json!({
                "id": peer.id.to_hex(),
                "role": if peer.is_prune() { "prune" } else { "writer" },
                "host": record.map_or("", |record| record.host.as_str()),
                "process": record.map_or(0, |record| record.process),
            })
        })
        .collect()
}
