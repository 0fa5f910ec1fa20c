//! The index cache brought up to date with the repository.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::format::{Condemnation, CondemnedRecord, IndexRecord, ObjectKind, name};
use crate::id::{ActorId, ObjectId, PackId};
use crate::index::{ChunkIndex, PackEntry};
use crate::storage::Storage;
use crate::store::Vault;

use super::objects::{list_ids, read_named};
use super::{RepoError, Repository};

/// The index of a repository at one moment.
pub struct IndexState {
    pub index: Arc<dyn ChunkIndex>,
    /// Index objects that could not be read, and why. What they list is as if it were not there.
    pub unreadable: Vec<(ObjectId, RepoError)>,
}

/// Index objects decoded at once: bounds memory while a fresh cache is filled.
const BATCH: usize = 8;

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
        let listed: BTreeSet<ObjectId> =
            list_ids(&**storage, name::INDEX)?.into_iter().map(|(id, _)| id).collect();
        let ingested = index.ingested();
        let gone: Vec<_> = ingested.difference(&listed).copied().collect();
        if !gone.is_empty() {
            index.forget(&gone)?;
        }
        let fresh: Vec<_> = match reading {
            Reading::Fresh => listed.difference(&ingested).copied().collect(),
            Reading::All => listed.into_iter().collect(),
        };
        let mut unreadable = Vec::new();
        for batch in fresh.chunks(BATCH) {
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
        if !fresh.is_empty() {
            index.flush()?;
        }
        Ok(Self { index, unreadable })
    }

    /// Every pack some index object lists, as it lists it: one id may come more than once.
    pub fn packs(&self) -> BTreeSet<PackEntry> {
        self.index.objects().into_iter().flat_map(|object| object.packs).collect()
    }

    /// Packs a writer may take chunks in for stored: listed at the length the index says, not condemned, of
    /// no void writer (steps 2, 3, 4); and whether that is all of them.
    pub(super) fn usable(
        &self,
        listed: &HashMap<PackId, u64>,
        condemned: &HashSet<PackId>,
        void: &HashSet<ActorId>,
    ) -> (HashSet<PackId>, bool) {
        let (mut usable, mut all) = (HashSet::new(), self.unreadable.is_empty());
        for object in self.index.objects() {
            for pack in object.packs {
                if !void.contains(&object.writer)
                    && listed.get(&pack.id) == Some(&pack.len)
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

impl Repository {
    /// The index objects there are.
    pub fn index_objects(&self) -> Result<Vec<ObjectId>, RepoError> {
        Ok(list_ids(&**self.storage(), name::INDEX)?.into_iter().map(|(id, _)| id).collect())
    }

    /// One of them, verified and opened.
    pub fn index_object(&self, id: &ObjectId) -> Result<IndexRecord, RepoError> {
        read_named(&**self.storage(), self.vault(), ObjectKind::Index, &name::index(id))
    }
}

/// Step 2: all packs some prune means to delete. An unreadable object is an error: what it names is unknown.
pub(super) fn condemned_packs(
    storage: &dyn Storage,
    vault: &Vault,
) -> Result<HashSet<PackId>, RepoError> {
    let mut packs = HashSet::new();
    for (id, _) in list_ids::<ObjectId>(storage, name::CONDEMNED)? {
        let object = name::condemned(&id);
        let record = read_named::<CondemnedRecord>(storage, vault, ObjectKind::Condemned, &object);
        match record {
            Ok(CondemnedRecord { what: Condemnation::Packs(named), .. }) => packs.extend(named),
            Ok(_) => {}
            // A prune that finished between list and read took it away.
            Err(RepoError::Storage(crate::storage::StorageError::Missing { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(packs)
}

/// Ids of actors that were declared dead.
pub(super) fn void_actors(storage: &dyn Storage) -> Result<HashSet<ActorId>, RepoError> {
    Ok(list_ids(storage, name::VOID)?.into_iter().map(|(id, _)| id).collect())
}

/// Packs that are there, and their lengths.
pub(super) fn listed_packs(storage: &dyn Storage) -> Result<HashMap<PackId, u64>, RepoError> {
    let listed = list_ids(storage, name::PACKS)?;
    Ok(listed.into_iter().map(|(id, listed)| (id, listed.len)).collect())
}
