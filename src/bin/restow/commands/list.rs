use anyhow::Result;
use restow::repo::{Filter, Snapshot, Standing};
use serde_json::json;

use super::Context;
use crate::args::ListArgs;
use crate::error::Outcome;
use crate::{location, output};

pub fn run(context: &Context, args: &ListArgs) -> Result<Outcome> {
    let repository = location::open(context)?;
    let filter = Filter { permanent: args.permanent, ..args.filter.to_filter() };
    let (snapshots, unreadable) = repository.snapshots()?;
    let mut shown: Vec<&Snapshot> = snapshots
        .iter()
        .filter(|snapshot| filter.matches(snapshot))
        .filter(|snapshot| args.verbose || snapshot.standing != Standing::Void)
        .collect();
    if let Some(last) = args.last {
        shown.drain(..shown.len().saturating_sub(last));
    }
    if context.options.json {
        let unreadable: Vec<_> = unreadable
            .iter()
            .map(|(id, error)| json!({ "id": id.to_hex(), "error": error.to_string() }))
            .collect();
        let snapshots: Vec<_> = shown.iter().map(|s| output::snapshot_json(s)).collect();
        output::json(&json!({ "snapshots": snapshots, "unreadable": unreadable }))?;
    } else {
        for snapshot in shown {
            if args.verbose { verbose(snapshot) } else { line(snapshot) }
        }
        for (id, error) in &unreadable {
            eprintln!("restow: snapshot {id} cannot be read: {error}");
        }
    }
    Ok(if unreadable.is_empty() { Outcome::Done } else { Outcome::Damaged })
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

fn verbose(snapshot: &Snapshot) {
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
}
