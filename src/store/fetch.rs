//! Many chunks at once: grouped by pack, neighbours read together, decoded on all cores.

use std::cell::Cell;

use rayon::prelude::*;

use crate::format::name;
use crate::id::{ChunkId, PackId};
use crate::index::Location;
use crate::storage::Key;

use super::{StoreError, StoreReader};

/// A chunk somebody waits for. `tag` is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want<T> {
    pub id: ChunkId,
    pub len: u32,
    pub tag: T,
}

/// Takes a chunk wanted, or what is wrong with it.
pub type Deliver<'d, T> = dyn Fn(T, Result<&[u8], StoreError>) + Sync + 'd;

/// Blocks are read together when no more than this lies between them.
const GAP_MAX: u64 = 64 * 1024;
/// And as long as one read stays below this: enough of them for all cores.
const RUN_MAX: u64 = 512 * 1024;

struct PlacedWant<'w, T> {
    at: Location,
    want: &'w Want<T>,
}

impl StoreReader {
    /// Delivers every wanted chunk exactly once, verified or with what is wrong with it, in any order and
    /// from several threads. Each block is read and decoded once for all chunks wanted of it.
    pub fn fetch<T: Copy + Send + Sync>(&self, wants: &[Want<T>], deliver: &Deliver<'_, T>) {
        let mut placed: Vec<_> = wants
            .par_iter()
            .filter_map(|want| {
                let found = self.locate(&want.id).and_then(|copies| first(&copies, want));
                let wrong = |error| deliver(want.tag, Err(error));
                found.map(|at| PlacedWant { at, want }).map_err(wrong).ok()
            })
            .collect();
        placed.sort_by_key(|want| (want.at.pack, want.at.offset, want.at.chunk_offset));
        runs(&placed).into_par_iter().for_each(|run| {
            let mut scratch = SCRATCH.take();
            self.fetch_run(run, &mut scratch, deliver);
            SCRATCH.set(scratch);
        });
    }

    fn fetch_run<T: Copy>(
        &self,
        run: &[PlacedWant<'_, T>],
        scratch: &mut Scratch,
        deliver: &Deliver<'_, T>,
    ) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return };
        let start = u64::from(first.at.offset);
        let len = end_of(&last.at) - start;
        let read = Key::new(name::pack(&first.at.pack)).map_err(StoreError::from).and_then(|key| {
            Ok(self.storage().get_range(&key, start, len as usize, &mut scratch.sealed)?)
        });
        let same_block =
            |a: &PlacedWant<'_, T>, b: &PlacedWant<'_, T>| a.at.ordinal == b.at.ordinal;
        for wants in run.chunk_by(same_block) {
            let Some(PlacedWant { at, .. }) = wants.first() else { continue };
            let from = (u64::from(at.offset) - start) as usize;
            let sealed = match &read {
                Ok(()) => scratch.sealed.get_mut(from..from + at.sealed_len as usize),
                Err(_) => None,
            };
            let block = sealed
                .ok_or(StoreError::Poisoned)
                .and_then(|sealed| self.decode_block(at, sealed, &mut scratch.decoded));
            for PlacedWant { at, want } in wants {
                let direct =
                    block.as_deref().ok().and_then(|block| self.verified(at, &want.id, block).ok());
                match direct {
                    Some(bytes) => deliver(want.tag, Ok(bytes)),
                    // Not this way: another copy, or the error in full.
                    None => match self.chunk(&want.id).and_then(|b| of_length(want, b)) {
                        Ok(bytes) => deliver(want.tag, Ok(&bytes)),
                        Err(error) => deliver(want.tag, Err(error)),
                    },
                }
            }
        }
    }
}

thread_local! {
    /// Kept from run to run: a fresh buffer costs more than reading into it.
    static SCRATCH: Cell<Scratch> = Cell::default();
}

#[derive(Default)]
struct Scratch {
    sealed: Vec<u8>,
    decoded: Vec<u8>,
}

fn first<T>(copies: &[Location], want: &Want<T>) -> Result<Location, StoreError> {
    let wrong = |found: u32| StoreError::WrongLength {
        chunk: want.id,
        expected: u64::from(want.len),
        found: u64::from(found),
    };
    match copies.first() {
        Some(copy) if copy.chunk_len == want.len => Ok(*copy),
        Some(copy) => Err(wrong(copy.chunk_len)),
        None => Err(StoreError::MissingChunk { chunk: want.id }),
    }
}

fn of_length<T>(want: &Want<T>, bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    if bytes.len() == want.len as usize {
        return Ok(bytes);
    }
    let (expected, found) = (u64::from(want.len), bytes.len() as u64);
    Err(StoreError::WrongLength { chunk: want.id, expected, found })
}

fn end_of(at: &Location) -> u64 {
    u64::from(at.offset) + u64::from(at.sealed_len)
}

/// Splits sorted wants where the pack changes, a gap is too wide or a read grows too long.
fn runs<'p, 'w, T>(mut placed: &'p [PlacedWant<'w, T>]) -> Vec<&'p [PlacedWant<'w, T>]> {
    let mut runs = Vec::new();
    while let Some(first) = placed.first() {
        let (pack, start): (PackId, u64) = (first.at.pack, u64::from(first.at.offset));
        let mut end = end_of(&first.at);
        let joins = |want: &PlacedWant<'_, T>| {
            let joins = want.at.pack == pack
                && u64::from(want.at.offset) <= end + GAP_MAX
                && (end_of(&want.at) - start <= RUN_MAX || end_of(&want.at) <= end);
            if joins {
                end = end.max(end_of(&want.at));
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
