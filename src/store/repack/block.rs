//! Blocks of old packs on their way into new ones: which are read together, and what becomes of each.

use std::borrow::Cow;

use crate::codec::{self, CodecError};
use crate::format::{BaseRef, BlockRecord, ChunkRecord, Codec, HEADER_LEN, PackKind};
use crate::id::{ChunkId, PackId};
use crate::index::{Base, Location};
use crate::limits::BLOCK_RAW_MAX;
use crate::storage::Hints;
use crate::store::StoreError;
use crate::store::pack::builder::PackView;

use super::rebase::Recoded;

/// Blocks are in hand at once up to so many bytes, decoded.
const DECODED_MAX: u64 = BLOCK_RAW_MAX as u64;
/// A block that loses chunks is compressed as a new one would be.
const LEVEL: i32 = 3;

/// What of a pack is copied, and how.
pub struct Wanted<'w> {
    /// By a block's number in its pack.
    pub blocks: &'w (dyn Fn(u32) -> bool + Sync),
    /// Asked of the chunks of plain blocks that hold several, with the block's length and the chunk's.
    pub chunks: &'w (dyn Fn(u32, (&ChunkId, u32)) -> bool + Sync),
    /// The zstd level the pack was compacted at; that of blocks that lose chunks.
    pub level: Option<i32>,
    pub recode: &'w Recode<'w>,
}

/// What becomes of a delta of one chunk. `None`: it stays as it is.
pub type Recode<'w> =
    dyn Fn(&ChunkId, &Location) -> Result<Option<Recoded>, StoreError> + Sync + 'w;

/// A block and where it lies.
pub(in crate::store) struct Placed<'p> {
    ordinal: u32,
    pub offset: u64,
    record: &'p BlockRecord,
}

impl Placed<'_> {
    pub fn end(&self) -> u64 {
        self.offset + u64::from(self.record.sealed_len)
    }
}

/// The wanted blocks of a pack.
pub(in crate::store) fn placed<'p>(
    view: &'p PackView,
    wanted: &dyn Fn(u32) -> bool,
) -> Vec<Placed<'p>> {
    let mut end = HEADER_LEN as u64;
    let blocks = (0u32..).zip(&view.contents.blocks).map(|(ordinal, record)| {
        let offset = end;
        end += u64::from(record.sealed_len);
        Placed { ordinal, offset, record }
    });
    blocks.filter(|block| wanted(block.ordinal)).collect()
}

/// Blocks that are read together.
pub(in crate::store) fn runs<'r, 'p>(
    blocks: &'r [Placed<'p>],
    hints: &Hints,
) -> Vec<&'r [Placed<'p>]> {
    let (mut runs, mut rest) = (Vec::new(), blocks);
    while let Some(first) = rest.first() {
        let joins = |(before, next): &(&Placed<'_>, &Placed<'_>)| {
            next.offset - before.end() <= hints.gap_max
                && next.end() - first.offset <= hints.bulk_run_max
        };
        let more = rest.iter().zip(rest.iter().skip(1)).take_while(joins).count();
        let (run, after) = rest.split_at(more + 1);
        runs.push(run);
        rest = after;
    }
    runs
}

/// Blocks of a run that are opened at once: what they become may be far more than what they were.
pub(in crate::store) fn batches<'r, 'p>(run: &'r [Placed<'p>]) -> Vec<&'r [Placed<'p>]> {
    let (mut batches, mut rest) = (Vec::new(), run);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |block: &&Placed<'_>| {
            bytes += u64::from(block.record.raw_len());
            bytes <= DECODED_MAX
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (batch, after) = rest.split_at(count.min(rest.len()));
        batches.push(batch);
        rest = after;
    }
    batches
}

/// The sealed blocks of a run in what was read of it.
pub(in crate::store) fn split<'b>(run: &[Placed<'_>], buffer: &'b mut [u8]) -> Vec<&'b mut [u8]> {
    let mut at = run.first().map_or(0, |first| first.offset);
    let (mut rest, mut parts) = (buffer, Vec::new());
    for block in run {
        let gap = usize::try_from(block.offset - at).unwrap_or(usize::MAX).min(rest.len());
        let len = (block.record.sealed_len as usize).min(rest.len() - gap);
        let (_, after) = rest.split_at_mut(gap);
        let (part, after) = after.split_at_mut(len);
        parts.push(part);
        (rest, at) = (after, block.end());
    }
    parts
}

/// A block as it is to be written.
pub(in crate::store) struct Opened<'b> {
    pub codec: Codec,
    pub depth: u8,
    pub bases: Vec<Base>,
    pub chunks: Vec<ChunkRecord>,
    pub coded: Cow<'b, [u8]>,
    /// It is coded against something else than before.
    pub is_rebased: bool,
}

/// What a block holds, and how.
struct Coded<'b> {
    codec: Codec,
    chunks: Vec<ChunkRecord>,
    bytes: Cow<'b, [u8]>,
}

/// Opens blocks of one pack.
pub(in crate::store) struct Opener<'o> {
    pub kind: PackKind,
    pub id: &'o PackId,
    pub view: &'o PackView,
    pub level: Option<i32>,
    pub wanted: &'o Wanted<'o>,
}

