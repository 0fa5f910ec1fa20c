//! What a new chunk is coded against: the bytes of old chunks, verified, from copies that are not too deep.
//!
//! A chain of deltas costs one decode a link. Where one is as long as it may get, the new chunk is coded
//! against an ancestor further back: that delta is larger, but the chain is short again.

use std::sync::Arc;

use crate::id::{BaseId, ChunkId};
use crate::index::{Base, Location};
use crate::limits::{BLOCK_RAW_MAX, CHAIN_WORK_MAX};

use super::{Known, Piece, StoreError};

/// Bases ready to be coded against.
pub(super) struct Gathered {
    pub bytes: Vec<u8>,
    pub bases: Vec<Base>,
    /// Of the block that is coded against them.
    pub depth: u8,
}

/// Finds and reads bases. Shared by all threads.
pub(super) struct Bases {
    known: Arc<Known>,
    /// How many decodes a new block may take before its own; 0 for no deltas at all.
    depth_max: u8,
}

/// Old chunks that one block may be coded against.
const BASES_MAX: usize = 32;

/// Less than this part of all that a chunk may be coded against is left out,
const SLIVER: u64 = 16;
/// unless it is this long: bytes that are missed cost as much, however long the rest is.
const SLIVER_MAX: u64 = 8 * 1024;
/// How far ahead the cost of going further back is spread. Simulated over 30, 60, 120 and 365 nights
/// (docs/DELTAS.md): less makes too many small steps back, more pays too much too early.
const NIGHTS: u8 = 12;

/// Part of a chunk, never empty, and the copy of it that counts.
#[derive(Clone, Copy)]
struct Found {
    chunk: ChunkId,
    skip: u32,
    len: u32,
    at: Location,
}

impl Bases {
    pub fn new(known: Arc<Known>, depth_max: u8) -> Self {
        Self { known, depth_max }
    }

    /// What to code against where these pieces of an old stream stand in the place of something new. `None`: by
    /// itself. `lineage` is the same for what takes the same place night by night.
    pub fn gather(
        &self,
        pieces: &[Piece],
        lineage: [u8; 4],
    ) -> Result<Option<Gathered>, StoreError> {
        if self.depth_max == 0 {
            return Ok(None);
        }
        let mut found = Vec::new();
        for piece in pieces.iter().take(BASES_MAX) {
            if piece.len == 0 {
                continue;
            }
            let base = Base { name: BaseId::of(&piece.id), skip: piece.skip, len: piece.len };
            let shallowest = self.known.shallowest_base(&base.name)?;
            if let Some((_, at)) = shallowest.filter(|(id, _)| *id == piece.id) {
                found.extend(Found::new(piece.id, &base, at));
            }
        }
        leave_out_slivers(&mut found);
        let limit = self.limit_for(lineage);
        if depth_of(&found) >= limit {
            found = match self.further_back(found, limit)? {
                Some(found) => found,
                None => return Ok(None),
            };
        }
        match self.read(&found) {
            // Chains may also be too wide.
            Err(StoreError::CostlyChain { .. }) => {
                let depth = depth_of(&found);
                let shallower = self.further_back(found, depth)?;
                shallower.map_or(Ok(None), |found| {
                    self.read(&found).or_else(|error| match error {
                        StoreError::CostlyChain { .. } => Ok(None),
                        error => Err(error),
                    })
                })
            }
            read => read,
        }
    }

    /// Chains are not allowed the same depth everywhere, or all would have to be begun anew on the same night.
    fn limit_for(&self, [a, ..]: [u8; 4]) -> u8 {
        self.depth_max - a % (self.depth_max / 4 + 1)
    }

