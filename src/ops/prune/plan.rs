//! What a prune would do, worked out from what is there.

use std::collections::HashSet;
use std::time::SystemTime;

use serde::Serialize;

use crate::format::{PackKind, padding_len};
use crate::id::{PackId, SnapshotId};
use crate::limits::PACK_TARGET_MIN;
use crate::progress::{Cancel, Observer};
use crate::repo::{RepoError, Repository, Root, Sight};

use super::super::OpError;
use super::choose::{Compaction, PackFate};
use super::keep::Keeper;
use super::mark::mark;
use super::merge::{Judged, Scene, judge};
use super::packs::{Bits, Pack, PackPlace, Packs};
use super::recode::Recoder;

/// Packs, or blocks, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PackTotals {
    /// Number of packs.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl PackTotals {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What a prune would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PrunePlan {
    /// Snapshots whose needs were found.
    pub snapshots: u64,
    /// All packs there are.
    pub packs: PackTotals,
    /// Packs that are deleted, since nobody needs anything of them; and those of them that no index object lists, left
    /// by backups that did not end.
    pub dead: PackTotals,
    /// Those of the dead packs that no index object lists.
    pub unindexed: PackTotals,
    /// Packs that are mostly waste: what is needed of them is copied, then they are deleted.
    pub emptied: PackTotals,
    /// Packs that a compaction codes anew, waste or not.
    pub compacted: PackTotals,
    /// Of a compaction: blocks that are kept only because others are coded against them, and merged into those.
    pub merged: PackTotals,
    /// About how many bytes are copied out of them, before a compaction codes them anew.
    #[serde(rename = "rewritten_bytes")]
    pub rewritten: u64,
    /// Bytes that nobody needs in packs that stay: too few beside what is needed to be worth the copying.
    #[serde(rename = "waste_bytes")]
    pub waste: u64,
    /// Packs that stay because they were stored after a backup began that is still at work.
    pub young: PackTotals,
    /// Of a dry run: packs that an earlier prune meant to delete. What is needed of them is copied.
    pub condemned: PackTotals,
}

impl PrunePlan {
    /// Bytes of packs the repository has less afterwards, but for what a compaction gains.
    pub fn freed(&self) -> u64 {
        let going = [self.dead, self.emptied, self.compacted, self.condemned];
        let going: u64 = going.iter().map(|packs| packs.bytes).sum();
        going.saturating_sub(self.rewritten)
    }

    /// True where a prune would delete nothing.
    pub fn is_nothing(&self) -> bool {
        let going = [self.dead, self.emptied, self.compacted, self.condemned];
        going.iter().all(|packs| packs.count == 0)
    }
}

/// A pack that is copied from.
pub(super) struct Emptied {
    pub id: PackId,
    /// What index objects say is in it, by whose word its blocks are numbered.
    pub contents: [u8; 16],
    pub kind: PackKind,
    pub len: u64,
    pub live: Bits,
    /// The level it was compacted at.
    pub level: Option<i32>,
}

impl Emptied {
    pub fn of(pack: &Pack, live: Bits, level: Option<i32>) -> Self {
        let Pack { id, contents, kind, len, .. } = *pack;
        Self { id, contents, kind, len, live, level }
    }
}

/// A plan with what it takes to execute it.
pub(super) struct Work {
    pub plan: PrunePlan,
    pub emptied: Vec<Emptied>,
    /// All that is deleted, the emptied ones included.
    pub condemned: Vec<PackId>,
    pub recoder: Recoder,
}

/// Refuses where something cannot be read that may say what is needed.
pub(super) fn refuse_unreadable(sight: &mut Sight, without: &[SnapshotId]) -> Result<(), OpError> {
    sight.unreadable.retain(|(id, _)| !without.contains(id));
    if let Some((id, source)) = sight.unreadable.drain(..).next() {
        return Err(RepoError::UnreadableManifest { id, source: Box::new(source) }.into());
    }
    match sight.index.unreadable.drain(..).next() {
        None => Ok(()),
        Some((object, source)) => Err(OpError::UnreadableIndex { object, source }),
    }
}

