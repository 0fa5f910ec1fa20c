//! Chains made shorter by a compaction: which of the chunks that are kept as bases only are merged into what is coded
//! against them. A function of the repository; [`super::recode`] executes it.

use std::collections::{BTreeSet, HashSet};

use rayon::prelude::*;

use crate::format::{BlockRecord, IndexedPack};
use crate::id::{ObjectId, PackId};
use crate::progress::Cancel;
use crate::repo::Repository;
use crate::store::StoreError;

use super::super::OpError;
use super::ancestors::ancestor;
use super::choose::{Compaction, Facts, PackFate, REWRITE_MAX, choose, facts};
use super::keep::Keeper;
use super::packs::{Bits, Block, Pack, PackPlace};
use super::weigh::{Weight, each_pack, named, weigh};

/// What is decided of all packs, and why.
pub(super) struct Judged {
    pub weights: Vec<Weight>,
    pub facts: Vec<Facts>,
    pub fates: Vec<PackFate>,
}

/// Where to look.
#[derive(Clone, Copy)]
pub(super) struct Scene<'s> {
    pub repository: &'s Repository,
    pub objects: &'s BTreeSet<ObjectId>,
    /// Packs that may not be copied from.
    pub fixed: &'s HashSet<PackId>,
    pub cancel: &'s Cancel,
}

/// A base is merged if what is coded against it uses it this often at most, in 64ths: what goes is about as much as is
/// written more.
const USES_MAX: u32 = 80;
const ONCE: u64 = 64;
/// What is used as a base only, and where: more of that is left for another time. 60 MiB.
const USES_KNOWN: usize = 3 << 20;
/// Attempts before nothing is merged: each is a look at all index objects.
const ROUNDS: usize = 4;
/// Looks at which packs are worth it before only those are that were never compacted.
const SETTLES: usize = 64;

/// Decides for all packs. With a compaction, what was live may be [`Pack::merged`] afterwards.
pub(super) fn judge(
    scene: Scene<'_>,
    keeper: &mut Keeper,
    compaction: Option<Compaction>,
) -> Result<Judged, OpError> {
    let Some(compaction) = compaction else {
        return judged(scene, keeper, &[]);
    };
    let is_old = |pack: &Pack| {
        let is_still = pack.place == PackPlace::Here && !pack.is_young && !pack.is_disputed;
        is_still && pack.stored < compaction.before && !scene.fixed.contains(&pack.id)
    };
    let old: Vec<bool> = keeper.packs.iter().map(|(_, pack)| is_old(pack)).collect();
    let tally = Tally::take(scene, keeper)?;
    let coded = tally.coded_at(compaction.level);
    let mut may = if compaction.merges { old.clone() } else { vec![false; old.len()] };
    for _ in 0..ROUNDS {
        may = tally.worthwhile(may, &coded);
        // Packs that are not yet at this level, and those in which enough is merged.
        let wanted: Vec<bool> = (0..old.len())
            .map(|number| (at(&old, number) && !at(&coded, number)) || at(&may, number))
            .collect();
        tally.merge(keeper, &may);
        let judged = judged(scene, keeper, &wanted)?;
        let held = |number: usize| {
            let stays = judged.fates.get(number) == Some(&PackFate::Stays);
            stays && tally.packs.get(number).is_some_and(|pack| pack.has_deltas)
        };
        let less: Vec<bool> =
            (0..may.len()).map(|number| at(&may, number) && !held(number)).collect();
        if less == may {
            return Ok(judged);
        }
        // Others lean on what was to be coded anew: its bases stay, too.
        unmerge(keeper);
        may = less;
    }
    let wanted: Vec<bool> =
        old.iter().zip(&coded).map(|(is_old, is_coded)| *is_old && !is_coded).collect();
    judged(scene, keeper, &wanted)
}

fn at(flags: &[bool], number: usize) -> bool {
    flags.get(number).copied().unwrap_or(false)
}

