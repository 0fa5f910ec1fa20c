use std::time::Duration;

use anyhow::Result;
use restow::{BackupReport, Error, Exporter, SnapshotManager};
use serde_json::{Value, json};

use super::Context;
use super::cleanup::{self, Cleaned};
use crate::args::BackupArgs;
use crate::error::Outcome;
use crate::jobs::Job;
use crate::location::Access;
use crate::output;
use crate::progress::Progress;
use crate::retention;

pub fn run(context: &Context, args: &BackupArgs) -> Result<Outcome> {
    if args.keep_going {
        // clap waives what a flag requires where that conflicts with something said.
        return Err(Error::Usage("--keep-going needs --all".into()).into());
    }
    let job = Job::of_arguments(context, args)?;
    // Sources first: a typing error in a path should not cost a passphrase.
    let access = Access::of(context, job.repository.as_deref())?;
    let exporters = job.exporters(context, &access)?;
    let manager = access.open(context)?;
    if !args.dry_run {
        access.sweep();
    }
    let taken = take(context, &manager, &job, &exporters)?;
    let outcome = context.report(taken.outcome(), || taken.to_json(), || taken.print())?;
    taken.failed.map_or(Ok(outcome), Err)
}

/// What became of one snapshot, and of those before it.
pub struct Taken {
    report: BackupReport,
    cleaned: Option<Cleaned>,
    /// The snapshot stands, and could not be followed by what was asked for.
    pub failed: Option<anyhow::Error>,
    /// Nothing goes for a snapshot that lacks something.
    not_cleaned: bool,
}

pub fn take(
    context: &Context,
    manager: &SnapshotManager,
    job: &Job,
    exporters: &[Box<dyn Exporter>],
) -> Result<Taken> {
    if job.cleanup {
        // What is wrong with it is told before anything is done.
        retention::of_job(context, job)?;
    }
    let sources: Vec<&dyn Exporter> = exporters.iter().map(|exporter| &**exporter).collect();
    let _gently = context.signals.gently();
    let mut options = job.options.clone();
    options.estimate = Progress::new(&context.options).wants_totals();
    let report = context.watch(manager, |manager| manager.create(&sources, &options))?;
    let mut taken = Taken { cleaned: None, failed: None, not_cleaned: false, report };
    match taken.report.id.filter(|_| job.cleanup) {
        Some(_) if taken.report.manifest.incomplete => taken.not_cleaned = true,
        Some(id) => match cleanup::after(context, manager, job, id) {
            Ok(cleaned) => taken.cleaned = Some(cleaned),
            Err(error) => {
                let stands = format!("snapshot {} is stored, but the cleanup failed", id.short());
                taken.failed = Some(error.context(stands));
            }
        },
        None => {}
    }
    Ok(taken)
}

impl Taken {
    pub fn outcome(&self) -> Outcome {
        if self.report.manifest.incomplete { Outcome::Incomplete } else { Outcome::Done }
    }

    pub fn to_json(&self) -> Value {
        let cleaned = self.cleaned.as_ref();
        let cleaned = cleaned.map(|it| retention::to_json(&it.plan, Some(&it.report)));
        output::with(to_json(&self.report), json!({ "cleanup": cleaned }))
    }

    pub fn print(&self) {
        print(&self.report);
        if let Some(cleaned) = &self.cleaned {
            cleaned.print();
        }
        if self.not_cleaned {
            println!("  no cleanup, because this snapshot is incomplete");
        }
    }
}

fn to_json(report: &BackupReport) -> Value {
    json!({
        "id": report.id.map(|id| id.to_hex()),
        "dry_run": report.id.is_none(),
        "manifest": output::manifest_json(&report.manifest),
        "pack_bytes": report.written.pack_bytes,
        "index_bytes": report.written.index_bytes,
    })
}

fn print(report: &BackupReport) {
    let (manifest, counts) = (&report.manifest, &report.manifest.statistics);
    match report.id {
        Some(id) => println!("snapshot {} {}", id.short(), output::text(&manifest.name)),
        None => println!("dry run: nothing stored"),
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
