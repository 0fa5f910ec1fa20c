//! The folder of a cache, and who may do what in it.
//!
//! ```text
//! lock            held by the process that writes `db`, the primary
//! db/             the cache
//! damaged         a look-up found `db` damaged: the next primary starts anew
//! private.lock    held for a moment while a private folder is made or removed
//! private-*/      what a process keeps for itself while another is the primary; its `lock` is held
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

const PRIVATE: &str = "private-";

pub(super) struct Folder {
    path: PathBuf,
}

/// A folder that goes with its owner. Declared after what lies in it, it is dropped after it.
pub(super) struct PrivateFolder {
    folder: TempDir,
    _lock: File,
}

impl PrivateFolder {
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// How often the lock is tried.
const PATIENCE: u32 = 10;

impl Folder {
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self { path: path.to_owned() })
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join("db")
    }

    /// The right to write `db`, for as long as the file is open; `None` if somebody else has it. A process
    /// that dies loses it.
    pub(super) fn become_primary(&self) -> io::Result<Option<File>> {
        let lock = open_lock(&self.path.join("lock"))?;
        // Whoever starts a program holds a second copy of every open file for a moment: also of a lock just let go.
        for _ in 0..PATIENCE {
            match lock.try_lock() {
                Ok(()) => return Ok(Some(lock)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    pub(super) fn is_marked_damaged(&self) -> bool {
        self.damage_marker().exists()
    }

    pub(super) fn mark_damaged(&self) -> io::Result<()> {
        File::create(self.damage_marker()).map(drop)
    }

    pub(super) fn clear_damaged(&self) -> io::Result<()> {
        match fs::remove_file(self.damage_marker()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn make_private(&self) -> io::Result<PrivateFolder> {
        let making = open_lock(&self.path.join("private.lock"))?;
        making.lock()?;
        let folder = tempfile::Builder::new().prefix(PRIVATE).tempdir_in(&self.path)?;
        let lock = open_lock(&folder.path().join("lock"))?;
        lock.lock()?;
        Ok(PrivateFolder { folder, _lock: lock })
    }

    /// Removes private folders of processes that died, as far as that goes.
    pub(super) fn sweep_private(&self) {
        let Ok(making) = open_lock(&self.path.join("private.lock")) else { return };
        if making.try_lock().is_err() {
            return;
        }
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        for entry in entries {
            let is_private = entry.file_name().to_string_lossy().starts_with(PRIVATE);
            let has_owner =
                || open_lock(&entry.path().join("lock")).is_ok_and(|lock| lock.try_lock().is_err());
            if is_private && !has_owner() {
                tracing::debug!("removing {}: its process is gone", entry.path().display());
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    fn damage_marker(&self) -> PathBuf {
        self.path.join("damaged")
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}
