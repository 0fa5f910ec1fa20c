//! What prune decides from what it saw: which packs go, and which chunks must be copied before.

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

pub struct Plan {
    /// What a new pack takes over.
    pub copies: Pack,
    pub condemned: Packs,
}

/// Chunks in use, by pack.
type Live = [Chunks; super::objects::PACKS];

fn best(seen: &Seen<'_>, rules: &Rules, chunk: u8, below: u8) -> Option<(u8, Block)> {
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

fn mark(seen: &Seen<'_>, rules: &Rules, live: &mut Live, chunk: u8, below: u8) {
    let Some((pack, block)) = best(seen, rules, chunk, below) else { return };
    let there = &mut live[usize::from(pack)];
    if *there & (1 << chunk) != 0 {
        return;
    }
    *there |= 1 << chunk;
    if let (Some(base), true) = (block.base, rules.bases_are_live) {
        mark(seen, rules, live, base, block.depth);
    }
}

/// Packs that have to stay for the sake of the chunks in those that stay.
fn closed(seen: &Seen<'_>, rules: &Rules, kept: Packs, copies: (u8, Pack)) -> Packs {
    let mut contents = *seen.contents;
    contents[usize::from(copies.0)] = copies.1;
    let mut kept = kept | 1 << copies.0;
    if !rules.closure_at_4 {
        return kept;
    }
    loop {
        let mut more = 0;
        for pack in members(kept & seen.located) {
            for (_, block) in contents[usize::from(pack)].blocks() {
                let Some(base) = block.base else { continue };
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

/// Steps 2 to 4. `spare` is the number of a pack that is nowhere yet.
pub fn plan(seen: &Seen<'_>, rules: &Rules, old: Packs, repacks: bool, spare: u8) -> Plan {
    let mut live: Live = Default::default();
    for chunk in members(u16::from(seen.needed)) {
        mark(seen, rules, &mut live, chunk, ANY_DEPTH);
    }
    let in_use = |pack: &u8| live[usize::from(*pack)] != 0;
    let used = members(seen.located).filter(in_use).fold(0, |packs, pack| packs | 1 << pack);
    let young = seen.listed & !old;
    let wasteful = |pack: &u8| {
        let pack = usize::from(*pack);
        repacks && seen.contents[pack].chunks() != live[pack]
    };
    let mut emptied =
        members(used & !young).filter(wasteful).fold(0, |packs, pack| packs | 1 << pack);
    loop {
        let mut copies = Pack::EMPTY;
        for pack in members(emptied) {
            for (chunk, block) in seen.contents[usize::from(pack)].blocks() {
                if live[usize::from(pack)] & (1 << chunk) != 0 {
                    copies.put(chunk, block);
                }
            }
        }
        let kept = closed(seen, rules, (used & !emptied) | young, (spare, copies));
        // One that must stay after all is not worth copying from.
        if kept & emptied != 0 {
            emptied &= !kept;
            continue;
        }
        return Plan { copies, condemned: seen.listed & !kept };
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
    for chunk in members(u16::from(seen.needed)) {
        rescue.need(chunk, ANY_DEPTH);
    }
    if rules.closure_at_6 {
        for pack in members(seen.located & !condemned) {
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
