use std::time::Duration;

use anyhow::Result;
use restow::ops::{BackupReport, OpError, backup};
use restow::repo::Repository;
use restow::source::Exporter;
use serde_json::{Value, json};

use super::{Context, batch};
use crate::args::BackupArgs;
use crate::error::Outcome;
use crate::jobs::{Job, Part};
use crate::location::Access;
use crate::output;
use crate::progress::Progress;

pub fn run(context: &Context, args: &BackupArgs) -> Result<Outcome> {
    if args.all {
        return batch::run(context, args);
    }
    if args.keep_going {
        // clap waives what a flag requires where that conflicts with something said.
        return Err(OpError::Usage("--keep-going goes with --all".into()).into());
    }
    let job = Job::of_arguments(&context.config, args)?;
    // Sources first: a typing error in a path should not cost a passphrase.
    let access = Access::of(context, job.repository.as_deref())?;
    let exporters = exporters(context, &job, &access)?;
    let repository = access.open(context)?;
    if !args.dry_run {
        access.sweep();
    }
    let report = take(context, &repository, &job, &exporters)?;
    if context.options.json {
        output::json(&to_json(&report))?;
    } else if !context.options.quiet {
        print(&report);
    }
    Ok(outcome(&report))
}

pub fn exporters(
    context: &Context,
    job: &Job,
    access: &Access,
) -> Result<Vec<Box<dyn Exporter>>, OpError> {
    let resolve = |part: &Part| {
        let mut settings = part.settings.clone();
        settings.folder.leave_out = access.own_folders();
        settings.pass_stderr = !context.options.json;
        part.spec.resolve(&settings)
    };
    job.parts.iter().map(resolve).collect()
}

pub fn take(
    context: &Context,
    repository: &Repository,
    job: &Job,
    exporters: &[Box<dyn Exporter>],
) -> Result<BackupReport> {
    let sources: Vec<&dyn Exporter> = exporters.iter().map(|exporter| &**exporter).collect();
    let _gently = context.signals.gently();
    let progress = Progress::new(&context.options);
    let mut options = job.options.clone();
    options.estimate = progress.wants_totals();
    let report = backup(repository, &sources, &options, &progress, context.cancel());
    progress.clear();
    Ok(report?)
}

pub fn outcome(report: &BackupReport) -> Outcome {
    if report.manifest.incomplete { Outcome::Incomplete } else { Outcome::Done }
}

pub fn to_json(report: &BackupReport) -> Value {
    json!({
        "id": report.id.map(|id| id.to_hex()),
        "dry_run": report.id.is_none(),
        "manifest": output::manifest_json(&report.manifest),
        "pack_bytes": report.written.pack_bytes,
        "index_bytes": report.written.index_bytes,
    })
}

pub fn print(report: &BackupReport) {
    let (manifest, counts) = (&report.manifest, &report.manifest.statistics);
    match report.id {
        Some(id) => println!("snapshot {} {}", id.short(), output::lossy(manifest.name.as_bytes())),
        None => println!("dry run, nothing stored"),
    }
    println!(
        "  {} in {} entries, {} unchanged, {} read",
        output::bytes(counts.logical_bytes),
        counts.entries,
        counts.unchanged,
        output::bytes(counts.read_bytes),
    );
    println!("  {}", output::cost(counts));
    let stored = counts.plain_stored + counts.delta_stored + counts.metadata_stored;
    let took = Duration::from_millis(counts.duration_ms);
    println!("  {} added in {}", output::bytes(stored), output::duration(took));
    if manifest.problem_count > 0 {
        println!("  INCOMPLETE: {} problems, see `restow show`", manifest.problem_count);
    }
}
