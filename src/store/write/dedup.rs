//! Whether a chunk needs storing: known to the index, on its way into a pack, or new.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::id::{BaseId, ChunkId, PackId};
use crate::index::{ChunkIndex, IndexError, Location};
use crate::store::StoreError;
use crate::store::read::reader::StoreReader;

/// What a writer may take for stored. A chunk counts only in packs that were listed, not condemned, and
/// indexed by a writer that is not void (docs/PRUNE.md).
pub struct Known {
    index: Arc<dyn ChunkIndex>,
    usable: RwLock<HashSet<PackId>>,
    /// Whether these were all packs that the index knew.
    all_usable: bool,
    /// Chunks this writer has taken on and the index does not have yet. Bounded: released with every
    /// index object.
    claims: Vec<Mutex<HashSet<ChunkId>>>,
    /// Knows what the index has but nobody can read.
    reader: Arc<StoreReader>,
    /// Delta blocks that were followed down, and whether they can be decoded from packs that count.
    followed: Mutex<Followed>,
}

#[derive(Default)]
struct Followed {
    verdicts: HashMap<(PackId, u32), bool>,
    /// How often anything had turned out to be lost by then.
    losses: u64,
}

/// What a writer has to do about a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: it is stored, or somebody is at it.
    Known,
    New,
    /// It was stored but cannot be read. Stored by itself it serves whatever was coded against it, however deep
    /// that lies.
    Lost,
}

/// Verdicts kept: some 6 MiB.
const FOLLOWED_MAX: usize = 64 * 1024;

const SHARDS: usize = 64;

impl Known {
    pub fn new(
        index: Arc<dyn ChunkIndex>,
        (usable, all_usable): (HashSet<PackId>, bool),
        reader: Arc<StoreReader>,
    ) -> Self {
        let claims = (0..SHARDS).map(|_| Mutex::default()).collect();
        let (usable, followed) = (RwLock::new(usable), Mutex::default());
        Self { index, usable, all_usable, claims, reader, followed }
    }

    /// Whether the caller must store this chunk. Of several callers at once exactly one is told so.
    pub fn claim(&self, id: &ChunkId) -> Result<Claim, StoreError> {
        let [first, ..] = id.as_bytes();
        let Some(shard) = self.claims.get(usize::from(*first) % SHARDS) else {
            return Ok(Claim::New);
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        // Claims first, index second, under one lock: a chunk moves from the one to the other in that
        // order, so it cannot be missed in both.
        if shard.contains(id) {
            return Ok(Claim::Known);
        }
        let lost = self.reader.lost();
        if !lost.contains(id) && self.is_stored(id)? {
            return Ok(Claim::Known);
        }
        // Here, not before: it may have been noted while the index was asked.
        let is_lost = lost.take(id);
        shard.insert(*id);
        Ok(if is_lost { Claim::Lost } else { Claim::New })
    }

    /// Likewise, for a node. Once anything turned out to be unreadable, one that is known is read before it is
    /// relied on: what was damaged beside it is stored again, too.
    pub fn claim_node(&self, id: &ChunkId) -> Result<Claim, StoreError> {
        let claim = self.claim(id)?;
        if claim != Claim::Known {
            return Ok(claim);
        }
        let lost = self.reader.lost();
        // One that is on its way into a pack cannot be read yet, and need not.
        if lost.is_empty()
            || self.reader.locator().locate(id).is_err()
            || self.reader.chunk(id).is_ok()
        {
            return Ok(Claim::Known);
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
        self.any_counts(&copies, u8::MAX)
    }

    /// Whether some copy that takes fewer decodes than `depth` counts: it is in a pack that counts, and so is all
    /// that it is coded against. The recursion is bounded: depths fall, and none is over 64.
    fn any_counts(&self, copies: &[Location], depth: u8) -> Result<bool, StoreError> {
        for copy in copies.iter().filter(|copy| copy.depth < depth) {
            if self.counts(copy)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn counts(&self, copy: &Location) -> Result<bool, StoreError> {
        if !self.is_usable(&copy.pack) {
            return Ok(false);
        }
        if copy.depth == 0 {
            return Ok(true);
        }
        let place = (copy.pack, copy.ordinal);
        let lost = self.reader.lost();
        let losses = lost.times();
        if let Some(counts) = self.verdicts(losses, |known| known.get(&place).copied()) {
            return Ok(counts);
        }
        let mut counts = true;
        for base in self.index.bases(copy)? {
            let mut copies: Vec<Location> = Vec::new();
            match self.index.look_up_base(&base.name, &mut copies) {
                Ok(chunk) => {
                    let is_lost = chunk.is_some_and(|chunk| lost.contains(&chunk));
                    counts = !is_lost && self.any_counts(&copies, copy.depth)?;
                }
                Err(IndexError::AmbiguousBase { .. }) => counts = false,
                Err(error) => return Err(error.into()),
            }
            if !counts {
                break;
            }
        }
        self.verdicts(losses, |known| {
            if known.len() >= FOLLOWED_MAX {
                known.clear();
            }
            known.insert(place, counts);
        });
        Ok(counts)
    }

    /// When something more turned out to be lost, what was said before may no longer be so.
    fn verdicts<T>(
        &self,
        losses: u64,
        of: impl FnOnce(&mut HashMap<(PackId, u32), bool>) -> T,
    ) -> T {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if followed.losses != losses {
            *followed = Followed { losses, ..Followed::default() };
        }
        of(&mut followed.verdicts)
    }

    fn is_usable(&self, pack: &PackId) -> bool {
        self.usable.read().unwrap_or_else(PoisonError::into_inner).contains(pack)
    }

    /// Whether what was found in a whole parent can still be relied on: nothing has shown it to be unreadable.
    pub(in crate::store) fn still_has_all(&self) -> bool {
        self.reader.lost().is_empty()
    }

    /// The chunk that a base's name stands for, and the copy of it that counts that takes the fewest decodes. A
    /// name that stands for two is no base.
    pub(in crate::store) fn shallowest_base(
        &self,
        base: &BaseId,
    ) -> Result<Option<(ChunkId, Location)>, StoreError> {
        let mut copies: Vec<Location> = Vec::new();
        match self.index.look_up_base(base, &mut copies) {
            Ok(chunk) => Ok(chunk.zip(self.first_that_counts(copies)?)),
            Err(IndexError::AmbiguousBase { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn first_that_counts(&self, mut copies: Vec<Location>) -> Result<Option<Location>, StoreError> {
        copies.retain(|copy| self.is_usable(&copy.pack));
        // Where every pack counts, whoever reads the copy finds what it is coded against in such packs, or nowhere. Where
        // there is a choice, one is looked for that can be read.
        let is_taken_as_it_is = self.all_usable && copies.len() == 1;
        for copy in copies {
            if is_taken_as_it_is || self.counts(&copy)? {
                return Ok(Some(copy));
            }
        }
        Ok(None)
    }

    pub(in crate::store) fn reader(&self) -> &StoreReader {
        &self.reader
    }

    /// The index has these packs and chunks now.
    pub(in crate::store) fn release(
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

    pub(in crate::store) fn index(&self) -> &dyn ChunkIndex {
        &*self.index
    }
}
