//! A rebuild of the index: the first of the prunes, where a scenario says so. It looks like any other, and puts and deletes
//! index objects only.

use super::model::Model;
use super::prune_deletes::{FIRST_ORIGIN, goes_on};
use super::scenario::Rebuild;
use super::state::{BEFORE, EMPTY_INDEX, IndexObject, PruneAt, State};

impl Model {
    pub(super) fn is_rebuild(&self, prune: usize) -> bool {
        prune == 0 && self.scenario.rebuild.is_some()
    }

    /// What it lists anew, and what it replaces. Its index objects name nobody, but those of void writers theirs.
    pub(super) fn decide_rebuild(&self, after: &mut State, number: usize) -> PruneAt {
        let me = after.prunes[number];
        let all = self.scenario.rebuild == Some(Rebuild::All);
        let is_void = |object: &IndexObject| after.void & (1u8 << object.writer) != 0;
        let (mut old, mut new) = (EMPTY_INDEX, EMPTY_INDEX);
        let left_alone = if all { 0 } else { me.others };
        let mut packs = me.listed & me.old & !me.index.packs(0) & !left_alone;
        // What somebody at work has put lists packs that are not old.
        me.index
            .iter()
            .filter(|object| all && object.packs & !me.old == 0)
            .for_each(|object| old.put(object));
        for origin in 0..16 {
            let of_one = || old.iter().filter(move |object| object.origin == origin);
            let taken_over = of_one().filter(|object| !is_void(object));
            packs |= taken_over.fold(0, |packs, object| packs | object.packs);
            let mut void = of_one().filter(is_void);
            if let Some(object) = void.next() {
                let packs = void.fold(object.packs, |packs, other| packs | other.packs);
                new.put(IndexObject { version: 1, packs, ..object });
            }
        }
        if packs != 0 {
            new.put(IndexObject { origin: FIRST_ORIGIN, version: 1, writer: BEFORE, packs });
        }
        let me = &mut after.prunes[number];
        (me.index, me.new_index) = (old, new);
        (me.listed, me.others, me.old) = (0, 0, 0);
        match new == EMPTY_INDEX {
            true => goes_on(me),
            false => PruneAt::CheckBeforeDeleting,
        }
    }
}
