//! Opening a repository.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::chunk::{ChunkSizes, Cutter};
use crate::codec::{Keys, Secret};
use crate::format::{ConfigRecord, IndexRecord, MARKER_NAME, Marker, ObjectKind, name};
use crate::id::{ActorId, ObjectId, RepositoryId};
use crate::index::{ChunkIndex, MemoryIndex};
use crate::limits::PLAIN_RECORD_MAX;
use crate::options::options;
use crate::storage::{Key, Storage, StorageError};
use crate::store::{Refresh, StoreError, StoreReader, Vault};

use super::keys::{KeyListing, list_keys, unlock};
use super::objects::{read_fixed, read_named};
use super::sync::{IndexState, Reading, listed_objects, take_in_news, void_actors};
use super::{Identity, RepoError};

options! {
    /// What else opening needs.
    #[derive(Debug, Clone, Default)]
    pub struct OpenOptions {
        /// The folder of the index caches of all repositories. With `None`, or if it cannot be written, the index is in
        /// memory.
        pub cache: Option<PathBuf>,
    }
}

/// One repository's own folder in the folder of all caches.
pub fn cache_folder(caches: &Path, repository: RepositoryId) -> PathBuf {
    caches.join(repository.to_hex())
}

/// An opened repository. Its index is loaded when first needed.
pub struct Repository {
    storage: Arc<dyn Storage>,
    vault: Arc<Vault>,
    config: ConfigRecord,
    identity: Identity,
    pub(super) key: Mutex<ObjectId>,
    cache: Option<PathBuf>,
}

impl Repository {
    /// Reads the marker, finds the key the secret opens, and checks that the sealed configuration agrees.
    pub fn open(
        storage: Arc<dyn Storage>,
        secret: &Secret,
        identity: Identity,
        options: OpenOptions,
    ) -> Result<Self, RepoError> {
        let marker = Self::marker(&*storage)?;
        let (key, master) = unlock(&*storage, marker.repository, secret)?;
        let vault = Vault::new(Keys::new(marker.repository, master));
        let config: ConfigRecord =
            match read_fixed(&*storage, &vault, ObjectKind::Config, name::CONFIG) {
                Err(RepoError::Storage(StorageError::Missing { place, .. })) => {
                    return Err(RepoError::NoConfig { place });
                }
                read => read?,
            };
        if config.repository != marker.repository {
            return Err(RepoError::Foreign {
                place: storage.describe(),
                expected: marker.repository.to_hex(),
                found: config.repository.to_hex(),
            });
        }
        let (vault, key, cache) = (Arc::new(vault), Mutex::new(key), options.cache);
        Ok(Self { storage, vault, config, identity, key, cache })
    }

    /// The plain marker: whether there is a repository, and of which format. Needs no key.
    pub fn marker(storage: &dyn Storage) -> Result<Marker, RepoError> {
        let bytes = match storage.get(&Key::new(MARKER_NAME)?, PLAIN_RECORD_MAX as u64) {
            Ok(bytes) => bytes,
            Err(StorageError::Missing { place, .. }) => {
                return Err(RepoError::NoRepository { place });
            }
            Err(error) => return Err(error.into()),
        };
        Marker::decode(&bytes).map_err(|e| RepoError::format(MARKER_NAME, e))
    }

    pub fn id(&self) -> RepositoryId {
        self.config.repository
    }

