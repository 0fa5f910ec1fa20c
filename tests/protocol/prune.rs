//! A prune's steps.

use super::model::{Model, Next, Op, Step};
use super::objects::{Pack, Packs, members};
use super::plan::{Seen, has_all, plan, rescue};
use super::state::{
    ACTORS, EMPTY_INDEX, Index, IndexObject, PRUNES, Part, Prune, PruneAt, QUIET, State,
    WRITER_SET, WRITERS, prune_actor,
};
use super::writer::packs_in;

/// The numbers of what it puts: copies at 3, what is rescued at 6.
const COPIES: u8 = 0;
const RESCUED: u8 = 1;
const FIRST_PACK: u8 = 8;
const FIRST_ORIGIN: u8 = 8;

impl Model {
    pub fn prune(&self, state: &State, number: usize, next: &mut Next) {
        let prune = &state.prunes[number];
        let actor = prune_actor(number);
        match prune.at {
            PruneAt::ListActors => self.list_actors(state, number, next),
            PruneAt::PutNote => self.put_notes(state, number, next),
            PruneAt::Ended | PruneAt::Crashed => {}
            _ => {
                let mut after = *state;
                let op = self.prune_step(&mut after, number);
                next.push((Step { actor, op }, after));
            }
        }
        if self.is_running(state, actor) && state.crashes_left > 0 {
            let mut after = *state;
            after.crashes_left -= 1;
            after.prunes[number] = Prune { at: PruneAt::Crashed, ..Prune::NEW };
            next.push((Step { actor, op: Op::Crash }, after));
        }
    }

