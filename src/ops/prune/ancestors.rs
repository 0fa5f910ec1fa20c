//! The copies that blocks are coded against, once it is settled what is kept.

use crate::id::{BaseId, ChunkId};
use crate::index::Location;
use crate::store::StoreError;

use super::keep::Keeper;
use super::packs::Block;

/// The copy of a base that counts.
pub(super) struct Ancestor {
    pub chunk: ChunkId,
    pub at: Location,
    pub block: Block,
    /// If not, what is coded against it is coded anew.
    pub is_kept: bool,
}

/// The copy that a block of this depth counts on: the shallowest that is kept, or else one that was.
pub(super) fn ancestor(
    keeper: &Keeper,
    base: &BaseId,
    below: u8,
) -> Result<Option<Ancestor>, StoreError> {
    let Some((chunk, copies)) = keeper.reader.locator().find_base(base)? else { return Ok(None) };
    let mut merged = None;
    for at in copies.into_iter().filter(|copy| copy.depth < below) {
        let Some((block, pack)) = keeper.packs.block(&at) else { continue };
        if !keeper.needs(&at.pack, at.raw_len, (&chunk, at.chunk_len)) {
            continue;
        }
        if pack.live.has(at.ordinal) {
            return Ok(Some(Ancestor { chunk, at, block, is_kept: true }));
        }
        if merged.is_none() && pack.merged.has(at.ordinal) {
            merged = Some(Ancestor { chunk, at, block, is_kept: false });
        }
    }
    Ok(merged)
}
