//! What snapshots take: every block they need, bases of deltas included, counted once.
//!
//! Walked are the snapshots that stay, then those that may go, the newest first. What is met for the first time
//! at one of these is needed by it and older ones only: that is what is freed when it goes after those.

use std::collections::HashMap;
use std::sync::Arc;

use crate::format::{NodeRef, TreeRoot};
use crate::id::{ChunkId, PackId, SnapshotId};
use crate::progress::Cancel;
use crate::repo::Repository;
use crate::store::StoreError;

use super::super::OpError;
use super::super::blocks::Blocks;
use super::super::needs::{Tree, Visitor, Walk};
use super::plan::{Question, Sizes};

/// Measures what a plan asks for.
pub(super) struct Scales<'s> {
    repository: &'s Repository,
    catalogs: HashMap<SnapshotId, TreeRoot>,
    cancel: &'s Cancel,
}

impl<'s> Scales<'s> {
    pub fn new(
        repository: &'s Repository,
        catalogs: HashMap<SnapshotId, TreeRoot>,
        cancel: &'s Cancel,
    ) -> Self {
        Self { repository, catalogs, cancel }
    }

    pub fn measure(&self, question: &Question) -> Result<Sizes, OpError> {
        let reader = self.repository.reader(&self.repository.load_index()?);
        let blocks = Blocks::new(Arc::clone(&reader));
        let mut met = Met { blocks, seen: Seen::new(), bytes: 0 };
        let mut meet = |id: &SnapshotId| -> Result<u64, OpError> {
            let before = met.bytes;
            if let Some(catalog) = self.catalogs.get(id) {
                let mut walk = Walk { visitor: &mut met, reader: &reader, cancel: self.cancel };
                walk.snapshot(*catalog)?;
            }
            Ok(met.bytes - before)
        };
        let mut sizes = Sizes { kept: 0, droppable: Vec::new() };
        for id in &question.kept {
            sizes.kept += meet(id)?;
        }
        for id in question.droppable.iter().rev() {
            sizes.droppable.push(meet(id)?);
        }
        sizes.droppable.reverse();
        Ok(sizes)
    }
}

struct Met {
    blocks: Blocks,
    seen: Seen,
    bytes: u64,
}

impl Met {
    /// The block of a chunk, and all that it is coded against. Of several copies the shallowest counts: the
    /// one that a prune keeps.
    fn chunk(&mut self, id: &ChunkId) -> Result<(), StoreError> {
        if !self.seen.add(id.as_bytes(), 0) {
            return Ok(());
        }
        let seen = &self.seen;
        for (id, copy) in self.blocks.of(id, &|copy| seen.has_block(&copy.pack, copy.ordinal))? {
            self.seen.add(id.as_bytes(), 0);
            self.seen.block(&copy.pack, copy.ordinal);
            self.bytes = self.bytes.saturating_add(u64::from(copy.sealed_len));
        }
        Ok(())
    }
}

impl Visitor for Met {
    type Entered = ();

    fn enter(&mut self, node: NodeRef, level: u8, tree: Tree) -> Result<Option<()>, StoreError> {
        if !self.seen.node(&node.id, level, tree) {
            return Ok(None);
        }
        self.chunk(&node.id).map(Some)
    }

    fn leave(&mut self, _: NodeRef, _: Tree, (): ()) {}

    fn chunks(&mut self, ids: &[ChunkId]) -> Result<bool, StoreError> {
        ids.iter().try_for_each(|id| self.chunk(id)).map(|()| true)
    }

    fn bears(&self, _: &StoreError) -> bool {
        false
    }
}

/// What was met already, in a fixed room: with 20 million chunks and as many blocks one in 800 is taken for one that
/// was met before. For an estimate that is good enough. Room that is not used is never touched.
struct Seen {
    bits: Vec<u64>,
}

/// 128 MiB.
const WORDS: usize = 1 << 24;
const PROBES: usize = 3;
const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Seen {
    fn new() -> Self {
        Self { bits: vec![0; WORDS] }
    }

    fn block(&mut self, pack: &PackId, ordinal: u32) -> bool {
        self.add(pack.as_bytes(), block_salt(ordinal))
    }

    fn has_block(&self, pack: &PackId, ordinal: u32) -> bool {
        let bit_is_set =
            |(word, bit): (usize, u64)| self.bits.get(word).is_some_and(|word| word & bit != 0);
        places(pack.as_bytes(), block_salt(ordinal)).into_iter().all(bit_is_set)
    }

    /// A node whose whole tree was walked.
    fn node(&mut self, id: &ChunkId, level: u8, tree: Tree) -> bool {
        let tree = match tree {
            Tree::Catalog => 1,
            Tree::Recipe => 2,
        };
        self.add(id.as_bytes(), (u64::from(level) << 2 | tree).wrapping_mul(MIXER))
    }

    /// Whether it is new.
    fn add(&mut self, id: &[u8; 32], salt: u64) -> bool {
        let mut is_new = false;
        for (word, bit) in places(id, salt) {
            if let Some(word) = self.bits.get_mut(word) {
                is_new |= *word & bit == 0;
                *word |= bit;
            }
        }
        is_new
    }
}

/// Never 0, which stands for the chunk of that id.
fn block_salt(ordinal: u32) -> u64 {
    (u64::from(ordinal) + 1).wrapping_mul(MIXER)
}

/// Words, and a bit in each. Ids are hashes: their own bytes say where to look.
fn places(id: &[u8; 32], salt: u64) -> [(usize, u64); PROBES] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = *id;
    let first = u64::from_le_bytes([a, b, c, d, e, f, g, h]).wrapping_add(salt);
    let step = u64::from_le_bytes([i, j, k, l, m, n, o, p]) ^ salt.rotate_left(32);
    std::array::from_fn(|probe| {
        let at = first.wrapping_add((step | 1).wrapping_mul(probe as u64));
        ((at >> 6) as usize % WORDS, 1 << (at & 63))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_met_is_known_and_hardly_anything_else() {
        let mut seen = Seen::new();
        let id = |number: u64| *blake3::hash(&number.to_le_bytes()).as_bytes();
        let ids = 0..100_000;
        assert!(ids.clone().filter(|number| seen.add(&id(*number), 0)).count() > 99_990);
        assert_eq!(ids.filter(|number| seen.add(&id(*number), 0)).count(), 0);
        let pack = PackId::new(id(1_000_000));
        assert!((0..8192).filter(|ordinal| seen.block(&pack, *ordinal)).count() > 8_180);
        assert!(!seen.block(&pack, 77) && seen.has_block(&pack, 77));
        assert!((8192..16_384).filter(|ordinal| seen.has_block(&pack, *ordinal)).count() < 10);
    }
}
