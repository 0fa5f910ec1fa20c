//! What prune decides from what it saw: which packs go, and which chunks must be copied before.

use super::collapse::{Marked, as_it_was, collapsing};
use super::objects::{
    ANY_DEPTH, Block, Chunks, Contents, Pack, Packs, block_decodes, decodes, deepest, members,
    shallowest,
};
use super::scenario::Rules;

/// What a prune saw.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub contents: &'a Contents,
    /// Packs that index objects list and that are there.
    pub located: Packs,
    /// Packs that are there.
    pub listed: Packs,
    /// Chunks that manifests name.
    pub needed: Chunks,
    /// Of copies of one depth it takes the one put first, not last: prunes need not agree.
    pub takes_first: bool,
}

/// What a prune is out for.
#[derive(Debug, Clone, Copy)]
pub struct Aims {
    /// Packs that were there before anybody at work began.
    pub old: Packs,
    /// Packs that hold waste are copied from.
    pub repacks: bool,
    /// A compaction empties these, and does without these chunks where it can.
    pub compacts: Packs,
    pub wanted: Chunks,
    pub copies_apart: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// What a new pack takes over, and a second one.
    pub copies: Pack,
    pub late: Pack,
    pub condemned: Packs,
}

pub fn best(seen: &Seen<'_>, rules: &Rules, chunk: u8, below: u8) -> Option<(u8, Block)> {
    match rules.shallowest_kept {
        true if seen.takes_first => {
            let (_, last) = shallowest(seen.contents, chunk, below, seen.located)?;
            members(seen.located).find_map(|pack| {
                let block = seen.contents[usize::from(pack)].get(chunk)?;
                let as_shallow = block.depth == last.depth;
                let decodes = as_shallow && block_decodes(seen.contents, block, seen.located);
                decodes.then_some((pack, block))
            })
        }
        true => shallowest(seen.contents, chunk, below, seen.located),
        false => deepest(seen.contents, chunk, seen.located),
    }
}

/// Packs that have to stay for the sake of the chunks in those that stay.
fn closed(marked: &Marked<'_>, seen: &Seen<'_>, rules: &Rules, kept: Packs, spare: u8) -> Packs {
    let mut contents = *seen.contents;
    contents[usize::from(spare)] = believed(marked, seen, rules, kept);
    let mut kept = kept | 1 << spare;
    if !rules.closure_at_4 {
        return kept;
    }
    loop {
        let mut more = 0;
        for pack in members(kept & seen.located) {
            for (chunk, block) in contents[usize::from(pack)].blocks() {
                let Some(base) = block.base else { continue };
                // What is in use has its bases, or should have.
                if !rules.dependents_coded_anew && marked.is_live(pack, chunk) {
                    continue;
                }
                let below = if rules.shallowest_kept { block.depth } else { ANY_DEPTH };
                if !decodes(&contents, base, below, kept)
                    && let Some((pack, _)) = best(seen, rules, base, below)
                {
                    more |= 1 << pack;
                }
            }
        }
        if more & !kept == 0 {
            return kept;
        }
        kept |= more;
    }
}

/// The copies as step 4 sees them.
fn believed(marked: &Marked<'_>, seen: &Seen<'_>, rules: &Rules, kept: Packs) -> Pack {
    let mut copies = copied(marked, seen, seen.located & !kept, |_, _| true);
    for (chunk, block) in copies.blocks().filter(|_| !rules.never_deeper) {
        let was = as_it_was(seen, chunk).map_or(block.depth, |was| was.depth);
        copies.put(chunk, Block { depth: was.min(block.depth), ..block });
    }
    for chunk in members(u16::from(marked.collapsed)).filter(|_| !rules.collapsed_before_4) {
        as_it_was(seen, chunk).into_iter().for_each(|block| copies.put(chunk, block));
    }
    copies
}

/// What is in use in these packs, as it will be.
fn copied(
    marked: &Marked<'_>,
    seen: &Seen<'_>,
    emptied: Packs,
    which: impl Fn(u8, u8) -> bool,
) -> Pack {
    let mut copies = Pack::EMPTY;
    for pack in members(emptied) {
        for (chunk, _) in seen.contents[usize::from(pack)].blocks() {
            if marked.is_live(pack, chunk) && which(pack, chunk) {
                marked.blocks[usize::from(chunk)].iter().for_each(|now| copies.put(chunk, *now));
            }
        }
    }
    copies
}

