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
use super::choose::{Compaction, Facts, Fate, REWRITE_MAX, choose, facts};
use super::keep::Keeper;
use super::packs::{Block, Pack, Place};
use super::weigh::{Weight, each_pack, named, weigh};

/// What is decided of all packs, and why.
pub(super) struct Judged {
    pub weights: Vec<Weight>,
    pub facts: Vec<Facts>,
    pub fates: Vec<Fate>,
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
const USES_MAX: u8 = 80;
const ONCE: u64 = 64;
/// Something that is not coded anew is coded against it.
const PINNED: u8 = u8::MAX;
/// Attempts before nothing is merged: each is a look at all index objects.
const ROUNDS: usize = 4;

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
        let is_still = pack.place == Place::Here && !pack.is_young && !pack.is_disputed;
        is_still && pack.stored < compaction.before && !scene.fixed.contains(&pack.id)
    };
    let mut may: Vec<bool> = keeper.packs.iter().map(|(_, pack)| is_old(pack)).collect();
    let mut tally = Tally::take(scene, keeper, &may, None)?;
    let mut wanted = tally.wanted(&may, compaction.level);
    if wanted != may {
        // What a second compaction gains is known once it is known what can be merged.
        tally = Tally::take(scene, keeper, &may, Some(&tally))?;
        wanted = tally.wanted(&may, compaction.level);
        may.clone_from(&wanted);
        tally = Tally::take(scene, keeper, &may, None)?;
    }
    for _ in 0..ROUNDS {
        tally.merge(keeper);
        let judged = judged(scene, keeper, &wanted)?;
        let held = |number: usize| {
            let stays = judged.fates.get(number) == Some(&Fate::Stays);
            stays && tally.packs.get(number).is_some_and(|pack| pack.has_deltas)
        };
        let less: Vec<bool> = (0..).zip(&may).map(|(number, may)| *may && !held(number)).collect();
        if less == may {
            return Ok(judged);
        }
        // Others lean on what was to be coded anew: its bases stay, too.
        unmerge(keeper);
        may = less;
        tally = Tally::take(scene, keeper, &may, None)?;
    }
    unmerge(keeper);
    judged(scene, keeper, &wanted)
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

/// What was counted of one pack.
#[derive(Clone, Default)]
struct Counted {
    /// How much of each block is used as a base, in 64ths of it.
    uses: Vec<u8>,
    /// Bytes of blocks that are live, and of those that go if its deltas are coded anew.
    live: u64,
    gain: u64,
    has_deltas: bool,
    /// The level it was compacted at.
    compacted: Option<i32>,
    is_seen: bool,
}

/// How often what is kept as a base only is used.
struct Tally {
    packs: Vec<Counted>,
}

/// One block is coded against another, that is kept for such only.
struct Use {
    base: Block,
    sealed_len: u32,
    share: u8,
}

impl Tally {
    /// Counts, if the deltas of these packs are coded anew and no others; what that gains, if it was counted before.
    fn take(
        scene: Scene<'_>,
        keeper: &Keeper,
        may: &[bool],
        before: Option<&Self>,
    ) -> Result<Self, OpError> {
        let mut tally = Self { packs: vec![Counted::default(); keeper.packs.len()] };
        each_pack(scene.repository, scene.objects, scene.cancel, |listed, compacted| {
            let Some(number) = keeper.packs.find(&listed.id) else { return Ok(()) };
            tally.add((keeper, may, before), number, (listed, compacted))
        })?;
        Ok(tally)
    }

    fn add(
        &mut self,
        (keeper, may, before): (&Keeper, &[bool], Option<&Self>),
        number: u32,
        (listed, compacted): (&IndexedPack, Option<i32>),
    ) -> Result<(), OpError> {
        let Some(pack) = keeper.packs.get(number) else { return Ok(()) };
        let Some(counted) = self.packs.get_mut(number as usize) else { return Ok(()) };
        counted.compacted = counted.compacted.max(compacted);
        if std::mem::replace(&mut counted.is_seen, true) && !pack.is_disputed {
            return Ok(());
        }
        let may = may.get(number as usize).copied().unwrap_or(false);
        let live: Vec<&BlockRecord> = (0u32..)
            .zip(&listed.contents.blocks)
            .filter(|(ordinal, _)| pack.is_disputed || pack.live.has(*ordinal))
            .map(|(_, block)| block)
            .collect();
        let uses: Result<Vec<Vec<Use>>, StoreError> =
            live.par_iter().map(|block| uses(keeper, listed, block)).collect();
        for (block, uses) in live.iter().zip(uses?) {
            let is_coded_anew = may && block.chunks.len() == 1;
            if let Some(counted) = self.packs.get_mut(number as usize) {
                counted.live += u64::from(block.sealed_len);
                counted.has_deltas |= !block.bases.is_empty();
                let gain = |one: &Use| u64::from(one.sealed_len) * u64::from(one.share) / ONCE;
                let goes = |one: &&Use| before.is_some_and(|before| before.goes(one.base));
                counted.gain += uses.iter().filter(goes).map(gain).sum::<u64>();
            }
            uses.iter().for_each(|one| self.count(one, is_coded_anew));
        }
        Ok(())
    }

    fn count(&mut self, one: &Use, is_coded_anew: bool) {
        let (pack, ordinal) = one.base;
        let Some(counted) = self.packs.get_mut(pack as usize) else { return };
        let at = ordinal as usize;
        if counted.uses.len() <= at {
            counted.uses.resize(at + 1, 0);
        }
        if let Some(uses) = counted.uses.get_mut(at) {
            *uses = if is_coded_anew { uses.saturating_add(one.share) } else { PINNED };
        }
    }

    /// Whether a base that nobody names is used so little that it can be merged.
    fn goes(&self, (pack, ordinal): Block) -> bool {
        let uses = self.packs.get(pack as usize).and_then(|pack| pack.uses.get(ordinal as usize));
        uses.is_some_and(|uses| (1..=USES_MAX).contains(uses))
    }

    /// Packs to be coded anew: not yet at this level, or so that enough is gained.
    fn wanted(&self, may: &[bool], level: i32) -> Vec<bool> {
        let is_wanted = |counted: &Counted| {
            let is_coded = counted.compacted.is_some_and(|compacted| compacted >= level);
            !is_coded || (counted.gain > 0 && counted.live <= REWRITE_MAX * counted.gain)
        };
        may.iter().zip(&self.packs).map(|(may, counted)| *may && is_wanted(counted)).collect()
    }

    fn merge(&self, keeper: &mut Keeper) {
        for ((number, pack), counted) in (0u32..).zip(keeper.packs.iter_mut()).zip(&self.packs) {
            for (ordinal, _) in (0u32..).zip(&counted.uses) {
                let is_base = pack.live.has(ordinal) && !pack.direct.has(ordinal);
                if is_base && self.goes((number, ordinal)) {
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
    listed: &IndexedPack,
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
        let share = (u64::from(len) * ONCE).div_ceil(raw_len);
        let share = u8::try_from(share).unwrap_or(PINNED);
        uses.push(Use { base: found.block, sealed_len: found.at.sealed_len, share });
    }
    Ok(uses)
}
