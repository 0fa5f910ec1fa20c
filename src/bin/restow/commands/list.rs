use std::collections::HashMap;

use anyhow::Result;
use restow::{ErrorKind, Snapshot, SnapshotId, SnapshotList, SnapshotManager};
use serde_json::{Map, json};

use super::Context;
use crate::args::ListArgs;
use crate::error::Outcome;
use crate::{location, output};

pub fn run(context: &Context, args: &ListArgs) -> Result<Outcome> {
    let manager = location::open(context)?;
    let filter = args.filter.to_filter(context)?.permanent(args.permanent).void(args.verbose);
    let SnapshotList { snapshots: mut shown, unreadable, .. } = manager.list(&filter)?;
    if let Some(last) = args.last {
        shown.drain(..shown.len().saturating_sub(last));
    }
    let alone = if args.verbose { alone(context, &manager)? } else { None };
    let alone = |snapshot: &Snapshot| alone.as_ref()?.get(&snapshot.id).copied();
    let outcome = if unreadable.is_empty() { Outcome::Done } else { Outcome::Damaged };
    let document = || {
        let snapshots: Vec<_> = shown.iter().map(output::snapshot_json).collect();
        let unreadable = output::unreadable_json(&unreadable);
        let document = json!({ "snapshots": snapshots, "unreadable": unreadable });
        let known = shown.iter().filter_map(|one| Some((one.id.to_hex(), json!(alone(one)?))));
        match args.verbose {
            true => output::with(document, json!({ "alone_bytes": known.collect::<Map<_, _>>() })),
            false => document,
        }
    };
    let text = || {
        for snapshot in &shown {
            if args.verbose { verbose(snapshot, alone(snapshot)) } else { line(snapshot) }
        }
        output::complain("snapshot", &unreadable);
    };
    context.answer(outcome, document, text)
}

/// Bytes that only this one or that needs. A repository that is not whole is listed all the same.
fn alone(context: &Context, manager: &SnapshotManager) -> Result<Option<HashMap<SnapshotId, u64>>> {
    match context.watch(manager, |manager| Ok(manager.costs()))? {
        Ok(found) => Ok(Some(found.alone)),
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(error.into()),
        Err(error) => {
            eprintln!("restow: cannot compute the size that only one snapshot needs: {error}");
            Ok(None)
        }
    }
}

fn line(snapshot: &Snapshot) {
    let manifest = &snapshot.manifest;
    let marks = output::marks(snapshot);
    let rest = format!("{marks} {}", output::text(&manifest.description));
    println!(
        "{}  {}  {:>10}  {:>9} entries  {}  {}",
        snapshot.id.short(),
        output::local_time(manifest),
        output::bytes(manifest.statistics.logical_bytes),
        manifest.statistics.entries,
        output::text(&manifest.name),
        rest.trim(),
    );
}

fn verbose(snapshot: &Snapshot, alone: Option<u64>) {
    let manifest = &snapshot.manifest;
    let counts = &manifest.statistics;
    println!("{}", snapshot.id);
    line(snapshot);
    for source in &manifest.sources {
        println!("    {} {}", source.kind, output::text(&source.url));
    }
    println!(
        "    host {}, {} chunks, {} of them new, {} entries unchanged",
        output::text(&manifest.host),
        counts.chunks,
        counts.new_chunks,
        counts.unchanged,
    );
    println!("    {}", output::cost(counts));
    if let Some(bytes) = alone {
        println!("    {} needed by this snapshot only", output::bytes(bytes));
    }
}
