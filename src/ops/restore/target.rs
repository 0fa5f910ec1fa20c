//! Where each source of a snapshot goes, and which importer takes it there.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::{EntryPath, SourceRecord};
use crate::progress::Cancel;
use crate::source::files::FolderImporter;
use crate::source::sqlite::SqliteImporter;
use crate::source::{self, ImportReport, Importer};

use super::super::OpError;

/// One source of a snapshot and the folder it is restored into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreTarget {
    /// The source's kind: it decides on the importer.
    pub kind: String,
    /// Where its entries stand in the snapshot.
    pub prefix: EntryPath,
    pub folder: PathBuf,
}

impl RestoreTarget {
    /// With `to` a single source goes into that folder, several each into one of their own below it.
    /// Without, each goes to where it came from, if that is a place.
    pub fn of(sources: &[SourceRecord], to: Option<&Path>) -> Result<Vec<Self>, OpError> {
        let target = |source: &SourceRecord| {
            let folder = match to {
                Some(to) if source.prefix.is_root() => to.to_owned(),
                Some(to) => to.join(OsStr::from_bytes(source.prefix.as_bytes())),
                None => original(source)?,
            };
            Ok(Self { kind: source.kind.clone(), prefix: source.prefix.clone(), folder })
        };
        sources.iter().map(target).collect()
    }

    /// What writes it there, and where that says what it could not do.
    pub fn importer(
        &self,
        options: source::RestoreOptions,
        cancel: &Cancel,
    ) -> Result<(Box<dyn Importer>, Arc<ImportReport>), OpError> {
        Ok(match self.kind.as_str() {
            "sqlite" => {
                let importer = SqliteImporter::new(&self.folder, options, cancel);
                let report = importer.report();
                (Box::new(importer), report)
            }
            _ => {
                let importer = FolderImporter::new(&self.folder, options)?;
                let report = importer.report();
                (Box::new(importer), report)
            }
        })
    }
}

/// The folder a source's entries came from.
fn original(source: &SourceRecord) -> Result<PathBuf, OpError> {
    let place = Path::new(&source.url);
    let folder = match source.kind.as_str() {
        "folder" => Some(place),
        "file" | "sqlite" => place.parent(),
        _ => None,
    };
    folder.map(Path::to_owned).ok_or_else(|| {
        let (kind, url) = (&source.kind, &source.url);
        OpError::Usage(format!("{kind} {url:?} came from no folder: say where with --to FOLDER"))
    })
}
