//! A prune's steps, as a machine that reads its operations.

use std::collections::{BTreeMap, BTreeSet};

use super::accepts_bases::Bases;
use super::accepts_rebuild::RebuildSteps;
use super::events::{Act, ActorName, Kind, ObjectEvent, Role};

#[derive(Default)]
pub struct PruneSteps {
    at: At,
    /// Others at work.
    others: BTreeSet<ActorName>,
    /// void/ was put for these.
    void: BTreeSet<String>,
    /// void/<self> was looked for since anything was decided.
    checked: bool,
    /// What the last two listings of the index found.
    index: [Option<Vec<String>>; 2],
    /// The packs that each index object lists, and the packs that are there, as far as it knows.
    lists: BTreeMap<String, BTreeSet<String>>,
    there: BTreeSet<String>,
    located: BTreeSet<String>,
    bases: Bases,
    /// Packs of copies, of this step, that are in the index.
    copies: BTreeSet<String>,
    /// Packs that may be deleted, the objects that name them, and all in `condemned/` that may go with them.
    condemned: BTreeSet<String>,
    condemning: BTreeSet<String>,
    owned: BTreeSet<String>,
    /// Who is noted beside each; who was at work at step 5.
    noted: BTreeMap<String, BTreeSet<String>>,
    writers: BTreeSet<String>,
    unindexed: BTreeSet<String>,
    /// Others condemned something before.
    resumed: bool,
    /// It turned out to be a rebuild of the index.
    rebuild: Option<RebuildSteps>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    #[default]
    Announced,
    ActorsListed,
    CondemnedListed,
    IndexListed,
    PacksListed,
    /// Manifests are: step 3.
    Planned,
    /// Index objects are put, and then deleted, and nothing else.
    Rebuilding,
    /// Its own condemned object is put, or others' were found: step 5.
    Condemned,
    /// Writers are at work: they are noted, or were by somebody else.
    Waiting,
    /// Nobody is waited for: step 6.
    Relisting,
    OthersListed,
    IndexRelisted,
    PacksRelisted,
    /// What is needed is known, and copied: the rest of step 6.
    Rescuing,
    /// Step 7, in its order.
    IndexPut,
    IndexDeleted,
    PacksDeleted,
    CondemnedDeleted,
    Void,
    Ended,
}

type Taken = Result<(), &'static str>;

impl PruneSteps {
    pub fn take(&mut self, event: &ObjectEvent) -> Taken {
        let own = event.name == event.actor.name;
        self.bases.hear(event);
        match (event.act, event.kind) {
            (Act::Delete, Kind::Active) if own => self.retire(),
            _ if self.at == At::Void => Err("a void prune does nothing more"),
            (Act::List, kind) => self.list(kind, event),
            (Act::Put, Kind::Void) => self.expire(event),
            // Of nobody who is announced.
            (Act::Delete, Kind::Beat)
                if self.at == At::ActorsListed
                    && self.others.iter().all(|other| other.name != event.name) =>
            {
                Ok(())
            }
            (Act::Delete, Kind::Active | Kind::Beat) => match self.void.contains(&event.name) {
                true => Ok(()),
                false => Err("step 1: void/ is put before another's active/ is deleted"),
            },
            // A prune lists manifests before.
            (Act::Put | Act::Delete, Kind::Index)
                if matches!(self.at, At::PacksListed | At::Rebuilding) =>
            {
                self.rebuild(event)
            }
            (Act::Put, Kind::Pack) => self.put_pack(event),
            (Act::Put, Kind::Index) => self.put_index(event),
            (Act::Put, Kind::Condemned) => self.condemn(event),
            (Act::Delete, Kind::Index) => self.delete_index(event),
            (Act::Delete, Kind::Pack) => match self.condemned.contains(&event.name) {
                true => self.reach(At::PacksDeleted),
                false => Err("only what is condemned is deleted"),
            },
            (Act::Delete, Kind::Condemned) => match self.owned.remove(&event.name) {
                true => self.reach(At::CondemnedDeleted),
                false => Err("a condemned object that it neither put nor found"),
            },
            _ => Err("no operation of a prune"),
        }
    }

