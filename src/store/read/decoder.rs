//! Sealed blocks to chunks: opened, decoded, verified, and kept for neighbours.

use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::chunk::chunk_id;
use crate::codec::{self, SealKey};
use crate::format::{Codec, SealedPart};
use crate::id::ChunkId;
use crate::index::Location;
use crate::limits::BLOCK_RAW_MAX;
use crate::store::StoreError;

use super::block_cache::Recent;
use super::buffer::Buffer;
use super::decoded::{Decoded, Place, place};
use super::locator::ChunkLocator;
use super::packs::SealedPacks;
use super::readahead::Windows;
use super::unreadable::UnreadableChunks;

/// Decoded blocks kept for reads that come back to them: nodes, bases, `cat`.
const CACHE_BYTES: usize = 24 * 1024 * 1024;
/// The same on threads that work through streams, each of which has its own: neighbours share bases, and what
/// is decoded over and over stays in the core's cache. Twenty times as much was half as fast.
const NEAR_BYTES: usize = 2 * 1024 * 1024;
/// Chunks that others are coded against, verified: neighbours share them, too.
const BASE_BYTES: usize = 1024 * 1024;

/// Decodes single blocks, and keeps what was decoded last.
pub(in crate::store) struct BlockDecoder {
    pub packs: Arc<SealedPacks>,
    pub locator: ChunkLocator,
    pub lost: UnreadableChunks,
    /// For threads outside of the pool, and then for each in it.
    near: Vec<Near>,
}

/// What was decoded last.
pub(in crate::store) struct Near {
    pub blocks: Recent<Place, Decoded>,
    pub windows: Windows,
    pub base_chunks: Recent<(ChunkId, Place), (ChunkBytes, u64)>,
}

impl Near {
    fn new(bytes: usize) -> Self {
        let (blocks, base_chunks) = (Recent::new(bytes), Recent::new(BASE_BYTES));
        Self { blocks, windows: Windows::new(), base_chunks }
    }
}

impl BlockDecoder {
    pub fn new(packs: Arc<SealedPacks>, locator: ChunkLocator) -> Self {
        let pool = (0..rayon::current_num_threads()).map(|_| Near::new(NEAR_BYTES));
        let near = std::iter::once(Near::new(CACHE_BYTES)).chain(pool).collect();
        Self { packs, locator, lost: UnreadableChunks::default(), near }
    }

    /// This thread's.
    pub fn near(&self) -> Option<&Near> {
        let own = rayon::current_thread_index().and_then(|number| self.near.get(number + 1));
        own.or_else(|| self.near.first())
    }

    pub fn has_decoded(&self, at: &Location) -> bool {
        self.near().is_some_and(|near| near.blocks.contains(&place(at)))
    }

    /// A sealed block from what was read of its pack. `false`: it has to be read by itself.
    pub fn read_near(&self, at: &Location, to: &mut Vec<u8>) -> bool {
        let blocks_end = self.locator.blocks_end(&at.pack).unwrap_or(0);
        self.near().is_some_and(|near| near.windows.read(&self.packs, blocks_end, at, to))
    }

    /// What was read of this block's pack is not to be used again.
    pub fn forget_near(&self, at: &Location) {
        if let Some(near) = self.near() {
            near.windows.lock().pop(&at.pack);
        }
    }

    /// The chunk's bytes in its decoded block, if they are its bytes.
    pub fn verified<'b>(
        &self,
        location: &Location,
        id: &ChunkId,
        block: &'b [u8],
    ) -> Result<&'b [u8], StoreError> {
        let bytes = block.get(range_in_block(location)).unwrap_or_default();
        let found = chunk_id(self.packs.vault().keys().chunk_id(), bytes);
        if found == *id {
            Ok(bytes)
        } else {
            let (pack, ordinal) = (location.pack, location.ordinal);
            Err(StoreError::WrongChunk { pack, ordinal, expected: *id, found })
        }
    }
}

/// Opens and decodes a sealed block: into `decoded`, or in place where it is stored raw.
pub(in crate::store) fn decode_block<'b>(
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
    let wrong = |e| StoreError::codec(format!("{} block {}", location.pack, location.ordinal), e);
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

pub(in crate::store) fn range_in_block(at: &Location) -> Range<usize> {
    let start = at.chunk_offset as usize;
    start..start + at.chunk_len as usize
}

/// The bytes of a chunk, in the block they came in.
#[derive(Clone)]
pub struct ChunkBytes {
    pub(in crate::store) block: Arc<Buffer>,
    pub(in crate::store) range: Range<usize>,
}

impl Deref for ChunkBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // They were verified to lie there.
        self.block.get(self.range.clone()).unwrap_or_default()
    }
}
