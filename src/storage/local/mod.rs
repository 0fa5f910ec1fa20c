//! Objects as files below a folder.

mod durable;
#[cfg(test)]
mod power_cut;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use self::durable::{DurableTree, RealDisk, TEMPORARY_PREFIX, is_absent, make_folder_durably};
use super::{EachDelete, Key, Listed, Operation, Storage, StorageError};

/// A temporary file this old, by the file system's own time, belongs to nobody any more.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Folders that are emptied and synced at once: file systems commit several syncs together.
const DELETERS: usize = 4;

/// A folder on a local disk or a mounted file system.
///
/// Opening, `get`, `get_range` and `list` write nothing, so a repository on read-only media works. An object
/// `a/b/c` is the file `a/b/c`; files whose names are no [`Key`] (`lost+found`, hidden ones) are not objects.
pub struct Local {
    tree: DurableTree<RealDisk>,
}

enum Found {
    Object(Listed),
    Temporary { path: PathBuf, written: SystemTime },
}

impl Local {
    /// The folder at `path`, made if it is missing, along with its parents. An existing one is taken as it is.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        let path = path.as_ref();
        let failed = |source| failed(Operation::Open, path, source);
        let root = std::path::absolute(path).map_err(failed)?;
        let missing: Vec<&Path> = root.ancestors().take_while(|folder| !folder.exists()).collect();
        for folder in missing.into_iter().rev() {
            make_folder_durably(&RealDisk, folder).map_err(failed)?;
        }
        Self::open(path)
    }

    /// The folder at `path`, which must exist and be readable. Writes nothing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        let path = path.as_ref();
        let failed = |source| failed(Operation::Open, path, source);
        let root = std::path::absolute(path).map_err(failed)?;
        let metadata = fs::metadata(&root).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => failed(io::Error::new(error.kind(), "no such folder")),
            _ => failed(error),
        })?;
        if !metadata.is_dir() {
            let source = io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder");
            return Err(failed(source));
        }
        // Reading it now tells of missing permission here, not in the middle of a backup.
        fs::read_dir(&root).map_err(failed)?;
        Ok(Self { tree: DurableTree::new(RealDisk, root) })
    }

    /// The file system's own time, which on a network share is not the host's: that of a fresh file.
    fn now(&self) -> Result<SystemTime, StorageError> {
        let fresh = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .tempfile_in(self.tree.root())
            .and_then(|file| file.as_file().metadata()?.modified());
        fresh.map_err(|source| failed(Operation::Put, self.tree.root(), source))
    }

    /// A missing prefix is an empty list, but a missing repository (an unmounted disk) is none.
    fn still_there(&self) -> Result<(), StorageError> {
        let root = self.tree.root();
        fs::metadata(root).map(drop).map_err(|error| failed(Operation::List, root, error))
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.tree.root().join(key.as_str())
    }

    fn missing(&self, key: &Key) -> StorageError {
        StorageError::Missing { place: self.describe(), key: key.clone() }
    }

    /// Opens an object and says how long it is.
    fn open_object(&self, key: &Key) -> Result<(File, u64), StorageError> {
        let path = self.path(key);
        let opened = File::open(&path).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((file, metadata))
        });
        match opened {
            Ok((_, metadata)) if metadata.is_dir() => Err(self.missing(key)),
            Ok((file, metadata)) => Ok((file, metadata.len())),
            Err(error) if is_absent(&error) => Err(self.missing(key)),
            Err(error) => Err(failed(Operation::Get, &path, error)),
        }
    }

    /// Reads exactly `len` bytes at `offset` of an open object of `file_len` bytes.
    fn read(
        &self,
        key: &Key,
        (file, file_len): (File, u64),
        offset: u64,
        len: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        let short =
            |found| StorageError::Short { key: key.clone(), offset, expected: len as u64, found };
        // Before the buffer grows: a length from a damaged record must not allocate what is not there.
        if offset.checked_add(len as u64).is_none_or(|end| end > file_len) {
            return Err(short(file_len));
        }
        // What was in it is overwritten: clearing it first would only cost a pass of zeros.
        buffer.resize(len, 0);
        file.read_exact_at(buffer, offset).map_err(|error| {
            match error.kind() {
                // It was cut short after it was opened.
                io::ErrorKind::UnexpectedEof => {
                    short(file.metadata().map_or(offset, |now| now.len()))
                }
                _ => failed(Operation::Get, &self.path(key), error),
            }
        })
    }

    /// Visits every object and temporary file below the folder `start`. What vanishes meanwhile is skipped.
    fn walk(&self, start: String, each: &mut dyn FnMut(Found)) -> Result<(), StorageError> {
        let mut folders = vec![start];
        while let Some(folder) = folders.pop() {
            let path = self.tree.root().join(&folder);
            let entries = match fs::read_dir(&path) {
                Err(error) if is_absent(&error) => continue,
                entries => entries.map_err(|error| failed(Operation::List, &path, error))?,
            };
            for entry in entries {
                let entry = match entry {
                    Err(error) if is_absent(&error) => continue,
                    entry => entry.map_err(|error| failed(Operation::List, &path, error))?,
                };
                self.visit(&folder, &entry, &mut folders, each)?;
            }
        }
        Ok(())
    }

    fn visit(
        &self,
        folder: &str,
        entry: &fs::DirEntry,
        folders: &mut Vec<String>,
        each: &mut dyn FnMut(Found),
    ) -> Result<(), StorageError> {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { return Ok(()) };
        let is_temporary = name.starts_with(TEMPORARY_PREFIX);
        let text = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let key = Key::new(text);
        if key.is_err() && !is_temporary {
            return Ok(());
        }
        // Follows links: part of a repository may have been moved to another disk. A link in a circle ends
        // where its path is too long for a key.
        let path = entry.path();
        let metadata = match fs::metadata(&path) {
            // Gone since it was listed; a link that is still there leads to a disk that is not.
            Err(error) if is_absent(&error) && !is_link(&path) => return Ok(()),
            metadata => metadata.map_err(|error| failed(Operation::List, &path, error))?,
        };
        let stored = metadata.modified().map_err(|error| failed(Operation::List, &path, error))?;
        match key {
            Ok(key) if metadata.is_dir() => folders.push(key.as_str().to_owned()),
            Ok(key) if metadata.is_file() => {
                each(Found::Object(Listed { key, len: metadata.len(), stored }));
            }
            Err(_) if metadata.is_file() => each(Found::Temporary { path, written: stored }),
            _ => {}
        }
        Ok(())
    }
}