fn judged(scene: Scene<'_>, keeper: &Keeper, wanted: &[bool]) -> Result<Judged, OpError> {
    let weights = weigh(scene.repository, scene.objects, keeper, scene.cancel)?;
    let facts = facts(&keeper.packs, scene.fixed, &weights, wanted);
    let fates = choose(&facts);
    Ok(Judged { weights, facts, fates })
}

fn unmerge(keeper: &mut Keeper) {
    for pack in keeper.packs.iter_mut() {
        pack.live.take_all(&mut pack.merged);
    }
}

/// What is known of one pack.
#[derive(Clone, Default)]
struct Counted {
    /// Bytes of blocks that are live.
    live: u64,
    has_deltas: bool,
    /// The level it was compacted at.
    compacted: Option<i32>,
    is_seen: bool,
    /// Blocks that something is coded against which cannot be coded anew.
    pinned: Bits,
}

/// How what is kept as a base only is used.
struct Tally {
    packs: Vec<Counted>,
    /// In no order.
    uses: Vec<Use>,
}

/// A block of this pack is coded against a block that is kept for such only.
struct Use {
    user: u32,
    base: Block,
    sealed_len: u32,
    /// How much of the base, in 64ths.
    share: u8,
}

/// For each block of each pack how often it is used, in 64ths of it.
struct Sums(Vec<Vec<u8>>);

impl Sums {
    /// Whether it is used so little that it can be merged.
    fn goes(&self, (pack, ordinal): Block) -> bool {
        let sum = self.0.get(pack as usize).and_then(|sums| sums.get(ordinal as usize));
        sum.is_some_and(|sum| (1..=USES_MAX).contains(&u32::from(*sum)))
    }
}

impl Tally {
    fn take(scene: Scene<'_>, keeper: &Keeper) -> Result<Self, OpError> {
        let packs = vec![Counted::default(); keeper.packs.len()];
        let mut tally = Self { packs, uses: Vec::new() };
        each_pack(scene.repository, scene.objects, scene.cancel, |listed, compacted| {
            let Some(number) = keeper.packs.find(&listed.id) else { return Ok(()) };
            tally.add(keeper, number, (listed, compacted))
        })?;
        Ok(tally)
    }

    fn add(
        &mut self,
        keeper: &Keeper,
        number: u32,
        (listed, compacted): (&IndexedPack, Option<i32>),
    ) -> Result<(), OpError> {
        let Some(pack) = keeper.packs.get(number) else { return Ok(()) };
        let Some(counted) = self.packs.get_mut(number as usize) else { return Ok(()) };
        counted.compacted = counted.compacted.max(compacted);
        if std::mem::replace(&mut counted.is_seen, true) && !pack.is_disputed {
            return Ok(());
        }
        let live: Vec<&BlockRecord> = (0u32..)
            .zip(&listed.contents.blocks)
            .filter(|(ordinal, _)| pack.is_disputed || pack.live.has(*ordinal))
            .map(|(_, block)| block)
            .collect();
        counted.live += live.iter().map(|block| u64::from(block.sealed_len)).sum::<u64>();
        counted.has_deltas |= live.iter().any(|block| !block.bases.is_empty());
        let uses: Result<Vec<Vec<Use>>, StoreError> =
            live.par_iter().map(|block| uses(keeper, (number, listed), block)).collect();
        for (block, uses) in live.iter().zip(uses?) {
            let can_be_coded_anew = block.chunks.len() == 1 && !pack.is_disputed;
            for one in uses {
                if can_be_coded_anew && self.uses.len() < USES_KNOWN {
                    self.uses.push(one);
                } else if let Some(base) = self.packs.get_mut(one.base.0 as usize) {
                    base.pinned.add(one.base.1);
                }
            }
        }
        Ok(())
    }

