//! Whether chunks can be decoded, chains of bases and all: without recursion, and each copy looked at once.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use crate::id::{BaseId, ChunkId};
use crate::index::{Base, Location};
use crate::limits::{CHAIN_STEP_WORK, CHAIN_WORK_MAX, DELTA_DEPTH_MAX};
use crate::store::StoreError;

/// Verdicts kept: some 20 MB. Only those that took more than a look at one plain copy are.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(128 * 1024 - 1);
/// A reader goes no further for one chunk.
const STEPS_MAX: u64 = CHAIN_WORK_MAX / CHAIN_STEP_WORK;

/// What is asked of the index and of the packs.
pub(super) trait Copies {
    /// All copies of a chunk, the shallowest first.
    fn locate(&self, id: &ChunkId) -> Result<Vec<Location>, StoreError>;

    /// The chunk that a base's name stands for, likewise.
    fn locate_base(&self, base: &BaseId) -> Result<(ChunkId, Vec<Location>), StoreError>;

    /// What else must be readable for this copy to be: none for a plain one that is whole.
    fn needs(&self, id: &ChunkId, copy: &Location) -> Result<Vec<Base>, StoreError>;
}

/// What is asked for: a chunk, or what a base's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Asked {
    Chunk(ChunkId),
    Base(BaseId),
}

/// What is known of a chunk. One verdict serves every depth it may be asked for.
struct ChunkVerdict {
    chunk: ChunkId,
    /// Of the shallowest copy that can be decoded.
    readable: Option<u8>,
    /// No copy of a lower depth than this can.
    broken_below: u8,
    why: Option<Arc<StoreError>>,
}

/// The verdicts so far.
pub(super) struct Verdicts(LruCache<Asked, ChunkVerdict>);

/// A chunk in question.
struct Frame {
    asked: Asked,
    chunk: ChunkId,
    /// Only copies of a lower depth count.
    below: u8,
    copies: std::vec::IntoIter<Location>,
    /// The copy looked at: its depth, and what it needs that was not asked for yet.
    open: Option<(u8, std::vec::IntoIter<Base>)>,
    why: Option<Arc<StoreError>>,
}

type Answer = Result<(), Arc<StoreError>>;

impl Verdicts {
    pub fn new() -> Self {
        Self(LruCache::new(KEPT))
    }

    /// Whether some copy of a chunk can be decoded, as far as is known; else what is wrong.
    pub fn of(&mut self, id: &ChunkId, copies: &impl Copies) -> Result<(), StoreError> {
        let (mut stack, mut steps) = (Vec::new(), 0u64);
        let mut answer = self.ask(Asked::Chunk(*id), DELTA_DEPTH_MAX + 1, copies, &mut stack)?;
        while let Some(frame) = stack.last_mut() {
            if let Some(Err(why)) = answer.take() {
                (frame.open, frame.why) = (None, Some(why));
            }
            let Some((depth, bases)) = &mut frame.open else {
                answer = self.next_copy(copies, &mut stack)?;
                continue;
            };
            answer = match bases.next() {
                Some(base) => {
                    let depth = *depth;
                    steps += 1;
                    if steps > STEPS_MAX {
                        let (chunk, limit) = (*id, CHAIN_WORK_MAX);
                        return Err(StoreError::CostlyChain { chunk, what: "work", limit });
                    }
                    self.ask(Asked::Base(base.name), depth, copies, &mut stack)?
                }
                None => {
                    let depth = *depth;
                    stack.pop().map(|frame| self.readable(frame, depth))
                }
            };
        }
        match answer {
            None | Some(Ok(())) => Ok(()),
            Some(Err(why)) => Err(Arc::try_unwrap(why).unwrap_or_else(StoreError::Known)),
        }
    }

    /// Answers at once, or puts the question on the stack.
    fn ask(
        &mut self,
        asked: Asked,
        below: u8,
        copies: &impl Copies,
        stack: &mut Vec<Frame>,
    ) -> Result<Option<Answer>, StoreError> {
        let mut from = 0;
        if let Some(known) = self.0.get(&asked) {
            let is_readable = known.readable.is_some_and(|depth| depth < below);
            if is_readable {
                return Ok(Some(Ok(())));
            }
            if known.readable.is_some() || known.broken_below >= below {
                let why = known.why.clone();
                return Ok(Some(Err(why.unwrap_or_else(|| none_below(&known.chunk, below)))));
            }
            from = known.broken_below;
        }
        let located = match &asked {
            Asked::Chunk(id) => copies.locate(id).map(|found| (*id, found)),
            Asked::Base(base) => copies.locate_base(base),
        };
        let (chunk, mut found) = match located {
            Ok(found) => found,
            Err(error) => return refused(error).map(|why| Some(Err(why))),
        };
        found.retain(|copy| (from..below).contains(&copy.depth));
        let copies = found.into_iter();
        stack.push(Frame { asked, chunk, below, copies, open: None, why: None });
        Ok(None)
    }

    /// Turns the frame on top to its next copy, or gives its answer when there is none.
    fn next_copy(
        &mut self,
        copies: &impl Copies,
        stack: &mut Vec<Frame>,
    ) -> Result<Option<Answer>, StoreError> {
        let Some(frame) = stack.last_mut() else { return Ok(None) };
        let Some(copy) = frame.copies.next() else {
            return Ok(stack.pop().map(|frame| self.broken(frame)));
        };
        match copies.needs(&frame.chunk, &copy) {
            Ok(bases) => frame.open = Some((copy.depth, bases.into_iter())),
            Err(error) => frame.why = Some(refused(error)?),
        }
        Ok(None)
    }

    fn readable(&mut self, frame: Frame, depth: u8) -> Answer {
        if depth > 0 || frame.why.is_some() {
            let Frame { asked, chunk, why, .. } = frame;
            let (readable, broken_below) = (Some(depth), depth);
            self.0.put(asked, ChunkVerdict { chunk, readable, broken_below, why });
        }
        Ok(())
    }

    fn broken(&mut self, frame: Frame) -> Answer {
        let Frame { asked, chunk, below, why, .. } = frame;
        let why = why.unwrap_or_else(|| none_below(&chunk, below));
        let kept = Some(Arc::clone(&why));
        self.0.put(asked, ChunkVerdict { chunk, readable: None, broken_below: below, why: kept });
        Err(why)
    }
}

/// What is wrong with one chunk; an error that everything would meet ends the check.
fn refused(error: StoreError) -> Result<Arc<StoreError>, StoreError> {
    if error.is_general() { Err(error) } else { Ok(Arc::new(error)) }
}

fn none_below(id: &ChunkId, depth: u8) -> Arc<StoreError> {
    Arc::new(StoreError::NoShallowerCopy { chunk: *id, depth })
}
