use std::time::Duration;

use anyhow::Result;
use restow::ops::{BackupOptions, BackupReport, OpError, backup};
use restow::source::Exporter;
use restow::source::files::FolderOptions;
use restow::source::sqlite::SqliteOptions;
use serde_json::json;

use super::Context;
use crate::args::BackupArgs;
use crate::error::Outcome;
use crate::progress::Progress;
use crate::sources::{self, SourceSettings};
use crate::{location, output};

pub fn run(context: &Context, args: &BackupArgs) -> Result<Outcome> {
    let folder_options = FolderOptions {
        excludes: args.exclude.clone(),
        exclude_files: args.exclude_file.clone(),
        exclude_if_present: args.exclude_if_present.clone(),
        exclude_caches: args.exclude_caches,
        exclude_presets: args.exclude_preset.clone(),
        one_file_system: args.one_file_system,
        leave_out: location::own_folders(&context.options)?,
        settle: Some(Duration::from_secs(args.settle)),
    };
    // Sources first: a typing error in a path should not cost a passphrase.
    let settings = SourceSettings {
        folder: folder_options,
        sqlite: SqliteOptions {
            temp_dir: args.temp_dir.clone(),
            busy_timeout: Duration::from_secs(args.busy_timeout),
        },
        allow_empty: args.allow_empty,
        pass_stderr: !context.options.json,
    };
    let exporters = sources::parse(&args.sources, &args.command)?
        .iter()
        .map(|spec| spec.resolve(&settings))
        .collect::<Result<Vec<_>, OpError>>()?;
    let sources: Vec<&dyn Exporter> = exporters.iter().map(|exporter| &**exporter).collect();
    let repository = location::open(&context.options)?;
    if !args.dry_run {
        location::sweep(&context.options);
    }
    let progress = Progress::new(&context.options);
    let options = BackupOptions {
        name: args.name.clone(),
        description: args.description.clone(),
        tags: args.tags.clone(),
        permanent: args.permanent,
        dry_run: args.dry_run,
        force_read: args.force,
        estimate: progress.wants_totals(),
    };
    let report = backup(&repository, &sources, &options, &progress, &context.cancel);
    progress.clear();
    let report = report?;
    if context.options.json {
        output::json(&json!({
            "id": report.id.map(|id| id.to_hex()),
            "dry_run": args.dry_run,
            "manifest": output::manifest_json(&report.manifest),
            "pack_bytes": report.written.pack_bytes,
            "index_bytes": report.written.index_bytes,
        }))?;
    } else if !context.options.quiet {
        print(&report);
    }
    Ok(if report.manifest.incomplete { Outcome::Incomplete } else { Outcome::Done })
}

fn print(report: &BackupReport) {
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
    let stored = counts.plain_stored + counts.delta_stored + counts.metadata_stored;
    println!(
        "  {} new, stored in {} ({} of it metadata), {}",
        output::bytes(counts.new_bytes),
        output::bytes(stored),
        output::bytes(counts.metadata_stored),
        output::duration(Duration::from_millis(counts.duration_ms)),
    );
    if manifest.problem_count > 0 {
        println!("  INCOMPLETE: {} problems, see `restow show`", manifest.problem_count);
    }
}
