//! Many chunks at once: grouped by pack, neighbours read together, decoded on all cores.

use std::cell::Cell;

use rayon::prelude::*;

use crate::id::ChunkId;
use crate::index::Location;
use crate::store::StoreError;

use super::chain::Chain;
use super::decoder::decode_block;
use super::prefetch::{Ahead, range_of, runs};
use super::reader::StoreReader;

/// A chunk somebody waits for. `tag` is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want<T> {
    pub id: ChunkId,
    pub len: u32,
    pub tag: T,
}

/// Takes a chunk wanted, or what is wrong with it.
pub type Deliver<'d, T> = dyn Fn(T, Result<&[u8], StoreError>) + Sync + 'd;

/// Raw bytes of a run, by what is wanted and how many work on it: deltas are small, but what they stand for
/// is to be spread over all cores.
const RAW_MIN: u64 = 2 * 1024 * 1024;
const RAW_MAX: u64 = 16 * 1024 * 1024;

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
                let found = self.locator().locate(&want.id).and_then(|copies| first(&copies, want));
                let wrong = |error: StoreError| match error {
                    // A prune may have moved it.
                    StoreError::MissingChunk { .. } => self.deliver_alone(want, deliver),
                    error => deliver(want.tag, Err(error)),
                };
                found.map(|at| PlacedWant { at, want }).map_err(wrong).ok()
            })
            .collect();
        placed.sort_by_key(|want| (want.at.pack, want.at.offset, want.at.chunk_offset));
        let raw: u64 = wants.iter().map(|want| u64::from(want.len)).sum();
        let (threads, hints) =
            (rayon::current_num_threads().max(1), self.decoder.packs.storage().hints());
        let raw_max = (raw / (3 * threads as u64)).clamp(RAW_MIN, RAW_MAX);
        // Each thread has its share of the reads that may be in flight.
        let reads = hints.reads_in_flight.unwrap_or(threads).div_ceil(threads).max(1);
        let runs = runs(&placed, raw_max, &hints, |want| &want.at);
        runs.par_chunks(reads).for_each(|runs| {
            let mut scratch = SCRATCH.take();
            let blocks = runs.iter().copied().flatten().map(|want| &want.at);
            // Bases are stored as short as what they are bases of, or plain.
            let ahead = Ahead::of_blocks(&self.decoder, blocks, 2 * raw_max * runs.len() as u64);
            self.fetch_runs(runs, &ahead, &mut scratch, deliver);
            SCRATCH.set(scratch);
        });
    }

    fn fetch_runs<T: Copy>(
        &self,
        runs: &[&[PlacedWant<'_, T>]],
        ahead: &Ahead,
        Scratch { sealed, decoded }: &mut Scratch,
        deliver: &Deliver<'_, T>,
    ) {
        let (mut ranged, mut ranges) = (Vec::new(), Vec::new());
        for run in runs {
            match range_of(run.iter().map(|want| &want.at)) {
                Some(range) => {
                    ranged.push(run);
                    ranges.push(range);
                }
                None => run.iter().for_each(|placed| self.deliver_alone(placed.want, deliver)),
            }
        }
        self.decoder.packs.storage().get_ranges(&ranges, sealed, &mut |number, read| {
            let Some(run) = ranged.get(number) else { return };
            match read {
                Ok(sealed) => self.fetch_run(run, ahead, sealed, decoded, deliver),
                // The error in full, or another copy.
                Err(_) => run.iter().for_each(|placed| self.deliver_alone(placed.want, deliver)),
            }
        });
    }

    fn deliver_alone<T: Copy>(&self, want: &Want<T>, deliver: &Deliver<'_, T>) {
        match self.chunk(&want.id).and_then(|bytes| of_length(want, bytes)) {
            Ok(bytes) => deliver(want.tag, Ok(&bytes)),
            Err(error) => deliver(want.tag, Err(error)),
        }
    }

    fn fetch_run<T: Copy>(
        &self,
        run: &[PlacedWant<'_, T>],
        ahead: &Ahead,
        sealed: &mut [u8],
        decoded: &mut Vec<u8>,
        deliver: &Deliver<'_, T>,
    ) {
        let start = run.first().map_or(0, |first| first.at.offset);
        let same_block =
            |a: &PlacedWant<'_, T>, b: &PlacedWant<'_, T>| a.at.ordinal == b.at.ordinal;
        for wants in run.chunk_by(same_block) {
            let Some(PlacedWant { at, want }) = wants.first() else { continue };
            let from = (at.offset - start) as usize;
            let sealed = sealed.get_mut(from..from + at.sealed_len as usize);
            let block = sealed.ok_or(StoreError::Poisoned).and_then(|sealed| {
                let (prefix, _) = Chain::new(&self.decoder, Some(ahead), want.id).prefix(at)?;
                let key = self.decoder.packs.pack_key(at)?;
                decode_block(&key, at, prefix.bytes(), sealed, decoded)
            });
            for PlacedWant { at, want } in wants {
                let direct = block
                    .as_deref()
                    .ok()
                    .and_then(|block| self.decoder.verified(at, &want.id, block).ok());
                match direct {
                    Some(bytes) => deliver(want.tag, Ok(bytes)),
                    // Not this way: another copy, or the error in full.
                    None => self.deliver_alone(want, deliver),
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
    match (copies.iter().find(|copy| copy.chunk_len == want.len), copies.first()) {
        (Some(copy), _) => Ok(*copy),
        (None, Some(copy)) => Err(wrong(copy.chunk_len)),
        (None, None) => Err(StoreError::MissingChunk { chunk: want.id }),
    }
}

fn of_length<T>(want: &Want<T>, bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    if bytes.len() == want.len as usize {
        return Ok(bytes);
    }
    let (expected, found) = (u64::from(want.len), bytes.len() as u64);
    Err(StoreError::WrongLength { chunk: want.id, expected, found })
}
