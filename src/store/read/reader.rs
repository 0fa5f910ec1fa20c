//! Chunks back: locate, read, open, decode, verify.

use std::sync::Arc;

use crate::format::{self, NodeRef, Record};
use crate::id::ChunkId;
use crate::index::{ChunkIndex, Location};
use crate::limits::{CHAIN_HELD_MAX, CHAIN_WORK_MAX};
use crate::storage::Storage;
use crate::store::StoreError;
use crate::store::pack::sealer::Vault;

use super::chain::Chain;
use super::decoded::{Decoded, place};
use super::decoder::{BlockDecoder, ChunkBytes, range_in_block};
use super::locator::ChunkLocator;
use super::packs::SealedPacks;
use super::refresh::Refresh;
use super::unreadable::UnreadableChunks;

/// Reads chunks. Shared by any number of threads.
pub struct StoreReader {
    pub(in crate::store) decoder: BlockDecoder,
    refresh: Option<Refresh>,
}

impl StoreReader {
    pub fn new(storage: Arc<dyn Storage>, vault: Arc<Vault>, index: Arc<dyn ChunkIndex>) -> Self {
        let packs = Arc::new(SealedPacks::new(storage, vault));
        let locator = ChunkLocator::new(index, Arc::clone(&packs));
        Self { decoder: BlockDecoder::new(packs, locator), refresh: None }
    }

    /// Asks for what is new in the index before it says that a chunk is nowhere: a prune may have moved it.
    #[must_use]
    pub fn refreshed_by(self, refresh: Refresh) -> Self {
        Self { refresh: Some(refresh), ..self }
    }

    pub fn vault(&self) -> &Vault {
        self.decoder.packs.vault()
    }

    pub fn locator(&self) -> &ChunkLocator {
        &self.decoder.locator
    }

    pub(in crate::store) fn lost(&self) -> &UnreadableChunks {
        &self.decoder.lost
    }

    pub(in crate::store) fn chain(&self, id: &ChunkId) -> Chain<'_> {
        Chain::new(&self.decoder, None, *id)
    }

    /// The verified bytes of a chunk, from the first copy that is whole.
    pub fn chunk(&self, id: &ChunkId) -> Result<Vec<u8>, StoreError> {
        let (block, at) = self.first_whole(id)?;
        Ok(block.bytes.get(range_in_block(&at)).unwrap_or_default().to_vec())
    }

    /// The verified bytes of a chunk to code others against, and the depth of the copy they come from.
    pub fn chunk_with_depth(&self, id: &ChunkId) -> Result<(ChunkBytes, u8), StoreError> {
        let mut error = StoreError::MissingChunk { chunk: *id };
        for at in self.decoder.locator.locate(id)? {
            match self.base_chunk(id, &at) {
                Ok((bytes, _)) => return Ok((bytes, at.depth)),
                Err(failed @ StoreError::CostlyChain { .. }) => return Err(failed),
                Err(failed) if failed.is_general() => return Err(failed),
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }

    /// The verified bytes of this very copy, and the work it takes to decode it (in the measure of
    /// [`CHAIN_WORK_MAX`]). An error also where it takes more than a base may.
    pub(in crate::store) fn base_chunk(
        &self,
        id: &ChunkId,
        at: &Location,
    ) -> Result<(ChunkBytes, u64), StoreError> {
        let key = (*id, place(at));
        if let Some(known) = self.decoder.near().and_then(|near| near.base_chunks.get(&key)) {
            return Ok(known);
        }
        let block = self.chain(id).whole(id, at).inspect_err(|error| {
            if !error.is_general() && !matches!(error, StoreError::CostlyChain { .. }) {
                self.decoder.lost.note(id);
            }
        })?;
        for (what, takes, most) in [
            ("work", block.effort.work, CHAIN_WORK_MAX / 4),
            ("memory", block.effort.held, CHAIN_HELD_MAX / 2),
        ] {
            if takes > most {
                return Err(StoreError::CostlyChain { chunk: *id, what, limit: most });
            }
        }
        let (range, len, work) = (range_in_block(at), block.bytes.capacity(), block.effort.work);
        let known = (ChunkBytes { block: block.bytes, range }, work);
        if let Some(near) = self.decoder.near() {
            near.base_chunks.keep(key, known.clone(), len);
        }
        Ok(known)
    }

    /// Whether this very copy of a chunk is whole.
    pub fn try_copy(&self, id: &ChunkId, at: &Location) -> Result<(), StoreError> {
        self.chain(id).whole(id, at).map(drop)
    }

    /// Again and again while the index has news: what was moved once may be moved twice.
    fn first_whole(&self, id: &ChunkId) -> Result<(Decoded, Location), StoreError> {
        loop {
            let seen = self.refresh.as_ref().map_or(0, Refresh::times);
            let error = match self.first_known(id) {
                Err(error) if !error.is_general() => error,
                done => return done,
            };
            let has_news = match &self.refresh {
                Some(refresh) if error.is_absence() => refresh.since(seen)?,
                _ => false,
            };
            if !has_news {
                self.decoder.lost.note(id);
                return Err(error);
            }
        }
    }

    fn first_known(&self, id: &ChunkId) -> Result<(Decoded, Location), StoreError> {
        let mut chain = self.chain(id);
        let mut error = StoreError::MissingChunk { chunk: *id };
        for at in self.decoder.locator.locate(id)? {
            match chain.whole(id, &at) {
                Ok(block) => return Ok((block, at)),
                Err(failed) => error = failed,
            }
            if chain.ends_with(&error) {
                break;
            }
        }
        Err(error)
    }

    /// A node of a catalog or recipe.
    pub fn node<R: Record>(&self, node: NodeRef) -> Result<R, StoreError> {
        let bytes = self.chunk(&node.id)?;
        if bytes.len() != node.len as usize {
            let (expected, found) = (u64::from(node.len), bytes.len() as u64);
            return Err(StoreError::WrongLength { chunk: node.id, expected, found });
        }
        format::decode(&bytes).map_err(|e| StoreError::format(node.id, e))
    }
}
