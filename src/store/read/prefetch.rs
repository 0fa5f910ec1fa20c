//! The bases of many blocks, looked up and read before any of them is decoded: level by level, neighbours
//! together. One night's deltas lie side by side in a pack, so that a level takes a read or two.

use std::collections::{HashMap, HashSet};

use crate::format::{Codec, name};
use crate::id::BaseId;
use crate::index::{Base, Location};
use crate::storage::{ByteRange, Hints, Key};

use super::decoded::{Place, place};
use super::decoder::BlockDecoder;
use super::trailer_cache::Copies;

/// Blocks that are looked up ahead of a run.
const BLOCKS_MAX: usize = 16 * 1024;

/// What is known of the chains of some blocks. What is not in here is looked up and read when it is needed.
#[derive(Default)]
pub(in crate::store) struct Ahead {
    copies: HashMap<BaseId, Copies>,
    bases: HashMap<Place, Vec<Base>>,
    /// Which buffer a sealed block is in, and where it starts there.
    sealed: HashMap<Place, (usize, usize)>,
    buffers: Vec<Vec<u8>>,
}

impl Ahead {
    /// Looks up and reads what the delta blocks among `blocks` are coded against, in no more than about
    /// `bytes_max`. What goes wrong is left for the one who needs it.
    pub fn of_blocks<'l>(
        decoder: &BlockDecoder,
        blocks: impl Iterator<Item = &'l Location>,
        bytes_max: u64,
    ) -> Self {
        let mut known = Vec::new();
        for at in blocks.filter(|at| at.codec == Codec::ZstdDelta) {
            known.extend(decoder.locator.bases_near(at).ok().map(|bases| (*at, bases)));
        }
        Self::of_known(decoder, known, bytes_max)
    }

    /// Likewise, for blocks whose bases the caller knows.
    pub fn of_known(
        decoder: &BlockDecoder,
        blocks: Vec<(Location, Vec<Base>)>,
        bytes_max: u64,
    ) -> Self {
        let mut ahead = Self::default();
        if blocks.is_empty() {
            return ahead;
        }
        let mut level = Vec::new();
        for (at, bases) in blocks {
            level.push(at);
            ahead.bases.insert(place(&at), bases);
        }
        let mut found = ahead.look_up(decoder, level, bytes_max);
        found.sort_unstable_by_key(|at| (at.pack, at.offset));
        ahead.read(decoder, &found, bytes_max);
        ahead
    }

    /// The blocks that have to be read, each once.
    fn look_up(
        &mut self,
        decoder: &BlockDecoder,
        mut level: Vec<Location>,
        bytes_max: u64,
    ) -> Vec<Location> {
        let (mut seen, mut found, mut bytes) = (HashSet::new(), Vec::new(), 0);
        while !level.is_empty() {
            let mut next = Vec::new();
            for at in level {
                let bases = self.bases.get(&place(&at)).cloned().unwrap_or_default();
                for base in bases {
                    let Some(copy) = self.shallower(decoder, &base.name, &at) else { continue };
                    if !seen.insert(place(&copy)) || decoder.has_decoded(&copy) {
                        continue;
                    }
                    bytes += u64::from(copy.sealed_len);
                    if bytes > bytes_max || seen.len() > BLOCKS_MAX {
                        return found;
                    }
                    found.push(copy);
                    if copy.codec == Codec::ZstdDelta
                        && let Ok(bases) = decoder.locator.bases_near(&copy)
                    {
                        self.bases.insert(place(&copy), bases);
                        next.push(copy);
                    }
                }
            }
            level = next;
        }
        found
    }

    /// The copy that is tried first for a base of a block of this depth.
    fn shallower(
        &mut self,
        decoder: &BlockDecoder,
        base: &BaseId,
        of: &Location,
    ) -> Option<Location> {
        let find = |known: &Copies| known.copies.iter().find(|copy| copy.depth < of.depth).copied();
        if let Some(known) = self.copies.get(base) {
            return find(known);
        }
        let known = decoder.locator.copies_near(base, of.depth, &of.pack).ok()?;
        let found = find(&known);
        self.copies.insert(*base, known);
        found
    }

    fn read(&mut self, decoder: &BlockDecoder, found: &[Location], bytes_max: u64) {
        let (mut left, mut read_together, mut ranges) = (bytes_max, Vec::new(), Vec::new());
        for run in runs(found, u64::MAX, &decoder.packs.storage().hints(), |at| at) {
            let Some(range) = range_of(run.iter()) else { continue };
            // Gaps count, too.
            let Some(rest) = left.checked_sub(range.len as u64) else { break };
            left = rest;
            read_together.push(run);
            ranges.push(range);
        }
        decoder.packs.storage().get_ranges(&ranges, &mut Vec::new(), &mut |number, read| {
            let (Ok(buffer), Some(run)) = (read, read_together.get(number)) else { return };
            let start = run.first().map_or(0, |first| first.offset);
            for at in *run {
                let from = (at.offset - start) as usize;
                self.sealed.insert(place(at), (self.buffers.len(), from));
            }
            self.buffers.push(std::mem::take(buffer));
        });
    }

    /// The chunk that a base's name stands for, and its copies.
    pub fn copies(&self, base: &BaseId) -> Option<&Copies> {
        self.copies.get(base)
    }

    pub fn bases(&self, at: &Location) -> Option<&[Base]> {
        self.bases.get(&place(at)).map(Vec::as_slice)
    }

    pub fn sealed(&self, at: &Location) -> Option<&[u8]> {
        let (buffer, start) = *self.sealed.get(&place(at))?;
        self.buffers.get(buffer)?.get(start..start + at.sealed_len as usize)
    }
}

fn end_of(at: &Location) -> u64 {
    u64::from(at.offset) + u64::from(at.sealed_len)
}

/// The bytes from the start of the first block to the end of the last. All lie in one pack, the first block first.
pub(in crate::store) fn range_of<'l>(
    mut run: impl Iterator<Item = &'l Location> + Clone,
) -> Option<ByteRange> {
    let end = run.clone().map(end_of).max()?;
    let first = run.next()?;
    let offset = u64::from(first.offset);
    let key = Key::new(name::pack(&first.pack)).ok()?;
    // A run is bounded, and so is a block.
    Some(ByteRange { key, offset, len: usize::try_from(end.checked_sub(offset)?).ok()? })
}

/// Splits what is sorted by place where the pack changes, a gap is too wide, a read grows too long, or the
/// chunks come to more than `raw_max` bytes.
pub(in crate::store) fn runs<'p, T>(
    mut placed: &'p [T],
    raw_max: u64,
    hints: &Hints,
    at: impl Fn(&T) -> &Location,
) -> Vec<&'p [T]> {
    let mut runs = Vec::new();
    while let Some(first) = placed.first().map(&at) {
        let start = u64::from(first.offset);
        let (mut end, mut raw, mut ordinal) = (end_of(first), 0, first.ordinal);
        let joins = |next: &T| {
            let next = at(next);
            raw += u64::from(next.chunk_len);
            let joins = next.pack == first.pack
                && u64::from(next.offset) <= end + hints.gap_max
                && (end_of(next) - start <= hints.run_max || end_of(next) <= end)
                && (raw <= raw_max || next.ordinal == ordinal);
            if joins {
                (end, ordinal) = (end.max(end_of(next)), next.ordinal);
            }
            joins
        };
        let count = placed.iter().map(joins).take_while(|joins| *joins).count().max(1);
        let (run, rest) = placed.split_at_checked(count).unwrap_or((placed, &[]));
        runs.push(run);
        placed = rest;
    }
    runs
}
