use anyhow::Result;
use restow::{
    ChunkTotals, Filter, Growth, RepositoryStats, SnapshotId, SnapshotManager, SnapshotStats,
    StatsOptions, StatsReport,
};
use serde_json::{Value, json};

use super::{Context, costs, find_all, prune};
use crate::args::StatsArgs;
use crate::error::Outcome;
use crate::{location, output};

pub fn run(context: &Context, args: &StatsArgs) -> Result<Outcome> {
    let manager = location::open(context)?;
    if !args.without.is_empty() {
        return without(context, args, &manager);
    }
    let options = StatsOptions::default().snapshots(chosen(context, &manager, args)?);
    if args.costs {
        let with_entries = !args.ids.is_empty();
        return costs::run(context, &manager, options.snapshots.as_deref(), with_entries);
    }
    let report = manager.stats(&options)?;
    let index_is_whole =
        report.repository.as_ref().is_none_or(|whole| whole.unreadable_index.is_empty());
    let is_whole = report.unreadable.is_empty() && index_is_whole;
    let outcome = if is_whole { Outcome::Done } else { Outcome::Damaged };
    context.answer(outcome, || to_json(&report), || print(&report))
}

/// What deleting some snapshots together would free, beside what can be freed in any case.
fn without(context: &Context, args: &StatsArgs, manager: &SnapshotManager) -> Result<Outcome> {
    let mut ids = find_all(manager, &args.without, &args.filter.to_filter(context)?)?;
    ids.sort();
    ids.dedup();
    let now = prune::without(context, manager, &[])?;
    let then = prune::without(context, manager, &ids)?;
    let freed = then.freed().saturating_sub(now.freed());
    let document = || {
        json!({
            "without": ids.iter().map(|id| id.to_hex()).collect::<Vec<_>>(),
            "freed_bytes": freed,
            "freed_in_any_case_bytes": now.freed(),
            "plan": prune::plan_to_json(&then),
        })
    };
    let text = || {
        let (count, bytes) = (ids.len(), output::bytes(freed));
        println!("deleting these {count} snapshots and a prune would free about {bytes}");
        if now.freed() > 0 {
            println!("a prune alone would free {}", output::bytes(now.freed()));
        }
        prune::print_plan(&then, "would free");
    };
    context.answer(Outcome::Done, document, text)
}

/// Those that were named, else those that a filter lets through, else everything.
fn chosen(
    context: &Context,
    manager: &SnapshotManager,
    args: &StatsArgs,
) -> Result<Option<Vec<SnapshotId>>> {
    let filter = args.filter.to_filter(context)?;
    if !args.ids.is_empty() {
        return Ok(Some(find_all(manager, &args.ids, &filter)?));
    }
    if filter == Filter::default() {
        return Ok(None);
    }
    let matching = manager.list(&filter.void(true))?.snapshots;
    Ok(Some(matching.iter().map(|snapshot| snapshot.id).collect()))
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.1}x"))
}

fn print(report: &StatsReport) {
    println!(
        "snapshot      holds       new     known     plain    deltas  metadata     added   ratio  name"
    );
    for one in &report.snapshots {
        let counts = &one.counts;
        println!(
            "{}  {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7}  {}",
            one.id.short(),
            output::bytes(counts.logical_bytes),
            output::bytes(counts.new_bytes),
            output::bytes(one.known_bytes()),
            output::bytes(counts.plain_stored),
            output::bytes(counts.delta_stored),
            output::bytes(counts.metadata_stored),
            output::bytes(one.added()),
            times(one.ratio()),
            output::text(&one.name),
        );
    }
    output::complain("snapshot", &report.unreadable);
    if report.growth.iter().any(|growth| growth.snapshots > 1) {
        report.growth.iter().for_each(print_growth);
    }
    if let Some(whole) = &report.repository {
        print_repository(whole);
    }
}

fn print_growth(growth: &Growth) {
    let a_night = growth.a_night().map_or_else(|| "-".into(), output::bytes);
    println!(
        "{} on {}: {} snapshots since {} added {}, {a_night} each after the first",
        output::text(&growth.sources.join(", ")),
        output::text(&growth.host),
        growth.snapshots,
        output::rfc3339(growth.first),
        output::bytes(growth.added),
    );
}

fn print_repository(whole: &RepositoryStats) {
    let (stored, logical) =
        (output::bytes(whole.stored_bytes()), output::bytes(whole.logical_bytes));
    println!("repository    {stored} for {logical}: {}", times(whole.ratio()));
    println!(
        "  deduplication {}, compression and deltas {}",
        times(whole.deduplication()),
        times(whole.compression())
    );
    for (name, chunks) in [("data", &whole.data), ("metadata", &whole.metadata)] {
        println!(
            "  {name:<9} {} chunks, {}, stored in {} ({} of it deltas for {})",
            chunks.unique_chunks,
            output::bytes(chunks.unique_bytes),
            output::bytes(chunks.stored_bytes),
            output::bytes(chunks.delta_stored),
            output::bytes(chunks.delta_bytes),
        );
        if let Some(mean) = chunks.mean_depth() {
            let deepest = chunks.deepest;
            println!(
                "            a delta takes {mean:.1} decodes before its own, {deepest} at most"
            );
        }
    }
    for (name, objects) in &whole.objects {
        println!("  {name:<9} {} objects, {}", objects.count, output::bytes(objects.bytes));
    }
    output::complain("index object", &whole.unreadable_index);
}

fn to_json(report: &StatsReport) -> Value {
    json!({
        "snapshots": report.snapshots.iter().map(snapshot).collect::<Vec<_>>(),
        "growth": report.growth.iter().map(growth).collect::<Vec<_>>(),
        "unreadable": output::unreadable_json(&report.unreadable),
        "repository": report.repository.as_ref().map(repository),
    })
}

fn growth(of: &Growth) -> Value {
    json!({
        "sources": of.sources,
        "host": of.host,
        "snapshots": of.snapshots,
        "first": output::rfc3339(of.first),
        "last": output::rfc3339(of.last),
        "added_bytes": of.added,
        "added_bytes_each_later": of.a_night(),
    })
}

fn snapshot(one: &SnapshotStats) -> Value {
    json!({
        "id": one.id.to_hex(),
        "name": one.name,
        "time": output::rfc3339(one.time),
        "known_bytes": one.known_bytes(),
        "added_bytes": one.added(),
        "ratio": one.ratio(),
        "statistics": one.counts,
    })
}

fn repository(whole: &RepositoryStats) -> Value {
    json!({
        "logical_bytes": whole.logical_bytes,
        "stored_bytes": whole.stored_bytes(),
        "ratio": whole.ratio(),
        "deduplication": whole.deduplication(),
        "compression": whole.compression(),
        "objects": whole.objects,
        "data": chunks(&whole.data),
        "metadata": chunks(&whole.metadata),
        "unreadable_index": output::unreadable_json(&whole.unreadable_index),
    })
}

fn chunks(totals: &ChunkTotals) -> Value {
    output::with(json!(totals), json!({ "mean_delta_depth": totals.mean_depth() }))
}
