//! How many distinct chunks there are: counted from the index objects, in as many passes as memory asks for.

use std::collections::HashSet;

use serde::Serialize;

use crate::format::{IndexRecord, IndexedPack, PackKind};
use crate::id::{ChunkId, ObjectId, PackId};
use crate::progress::Cancel;
use crate::repo::Repository;

use super::super::OpError;
use super::RepositoryStats;

/// Distinct chunks of one kind, and all copies of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ChunkTotals {
    /// Number of distinct chunks.
    pub unique_chunks: u64,
    /// Bytes of distinct chunks.
    pub unique_bytes: u64,
    /// Every copy in every pack, and what the blocks that hold them take.
    pub copies: u64,
    /// Bytes of all copies.
    pub copied_bytes: u64,
    /// Bytes of the blocks that hold them.
    pub stored_bytes: u64,
    /// Likewise, of the copies coded against others.
    pub delta_bytes: u64,
    /// Bytes of the delta blocks that hold those.
    #[serde(rename = "delta_stored_bytes")]
    pub delta_stored: u64,
    /// Blocks coded so, the decodes it takes to read each of them before its own, and the most it takes for one.
    #[serde(skip)]
    pub delta_blocks: u64,
    /// Decodes before their own that all delta blocks take together.
    #[serde(skip)]
    pub delta_links: u64,
    /// The most decodes before its own that one takes.
    #[serde(rename = "deepest_delta")]
    pub deepest: u8,
}

impl ChunkTotals {
    /// Decodes before its own that reading a delta block takes, on average.
    pub fn mean_depth(&self) -> Option<f64> {
        // Only for people to read.
        (self.delta_blocks > 0).then(|| self.delta_links as f64 / self.delta_blocks as f64)
    }
}

/// Chunks remembered at a time, 16 bytes each.
const REMEMBERED_MAX: usize = 2 * 1024 * 1024;

/// The start of a chunk's id (ids are hashes: no two chunks a repository could hold share it), its length and
/// kind.
type SeenChunk = (u64, u32, PackKind);

/// Fills in everything that is told by the index objects.
pub(super) fn count(
    repository: &Repository,
    stats: &mut RepositoryStats,
    cancel: &Cancel,
) -> Result<(), OpError> {
    let ids = repository.index_objects()?;
    count_bounded(repository, &ids, stats, cancel, REMEMBERED_MAX)
}

fn count_bounded(
    repository: &Repository,
    ids: &[ObjectId],
    stats: &mut RepositoryStats,
    cancel: &Cancel,
    remembered_max: usize,
) -> Result<(), OpError> {
    let mut first = Pass::new(1, 0, remembered_max);
    for id in ids {
        stop_if(cancel)?;
        match repository.index_object(id) {
            Ok(record) => first.take(&record, Some(stats)),
            Err(error) if error.is_missing_object() => {}
            Err(error) => stats.unreadable_index.push((*id, error.to_string())),
        }
    }
    if !first.is_full {
        first.finish(stats);
        return Ok(());
    }
    // Ids are hashes: shares are even, but for chance, which half of the room is left to.
    let share = (remembered_max as u64 / 2).max(1);
    let passes = (stats.data.copies + stats.metadata.copies).div_ceil(share).max(1);
    for number in 0..passes {
        let mut pass = Pass::new(passes, number, usize::MAX);
        for id in ids {
            stop_if(cancel)?;
            if let Ok(record) = repository.index_object(id) {
                pass.take(&record, None);
            }
        }
        pass.finish(stats);
    }
    Ok(())
}

/// Looks at one share of all chunks.
struct Pass {
    passes: u64,
    number: u64,
    remembered_max: usize,
    seen: Vec<SeenChunk>,
    is_full: bool,
    packs: HashSet<PackId>,
}

impl Pass {
    fn new(passes: u64, number: u64, remembered_max: usize) -> Self {
        let (seen, packs) = (Vec::new(), HashSet::new());
        Self { passes, number, remembered_max, seen, is_full: false, packs }
    }

    fn take(&mut self, record: &IndexRecord, mut stats: Option<&mut RepositoryStats>) {
        for pack in &record.packs {
            // A pack that several index objects list is there once.
            if !self.packs.insert(pack.id) {
                continue;
            }
            if let Some(stats) = &mut stats {
                add(of_kind(stats, pack.kind), pack);
            }
            for chunk in pack.contents.blocks.iter().flat_map(|block| &block.chunks) {
                self.see(&chunk.id, chunk.len, pack.kind);
            }
        }
    }

    fn see(&mut self, id: &ChunkId, len: u32, kind: PackKind) {
        let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
        let start = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        if self.is_full || start % self.passes != self.number {
            return;
        }
        self.seen.push((start, len, kind));
        if self.seen.len() >= self.remembered_max {
            self.forget_doubles();
            // Sorting again and again for little room would take for ever.
            self.is_full = self.seen.len() > self.remembered_max / 4 * 3;
        }
    }

    fn forget_doubles(&mut self) {
        self.seen.sort_unstable();
        self.seen.dedup();
    }

    fn finish(mut self, stats: &mut RepositoryStats) {
        self.forget_doubles();
        for (_, len, kind) in self.seen {
            let totals = of_kind(stats, kind);
            totals.unique_chunks += 1;
            totals.unique_bytes += u64::from(len);
        }
    }
}

fn of_kind(stats: &mut RepositoryStats, kind: PackKind) -> &mut ChunkTotals {
    match kind {
        PackKind::Data => &mut stats.data,
        PackKind::Metadata => &mut stats.metadata,
    }
}

fn add(totals: &mut ChunkTotals, pack: &IndexedPack) {
    for block in &pack.contents.blocks {
        let (raw, stored) = (u64::from(block.raw_len()), u64::from(block.sealed_len));
        totals.copies += block.chunks.len() as u64;
        totals.copied_bytes += raw;
        totals.stored_bytes += stored;
        if block.depth > 0 {
            totals.delta_bytes += raw;
            totals.delta_stored += stored;
            totals.delta_blocks += 1;
            totals.delta_links += u64::from(block.depth);
            totals.deepest = totals.deepest.max(block.depth);
        }
    }
}

fn stop_if(cancel: &Cancel) -> Result<(), OpError> {
    if cancel.is_cancelled() { Err(OpError::Interrupted) } else { Ok(()) }
}
