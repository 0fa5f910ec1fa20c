//! Collections as the files that their server made.

use anyhow::Result;
use restow::{
    ExportedSnapshot, NameTemplate, QdrantExportOptions, Selection, SnapshotManager, SnapshotView,
};
use serde_json::{Value, json};

use super::Context;
use super::gaps::Missing;
use crate::args::ExportArgs;
use crate::error::Outcome;
use crate::output;

pub fn run(
    context: &Context,
    args: &ExportArgs,
    manager: &SnapshotManager,
    view: &SnapshotView,
    selection: Selection,
    missing: &Missing,
) -> Result<Outcome> {
    let template = args.name_template.as_deref().map(NameTemplate::new).transpose()?;
    let options =
        QdrantExportOptions::default().selection(selection).template(template.unwrap_or_default());
    let exported =
        context.watch(manager, |manager| manager.export_qdrant(view, &args.to, &options))?;
    if context.options.json {
        let mut document = json!({
            "id": view.id.to_hex(),
            "folder": args.to.display().to_string(),
            "files": exported.iter().map(file_json).collect::<Vec<_>>(),
        });
        missing.add_to(&mut document);
        output::json(&document)?;
    } else {
        missing.show();
        if !context.options.quiet {
            exported.iter().for_each(print);
        }
    }
    Ok(if missing.count() == 0 { Outcome::Done } else { Outcome::Incomplete })
}

fn file_json(one: &ExportedSnapshot) -> Value {
    json!({
        "collection": one.collection,
        "path": one.path.display().to_string(),
        "bytes": one.bytes,
        "sha256": one.sha256,
        "latest": one.latest.as_ref().map(|path| path.display().to_string()),
    })
}

fn print(one: &ExportedSnapshot) {
    let name = output::lossy(one.collection.as_bytes());
    println!("exported {name}, {}, {} bytes", output::bytes(one.bytes), one.bytes);
    println!("  {}", one.path.display());
    match &one.latest {
        Some(latest) => println!("  {} leads to it", latest.display()),
        None => println!("  the link to the latest leads to a newer one"),
    }
}