    fn list(&mut self, kind: Kind, event: &ObjectEvent) -> Taken {
        let at = match (kind, self.at) {
            (Kind::Active, At::Announced) => {
                let others = event.actors.iter().filter(|actor| **actor != event.actor);
                self.others = others.cloned().collect();
                At::ActorsListed
            }
            (Kind::Condemned, At::ActorsListed) => {
                self.goes_on_alone()?;
                self.condemned.extend(event.packs.iter().cloned());
                self.owned.extend(event.found.iter().cloned());
                self.condemning.extend(event.lists.iter().map(|(name, _)| name.clone()));
                self.read_notes(event);
                // Notes beside nothing are nobody's.
                self.resumed = !event.packs.is_empty();
                if self.resumed { At::Condemned } else { At::CondemnedListed }
            }
            (Kind::Index, At::CondemnedListed | At::IndexListed) => {
                self.index(event, At::IndexListed)
            }
            // A rebuild of the index: it goes on with nothing of what is condemned.
            (Kind::Index, At::Condemned) if self.resumed => self.index(event, At::IndexListed),
            (Kind::Pack, At::IndexListed) => self.packs(event, At::PacksListed)?,
            (Kind::Manifest, At::PacksListed) if self.resumed => {
                return Err("what others condemned is gone on with before anything is planned");
            }
            (Kind::Manifest, At::PacksListed) => At::Planned,
            (Kind::Active, At::Condemned) => self.waits(event),
            // It may look whether somebody else noted them meanwhile.
            (Kind::Condemned, At::Waiting) => {
                self.read_notes(event);
                At::Waiting
            }
            (Kind::Condemned, At::Relisting) if self.checked => At::OthersListed,
            (Kind::Condemned, At::Relisting) => {
                return Err("void/<self> is looked for before step 6");
            }
            (Kind::Index, At::OthersListed | At::IndexRelisted) => {
                self.index(event, At::IndexRelisted)
            }
            (Kind::Pack, At::IndexRelisted) => self.packs(event, At::PacksRelisted)?,
            (Kind::Manifest, At::PacksRelisted) => At::Rescuing,
            (Kind::Void, at) => match event.found.contains(&event.actor.name) {
                true => At::Void,
                false => at,
            },
            _ => return Err("a listing out of its order"),
        };
        self.checked = kind == Kind::Void;
        self.at = at;
        Ok(())
    }

    /// Step 1: other prunes at work that were not taken for dead are made way for.
    fn goes_on_alone(&self) -> Taken {
        let alive =
            |other: &ActorName| other.role == Role::Prune && !self.void.contains(&other.name);
        match self.others.iter().any(alive) {
            true => Err("step 1: another prune is at work"),
            false => Ok(()),
        }
    }

    fn index(&mut self, event: &ObjectEvent, at: At) -> At {
        if self.at != at {
            self.index = [None, None];
        }
        let mut found = event.found.clone();
        found.sort();
        self.index = [self.index[1].take(), Some(found)];
        let lists = event.lists.iter();
        self.lists =
            lists.map(|(name, packs)| (name.clone(), packs.iter().cloned().collect())).collect();
        at
    }

