//! The exporter of a folder or of a single file.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat};

use super::attributes::file_type;
use super::beneath::c_name;
use super::exclude::{Excludes, FolderOptions, SETTLE};
use super::failure::{failed, refused};
use super::walk::Walk;
use crate::fault::ErrorKind;
use crate::format::Time;
use crate::progress::Cancel;
use crate::source::url;
use crate::source::{Description, Estimate, Exporter, Item, Session, SourceError};

/// Reads a folder with all it contains, or one file.
pub struct FolderExporter {
    path: PathBuf,
    is_folder: bool,
    options: FolderOptions,
}

impl FolderExporter {
    /// `path` may be a symbolic link: it is followed, once, here. Wrong options are told here, too.
    pub fn new(path: impl AsRef<Path>, options: FolderOptions) -> Result<Self, SourceError> {
        let path = path.as_ref();
        let canonical = path.canonicalize().map_err(|source| SourceError::Io {
            action: "find",
            path: path.display().to_string(),
            source,
        })?;
        Excludes::new(&options)?;
        let is_folder = is_folder(&canonical)?;
        Ok(Self { path: canonical, is_folder, options })
    }

    fn bytes(&self) -> &[u8] {
        self.path.as_os_str().as_bytes()
    }

    /// The folder to read, and the only name of it that is meant, if one is.
    fn open_root(&self) -> Result<(OwnedFd, Option<CString>), SourceError> {
        if is_folder(&self.path)? != self.is_folder {
            let message = "changed between a folder and a file";
            return Err(refused(ErrorKind::Failed, self.bytes(), message));
        }
        let (folder, name) = if self.is_folder {
            (self.path.as_path(), None)
        } else {
            let name = self.path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
            let name = c_name(name).map_err(|errno| failed("open", self.bytes(), errno))?;
            (self.path.parent().unwrap_or(Path::new("/")), Some(name))
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, folder, flags, Mode::empty())
            .map_err(|errno| failed("open", folder.as_os_str().as_bytes(), errno))?;
        Ok((root, name))
    }
}

impl Exporter for FolderExporter {
    fn describe(&self) -> Description {
        Description {
            kind: if self.is_folder { "folder" } else { "file" }.to_owned(),
            url: url::of_path(self.bytes()),
            label: (self.path.file_name())
                .map_or("root".to_owned(), |name| url::label(name.as_bytes())),
        }
    }

    /// A walk of its own: names and sizes, no bytes.
    fn estimate(&self, cancel: &Cancel) -> Result<Option<Estimate>, SourceError> {
        let mut estimate = Estimate::default();
        let mut session = self.open(cancel)?;
        while let Some(item) = session.next()? {
            if let Item::Entry(found) = item {
                estimate.entries += 1;
                estimate.bytes += found.size_hint;
            }
        }
        Ok(Some(estimate))
    }

    fn open(&self, cancel: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        let (root, name) = self.open_root()?;
        let walk = Walk::new(
            root,
            name,
            &self.options,
            settled_before(SystemTime::now(), self.options.settle.unwrap_or(SETTLE)),
            cancel.clone(),
        )?;
        Ok(Box::new(walk))
    }
}

fn is_folder(path: &Path) -> Result<bool, SourceError> {
    let bytes = path.as_os_str().as_bytes();
    let stat =
        statat(CWD, path, AtFlags::empty()).map_err(|errno| failed("look at", bytes, errno))?;
    match file_type(&stat) {
        FileType::Directory => Ok(true),
        FileType::RegularFile => Ok(false),
        _ => Err(refused(ErrorKind::Usage, bytes, "neither a folder nor a file")),
    }
}

/// Files last touched up to here can be told unchanged by their times.
fn settled_before(start: SystemTime, settle: Duration) -> Time {
    let settled = start.checked_sub(settle).unwrap_or(UNIX_EPOCH);
    let since = settled.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Time { seconds, nanos: since.subsec_nanos() }
}
