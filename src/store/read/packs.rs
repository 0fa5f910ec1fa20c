//! Packs as they are stored: their keys, ranges of sealed bytes, trailers.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::codec::SealKey;
use crate::format::{FOOTER_LEN, Footer, HEADER_LEN, Header, MARKER_NAME, PackContents, name};
use crate::id::PackId;
use crate::index::Location;
use crate::limits::{PACK_LEN_MAX, PLAIN_RECORD_MAX};
use crate::storage::{Key, Storage, StorageError};
use crate::store::StoreError;
use crate::store::pack::builder::open_trailer;
use crate::store::pack::sealer::Vault;
use crate::store::pack::trailer::bad_header;

const CACHED_KEYS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// Reads packs, and holds the keys of those read last.
pub(in crate::store) struct SealedPacks {
    storage: Arc<dyn Storage>,
    vault: Arc<Vault>,
    keys: Mutex<LruCache<PackId, KnownKey>>,
}

/// A pack's key, or why it has none: to find that out may take reading all of it.
type KnownKey = Result<Arc<SealKey>, Arc<StoreError>>;

impl SealedPacks {
    pub fn new(storage: Arc<dyn Storage>, vault: Arc<Vault>) -> Self {
        Self { storage, vault, keys: Mutex::new(LruCache::new(CACHED_KEYS)) }
    }

    pub fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    pub fn pack_key(&self, location: &Location) -> Result<Arc<SealKey>, StoreError> {
        let keys = || self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = keys().get(&location.pack).cloned();
        if let Some(key) = cached {
            return key.map_err(StoreError::Known);
        }
        let key = match self.key_in_header(location) {
            Ok(key) => Ok(Arc::new(key)),
            Err(error @ StoreError::WrongName { .. }) => Err(Arc::new(error)),
            Err(error) => return Err(error),
        };
        keys().put(location.pack, key.clone());
        key.map_err(StoreError::Known)
    }

    fn key_in_header(&self, location: &Location) -> Result<SealKey, StoreError> {
        let (object, mut header) = (Key::new(name::pack(&location.pack))?, Vec::new());
        self.storage
            .get_range(&object, 0, HEADER_LEN, &mut header)
            .map_err(|error| self.gone_or(error))?;
        let kind = location.pack_kind.object();
        let (header, _) = Header::decode(kind, &header)
            .map_err(|error| bad_header(&*self.storage, &object, error))?;
        self.vault.object_key(kind, &header.salt).map_err(|e| StoreError::codec(object, e))
    }

    /// A pack that is missing is damage; a repository that is missing (a disk that was unmounted) is not.
    pub fn gone_or(&self, error: StorageError) -> StoreError {
        let is_missing = |error: &StorageError| matches!(error, StorageError::Missing { .. });
        let marker = || {
            let key = Key::new(MARKER_NAME).ok()?;
            self.storage.get(&key, PLAIN_RECORD_MAX as u64).err().filter(is_missing)
        };
        match is_missing(&error).then(marker).flatten() {
            Some(_) => StoreError::Gone { place: self.storage.describe() },
            None => error.into(),
        }
    }

    /// Reads `len` bytes of a pack from where a block starts.
    pub fn read_run(&self, first: &Location, len: u64, to: &mut Vec<u8>) -> Result<(), StoreError> {
        let key = Key::new(name::pack(&first.pack))?;
        // A run is bounded, and so is a block.
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let read = self.storage.get_range(&key, u64::from(first.offset), len, to);
        read.map_err(|error| self.gone_or(error))
    }

    /// What the pack of a block holds.
    pub fn contents(&self, at: &Location) -> Result<PackContents, StoreError> {
        let key = Key::new(name::pack(&at.pack))?;
        let stat = self.storage.stat(&key).map_err(|error| self.gone_or(error));
        let len = match stat {
            Err(error) if error.is_absence() => {
                return Err(StoreError::damaged(at.pack, "pack", "a pack", "none"));
            }
            stat => stat?.len,
        };
        if len > PACK_LEN_MAX {
            let expected = format!("at most {PACK_LEN_MAX} bytes");
            return Err(StoreError::damaged(at.pack, "pack", expected, len));
        }
        let mut bytes = Vec::new();
        let footer_at = len.saturating_sub(FOOTER_LEN as u64);
        self.storage.get_range(&key, footer_at, FOOTER_LEN, &mut bytes)?;
        let object = key.as_str();
        let footer = Footer::decode(&bytes, len).map_err(|e| StoreError::format(object, e))?;
        let sealed_len = footer.sealed_len as usize;
        let trailer_at = footer_at.saturating_sub(sealed_len as u64);
        self.storage.get_range(&key, trailer_at, sealed_len, &mut bytes)?;
        let seal = self.pack_key(at)?;
        let trailer = open_trailer(&seal, at.pack_kind, &footer, bytes, object)?;
        if trailer.contents.blocks_end() > trailer_at {
            let expected = format!("blocks that end before byte {trailer_at}");
            let found = trailer.contents.blocks_end();
            return Err(StoreError::damaged(at.pack, "pack", expected, found));
        }
        Ok(trailer.contents)
    }
}