/// Plans for these snapshots. Packs stored after `oldest` are left for another time; those that are `going` go in any case,
/// those that are `fixed` are not copied from.
pub(super) fn work(
    repository: &Repository,
    sight: &Sight,
    roots: &[Root],
    (going, fixed): (&HashSet<PackId>, &HashSet<PackId>),
    (oldest, compaction): (SystemTime, Option<Compaction>),
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<Work, OpError> {
    let none = HashSet::new();
    let packs = Packs::new(sight, oldest, going, &none);
    let mut keeper = Keeper::new(repository.reader(&sight.index), packs);
    mark(&mut keeper, roots, observer, cancel)?;
    let scene = Scene { repository, objects: &sight.objects, fixed, cancel };
    let Judged { weights, facts, fates } = judge(scene, &mut keeper, compaction)?;

    let (mut plan, mut copied) = (PrunePlan::default(), (0, 0));
    let (mut emptied, mut condemned) = (Vec::new(), Vec::new());
    plan.snapshots = roots.len() as u64;
    let facts = facts.iter().zip(&weights);
    for (((_, pack), (facts, weight)), fate) in keeper.packs.iter().zip(facts).zip(fates) {
        plan.merged.count += weight.merged.0;
        plan.merged.bytes += weight.merged.1;
        // What is merged makes what it goes into longer, by as much at most.
        match pack.kind {
            PackKind::Data => copied.0 += weight.merged.1,
            PackKind::Metadata => copied.1 += weight.merged.1,
        }
        if !sight.packs.contains_key(&pack.id) {
            continue;
        }
        plan.packs.add(pack.len);
        if pack.place == PackPlace::Going {
            plan.condemned.add(pack.len);
            copied.0 += weight.rescued;
            continue;
        }
        match fate {
            PackFate::Stays => {
                match pack.is_young && pack.live.is_empty() {
                    true => plan.young.add(pack.len),
                    false => plan.waste += pack.len - facts.live,
                }
                continue;
            }
            PackFate::Goes => {
                plan.dead.add(pack.len);
                if !pack.is_listed {
                    plan.unindexed.add(pack.len);
                }
            }
            PackFate::Emptied => {
                let totals = if facts.is_wanted { &mut plan.compacted } else { &mut plan.emptied };
                totals.add(pack.len);
                let bytes = weight.live + weight.listing;
                match pack.kind {
                    PackKind::Data => copied.0 += bytes,
                    PackKind::Metadata => copied.1 += bytes,
                }
                let live = pack.live.clone();
                debug_assert_eq!(pack.place, PackPlace::Here);
                emptied.push((pack.stored, Emptied::of(pack, live, weight.compacted)));
            }
        }
        condemned.push(pack.id);
    }
    let target = u64::from(repository.config().pack_target);
    plan.rewritten = packed(copied.0, target) + packed(copied.1, PACK_TARGET_MIN.into());
    // What is coded against something else is stored later: so a compaction knows how deep that lies by then. Otherwise what
    // was compacted is not mixed with what was not.
    let level = |pack: &Emptied| pack.level.filter(|_| compaction.is_none());
    emptied.sort_by_key(|(stored, pack)| (level(pack), *stored));
    let emptied = emptied.into_iter().map(|(_, pack)| pack).collect();
    let recoder = Recoder::new(keeper, compaction.map(|compaction| compaction.level));
    Ok(Work { plan, emptied, condemned, recoder })
}

/// What blocks of so many bytes take in packs of this size, padded.
fn packed(bytes: u64, target: u64) -> u64 {
    let full = bytes / target.max(1);
    let of_one = |bytes: u64| match bytes {
        0 => 0,
        bytes => bytes + padding_len(bytes),
    };
    full * of_one(target) + of_one(bytes % target.max(1))
}
