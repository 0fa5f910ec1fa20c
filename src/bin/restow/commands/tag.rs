use anyhow::{Result, bail};
use restow::{Error, NoteChange};
use serde_json::json;

use super::{Context, find_all};
use crate::args::{Switch, TagArgs};
use crate::error::Outcome;
use crate::{location, output};

pub fn run(context: &Context, args: &TagArgs) -> Result<Outcome> {
    let change = NoteChange::default()
        .add_tags(args.add.clone())
        .remove_tags(args.remove.clone())
        .permanent(args.permanent.map(|switch| switch == Switch::On));
    if change == NoteChange::default() {
        bail!(Error::Usage("nothing to change: give --add, --remove or --permanent".into()));
    }
    let manager = location::open(context)?;
    let filter = args.filter.to_filter(context)?;
    // All are found before any is changed.
    let ids = find_all(&manager, &args.ids, &filter)?;
    let mut results = Vec::new();
    for id in ids {
        let done = manager.change_notes(&id, &change)?;
        let now = done.snapshot;
        if !context.options.json && !context.options.quiet {
            let said = if done.is_changed { "changed" } else { "unchanged" };
            let permanent = if now.permanent { " [PERMANENT]" } else { "" };
            let tags: String =
                now.tags.iter().map(|tag| format!(" #{}", output::text(tag))).collect();
            println!("{} {said}:{permanent}{tags}", now.id.short());
        }
        results.push(json!({
            "id": now.id.to_hex(),
            "changed": done.is_changed,
            "tags": now.tags,
            "permanent": now.permanent,
        }));
    }
    context.report(Outcome::Done, || json!({ "snapshots": results }), || ())
}