    /// Every step that leaves no choice.
    fn prune_step(&self, after: &mut State, number: usize) -> Op {
        let prune = after.prunes[number];
        let actor = prune_actor(number);
        let (op, at) = match prune.at {
            PruneAt::Start => {
                after.active |= 1 << actor;
                after.older[usize::from(actor)] = after.packs;
                (Op::PutActive, PruneAt::ListActors)
            }
            PruneAt::PutVoid => {
                let expired = prune.expired.trailing_zeros() as u8;
                after.void |= 1 << expired;
                (Op::PutVoid(expired), PruneAt::DeleteExpired)
            }
            PruneAt::DeleteExpired => {
                let expired = prune.expired.trailing_zeros() as u8;
                after.active &= !(1 << expired);
                let me = &mut after.prunes[number];
                me.expired &= !(1 << expired);
                let at = if me.expired == 0 { PruneAt::ListCondemned } else { PruneAt::PutVoid };
                (Op::DeleteActive(expired), at)
            }
            PruneAt::ListCondemned => (Op::ListCondemned, self.look_for_condemned(after, number)),
            PruneAt::ListIndex(part) => (Op::ListIndex(part), self.list_index(after, number, part)),
            PruneAt::ListIndexAgain(part) => {
                (Op::ListIndex(part), self.list_index_again(after, number, part))
            }
            PruneAt::ListPacks(part) => {
                after.prunes[number].listed |= after.packs & packs_in(part);
                let at = match part {
                    Part::First => PruneAt::ListPacks(Part::Second),
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
            PruneAt::CheckBeforeCopies => self.check(after, number, PruneAt::PutCopies),
            PruneAt::PutCopies => self.put_pack(after, number, COPIES, PruneAt::PutCopiesIndex),
            PruneAt::PutCopiesIndex => {
                self.put_packs_index(after, number, COPIES, PruneAt::CheckBeforeCondemning)
            }
            PruneAt::CheckBeforeCondemning => self.check(after, number, PruneAt::PutCondemned),
            PruneAt::PutCondemned => {
                after.condemned[number] = prune.condemned;
                after.noted[number] = None;
                let at = match self.rules.prune_waits_for_writers {
                    true => PruneAt::ListWriters,
                    false => self.relist(after, number),
                };
                (Op::PutCondemned(prune.condemned), at)
            }
            PruneAt::ListWriters => (Op::ListActive, self.look_for_writers(after, number)),
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
            PruneAt::ListActors | PruneAt::PutNote | PruneAt::Ended | PruneAt::Crashed => {
                unreachable!("not a step without a choice")
            }
        };
        after.prunes[number].at = at;
        if matches!(at, PruneAt::Retire | PruneAt::Ended) {
            let ended_well = after.prunes[number].ended_well;
            after.prunes[number] = Prune { at, ended_well, ..Prune::NEW };
        }
        op
    }

    /// Step 1: each other actor may turn out to be dead, or be taken for dead.
    fn list_actors(&self, state: &State, number: usize, next: &mut Next) {
        let actor = prune_actor(number);
        let others = state.active & !(1 << actor);
        for expired in 0..1u8 << ACTORS {
            let alive = (0..ACTORS as u8)
                .filter(|other| expired & (1 << other) != 0 && self.is_running(state, *other))
                .count() as u8;
            if expired & !others != 0 || alive > state.expiries_left {
                continue;
            }
            let mut after = *state;
            after.expiries_left -= alive;
            let left = others & !expired;
            let in_the_way = match self.rules.both_prunes_withdraw {
                true => left & !WRITER_SET,
                // The one of the larger id only. Here the first to begin has it.
                false => left & !WRITER_SET & !((1 << actor) - 1),
            };
            if in_the_way != 0 {
                after.prunes[number] = Prune { at: PruneAt::Retire, ..Prune::NEW };
                next.push((Step { actor, op: Op::ListActiveExpired(expired) }, after));
                continue;
            }
            let writers = (0..WRITERS).filter(|writer| left & (1 << writer) != 0);
            let older = writers.fold(!0, |older, writer| older & state.older[writer]);
            let me = &mut after.prunes[number];
            me.old = match self.rules.young_packs_stay {
                true => older & state.older[usize::from(actor)],
                false => !0,
            };
            me.expired = expired;
            me.at = if expired == 0 { PruneAt::ListCondemned } else { PruneAt::PutVoid };
            next.push((Step { actor, op: Op::ListActiveExpired(expired) }, after));
        }
    }

    /// Going on where another prune stopped comes before anything new.
    fn look_for_condemned(&self, after: &mut State, number: usize) -> PruneAt {
        let condemned = after.condemned;
        let me = &mut after.prunes[number];
        me.condemned = condemned.iter().fold(0, |all, packs| all | packs);
        me.owners =
            (0..PRUNES).filter(|owner| condemned[*owner] != 0).fold(0, |all, o| all | 1 << o);
        match me.owners {
            0 => PruneAt::ListIndex(self.first_part()),
            _ if self.rules.prune_waits_for_writers => PruneAt::ListWriters,
            _ => self.relist(after, number),
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

    fn seen<'a>(&self, state: &'a State, me: &Prune, number: usize) -> Seen<'a> {
        let (located, needed) =
            (me.index.packs(0) & me.listed, self.scenario.needed_by(me.manifests));
        Seen {
            contents: &state.contents,
            located,
            listed: me.listed,
            needed,
            takes_first: number == 1,
        }
    }

    /// Steps 2 to 4.
    fn decide(&self, after: &mut State, number: usize) -> PruneAt {
        let me = after.prunes[number];
        let spare = self.pack(after, number, COPIES);
        let seen = self.seen(after, &me, number);
        if self.rules.unlocated_stops && !self.is_located(after, &seen) {
            return PruneAt::Retire;
        }
        let plan = plan(&seen, &self.rules, me.old, self.scenario.repacks, spare);
        if plan.condemned == 0 {
            // Nothing to free, but perhaps entries of packs that are gone.
            let me = &mut after.prunes[number];
            (me.condemned, me.owners) = (0, 0);
            self.prepare_index(after, number);
            return match after.prunes[number].index == EMPTY_INDEX {
                true => goes_on(&mut after.prunes[number]),
                false => PruneAt::CheckBeforeDeleting,
            };
        }
        let me = &mut after.prunes[number];
        (me.copies, me.condemned, me.owners) = (plan.copies, plan.condemned, 1 << number);
        (me.index, me.listed, me.manifests, me.old) = (EMPTY_INDEX, 0, 0, 0);
        match plan.copies.is_empty() {
            true => PruneAt::CheckBeforeCondemning,
            false => PruneAt::CheckBeforeCopies,
        }
    }

    fn is_located(&self, state: &State, seen: &Seen<'_>) -> bool {
        // What a void writer named may be gone for good.
        let manifests = state.manifests & !(state.void << 1);
        has_all(&Seen { needed: seen.needed & self.scenario.needed_by(manifests), ..*seen })
    }

    fn check(&self, after: &mut State, number: usize, at: PruneAt) -> (Op, PruneAt) {
        let void = after.void & (1 << prune_actor(number)) != 0 && self.rules.prune_checks_void;
        if void {
            after.prunes[number].ended_well = false;
        }
        (Op::CheckVoid, if void { PruneAt::Ended } else { at })
    }

    fn relist(&self, after: &mut State, number: usize) -> PruneAt {
        after.prunes[number].relisting = true;
        match self.rules.prune_relists {
            true => PruneAt::CheckBeforeRelisting,
            // The index objects to replace have to be known all the same.
            false => PruneAt::ListOtherCondemned,
        }
    }

    /// Step 5: those noted beside what is condemned, or else all that are at work.
    fn look_for_writers(&self, after: &mut State, number: usize) -> PruneAt {
        let writers = after.active & WRITER_SET;
        let owners = after.prunes[number].owners;
        let waits_for = |owner: usize| writers & after.noted[owner].unwrap_or(!0);
        let of_owners = (0..PRUNES).filter(|owner| owners & (1 << owner) != 0);
        let waits_for = of_owners.fold(0, |all, owner| all | waits_for(owner));
        after.prunes[number].waits_for = writers;
        match waits_for {
            0 => {
                after.prunes[number].waits_for = 0;
                self.relist(after, number)
            }
            _ => PruneAt::PutNote,
        }
    }

    fn put_notes(&self, state: &State, number: usize, next: &mut Next) {
        let mut after = *state;
        let me = state.prunes[number];
        // Its own in any case; others' where nobody did.
        let unnoted = |owner: &usize| {
            let is_noted = *owner != number && after.noted[*owner].is_some();
            me.owners & (1 << owner) != 0 && !is_noted && after.condemned[*owner] != 0
        };
        let owner = (0..PRUNES).find(unnoted);
        let step = |op| Step { actor: prune_actor(number), op };
        if let Some(owner) = owner {
            after.noted[owner] = Some(me.waits_for);
            after.prunes[number].owners &= !(1 << owner);
            next.push((step(Op::PutNote(me.waits_for)), after));
        } else {
            after.active &= !(1 << prune_actor(number));
            after.prunes[number] = Prune { at: PruneAt::Ended, ..Prune::NEW };
            next.push((step(Op::DeleteActive(prune_actor(number))), after));
        }
    }

    /// Step 6, the decision.
    fn decide_rescue(&self, after: &mut State, number: usize) -> PruneAt {
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

    fn pack(&self, state: &State, number: usize, which: u8) -> u8 {
        let in_use = state.packs | state.index.packs(0);
        match number {
            // It runs again and again.
            QUIET => members(!in_use).last().unwrap_or(0),
            _ => FIRST_PACK + 2 * number as u8 + which,
        }
    }

    fn put_pack(&self, after: &mut State, number: usize, which: u8, at: PruneAt) -> (Op, PruneAt) {
        let pack = self.pack(after, number, which);
        let me = &mut after.prunes[number];
        after.contents[usize::from(pack)] = std::mem::take(&mut me.copies);
        me.unindexed = 1 << pack;
        after.packs |= 1 << pack;
        (Op::PutPack(pack), at)
    }

    fn put_packs_index(
        &self,
        after: &mut State,
        number: usize,
        which: u8,
        at: PruneAt,
    ) -> (Op, PruneAt) {
        let packs = std::mem::take(&mut after.prunes[number].unindexed);
        let origin = FIRST_ORIGIN + 2 * number as u8 + which;
        let version = version(after, number, origin, 0);
        after.index.put(IndexObject { origin, version, writer: prune_actor(number), packs });
        (Op::PutIndex { origin, version, packs }, at)
    }

    /// What step 7 puts and deletes of the index it saw.
    fn prepare_index(&self, after: &mut State, number: usize) {
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

/// Packs listed by index objects that are not there.
fn stale_entries(me: &Prune) -> Packs {
    me.index.packs(0) & !me.listed
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
fn goes_on(me: &mut Prune) -> PruneAt {
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
