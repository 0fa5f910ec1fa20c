//! Which copy of a chunk is kept: the shallowest that can be decoded, with all that it is coded against.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use rayon::prelude::*;

use crate::fault::ErrorKind;
use crate::id::{BaseId, ChunkId};
use crate::index::{IndexError, Location};
use crate::store::{StoreError, StoreReader};

use super::packs::{Block, Packs, Place};
use super::recent::Recent;

/// Marks the blocks that are needed, and those that have to be copied out of packs that go.
pub(super) struct Keeper {
    pub reader: Arc<StoreReader>,
    pub packs: Packs,
    /// Whether any pack goes: only then can there be something to rescue.
    some_go: bool,
    /// Delta blocks that do not decode from packs that are here.
    broken: HashSet<Block>,
    /// Blocks marked since the chunk in hand was begun, to be taken back where it comes to nothing.
    trail: Vec<(Block, Mark)>,
    /// Chunks kept lately.
    recent: Recent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Live,
    Rescued,
}

/// Where a chunk may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// In packs that stay, and by what stays.
    Here,
    /// Out of packs that go.
    Anywhere,
}

impl Keeper {
    pub fn new(reader: Arc<StoreReader>, packs: Packs) -> Self {
        let goes = |place| matches!(place, Place::Going | Place::Theirs);
        let some_go = packs.iter().any(|(_, pack)| goes(pack.place));
        let (broken, trail) = (HashSet::new(), Vec::new());
        Self { reader, packs, some_go, broken, trail, recent: Recent::new() }
    }

    /// Keeps each of these chunks that can be had; gives the first that cannot.
    pub fn keep_all(&mut self, ids: &[ChunkId]) -> Result<Option<ChunkId>, StoreError> {
        // What was kept a moment ago is asked for again by the next night's recipe.
        let new: Vec<ChunkId> = ids.iter().filter(|id| !self.recent.has(id)).copied().collect();
        let reader = Arc::clone(&self.reader);
        let copies: Result<Vec<_>, StoreError> =
            new.par_iter().map(|id| copies_of(&reader, id)).collect();
        let mut missing = None;
        for (id, copies) in new.iter().zip(copies?) {
            if self.keep_copies(id, &copies)?.is_none() {
                missing.get_or_insert(*id);
            }
        }
        Ok(missing)
    }

    /// Keeps a chunk. Gives the copy; `None`: there is none that decodes.
    pub fn keep(&mut self, id: &ChunkId) -> Result<Option<Location>, StoreError> {
        let copies = copies_of(&self.reader, id)?;
        self.keep_copies(id, &copies)
    }

    fn keep_copies(
        &mut self,
        id: &ChunkId,
        copies: &[Location],
    ) -> Result<Option<Location>, StoreError> {
        self.trail.clear();
        let kept = self.need(id, copies, u8::MAX)?;
        if kept.is_some() {
            self.recent.add(id);
        }
        Ok(kept)
    }

    /// Keeps the chunk named so for a block of this depth, if it can be had.
    pub fn keep_base(&mut self, base: &BaseId, below: u8) -> Result<bool, StoreError> {
        self.trail.clear();
        Ok(self.need_base(base, below, None)?.is_some())
    }

    /// Some copy of fewer decodes than `below`, kept.
    fn need(
        &mut self,
        chunk: &ChunkId,
        copies: &[Location],
        below: u8,
    ) -> Result<Option<Location>, StoreError> {
        if let Some(kept) = self.first(chunk, copies, below, From::Here)? {
            return Ok(Some(kept));
        }
        if !self.some_go { Ok(None) } else { self.first(chunk, copies, below, From::Anywhere) }
    }

    fn need_base(
        &mut self,
        base: &BaseId,
        below: u8,
        from: Option<From>,
    ) -> Result<Option<Location>, StoreError> {
        let (chunk, copies) = match self.reader.locate_base(base) {
            Ok(found) => found,
            Err(StoreError::MissingBase { .. }) => return Ok(None),
            Err(StoreError::Index(IndexError::AmbiguousBase { .. })) => return Ok(None),
            Err(error) => return Err(error),
        };
        match from {
            Some(From::Here) => self.first(&chunk, &copies, below, From::Here),
            Some(From::Anywhere) | None => self.need(&chunk, &copies, below),
        }
    }

