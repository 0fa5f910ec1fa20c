//! The exporter of a dump that lies on a disk.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::archive::{Packing, unpack};
use super::folder::{Dump, is_dump, subfolders};
use super::session::DumpSession;
use crate::fault::ErrorKind;
use crate::progress::Cancel;
use crate::source::arangodb::SortOptions;
use crate::source::arangodb::failure::{io_failed, refused};
use crate::source::{Description, Exporter, Session, SourceError, temporary, url};

/// How a dump is read.
#[derive(Debug, Clone, Default)]
pub struct ArangodumpOptions {
    pub sort: SortOptions,
    /// The source that this is a backup of, instead of the dump's place: what later ones find it as their
    /// parent by.
    pub identity: Option<String>,
}

/// Reads what arangodump wrote: a folder, a folder of such for several databases, or a tar archive of either.
pub struct ArangodumpExporter {
    path: PathBuf,
    databases: Arc<BTreeMap<String, Dump>>,
    options: ArangodumpOptions,
    /// What was unpacked, as long as somebody may read it.
    _unpacked: Option<TempDir>,
}

/// Whether a path looks like a dump, or like an archive that may be one.
pub fn is_arangodump(path: &Path) -> bool {
    match path.is_dir() {
        true => is_dump(path) || subfolders(path).is_ok_and(|all| all.iter().any(|it| is_dump(it))),
        false => Packing::of(path).is_ok_and(|packing| packing.is_some()),
    }
}

impl ArangodumpExporter {
    /// Looks through all of it but the documents. What is missing or cannot be read is told here.
    pub fn new(
        path: impl AsRef<Path>,
        options: ArangodumpOptions,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        let path = path.as_ref();
        refuse_secrets(options.identity.as_deref())?;
        let path = path.canonicalize().map_err(io_failed("find", path))?;
        let (unpacked, root) = if path.is_dir() {
            (None, path.clone())
        } else {
            let Some(packing) = Packing::of(&path).map_err(io_failed("read", &path))? else {
                let message =
                    "is neither a folder nor a tar archive (.tar, .tar.gz): no arangodump";
                return Err(refused(ErrorKind::Usage, &path.display().to_string(), message));
            };
            let folder = temporary::folder(options.sort.temp_dir.as_deref());
            let (unpacked, root) = unpack(&path, packing, &folder, cancel)?;
            (Some(unpacked), root)
        };
        let dumps = Dump::all(&root).map_err(|error| named(error, &root, &path))?;
        for ignored in dumps.iter().flat_map(|dump| &dump.ignored) {
            tracing::warn!("{} is no file of a dump: left out", ignored.display());
        }
        let databases = dumps.into_iter().map(|dump| (dump.database.clone(), dump)).collect();
        Ok(Self { path, databases: Arc::new(databases), options, _unpacked: unpacked })
    }
}

/// A source's name is stored and shown.
fn refuse_secrets(identity: Option<&str>) -> Result<(), SourceError> {
    let authority = identity
        .and_then(|identity| identity.split_once("://"))
        .and_then(|(_, rest)| rest.split('/').next());
    match authority.is_some_and(|authority| authority.contains('@')) {
        false => Ok(()),
        true => {
            let message =
                "leave user and password out of the URL: a source's name is stored and shown";
            Err(refused(ErrorKind::Usage, "the source's name", message))
        }
    }
}

/// What was unpacked is named by the archive it came from.
fn named(error: SourceError, root: &Path, path: &Path) -> SourceError {
    match error {
        SourceError::Refused { kind, path: file, message } if root != path => {
            let inside = Path::new(&file).strip_prefix(root).map(|it| it.display().to_string());
            let inside = inside.unwrap_or_default();
            let path = match inside.as_str() {
                "" => path.display().to_string(),
                inside => format!("{}: {inside}", path.display()),
            };
            SourceError::Refused { kind, path, message }
        }
        other => other,
    }
}

impl Exporter for ArangodumpExporter {
    fn describe(&self) -> Description {
        let mut names = self.databases.keys();
        let label = match (names.next(), names.next()) {
            (Some(one), None) => one.clone(),
            _ => self
                .path
                .file_name()
                .map_or("arangodb".to_owned(), |name| name.to_string_lossy().into_owned()),
        };
        let place = || url::of_file(self.path.as_os_str().as_bytes());
        Description {
            kind: "arangodb".to_owned(),
            url: self.options.identity.clone().unwrap_or_else(place),
            label: label.replace(['/', '\0'], "_"),
        }
    }

    fn open(&self, cancel: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        let (databases, sort) = (Arc::clone(&self.databases), self.options.sort.clone());
        Ok(Box::new(DumpSession::new(databases, sort, cancel.clone())?))
    }
}
