//! A prune's steps, from the announcement to the wait for writers.

use super::model::{Model, Next, Op, Step};
use super::objects::{CHUNKS, Pack};
use super::plan::{Aims, plan};
use super::prune_deletes::{COPIES, LATE, goes_on};
use super::state::{
    ACTORS, EMPTY_INDEX, PRUNES, Part, Prune, PruneAt, QUIET, State, WRITER_SET, WRITERS,
    prune_actor,
};

impl Model {
    pub fn prune(&self, state: &State, number: usize, next: &mut Next) {
        let prune = &state.prunes[number];
        let actor = prune_actor(number);
        match prune.at {
            PruneAt::ListActors => self.list_actors(state, number, next),
            PruneAt::PutNote => self.put_notes(state, number, next),
            PruneAt::ListManifests(Part::All | Part::Second) if !prune.relisting => {
                self.plan_one_way_or_another(state, number, next);
            }
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
            PruneAt::CheckBeforeCopies => self.check(after, number, PruneAt::PutCopies),
            PruneAt::CheckBeforeLate => self.check(after, number, PruneAt::PutLate),
            PruneAt::PutCopies
            | PruneAt::PutCopiesIndex
            | PruneAt::PutLate
            | PruneAt::PutLateIndex => self.put_copies(after, number),
            PruneAt::CheckBeforeCondemning => self.check(after, number, PruneAt::PutCondemned),
            PruneAt::PutCondemned => {
                after.condemned[number] = prune.condemned;
                after.noted[number] = None;
                let at = match self.rules.prune_waits_for_writers {
                    _ if self.rules.copies_indexed_before_7 && prune.unindexed != 0 => {
                        PruneAt::PutCopiesIndex
                    }
                    true => PruneAt::ListWriters,
                    false => self.relist(after, number),
                };
                (Op::PutCondemned(prune.condemned), at)
            }
            PruneAt::ListWriters => (Op::ListActive, self.look_for_writers(after, number)),
            PruneAt::ListIndex(_)
            | PruneAt::ListIndexAgain(_)
            | PruneAt::ListPacks(_)
            | PruneAt::ListManifests(_) => self.prune_lists(after, number),
            _ => self.prune_deletes(after, number),
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
        if self.is_rebuild(number) {
            me.others = condemned.iter().fold(0, |all, packs| all | packs);
            return PruneAt::ListIndex(self.first_part());
        }
        me.condemned = condemned.iter().fold(0, |all, packs| all | packs);
        me.owners =
            (0..PRUNES).filter(|owner| condemned[*owner] != 0).fold(0, |all, o| all | 1 << o);
        match me.owners {
            0 => PruneAt::ListIndex(self.first_part()),
            _ if self.rules.prune_waits_for_writers => PruneAt::ListWriters,
            _ => self.relist(after, number),
        }
    }

    /// Step 3. What is coded anew is there before what it may be coded against: the worse order.
    fn put_copies(&self, after: &mut State, number: usize) -> (Op, PruneAt) {
        let Prune { at, late, .. } = after.prunes[number];
        let is_indexed_first =
            self.rules.copies_indexed_before_4 && self.rules.copies_indexed_before_7;
        let goes_on = match late.is_empty() {
            _ if after.condemned[number] != 0 => PruneAt::ListWriters,
            true => PruneAt::CheckBeforeCondemning,
            false => PruneAt::CheckBeforeLate,
        };
        match at {
            PruneAt::PutCopies if is_indexed_first => {
                self.put_pack(after, number, COPIES, PruneAt::PutCopiesIndex)
            }
            PruneAt::PutCopies => self.put_pack(after, number, COPIES, goes_on),
            PruneAt::PutCopiesIndex => self.put_packs_index(after, number, COPIES, goes_on),
            PruneAt::PutLate => {
                let me = &mut after.prunes[number];
                me.copies = std::mem::take(&mut me.late);
                self.put_pack(after, number, LATE, PruneAt::PutLateIndex)
            }
            _ => self.put_packs_index(after, number, LATE, goes_on),
        }
    }

    /// Steps 2 to 4, the last listing of step 2 and what comes of it: an ordinary prune, or a compaction that re-bases as much
    /// as it likes.
    fn plan_one_way_or_another(&self, state: &State, number: usize, next: &mut Next) {
        let ways = match (self.scenario.compacts, number) {
            (0, _) | (_, QUIET) => 0..=0,
            _ => 0..=1u8 << CHUNKS,
        };
        let begun = next.len();
        for way in ways {
            let mut after = *state;
            if number != QUIET {
                after.prunes[number].wanted = way.checked_sub(1);
            }
            let op = self.prune_step(&mut after, number);
            after.prunes[number].wanted = None;
            let is_new = next.iter().skip(begun).all(|(_, other)| *other != after);
            if is_new {
                next.push((Step { actor: prune_actor(number), op }, after));
            }
        }
    }

    /// Steps 2 to 4.
    pub(super) fn decide(&self, after: &mut State, number: usize) -> PruneAt {
        let me = after.prunes[number];
        let spare = self.pack(after, number, COPIES);
        let seen = self.seen(after, &me, number);
        if self.rules.unlocated_stops && !self.is_located(after, &seen) {
            return PruneAt::Retire;
        }
        let aims = Aims {
            old: me.old,
            repacks: self.scenario.repacks,
            compacts: if me.wanted.is_some() { self.scenario.compacts } else { 0 },
            wanted: me.wanted.unwrap_or(0),
            // Of the third there are no more numbers.
            copies_apart: self.scenario.copies_apart && number != 2,
        };
        let plan = plan(&seen, &self.rules, &aims, spare);
        after.prunes[number].wanted = None;
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
        (me.copies, me.late) = match plan.copies.is_empty() {
            true => (plan.late, Pack::EMPTY),
            false => (plan.copies, plan.late),
        };
        (me.condemned, me.owners) = (plan.condemned, 1 << number);
        (me.index, me.listed, me.manifests, me.old) = (EMPTY_INDEX, 0, 0, 0);
        match me.copies.is_empty() {
            true => PruneAt::CheckBeforeCondemning,
            false => PruneAt::CheckBeforeCopies,
        }
    }

    pub(super) fn check(&self, after: &mut State, number: usize, at: PruneAt) -> (Op, PruneAt) {
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
}