    fn first(
        &mut self,
        chunk: &ChunkId,
        copies: &[Location],
        below: u8,
        from: From,
    ) -> Result<Option<Location>, StoreError> {
        // Of several, those that are not kept go: the one that is must be what it says. Of one there is no choice.
        let there = copies.iter().filter(|copy| self.place(copy) != Place::Nowhere);
        let is_one_of_several = there.take(2).count() > 1;
        let mut copies: Vec<&Location> = copies.iter().filter(|copy| copy.depth < below).collect();
        // What others let go is a source only where there is no other: they may count on ours. Of copies as shallow as each
        // other the one stored last stays: an earlier prune made it, out of a pack that is mostly waste.
        copies.sort_by_key(|copy| {
            let pack = self.packs.block(copy).map(|(_, pack)| (pack.place, pack.stored));
            let is_theirs = pack.is_some_and(|(place, _)| place == Place::Theirs);
            (
                from == From::Anywhere && is_theirs,
                copy.depth,
                Reverse(pack.map(|(_, stored)| stored)),
            )
        });
        for copy in copies {
            let start = self.trail.len();
            if !self.take(copy, from)? {
                continue;
            }
            if !is_one_of_several || self.is_whole(chunk, copy)? {
                return Ok(Some(*copy));
            }
            self.take_back(start);
        }
        Ok(None)
    }

    /// Whether this very copy was read and is the chunk. What cannot be read at the moment is an error.
    fn is_whole(&self, chunk: &ChunkId, copy: &Location) -> Result<bool, StoreError> {
        match self.reader.try_copy(chunk, copy) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Damage && !error.is_general() => {
                tracing::warn!("of several copies of chunk {chunk} one is left: {error}");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn place(&self, copy: &Location) -> Place {
        self.packs.block(copy).map_or(Place::Nowhere, |(_, pack)| pack.place)
    }

    /// Marks this copy and, first, all that it is coded against; nothing at all if any of it cannot be had.
    ///
    /// The recursion is bounded: depths fall, and none is over 64.
    fn take(&mut self, copy: &Location, from: From) -> Result<bool, StoreError> {
        let Some((block, pack)) = self.packs.block(copy) else { return Ok(false) };
        let mark = match (pack.place, from) {
            (Place::Here, _) => Mark::Live,
            (Place::Going | Place::Theirs, _) if pack.rescued.has(block.1) => return Ok(true),
            (Place::Going | Place::Theirs, From::Anywhere) => Mark::Rescued,
            (Place::Going | Place::Theirs, From::Here) | (Place::Nowhere, _) => return Ok(false),
        };
        if mark == Mark::Live && pack.live.has(block.1) {
            return Ok(true);
        }
        if from == From::Here && self.broken.contains(&block) {
            return Ok(false);
        }
        let start = self.trail.len();
        if copy.depth > 0 {
            for base in self.reader.bases(copy)? {
                if self.need_base(&base.name, copy.depth, Some(from))?.is_none() {
                    self.take_back(start);
                    if from == From::Here {
                        self.broken.insert(block);
                    }
                    return Ok(false);
                }
            }
        }
        self.set(block, mark);
        self.trail.push((block, mark));
        Ok(true)
    }

    fn set(&mut self, (pack, ordinal): Block, mark: Mark) {
        if let Some(pack) = self.packs.get_mut(pack) {
            match mark {
                Mark::Live => pack.live.add(ordinal),
                Mark::Rescued => pack.rescued.add(ordinal),
            };
        }
    }

    fn take_back(&mut self, start: usize) {
        for ((pack, ordinal), mark) in self.trail.split_off(start) {
            if let Some(pack) = self.packs.get_mut(pack) {
                match mark {
                    Mark::Live => pack.live.remove(ordinal),
                    Mark::Rescued => pack.rescued.remove(ordinal),
                }
            }
        }
    }
}

/// Copies of a chunk, the shallowest first; none where there are none.
fn copies_of(reader: &StoreReader, id: &ChunkId) -> Result<Vec<Location>, StoreError> {
    match reader.locate(id) {
        Err(StoreError::MissingChunk { .. }) => Ok(Vec::new()),
        located => located,
    }
}
