//! The index cache brought up to date with the repository.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use rayon::prelude::*;

use crate::fault::ErrorKind;
use crate::format::{IndexRecord, ObjectKind, name};
use crate::id::{ActorId, ObjectId, PackId};
use crate::index::{ChunkIndex, PackEntry};
use crate::storage::{Listed, Storage};
use crate::store::Vault;

use super::RepoError;
use super::objects::{list_ids, read_named};

/// The index of a repository at one moment.
pub struct IndexState {
    pub index: Arc<dyn ChunkIndex>,
    /// Index objects that could not be read, and why. What they list is as if it were not there.
    pub unreadable: Vec<(ObjectId, RepoError)>,
    /// Index objects that were listed, and gone when they were to be read.
    pub(super) gone_meanwhile: BTreeSet<ObjectId>,
}

/// Index objects decoded at once, at most: some 5 MiB each while a cache is filled.
const BATCH_MAX: usize = 8;

/// Which index objects are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Those the cache does not have yet.
    Fresh,
    /// All of them: what the cache once took in may have rotted since. One that has is forgotten.
    All,
}

impl IndexState {
    /// Takes in what is new in `index/` and forgets what is gone.
    pub(super) fn load(
        storage: &Arc<dyn Storage>,
        vault: &Vault,
        index: Arc<dyn ChunkIndex>,
        reading: Reading,
    ) -> Result<Self, RepoError> {
        loop {
            let listed = listed_objects(&**storage)?;
            let state = Self::take_in(storage, vault, Arc::clone(&index), listed, reading)?;
            // What stands in for it is there by now.
            if state.gone_meanwhile.is_empty() {
                return Ok(state);
            }
        }
    }

    /// Takes in what of `listed` is new and forgets all else.
    pub(super) fn take_in(
        storage: &Arc<dyn Storage>,
        vault: &Vault,
        index: Arc<dyn ChunkIndex>,
        listed: BTreeSet<ObjectId>,
        reading: Reading,
    ) -> Result<Self, RepoError> {
        let ingested = index.ingested();
        let gone: Vec<_> = ingested.difference(&listed).copied().collect();
        let fresh: Vec<_> = match reading {
            Reading::Fresh => listed.difference(&ingested).copied().collect(),
            Reading::All => listed.into_iter().collect(),
        };
        let (mut unreadable, mut gone_meanwhile) = (Vec::new(), BTreeSet::new());
        for batch in fresh.chunks(rayon::current_num_threads().clamp(1, BATCH_MAX)) {
            let read: Vec<_> = batch
                .par_iter()
                .map(|id| {
                    let object = name::index(id);
                    let kind = ObjectKind::Index;
                    (*id, read_named::<IndexRecord>(&**storage, vault, kind, &object))
                })
                .collect();
            for (id, record) in read {
                match record {
                    Ok(record) => index.ingest(id, &record)?,
                    // Replaced between list and read: what stands in for it was put before it went.
                    Err(error) if error.is_missing_object() && !ingested.contains(&id) => {
                        tracing::debug!("index object {id} went while the index was read");
                        gone_meanwhile.insert(id);
                    }
                    Err(error) => {
                        tracing::warn!("index object {id} is left out: {error}");
                        if ingested.contains(&id) {
                            index.forget(&[id])?;
                        }
                        unreadable.push((id, error));
                    }
                }
            }
        }
        // Afterwards: packs that what is new lists, too, keep their rows.
        if !gone.is_empty() {
            index.forget(&gone)?;
        }
        if !fresh.is_empty() {
            index.flush()?;
        }
        Ok(Self { index, unreadable, gone_meanwhile })
    }

    /// Every pack some index object lists, as it lists it: one id may come more than once.
    pub fn packs(&self) -> BTreeSet<PackEntry> {
        self.index.objects().into_iter().flat_map(|object| object.packs).collect()
    }

    /// Packs that somebody lists whose word counts. A writer that was taken for dead before it listed its packs may list
    /// them when they are gone.
    pub fn vouched_packs(&self, void: &HashSet<ActorId>) -> HashSet<PackId> {
        let objects = self.index.objects().into_iter();
        let vouching = objects.filter(|object| !void.contains(&object.writer));
        vouching.flat_map(|object| object.packs).map(|pack| pack.id).collect()
    }

