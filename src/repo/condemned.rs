//! What prunes mean to delete, and whom they wait for.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::fault::ErrorKind;
use crate::format::{Condemnation, CondemnedRecord, ObjectKind, name};
use crate::id::{ActorId, ObjectId, PackId};
use crate::storage::Storage;
use crate::store::Vault;

use super::RepoError;
use super::objects::{list_ids, read_named};

/// Everything in `condemned/`.
#[derive(Debug, Default)]
pub(super) struct Condemned {
    pub packs: HashSet<PackId>,
    /// What condemns them, each with the writers that were noted beside it. `None`: nobody noted any.
    pub objects: BTreeMap<ObjectId, Option<BTreeSet<ActorId>>>,
    pub notes: Vec<ObjectId>,
}

/// An unreadable object is an error: what it names is unknown.
pub(super) fn found_condemned(
    storage: &dyn Storage,
    vault: &Vault,
) -> Result<Condemned, RepoError> {
    let mut found = Condemned::default();
    let mut noted: BTreeMap<ObjectId, BTreeSet<ActorId>> = BTreeMap::new();
    for (id, _) in list_ids::<ObjectId>(storage, name::CONDEMNED)? {
        let object = name::condemned(&id);
        let record = read_named::<CondemnedRecord>(storage, vault, ObjectKind::Condemned, &object);
        match record.map(|record| record.what) {
            Ok(Condemnation::Packs(packs)) => {
                found.packs.extend(packs);
                found.objects.insert(id, None);
            }
            Ok(Condemnation::Waiting { condemned, writers }) => {
                noted.entry(condemned).or_default().extend(writers);
                found.notes.push(id);
            }
            // A prune that finished between list and read took it away.
            Err(error) if error.is_missing_object() => {}
            Err(error) if error.kind() == ErrorKind::Damage => {
                return Err(RepoError::UnreadableCondemned { object, source: Box::new(error) });
            }
            Err(error) => return Err(error),
        }
    }
    for (id, writers) in noted {
        // What it was noted beside may be gone, with the packs.
        if let Some(beside) = found.objects.get_mut(&id) {
            *beside = Some(writers);
        }
    }
    Ok(found)
}