    fn packs(&mut self, event: &ObjectEvent, at: At) -> Result<At, &'static str> {
        self.there = event.found.iter().cloned().collect();
        let listed: BTreeSet<String> = self.lists.values().flatten().cloned().collect();
        self.located = &listed & &self.there;
        match self.index[0].is_some() && self.index[0] == self.index[1] {
            true => Ok(at),
            false => Err("the index is listed until two listings agree"),
        }
    }

    /// Step 5: of those at work, who was noted beside something, and all where nobody was. Others saw what is condemned.
    fn waits(&mut self, event: &ObjectEvent) -> At {
        let writers = event.actors.iter().filter(|actor| actor.role == Role::Writer);
        self.writers = writers.map(|actor| actor.name.clone()).collect();
        let is_waited_for = |condemned: &String| match self.noted.get(condemned) {
            Some(noted) => self.writers.iter().any(|writer| noted.contains(writer)),
            None => !self.writers.is_empty(),
        };
        if self.condemning.iter().any(is_waited_for) { At::Waiting } else { At::Relisting }
    }

    fn expire(&mut self, event: &ObjectEvent) -> Taken {
        if self.at != At::ActorsListed {
            return Err("actors are taken for dead at step 1");
        }
        if !self.others.iter().any(|other| other.name == event.name) {
            return Err("only who was listed can be taken for dead");
        }
        self.void.insert(event.name.clone());
        Ok(())
    }

    fn put_pack(&mut self, event: &ObjectEvent) -> Taken {
        match self.at {
            At::Planned if self.checked || !self.unindexed.is_empty() => {}
            At::Planned => return Err("void/<self> is looked for before step 3"),
            At::Rescuing => {}
            _ => return Err("packs are put at 3 and at 6"),
        }
        self.checked = false;
        self.unindexed.insert(event.name.clone());
        Ok(())
    }

    fn put_index(&mut self, event: &ObjectEvent) -> Taken {
        self.lists.insert(event.name.clone(), event.packs.iter().cloned().collect());
        let of_copies = event.packs.iter().any(|pack| self.unindexed.contains(pack));
        match self.at {
            At::Planned | At::Rescuing if of_copies => {
                self.checked = false;
                self.copies.extend(event.packs.iter().cloned());
                match event.packs.iter().all(|pack| self.unindexed.remove(pack)) {
                    true => Ok(()),
                    false => Err("an index object of copies lists copies only"),
                }
            }
            At::Planned | At::Rescuing | At::IndexPut => {
                if event.packs.iter().any(|pack| self.condemned.contains(pack)) {
                    return Err("step 7: new index objects list nothing condemned");
                }
                self.reach(At::IndexPut)
            }
            _ => Err("index objects are put at 3, 6 and 7"),
        }
    }

    fn rebuild(&mut self, event: &ObjectEvent) -> Taken {
        let has_deleted = self.rebuild.as_ref().is_some_and(RebuildSteps::deletes);
        if !self.checked && !has_deleted {
            return Err("void/<self> is looked for before each put, and before index objects go");
        }
        self.at = At::Rebuilding;
        self.checked = false;
        let is_at_work =
            |other: &ActorName| other.role == Role::Writer && !self.void.contains(&other.name);
        let beside_writers = self.others.iter().any(is_at_work);
        let found = self.index[1].as_deref().unwrap_or_default();
        let (lists, there, condemned) = (&self.lists, &self.there, &self.condemned);
        let begun = || RebuildSteps::new(found, lists, there, condemned, beside_writers);
        self.rebuild.get_or_insert_with(begun).take(event)
    }

    fn condemn(&mut self, event: &ObjectEvent) -> Taken {
        match (self.at, event.packs.is_empty()) {
            (At::Planned, false) if !self.unindexed.is_empty() => {
                Err("step 3: the index object of copies comes before condemned/")
            }
            (At::Planned, false) if !self.checked => Err("void/<self> is looked for before step 4"),
            (At::Planned, false) => {
                self.condemned.extend(event.packs.iter().cloned());
                self.without_condemned()?;
                self.condemning.insert(event.name.clone());
                self.owned.insert(event.name.clone());
                self.at = At::Condemned;
                Ok(())
            }
            (At::Waiting, true) => self.note(event),
            _ => Err("packs are condemned at 4, notes are put at 5"),
        }
    }

    fn read_notes(&mut self, event: &ObjectEvent) {
        for note in &event.notes {
            let writers = note.writers.iter().cloned();
            self.noted.entry(note.condemned.clone()).or_default().extend(writers);
        }
    }

    fn note(&mut self, event: &ObjectEvent) -> Taken {
        let [note] = event.notes.as_slice() else { return Err("a note is beside one thing") };
        if !self.condemning.contains(&note.condemned) || self.noted.contains_key(&note.condemned) {
            return Err("step 5: a note beside what is not there, or was noted");
        }
        let writers: BTreeSet<String> = note.writers.iter().cloned().collect();
        if !writers.is_superset(&self.writers) {
            return Err("step 5: all who are at work are noted");
        }
        self.noted.insert(note.condemned.clone(), writers);
        Ok(())
    }

    fn delete_index(&mut self, event: &ObjectEvent) -> Taken {
        let Some(packs) = self.lists.remove(&event.name) else {
            return Err("an index object that it did not list");
        };
        let stays = |pack: &&String| self.there.contains(*pack) && !self.condemned.contains(*pack);
        let is_listed = |pack: &String| self.lists.values().any(|packs| packs.contains(pack));
        match packs.iter().filter(stays).all(is_listed) {
            true => self.reach(At::IndexDeleted),
            false => {
                Err("step 7: an index object goes, and a pack that stays is listed nowhere else")
            }
        }
    }

    /// Step 7 goes forward only.
    fn reach(&mut self, at: At) -> Taken {
        let is_before_6 = self.at == At::Planned;
        if self.at > at || !is_before_6 && self.at < At::Rescuing {
            return Err("step 7 comes after step 6, and goes forward only");
        }
        if is_before_6 && at > At::IndexDeleted {
            return Err("nothing is deleted but stale index objects before step 6");
        }
        if !self.unindexed.is_empty() {
            return Err("step 6: copies are indexed before anything goes");
        }
        if self.at < At::IndexPut && !self.checked {
            return Err("void/<self> is looked for before step 7");
        }
        if self.at == At::Rescuing {
            self.without_condemned()?;
        }
        self.at = at;
        Ok(())
    }

    /// Steps 4 and 7: all that stays, and what was copied, can do without what goes.
    fn without_condemned(&mut self) -> Taken {
        let stays = &self.located - &self.condemned;
        let copies = std::mem::take(&mut self.copies);
        self.bases.check(&self.located, &stays, &copies)
    }

    fn retire(&mut self) -> Taken {
        let is_noted = |condemned: &String| self.noted.contains_key(condemned);
        if self.at == At::Waiting && !self.condemning.iter().all(is_noted) {
            return Err("step 5: who is waited for is noted first");
        }
        self.at = At::Ended;
        Ok(())
    }
}
