//! Which copy of a chunk is kept: the shallowest that can be decoded, with all that it is coded against.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use rayon::prelude::*;

use crate::fault::ErrorKind;
use crate::id::{BaseId, ChunkId, PackId};
use crate::index::{Base, Location};
use crate::store::{StoreError, StoreReader};

use super::names::Names;
use super::packs::{Block, PackPlace, Packs};
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
    /// What is needed of blocks that hold several chunks.
    parts: Names,
    /// Bases kept for the chunk in hand; whether something was taken back, so that some of them may not be.
    bases: Vec<(BaseId, u8)>,
    went_back: bool,
    ahead: Ahead,
}

/// What was looked up on all cores for chunks that come next.
#[derive(Default)]
struct Ahead {
    bases: HashMap<Block, Vec<Base>>,
    located: HashMap<BaseId, (ChunkId, Vec<Location>)>,
    /// Whether copies are what they say.
    whole: HashMap<(ChunkId, Block), bool>,
}

/// What was looked up for one chunk.
struct LookedUp {
    copies: Vec<Location>,
    bases: Option<(Block, Vec<Base>)>,
    located: Vec<(BaseId, (ChunkId, Vec<Location>))>,
    whole: Option<(Block, bool)>,
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
        let goes = |place| matches!(place, PackPlace::Going | PackPlace::Theirs);
        let some_go = packs.iter().any(|(_, pack)| goes(pack.place));
        Self {
            reader,
            packs,
            some_go,
            broken: HashSet::new(),
            trail: Vec::new(),
            recent: Recent::new(),
            parts: Names::new(),
            bases: Vec::new(),
            went_back: false,
            ahead: Ahead::default(),
        }
    }

    /// Keeps each of these chunks that can be had; gives the first that cannot.
    pub fn keep_all(&mut self, ids: &[ChunkId]) -> Result<Option<ChunkId>, StoreError> {
        let is_new = |id: &&ChunkId| !self.recent.is_direct(&BaseId::of(id));
        // What was kept a moment ago is asked for again by the next night's recipe.
        let new: Vec<ChunkId> = ids.iter().filter(is_new).copied().collect();
        let found: Result<Vec<LookedUp>, StoreError> =
            new.par_iter().map(|id| self.look_ahead(id)).collect();
        let mut missing = None;
        let mut all = Vec::with_capacity(new.len());
        for (id, one) in new.iter().zip(found?) {
            self.ahead.whole.extend(one.whole.map(|(block, whole)| ((*id, block), whole)));
            self.ahead.bases.extend(one.bases);
            self.ahead.located.extend(one.located);
            all.push(one.copies);
        }
        for (id, copies) in new.iter().zip(all) {
            if self.keep_copies(id, &copies)?.is_none() {
                missing.get_or_insert(*id);
            }
        }
        self.ahead = Ahead::default();
        Ok(missing)
    }

    /// A chunk's copies, and what the one that will be kept, most likely, is coded against. Look-ups are what takes the
    /// time: here they are on all cores.
    fn look_ahead(&self, id: &ChunkId) -> Result<LookedUp, StoreError> {
        let copies = copies_of(&self.reader, id)?;
        let whole = self.first_of_several(id, &copies);
        let mut found = LookedUp { copies, bases: None, located: Vec::new(), whole };
        let Some(first) = found.copies.first().filter(|copy| copy.depth > 0) else {
            return Ok(found);
        };
        let Some((block, pack)) = self.packs.block(first) else { return Ok(found) };
        if pack.live.has(block.1) {
            return Ok(found);
        }
        let bases = self.reader.locator().bases(first)?;
        for base in bases.iter().filter(|base| !self.recent.has(&base.name)) {
            // What cannot be had is met again where it matters.
            if let Ok(located) = self.reader.locator().locate_base(&base.name) {
                found.located.push((base.name, located));
            }
        }
        found.bases = Some((block, bases));
        Ok(found)
    }

    /// Reads the copy that will be kept, most likely, where there are several.
    fn first_of_several(&self, id: &ChunkId, copies: &[Location]) -> Option<(Block, bool)> {
        let there = copies.iter().filter(|copy| self.place(copy) != PackPlace::Nowhere);
        if there.take(2).count() < 2 {
            return None;
        }
        let here = copies.iter().filter(|copy| self.place(copy) == PackPlace::Here);
        let first = here.min_by_key(|copy| self.rank(copy, From::Here))?;
        let (block, _) = self.packs.block(first)?;
        // What cannot be read at the moment is met again where it matters.
        Some((block, self.is_whole(id, first).ok()?))
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
        self.begin();
        let kept = self.need(id, copies, u8::MAX)?;
        if let Some(kept) = &kept {
            self.recent.add_direct(&BaseId::of(id), kept.depth);
            self.remember_bases();
            if let Some(number) = self.packs.find(&kept.pack)
                && let Some(pack) = self.packs.get_mut(number)
            {
                pack.direct.add(kept.ordinal);
            }
        }
        Ok(kept)
    }

    fn begin(&mut self) {
        self.trail.clear();
        self.bases.clear();
        self.went_back = false;
    }

    fn remember_bases(&mut self) {
        if !self.went_back {
            self.bases.drain(..).for_each(|(base, depth)| self.recent.add(&base, depth));
        }
    }

    /// Whether a chunk of a block that is needed, of so many bytes, is needed itself.
    pub fn needs(&self, pack: &PackId, raw_len: u32, (chunk, len): (&ChunkId, u32)) -> bool {
        len == raw_len || self.parts.may_have(&part_name(pack, chunk))
    }

    /// Keeps the chunk named so for a block of this depth, if it can be had.
    pub fn keep_base(&mut self, base: &BaseId, below: u8) -> Result<bool, StoreError> {
        self.begin();
        let is_kept = self.need_base(base, below, None)?;
        if is_kept {
            self.remember_bases();
        }
        Ok(is_kept)
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

    /// The chunk named so, kept at fewer decodes than `below`.
    fn need_base(
        &mut self,
        base: &BaseId,
        below: u8,
        from: Option<From>,
    ) -> Result<bool, StoreError> {
        if self.recent.depth(base).is_some_and(|depth| depth < below) {
            return Ok(true);
        }
        let located = match self.ahead.located.remove(base) {
            Some(located) => Some(located),
            None => self.reader.locator().find_base(base)?,
        };
        let Some((chunk, copies)) = located else { return Ok(false) };
        let kept = match from {
            Some(From::Here) => self.first(&chunk, &copies, below, From::Here),
            Some(From::Anywhere) | None => self.need(&chunk, &copies, below),
        }?;
        self.bases.extend(kept.as_ref().map(|kept| (*base, kept.depth)));
        Ok(kept.is_some())
    }

    fn first(
        &mut self,
        chunk: &ChunkId,
        copies: &[Location],
        below: u8,
        from: From,
    ) -> Result<Option<Location>, StoreError> {
        // Of several, those that are not kept go: the one that is must be what it says. Of one there is no choice.
        let there = copies.iter().filter(|copy| self.place(copy) != PackPlace::Nowhere);
        let is_one_of_several = there.take(2).count() > 1;
        let mut copies: Vec<&Location> = copies.iter().filter(|copy| copy.depth < below).collect();
        copies.sort_by_key(|copy| self.rank(copy, from));
        for copy in copies {
            let start = self.trail.len();
            if !self.take(copy, from)? {
                continue;
            }
            if !is_one_of_several || self.is_whole(chunk, copy)? {
                if copy.chunk_len != copy.raw_len {
                    self.parts.add(&part_name(&copy.pack, chunk));
                }
                return Ok(Some(*copy));
            }
            self.take_back(start);
        }
        Ok(None)
    }

    /// What others let go is a source only where there is no other: they may count on ours. Of copies as shallow as each
    /// other the one stored last stays: an earlier prune made it, out of a pack that is mostly waste.
    fn rank(&self, copy: &Location, from: From) -> (bool, u8, Reverse<Option<SystemTime>>) {
        let pack = self.packs.block(copy).map(|(_, pack)| (pack.place, pack.stored));
        let is_theirs = pack.is_some_and(|(place, _)| place == PackPlace::Theirs);
        let stored = pack.map(|(_, stored)| stored);
        (from == From::Anywhere && is_theirs, copy.depth, Reverse(stored))
    }

    /// Whether this very copy was read and is the chunk. What cannot be read at the moment is an error.
    fn is_whole(&self, chunk: &ChunkId, copy: &Location) -> Result<bool, StoreError> {
        if let Some((block, _)) = self.packs.block(copy)
            && let Some(is_whole) = self.ahead.whole.get(&(*chunk, block))
        {
            return Ok(*is_whole);
        }
        match self.reader.try_copy(chunk, copy) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Damage && !error.is_general() => {
                tracing::warn!("of several copies of chunk {chunk} one is left: {error}");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn place(&self, copy: &Location) -> PackPlace {
        self.packs.block(copy).map_or(PackPlace::Nowhere, |(_, pack)| pack.place)
    }

    /// Marks this copy and, first, all that it is coded against; nothing at all if any of it cannot be had.
    ///
    /// The recursion is bounded: depths fall, and none is over 64.
    fn take(&mut self, copy: &Location, from: From) -> Result<bool, StoreError> {
        let Some((block, pack)) = self.packs.block(copy) else { return Ok(false) };
        let mark = match (pack.place, from) {
            (PackPlace::Here, _) => Mark::Live,
            (PackPlace::Going | PackPlace::Theirs, _) if pack.rescued.has(block.1) => {
                return Ok(true);
            }
            (PackPlace::Going | PackPlace::Theirs, From::Anywhere) => Mark::Rescued,
            (PackPlace::Going | PackPlace::Theirs, From::Here) | (PackPlace::Nowhere, _) => {
                return Ok(false);
            }
        };
        if mark == Mark::Live && pack.live.has(block.1) {
            return Ok(true);
        }
        if from == From::Here && self.broken.contains(&block) {
            return Ok(false);
        }
        let start = self.trail.len();
        if copy.depth > 0 {
            let bases = match self.ahead.bases.remove(&block) {
                Some(bases) => bases,
                None => self.reader.locator().bases(copy)?,
            };
            for base in bases {
                if !self.need_base(&base.name, copy.depth, Some(from))? {
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
        self.went_back = true;
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

/// One chunk in one pack: another copy of it may be the one that is kept.
fn part_name(pack: &PackId, chunk: &ChunkId) -> BaseId {
    let mut name = *BaseId::of(chunk).as_bytes();
    name.iter_mut().zip(pack.as_bytes()).for_each(|(to, from)| *to ^= from);
    BaseId::new(name)
}

/// Copies of a chunk, the shallowest first; none where there are none.
fn copies_of(reader: &StoreReader, id: &ChunkId) -> Result<Vec<Location>, StoreError> {
    match reader.locator().locate(id) {
        Err(StoreError::MissingChunk { .. }) => Ok(Vec::new()),
        located => located,
    }
}
