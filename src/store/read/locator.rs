//! Where chunks lie and what they are coded against: as the index says, or the trailers that were read.

use std::sync::Arc;

use crate::id::{BaseId, ChunkId, PackId};
use crate::index::{Base, ChunkIndex, IndexError, Location};
use crate::store::StoreError;

use super::packs::SealedPacks;
use super::trailer_cache::{Contents, Copies, Listing};

/// Finds the copies of chunks and the bases of copies.
pub struct ChunkLocator {
    index: Arc<dyn ChunkIndex>,
    trailers: Contents,
    packs: Arc<SealedPacks>,
}

impl ChunkLocator {
    pub(in crate::store) fn new(index: Arc<dyn ChunkIndex>, packs: Arc<SealedPacks>) -> Self {
        Self { index, trailers: Contents::new(), packs }
    }

    /// All copies of a chunk, the shallowest first. Never empty.
    pub fn locate(&self, id: &ChunkId) -> Result<Vec<Location>, StoreError> {
        let mut copies = Vec::new();
        self.index.look_up(id, &mut copies)?;
        if copies.is_empty() {
            return Err(StoreError::MissingChunk { chunk: *id });
        }
        Ok(copies)
    }

    /// The chunk that a base's name stands for, with all its copies as by [`Self::locate`].
    pub fn locate_base(&self, base: &BaseId) -> Result<(ChunkId, Vec<Location>), StoreError> {
        let mut copies = Vec::new();
        let chunk = self.index.look_up_base(base, &mut copies)?;
        let chunk = chunk.ok_or(StoreError::MissingBase { base: *base })?;
        Ok((chunk, copies))
    }

    /// Likewise; `None`: nothing has that name, or more than one thing, so that nothing can be coded against it.
    pub fn find_base(&self, base: &BaseId) -> Result<Option<(ChunkId, Vec<Location>)>, StoreError> {
        match self.locate_base(base) {
            Ok(found) => Ok(Some(found)),
            Err(
                StoreError::MissingBase { .. }
                | StoreError::Index(IndexError::AmbiguousBase { .. }),
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bases a copy is coded against; none for a plain one.
    pub fn bases(&self, copy: &Location) -> Result<Vec<Base>, StoreError> {
        Ok(self.index.bases(copy)?)
    }

    /// The copy that takes the fewest decodes.
    pub fn cheapest(&self, id: &ChunkId) -> Result<Location, StoreError> {
        let first = self.locate(id)?.into_iter().next();
        first.ok_or(StoreError::MissingChunk { chunk: *id })
    }

    /// The bases a copy is coded against, for chains.
    pub(in crate::store) fn bases_near(&self, at: &Location) -> Result<Vec<Base>, StoreError> {
        let listing = self.trailers.listing(&at.pack);
        if let Some(bases) = listing.as_ref().and_then(|listing| listing.bases(at)) {
            return Ok(bases.to_vec());
        }
        self.count(at);
        self.bases(at)
    }

    /// Where the base of a block of `depth` in the pack `from` may be read: at least one copy that is shallower, if
    /// there is any.
    pub(in crate::store) fn copies_near(
        &self,
        base: &BaseId,
        depth: u8,
        from: &PackId,
    ) -> Result<Copies, StoreError> {
        if let Some(found) = self.trailers.find(base, depth, from) {
            return Ok(found);
        }
        let (chunk, copies) = self.locate_base(base)?;
        if let Some(first) = copies.iter().find(|copy| copy.depth < depth) {
            self.trailers.follow(from, &first.pack);
            self.count(first);
        }
        Ok(Copies { chunk, copies, all: true })
    }

    fn count(&self, at: &Location) {
        if !self.trailers.ask(&at.pack) {
            return;
        }
        let Ok(_alone) = self.trailers.reading.try_lock() else { return };
        match self.packs.contents(at) {
            Ok(contents) => self.trailers.keep(Listing::new(at.pack, at.pack_kind, &contents)),
            // What the index says serves as well.
            Err(error) => {
                tracing::debug!("trailer of {}: {error}", at.pack);
                if !error.is_general() {
                    self.trailers.give_up(&at.pack);
                }
            }
        }
    }

    /// Where the blocks of a pack end, if its trailer was read.
    pub(in crate::store) fn blocks_end(&self, pack: &PackId) -> Option<u32> {
        self.trailers.blocks_end(pack)
    }
}
