use anyhow::Result;
use restow::{Problem, RebuildOptions, RebuildReport};
use serde_json::{Value, json};

use super::Context;
use super::prune::{packs as of, peers, print_expired};
use crate::args::RebuildIndexArgs;
use crate::error::Outcome;
use crate::{location, output};

pub fn run(context: &Context, args: &RebuildIndexArgs) -> Result<Outcome> {
    let _gently = context.signals.gently();
    let manager = location::open(context)?;
    let (dry_run, all) = (args.dry_run, args.all);
    let options = RebuildOptions::default().dry_run(dry_run).all(all);
    let report = context.watch(&manager, |manager| manager.rebuild_index(&options))?;
    let outcome = if report.is_whole() { Outcome::Done } else { Outcome::Damaged };
    context.report(outcome, || to_json(&report, args), || print(&report, args))
}

fn print(report: &RebuildReport, args: &RebuildIndexArgs) {
    let (would, verb) = if args.dry_run { ("would be ", "are") } else { ("", "were") };
    print_expired(&report.expired);
    let read = output::bytes(report.bytes_read);
    println!(
        "{} packs, {} index objects; read the trailers of {} packs, {read}",
        report.packs, report.index_objects, report.packs_read
    );
    for Problem { path, message } in &report.mended {
        println!("  {would}removed: {} ({message})", output::lossy(path));
    }
    println!("  {would}listed again: {}", of(&report.listed));
    if report.corrected > 0 {
        println!("  {would}corrected: {} packs, which {verb} listed wrongly", report.corrected);
    }
    let (put, removed) = (report.objects_put, report.objects_removed);
    println!("  index objects {would}put: {put}, {would}removed: {removed}");
    if report.young.count > 0 {
        let young = of(&report.young);
        println!("  newer than this rebuild or a running backup, not listed yet: {young}");
    }
    if report.condemned.count > 0 {
        let condemned = of(&report.condemned);
        println!("  condemned, listed only with --all: {condemned}");
    }
    for Problem { path, message } in &report.problems {
        println!("  not readable, left: {}: {message}", output::lossy(path));
    }
    if report.is_whole() {
        println!("everything was readable");
    } else {
        println!(
            "NOT EVERYTHING WAS READABLE: `restow check` names the damaged snapshots; a new backup of their sources stores the data again"
        );
    }
    if report.condemned.count > 0 {
        println!(
            "condemned packs are not listed: if `restow check` still names damaged snapshots, run `restow rebuild-index --all`"
        );
    }
}

fn to_json(report: &RebuildReport, args: &RebuildIndexArgs) -> Value {
    let problems =
        |found: &[Problem]| -> Vec<Value> { found.iter().map(output::problem_json).collect() };
    json!({
        "dry_run": args.dry_run,
        "all": args.all,
        "whole": report.is_whole(),
        "packs": report.packs,
        "index_objects": report.index_objects,
        "packs_read": report.packs_read,
        "bytes_read": report.bytes_read,
        "listed": report.listed,
        "corrected_packs": report.corrected,
        "objects_put": report.objects_put,
        "objects_removed": report.objects_removed,
        "mended": problems(&report.mended),
        "problems": problems(&report.problems),
        "young": report.young,
        "condemned": report.condemned,
        "expired": peers(&report.expired),
    })
}
