//! Objects in memory: for tests, fuzzing and trying things out. Nothing survives the last handle.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use super::{Key, Listed, Storage, StorageError};

/// A storage in memory. Clones are handles to the same objects.
///
/// Its clock is its own and deterministic: it stands at the Unix epoch at first, and every put moves it on by
/// one second, so no two puts have the same time and a later put always has a later one.
#[derive(Clone, Default)]
pub struct Memory {
    shelf: Arc<RwLock<Shelf>>,
}

#[derive(Default)]
struct Shelf {
    objects: BTreeMap<Key, Object>,
    since_epoch: Duration,
}

struct Object {
    bytes: Arc<[u8]>,
    stored: SystemTime,
}

impl Memory {
    /// Makes an empty storage.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the storage's clock on, as if nothing were put for that long.
    pub fn advance(&self, by: Duration) {
        let mut shelf = self.write();
        shelf.since_epoch = shelf.since_epoch.saturating_add(by);
    }

    // A panic elsewhere leaves the map whole: every change to it is one insert or remove.
    fn read(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn object(&self, key: &Key) -> Result<Arc<[u8]>, StorageError> {
        let shelf = self.read();
        let object = shelf.objects.get(key);
        object.map(|object| Arc::clone(&object.bytes)).ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &Key) -> StorageError {
        StorageError::Missing { place: self.describe(), key: key.clone() }
    }
}

fn listed(key: &Key, object: &Object) -> Listed {
    Listed { key: key.clone(), len: object.bytes.len() as u64, stored: object.stored }
}

impl Storage for Memory {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), StorageError> {
        let mut shelf = self.write();
        shelf.since_epoch = shelf.since_epoch.saturating_add(Duration::from_secs(1));
        let stored = SystemTime::UNIX_EPOCH + shelf.since_epoch;
        shelf.objects.insert(key.clone(), Object { bytes: bytes.into(), stored });
        Ok(())
    }

    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, StorageError> {
        let bytes = self.object(key)?;
        let found = bytes.len() as u64;
        if found > limit {
            return Err(StorageError::TooLong { key: key.clone(), limit, found });
        }
        Ok(bytes.to_vec())
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        len: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        buffer.clear();
        let bytes = self.object(key)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let range = start.checked_add(len).and_then(|end| bytes.get(start..end));
        let Some(range) = range else {
            return Err(StorageError::Short {
                key: key.clone(),
                offset,
                expected: len as u64,
                found: bytes.len() as u64,
            });
        };
        buffer.extend_from_slice(range);
        Ok(())
    }

    fn stat(&self, key: &Key) -> Result<Listed, StorageError> {
        let shelf = self.read();
        let object = shelf.objects.get(key).map(|object| listed(key, object));
        object.ok_or_else(|| self.missing(key))
    }

    fn list(&self, prefix: &Key, each: &mut dyn FnMut(Listed)) -> Result<(), StorageError> {
        // Collected first: `each` may use this very storage.
        let found: Vec<Listed> = self
            .read()
            .objects
            .range(prefix..)
            .take_while(|(key, _)| key.as_str().starts_with(prefix.as_str()))
            .filter(|(key, _)| key.is_under(prefix))
            .map(|(key, object)| listed(key, object))
            .collect();
        found.into_iter().for_each(each);
        Ok(())
    }

    fn delete(&self, key: &Key) -> Result<(), StorageError> {
        self.write().objects.remove(key);
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}
