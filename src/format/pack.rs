//! Packs: header, sealed blocks, padding, sealed trailer, footer.

use serde::{Deserialize, Serialize};

use super::bounded::bounded;
use super::envelope::{HEADER_LEN, ObjectKind, TAG_LEN};
use super::record::{Extension, Record};
use super::{FormatError, SealedPart};
use crate::id::{BaseId, ChunkId};
use crate::limits::{
    BLOCK_BASES_MAX, BLOCK_RAW_MAX, DELTA_DEPTH_MAX, PACK_CHUNKS_MAX, PACK_LEN_MAX, TRAILER_MAX,
};

/// What a pack holds. Listing and diff read metadata packs only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PackKind {
    /// Bytes of streams.
    Data,
    /// Nodes of catalogs and recipes.
    Metadata,
}

impl PackKind {
    pub const fn object(self) -> ObjectKind {
        match self {
            Self::Data => ObjectKind::DataPack,
            Self::Metadata => ObjectKind::MetadataPack,
        }
    }
}

/// How a block's plaintext is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Codec {
    /// As it is: it would not shrink.
    Raw = 0,
    /// A zstd frame.
    Zstd = 1,
    /// A zstd frame whose prefix is the block's bases, concatenated.
    ZstdDelta = 2,
}

/// A base of a delta block: part of a chunk in the pack's base table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseRef {
    /// Index into [`PackContents::bases`].
    pub base: u32,
    pub skip: u32,
    /// 0: all from `skip` to the end of the chunk.
    pub len: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRecord {
    pub id: ChunkId,
    pub len: u32,
}

/// A block. Its offset is where the one before ends; its chunks lie one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRecord {
    pub sealed_len: u32,
    pub codec: Codec,
    /// How many decodes it takes to read it, its own not counted.
    pub depth: u8,
    #[serde(deserialize_with = "bounded::<_, _, 0, BLOCK_BASES_MAX>")]
    pub bases: Vec<BaseRef>,
    #[serde(deserialize_with = "bounded::<_, _, 1, PACK_CHUNKS_MAX>")]
    pub chunks: Vec<ChunkRecord>,
}

impl BlockRecord {
    /// Bytes the block decodes to. Checked to fit when the pack is decoded.
    pub fn raw_len(&self) -> u32 {
        self.chunks.iter().fold(0u32, |sum, chunk| sum.saturating_add(chunk.len))
    }

    /// What is authenticated with the block.
    pub fn sealed_part(&self, kind: PackKind, ordinal: u32) -> SealedPart {
        SealedPart {
            kind: kind.object(),
            ordinal: u64::from(ordinal),
            codec: self.codec as u8,
            raw_len: self.raw_len(),
            sealed_len: self.sealed_len,
        }
    }
}

/// What a pack's trailer and the index both say of a pack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackContents {
    /// Names of the chunks that delta blocks of this pack are coded against, each once.
    pub bases: Vec<BaseId>,
    #[serde(deserialize_with = "bounded::<_, _, 0, PACK_CHUNKS_MAX>")]
    pub blocks: Vec<BlockRecord>,
}

impl PackContents {
    /// Where the blocks end: the first byte of padding.
    pub fn blocks_end(&self) -> u64 {
        let sealed = self.blocks.iter().map(|block| u64::from(block.sealed_len)).sum::<u64>();
        HEADER_LEN as u64 + sealed
    }

    pub fn chunk_count(&self) -> usize {
        self.blocks.iter().map(|block| block.chunks.len()).sum()
    }

    /// Equal for equal contents, short enough to be kept for every pack.
    pub fn fingerprint(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        let count = |len: usize| (len as u64).to_le_bytes();
        hasher.update(&count(self.bases.len()));
        for base in &self.bases {
            hasher.update(base.as_bytes());
        }
        for block in &self.blocks {
            hasher.update(&block.sealed_len.to_le_bytes());
            hasher.update(&[block.codec as u8, block.depth]);
            hasher.update(&count(block.bases.len()));
            for base in &block.bases {
                for number in [base.base, base.skip, base.len] {
                    hasher.update(&number.to_le_bytes());
                }
            }
            hasher.update(&count(block.chunks.len()));
            for chunk in &block.chunks {
                hasher.update(chunk.id.as_bytes()).update(&chunk.len.to_le_bytes());
            }
        }
        let mut short = [0; 16];
        hasher.finalize_xof().fill(&mut short);
        short
    }

    pub(super) fn check(&self, what: &'static str) -> Result<(), FormatError> {
        let damaged =
            |expected: &str, found: String| Err(FormatError::damaged(what, 2, expected, found));
        if self.chunk_count() > PACK_CHUNKS_MAX {
            return damaged("a bounded number of chunks", self.chunk_count().to_string());
        }
        if self.blocks_end() > PACK_LEN_MAX {
            return damaged("blocks within a pack", format!("{} bytes", self.blocks_end()));
        }
        for (ordinal, block) in self.blocks.iter().enumerate() {
            let raw: u64 = block.chunks.iter().map(|chunk| u64::from(chunk.len)).sum();
            if raw == 0 || raw > BLOCK_RAW_MAX as u64 {
                return damaged("1 byte to 8 MiB in a block", format!("{raw} in block {ordinal}"));
            }
            if (block.sealed_len as usize) < TAG_LEN {
                return damaged("a sealed block", format!("{} bytes", block.sealed_len));
            }
            self.check_bases(what, ordinal, block)?;
        }
        Ok(())
    }

