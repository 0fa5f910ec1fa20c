//! Deltas of emptied packs as a compaction writes them: against nothing that is not kept, and no deeper than they need be.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::id::{BaseId, ChunkId, PackId};
use crate::index::Location;
use crate::store::{Ancestor, Recoded, StoreError, rebase};

use super::ancestors::ancestor;
use super::keep::Keeper;
use super::mark::is_lost;
use super::packs::Block;

pub(super) struct Recoder {
    keeper: Keeper,
    /// The zstd level of a compaction. `None`: deltas stay as they are.
    level: Option<i32>,
    written: Mutex<WrittenBlocks>,
    has_met_damage: AtomicBool,
}

/// How deep the blocks lie that were written, by pack; one more than that, and 0 for others.
///
/// Index objects are put in the order in which blocks are written: none is durable before what it counts on.
#[derive(Default)]
struct WrittenBlocks(HashMap<u32, Vec<u8>>);

impl Recoder {
    pub fn new(keeper: Keeper, level: Option<i32>) -> Self {
        Self { keeper, level, written: Mutex::default(), has_met_damage: AtomicBool::new(false) }
    }

    /// Whether a chunk of a needed block in this pack is needed itself.
    pub fn needs(&self, pack: &PackId, raw_len: u32, chunk: (&ChunkId, u32)) -> bool {
        self.keeper.needs(pack, raw_len, chunk)
    }

    /// Whether a chain was met that cannot be read.
    pub fn has_met_damage(&self) -> bool {
        self.has_met_damage.load(Ordering::Relaxed)
    }

    /// What becomes of a delta.
    pub fn recode(&self, id: &ChunkId, at: &Location) -> Result<Option<Recoded>, StoreError> {
        let (Some(level), Some((block, _))) = (self.level, self.keeper.packs.block(at)) else {
            return Ok(None);
        };
        let find = |base: &BaseId, below: u8| self.find(base, below);
        let recoded = rebase(&self.keeper.reader, level, (id, at), &find).inspect_err(|error| {
            if is_lost(error) {
                self.has_met_damage.store(true, Ordering::Relaxed);
            }
        })?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.set(block, recoded.depth());
        Ok(Some(recoded))
    }

    fn find(&self, base: &BaseId, below: u8) -> Result<Ancestor, StoreError> {
        let Some(found) = ancestor(&self.keeper, base, below)? else {
            return Err(StoreError::MissingBase { base: *base });
        };
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        // That a small chunk is needed where it is may be a mistake of the set of such: nothing lies less deep for it.
        let is_part = found.at.chunk_len != found.at.raw_len;
        let there = if is_part { below.saturating_sub(1) } else { found.at.depth };
        let kept = found.is_kept.then(|| written.get(found.block).unwrap_or(there));
        Ok(Ancestor { chunk: found.chunk, at: found.at, kept })
    }
}

impl WrittenBlocks {
    fn set(&mut self, (pack, ordinal): Block, depth: u8) {
        let blocks = self.0.entry(pack).or_default();
        let at = ordinal as usize;
        if blocks.len() <= at {
            blocks.resize(at + 1, 0);
        }
        if let Some(there) = blocks.get_mut(at) {
            *there = depth + 1;
        }
    }

    fn get(&self, (pack, ordinal): Block) -> Option<u8> {
        let depth = self.0.get(&pack)?.get(ordinal as usize)?;
        depth.checked_sub(1)
    }
}
