//! Chunks back: locate, read, open, decode, verify.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::chunk::chunk_id;
use crate::codec::{self, SealKey};
use crate::format::{self, Codec, HEADER_LEN, Header, NodeRef, Record, SealedPart, name};
use crate::id::{ChunkId, PackId};
use crate::index::{Base, ChunkIndex, Location};
use crate::limits::{BLOCK_RAW_MAX, DELTA_DEPTH_MAX};
use crate::storage::{Key, Storage};

use super::lost::Lost;
use super::{StoreError, Vault};

/// Decoded blocks kept for reads that come back to them: nodes, bases, `cat`.
const CACHE_BYTES: usize = 24 * 1024 * 1024;
const CACHED_KEYS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// Reads chunks. Shared by any number of threads.
pub struct StoreReader {
    storage: Arc<dyn Storage>,
    vault: Arc<Vault>,
    index: Arc<dyn ChunkIndex>,
    blocks: Mutex<BlockCache>,
    keys: Mutex<LruCache<PackId, Arc<SealKey>>>,
    lost: Lost,
}

struct BlockCache {
    blocks: LruCache<(PackId, u32), Arc<Vec<u8>>>,
    bytes: usize,
}

impl StoreReader {
    pub fn new(storage: Arc<dyn Storage>, vault: Arc<Vault>, index: Arc<dyn ChunkIndex>) -> Self {
        let blocks = Mutex::new(BlockCache { blocks: LruCache::unbounded(), bytes: 0 });
        let keys = Mutex::new(LruCache::new(CACHED_KEYS));
        Self { storage, vault, index, blocks, keys, lost: Lost::default() }
    }

    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(super) fn lost(&self) -> &Lost {
        &self.lost
    }

    pub(super) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// All copies of a chunk, the shallowest first. Never empty.
    pub fn locate(&self, id: &ChunkId) -> Result<Vec<Location>, StoreError> {
        let mut copies = Vec::new();
        self.index.look_up(id, &mut copies)?;
        if copies.is_empty() {
            return Err(StoreError::MissingChunk { chunk: *id });
        }
        Ok(copies)
    }

    /// The bases a copy is coded against; none for a plain one.
    pub fn bases(&self, copy: &Location) -> Result<Vec<Base>, StoreError> {
        Ok(self.index.bases(copy)?)
    }

    /// The verified bytes of a chunk, from the first copy that is whole.
    pub fn chunk(&self, id: &ChunkId) -> Result<Vec<u8>, StoreError> {
        self.chunk_shallower(id, DELTA_DEPTH_MAX + 1).inspect_err(|_| self.lost.note(id))
    }

    /// Likewise, from copies that take fewer decodes than `depth` only: chains of bases end.
    fn chunk_shallower(&self, id: &ChunkId, depth: u8) -> Result<Vec<u8>, StoreError> {
        let mut error = StoreError::MissingChunk { chunk: *id };
        for location in self.locate(id)?.iter().filter(|copy| copy.depth < depth) {
            let read = self
                .block(location)
                .and_then(|block| self.verified(location, id, &block).map(<[u8]>::to_vec));
            match read {
                Ok(bytes) => return Ok(bytes),
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }

    /// A node of a catalog or recipe.
    pub fn node<R: Record>(&self, node: NodeRef) -> Result<R, StoreError> {
        let bytes = self.chunk(&node.id)?;
        if bytes.len() != node.len as usize {
            let (expected, found) = (u64::from(node.len), bytes.len() as u64);
            return Err(StoreError::WrongLength { chunk: node.id, expected, found });
        }
        format::decode(&bytes).map_err(|e| StoreError::format(node.id, e))
    }

    /// The chunk's bytes in its decoded block, if they are its bytes.
    pub(super) fn verified<'b>(
        &self,
        location: &Location,
        id: &ChunkId,
        block: &'b [u8],
    ) -> Result<&'b [u8], StoreError> {
        let start = location.chunk_offset as usize;
        let bytes = block.get(start..start + location.chunk_len as usize).unwrap_or_default();
        let found = chunk_id(self.vault.keys().chunk_id(), bytes);
        if found == *id {
            Ok(bytes)
        } else {
            let (pack, ordinal) = (location.pack, location.ordinal);
            Err(StoreError::WrongChunk { pack, ordinal, expected: *id, found })
        }
    }

