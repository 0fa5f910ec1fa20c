//! A prune's operations on the storage, in the protocol's order (docs/PRUNE.md). What is to be copied, condemned and
//! deleted is the caller's to decide.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rayon::prelude::*;

use crate::format::{
    ActorRole, Condemnation, CondemnedRecord, Manifest, ObjectKind, TreeRoot, name,
};
use crate::id::{ActorId, ObjectId, PackId, SnapshotId};
use crate::index::{ChunkIndex, IngestedObject, PackEntry};
use crate::storage::{Key, Listed};
use crate::store::{BlockCopier, StoreError, put_index};

use super::condemned::{Condemned, found_condemned};
use super::objects::{delete_all, list_ids};
use super::peers::{Peer, expire, peers, peers_and_strays, sweep};
use super::sync::{PackObject, Reading, listed_packs, settled_objects, void_actors};
use super::{Actor, IndexState, RepoError, Repository};

/// A snapshot, as far as prune needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    pub id: SnapshotId,
    pub catalog: TreeRoot,
    /// Its writer was taken for dead: what it names may be gone for good.
    pub is_void: bool,
}

/// What is there: the index when two listings agreed, then packs, then snapshots.
pub struct Sight {
    pub index: IndexState,
    pub objects: BTreeSet<ObjectId>,
    /// What those list. The index itself may know of later ones: readers take them in.
    pub listed: Vec<IngestedObject>,
    pub packs: HashMap<PackId, PackObject>,
    pub roots: Vec<Root>,
    /// Snapshots whose manifests cannot be read: what they need is unknown.
    pub unreadable: Vec<(SnapshotId, RepoError)>,
}

impl Sight {
    /// Whether some index object lists a pack that is not there.
    pub fn lists_what_is_gone(&self) -> bool {
        self.entries().iter().any(|pack| !self.packs.contains_key(&pack.id))
    }

    /// Every pack that was listed, as it was: one id may come more than once.
    pub fn entries(&self) -> BTreeSet<PackEntry> {
        self.listed.iter().flat_map(|object| object.packs.iter().copied()).collect()
    }

    /// Whether nothing was taken away since `before`, no snapshot came, and what index objects came are this actor's.
    pub fn adds_only(&self, before: &Self, actor: ActorId) -> bool {
        let is_own = |id: &ObjectId| {
            self.listed.iter().any(|object| object.id == *id && object.writer == actor)
        };
        let added: Vec<_> = self.objects.difference(&before.objects).collect();
        self.roots == before.roots
            && before.objects.is_subset(&self.objects)
            && before.packs.iter().all(|(id, object)| self.packs.get(id) == Some(object))
            && added.into_iter().all(is_own)
    }
}

/// A prune in progress.
pub struct PruneSession<'r> {
    repository: &'r Repository,
    actor: Option<Actor>,
    /// Actors that were taken for dead.
    pub expired: Vec<Peer>,
    /// When it began, by the storage's time.
    pub now: SystemTime,
    /// Packs stored later are left for another time: somebody may be about to refer to them.
    pub oldest: SystemTime,
    condemned: Condemned,
    /// Whether it goes on where others stopped.
    pub goes_on: bool,
}

/// What came of the announcement.
pub enum Begun<'r> {
    Session(Box<PruneSession<'r>>),
    /// Another prune is at work.
    Busy(Box<Peer>),
}

