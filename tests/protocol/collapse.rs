//! Re-basing: which chunks need not be kept as bases, and what is coded anew for that.

use super::objects::{ANY_DEPTH, Block, CHUNKS, Chunks, Packs, members, shallowest};
use super::plan::{Seen, best};
use super::scenario::Rules;

/// Chunks in use, by pack.
pub type Live = [Chunks; super::objects::PACKS];

/// What is in use if these chunks collapse, and each chunk's block as it will be.
pub struct Marked<'a> {
    seen: &'a Seen<'a>,
    rules: &'a Rules,
    pub collapsed: Chunks,
    pub live: Live,
    pub blocks: [Option<Block>; CHUNKS],
}

impl<'a> Marked<'a> {
    pub fn new(seen: &'a Seen<'a>, rules: &'a Rules, collapsed: Chunks) -> Self {
        let (live, blocks) = (Default::default(), [None; CHUNKS]);
        let mut marked = Self { seen, rules, collapsed, live, blocks };
        for chunk in members(u16::from(seen.needed)) {
            marked.mark(chunk, ANY_DEPTH);
        }
        marked
    }

    fn mark(&mut self, chunk: u8, below: u8) -> Option<Block> {
        let (pack, block) = best(self.seen, self.rules, chunk, below)?;
        let there = &mut self.live[usize::from(pack)];
        if *there & (1 << chunk) != 0 {
            return self.blocks[usize::from(chunk)];
        }
        *there |= 1 << chunk;
        // Going by the deepest copies leads round in circles.
        self.blocks[usize::from(chunk)] = Some(block);
        let anew = match block.base {
            Some(base) if self.collapsed & (1 << base) != 0 => self.coded_anew(base, block),
            base => {
                if let Some(base) = base.filter(|_| self.rules.bases_are_live) {
                    self.mark(base, block.depth);
                }
                block
            }
        };
        self.blocks[usize::from(chunk)] = Some(anew);
        Some(anew)
    }

    /// Against what the collapsed chunk itself is coded against, if that does not collapse, too.
    fn coded_anew(&mut self, collapsed: u8, was: Block) -> Block {
        let mut base = Some((collapsed, was.depth));
        while let Some((chunk, below)) = base.filter(|(chunk, _)| self.collapsed & 1 << chunk != 0)
        {
            let copy = best(self.seen, self.rules, chunk, below);
            base = copy.and_then(|(_, block)| Some((block.base?, block.depth)));
        }
        let Some((base, below)) = base else { return Block::PLAIN };
        let kept = match self.rules.new_bases_kept {
            true => self.mark(base, below),
            false => best(self.seen, self.rules, base, below).map(|(_, block)| block),
        };
        let depth = kept.map_or(below, |kept| kept.depth + 1);
        Block::delta(base, if self.rules.never_deeper { depth } else { was.depth + 1 })
    }

    pub fn is_live(&self, pack: u8, chunk: u8) -> bool {
        self.live[usize::from(pack)] & (1 << chunk) != 0
    }

    /// What is copied of this pack is coded as it was.
    pub fn is_as_it_was(&self, pack: u8, chunk: u8) -> bool {
        self.seen.contents[usize::from(pack)].get(chunk) == self.blocks[usize::from(chunk)]
    }

    pub fn used(&self) -> Packs {
        let in_use = |pack: &u8| self.live[usize::from(*pack)] != 0;
        members(self.seen.located).filter(in_use).fold(0, |packs, pack| packs | 1 << pack)
    }
}

/// Of these chunks, those that may collapse: no snapshot needs them, and whatever is in use and coded against one is in
/// a pack that is emptied, or collapses, too. `all` is what is in use if none collapses.
pub fn collapsing(all: &Marked<'_>, emptied: Packs, wanted: Chunks) -> Chunks {
    let in_use = all.live.iter().fold(0, |chunks, live| chunks | live);
    let mut collapsed = wanted & in_use & !all.seen.needed;
    loop {
        let mut held = 0;
        for pack in members(all.seen.located & !emptied) {
            for (chunk, block) in all.seen.contents[usize::from(pack)].blocks() {
                let stays = all.rules.dependents_coded_anew
                    && all.is_live(pack, chunk)
                    && collapsed & (1 << chunk) == 0;
                held |= block.base.filter(|_| stays).map_or(0, |base| 1 << base);
            }
        }
        if collapsed & held == 0 {
            return collapsed;
        }
        collapsed &= !held;
    }
}

/// A copy of a collapsed chunk as it stands, for one who takes it for kept.
pub fn as_it_was(seen: &Seen<'_>, chunk: u8) -> Option<Block> {
    shallowest(seen.contents, chunk, ANY_DEPTH, seen.located).map(|(_, block)| block)
}