    /// Packs that were compacted at this level or a higher one.
    fn coded_at(&self, level: i32) -> Vec<bool> {
        let is_coded = |pack: &Counted| pack.compacted.is_some_and(|compacted| compacted >= level);
        self.packs.iter().map(is_coded).collect()
    }

    /// Sums up, if the deltas of these packs are coded anew and no others.
    fn sums(&self, may: &[bool]) -> Sums {
        let mut sums: Vec<Vec<u8>> = vec![Vec::new(); self.packs.len()];
        for one in &self.uses {
            let (pack, ordinal) = (one.base.0 as usize, one.base.1 as usize);
            let Some(of_pack) = sums.get_mut(pack) else { continue };
            if of_pack.len() <= ordinal {
                of_pack.resize(ordinal + 1, 0);
            }
            let is_pinned = !at(may, one.user as usize)
                || self.packs.get(pack).is_some_and(|counted| counted.pinned.has(one.base.1));
            if let Some(sum) = of_pack.get_mut(ordinal) {
                *sum = if is_pinned { u8::MAX } else { sum.saturating_add(one.share) };
            }
        }
        Sums(sums)
    }

    /// Without those that were compacted before and in which too little is merged for all that is rewritten: which, since
    /// that is less then, may be true of others next.
    fn worthwhile(&self, mut may: Vec<bool>, coded: &[bool]) -> Vec<bool> {
        for _ in 0..SETTLES {
            let (sums, mut gains) = (self.sums(&may), vec![0u64; self.packs.len()]);
            for one in self.uses.iter().filter(|one| sums.goes(one.base)) {
                if let Some(gain) = gains.get_mut(one.user as usize) {
                    *gain += u64::from(one.sealed_len) * u64::from(one.share) / ONCE;
                }
            }
            let is_worth_it = |number: usize| {
                let live = self.packs.get(number).map_or(0, |pack| pack.live);
                let gain = gains.get(number).copied().unwrap_or(0);
                !at(coded, number) || (gain > 0 && live <= REWRITE_MAX * gain)
            };
            let less: Vec<bool> =
                (0..may.len()).map(|number| at(&may, number) && is_worth_it(number)).collect();
            if less == may {
                return may;
            }
            may = less;
        }
        (0..may.len()).map(|number| at(&may, number) && !at(coded, number)).collect()
    }

    fn merge(&self, keeper: &mut Keeper, may: &[bool]) {
        let sums = self.sums(may);
        for (number, pack) in (0u32..).zip(keeper.packs.iter_mut()) {
            let blocks = sums.0.get(number as usize).map_or(0, Vec::len);
            for ordinal in (0u32..).take(blocks) {
                let is_base = pack.live.has(ordinal) && !pack.direct.has(ordinal);
                if is_base && sums.goes((number, ordinal)) {
                    pack.live.remove(ordinal);
                    pack.merged.add(ordinal);
                }
            }
        }
    }
}

/// The bases of a block that nobody names.
fn uses(
    keeper: &Keeper,
    (user, listed): (u32, &IndexedPack),
    block: &BlockRecord,
) -> Result<Vec<Use>, StoreError> {
    let mut uses = Vec::new();
    for (name, base) in named(&listed.contents, block).zip(&block.bases) {
        let Some(found) = ancestor(keeper, &name, block.depth)? else { continue };
        let pack = keeper.packs.get(found.block.0);
        if pack.is_none_or(|pack| pack.direct.has(found.block.1)) {
            continue;
        }
        let rest = found.at.chunk_len.saturating_sub(base.skip);
        let len = if base.len == 0 { rest } else { base.len };
        let raw_len = u64::from(found.at.raw_len).max(1);
        let share = u8::try_from((u64::from(len) * ONCE).div_ceil(raw_len)).unwrap_or(u8::MAX);
        let (base, sealed_len) = (found.block, found.at.sealed_len);
        uses.push(Use { user, base, sealed_len, share });
    }
    Ok(uses)
}