    /// The ancestors that cost least over the nights a chain can then go on: `limit` less their depth, as far as
    /// we look ahead. What a delta against them costs is about what the deltas since then cost together.
    fn further_back(&self, from: Vec<Found>, limit: u8) -> Result<Option<Vec<Found>>, StoreError> {
        let hop = deepest(&from).map(|found| u64::from(found.at.sealed_len)).sum::<u64>();
        let (mut current, mut cost) = (from, hop);
        let mut best: Option<(f64, Vec<Found>)> = None;
        loop {
            let depth = depth_of(&current);
            if depth < limit {
                let nights = f64::from((limit - depth).min(NIGHTS));
                let rate = (cost as f64 + hop as f64 * (nights - 1.0)) / nights;
                if best.as_ref().is_none_or(|(least, _)| rate < *least) {
                    best = Some((rate, current.clone()));
                }
            }
            if depth == 0 {
                break;
            }
            let older = self.one_hop_back(&current, depth)?;
            if older.is_empty() || older.len() > BASES_MAX || depth_of(&older) >= depth {
                break;
            }
            cost += deepest(&current).map(|found| u64::from(found.at.sealed_len)).sum::<u64>();
            current = older;
        }
        Ok(best.map(|(_, found)| found))
    }

    /// The same place one decode earlier: the deepest are replaced by what they are coded against.
    fn one_hop_back(&self, from: &[Found], depth: u8) -> Result<Vec<Found>, StoreError> {
        let mut older: Vec<Found> = Vec::new();
        for found in from {
            if found.at.depth < depth {
                join(&mut older, *found);
                continue;
            }
            let mut bases = Vec::new();
            for base in self.known.reader().bases_near(&found.at)? {
                let shallowest = self.known.shallowest_base(&base.name)?;
                if let Some((chunk, at)) = shallowest.filter(|(_, at)| at.depth < depth) {
                    bases.extend(Found::new(chunk, &base, at));
                }
            }
            for part in part_of(&bases, found) {
                join(&mut older, part);
            }
        }
        leave_out_slivers(&mut older);
        Ok(older)
    }

    /// A base that cannot be read is left out: what is new is then stored without it.
    fn read(&self, found: &[Found]) -> Result<Option<Gathered>, StoreError> {
        let mut gathered = Gathered { bytes: Vec::new(), bases: Vec::new(), depth: 0 };
        let mut work = 0u64;
        for Found { chunk: id, skip, len, at } in found {
            // The copy that counts, whatever others there are: readers of the new block rely on it.
            let chunk = match self.known.reader().base_chunk(id, at) {
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
}

impl Found {
    /// `None`: the copy has no such part.
    fn new(chunk: ChunkId, base: &Base, at: Location) -> Option<Self> {
        let range = base.range_in(at.chunk_len)?;
        let (skip, len) = (range.start, range.end - range.start);
        Some(Self { chunk, skip, len, at })
    }
}

fn depth_of(found: &[Found]) -> u8 {
    found.iter().map(|found| found.at.depth).max().unwrap_or(0)
}

fn deepest(found: &[Found]) -> impl Iterator<Item = &Found> {
    let depth = depth_of(found);
    found.iter().filter(move |found| depth > 0 && found.at.depth == depth)
}

/// Of what a chunk is coded against, what a part of the chunk is likely to stand in: bases follow one another as
/// the chunk's bytes do.
fn part_of(bases: &[Found], part: &Found) -> Vec<Found> {
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
            parts.push(Found { skip, len, ..*base });
        }
        start = end;
    }
    parts
}

/// A base of a few bytes costs as many links as one of many, and so do those of its own: what it would save is
/// not worth that.
fn leave_out_slivers(found: &mut Vec<Found>) {
    let total: u64 = found.iter().map(|found| u64::from(found.len)).sum();
    let least = total.div_ceil(SLIVER).min(SLIVER_MAX);
    found.retain(|found| u64::from(found.len) >= least);
}

/// Parts of one chunk become one part: neighbours share what they are coded against.
fn join(to: &mut Vec<Found>, new: Found) {
    match to.iter_mut().find(|found| found.chunk == new.chunk) {
        Some(found) => {
            let end = (found.skip + found.len).max(new.skip + new.len);
            found.skip = found.skip.min(new.skip);
            found.len = end - found.skip;
        }
        None => to.push(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Codec, PackKind};
    use crate::id::PackId;

    fn found(lens: &[u32]) -> Vec<Found> {
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
            Found { chunk: ChunkId::new([number as u8; 32]), skip: 0, len: *len, at }
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
