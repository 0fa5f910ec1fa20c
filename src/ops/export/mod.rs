//! A snapshot as plain files, for those who have no restow: `files/` with every entry's bytes, `manifest.json`
//! with what the snapshot is, `entries.jsonl` with a line for each entry. `docs/EXPORT.md` has the details.

#[cfg(feature = "servers")]
mod arangodump;
mod describe;
mod files;
mod place;
#[cfg(feature = "servers")]
mod qdrant;

#[cfg(feature = "servers")]
pub use qdrant::{ExportedSnapshot, NameTemplate, QdrantExportOptions, export_qdrant};

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::format::{EntryKind, EntryPath, Problem};
use crate::options::options;
use crate::progress::{Cancel, Observer};
use crate::repo::SnapshotView;
use crate::source::RestoreOptions as FolderRestore;
use crate::source::files::FolderImporter;

#[cfg(feature = "servers")]
pub use self::arangodump::export_arangodump;
use self::files::ExportImporter;
use self::place::Place;
use super::OpError;
use super::restore::{RestoreOptions, RestoreReport, Selected, restore};

pub(super) const FILES: &str = "files";
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const ENTRIES: &str = "entries.jsonl";

options! {
    /// What is exported, and over what.
    #[derive(Default)]
    pub struct ExportOptions {
        /// The part of the snapshot to export.
        pub part: RestoreOptions,
        /// Put the export in the place of an earlier one. Nothing else is ever replaced.
        pub replace: bool,
    }
}

/// What an export came to.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ExportReport {
    /// Entries that were written.
    pub entries: u64,
    /// Bytes of their contents.
    pub bytes: u64,
    /// Fifos, sockets and devices: listed, not made.
    pub skipped: u64,
    /// Entries with bytes that are lost: the repository is damaged. They are listed with what was saved.
    pub damaged: Vec<Problem>,
    /// All entries with lost bytes.
    pub damaged_count: u64,
    /// What the file system did not take: owners, extended attributes.
    pub problems: Vec<Problem>,
}

impl ExportReport {
    fn of(restored: &RestoreReport) -> Self {
        let lost = restored.losses.stretches.iter().map(|lost| Problem {
            path: lost.last.as_bytes().into(),
            message: format!("{} entries up to here are lost: {}", lost.entries, lost.message),
        });
        Self {
            damaged: restored.damaged.iter().cloned().chain(lost).collect(),
            damaged_count: restored.damaged_count + restored.losses.entries,
            problems: restored.problems.clone(),
            ..Self::default()
        }
    }
}

/// Writes a snapshot into the folder `to`, which must not be there or be empty. It appears whole: everything
/// is written beside it, verified, made durable, and then gets its name.
pub fn export(
    view: &SnapshotView,
    to: &Path,
    options: &ExportOptions,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<ExportReport, OpError> {
    let place = Place::new(to, options.replace)?;
    let folder = place.folder().join(FILES);
    let importer = FolderImporter::new(&folder, FolderRestore::default())?;
    let import_report = importer.report();
    // An empty snapshot has its folder, too.
    std::fs::create_dir(&folder).map_err(|source| place::failed("create", &folder, source))?;
    let importer = Box::new(ExportImporter::new(importer));
    let restored = restore(view, importer, &options.part, observer, cancel)?;
    let mut report = ExportReport::of(&restored);
    report.problems.extend(import_report.problems());
    list_entries(view, place.folder(), options, &restored, cancel, &mut report)?;
    let path = place.folder().join(MANIFEST);
    let text = describe::manifest(view, &report)?;
    std::fs::write(&path, text).map_err(|source| place::failed("write", &path, source))?;
    if cancel.is_cancelled() {
        return Err(OpError::Interrupted);
    }
    place.publish()?;
    Ok(report)
}

/// Reads back what was written: every entry's line has the length and the BLAKE3 of its file.
fn list_entries(
    view: &SnapshotView,
    folder: &Path,
    options: &ExportOptions,
    restored: &RestoreReport,
    cancel: &Cancel,
    report: &mut ExportReport,
) -> Result<(), OpError> {
    let path = folder.join(ENTRIES);
    let failed = |source| place::failed("write", &path, source);
    let mut out = BufWriter::new(File::create(&path).map_err(failed)?);
    let is_named = |path: &EntryPath, problems: &[Problem], count: u64| {
        let named = |problem: &Problem| *problem.path == *path.as_bytes();
        // Beyond the limit of the list any may be.
        count > problems.len() as u64 || problems.iter().any(named)
    };
    let is_damaged = |path: &EntryPath| is_named(path, &restored.damaged, restored.damaged_count);
    let is_unmade = |path: &EntryPath| is_named(path, &restored.problems, restored.problem_count);
    let write = |out: &mut BufWriter<File>, line: &describe::Line| {
        let text = describe::json(line)?;
        out.write_all(&text).and_then(|()| out.write_all(b"\n")).map_err(failed)
    };
    let mut selected = Selected::new(view, &options.part)?;
    while let Some(entry) = selected.next_entry()? {
        if cancel.is_cancelled() {
            return Err(OpError::Interrupted);
        }
        report.entries += 1;
        let mut line = describe::Line::new(&entry);
        match &entry.kind {
            EntryKind::File | EntryKind::Stream { .. } => {
                let name = files::exported_path(&entry);
                let file = folder.join(FILES).join(place::os_path(&name));
                let (len, hash) = match files::read_back(&file)? {
                    Some(found) => found,
                    None if is_unmade(&entry.path) => {
                        write(&mut out, &line)?;
                        continue;
                    }
                    None => return Err(place::refused(&file, "is gone again".into())),
                };
                if len != entry.len() && !is_damaged(&entry.path) {
                    let what = format!("has {len} bytes, expected {}", entry.len());
                    return Err(place::refused(&file, what));
                }
                report.bytes += len;
                line.set_written(&name, len, &hash);
            }
            EntryKind::Directory | EntryKind::Symlink { .. } => {}
            _ => report.skipped += 1,
        }
        write(&mut out, &line)?;
    }
    out.flush().map_err(failed)
}