impl Storage for Local {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), StorageError> {
        self.tree
            .put(Path::new(key.as_str()), bytes)
            .map_err(|error| failed(Operation::Put, &self.path(key), error))
    }

    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, StorageError> {
        let (file, found) = self.open_object(key)?;
        let too_long = || StorageError::TooLong { key: key.clone(), limit, found };
        if found > limit {
            return Err(too_long());
        }
        let len = usize::try_from(found).map_err(|_| too_long())?;
        let mut bytes = Vec::new();
        self.read(key, (file, found), 0, len, &mut bytes)?;
        Ok(bytes)
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        len: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        let read =
            self.open_object(key).and_then(|object| self.read(key, object, offset, len, buffer));
        // Nobody takes what an earlier read left for what this one did not find.
        read.inspect_err(|_| buffer.clear())
    }

    fn stat(&self, key: &Key) -> Result<Listed, StorageError> {
        let path = self.path(key);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => listed(key, &metadata, Operation::Stat, &path),
            Ok(_) => Err(self.missing(key)),
            Err(error) if is_absent(&error) => Err(self.missing(key)),
            Err(error) => Err(failed(Operation::Stat, &path, error)),
        }
    }

    fn list(&self, prefix: &Key, each: &mut dyn FnMut(Listed)) -> Result<(), StorageError> {
        let path = self.path(prefix);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                each(listed(prefix, &metadata, Operation::List, &path)?);
                Ok(())
            }
            Ok(_) => self.walk(prefix.as_str().to_owned(), &mut |found| {
                if let Found::Object(listed) = found {
                    each(listed);
                }
            }),
            Err(error) if is_absent(&error) && !is_link(&path) => self.still_there(),
            Err(error) => Err(failed(Operation::List, &path, error)),
        }
    }

    fn delete(&self, key: &Key) -> Result<(), StorageError> {
        let mut result = Ok(());
        self.delete_many(std::slice::from_ref(key), &mut |_, deleted| result = deleted);
        result
    }

    /// Removes folder by folder, several at once, and syncs each folder only once.
    fn delete_many(&self, keys: &[Key], each: &mut EachDelete<'_>) {
        let mut folders: BTreeMap<&Path, Vec<(usize, &Path)>> = BTreeMap::new();
        for (number, key) in keys.iter().enumerate() {
            let path = Path::new(key.as_str());
            let folder = path.parent().unwrap_or(Path::new(""));
            folders.entry(folder).or_default().push((number, path));
        }
        let mut deleted = |number: usize, result: io::Result<()>| {
            let error = |error| match keys.get(number) {
                Some(key) => failed(Operation::Delete, &self.path(key), error),
                None => failed(Operation::Delete, self.tree.root(), error),
            };
            each(number, result.map_err(error));
        };
        if folders.len() < 2 {
            for (folder, files) in folders {
                self.tree.remove(folder, &files, &mut deleted);
            }
            return;
        }
        let threads = folders.len().min(DELETERS);
        let folders = Mutex::new(folders.into_iter());
        let (done, results) = crossbeam_channel::unbounded();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (folders, done) = (&folders, done.clone());
                scope.spawn(move || {
                    let next = || folders.lock().unwrap_or_else(PoisonError::into_inner).next();
                    while let Some((folder, files)) = next() {
                        self.tree.remove(folder, &files, |number, result| {
                            // The receiver outlives this scope.
                            let _ = done.send((number, result));
                        });
                    }
                });
            }
            drop(done);
            results.iter().for_each(|(number, result)| deleted(number, result));
        });
    }

    /// Files of puts that were cut off more than a day ago.
    fn sweep_stale(&self) -> Result<usize, StorageError> {
        let now = self.now()?;
        let mut stale = Vec::new();
        self.walk(String::new(), &mut |found| {
            if let Found::Temporary { path, written } = found
                && now.duration_since(written).is_ok_and(|age| age > STALE_AFTER)
            {
                stale.push(path);
            }
        })?;
        Ok(stale.iter().filter(|path| fs::remove_file(path).is_ok()).count())
    }

    fn describe(&self) -> String {
        self.tree.root().display().to_string()
    }
}

fn listed(
    key: &Key,
    metadata: &fs::Metadata,
    operation: Operation,
    path: &Path,
) -> Result<Listed, StorageError> {
    let stored = metadata.modified().map_err(|error| failed(operation, path, error))?;
    Ok(Listed { key: key.clone(), len: metadata.len(), stored })
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

fn failed(operation: Operation, path: &Path, source: io::Error) -> StorageError {
    StorageError::Io { operation, path: path.display().to_string(), source }
}
