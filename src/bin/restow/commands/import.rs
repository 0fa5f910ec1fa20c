use std::path::Path;

use anyhow::Result;
use restow::ops::{BackupOptions, OpError};
use restow::source::Exporter;
use restow::source::arangodb::{ArangodumpExporter, ArangodumpOptions, SortOptions, is_arangodump};

use super::{Context, backup};
use crate::args::ImportArgs;
use crate::error::Outcome;
use crate::jobs::Job;
use crate::location::Access;
use crate::output;

/// What other tools write, told by its content. Another kind of copy gets its variant here, its test in `of`, before
/// the one for any tar archive, and its exporter in `exporter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Foreign {
    Arangodump,
}

impl Foreign {
    fn of(path: &Path) -> Result<Self, OpError> {
        if is_arangodump(path) {
            return Ok(Self::Arangodump);
        }
        let shown = path.display();
        Err(OpError::Usage(match path.exists() {
            false => format!("{shown}: there is no such file or folder"),
            true => format!(
                "{shown} is nothing that restow imports: no folder of arangodump, and no tar archive of one \
                 (any folder or file can be backed up as it is: restow backup {shown})"
            ),
        }))
    }

    fn exporter(self, context: &Context, args: &ImportArgs) -> Result<Box<dyn Exporter>, OpError> {
        Ok(match self {
            Self::Arangodump => {
                let sort =
                    SortOptions { temp_dir: args.temp_dir.clone(), ..SortOptions::default() };
                let options = ArangodumpOptions { sort, identity: args.identity.clone() };
                Box::new(ArangodumpExporter::new(&args.path, options, context.cancel())?)
            }
        })
    }
}

pub fn run(context: &Context, args: &ImportArgs) -> Result<Outcome> {
    let exporter = Foreign::of(&args.path)?.exporter(context, args)?;
    let access = Access::of(context, None)?;
    let repository = access.open(context)?;
    if !args.dry_run {
        access.sweep();
    }
    let options = BackupOptions {
        name: args.name.clone(),
        description: args.description.clone().unwrap_or_default(),
        tags: args.tags.clone(),
        permanent: args.permanent,
        dry_run: args.dry_run,
        ..BackupOptions::default()
    };
    let job = Job { parts: Vec::new(), repository: None, options };
    let report = backup::take(context, &repository, &job, &[exporter])?;
    if context.options.json {
        output::json(&backup::to_json(&report))?;
    } else if !context.options.quiet {
        backup::print(&report);
    }
    Ok(backup::outcome(&report))
}
