//! Chunks back: locate, read, open, decode, verify.

use std::num::NonZeroUsize;
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::chunk::chunk_id;
use crate::codec::{self, SealKey};
use crate::format::{
    self, Codec, HEADER_LEN, Header, MARKER_NAME, NodeRef, Record, SealedPart, name,
};
use crate::id::{BaseId, ChunkId, PackId};
use crate::index::{Base, ChunkIndex, IndexError, Location};
use crate::limits::{BLOCK_RAW_MAX, CHAIN_HELD_MAX, CHAIN_WORK_MAX, PLAIN_RECORD_MAX};
use crate::storage::{Key, Storage, StorageError};
use crate::store::StoreError;
use crate::store::pack::sealer::Vault;
use crate::store::pack::trailer::bad_header;

use super::block_cache::Recent;
use super::buffer::Buffer;
use super::chain::Chain;
use super::decoded::Decoded;
use super::prefetch::{Place, place};
use super::readahead::Windows;
use super::refresh::Refresh;
use super::trailer_cache::Contents;
use super::unreadable::UnreadableChunks;

/// Decoded blocks kept for reads that come back to them: nodes, bases, `cat`.
const CACHE_BYTES: usize = 24 * 1024 * 1024;
/// The same on threads that work through streams, each of which has its own: neighbours share bases, and what
/// is decoded over and over stays in the core's cache. Twenty times as much was half as fast.
const NEAR_BYTES: usize = 2 * 1024 * 1024;
/// Chunks that others are coded against, verified: neighbours share them, too.
const BASE_BYTES: usize = 1024 * 1024;
const CACHED_KEYS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// Reads chunks. Shared by any number of threads.
pub struct StoreReader {
    storage: Arc<dyn Storage>,
    vault: Arc<Vault>,
    index: Arc<dyn ChunkIndex>,
    /// For threads outside of the pool, and then for each in it.
    near: Vec<Near>,
    keys: Mutex<LruCache<PackId, KnownKey>>,
    contents: Contents,
    lost: UnreadableChunks,
    refresh: Option<Refresh>,
}

/// A pack's key, or why it has none: to find that out may take reading all of it.
type KnownKey = Result<Arc<SealKey>, Arc<StoreError>>;

/// What was decoded last.
pub(in crate::store) struct Near {
    pub blocks: Recent<Place, Decoded>,
    pub windows: Windows,
    base_chunks: Recent<(ChunkId, Place), (ChunkBytes, u64)>,
}

impl Near {
    fn new(bytes: usize) -> Self {
        let (blocks, base_chunks) = (Recent::new(bytes), Recent::new(BASE_BYTES));
        Self { blocks, windows: Windows::new(), base_chunks }
    }
}

impl StoreReader {
    pub fn new(storage: Arc<dyn Storage>, vault: Arc<Vault>, index: Arc<dyn ChunkIndex>) -> Self {
        let pool = (0..rayon::current_num_threads()).map(|_| Near::new(NEAR_BYTES));
        let near = std::iter::once(Near::new(CACHE_BYTES)).chain(pool).collect();
        let keys = Mutex::new(LruCache::new(CACHED_KEYS));
        let (contents, lost) = (Contents::new(), UnreadableChunks::default());
        Self { storage, vault, index, near, keys, contents, lost, refresh: None }
    }

    /// Asks for what is new in the index before it says that a chunk is nowhere: a prune may have moved it.
    #[must_use]
    pub fn refreshed_by(self, refresh: Refresh) -> Self {
        Self { refresh: Some(refresh), ..self }
    }

    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(in crate::store) fn lost(&self) -> &UnreadableChunks {
        &self.lost
    }

    pub(in crate::store) fn contents(&self) -> &Contents {
        &self.contents
    }

