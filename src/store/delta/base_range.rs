//! Parts of old chunks that something is coded against, and how they follow from one another down a chain.

use crate::codec;
use crate::id::ChunkId;
use crate::index::{Base, Location};
use crate::limits::{BLOCK_RAW_MAX, CHAIN_WORK_MAX};
use crate::store::StoreError;
use crate::store::read::reader::StoreReader;

/// Old chunks that one block may be coded against.
pub(in crate::store) const BASES_MAX: usize = 32;

/// Less than this part of all that a chunk may be coded against is left out,
const SLIVER: u64 = 16;
/// unless it is this long: bytes that are missed cost as much, however long the rest is.
const SLIVER_MAX: u64 = 8 * 1024;

/// About what it takes to tell of a base: its id, in trailer and index.
const BASE_COST: usize = 40;
/// A delta above this part of the chunk is weighed against coding it by itself: rows shrink to a quarter.
const DISAPPOINTING: usize = 8;
/// A delta that saves less than this part of the chunk saves nothing: that is noise written anew.
const NOISE: usize = 20;

/// Part of a chunk, never empty, and the copy of it that counts.
#[derive(Clone, Copy)]
pub(in crate::store) struct OldPart {
    pub chunk: ChunkId,
    pub skip: u32,
    pub len: u32,
    pub at: Location,
}

/// Bases ready to be coded against.
pub(in crate::store) struct Gathered {
    pub bytes: Vec<u8>,
    pub bases: Vec<Base>,
    /// Of the block that is coded against them.
    pub depth: u8,
}

impl OldPart {
    /// `None`: the copy has no such part.
    pub fn new(chunk: ChunkId, base: &Base, at: Location) -> Option<Self> {
        let range = base.range_in(at.chunk_len)?;
        let (skip, len) = (range.start, range.end - range.start);
        Some(Self { chunk, skip, len, at })
    }
}

pub(in crate::store) fn depth_of(found: &[OldPart]) -> u8 {
    found.iter().map(|found| found.at.depth).max().unwrap_or(0)
}

pub(in crate::store) fn deepest(found: &[OldPart]) -> impl Iterator<Item = &OldPart> {
    let depth = depth_of(found);
    found.iter().filter(move |found| depth > 0 && found.at.depth == depth)
}

/// Of what a chunk is coded against, what a part of the chunk is likely to stand in: bases follow one another as
/// the chunk's bytes do.
pub(in crate::store) fn part_of(bases: &[OldPart], part: &OldPart) -> Vec<OldPart> {
    let total: u64 = bases.iter().map(|base| u64::from(base.len)).sum();
    let scaled = |at: u32| u64::from(at) * total / u64::from(part.at.chunk_len.max(1));
    let (from, to) = (scaled(part.skip), scaled(part.skip + part.len));
    let (mut parts, mut start) = (Vec::new(), 0);
    for base in bases {
        let end = start + u64::from(base.len);
        let (first, last) = (from.max(start), to.min(end));
        // Within the base, so within its length.
        let within = |at: u64| u32::try_from(at - start).unwrap_or(0);
        if first < last {
            let (skip, len) = (base.skip + within(first), within(last) - within(first));
            parts.push(OldPart { skip, len, ..*base });
        }
        start = end;
    }
    parts
}

/// A base of a few bytes costs as many links as one of many, and so do those of its own: what it would save is
/// not worth that.
pub(in crate::store) fn leave_out_slivers(found: &mut Vec<OldPart>) {
    let total: u64 = found.iter().map(|found| u64::from(found.len)).sum();
    let least = total.div_ceil(SLIVER).min(SLIVER_MAX);
    found.retain(|found| u64::from(found.len) >= least);
}

/// Parts of one chunk become one part: neighbours share what they are coded against.
pub(in crate::store) fn join(to: &mut Vec<OldPart>, new: OldPart) {
    match to.iter_mut().find(|found| found.chunk == new.chunk) {
        Some(found) => {
            let end = (found.skip + found.len).max(new.skip + new.len);
            found.skip = found.skip.min(new.skip);
            found.len = end - found.skip;
        }
        None => to.push(new),
    }
}

