//! Whether a chunk needs storing: known to the index, on its way into a pack, or new.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::id::{ChunkId, PackId};
use crate::index::{ChunkIndex, Location};

use super::StoreError;

/// What a writer may take for stored. A chunk counts only in packs that were listed, not condemned, and
/// indexed by a writer that is not void (design section 8).
pub struct Known {
    index: Arc<dyn ChunkIndex>,
    usable: RwLock<HashSet<PackId>>,
    /// Chunks this writer has taken on and the index does not have yet. Bounded: released with every
    /// index object.
    claims: Vec<Mutex<HashSet<ChunkId>>>,
}

const SHARDS: usize = 64;

impl Known {
    pub fn new(index: Arc<dyn ChunkIndex>, usable: HashSet<PackId>) -> Self {
        let claims = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { index, usable: RwLock::new(usable), claims }
    }

    /// Whether the caller must store this chunk. Of several callers at once exactly one hears `true`.
    pub fn claim(&self, id: &ChunkId) -> Result<bool, StoreError> {
        let [first, ..] = id.as_bytes();
        let Some(shard) = self.claims.get(usize::from(*first) % SHARDS) else {
            return Ok(true);
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        // Claims first, index second, under one lock: a chunk moves from the one to the other in that
        // order, so it cannot be missed in both.
        if shard.contains(id) || self.is_stored(id)? {
            return Ok(false);
        }
        shard.insert(*id);
        Ok(true)
    }

    /// Whether a chunk is in a pack that counts.
    pub fn is_stored(&self, id: &ChunkId) -> Result<bool, StoreError> {
        let mut copies: Vec<Location> = Vec::new();
        self.index.look_up(id, &mut copies)?;
        if copies.is_empty() {
            return Ok(false);
        }
        let usable = self.usable.read().unwrap_or_else(PoisonError::into_inner);
        Ok(copies.iter().any(|copy| usable.contains(&copy.pack)))
    }

    /// The index has these packs and chunks now.
    pub(super) fn release(
        &self,
        packs: impl Iterator<Item = PackId>,
        chunks: impl Iterator<Item = ChunkId>,
    ) {
        self.usable.write().unwrap_or_else(PoisonError::into_inner).extend(packs);
        for id in chunks {
            let [first, ..] = id.as_bytes();
            if let Some(shard) = self.claims.get(usize::from(*first) % SHARDS) {
                shard.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            }
        }
    }

    pub(super) fn index(&self) -> &dyn ChunkIndex {
        &*self.index
    }
}
