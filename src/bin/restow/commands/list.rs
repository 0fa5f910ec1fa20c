use std::collections::HashMap;

use anyhow::Result;
use restow::{ErrorKind, Snapshot, SnapshotId, SnapshotList, SnapshotManager};
use serde_json::json;

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
    if context.options.json {
        let unreadable: Vec<_> = unreadable
            .iter()
            .map(|(id, error)| json!({ "id": id.to_hex(), "error": error.to_string() }))
            .collect();
        let snapshots: Vec<_> = shown.iter().map(output::snapshot_json).collect();
        let mut document = json!({ "snapshots": snapshots, "unreadable": unreadable });
        let known = shown.iter().filter_map(|one| Some((one.id.to_hex(), json!(alone(one)?))));
        if let (true, Some(document)) = (args.verbose, document.as_object_mut()) {
            document.insert("alone_bytes".into(), known.collect::<serde_json::Map<_, _>>().into());
        }
        output::json(&document)?;
    } else {
        for snapshot in &shown {
            if args.verbose { verbose(snapshot, alone(snapshot)) } else { line(snapshot) }
        }
        for (id, error) in &unreadable {
            eprintln!("restow: snapshot {id} cannot be read: {error}");
        }
    }
    Ok(if unreadable.is_empty() { Outcome::Done } else { Outcome::Damaged })
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
    let mut rest = output::markers(snapshot).join(" ");
    for tag in &snapshot.tags {
        rest.push_str(&format!(" #{}", output::lossy(tag.as_bytes())));
    }
    if !manifest.description.is_empty() {
        rest.push_str(&format!(" {}", output::lossy(manifest.description.as_bytes())));
    }
    println!(
        "{}  {}  {:>10}  {:>9} entries  {}  {}",
        snapshot.id.short(),
        output::local_time(manifest),
        output::bytes(manifest.statistics.logical_bytes),
        manifest.statistics.entries,
        output::lossy(manifest.name.as_bytes()),
        rest.trim(),
    );
}

fn verbose(snapshot: &Snapshot, alone: Option<u64>) {
    let manifest = &snapshot.manifest;
    let counts = &manifest.statistics;
    println!("{}", snapshot.id);
    line(snapshot);
    for source in &manifest.sources {
        println!("    {} {}", source.kind, output::lossy(source.url.as_bytes()));
    }
    println!(
        "    host {}, {} chunks, {} of them new, {} entries unchanged",
        output::lossy(manifest.host.as_bytes()),
        counts.chunks,
        counts.new_chunks,
        counts.unchanged,
    );
    println!("    {}", output::cost(counts));
    if let Some(bytes) = alone {
        println!("    {} needed by this snapshot only", output::bytes(bytes));
    }
}
