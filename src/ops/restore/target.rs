//! Where each source of a snapshot goes, and which importer takes it there.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fault::ErrorKind;
use crate::format::{EntryPath, SourceRecord};
use crate::progress::Cancel;
use crate::repo::SnapshotView;
use crate::source::files::FolderImporter;
use crate::source::sqlite::SqliteImporter;
use crate::source::{self, ImportReport, Importer, SourceError};

use super::super::OpError;
use super::RestoreOptions;
use super::select::{Selected, Selection};

/// One source of a snapshot and the folder it is restored into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreTarget {
    /// The source's kind: it decides on the importer.
    pub kind: String,
    /// Where its entries stand in the snapshot.
    pub prefix: EntryPath,
    /// Folder that the source is restored into.
    pub folder: PathBuf,
    /// The folder that was said, where `folder` is one of several in it.
    within: Option<PathBuf>,
}

impl RestoreTarget {
    /// With `to` a single source goes into that folder, several each into one of their own below it.
    /// Without, each goes to where it came from, but for those that came from [servers](ServerPart); one that
    /// came from no place stops nothing as long as nothing of it is selected.
    pub fn of(
        view: &SnapshotView,
        selection: &Selection,
        to: Option<&Path>,
    ) -> Result<Vec<Self>, OpError> {
        let mut targets = Vec::new();
        let servers = |source: &&SourceRecord| to.is_some() || !source::is_server(&source.kind);
        for source in view.manifest.sources.iter().filter(servers) {
            let (kind, prefix) = (source.kind.clone(), source.prefix.clone());
            let within = to.filter(|_| !prefix.is_root()).map(Path::to_owned);
            let folder = match to {
                Some(to) if prefix.is_root() => Some(to.to_owned()),
                Some(to) => Some(to.join(OsStr::from_bytes(prefix.as_bytes()))),
                None => original(source),
            };
            match folder {
                Some(folder) => targets.push(Self { kind, prefix, folder, within }),
                None if is_selected(view, &prefix, selection)? => {
                    let message =
                        format!("{} came from no folder, and needs a target folder", source.url);
                    return Err(OpError::Usage(message));
                }
                None => {}
            }
        }
        Ok(targets)
    }

    /// What writes it there, and where that says what it could not do.
    pub fn importer(
        &self,
        options: source::RestoreOptions,
        cancel: &Cancel,
    ) -> Result<(Box<dyn Importer>, Arc<ImportReport>), OpError> {
        Ok(match self.kind.as_str() {
            "sqlite" => {
                if self.within.is_some() && self.folder.is_symlink() {
                    return Err(self.is_no_folder().into());
                }
                let importer = SqliteImporter::new(&self.folder, options, cancel);
                let report = importer.report();
                (Box::new(importer), report)
            }
            _ => {
                let importer = match &self.within {
                    Some(within) => FolderImporter::within(within, self.prefix.as_bytes(), options),
                    None => FolderImporter::new(&self.folder, options),
                }?;
                let report = importer.report();
                (Box::new(importer), report)
            }
        })
    }

    fn is_no_folder(&self) -> SourceError {
        let path = self.folder.display().to_string();
        let message = "the target is not a folder".into();
        SourceError::Refused { kind: ErrorKind::Exists, path, message }
    }
}

/// One source of a snapshot that came from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPart {
    /// Kind of the source, as the manifest names it.
    pub kind: String,
    /// Where its entries stand in the snapshot.
    pub prefix: EntryPath,
    /// Where it came from, without secrets.
    pub url: String,
}

impl ServerPart {
    /// Those of which something is selected.
    pub fn of(view: &SnapshotView, selection: &Selection) -> Result<Vec<Self>, OpError> {
        let mut parts = Vec::new();
        for source in view.manifest.sources.iter().filter(|source| source::is_server(&source.kind))
        {
            let (kind, prefix) = (source.kind.clone(), source.prefix.clone());
            if is_selected(view, &prefix, selection)? {
                parts.push(Self { kind, prefix, url: source.url.clone() });
            }
        }
        Ok(parts)
    }
}

/// The folder a source's entries came from.
fn original(source: &SourceRecord) -> Option<PathBuf> {
    // A path that is not UTF-8 is a URL there, and no path.
    let place = Some(Path::new(&source.url)).filter(|place| place.is_absolute())?;
    match source.kind.as_str() {
        "folder" => Some(place.to_owned()),
        "file" | "sqlite" => place.parent().map(Path::to_owned),
        _ => None,
    }
}

fn is_selected(
    view: &SnapshotView,
    prefix: &EntryPath,
    selection: &Selection,
) -> Result<bool, OpError> {
    let options = RestoreOptions { prefix: prefix.clone(), selection: selection.clone() };
    let mut selected = Selected::new(view, &options)?;
    // What is lost was selected, for all that is known.
    Ok(selected.next_entry()?.is_some() || selected.losses().entries > 0)
}
