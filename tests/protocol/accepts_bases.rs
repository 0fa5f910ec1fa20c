//! Whether what a prune keeps and copies can be decoded without what goes, and is no deeper than it was: by what index
//! objects say of packs.

use std::collections::{BTreeMap, BTreeSet};

use super::events::{BlockTold, ObjectEvent};

type Packs = BTreeSet<String>;
type Taken = Result<(), &'static str>;

/// The packs that were heard of, with their blocks. No name is used twice.
#[derive(Default)]
pub struct Bases {
    blocks: BTreeMap<String, Vec<BlockTold>>,
}

impl Bases {
    pub fn hear(&mut self, event: &ObjectEvent) {
        let contents = event.contents.iter().cloned();
        self.blocks.extend(contents);
    }

    fn in_packs(&self, packs: &Packs) -> Vec<&BlockTold> {
        packs.iter().filter_map(|pack| self.blocks.get(pack)).flatten().collect()
    }

    /// The fewest decodes by which each chunk can be had from these packs.
    fn depths(&self, packs: &Packs) -> BTreeMap<&str, u8> {
        let mut blocks = self.in_packs(packs);
        blocks.sort_by_key(|block| block.depth);
        let mut depths = BTreeMap::new();
        for block in blocks {
            if decodes(block, &depths) {
                for chunk in &block.chunks {
                    depths.entry(chunk.as_str()).or_insert(block.depth);
                }
            }
        }
        depths
    }

    /// Packs of `before` that stay, and copies of what was in those that do not.
    pub fn check(&self, before: &Packs, stay: &Packs, copies: &Packs) -> Taken {
        let had = self.depths(before);
        let after = stay.union(copies).cloned().collect();
        let has = self.depths(&after);
        if self.in_packs(copies).into_iter().any(|block| !decodes(block, &has)) {
            return Err("a copy's bases are kept, or copied as well");
        }
        let mut deepest: BTreeMap<&str, u8> = BTreeMap::new();
        for block in self.in_packs(before) {
            for chunk in &block.chunks {
                let depth = deepest.entry(chunk).or_default();
                *depth = block.depth.max(*depth);
            }
        }
        let is_deeper = |block: &BlockTold| {
            let was = |chunk: &String| deepest.get(chunk.as_str()).copied();
            block.chunks.iter().any(|chunk| was(chunk).is_none_or(|depth| block.depth > depth))
        };
        if self.in_packs(copies).into_iter().any(is_deeper) {
            return Err("a copy is of something that was there, and no deeper than that was");
        }
        let is_broken = |block: &BlockTold| decodes(block, &had) && !decodes(block, &has);
        match self.in_packs(stay).into_iter().any(is_broken) {
            true => Err("what stays is coded against something that goes"),
            false => Ok(()),
        }
    }
}

fn decodes(block: &BlockTold, depths: &BTreeMap<&str, u8>) -> bool {
    let is_there = |base: &String| depths.get(base.as_str()).is_some_and(|at| *at < block.depth);
    block.bases.iter().all(is_there)
}