    fn check_bases(
        &self,
        what: &'static str,
        ordinal: usize,
        block: &BlockRecord,
    ) -> Result<(), FormatError> {
        let is_delta = block.codec == Codec::ZstdDelta;
        let known = |base: &BaseRef| (base.base as usize) < self.bases.len();
        let total: u64 = block.bases.iter().map(|base| u64::from(base.len)).sum();
        let good = is_delta != block.bases.is_empty()
            && is_delta == (block.depth > 0)
            && block.depth <= DELTA_DEPTH_MAX
            && block.bases.len() <= BLOCK_BASES_MAX
            && total <= BLOCK_RAW_MAX as u64
            && block.bases.iter().all(known);
        if good {
            return Ok(());
        }
        let found = format!(
            "block {ordinal}: codec {:?}, depth {}, {} bases of {total} bytes",
            block.codec,
            block.depth,
            block.bases.len()
        );
        Err(FormatError::damaged(
            what,
            2,
            "bases and a depth of 1 to 64 on delta blocks only",
            found,
        ))
    }
}

/// The record at a pack's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    pub contents: PackContents,
    pub ext: Vec<Extension>,
}

impl Record for Trailer {
    const TAG: u8 = 5;
    const WHAT: &'static str = "pack trailer";
    const LIMIT: usize = TRAILER_MAX;

    fn extensions(&self) -> &[Extension] {
        &self.ext
    }

    fn validate(&self) -> Result<(), FormatError> {
        self.contents.check(Self::WHAT)
    }
}

/// The trailer's nonce; no block gets this far.
pub const TRAILER_ORDINAL: u64 = u64::MAX;

const FOOTER_MAGIC: &[u8; 6] = b"WOTSER";
pub const FOOTER_LEN: usize = 15;

/// The last 15 bytes of a pack: how to open the trailer before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    pub codec: u8,
    pub raw_len: u32,
    pub sealed_len: u32,
}

impl Footer {
    pub fn encode(&self) -> [u8; FOOTER_LEN] {
        let [a, b, c, d] = self.raw_len.to_le_bytes();
        let [e, f, g, h] = self.sealed_len.to_le_bytes();
        let [m, n, o, p, q, r] = *FOOTER_MAGIC;
        [self.codec, a, b, c, d, e, f, g, h, m, n, o, p, q, r]
    }

    /// The footer of a pack of `pack_len` bytes, from its last 15.
    pub fn decode(bytes: &[u8], pack_len: u64) -> Result<Self, FormatError> {
        const WHAT: &str = "pack footer";
        let Ok([codec, a, b, c, d, e, f, g, h, m, n, o, p, q, r]) =
            <[u8; FOOTER_LEN]>::try_from(bytes)
        else {
            let expected = format!("{FOOTER_LEN} bytes");
            return Err(FormatError::damaged(WHAT, 0, expected, bytes.len()));
        };
        if [m, n, o, p, q, r] != *FOOTER_MAGIC {
            let found = [m, n, o, p, q, r].escape_ascii().to_string();
            return Err(FormatError::damaged(WHAT, 9, "magic WOTSER", found));
        }
        let footer = Self {
            codec,
            raw_len: u32::from_le_bytes([a, b, c, d]),
            sealed_len: u32::from_le_bytes([e, f, g, h]),
        };
        let room = pack_len.saturating_sub((HEADER_LEN + FOOTER_LEN) as u64);
        if u64::from(footer.sealed_len) > room || (footer.sealed_len as usize) < TAG_LEN {
            let expected = format!("a trailer of 16 to {room} bytes");
            return Err(FormatError::damaged(WHAT, 5, expected, footer.sealed_len));
        }
        // Compressed only where that makes it shorter.
        if footer.sealed_len as usize - TAG_LEN > footer.raw_len as usize {
            let expected = format!("a trailer of at most {} bytes, sealed", footer.raw_len);
            return Err(FormatError::damaged(WHAT, 5, expected, footer.sealed_len));
        }
        if footer.raw_len as usize > TRAILER_MAX {
            let expected = format!("a trailer of at most {TRAILER_MAX} bytes");
            return Err(FormatError::damaged(WHAT, 1, expected, footer.raw_len));
        }
        Ok(footer)
    }

    pub fn sealed_part(&self, kind: PackKind) -> SealedPart {
        SealedPart {
            kind: kind.object(),
            ordinal: TRAILER_ORDINAL,
            codec: self.codec,
            raw_len: self.raw_len,
            sealed_len: self.sealed_len,
        }
    }
}

/// How many zero bytes bring an object of `len` bytes to its Padmé length (Nikitin et al., "Reducing
/// Metadata Leakage from Encrypted Files and Communication with PURBs", 2019): at most 12 % more,
/// leaking O(log log len) bits of the length.
pub fn padding_len(len: u64) -> u64 {
    if len < 2 {
        return 0;
    }
    let exponent = u64::from(len.ilog2());
    let mantissa = u64::from(exponent.max(1).ilog2()) + 1;
    let mask = (1u64 << exponent.saturating_sub(mantissa)) - 1;
    len.checked_add(mask).map_or(0, |sum| (sum & !mask) - len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padme_lengths() {
        // Values from the paper's algorithm: E = floor(log2 L), S = floor(log2 E) + 1, low E - S bits zero.
        for (len, padded) in [(9, 10), (100, 104), (1_000, 1_024), (10_000, 10_240)] {
            assert_eq!(len + padding_len(len), padded, "{len}");
        }
        for len in (1..100_000u64).chain([u64::MAX / 2]) {
            assert!(u128::from(padding_len(len)) * 100 <= u128::from(len) * 12, "{len}");
        }
    }
}
