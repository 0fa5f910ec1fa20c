//! The bases of a delta block, decoded: without recursion, and within bounds of memory and of work that no
//! stored bytes can exceed. Depths fall from a block to its bases, so that every chain ends.

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use crate::format::Codec;
use crate::id::{BaseId, ChunkId, PackId};
use crate::index::{Base, Location};
use crate::limits::{BLOCK_RAW_MAX, CHAIN_HELD_MAX, CHAIN_STEP_WORK, CHAIN_WORK_MAX};
use crate::store::StoreError;

use super::buffer::Buffer;
use super::decoded::{Decoded, Effort, Place, Prefix, place};
use super::decoder::{BlockDecoder, decode_block};
use super::prefetch::Ahead;
use super::trailer_cache::Copies;

/// A delta block whose bases are gathered.
struct Open {
    at: Location,
    bases: std::vec::IntoIter<Base>,
    /// It has several. Ways down then meet again, at every level: without a cache there are 2^n of them.
    branches: bool,
    prefix: Prefix,
    effort: Effort,
}

impl Open {
    fn new(at: Location, bases: Vec<Base>) -> Self {
        let (prefix, effort, branches) = (Prefix::default(), Effort::default(), bases.len() > 1);
        Self { at, bases: bases.into_iter(), branches, prefix, effort }
    }

    /// Takes a base that was decoded.
    fn take(&mut self, block: Decoded, range: Range<usize>) -> Result<(), StoreError> {
        let below = block.effort.held.max(block.bytes.len() as u64);
        self.effort.held = self.effort.held.max(self.prefix.held() + below);
        self.effort.work = self.effort.work.saturating_add(block.effort.work);
        self.prefix.push(block.bytes, range);
        let found = self.prefix.bytes().len();
        if found > BLOCK_RAW_MAX {
            let expected = format!("bases of at most {BLOCK_RAW_MAX} bytes");
            return Err(StoreError::damaged(self.at.pack, "block", expected, found));
        }
        Ok(())
    }
}

/// A base that is wanted: the copy that is being decoded, and those to try after it.
struct Frame {
    base: Base,
    chunk: ChunkId,
    copies: std::vec::IntoIter<Location>,
    tried: Option<Place>,
    open: Option<Open>,
}

/// What comes of the frame on top.
enum Step {
    /// A delta block, whose bases are gathered next.
    Open(Open),
    /// A base of the block that is open.
    Want(Base, PackId, u8),
    Whole(Location, Decoded),
}

thread_local! {
    /// A sealed block.
    static SEALED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Decodes what one chunk, or one run's block, needs.
pub(in crate::store) struct Chain<'r> {
    decoder: &'r BlockDecoder,
    ahead: Option<&'r Ahead>,
    /// For errors.
    chunk: ChunkId,
    spent: u64,
    /// Whether bases are taken from where they are likely to be, without asking the index.
    guesses: bool,
    /// Whether one was.
    guessed: bool,
    /// Some copy could not be decoded. What others that were tried instead have in common is then kept.
    troubled: bool,
    /// Copies that could not be decoded: what stands on one chunk in many ways fails once.
    failed: HashSet<(ChunkId, Place)>,
    /// Why the last of them could not.
    cause: Option<StoreError>,
    /// Trusts no cache, and holds every base against its id.
    strict: bool,
}

impl<'r> Chain<'r> {
    pub fn new(decoder: &'r BlockDecoder, ahead: Option<&'r Ahead>, chunk: ChunkId) -> Self {
        Self {
            decoder,
            ahead,
            chunk,
            spent: 0,
            guesses: true,
            guessed: false,
            troubled: false,
            failed: HashSet::new(),
            cause: None,
            strict: false,
        }
    }

    /// From now on, or no longer. What could be decoded in one way perhaps cannot in the other.
    fn set_strict(&mut self, strict: bool) {
        self.strict = strict;
        self.failed.clear();
    }

    /// Whether no other copy need be tried after this error.
    pub fn ends_with(&self, error: &StoreError) -> bool {
        error.is_general() || self.spent > CHAIN_WORK_MAX
    }

    /// The block of a copy, in which the chunk is what it should be.
    pub fn whole(&mut self, id: &ChunkId, at: &Location) -> Result<Decoded, StoreError> {
        let first = self.proven(id, at);
        match &first {
            // Some base may not be what it is called, so that what it serves decodes to something else or not at
            // all: another copy of it could be.
            Err(error) if at.codec == Codec::ZstdDelta && !self.ends_with(error) => {
                self.set_strict(true);
                let second = self.proven(id, at);
                self.set_strict(false);
                second.or(first)
            }
            _ => first,
        }
    }

    fn proven(&mut self, id: &ChunkId, at: &Location) -> Result<Decoded, StoreError> {
        let block = self.block(at)?;
        self.decoder.verified(at, id, &block.bytes)?;
        Ok(block)
    }

    /// The block, from the cache or decoded with all that it takes, and kept.
    fn block(&mut self, at: &Location) -> Result<Decoded, StoreError> {
        if let Some(known) = self.cached(at) {
            return Ok(known);
        }
        let block = self.guessing(|chain| {
            let (prefix, effort) = chain.gather(at)?;
            chain.decode(at, &prefix, effort)
        })?;
        self.keep(at, &block);
        Ok(block)
    }

