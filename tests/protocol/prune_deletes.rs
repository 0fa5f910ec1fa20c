//! A prune's steps 6 and 7, and what it puts.

use super::model::{Model, Op};
use super::objects::{Pack, members};
use super::plan::rescue;
use super::prune_lists::stale_entries;
use super::state::{
    EMPTY_INDEX, Index, IndexObject, Prune, PruneAt, QUIET, State, WRITERS, prune_actor,
};

/// The numbers of what it puts: copies at 3, what is rescued at 6, and what else is copied at 3.
pub(super) const COPIES: u8 = 0;
const RESCUED: u8 = 1;
pub(super) const LATE: u8 = 6;
const FIRST_PACK: u8 = 8;
pub(super) const FIRST_ORIGIN: u8 = 8;

impl Model {
    pub(super) fn prune_deletes(&self, after: &mut State, number: usize) -> (Op, PruneAt) {
        let prune = after.prunes[number];
        let actor = prune_actor(number);
        match prune.at {
            PruneAt::CheckBeforeRelisting => self.check(after, number, PruneAt::ListOtherCondemned),
            PruneAt::ListOtherCondemned => {
                let all = after.condemned.iter().fold(0, |all, packs| all | packs);
                let me = &mut after.prunes[number];
                let others = all & !me.condemned;
                me.others = if self.rules.others_condemned_count_as_gone { others } else { 0 };
                (Op::ListCondemned, PruneAt::ListIndex(self.first_part()))
            }
            PruneAt::PutRescued => {
                let at = match self.rules.copies_indexed_before_deleting {
                    true => PruneAt::PutRescuedIndex,
                    false => PruneAt::CheckBeforeDeleting,
                };
                self.put_pack(after, number, RESCUED, at)
            }
            PruneAt::PutRescuedIndex => {
                let (op, at) =
                    self.put_packs_index(after, number, RESCUED, PruneAt::CheckBeforeDeleting);
                match self.rules.copies_indexed_before_deleting {
                    true => (op, at),
                    false => (op, goes_on(&mut after.prunes[number])),
                }
            }
            PruneAt::CheckBeforeDeleting => match self.check(after, number, PruneAt::PutIndex) {
                (op, PruneAt::PutIndex) => (op, goes_on(&mut after.prunes[number])),
                voided => voided,
            },
            PruneAt::PutIndex => {
                let object = first(&prune.new_index);
                after.index.put(object);
                after.prunes[number].new_index.delete(&object);
                let IndexObject { origin, version, packs, .. } = object;
                (Op::PutIndex { origin, version, packs }, goes_on(&mut after.prunes[number]))
            }
            PruneAt::DeleteIndex => {
                let object = first(&prune.index);
                after.index.delete(&object);
                after.prunes[number].index.delete(&object);
                let IndexObject { origin, version, .. } = object;
                (Op::DeleteIndex { origin, version }, goes_on(&mut after.prunes[number]))
            }
            PruneAt::DeletePack => {
                let pack = prune.condemned.trailing_zeros() as u8;
                after.packs &= !(1 << pack);
                after.prunes[number].condemned &= !(1 << pack);
                (Op::DeletePack(pack), goes_on(&mut after.prunes[number]))
            }
            PruneAt::DeleteCondemned => {
                let owner = prune.owners.trailing_zeros() as usize;
                after.prunes[number].owners &= !(1 << owner);
                (after.condemned[owner], after.noted[owner]) = (0, None);
                (Op::DeleteCondemned(owner as u8), goes_on(&mut after.prunes[number]))
            }
            PruneAt::Retire => {
                after.active &= !(1 << actor);
                (Op::DeleteActive(actor), PruneAt::Ended)
            }
            at => unreachable!("{at:?} is a step with a choice, or none"),
        }
    }