impl Repository {
    /// Prune's steps 1 and 2, without the listings: announces it, takes for dead who gave no sign of life for `expiry` or
    /// whose process is gone, and looks for what is condemned already.
    pub fn begin_prune(&self, expiry: Duration) -> Result<Begun<'_>, RepoError> {
        let (storage, vault) = (self.storage(), self.vault());
        let actor = Actor::announce(storage, vault, ActorRole::Prune, self.identity())?;
        let mut session = PruneSession {
            repository: self,
            actor: Some(actor),
            expired: Vec::new(),
            now: SystemTime::UNIX_EPOCH,
            oldest: SystemTime::UNIX_EPOCH,
            condemned: Condemned::default(),
            goes_on: false,
        };
        match session.look_around(expiry) {
            Ok(None) => Ok(Begun::Session(Box::new(session))),
            Ok(Some(other)) => {
                session.retire()?;
                Ok(Begun::Busy(Box::new(other)))
            }
            Err(error) => {
                session.give_up();
                Err(error)
            }
        }
    }

    /// Everything a prune looks at. Announces and changes nothing. An index from an earlier look is brought up to
    /// date, so that there are not two of them.
    pub fn look(&self, index: Option<Arc<dyn ChunkIndex>>) -> Result<Sight, RepoError> {
        let (storage, vault) = (self.storage(), self.vault());
        let (objects, index) = loop {
            let objects = settled_objects(&**storage)?;
            let state = match &index {
                Some(index) => {
                    let (index, listed) = (Arc::clone(index), objects.clone());
                    IndexState::take_in(storage, vault, index, listed, Reading::Fresh)?
                }
                None => self.index_of(objects.clone(), Reading::Fresh)?,
            };
            if state.gone_meanwhile.is_empty() {
                break (objects, state);
            }
        };
        let packs = listed_packs(&**storage)?;
        let (roots, unreadable) = self.roots()?;
        let mut listed = index.index.objects();
        listed.retain(|object| objects.contains(&object.id));
        Ok(Sight { index, objects, listed, packs, roots, unreadable })
    }

    /// What changes when anybody commits, deletes, prunes or is taken for dead: names of index objects, snapshots and void
    /// actors.
    pub fn names(&self) -> Result<[BTreeSet<String>; 3], RepoError> {
        let storage = self.storage();
        let listed = |folder: &str| -> Result<BTreeSet<String>, RepoError> {
            let mut names = BTreeSet::new();
            storage.list(&Key::new(folder)?, &mut |listed: Listed| {
                names.insert(listed.key.name().to_owned());
            })?;
            Ok(names)
        };
        Ok([listed(name::INDEX)?, listed(name::SNAPSHOTS)?, listed(name::VOID)?])
    }

    /// When the oldest backup began that is at work; now, if there is none. By the storage's time. Without those, if
    /// that was asked for, that a prune would take for dead at this time.
    pub fn oldest_work(
        &self,
        without_dead: Option<(SystemTime, Duration)>,
    ) -> Result<SystemTime, RepoError> {
        let peers = peers(&**self.storage(), self.vault())?;
        let counts = |peer: &&Peer| {
            let is_dead = |(now, expiry)| peer.is_dead(self.identity(), now, expiry);
            !peer.is_prune() && !without_dead.is_some_and(is_dead)
        };
        let oldest = peers.iter().filter(counts).map(|peer| peer.announced).min();
        // No storage's clock is so far ahead.
        let far = SystemTime::now() + Duration::from_secs(100 * 365 * 24 * 3600);
        Ok(oldest.unwrap_or(far))
    }

    /// Packs that some prune means to delete.
    pub fn condemned(&self) -> Result<HashSet<PackId>, RepoError> {
        Ok(found_condemned(&**self.storage(), self.vault())?.packs)
    }

    /// Every manifest there is, and those that cannot be read.
    fn roots(&self) -> Result<Roots, RepoError> {
        let storage = &**self.storage();
        // One in another place than its own is none: nobody will look for it there.
        let in_place =
            |(id, listed): &(SnapshotId, Listed)| listed.key.as_str() == name::snapshot(id);
        let listed = || -> Result<Vec<SnapshotId>, RepoError> {
            let mut all = list_ids::<SnapshotId>(storage, name::SNAPSHOTS)?;
            all.retain(in_place);
            Ok(all.into_iter().map(|(id, _)| id).collect())
        };
        let ids = listed()?;
        let (void, notes) = (void_actors(storage)?, self.notes()?);
        let root = |id: &SnapshotId, manifest: &Manifest| Root {
            id: *id,
            catalog: manifest.catalog,
            is_void: void.contains(&manifest.writer) && !notes.say_verified(id, manifest),
        };
        let mut read: Vec<_> = ids.par_iter().map(|id| (*id, self.manifest(id))).collect();
        // The oldest first: what a night is coded against was looked at just before.
        read.sort_by_key(|(id, manifest)| (manifest.as_ref().ok().map(|read| read.time), *id));
        let (mut roots, mut unreadable, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for (id, manifest) in read {
            match manifest {
                Ok(manifest) => roots.push(root(&id, &manifest)),
                Err(error) if error.is_missing_object() => missing.push((id, error)),
                Err(error) => unreadable.push((id, error)),
            }
        }
        if !missing.is_empty() {
            // Deleted between list and read: then no listing shows it any more.
            let there: HashSet<SnapshotId> = listed()?.into_iter().collect();
            unreadable.extend(missing.into_iter().filter(|(id, _)| there.contains(id)));
        }
        Ok((roots, unreadable))
    }
}

