//! A prune's listings, for steps 2 and 6.

use super::model::{Model, Op};
use super::objects::Packs;
use super::plan::{Seen, has_all};
use super::state::{EMPTY_INDEX, Part, Prune, PruneAt, State};
use super::writer::packs_in;

impl Model {
    pub(super) fn prune_lists(&self, after: &mut State, number: usize) -> (Op, PruneAt) {
        let prune = after.prunes[number];
        match prune.at {
            PruneAt::ListIndex(part) => (Op::ListIndex(part), self.list_index(after, number, part)),
            PruneAt::ListIndexAgain(part) => {
                (Op::ListIndex(part), self.list_index_again(after, number, part))
            }
            PruneAt::ListPacks(part) => {
                after.prunes[number].listed |= after.packs & packs_in(part);
                let at = match part {
                    Part::First => PruneAt::ListPacks(Part::Second),
                    _ if self.is_rebuild(number) => self.decide_rebuild(after, number),
                    _ => PruneAt::ListManifests(self.first_part()),
                };
                (Op::ListPacks(part), at)
            }
            PruneAt::ListManifests(part) => {
                // The one that was there at first is shown last.
                let shown = [1, !1][usize::from(part == Part::First)];
                let shown = if part == Part::All { !0 } else { shown };
                after.prunes[number].manifests |= after.manifests & shown;
                let at = match part {
                    Part::First => PruneAt::ListManifests(Part::Second),
                    _ if prune.relisting => self.decide_rescue(after, number),
                    _ => self.decide(after, number),
                };
                (Op::ListManifests(part), at)
            }
            at => unreachable!("{at:?} lists nothing"),
        }
    }

    fn list_index(&self, after: &mut State, number: usize, part: Part) -> PruneAt {
        let there = after.index;
        after.prunes[number].index.see(&there, part);
        match part {
            Part::First => PruneAt::ListIndex(Part::Second),
            Part::Second if self.rules.settled_listings => PruneAt::ListIndexAgain(Part::First),
            _ => PruneAt::ListPacks(self.first_part()),
        }
    }

    fn list_index_again(&self, after: &mut State, number: usize, part: Part) -> PruneAt {
        let there = after.index;
        let me = &mut after.prunes[number];
        me.index_again.see(&there, part);
        if part == Part::First {
            return PruneAt::ListIndexAgain(Part::Second);
        }
        let settled = me.index == me.index_again;
        (me.index, me.index_again) = (me.index_again, EMPTY_INDEX);
        match settled {
            true => PruneAt::ListPacks(self.first_part()),
            false => PruneAt::ListIndexAgain(Part::First),
        }
    }

    pub(super) fn seen<'a>(&self, state: &'a State, me: &Prune, number: usize) -> Seen<'a> {
        let believed = if self.rules.copies_indexed_before_7 { 0 } else { me.unindexed };
        let located = me.listed & (me.index.packs(0) | believed);
        let needed = self.scenario.needed_by(me.manifests);
        Seen {
            contents: &state.contents,
            located,
            listed: me.listed,
            needed,
            takes_first: number == 1,
        }
    }

    pub(super) fn is_located(&self, state: &State, seen: &Seen<'_>) -> bool {
        // What a void writer named may be gone for good.
        let manifests = state.manifests & !(state.void << 1);
        has_all(&Seen { needed: seen.needed & self.scenario.needed_by(manifests), ..*seen })
    }
}

/// Packs listed by index objects that are not there.
pub(super) fn stale_entries(me: &Prune) -> Packs {
    me.index.packs(0) & !me.listed
}