    pub(in crate::store) fn storage(&self) -> &dyn Storage {
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

    /// The chunk that a base's name stands for, with all its copies as by [`Self::locate`].
    pub fn locate_base(&self, base: &BaseId) -> Result<(ChunkId, Vec<Location>), StoreError> {
        let mut copies = Vec::new();
        let chunk = self.index.look_up_base(base, &mut copies)?;
        let chunk = chunk.ok_or(StoreError::MissingBase { base: *base })?;
        Ok((chunk, copies))
    }

    /// Likewise; `None`: nothing has that name, or more than one thing, so that nothing can be coded against it.
    pub fn find_base(&self, base: &BaseId) -> Result<Option<(ChunkId, Vec<Location>)>, StoreError> {
        match self.locate_base(base) {
            Ok(found) => Ok(Some(found)),
            Err(
                StoreError::MissingBase { .. }
                | StoreError::Index(IndexError::AmbiguousBase { .. }),
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bases a copy is coded against; none for a plain one.
    pub fn bases(&self, copy: &Location) -> Result<Vec<Base>, StoreError> {
        Ok(self.index.bases(copy)?)
    }

    /// The copy that takes the fewest decodes.
    pub fn cheapest(&self, id: &ChunkId) -> Result<Location, StoreError> {
        let first = self.locate(id)?.into_iter().next();
        first.ok_or(StoreError::MissingChunk { chunk: *id })
    }

    /// The verified bytes of a chunk, from the first copy that is whole.
    pub fn chunk(&self, id: &ChunkId) -> Result<Vec<u8>, StoreError> {
        let (block, at) = self.first_whole(id)?;
        Ok(block.bytes.get(range_of(&at)).unwrap_or_default().to_vec())
    }

    /// The verified bytes of a chunk to code others against, and the depth of the copy they come from.
    pub fn chunk_with_depth(&self, id: &ChunkId) -> Result<(ChunkBytes, u8), StoreError> {
        let mut error = StoreError::MissingChunk { chunk: *id };
        for at in self.locate(id)? {
            match self.base_chunk(id, &at) {
                Ok((bytes, _)) => return Ok((bytes, at.depth)),
                Err(failed @ StoreError::CostlyChain { .. }) => return Err(failed),
                Err(failed) if failed.is_general() => return Err(failed),
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }

    /// The verified bytes of this very copy, and the work it takes to decode it (in the measure of
    /// [`CHAIN_WORK_MAX`]). An error also where it takes more than a base may.
    pub(in crate::store) fn base_chunk(
        &self,
        id: &ChunkId,
        at: &Location,
    ) -> Result<(ChunkBytes, u64), StoreError> {
        let key = (*id, place(at));
        if let Some(known) = self.near().and_then(|near| near.base_chunks.get(&key)) {
            return Ok(known);
        }
        let block = self.whole(id, at, &mut Chain::new(self, None, *id)).inspect_err(|error| {
            if !error.is_general() && !matches!(error, StoreError::CostlyChain { .. }) {
                self.lost.note(id);
            }
        })?;
        for (what, takes, most) in [
            ("work", block.effort.work, CHAIN_WORK_MAX / 4),
            ("memory", block.effort.held, CHAIN_HELD_MAX / 2),
        ] {
            if takes > most {
                return Err(StoreError::CostlyChain { chunk: *id, what, limit: most });
            }
        }
        let (range, len, work) = (range_of(at), block.bytes.capacity(), block.effort.work);
        let known = (ChunkBytes { block: block.bytes, range }, work);
        if let Some(near) = self.near() {
            near.base_chunks.keep(key, known.clone(), len);
        }
        Ok(known)
    }

    /// Whether this very copy of a chunk is whole.
    pub fn try_copy(&self, id: &ChunkId, at: &Location) -> Result<(), StoreError> {
        self.whole(id, at, &mut Chain::new(self, None, *id)).map(drop)
    }

    /// Again and again while the index has news: what was moved once may be moved twice.
    fn first_whole(&self, id: &ChunkId) -> Result<(Decoded, Location), StoreError> {
        loop {
            let seen = self.refresh.as_ref().map_or(0, Refresh::times);
            let error = match self.first_known(id) {
                Err(error) if !error.is_general() => error,
                done => return done,
            };
            let has_news = match &self.refresh {
                Some(refresh) if error.is_absence() => refresh.since(seen)?,
                _ => false,
            };
            if !has_news {
                self.lost.note(id);
                return Err(error);
            }
        }
    }

    fn first_known(&self, id: &ChunkId) -> Result<(Decoded, Location), StoreError> {
        let mut chain = Chain::new(self, None, *id);
        let mut error = StoreError::MissingChunk { chunk: *id };
        for at in self.locate(id)? {
            match self.whole(id, &at, &mut chain) {
                Ok(block) => return Ok((block, at)),
                Err(failed) => error = failed,
            }
            if chain.ends_with(&error) {
                break;
            }
        }
        Err(error)
    }

    /// The block of a copy, in which the chunk is what it should be.
    pub(in crate::store) fn whole(
        &self,
        id: &ChunkId,
        at: &Location,
        chain: &mut Chain<'_>,
    ) -> Result<Decoded, StoreError> {
        let first = self.proven(id, at, chain);
        match &first {
            // Some base may not be what it is called, so that what it serves decodes to something else or not at
            // all: another copy of it could be.
            Err(error) if at.codec == Codec::ZstdDelta && !chain.ends_with(error) => {
                chain.set_strict(true);
                let second = self.proven(id, at, chain);
                chain.set_strict(false);
                second.or(first)
            }
            _ => first,
        }
    }

    fn proven(
        &self,
        id: &ChunkId,
        at: &Location,
        chain: &mut Chain<'_>,
    ) -> Result<Decoded, StoreError> {
        let block = chain.block(at)?;
        self.verified(at, id, &block.bytes)?;
        Ok(block)
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
    pub(in crate::store) fn verified<'b>(
        &self,
        location: &Location,
        id: &ChunkId,
        block: &'b [u8],
    ) -> Result<&'b [u8], StoreError> {
        let bytes = block.get(range_of(location)).unwrap_or_default();
        let found = chunk_id(self.vault.keys().chunk_id(), bytes);
        if found == *id {
            Ok(bytes)
        } else {
            let (pack, ordinal) = (location.pack, location.ordinal);
            Err(StoreError::WrongChunk { pack, ordinal, expected: *id, found })
        }
    }

    /// A pack that is missing is damage; a repository that is missing (a disk that was unmounted) is not.
    pub(in crate::store) fn gone_or(&self, error: StorageError) -> StoreError {
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

    /// Opens and decodes a sealed block: into `decoded`, or in place where it is stored raw.
    pub(in crate::store) fn decode_block<'b>(
        &self,
        key: &SealKey,
        location: &Location,
        prefix: &[u8],
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
                codec::decompress_against(prefix, opened, raw_len, decoded).map_err(wrong)?;
            }
        }
        Ok(decoded)
    }

    pub(in crate::store) fn pack_key(
        &self,
        location: &Location,
    ) -> Result<Arc<SealKey>, StoreError> {
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

    pub(in crate::store) fn has_decoded(&self, at: &Location) -> bool {
        self.near().is_some_and(|near| near.blocks.contains(&place(at)))
    }

    /// This thread's.
    pub(in crate::store) fn near(&self) -> Option<&Near> {
        let own = rayon::current_thread_index().and_then(|number| self.near.get(number + 1));
        own.or_else(|| self.near.first())
    }
}

fn range_of(at: &Location) -> Range<usize> {
    let start = at.chunk_offset as usize;
    start..start + at.chunk_len as usize
}

/// The bytes of a chunk, in the block they came in.
#[derive(Clone)]
pub struct ChunkBytes {
    block: Arc<Buffer>,
    range: Range<usize>,
}

impl Deref for ChunkBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // They were verified to lie there.
        self.block.get(self.range.clone()).unwrap_or_default()
    }
}
