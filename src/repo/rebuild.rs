//! What an index is made of anew: which index objects and packs there are, and what can be read of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::SystemTime;

use crate::codec;
use crate::format::{IndexRecord, name};
use crate::id::{ActorId, ObjectId, PackId};
use crate::storage::Key;
use crate::store::{PackFrame, StoreError, put_index, read_frame};

use super::sync::{PackObject, listed_packs, placed_objects, void_actors};
use super::{RepoError, Repository};

/// Index objects and when they were put, listed until two listings agreed; then packs; then void actors.
pub struct Stock {
    pub objects: BTreeMap<ObjectId, SystemTime>,
    pub packs: HashMap<PackId, PackObject>,
    pub void: HashSet<ActorId>,
}

impl Repository {
    pub fn stock(&self) -> Result<Stock, RepoError> {
        let storage = &**self.storage();
        let listed = || -> Result<BTreeMap<ObjectId, SystemTime>, RepoError> {
            Ok(placed_objects(storage)?.map(|(id, listed)| (id, listed.stored)).collect())
        };
        let mut objects = listed()?;
        loop {
            let now = listed()?;
            if now.keys().eq(objects.keys()) {
                break;
            }
            objects = now;
        }
        let packs = listed_packs(storage)?;
        Ok(Stock { objects, packs, void: void_actors(storage)? })
    }

    /// What a pack says of itself, without its blocks.
    pub fn pack_frame(&self, id: &PackId, len: u64) -> Result<PackFrame, StoreError> {
        read_frame(&**self.storage(), self.vault(), id, len)
    }

    /// Puts an index object; gives its length.
    pub fn put_index_object(&self, record: &IndexRecord) -> Result<u64, RepoError> {
        Ok(put_index(&**self.storage(), self.vault(), record)?.1)
    }

    pub fn delete_index_object(&self, id: &ObjectId) -> Result<(), RepoError> {
        Ok(self.storage().delete(&Key::new(name::index(id))?)?)
    }

    /// A writer that nobody was, is or will be, and so is never taken for dead.
    pub fn nobody(&self) -> Result<ActorId, RepoError> {
        Ok(ActorId::new(codec::random()?))
    }
}
