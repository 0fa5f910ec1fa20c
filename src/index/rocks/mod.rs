//! The index as a RocksDB in the user's cache folder: disposable, bounded in memory, one for each repository.
//!
//! `folder` says who may write, `database` how RocksDB is set up, `rows` what lies in it, `cache` how rows
//! and the listing in memory go together. Here they become an index that works for every process at once.

mod cache;
mod database;
mod folder;
mod rows;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use rocksdb::Cache;

use crate::format::{Codec, IndexRecord};
use crate::id::{BaseId, ChunkId, ObjectId, RepositoryId, SnapshotId};

use self::cache::IndexCache;
use self::folder::{Folder, PrivateFolder};
use super::{Base, ChunkIndex, IndexError, IngestedObject, Location};

/// What a handle does in the cache's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheRole {
    /// It reads and writes the cache; what it takes in stays.
    Primary,
    /// Another handle is the primary: it reads the cache as it stood on disk at its opening, and keeps what it
    /// takes in to itself.
    Overlay,
    /// It could not even read the cache, and keeps all to itself.
    Private,
}

/// A RocksDB index cache. Any number of handles, in any number of processes of a host, may be open at once.
pub struct RocksIndex {
    own: IndexCache,
    /// The primary's, read only.
    shared: Option<IndexCache>,
    /// After the databases, so that it is removed when they are closed.
    private: Option<PrivateFolder>,
    /// Last of all: whoever gets it next may open the database at once.
    _primary: Option<File>,
    folder: Folder,
}

impl RocksIndex {
    /// Opens the cache in `dir` for a repository. A missing, stale, damaged or foreign one is deleted and begun
    /// anew, so [`ChunkIndex::ingested`] may well be empty.
    ///
    /// An error means that nothing can be kept in `dir`; [`MemoryIndex`](super::MemoryIndex) works
    /// everywhere.
    pub fn open(dir: &Path, repository: RepositoryId) -> Result<Self, IndexError> {
        let unusable = |error: std::io::Error| IndexError::Cache {
            path: dir.to_owned(),
            message: format!("cannot keep anything there: {error}"),
        };
        let folder = Folder::make(dir).map_err(unusable)?;
        let blocks = database::block_cache();
        match folder.become_primary() {
            Ok(Some(lock)) => Self::open_primary(folder, lock, repository, &blocks),
            Ok(None) => {
                let private = folder.make_private().map_err(unusable)?;
                let shared = open_shared(&folder, &private, repository, &blocks);
                Self::open_private(folder, private, shared, repository, &blocks)
            }
            // Some network file systems have no locks.
            Err(error) => {
                tracing::debug!("index cache {}: cannot lock it: {error}", dir.display());
                let private = folder.make_private().map_err(unusable)?;
                Self::open_private(folder, private, None, repository, &blocks)
            }
        }
    }

    /// What this handle became when it was opened.
    pub fn role(&self) -> CacheRole {
        match (&self.private, &self.shared) {
            (None, _) => CacheRole::Primary,
            (Some(_), Some(_)) => CacheRole::Overlay,
            (Some(_), None) => CacheRole::Private,
        }
    }

    fn open_primary(
        folder: Folder,
        lock: File,
        repository: RepositoryId,
        blocks: &Cache,
    ) -> Result<Self, IndexError> {
        folder.sweep_private();
        let path = folder.database();
        let opened = if !path.exists() {
            Err("there is none yet".to_owned())
        } else if folder.is_marked_damaged() {
            Err("a look-up found it damaged".to_owned())
        } else {
            IndexCache::open(&path, repository, blocks)
        };
        let own = match opened {
            Ok(own) => own,
            Err(reason) => {
                tracing::debug!("index cache {}: begun anew: {reason}", path.display());
                let own = IndexCache::create(&path, repository, blocks)?;
                folder.clear_damaged().map_err(|error| cannot_mark(&path, &error))?;
                own
            }
        };
        tracing::debug!("index cache {}: primary", path.display());
        Ok(Self { own, shared: None, private: None, _primary: Some(lock), folder })
    }

    fn open_private(
        folder: Folder,
        private: PrivateFolder,
        shared: Option<IndexCache>,
        repository: RepositoryId,
        blocks: &Cache,
    ) -> Result<Self, IndexError> {
        let own = IndexCache::create(&private.path().join("db"), repository, blocks)?;
        let index = Self { own, shared, private: Some(private), _primary: None, folder };
        let role = match index.role() {
            CacheRole::Overlay => "another handle is writing; secondary, with an overlay",
            _ => "another handle is writing; a private cache",
        };
        tracing::debug!("index cache {}: {role}", index.folder.database().display());
        Ok(index)
    }

