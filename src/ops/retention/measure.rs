//! What snapshots take: every block they need, bases of deltas included, counted once.
//!
//! Walked are the snapshots that stay, then those that may go, the newest first. What is met for the first time
//! at one of these is needed by it and older ones only: that is what is freed when it goes after those.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::format::{CatalogLeaf, CatalogNode, NodeRef, Recipe, RecipeLeaf, RecipeNode, TreeRoot};
use crate::id::{ChunkId, PackId, SnapshotId};
use crate::progress::Cancel;
use crate::repo::Repository;
use crate::store::{StoreError, StoreReader, check_level};

use super::super::OpError;
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
        let (nodes, seen) = (HashSet::new(), Seen::new());
        let mut walk = Walk { reader, nodes, seen, bytes: 0, cancel: self.cancel };
        for id in &question.kept {
            walk.snapshot(self.catalogs.get(id))?;
        }
        let mut sizes = Sizes { kept: walk.bytes, droppable: Vec::new() };
        for id in question.droppable.iter().rev() {
            let before = walk.bytes;
            walk.snapshot(self.catalogs.get(id))?;
            sizes.droppable.push(walk.bytes - before);
        }
        sizes.droppable.reverse();
        Ok(sizes)
    }
}

struct Walk<'w> {
    reader: Arc<StoreReader>,
    /// Nodes whose whole trees were walked, at their levels. Snapshots share most of them.
    nodes: HashSet<(ChunkId, u8)>,
    seen: Seen,
    bytes: u64,
    cancel: &'w Cancel,
}

impl Walk<'_> {
    fn snapshot(&mut self, catalog: Option<&TreeRoot>) -> Result<(), OpError> {
        match catalog {
            Some(root) => Ok(self.catalog(root.node, root.levels)?),
            None => Ok(()),
        }
    }

    fn is_new(&mut self, node: NodeRef, level: u8) -> Result<bool, StoreError> {
        if self.cancel.is_cancelled() {
            return Err(StoreError::Interrupted);
        }
        if !self.nodes.insert((node.id, level)) {
            return Ok(false);
        }
        self.chunk(&node.id)?;
        Ok(true)
    }

    /// Depth is bounded by `level`, which each node must confirm.
    fn catalog(&mut self, node: NodeRef, level: u8) -> Result<(), StoreError> {
        if !self.is_new(node, level)? {
            return Ok(());
        }
        if level > 0 {
            let found = self.reader.node::<CatalogNode>(node)?;
            check_level(node, level, found.level)?;
            return found.children.iter().try_for_each(|child| self.catalog(child.node, level - 1));
        }
        let leaf = self.reader.node::<CatalogLeaf>(node)?;
        for content in leaf.entries.iter().filter_map(|entry| entry.content.as_ref()) {
            match &content.recipe {
                Recipe::Inline(refs) => refs.iter().try_for_each(|one| self.chunk(&one.id))?,
                Recipe::Tree(root) => self.recipe(root.node, root.levels)?,
            }
        }
        Ok(())
    }

    fn recipe(&mut self, node: NodeRef, level: u8) -> Result<(), StoreError> {
        if !self.is_new(node, level)? {
            return Ok(());
        }
        if level > 0 {
            let found = self.reader.node::<RecipeNode>(node)?;
            check_level(node, level, found.level)?;
            return found.children.iter().try_for_each(|child| self.recipe(child.node, level - 1));
        }
        let leaf = self.reader.node::<RecipeLeaf>(node)?;
        leaf.refs.iter().try_for_each(|one| self.chunk(&one.id))
    }

    /// The block of a chunk, and all that it is coded against. Of several copies the shallowest counts: the
    /// one that a prune keeps.
    fn chunk(&mut self, id: &ChunkId) -> Result<(), StoreError> {
        let mut todo = vec![*id];
        while let Some(id) = todo.pop() {
            if !self.seen.add(id.as_bytes(), 0) {
                continue;
            }
            let copy = self.reader.cheapest(&id)?;
            if !self.seen.block(&copy.pack, copy.ordinal) {
                continue;
            }
            self.bytes = self.bytes.saturating_add(u64::from(copy.sealed_len));
            for base in self.reader.bases(&copy)? {
                todo.push(self.reader.locate_base(&base.name)?.0);
            }
        }
        Ok(())
    }
}

/// What was met already, in a fixed room: with 20 million chunks and as many blocks one in 800 is taken for one that
/// was met before. For an estimate that is good enough. Room that is not used is never touched.
struct Seen {
    bits: Vec<u64>,
}

/// 128 MiB.
const WORDS: usize = 1 << 24;
const PROBES: u64 = 3;

impl Seen {
    fn new() -> Self {
        Self { bits: vec![0; WORDS] }
    }

    fn block(&mut self, pack: &PackId, ordinal: u32) -> bool {
        // Never 0, which stands for the chunk of that id.
        self.add(pack.as_bytes(), (u64::from(ordinal) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Whether it is new. Ids are hashes: their own bytes say where to look.
    fn add(&mut self, id: &[u8; 32], salt: u64) -> bool {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = *id;
        let first = u64::from_le_bytes([a, b, c, d, e, f, g, h]).wrapping_add(salt);
        let step = u64::from_le_bytes([i, j, k, l, m, n, o, p]) ^ salt.rotate_left(32);
        let mut is_new = false;
        for probe in 0..PROBES {
            let at = first.wrapping_add((step | 1).wrapping_mul(probe));
            let (word, bit) = ((at >> 6) as usize % WORDS, 1 << (at & 63));
            if let Some(word) = self.bits.get_mut(word) {
                is_new |= *word & bit == 0;
                *word |= bit;
            }
        }
        is_new
    }
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
        assert!(!seen.block(&pack, 77));
    }
}
