use anyhow::Result;
use restow::{CheckOptions, CheckReport, EntryDamage, Problem, Selector, SnapshotManager};
use serde_json::json;

use super::Context;
use crate::args::CheckArgs;
use crate::error::Outcome;
use crate::progress::Progress;
use crate::{location, output};

pub fn run(context: &Context, args: &CheckArgs) -> Result<Outcome> {
    let _gently = context.signals.gently();
    let report = if args.names {
        let (storage, _) = location::Access::of(context, None)?.storage()?;
        let progress = Progress::new(&context.options);
        let report = SnapshotManager::check_names(&*storage, &progress, context.cancel());
        progress.clear();
        report?
    } else {
        let snapshot = args.id.as_deref().map(Selector::new);
        let options = CheckOptions::default().read_data(args.read_data).snapshot(snapshot);
        context.watch(&location::open(context)?, |manager| manager.check(&options))?
    };
    let outcome = if report.is_clean() { Outcome::Done } else { Outcome::Damaged };
    context.report(outcome, || to_json(&report), || print(&report, args))
}

fn print(report: &CheckReport, args: &CheckArgs) {
    for problem in &report.objects_damaged {
        println!("damaged object {}: {}", output::lossy(&problem.path), problem.message);
    }
    if let Some(command) = way_out(report) {
        println!("`{command}` rebuilds the index from the packs");
    }
    for snapshot in &report.snapshots_damaged {
        println!(
            "damaged snapshot {} ({}): {} entries",
            snapshot.id, snapshot.name, snapshot.count
        );
        for entry in &snapshot.entries {
            println!("    {}: {}", output::lossy(&entry.path), entry.message);
        }
    }
    if args.names {
        let read = output::bytes(report.bytes_read);
        println!("{} objects, {read} read: {}", report.objects, verdict(report));
        return;
    }
    if report.unindexed_packs > 0 {
        let whose = match (report.is_clean(), report.unindexed_condemned) {
            (true, _) => "of interrupted backups that no snapshot uses".to_owned(),
            (false, 0) => "that no index object lists".to_owned(),
            (false, going) => {
                format!("that no index object lists; {going} of them are condemned")
            }
        };
        println!("{} packs {whose}", report.unindexed_packs);
    }
    let read = match args.read_data {
        true => format!(
            ", {} chunks in {} read and verified",
            report.chunks_read,
            output::bytes(report.bytes_read)
        ),
        false => String::new(),
    };
    println!("{} snapshots, {} packs{read}: {}", report.snapshots, report.packs, verdict(report));
}

/// What to do about index objects that are damaged, lost, or say something else than a pack.
fn way_out(report: &CheckReport) -> Option<&'static str> {
    let any = |is: &dyn Fn(&Problem) -> bool| report.objects_damaged.iter().any(is);
    if any(&|problem| problem.message.contains("index object lists other contents")) {
        return Some("restow rebuild-index --all");
    }
    let is_lost = report.unindexed_packs > 0 && !report.snapshots_damaged.is_empty();
    let is_damaged = any(&|problem| problem.path.starts_with(b"index/"));
    // What a prune means to delete is listed anew only where index objects are seen to be missing, or when that is said.
    let is_seen = is_damaged || report.packs == 0;
    if is_lost && report.unindexed_condemned > 0 && !is_seen {
        return Some("restow rebuild-index --all");
    }
    (is_damaged || is_lost).then_some("restow rebuild-index")
}

fn verdict(report: &CheckReport) -> &'static str {
    if report.is_clean() { "no damage found" } else { "DAMAGE FOUND" }
}

fn to_json(report: &CheckReport) -> serde_json::Value {
    let entry = |e: &EntryDamage| json!({ "path": output::lossy(&e.path), "message": e.message });
    let snapshots: Vec<_> = report
        .snapshots_damaged
        .iter()
        .map(|snapshot| {
            json!({
                "id": snapshot.id.to_hex(),
                "name": snapshot.name,
                "damaged_entries": snapshot.count,
                "entries": snapshot.entries.iter().map(entry).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "clean": report.is_clean(),
        "objects": report.objects,
        "packs": report.packs,
        "snapshots": report.snapshots,
        "bytes_read": report.bytes_read,
        "chunks_read": report.chunks_read,
        "unindexed_packs": report.unindexed_packs,
        "unindexed_condemned": report.unindexed_condemned,
        "damaged_objects": report.objects_damaged.iter().map(output::problem_json).collect::<Vec<_>>(),
        "damaged_snapshots": snapshots,
    })
}