/// Reads these parts, as far as they fit. One that cannot be read is left out: what is coded then goes without it.
pub(in crate::store) fn gather(
    reader: &StoreReader,
    parts: &[OldPart],
) -> Result<Option<Gathered>, StoreError> {
    let mut gathered = Gathered { bytes: Vec::new(), bases: Vec::new(), depth: 0 };
    let mut work = 0u64;
    for OldPart { chunk: id, skip, len, at } in parts {
        // The copy that counts, whatever others there are: readers of the new block rely on it.
        let chunk = match reader.base_chunk(id, at) {
            Ok((chunk, takes)) => {
                work = work.saturating_add(takes);
                chunk
            }
            Err(error @ StoreError::CostlyChain { .. }) => return Err(error),
            Err(error) if error.is_general() => return Err(error),
            Err(error) => {
                tracing::warn!("chunk {id} is no base: {error}");
                continue;
            }
        };
        // Together, too, they must be within what a reader gives.
        if work > CHAIN_WORK_MAX / 2 {
            let (what, limit) = ("work", CHAIN_WORK_MAX / 2);
            return Err(StoreError::CostlyChain { chunk: *id, what, limit });
        }
        let (start, end) = (*skip as usize, *skip as usize + *len as usize);
        let Some(part) = chunk.get(start..end) else { continue };
        if gathered.bytes.len() + part.len() > BLOCK_RAW_MAX {
            break;
        }
        gathered.bytes.extend_from_slice(part);
        // The length of the chunk that was verified, not what some index object says of it.
        gathered.bases.push(Base::part_of(id, chunk.len(), *skip, *len));
        gathered.depth = gathered.depth.max(at.depth + 1);
    }
    Ok((!gathered.bases.is_empty()).then_some(gathered))
}

/// Codes bytes against these into `out`. `false`: they are better coded by themselves.
pub(in crate::store) fn code_against(
    level: i32,
    base: &Gathered,
    raw: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    let wrong = |e| StoreError::codec("new block", e);
    codec::compress_against(level, &base.bytes, raw, out).map_err(wrong)?;
    if out.len() >= raw.len() - raw.len() / NOISE {
        return Ok(false);
    }
    let cost = out.len() + BASE_COST * base.bases.len();
    if cost > raw.len() / DISAPPOINTING {
        let mut plain = Vec::new();
        let shrank = codec::compress(level, raw, &mut plain).map_err(wrong)?;
        let plain = if shrank { plain.len() } else { raw.len() };
        return Ok(plain > cost);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Codec, PackKind};
    use crate::id::PackId;

    fn found(lens: &[u32]) -> Vec<OldPart> {
        let part = |(number, len): (usize, &u32)| {
            let at = Location {
                pack: PackId::new([0; 32]),
                pack_kind: PackKind::Data,
                ordinal: 0,
                offset: 0,
                sealed_len: *len,
                raw_len: *len,
                codec: Codec::Raw,
                depth: 0,
                chunk_offset: 0,
                chunk_len: *len,
            };
            OldPart { chunk: ChunkId::new([number as u8; 32]), skip: 0, len: *len, at }
        };
        lens.iter().enumerate().map(part).collect()
    }

    /// A sixteenth of a long chunk was left out, 26 KB that were stored again.
    #[test]
    fn a_sliver_is_short_whatever_it_is_part_of() {
        for (lens, left) in [
            (&[410_837, 26_567][..], &[410_837, 26_567][..]),
            (&[8192, 200_000, 2048], &[8192, 200_000]),
            (&[1000, 20_000, 1500], &[20_000, 1500]),
            (&[10], &[10]),
            (&[], &[]),
        ] {
            let mut found = found(lens);
            leave_out_slivers(&mut found);
            let lens: Vec<u32> = found.iter().map(|found| found.len).collect();
            assert_eq!(lens, left);
        }
    }
}
