//! How bytes reach a disk so that they survive a power cut.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// How the names of unfinished files begin. No [`Key`](crate::storage::Key) begins so.
pub(super) const TEMPORARY_PREFIX: &str = ".put-";

/// The operations that durability is made of: a seam, so that a test can cut the power between any two.
pub(super) trait Disk {
    type File;

    fn make_folder(&self, path: &Path) -> io::Result<()>;
    fn create_new(&self, path: &Path) -> io::Result<Self::File>;
    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// The disk of this machine.
///
/// Files get mode 0600 and folders 0700, less what the umask takes: as with restic and borg a repository is
/// its owner's alone. Its bytes are sealed, but names, sizes and times are not, and who can write can
/// delete. Files stay writable for the owner, so that `rm -r` and rsync treat them like any other.
pub(super) struct RealDisk;

impl Disk for RealDisk {
    type File = File;

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            // Some network and FUSE file systems cannot sync a folder: there is nothing more to be had.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            done => done,
        }
    }
}

/// Puts and removes files below a root, durably.
pub(super) struct DurableTree<D> {
    disk: D,
    root: PathBuf,
    /// Folders whose way up to the root this handle has synced itself. That a folder exists is not enough: it
    /// may have been made a moment ago by a process that has not synced it yet.
    durable_folders: Mutex<HashSet<PathBuf>>,
}

impl<D: Disk> DurableTree<D> {
    pub(super) fn new(disk: D, root: PathBuf) -> Self {
        Self { disk, root, durable_folders: Mutex::new(HashSet::new()) }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Puts `bytes` at `relative`, replacing what is there. When it returns, they survive a power cut; cut
    /// before, `relative` holds what it held or all of `bytes`, never a part.
    ///
    /// Each step is on disk before the next begins: the folders on the way, the bytes under a hidden name in
    /// the folder they will stay in (so the rename never crosses file systems), the rename.
    pub(super) fn put(&self, relative: &Path, bytes: &[u8]) -> io::Result<()> {
        let target = self.root.join(relative);
        let folder = target.parent().unwrap_or(&self.root);
        let temporary = folder.join(temporary_name());
        let mut file = self.create_in(folder, &temporary)?;
        let written = self
            .disk
            .write(&mut file, bytes)
            .and_then(|()| self.disk.sync(&file))
            .and_then(|()| self.disk.rename(&temporary, &target));
        drop(file);
        if let Err(error) = written {
            // Best effort: what stays is hidden from `list` and swept when it is stale.
            let _ = self.disk.remove(&temporary);
            return Err(error);
        }
        self.disk.sync_folder(folder)
    }

    /// Removes files of the folder `folder`, each given with its number. `each` takes a file's number and result
    /// once the file stays removed after a power cut.
    pub(super) fn remove(
        &self,
        folder: &Path,
        files: &[(usize, &Path)],
        mut each: impl FnMut(usize, io::Result<()>),
    ) {
        let mut removed = Vec::new();
        for (number, relative) in files {
            match self.disk.remove(&self.root.join(relative)) {
                Err(error) if !is_absent(&error) => each(*number, Err(error)),
                // Also when it was gone already: whoever removed it may not have synced the folder yet.
                _ => removed.push(*number),
            }
        }
        let synced = match removed.is_empty() {
            true => Ok(()),
            false => self.disk.sync_folder(&self.root.join(folder)),
        };
        for number in removed {
            each(
                number,
                match &synced {
                    Err(error) if !is_absent(error) => {
                        Err(io::Error::new(error.kind(), error.to_string()))
                    }
                    _ => Ok(()),
                },
            );
        }
    }

    /// Creates a file in a folder, which is made, durably, if need be.
    fn create_in(&self, folder: &Path, path: &Path) -> io::Result<D::File> {
        self.make_durable(folder)?;
        match self.disk.create_new(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Somebody removed a folder this handle knew. Begin again from the root.
                self.durable_folders().clear();
                self.make_durable(folder)?;
                self.disk.create_new(path)
            }
            created => created,
        }
    }

    fn make_durable(&self, folder: &Path) -> io::Result<()> {
        if folder == self.root || self.durable_folders().contains(folder) {
            return Ok(());
        }
        if let Some(parent) = folder.parent() {
            self.make_durable(parent)?;
        }
        make_folder_durably(&self.disk, folder)?;
        self.durable_folders().insert(folder.to_owned());
        Ok(())
    }

    fn durable_folders(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.durable_folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a folder unless it is there, and its name in its parent durable. The parent must exist.
pub(super) fn make_folder_durably<D: Disk>(disk: &D, folder: &Path) -> io::Result<()> {
    match disk.make_folder(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    folder.parent().map_or(Ok(()), |parent| disk.sync_folder(parent))
}

/// Whether an error says that there is no such object. A folder of that name, or an object where a folder
/// should be on the way, means the same.
pub(super) fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | IsADirectory)
}

/// Two hosts may share the folder, so process numbers are not enough.
fn temporary_name() -> String {
    format!("{TEMPORARY_PREFIX}{:016x}", RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has room for half of what is written.
    struct FullDisk;

    impl Disk for FullDisk {
        type File = File;

        fn make_folder(&self, path: &Path) -> io::Result<()> {
            RealDisk.make_folder(path)
        }

        fn create_new(&self, path: &Path) -> io::Result<File> {
            RealDisk.create_new(path)
        }

        fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
            RealDisk.write(file, &bytes[..bytes.len() / 2])?;
            Err(io::ErrorKind::StorageFull.into())
        }

        fn sync(&self, file: &File) -> io::Result<()> {
            RealDisk.sync(file)
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            RealDisk.rename(from, to)
        }

        fn remove(&self, path: &Path) -> io::Result<()> {
            RealDisk.remove(path)
        }

        fn sync_folder(&self, path: &Path) -> io::Result<()> {
            RealDisk.sync_folder(path)
        }
    }

    #[test]
    fn a_full_disk_is_an_error_with_its_cause_and_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let tree = DurableTree::new(FullDisk, root.path().to_owned());
        let error = tree.put(Path::new("packs/one"), b"too much").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_dir(root.path().join("packs")).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_removed_under_us_is_made_again() {
        let root = tempfile::tempdir().unwrap();
        let tree = DurableTree::new(RealDisk, root.path().to_owned());
        tree.put(Path::new("a/b/one"), b"1").unwrap();
        fs::remove_dir_all(root.path().join("a")).unwrap();
        tree.put(Path::new("a/b/two"), b"2").unwrap();
        assert_eq!(fs::read(root.path().join("a/b/two")).unwrap(), b"2");
    }
}