    fn block(&self, location: &Location) -> Result<Arc<Vec<u8>>, StoreError> {
        let at = (location.pack, location.ordinal);
        if let Some(block) = self.lock_blocks().blocks.get(&at) {
            return Ok(Arc::clone(block));
        }
        let (mut sealed, mut decoded) = (Vec::new(), Vec::new());
        self.storage.get_range(
            &Key::new(name::pack(&location.pack))?,
            u64::from(location.offset),
            location.sealed_len as usize,
            &mut sealed,
        )?;
        let block = self.decode_block(location, &mut sealed, &mut decoded)?.to_vec();
        let block = Arc::new(block);
        self.lock_blocks().keep(at, Arc::clone(&block));
        Ok(block)
    }

    /// Opens and decodes a sealed block: into `decoded`, or in place where it is stored raw.
    pub(super) fn decode_block<'b>(
        &self,
        location: &Location,
        sealed: &'b mut [u8],
        decoded: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], StoreError> {
        let key = self.pack_key(location)?;
        self.decode_block_with(&key, location, sealed, decoded)
    }

    pub(super) fn decode_block_with<'b>(
        &self,
        key: &SealKey,
        location: &Location,
        sealed: &'b mut [u8],
        decoded: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], StoreError> {
        let raw_len = location.raw_len as usize;
        if raw_len > BLOCK_RAW_MAX {
            let expected = format!("at most {BLOCK_RAW_MAX} bytes");
            return Err(StoreError::damaged(location.pack, "block", expected, raw_len));
        }
        let part = SealedPart {
            kind: location.pack_kind.object(),
            ordinal: u64::from(location.ordinal),
            codec: location.codec as u8,
            raw_len: location.raw_len,
            sealed_len: location.sealed_len,
        };
        let wrong =
            |e| StoreError::codec(format!("{} block {}", location.pack, location.ordinal), e);
        let opened = key.open(part.nonce(), &part.associated_data(), sealed).map_err(wrong)?;
        match location.codec {
            Codec::Raw if opened.len() == raw_len => return Ok(opened),
            Codec::Raw => {
                let expected = format!("{raw_len} bytes");
                return Err(StoreError::damaged(location.pack, "block", expected, opened.len()));
            }
            Codec::Zstd => codec::decompress(opened, raw_len, decoded).map_err(wrong)?,
            Codec::ZstdDelta => {
                let base = self.base_bytes(location)?;
                codec::decompress_against(&base, opened, raw_len, decoded).map_err(wrong)?;
            }
        }
        Ok(decoded)
    }

    /// The bases of a delta block, one after the other.
    fn base_bytes(&self, location: &Location) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        for base in self.index.bases(location)? {
            let chunk = self.chunk_shallower(&base.id, location.depth)?;
            let start = base.skip as usize;
            let part = chunk.get(start..start.saturating_add(base.len as usize));
            bytes.extend_from_slice(part.ok_or_else(|| StoreError::WrongLength {
                chunk: base.id,
                expected: u64::from(base.skip) + u64::from(base.len),
                found: chunk.len() as u64,
            })?);
            if bytes.len() > BLOCK_RAW_MAX {
                let expected = format!("bases of at most {BLOCK_RAW_MAX} bytes");
                return Err(StoreError::damaged(location.pack, "block", expected, bytes.len()));
            }
        }
        Ok(bytes)
    }

    fn pack_key(&self, location: &Location) -> Result<Arc<SealKey>, StoreError> {
        let cached =
            self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(&location.pack).cloned();
        if let Some(key) = cached {
            return Ok(key);
        }
        let (object, mut header) = (name::pack(&location.pack), Vec::new());
        self.storage.get_range(&Key::new(object.as_str())?, 0, HEADER_LEN, &mut header)?;
        let kind = location.pack_kind.object();
        let (header, _) =
            Header::decode(kind, &header).map_err(|e| StoreError::format(&object, e))?;
        let key =
            self.vault.object_key(kind, &header.salt).map_err(|e| StoreError::codec(&object, e))?;
        let key = Arc::new(key);
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .put(location.pack, Arc::clone(&key));
        Ok(key)
    }

    fn lock_blocks(&self) -> std::sync::MutexGuard<'_, BlockCache> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlockCache {
    fn keep(&mut self, at: (PackId, u32), block: Arc<Vec<u8>>) {
        self.bytes += block.len();
        if let Some((_, old)) = self.blocks.push(at, block) {
            self.bytes = self.bytes.saturating_sub(old.len());
        }
        while self.bytes > CACHE_BYTES {
            match self.blocks.pop_lru() {
                Some((_, old)) => self.bytes = self.bytes.saturating_sub(old.len()),
                None => self.bytes = 0,
            }
        }
    }
}
