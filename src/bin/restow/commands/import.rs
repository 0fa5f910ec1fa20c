use std::path::Path;

use anyhow::Result;
use restow::source::Exporter;
use restow::source::arangodb::{ArangodumpExporter, ArangodumpOptions, SortOptions, is_arangodump};
use restow::source::qdrant::{QdrantFileExporter, QdrantFileOptions, QdrantSource};
use restow::{BackupOptions, Error as OpError};

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
    /// One collection's snapshot, as its server made it.
    Qdrant,
    Arangodump,
}

impl Foreign {
    fn of(path: &Path) -> Result<Self, OpError> {
        // A tar archive, too.
        if path.is_file()
            && path.canonicalize().is_ok_and(|it| it.extension() == Some("snapshot".as_ref()))
        {
            return Ok(Self::Qdrant);
        }
        if is_arangodump(path) {
            return Ok(Self::Arangodump);
        }
        let shown = path.display();
        Err(OpError::Usage(match path.exists() {
            false => format!("{shown}: there is no such file or folder"),
            true => format!(
                "{shown} is nothing that restow imports: no folder of arangodump, no tar archive of one, no .snapshot of Qdrant \
                 (any folder or file can be backed up as it is: restow backup {shown})"
            ),
        }))
    }

    fn exporter(self, context: &Context, args: &ImportArgs) -> Result<Box<dyn Exporter>, OpError> {
        Ok(match self {
            Self::Qdrant => {
                let source = args.identity.as_deref().map(QdrantSource::parse).transpose()?;
                let options = QdrantFileOptions { source, ..QdrantFileOptions::default() };
                Box::new(QdrantFileExporter::new(&args.path, options)?)
            }
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