    /// What the block is coded against: nothing for a plain one.
    pub fn prefix(&mut self, at: &Location) -> Result<(Prefix, Effort), StoreError> {
        self.guessing(|chain| chain.gather(at))
    }

    /// Guesses save time, nothing else: whatever went wrong with one, the index may know better.
    fn guessing<T>(
        &mut self,
        act: impl Fn(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let spent = self.spent;
        self.guessed = false;
        let first = act(self);
        if first.is_ok() || !std::mem::take(&mut self.guessed) {
            return first;
        }
        (self.guesses, self.spent) = (false, spent);
        act(self)
    }

    fn gather(&mut self, at: &Location) -> Result<(Prefix, Effort), StoreError> {
        if at.codec != Codec::ZstdDelta {
            return Ok(Default::default());
        }
        let mut bottom = self.open(at)?;
        let mut stack: Vec<Frame> = Vec::new();
        loop {
            let step = match stack.last_mut() {
                Some(frame) => self.step(frame),
                None => match bottom.bases.next() {
                    Some(base) => Ok(Step::Want(base, bottom.at.pack, bottom.at.depth)),
                    None => return Ok((bottom.prefix, bottom.effort)),
                },
            };
            let done = match step {
                Ok(step) => self.take(step, &mut stack, &mut bottom),
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                self.fail(&mut stack, error)?;
            }
        }
    }

    fn open(&self, at: &Location) -> Result<Open, StoreError> {
        Ok(Open::new(*at, self.bases(at)?))
    }

    fn step(&mut self, frame: &mut Frame) -> Result<Step, StoreError> {
        if let Some(open) = &mut frame.open {
            return match open.bases.next() {
                Some(base) => Ok(Step::Want(base, open.at.pack, open.at.depth)),
                None => {
                    let block = self.decode(&open.at, &open.prefix, open.effort)?;
                    Ok(Step::Whole(open.at, block))
                }
            };
        }
        let missing = || StoreError::MissingChunk { chunk: frame.chunk };
        let at = frame.copies.next().ok_or_else(missing)?;
        frame.tried = Some(place(&at));
        if self.failed.contains(&(frame.chunk, place(&at))) {
            return Err(self.cause.take().unwrap_or_else(missing));
        }
        self.spend(CHAIN_STEP_WORK)?;
        if let Some(block) = self.cached(&at) {
            return Ok(Step::Whole(at, block));
        }
        if at.codec == Codec::ZstdDelta {
            return self.open(&at).map(Step::Open);
        }
        let block = self.decode(&at, &Prefix::None, Effort::default())?;
        Ok(Step::Whole(at, block))
    }

    /// An error means that the copy open on top of the stack, or the bottom, cannot be decoded.
    fn take(
        &mut self,
        step: Step,
        stack: &mut Vec<Frame>,
        bottom: &mut Open,
    ) -> Result<(), StoreError> {
        match step {
            Step::Open(open) => {
                if let Some(frame) = stack.last_mut() {
                    frame.open = Some(open);
                }
            }
            Step::Want(base, from, depth) => {
                let (chunk, copies) = self.shallower(&base.name, &from, depth)?;
                stack.push(Frame {
                    base,
                    chunk,
                    copies: copies.into_iter(),
                    tried: None,
                    open: None,
                });
            }
            Step::Whole(at, block) => {
                let Some(frame) = stack.last() else { return Ok(()) };
                let range = self.part(frame, &at, &block)?;
                stack.pop();
                let above = stack.last_mut().and_then(|frame| frame.open.as_mut());
                let above = above.unwrap_or(bottom);
                // The neighbours of what is coded are likely to need the rest of it.
                if range.len() < block.bytes.len() || above.branches || self.troubled {
                    self.keep(&at, &block);
                }
                above.take(block, range)?;
                self.check_held(stack, bottom)?;
            }
        }
        Ok(())
    }

    /// Gives up the copy that is being decoded, and those above it that have no other to try.
    fn fail(&mut self, stack: &mut Vec<Frame>, error: StoreError) -> Result<(), StoreError> {
        if self.guessed || self.ends_with(&error) {
            return Err(error);
        }
        self.troubled = true;
        // What is too costly here may be had elsewhere.
        let is_lost = !matches!(error, StoreError::CostlyChain { .. });
        while let Some(frame) = stack.last_mut() {
            frame.open = None;
            let tried = frame.tried.take().filter(|_| is_lost);
            self.failed.extend(tried.map(|place| (frame.chunk, place)));
            if frame.copies.len() > 0 {
                self.cause = Some(error);
                return Ok(());
            }
            if is_lost {
                self.decoder.lost.note(&frame.chunk);
            }
            stack.pop();
        }
        Err(error)
    }

    fn check_held(&self, stack: &[Frame], bottom: &Open) -> Result<(), StoreError> {
        let open = stack.iter().filter_map(|frame| frame.open.as_ref());
        let held: u64 = open.chain([bottom]).map(|open| open.prefix.held()).sum();
        if held <= CHAIN_HELD_MAX {
            return Ok(());
        }
        Err(StoreError::CostlyChain { chunk: self.chunk, what: "memory", limit: CHAIN_HELD_MAX })
    }

    fn spend(&mut self, work: u64) -> Result<(), StoreError> {
        self.spent = self.spent.saturating_add(work);
        if self.spent <= CHAIN_WORK_MAX {
            return Ok(());
        }
        Err(StoreError::CostlyChain { chunk: self.chunk, what: "work", limit: CHAIN_WORK_MAX })
    }

    /// Where the base lies in the decoded block of one of its copies.
    fn part(
        &self,
        Frame { base, chunk, .. }: &Frame,
        at: &Location,
        block: &Decoded,
    ) -> Result<Range<usize>, StoreError> {
        if self.strict {
            self.decoder.verified(at, chunk, &block.bytes)?;
        }
        let first = at.chunk_offset as usize;
        let part = base.range_in(at.chunk_len);
        let part = part.map(|part| first + part.start as usize..first + part.end as usize);
        if let Some(range) = part.filter(|range| range.end <= block.bytes.len()) {
            return Ok(range);
        }
        let expected = u64::from(base.skip) + u64::from(base.len.max(1));
        let found = u64::from(at.chunk_len);
        Err(StoreError::WrongLength { chunk: *chunk, expected, found })
    }

    fn cached(&self, at: &Location) -> Option<Decoded> {
        if self.strict { None } else { self.decoder.near()?.blocks.get(&place(at)) }
    }

    fn bases(&self, at: &Location) -> Result<Vec<Base>, StoreError> {
        match self.ahead.and_then(|ahead| ahead.bases(at)) {
            Some(bases) => Ok(bases.to_vec()),
            None => self.decoder.locator.bases_near(at),
        }
    }

    /// The copies that a block of this depth in that pack may be coded against. Never empty.
    fn shallower(
        &mut self,
        base: &BaseId,
        from: &PackId,
        depth: u8,
    ) -> Result<(ChunkId, Vec<Location>), StoreError> {
        let guesses = self.guesses && !self.strict;
        let known = self.ahead.and_then(|ahead| ahead.copies(base));
        let found = match known.filter(|known| known.all || guesses) {
            Some(known) => known.clone(),
            None if guesses => self.decoder.locator.copies_near(base, depth, from)?,
            None => {
                let (chunk, copies) = self.decoder.locator.locate_base(base)?;
                Copies { chunk, copies, all: true }
            }
        };
        let Copies { chunk, mut copies, all } = found;
        self.guessed |= !all;
        copies.retain(|copy| copy.depth < depth);
        if copies.is_empty() {
            // On account of a guess nothing is called lost.
            if all && !self.guessed {
                self.decoder.lost.note(&chunk);
            }
            return Err(StoreError::NoShallowerCopy { chunk, depth });
        }
        Ok((chunk, copies))
    }

    fn decode(
        &mut self,
        at: &Location,
        prefix: &Prefix,
        below: Effort,
    ) -> Result<Decoded, StoreError> {
        let raw_len = u64::from(at.raw_len);
        self.spend(raw_len)?;
        let mut sealed = SEALED.take();
        let block = self.decode_with(at, prefix, &mut sealed);
        SEALED.set(sealed);
        let work = below.work.saturating_add(raw_len + CHAIN_STEP_WORK);
        let effort = Effort { work, held: below.held.max(prefix.held()) };
        Ok(Decoded { bytes: Arc::new(block?), effort })
    }

    fn keep(&self, at: &Location, block: &Decoded) {
        if let Some(near) = self.decoder.near() {
            near.blocks.keep(place(at), block.clone(), block.bytes.capacity());
        }
    }

    fn decode_with(
        &self,
        at: &Location,
        prefix: &Prefix,
        sealed: &mut Vec<u8>,
    ) -> Result<Buffer, StoreError> {
        if let Some(read) = self.ahead.and_then(|ahead| ahead.sealed(at)) {
            sealed.clear();
            sealed.extend_from_slice(read);
            let opened = self.opened(at, prefix, sealed);
            if opened.is_ok() {
                return opened;
            }
        } else if self.decoder.read_near(at, sealed) {
            let opened = self.opened(at, prefix, sealed);
            if opened.is_ok() {
                return opened;
            }
            // It may have been read badly, or have been mended since.
            self.decoder.forget_near(at);
        }
        self.decoder.packs.read_run(at, u64::from(at.sealed_len), sealed)?;
        self.opened(at, prefix, sealed)
    }

    fn opened(
        &self,
        at: &Location,
        prefix: &Prefix,
        sealed: &mut [u8],
    ) -> Result<Buffer, StoreError> {
        let key = self.decoder.packs.pack_key(at)?;
        let mut decoded = Buffer::with_room(at.raw_len as usize);
        let to = decoded.as_mut();
        let block = decode_block(&key, at, prefix.bytes(), sealed, to)?;
        if at.codec == Codec::Raw {
            let raw = block.to_vec();
            *to = raw;
        }
        Ok(decoded)
    }
}
