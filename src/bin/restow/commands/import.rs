use anyhow::Result;
use restow::source::kind::OptionValues;
use restow::{BackupOptions, Error, ErrorKind};
use serde_json::json;

use super::{Context, backup};
use crate::args::ImportArgs;
use crate::error::Outcome;
use crate::jobs::Job;
use crate::location::Access;
use crate::output;

pub fn run(context: &Context, args: &ImportArgs) -> Result<Outcome> {
    let temp_dir = args.temp_dir.iter().map(|folder| ("temp-dir".into(), json!(folder)));
    let options = OptionValues::from_iter(temp_dir);
    let (identity, surroundings) = (args.identity.as_deref(), context.surroundings());
    let exporter = context.kinds.importer(&args.path, identity, &options, &surroundings);
    // What no other tool dumped may still be backed up as it is.
    let exporter = exporter.map_err(|error| match error.kind() {
        ErrorKind::Usage if args.path.exists() => {
            Error::Usage(format!("{error}; `restow backup` takes any folder or file"))
        }
        _ => error.into(),
    })?;
    let access = Access::of(context, None)?;
    let manager = access.open(context)?;
    if !args.dry_run {
        access.sweep();
    }
    let options = BackupOptions::default()
        .name(args.name.clone())
        .description(args.description.clone().unwrap_or_default())
        .tags(args.tags.clone())
        .permanent(args.permanent)
        .dry_run(args.dry_run);
    let taken = backup::take(context, &manager, &Job::of_options(options), &[exporter])?;
    if context.options.json {
        output::json(&taken.to_json())?;
    } else if !context.options.quiet {
        taken.print();
    }
    Ok(taken.outcome())
}