    /// Packs a writer may take chunks in for stored: listed at the length the index says, not condemned, of
    /// no void writer (steps 2, 3, 4); and whether that is all of them.
    pub(super) fn usable(
        &self,
        listed: &HashMap<PackId, PackObject>,
        condemned: &HashSet<PackId>,
        void: &HashSet<ActorId>,
    ) -> (HashSet<PackId>, bool) {
        let (mut usable, mut all) = (HashSet::new(), self.unreadable.is_empty());
        for object in self.index.objects() {
            for pack in object.packs {
                if !void.contains(&object.writer)
                    && listed.get(&pack.id).is_some_and(|object| object.len == pack.len)
                    && !condemned.contains(&pack.id)
                {
                    usable.insert(pack.id);
                } else {
                    all = false;
                }
            }
        }
        (usable, all)
    }
}

/// What lies in `index/` in its own place: a copy in a folder below is none, for it would not be found by its name.
pub(super) fn placed_objects(
    storage: &dyn Storage,
) -> Result<impl Iterator<Item = (ObjectId, Listed)>, RepoError> {
    let listed = list_ids::<ObjectId>(storage, name::INDEX)?.into_iter();
    Ok(listed.filter(|(id, listed)| listed.key.as_str() == name::index(id)))
}

/// The names in `index/`.
pub(super) fn listed_objects(storage: &dyn Storage) -> Result<BTreeSet<ObjectId>, RepoError> {
    Ok(placed_objects(storage)?.map(|(id, _)| id).collect())
}

/// Takes in what is new, for a reader that misses something; forgets nothing, since others may be at it. Whether there
/// was anything. `last` keeps the names of the time before.
pub(super) fn take_in_news(
    storage: &dyn Storage,
    vault: &Vault,
    index: &dyn ChunkIndex,
    last: &mut BTreeSet<ObjectId>,
) -> Result<bool, RepoError> {
    let listed = listed_objects(storage)?;
    // Names are used once: what cannot be read was tried.
    if listed == *last {
        return Ok(false);
    }
    let (ingested, mut news) = (index.ingested(), false);
    for id in listed.difference(&ingested) {
        match read_named::<IndexRecord>(storage, vault, ObjectKind::Index, &name::index(id)) {
            Ok(record) => {
                index.ingest(*id, &record)?;
                news = true;
            }
            // Replaced meanwhile.
            Err(error) if error.is_missing_object() => news = true,
            Err(error) if error.kind() == ErrorKind::Damage => {}
            Err(error) => return Err(error),
        }
    }
    *last = listed;
    Ok(news)
}

/// The names in `index/`, listed until two listings agree: a listing alone may show neither what was replaced
/// meanwhile nor what replaced it.
pub(super) fn settled_objects(storage: &dyn Storage) -> Result<BTreeSet<ObjectId>, RepoError> {
    let mut before = listed_objects(storage)?;
    loop {
        let now = listed_objects(storage)?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
}

/// Ids of actors that were declared dead.
pub(super) fn void_actors(storage: &dyn Storage) -> Result<HashSet<ActorId>, RepoError> {
    Ok(list_ids(storage, name::VOID)?.into_iter().map(|(id, _)| id).collect())
}

/// A pack object as the storage lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackObject {
    pub len: u64,
    pub stored: SystemTime,
}

/// Packs that are there.
pub(super) fn listed_packs(
    storage: &dyn Storage,
) -> Result<HashMap<PackId, PackObject>, RepoError> {
    let listed = list_ids(storage, name::PACKS)?;
    // One in the wrong folder is none: nobody will look for it there.
    let in_place = listed.into_iter().filter(|(id, listed)| listed.key.as_str() == name::pack(id));
    let object = |listed: Listed| PackObject { len: listed.len, stored: listed.stored };
    Ok(in_place.map(|(id, listed)| (id, object(listed))).collect())
}