    pub fn config(&self) -> &ConfigRecord {
        &self.config
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    pub fn place(&self) -> String {
        self.storage.describe()
    }

    /// The key object that opened it, or the one that [`change_key`](Self::change_key) put in its place.
    pub fn key(&self) -> ObjectId {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn keys(&self) -> Result<KeyListing, RepoError> {
        list_keys(&*self.storage)
    }

    /// The cutter every backup into this repository uses.
    pub fn cutter(&self) -> Result<Cutter, RepoError> {
        let ConfigRecord { chunk_min: min, chunk_avg: avg, chunk_max: max, .. } = self.config;
        Cutter::new(ChunkSizes { min, avg, max }, &self.vault.keys().gear())
            .map_err(|error| RepoError::Usage(error.to_string()))
    }

    /// The index, brought up to date with the repository's index objects.
    pub fn load_index(&self) -> Result<IndexState, RepoError> {
        self.index(Reading::Fresh)
    }

    /// Likewise, with every index object read again, whatever the cache has of it.
    pub fn verified_index(&self) -> Result<IndexState, RepoError> {
        self.index(Reading::All)
    }

    fn index(&self, reading: Reading) -> Result<IndexState, RepoError> {
        self.loaded(|index| IndexState::load(&self.storage, &self.vault, index, reading))
    }

    /// The index as these objects have it, whatever else is there.
    pub(super) fn index_of(
        &self,
        objects: BTreeSet<ObjectId>,
        reading: Reading,
    ) -> Result<IndexState, RepoError> {
        self.loaded(|index| {
            IndexState::take_in(&self.storage, &self.vault, index, objects.clone(), reading)
        })
    }

    fn loaded(
        &self,
        load: impl Fn(Arc<dyn ChunkIndex>) -> Result<IndexState, RepoError>,
    ) -> Result<IndexState, RepoError> {
        match load(self.open_index()) {
            // The cache is a convenience: a full disk beneath it keeps nobody from a restore.
            Err(RepoError::Index(error)) => {
                tracing::warn!("the index is kept in memory: {error}");
                load(Arc::new(MemoryIndex::new()))
            }
            loaded => loaded,
        }
    }

    /// The index objects there are.
    pub fn index_objects(&self) -> Result<Vec<ObjectId>, RepoError> {
        Ok(listed_objects(&**self.storage())?.into_iter().collect())
    }

    /// Writers and prunes that were taken for dead.
    pub fn void_actors(&self) -> Result<HashSet<ActorId>, RepoError> {
        void_actors(&**self.storage())
    }

    /// An index object, verified and opened.
    pub fn index_object(&self, id: &ObjectId) -> Result<IndexRecord, RepoError> {
        read_named(&**self.storage(), self.vault(), ObjectKind::Index, &name::index(id))
    }

    pub fn reader(&self, index: &IndexState) -> Arc<StoreReader> {
        let (storage, vault) = (Arc::clone(&self.storage), Arc::clone(&self.vault));
        let reader = StoreReader::new(storage, vault, Arc::clone(&index.index));
        let (storage, vault) = (Arc::clone(&self.storage), Arc::clone(&self.vault));
        let index = Arc::clone(&index.index);
        let last = Mutex::new(BTreeSet::new());
        let refresh = move || {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            take_in_news(&*storage, &vault, &*index, &mut last).map_err(|error| match error {
                RepoError::Store(error) => error,
                RepoError::Storage(error) => error.into(),
                RepoError::Index(error) => error.into(),
                // Listing and reading give no others.
                _ => StoreError::Poisoned,
            })
        };
        Arc::new(reader.refreshed_by(Refresh::new(Box::new(refresh))))
    }

    #[cfg(feature = "rocksdb")]
    fn open_index(&self) -> Arc<dyn ChunkIndex> {
        let Some(caches) = &self.cache else { return Arc::new(MemoryIndex::new()) };
        let path = cache_folder(caches, self.id());
        match crate::index::RocksIndex::open(&path, self.id()) {
            Ok(index) => Arc::new(index),
            Err(error) => {
                tracing::warn!("the index is kept in memory: {error}");
                Arc::new(MemoryIndex::new())
            }
        }
    }

    #[cfg(not(feature = "rocksdb"))]
    fn open_index(&self) -> Arc<dyn ChunkIndex> {
        let _ = &self.cache;
        Arc::new(MemoryIndex::new())
    }
}
