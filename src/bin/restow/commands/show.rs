use anyhow::Result;
use restow::{CatalogItem, Entry, EntryKind, Lost, Selector, Snapshot, SnapshotManager};
use serde_json::{Value, json};

use super::Context;
use crate::args::ShowArgs;
use crate::error::Outcome;
use crate::{location, output};

pub fn run(context: &Context, args: &ShowArgs) -> Result<Outcome> {
    let manager = location::open(context)?;
    let snapshot = manager.find(&Selector::new(&args.id), &args.filter.to_filter(context)?)?;
    let mut lost = Vec::new();
    if context.options.json {
        let document = output::snapshot_json(&snapshot);
        match args.entries {
            true => lost = entries_json(&manager, &snapshot, &document)?,
            false => output::json(&document)?,
        }
    } else {
        summary(&snapshot);
        if args.entries {
            lost = each_entry(&manager, &snapshot, |entry| println!("{}", entry_line(&entry)))?;
        }
        for lost in &lost {
            let last = output::lossy(lost.last.as_bytes());
            eprintln!("lost: {} entries up to {last}: {}", lost.entries, lost.error);
        }
    }
    Ok(if lost.is_empty() { Outcome::Done } else { Outcome::Damaged })
}

/// The document with the fields `entries`, which may have millions (none is kept in memory), and `lost`.
fn entries_json(
    manager: &SnapshotManager,
    snapshot: &Snapshot,
    document: &Value,
) -> Result<Vec<Lost>> {
    let text = format!("{document:#}");
    println!("{},\n  \"entries\": [", text.strip_suffix("\n}").unwrap_or_default());
    let mut last: Option<Value> = None;
    let lost = each_entry(manager, snapshot, |entry| {
        if let Some(before) = last.replace(entry_json(&entry)) {
            println!("    {before},");
        }
    })?;
    if let Some(last) = last {
        println!("    {last}");
    }
    let stretches: Value = lost.iter().map(lost_json).collect();
    println!("  ],\n  \"lost\": {stretches}\n}}");
    Ok(lost)
}

/// Calls `each` for every entry; what the catalog no longer tells of comes back.
fn each_entry(
    manager: &SnapshotManager,
    snapshot: &Snapshot,
    mut each: impl FnMut(Entry),
) -> Result<Vec<Lost>> {
    let view = manager.view(snapshot)?;
    let (mut entries, mut lost) = (view.entries(), Vec::new());
    while !output::has_failed()
        && let Some(item) = entries.next_item()?
    {
        match item {
            CatalogItem::Entry(entry) => each(entry),
            CatalogItem::Lost(stretch) => lost.push(stretch),
        }
    }
    Ok(lost)
}

fn lost_json(lost: &Lost) -> Value {
    let last = output::lossy(lost.last.as_bytes());
    json!({ "entries": lost.entries, "last": last, "message": lost.error.to_string() })
}

fn summary(snapshot: &Snapshot) {
    let manifest = &snapshot.manifest;
    println!("snapshot     {}", snapshot.id);
    println!("name         {}", output::text(&manifest.name));
    if !manifest.description.is_empty() {
        println!("description  {}", output::text(&manifest.description));
    }
    println!("taken        {} {}", output::local_time(manifest), output::text(&manifest.zone));
    println!(
        "by           {}@{} with {}",
        output::text(&manifest.user),
        output::text(&manifest.host),
        manifest.tool
    );
    for source in &manifest.sources {
        println!("source       {} {}", source.kind, output::text(&source.url));
        if let Some(parent) = source.parent {
            println!("parent       {}", parent.short());
        }
        for (name, value) in &source.properties {
            println!("    {} {}", output::text(name), output::text(value));
        }
    }
    if let Some(git) = &manifest.git {
        let branch = git.branch.as_deref().unwrap_or("no branch");
        println!("git          {} ({})", output::text(&git.commit), output::text(branch));
    }
    let markers = output::markers(snapshot);
    if !markers.is_empty() || !snapshot.tags.is_empty() {
        println!("marks        {} {}", markers.join(" "), output::text(&snapshot.tags.join(", ")));
    }
    let counts = &manifest.statistics;
    println!(
        "holds        {} in {} entries, {} chunks",
        output::bytes(counts.logical_bytes),
        counts.entries,
        counts.chunks
    );
    println!("cost         {}", output::cost(counts));
    println!("unchanged    {} entries", counts.unchanged);
    if manifest.problem_count > 0 {
        println!("problems     {}", manifest.problem_count);
        for problem in &manifest.problems {
            println!("    {}: {}", output::lossy(&problem.path), output::text(&problem.message));
        }
    }
}

fn entry_line(entry: &Entry) -> String {
    let path = match entry.path.is_root() {
        true => ".".into(),
        false => output::lossy(entry.path.as_bytes()),
    };
    let mode = entry.unix.as_ref().map_or(0, |unix| unix.mode);
    let mut line = format!("{:<10} {mode:04o} {:>12}  {path}", entry.kind.name(), entry.len());
    if let EntryKind::Symlink { target } = &entry.kind {
        line.push_str(&format!(" -> {}", output::lossy(target)));
    }
    line
}

fn entry_json(entry: &Entry) -> Value {
    let unix = entry.unix.as_ref().map(|unix| {
        json!({
            "mode": format!("{:04o}", unix.mode),
            "uid": unix.uid,
            "gid": unix.gid,
            "user": unix.user,
            "group": unix.group,
            "modified": output::rfc3339(unix.mtime),
        })
    });
    let target = match &entry.kind {
        EntryKind::Symlink { target } => Some(output::lossy(target)),
        _ => None,
    };
    json!({
        "path": output::lossy(entry.path.as_bytes()),
        "kind": entry.kind.name(),
        "bytes": entry.len(),
        "target": target,
        "unix": unix,
    })
}