type Roots = (Vec<Root>, Vec<(SnapshotId, RepoError)>);

impl PruneSession<'_> {
    /// `Some`: another prune, which has to be made way for.
    fn look_around(&mut self, expiry: Duration) -> Result<Option<Peer>, RepoError> {
        let (storage, vault) = (&**self.repository.storage(), self.repository.vault());
        let own = self.id();
        let (all, strays) = peers_and_strays(storage, vault)?;
        let me = all.iter().find(|peer| peer.id == own);
        // By the storage's time it is now when its own announcement was put.
        let Some(now) = me.map(|peer| peer.announced) else {
            return Err(RepoError::PruneExpired { prune: own.to_hex() });
        };
        let here = self.repository.identity();
        let (dead, alive): (Vec<_>, Vec<_>) = all
            .into_iter()
            .filter(|peer| peer.id != own)
            .partition(|peer| peer.is_dead(here, now, expiry));
        if let Some(other) = alive.iter().find(|peer| peer.is_prune()) {
            return Ok(Some(other.clone()));
        }
        for peer in &dead {
            tracing::info!("{} is declared dead", peer.describe());
            expire(storage, vault, peer)?;
        }
        sweep(storage, &strays, now, expiry)?;
        (self.expired, self.now) = (dead, now);
        self.oldest = alive.iter().map(|peer| peer.announced).min().map_or(now, |at| at.min(now));
        self.condemned = found_condemned(storage, vault)?;
        self.goes_on = !self.condemned.objects.is_empty();
        Ok(None)
    }

    pub fn id(&self) -> ActorId {
        self.actor.as_ref().map_or(ActorId::new([0; ActorId::LEN]), Actor::id)
    }

    /// What is condemned: found so, or by this prune.
    pub fn condemned(&self) -> &HashSet<PackId> {
        &self.condemned.packs
    }

    /// Before 3, 4, 6 and 7: whoever was taken for dead stops.
    pub fn still_counts(&self) -> Result<(), RepoError> {
        match &self.actor {
            Some(actor) if !actor.is_void()? => Ok(()),
            _ => Err(RepoError::PruneExpired { prune: self.id().to_hex() }),
        }
    }

    /// Puts packs of copies, as this prune's.
    pub fn copier(&self) -> BlockCopier {
        let (storage, vault) = (self.repository.storage(), self.repository.vault());
        let target = self.repository.config().pack_target as usize;
        BlockCopier::new(Arc::clone(storage), Arc::clone(vault), self.id(), target)
    }

    /// Step 4: from here on these packs will be deleted, whatever happens.
    pub fn condemn(&mut self, packs: Vec<PackId>) -> Result<(), RepoError> {
        let record = CondemnedRecord {
            prune: self.id(),
            what: Condemnation::Packs(packs.clone()),
            ext: Vec::new(),
        };
        let id = self.put_condemned(&record)?;
        self.condemned.packs.extend(packs);
        self.condemned.objects.insert(id, None);
        Ok(())
    }

    /// Step 5: the writers that have to end before anything is deleted. If there are any, they are noted beside what
    /// is condemned, and this prune is over: nothing is left to do but to retire.
    pub fn wait(&mut self) -> Result<Vec<Peer>, RepoError> {
        let mut writers = peers(&**self.repository.storage(), self.repository.vault())?;
        writers.retain(|peer| !peer.is_prune());
        let at_work: BTreeSet<ActorId> = writers.iter().map(|peer| peer.id).collect();
        let waited_for = |noted: &Option<BTreeSet<ActorId>>| -> Vec<ActorId> {
            let counts = |id: &&ActorId| noted.as_ref().is_none_or(|noted| noted.contains(*id));
            at_work.iter().filter(counts).copied().collect()
        };
        let in_the_way: BTreeSet<ActorId> =
            self.condemned.objects.values().flat_map(waited_for).collect();
        if in_the_way.is_empty() {
            return Ok(Vec::new());
        }
        let unnoted: Vec<ObjectId> = self
            .condemned
            .objects
            .iter()
            .filter(|(_, noted)| noted.is_none())
            .map(|(id, _)| *id)
            .collect();
        for condemned in unnoted {
            // All that are at work now: each may have begun before this was condemned.
            let writers = at_work.iter().copied().collect();
            let what = Condemnation::Waiting { condemned, writers };
            self.put_condemned(&CondemnedRecord { prune: self.id(), what, ext: Vec::new() })?;
        }
        writers.retain(|peer| in_the_way.contains(&peer.id));
        Ok(writers)
    }

    fn put_condemned(&self, record: &CondemnedRecord) -> Result<ObjectId, RepoError> {
        let vault = self.repository.vault();
        let object = vault.seal(ObjectKind::Condemned, record)?;
        let id = ObjectId::new(object.name);
        let read: CondemnedRecord =
            vault.open(ObjectKind::Condemned, &id.to_hex(), &object.bytes)?;
        if read != *record {
            let (expected, found) = ("the condemned object as it was written", "another");
            return Err(StoreError::damaged(id, "condemned", expected, found).into());
        }
        self.repository.storage().put(&Key::new(name::condemned(&id))?, &object.bytes)?;
        Ok(id)
    }

    /// At step 6: packs that others condemned meanwhile. They are there still, but will not be.
    pub fn condemned_by_others(&self) -> Result<HashSet<PackId>, RepoError> {
        let (storage, vault) = (&**self.repository.storage(), self.repository.vault());
        let now = found_condemned(storage, vault)?;
        Ok(now.packs.difference(&self.condemned.packs).copied().collect())
    }

    /// Step 7: index objects that list what goes, or what is gone, are replaced; then they go, then the packs, then what
    /// condemned them. `each` hears of every pack deleted.
    pub fn delete(
        mut self,
        sight: &Sight,
        each: &(dyn Fn(PackId) + Sync),
    ) -> Result<(), RepoError> {
        let result = self.replace_index(sight).and_then(|()| self.delete_packs(sight, each));
        match result {
            Ok(()) => self.retire(),
            Err(error) => {
                self.give_up();
                Err(error)
            }
        }
    }

    fn replace_index(&self, sight: &Sight) -> Result<(), RepoError> {
        let goes =
            |pack: &PackId| self.condemned.packs.contains(pack) || !sight.packs.contains_key(pack);
        let objects = sight.listed.iter();
        let stale: Vec<_> =
            objects.filter(|object| object.packs.iter().any(|pack| goes(&pack.id))).collect();
        for object in &stale {
            let mut record = self.repository.index_object(&object.id)?;
            record.packs.retain(|pack| !goes(&pack.id));
            if record.packs.is_empty() {
                continue;
            }
            record.replaces = vec![object.id];
            put_index(&**self.repository.storage(), self.repository.vault(), &record)?;
        }
        let keys = stale.iter().map(|object| Key::new(name::index(&object.id)));
        delete_all(&**self.repository.storage(), &keys.collect::<Result<Vec<_>, _>>()?, |_| {})
    }

    fn delete_packs(&self, sight: &Sight, each: &(dyn Fn(PackId) + Sync)) -> Result<(), RepoError> {
        let storage = &**self.repository.storage();
        let there: Vec<PackId> = self
            .condemned
            .packs
            .iter()
            .filter(|id| sight.packs.contains_key(id))
            .copied()
            .collect();
        let keys =
            there.iter().map(|id| Key::new(name::pack(id))).collect::<Result<Vec<_>, _>>()?;
        delete_all(storage, &keys, |number| {
            there.get(number).into_iter().for_each(|id| each(*id))
        })?;
        // Notes first: without one the next prune waits for more than it must; a note alone would stay for ever.
        let condemned = self.condemned.objects.keys().copied().collect();
        for ids in [self.condemned.notes.clone(), condemned] {
            let keys = ids.iter().map(|id| Key::new(name::condemned(id)));
            delete_all(storage, &keys.collect::<Result<Vec<_>, _>>()?, |_| {})?;
        }
        Ok(())
    }

    /// Ends it. Whatever it condemned, another goes on with.
    pub fn retire(mut self) -> Result<(), RepoError> {
        self.actor.take().map_or(Ok(()), Actor::retire)
    }

    /// Likewise, after something went wrong that is more worth telling.
    pub fn give_up(&mut self) {
        if let Some(Err(error)) = self.actor.take().map(Actor::retire) {
            tracing::warn!("the prune that failed could not be taken off the list: {error}");
        }
    }
}
