use anyhow::Result;
use restow::{EntryCost, Filter, SnapshotId, SnapshotManager};
use serde_json::{Value, json};

use super::Context;
use crate::error::Outcome;
use crate::output;

struct Cost {
    id: SnapshotId,
    name: String,
    alone: u64,
    entries: Vec<EntryCost>,
}

/// What only one snapshot needs; of those that were named also what only one entry does.
pub fn run(
    context: &Context,
    manager: &SnapshotManager,
    named: Option<&[SnapshotId]>,
    with_entries: bool,
) -> Result<Outcome> {
    let _gently = context.signals.gently();
    let found = context.watch(manager, SnapshotManager::costs)?;
    let snapshots = manager.list(&Filter::default().void(true))?.snapshots;
    let is_meant = |id: &SnapshotId| named.is_none_or(|named| named.contains(id));
    let mut all = Vec::new();
    for snapshot in snapshots.into_iter().filter(|snapshot| is_meant(&snapshot.id)) {
        // One that came meanwhile was not looked at.
        let Some(alone) = found.alone.get(&snapshot.id).copied() else { continue };
        let mut entries = Vec::new();
        if with_entries {
            entries = manager.entry_costs(&snapshot.id)?;
            entries.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(a.path.cmp(&b.path)));
        }
        all.push(Cost { id: snapshot.id, name: snapshot.manifest.name, alone, entries });
    }
    let document = || {
        let snapshots: Vec<Value> = all.iter().map(to_json).collect();
        json!({ "snapshots": snapshots, "shared_bytes": found.shared })
    };
    context.answer(Outcome::Done, document, || print(&all, found.shared))
}

fn print(all: &[Cost], shared: u64) {
    println!("snapshot     alone  name");
    for cost in all {
        let name = output::text(&cost.name);
        println!("{}  {:>9}  {name}", cost.id.short(), output::bytes(cost.alone));
        for EntryCost { path, bytes, .. } in &cost.entries {
            println!("            {:>9}  {}", output::bytes(*bytes), path.display());
        }
    }
    println!("{} needed by several snapshots", output::bytes(shared));
}

fn to_json(cost: &Cost) -> Value {
    let entry = |entry: &EntryCost| json!({ "path": entry.path.display(), "bytes": entry.bytes });
    json!({
        "id": cost.id.to_hex(),
        "name": cost.name,
        "alone_bytes": cost.alone,
        "entries": cost.entries.iter().map(entry).collect::<Vec<_>>(),
    })
}