    /// Step 6, the decision.
    pub(super) fn decide_rescue(&self, after: &mut State, number: usize) -> PruneAt {
        let me = after.prunes[number];
        let spare = self.pack(after, number, RESCUED);
        let seen = self.seen(after, &me, number);
        if self.rules.unlocated_stops && !self.is_located(after, &seen) {
            return PruneAt::Retire;
        }
        let rescued = match self.rules.prune_relists {
            true => rescue(&seen, &self.rules, me.condemned, me.others, spare),
            false => Pack::EMPTY,
        };
        let me = &mut after.prunes[number];
        me.copies = rescued;
        if !self.rules.condemned_is_irrevocable {
            let spared = members(me.condemned).filter(|pack| {
                let blocks = after.contents[usize::from(*pack)].chunks();
                blocks & rescued.chunks() != 0
            });
            me.condemned &= !spared.fold(0, |all, pack| all | 1 << pack);
            me.copies = Pack::EMPTY;
        }
        let at = match me.copies.is_empty() {
            true => PruneAt::CheckBeforeDeleting,
            false => PruneAt::PutRescued,
        };
        self.prepare_index(after, number);
        at
    }

    pub(super) fn pack(&self, state: &State, number: usize, which: u8) -> u8 {
        let in_use = state.packs | state.index.packs(0);
        match number {
            // It runs again and again.
            QUIET => members(!in_use).last().unwrap_or(0),
            _ if which == LATE => FIRST_PACK + LATE + number as u8,
            _ => FIRST_PACK + 2 * number as u8 + which,
        }
    }

    pub(super) fn put_pack(
        &self,
        after: &mut State,
        number: usize,
        which: u8,
        at: PruneAt,
    ) -> (Op, PruneAt) {
        let pack = self.pack(after, number, which);
        let me = &mut after.prunes[number];
        after.contents[usize::from(pack)] = std::mem::take(&mut me.copies);
        me.unindexed |= 1 << pack;
        after.packs |= 1 << pack;
        (Op::PutPack(pack), at)
    }

    pub(super) fn put_packs_index(
        &self,
        after: &mut State,
        number: usize,
        which: u8,
        at: PruneAt,
    ) -> (Op, PruneAt) {
        let packs = std::mem::take(&mut after.prunes[number].unindexed);
        let (kind, usual) = if which == LATE { (COPIES, LATE) } else { (which, 0) };
        let origin = FIRST_ORIGIN + 2 * number as u8 + kind;
        let version = version(after, number, origin, usual);
        after.index.put(IndexObject { origin, version, writer: prune_actor(number), packs });
        (Op::PutIndex { origin, version, packs }, at)
    }

    /// What step 7 puts and deletes of the index it saw.
    pub(super) fn prepare_index(&self, after: &mut State, number: usize) {
        let me = after.prunes[number];
        let stale = if self.rules.stale_entries_go { stale_entries(&me) } else { 0 };
        let gone = me.condemned | stale;
        let (mut old, mut new) = (EMPTY_INDEX, EMPTY_INDEX);
        me.index
            .iter()
            .filter(|object| object.packs & gone != 0)
            .for_each(|object| old.put(object));
        for origin in 0..16 {
            let mut of_one = old.iter().filter(|object| object.origin == origin);
            let Some(object) = of_one.next() else { continue };
            let packs = of_one.fold(object.packs, |packs, other| packs | other.packs) & !gone;
            let version = version(after, number, origin, 1 + number as u8);
            if packs != 0 {
                new.put(IndexObject { version, packs, ..object });
            }
        }
        let me = &mut after.prunes[number];
        (me.index, me.new_index, me.listed, me.manifests, me.others) = (old, new, 0, 0, 0);
    }
}

fn version(state: &State, number: usize, origin: u8, usual: u8) -> u8 {
    let versions = state.index.iter().filter(|there| there.origin == origin);
    match number {
        QUIET => versions.map(|there| there.version + 1).max().unwrap_or(0).max(8),
        _ => usual,
    }
}

fn first(index: &Index) -> IndexObject {
    index.iter().next().unwrap_or_default()
}

/// Where step 7 goes on.
pub(super) fn goes_on(me: &mut Prune) -> PruneAt {
    if me.new_index != EMPTY_INDEX {
        PruneAt::PutIndex
    } else if me.index != EMPTY_INDEX {
        PruneAt::DeleteIndex
    } else if me.condemned != 0 {
        PruneAt::DeletePack
    } else if me.unindexed != 0 {
        PruneAt::PutRescuedIndex
    } else if me.owners != 0 {
        PruneAt::DeleteCondemned
    } else {
        me.ended_well = true;
        PruneAt::Retire
    }
}

const _: () = assert!(FIRST_PACK as usize == 4 + 2 * WRITERS && QUIET <= 3);
