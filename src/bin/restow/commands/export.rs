use anyhow::{Context as _, Result};
use restow::{Error as OpError, ExportOptions, ExportReport, RestoreOptions, Selection, Selector};
use serde_json::json;

use super::Context;
use super::gaps::Missing;
use crate::args::{ExportArgs, ExportFormat};
use crate::error::Outcome;
use crate::{location, output};

pub fn run(context: &Context, args: &ExportArgs) -> Result<Outcome> {
    if args.format != ExportFormat::Files && args.replace {
        let message = "--replace replaces exports of files only: say another --to, or move what is there away";
        return Err(OpError::Usage(message.into()).into());
    }
    if args.name_template.is_some() && args.format != ExportFormat::Qdrant {
        let message = "--name-template goes with --format qdrant";
        return Err(OpError::Usage(message.into()).into());
    }
    let selection = Selection::only(&args.only).context("--only")?;
    let manager = location::open(context)?;
    let (selector, filter) = (Selector::new(&args.id), args.filter.to_filter(context)?);
    let snapshot = manager.find(&selector, &filter)?;
    let view = manager.view(&snapshot)?;
    let selection = selection.literal_first(&view)?;
    let of_latest = (selector == Selector::Latest).then_some(&filter);
    let missing = Missing::of(&manager, &view, &selection, of_latest)?;
    if args.format == ExportFormat::Qdrant {
        return super::export_qdrant::run(context, args, &manager, &view, selection, &missing);
    }
    let report = context.watch(&manager, |manager| match args.format {
        ExportFormat::Files | ExportFormat::Qdrant => {
            let part = RestoreOptions::default().selection(selection);
            let options = ExportOptions::default().part(part).replace(args.replace);
            manager.export(&view, &args.to, &options)
        }
        ExportFormat::Arangodump => manager.export_arangodump(&view, &args.to, &selection),
    })?;
    if context.options.json {
        let mut document = json!({
            "id": snapshot.id.to_hex(),
            "folder": args.to.display().to_string(),
            "entries": report.entries,
            "bytes": report.bytes,
            "skipped": report.skipped,
            "damaged_count": report.damaged_count,
            "damaged": report.damaged.iter().map(output::problem_json).collect::<Vec<_>>(),
            "problems": report.problems.iter().map(output::problem_json).collect::<Vec<_>>(),
        });
        missing.add_to(&mut document);
        output::json(&document)?;
    } else {
        missing.show();
        print(context, args, &report);
    }
    Ok(match (report.damaged_count, report.problems.len() as u64 + missing.count()) {
        (0, 0) => Outcome::Done,
        (0, _) => Outcome::Incomplete,
        _ => Outcome::Damaged,
    })
}

fn print(context: &Context, args: &ExportArgs, report: &ExportReport) {
    for problem in &report.problems {
        eprintln!("problem: {}: {}", output::lossy(&problem.path), problem.message);
    }
    if args.format == ExportFormat::Arangodump {
        for problem in &report.damaged {
            eprintln!("damaged: {}: {}", output::lossy(&problem.path), problem.message);
        }
    }
    if report.damaged_count > 0 {
        eprintln!(
            "restow: {} entries lost bytes to damage{}",
            report.damaged_count,
            match args.format {
                ExportFormat::Files | ExportFormat::Qdrant => ", named in manifest.json",
                ExportFormat::Arangodump => " and were left out",
            }
        );
    }
    if context.options.quiet {
        return;
    }
    let (entries, bytes) = (report.entries, output::bytes(report.bytes));
    println!("exported {entries} entries, {bytes}, into {}", args.to.display());
    if report.skipped > 0 {
        println!("  {} of them are listed only: FIFOs, sockets, devices", report.skipped);
    }
}