impl Opener<'_> {
    pub fn open<'b>(
        &self,
        block: &Placed<'_>,
        sealed: &'b mut [u8],
    ) -> Result<Opened<'b>, StoreError> {
        let record = block.record;
        let recoded = match record.chunks.as_slice() {
            [one] if record.codec == Codec::ZstdDelta => {
                let at = self.location(block, one);
                (self.wanted.recode)(&one.id, &at)?
            }
            _ => None,
        };
        let depth = match recoded {
            Some(Recoded::Anew { codec, depth, bases, coded }) => {
                let (chunks, coded) = (record.chunks.clone(), Cow::Owned(coded));
                return Ok(Opened { codec, depth, bases, chunks, coded, is_rebased: true });
            }
            Some(Recoded::AsItIs { depth }) => depth,
            None => record.depth,
        };
        let part = record.sealed_part(self.kind, block.ordinal);
        let wrong = |e| StoreError::codec(format!("{} block {}", self.id, block.ordinal), e);
        let (nonce, key) = (part.nonce(), &self.view.key);
        let coded: &[u8] = key.open(nonce, &part.associated_data(), sealed).map_err(wrong)?;
        let Coded { codec, chunks, bytes: coded } = self.coded(record, coded).map_err(wrong)?;
        let bases = self.bases(record);
        Ok(Opened { codec, depth, bases, chunks, coded, is_rebased: false })
    }

    fn location(&self, block: &Placed<'_>, chunk: &ChunkRecord) -> Location {
        Location {
            pack: *self.id,
            pack_kind: self.kind,
            ordinal: block.ordinal,
            // A pack is shorter than that.
            offset: u32::try_from(block.offset).unwrap_or(u32::MAX),
            sealed_len: block.record.sealed_len,
            raw_len: block.record.raw_len(),
            codec: block.record.codec,
            depth: block.record.depth,
            chunk_offset: 0,
            chunk_len: chunk.len,
        }
    }

    fn bases(&self, record: &BlockRecord) -> Vec<Base> {
        let base = |base: &BaseRef| {
            let name = *self.view.contents.bases.get(base.base as usize)?;
            Some(Base { name, skip: base.skip, len: base.len })
        };
        record.bases.iter().filter_map(base).collect()
    }

    /// A plain block without the chunks that nobody needs, and compressed anew where that was asked for and is
    /// shorter; a delta as it is.
    fn coded<'b>(&self, record: &BlockRecord, coded: &'b [u8]) -> Result<Coded<'b>, CodecError> {
        let as_it_is = || Coded {
            codec: record.codec,
            chunks: record.chunks.clone(),
            bytes: Cow::Borrowed(coded),
        };
        // What it is coded against decides how long it is.
        if record.codec == Codec::ZstdDelta {
            return Ok(as_it_is());
        }
        let raw_len = record.raw_len();
        let is_wanted = |chunk: &ChunkRecord| (self.wanted.chunks)(raw_len, (&chunk.id, chunk.len));
        let wanted = record.chunks.iter().filter(|chunk| is_wanted(chunk)).count();
        // A block is never empty.
        let is_cut = (1..record.chunks.len()).contains(&wanted);
        if !is_cut && self.level.is_none() {
            return Ok(as_it_is());
        }
        let mut decoded = Vec::new();
        let raw = match record.codec {
            Codec::Raw => coded,
            Codec::Zstd | Codec::ZstdDelta => {
                codec::decompress(coded, raw_len as usize, &mut decoded)?;
                &decoded
            }
        };
        if is_cut {
            let level = self.level.or(self.wanted.level).unwrap_or(LEVEL);
            let (chunks, raw) = cut(record, raw, is_wanted);
            return Ok(match compressed(&raw, level, raw.len())? {
                Some(coded) => Coded { codec: Codec::Zstd, chunks, bytes: Cow::Owned(coded) },
                None => Coded { codec: Codec::Raw, chunks, bytes: Cow::Owned(raw) },
            });
        }
        let level = self.level.unwrap_or(LEVEL);
        Ok(match compressed(raw, level, coded.len())? {
            Some(anew) => Coded { codec: Codec::Zstd, bytes: Cow::Owned(anew), ..as_it_is() },
            None => as_it_is(),
        })
    }
}

/// The wanted chunks of a block, one after the other.
fn cut(
    record: &BlockRecord,
    raw: &[u8],
    is_wanted: impl Fn(&ChunkRecord) -> bool,
) -> (Vec<ChunkRecord>, Vec<u8>) {
    let (mut chunks, mut kept, mut rest) = (Vec::new(), Vec::new(), raw);
    for chunk in &record.chunks {
        let (bytes, after) = rest.split_at((chunk.len as usize).min(rest.len()));
        if is_wanted(chunk) {
            chunks.push(*chunk);
            kept.extend_from_slice(bytes);
        }
        rest = after;
    }
    (chunks, kept)
}

/// Compressed to less than so many bytes: decoded again before it is trusted.
fn compressed(raw: &[u8], level: i32, below: usize) -> Result<Option<Vec<u8>>, CodecError> {
    let mut anew = Vec::new();
    if !codec::compress(level, raw, &mut anew)? || anew.len() >= below {
        return Ok(None);
    }
    codec::decodes_to(raw, |out| codec::decompress(&anew, raw.len(), out))?;
    Ok(Some(anew))
}