    /// Sees to it that a damaged cache is not opened again.
    fn noting_damage<T>(&self, result: Result<T, IndexError>) -> Result<T, IndexError> {
        if let Err(error @ IndexError::Damaged { .. }) = &result {
            tracing::warn!("{error}; it will be rebuilt");
            if let Err(error) = self.folder.mark_damaged() {
                tracing::warn!("{}", cannot_mark(&self.folder.database(), &error));
            }
        }
        result
    }

    /// The caches, the handle's own first.
    fn caches(&self) -> impl Iterator<Item = &IndexCache> {
        std::iter::once(&self.own).chain(&self.shared)
    }

    /// Every copy of every chunk whose id begins so, with the rest of that id.
    fn look_up_all(
        &self,
        name: &BaseId,
        mut each: impl FnMut(&[u8; 16], Location),
    ) -> Result<(), IndexError> {
        self.noting_damage(self.caches().try_for_each(|cache| cache.look_up(name, &mut each)))
    }
}

fn cannot_mark(path: &Path, error: &std::io::Error) -> IndexError {
    let message = format!("cannot note whether it is damaged: {error}");
    IndexError::Cache { path: path.to_owned(), message }
}

/// The primary's cache, as it stands on disk.
fn open_shared(
    folder: &Folder,
    private: &PrivateFolder,
    repository: RepositoryId,
    blocks: &Cache,
) -> Option<IndexCache> {
    // The primary may be replacing files, or be making the cache, at this very moment.
    const TRIES: usize = 3;
    let path: PathBuf = folder.database();
    let scratch = private.path().join("secondary");
    for _ in 0..TRIES {
        if folder.is_marked_damaged() || !path.join("CURRENT").exists() {
            return None;
        }
        match IndexCache::open_secondary(&path, &scratch, repository, blocks) {
            Ok(shared) => return Some(shared),
            Err(reason) => {
                tracing::debug!("index cache {}: not as a secondary: {reason}", path.display());
            }
        }
    }
    None
}

impl ChunkIndex for RocksIndex {
    fn ingested(&self) -> BTreeSet<ObjectId> {
        self.caches().flat_map(|cache| cache.listing().ids().collect::<Vec<_>>()).collect()
    }

    fn ingest(&self, object: ObjectId, record: &IndexRecord) -> Result<(), IndexError> {
        if self.shared.as_ref().is_some_and(|shared| shared.contains(&object)) {
            return Ok(());
        }
        self.noting_damage(self.own.ingest(object, record))
    }

    fn forget(&self, objects: &[ObjectId]) -> Result<(), IndexError> {
        if let Some(shared) = &self.shared {
            shared.hide(objects);
        }
        self.noting_damage(self.own.forget(objects))
    }

    fn look_up(&self, id: &ChunkId, found: &mut Vec<Location>) -> Result<(), IndexError> {
        let start = found.len();
        let (name, rest) = BaseId::split(id);
        let own = |other: &[u8; 16], at| found.extend((*other == rest).then_some(at));
        self.look_up_all(&name, own).inspect_err(|_| found.truncate(start))?;
        super::arrange(found, start);
        Ok(())
    }

    fn look_up_base(
        &self,
        base: &BaseId,
        found: &mut Vec<Location>,
    ) -> Result<Option<ChunkId>, IndexError> {
        let mut copies = Vec::new();
        self.look_up_all(base, |rest, at| copies.push((base.with(rest), at)))?;
        let chunk = super::the_one(base, copies.iter().map(|(chunk, _)| *chunk))?;
        let start = found.len();
        found.extend(copies.into_iter().map(|(_, at)| at));
        super::arrange(found, start);
        Ok(chunk)
    }

    fn bases(&self, location: &Location) -> Result<Vec<Base>, IndexError> {
        if location.codec != Codec::ZstdDelta {
            return Ok(Vec::new());
        }
        for cache in self.caches() {
            if let Some(bases) = self.noting_damage(cache.bases(location))? {
                return Ok(bases);
            }
        }
        let message = super::no_such_block(location);
        Err(IndexError::Cache { path: self.folder.database(), message })
    }

    fn objects(&self) -> Vec<IngestedObject> {
        self.caches().flat_map(IndexCache::objects).collect()
    }

    fn vouch(&self, snapshot: &SnapshotId) -> Result<(), IndexError> {
        self.noting_damage(self.own.vouch(snapshot))
    }

    fn vouches_for(&self, snapshot: &SnapshotId) -> bool {
        self.caches().any(|cache| cache.vouches_for(snapshot))
    }

    fn flush(&self) -> Result<(), IndexError> {
        match self.role() {
            CacheRole::Primary => self.own.flush(),
            // What is private goes with the process anyway.
            CacheRole::Overlay | CacheRole::Private => Ok(()),
        }
    }
}
