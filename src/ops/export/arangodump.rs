//! What a snapshot holds of ArangoDB, as arangodump writes it: for those who have arangorestore and no restow.

use std::path::Path;

use crate::format::{EntryPath, Problem};
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::SnapshotView;
use crate::source::arangodb::write_arangodump;

use super::super::OpError;
use super::super::restore::{RestoreOptions, Selected, Selection};
use super::super::stored::StoredPart;
use super::ExportReport;

const KIND: &str = "arangodb";

/// Writes the selected databases and collections to `to`, which must not be there: a folder, or an archive
/// where it ends with `.tar.gz` or `.tgz`. It appears whole. Collections that lost bytes are left out and named.
pub fn export_arangodump(
    view: &SnapshotView,
    to: &Path,
    selection: &Selection,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<ExportReport, OpError> {
    let options = RestoreOptions { prefix: source(view, selection)?, selection: selection.clone() };
    let stored = StoredPart::new(view, &options, cancel);
    observer.on(Event::Started(Phase::Restore));
    let written = write_arangodump(&stored, to, observer, cancel)?;
    observer.on(Event::Finished(Phase::Restore));
    let losses = stored.losses();
    let lost = losses.stretches.iter().map(|lost| Problem {
        path: lost.last.as_bytes().into(),
        message: format!("{} entries up to here are lost: {}", lost.entries, lost.message),
    });
    Ok(ExportReport {
        entries: written.collections + written.views,
        bytes: written.bytes,
        skipped: 0,
        damaged_count: written.damaged.len() as u64 + losses.entries,
        damaged: written.damaged.into_iter().chain(lost).collect(),
        problems: written.problems,
    })
}

/// Where the one source stands of which something is selected.
fn source(view: &SnapshotView, selection: &Selection) -> Result<EntryPath, OpError> {
    let mut found: Vec<(&str, EntryPath)> = Vec::new();
    for source in view.manifest.sources.iter().filter(|source| source.kind == KIND) {
        let (prefix, selection) = (source.prefix.clone(), selection.clone());
        let options = RestoreOptions { prefix, selection };
        if Selected::new(view, &options)?.next_entry()?.is_some() {
            found.push((&source.url, options.prefix));
        }
    }
    match found.as_slice() {
        [(_, prefix)] => Ok(prefix.clone()),
        [] => Err(OpError::Usage(
            "the selected part of this snapshot has no ArangoDB database".into(),
        )),
        several => {
            let urls: Vec<_> = several.iter().map(|(url, _)| *url).collect();
            Err(OpError::Usage(format!(
                "a dump has one source, so select one of: {}",
                urls.join(", ")
            )))
        }
    }
}