/// What is in use if as much collapses as may, and the packs that are emptied, but for those that are held.
fn settled<'a>(
    seen: &'a Seen<'a>,
    rules: &'a Rules,
    aims: &Aims,
    held: Packs,
) -> (Marked<'a>, Packs) {
    let all = Marked::new(seen, rules, 0);
    let mut marked = Marked::new(seen, rules, 0);
    loop {
        let wasteful = |pack: &u8| {
            let waste =
                seen.contents[usize::from(*pack)].chunks() != marked.live[usize::from(*pack)];
            aims.repacks && waste || aims.compacts & (1 << pack) != 0
        };
        let emptied = members(marked.used() & !held).filter(wasteful);
        let emptied = emptied.fold(0, |packs, pack| packs | 1 << pack);
        let collapsed = collapsing(&all, emptied, aims.wanted);
        if collapsed & !marked.collapsed == 0 {
            return (marked, emptied);
        }
        marked = Marked::new(seen, rules, marked.collapsed | collapsed);
    }
}

/// Steps 2 to 4. `spare` is the number of a pack that is nowhere yet.
pub fn plan(seen: &Seen<'_>, rules: &Rules, aims: &Aims, spare: u8) -> Plan {
    let young = seen.listed & !aims.old;
    let mut held = young;
    loop {
        let (marked, emptied) = settled(seen, rules, aims, held);
        let kept = closed(&marked, seen, rules, (marked.used() & !emptied) | young, spare);
        // One that must stay after all is not worth copying from.
        if kept & emptied != 0 {
            held |= kept & emptied;
            continue;
        }
        let comes_late = |pack, chunk| aims.copies_apart && marked.is_as_it_was(pack, chunk);
        return Plan {
            copies: copied(&marked, seen, emptied, |pack, chunk| !comes_late(pack, chunk)),
            late: copied(&marked, seen, emptied, comes_late),
            condemned: seen.listed & !kept,
        };
    }
}

/// Whether everything the manifests name can be decoded from what was found.
pub fn has_all(seen: &Seen<'_>) -> bool {
    members(u16::from(seen.needed))
        .all(|chunk| decodes(seen.contents, chunk, ANY_DEPTH, seen.located))
}

/// Step 6: the chunks of `condemned` that manifests or packs that stay cannot do without. What others condemned is
/// there still, but will not be.
pub fn rescue(seen: &Seen<'_>, rules: &Rules, condemned: Packs, others: Packs, spare: u8) -> Pack {
    let mut rescue = Rescue {
        seen,
        rules,
        condemned,
        others,
        kept: seen.located & !condemned & !others | 1 << spare,
        spare,
        contents: *seen.contents,
        seeking: 0,
    };
    rescue.contents[usize::from(spare)] = Pack::EMPTY;
    let plainly =
        rescue.contents.iter_mut().skip(FIRST_COPIES).filter(|_| !rules.copies_closed_at_6);
    for pack in plainly {
        for (chunk, block) in pack.blocks() {
            pack.put(chunk, Block { base: None, ..block });
        }
    }
    for chunk in members(u16::from(seen.needed)) {
        rescue.need(chunk, ANY_DEPTH);
    }
    if rules.closure_at_6 {
        let copies = if rules.copies_closed_at_6 { 0 } else { !0 << FIRST_COPIES };
        for pack in members(seen.located & !condemned & !copies) {
            for (_, block) in seen.contents[usize::from(pack)].blocks() {
                if let Some(base) = block.base
                    && block_decodes(seen.contents, block, seen.located)
                {
                    rescue.need(base, block.depth);
                }
            }
        }
    }
    rescue.contents[usize::from(spare)]
}

/// Packs from here on are put by prunes.
const FIRST_COPIES: usize = 8;

struct Rescue<'a> {
    seen: &'a Seen<'a>,
    rules: &'a Rules,
    condemned: Packs,
    others: Packs,
    kept: Packs,
    spare: u8,
    contents: Contents,
    /// Going by the deepest copies could lead round in circles.
    seeking: Chunks,
}

impl Rescue<'_> {
    /// What others condemned is a source only where there is no other: they may count on ours.
    fn source(&self, chunk: u8, below: u8) -> Option<(u8, Block)> {
        let copies = members(self.seen.located).filter_map(|pack| {
            let block = self.seen.contents[usize::from(pack)].get(chunk)?;
            let decodes = block_decodes(self.seen.contents, block, self.seen.located);
            (block.depth < below && decodes).then_some((pack, block))
        });
        copies.min_by_key(|(pack, block)| (self.others & (1 << pack) != 0, block.depth))
    }

    fn need(&mut self, chunk: u8, below: u8) {
        let below = if self.rules.shallowest_kept { below } else { ANY_DEPTH };
        if decodes(&self.contents, chunk, below, self.kept) {
            return;
        }
        let Some((pack, block)) = self.source(chunk, below) else { return };
        if self.condemned & (1 << pack) != 0 {
            self.contents[usize::from(self.spare)].put(chunk, block);
        }
        let Some(base) = block.base.filter(|_| self.rules.bases_are_live) else { return };
        if self.seeking & (1 << base) == 0 {
            self.seeking |= 1 << base;
            self.need(base, block.depth);
            self.seeking &= !(1 << base);
        }
    }
}
