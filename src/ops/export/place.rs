//! Where an export comes about, and how it gets its name.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::fault::ErrorKind;
use crate::format::EntryPath;
use crate::source::SourceError;

use super::super::OpError;
use super::{MANIFEST, describe};

/// Beside the target: renaming is then one step. Dropped unpublished, it is gone again.
pub(super) struct Place {
    target: PathBuf,
    parent: PathBuf,
    folder: TempDir,
    replaces: bool,
}

/// What stands at the target.
enum Found {
    Nothing,
    Empty,
    Export,
    Other,
}

impl Place {
    pub fn new(target: &Path, replace: bool) -> Result<Self, OpError> {
        let target = std::path::absolute(target).map_err(|e| failed("find", target, e))?;
        let exists = |what: &str| OpError::TargetExists {
            place: target.display().to_string(),
            what: what.into(),
        };
        let replaces = match look(&target)? {
            Found::Nothing | Found::Empty => false,
            Found::Export if replace => true,
            Found::Export => return Err(exists("holds an earlier export")),
            Found::Other => return Err(exists("exists and is not an export")),
        };
        let parent = target.parent().unwrap_or(Path::new("/")).to_path_buf();
        std::fs::create_dir_all(&parent).map_err(|e| failed("create", &parent, e))?;
        let folder = temporary(&parent)?;
        Ok(Self { target, parent, folder, replaces })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes everything durable, then gives it its name.
    pub fn publish(self) -> Result<(), OpError> {
        let sync = |path: &Path, whole: bool| -> io::Result<()> {
            let folder = File::open(path)?;
            if whole {
                rustix::fs::syncfs(&folder)?;
            }
            folder.sync_all()
        };
        sync(self.folder(), true).map_err(|e| failed("sync", self.folder(), e))?;
        // The earlier one moves into a folder that goes when this function ends.
        let old = match self.replaces {
            true => Some(temporary(&self.parent)?),
            false => None,
        };
        let renamed = |from: &Path, to: &Path| {
            std::fs::rename(from, to).map_err(|e| failed("rename", from, e))
        };
        if let Some(old) = &old {
            renamed(&self.target, &old.path().join("old"))?;
        }
        if let Err(error) = renamed(self.folder(), &self.target) {
            if let Some(old) = &old {
                renamed(&old.path().join("old"), &self.target)?;
            }
            return Err(error);
        }
        // Renamed: there is nothing left to remove.
        let _ = self.folder.keep();
        sync(&self.parent, false).map_err(|e| failed("sync", &self.parent, e))
    }
}

fn temporary(parent: &Path) -> Result<TempDir, OpError> {
    let made = tempfile::Builder::new().prefix(".restow-export-").tempdir_in(parent);
    made.map_err(|e| failed("create a folder in", parent, e))
}

fn look(target: &Path) -> Result<Found, OpError> {
    match std::fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(failed("look at", target, error)),
        Ok(found) if !found.is_dir() => return Ok(Found::Other),
        Ok(_) => {}
    }
    let mut inside = std::fs::read_dir(target).map_err(|e| failed("list", target, e))?;
    if inside.next().is_none() {
        return Ok(Found::Empty);
    }
    match File::open(target.join(MANIFEST)) {
        Ok(manifest) if describe::is_export(&manifest) => Ok(Found::Export),
        _ => Ok(Found::Other),
    }
}

pub(super) fn os_path(path: &EntryPath) -> &Path {
    Path::new(OsStr::from_bytes(path.as_bytes()))
}

pub(super) fn failed(action: &'static str, path: &Path, source: io::Error) -> OpError {
    SourceError::Io { action, path: path.display().to_string(), source }.into()
}

pub(super) fn refused(path: &Path, message: String) -> OpError {
    let (kind, path) = (ErrorKind::Failed, path.display().to_string());
    SourceError::Refused { kind, path, message }.into()
}
