//! Whether a chunk needs storing: known to the index, on its way into a pack, or new.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::id::{BaseId, ChunkId, PackId};
use crate::index::{ChunkIndex, Location};

use super::{StoreError, StoreReader};

/// What a writer may take for stored. A chunk counts only in packs that were listed, not condemned, and
/// indexed by a writer that is not void (design section 8).
pub struct Known {
    index: Arc<dyn ChunkIndex>,
    usable: RwLock<HashSet<PackId>>,
    /// Chunks this writer has taken on and the index does not have yet. Bounded: released with every
    /// index object.
    claims: Vec<Mutex<HashSet<ChunkId>>>,
    /// Knows what the index has but nobody can read.
    reader: Arc<StoreReader>,
}

const SHARDS: usize = 64;

impl Known {
    pub fn new(
        index: Arc<dyn ChunkIndex>,
        usable: HashSet<PackId>,
        reader: Arc<StoreReader>,
    ) -> Self {
        let claims = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { index, usable: RwLock::new(usable), claims, reader }
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
        if shard.contains(id) || (!self.reader.lost().take(id) && self.is_stored(id)?) {
            return Ok(false);
        }
        shard.insert(*id);
        Ok(true)
    }

    /// Likewise, for a node. Once anything turned out to be unreadable, one that is known is read before it is
    /// relied on: what was damaged beside it is stored again, too.
    pub fn claim_node(&self, id: &ChunkId) -> Result<bool, StoreError> {
        if self.claim(id)? {
            return Ok(true);
        }
        let lost = self.reader.lost();
        // One that is on its way into a pack cannot be read yet, and need not.
        if lost.is_empty() || self.reader.locate(id).is_err() || self.reader.chunk(id).is_ok() {
            return Ok(false);
        }
        self.claim(id)
    }

    /// Whether a chunk is in a pack that counts, as far as is known.
    pub fn is_stored(&self, id: &ChunkId) -> Result<bool, StoreError> {
        if self.reader.lost().contains(id) {
            return Ok(false);
        }
        let mut copies: Vec<Location> = Vec::new();
        self.index.look_up(id, &mut copies)?;
        if copies.is_empty() {
            return Ok(false);
        }
        let usable = self.usable.read().unwrap_or_else(PoisonError::into_inner);
        Ok(copies.iter().any(|copy| usable.contains(&copy.pack)))
    }

    /// Whether what was found in a whole parent can still be relied on: nothing has shown it to be unreadable.
    pub(super) fn still_has(&self, id: &ChunkId) -> bool {
        !self.reader.lost().contains(id)
    }

    /// The copy of a chunk in a pack that counts that takes the fewest decodes.
    pub(super) fn shallowest(&self, id: &ChunkId) -> Result<Option<Location>, StoreError> {
        let mut copies: Vec<Location> = Vec::new();
        self.index.look_up(id, &mut copies)?;
        Ok(self.first_usable(copies))
    }

    /// Likewise, for the chunk that a base's name stands for.
    pub(super) fn shallowest_base(
        &self,
        base: &BaseId,
    ) -> Result<Option<(ChunkId, Location)>, StoreError> {
        let mut copies: Vec<Location> = Vec::new();
        let chunk = self.index.look_up_base(base, &mut copies)?;
        Ok(chunk.zip(self.first_usable(copies)))
    }

    fn first_usable(&self, copies: Vec<Location>) -> Option<Location> {
        let usable = self.usable.read().unwrap_or_else(PoisonError::into_inner);
        copies.into_iter().find(|copy| usable.contains(&copy.pack))
    }

    pub(super) fn reader(&self) -> &StoreReader {
        &self.reader
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
