//! What the packs hold, by the repository's own index objects: read one after the other, so that memory does not grow
//! with them.

use std::collections::{BTreeSet, HashMap};

use rayon::prelude::*;

use crate::format::{BlockRecord, Codec, IndexRecord, IndexedPack, PackContents};
use crate::id::{BaseId, ChunkId, ObjectId};
use crate::index::Location;
use crate::progress::Cancel;
use crate::repo::Repository;
use crate::store::StoreError;

use super::super::OpError;
use super::keep::Keeper;
use super::packs::{Pack, PackPlace, Packs};

/// What is known of a pack when it is to be decided what becomes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// Bytes of its blocks, and of those that are needed.
    pub sealed: u64,
    pub live: u64,
    /// About what a trailer takes to list those that are needed.
    pub listing: u64,
    /// Packs that hold bases of blocks in here that nobody needs: such a block may be hit as long as it is there.
    pub leans_on: BTreeSet<u32>,
    /// The level it was compacted at.
    pub compacted: Option<i32>,
    /// Bytes of blocks that are needed elsewhere.
    pub rescued: u64,
    /// Blocks that are merged into what is coded against them, and their bytes.
    pub merged: (u64, u64),
    /// Set once it was weighed.
    fingerprint: Option<[u8; 16]>,
    live_blocks: u64,
}

/// Index objects decoded at once.
const BATCH: usize = 8;

/// Calls `each` for every pack that these index objects list, and the level it was compacted at, in the calling thread.
pub(super) fn each_pack(
    repository: &Repository,
    objects: &BTreeSet<ObjectId>,
    cancel: &Cancel,
    mut each: impl FnMut(&IndexedPack, Option<i32>) -> Result<(), OpError>,
) -> Result<(), OpError> {
    let ids: Vec<ObjectId> = objects.iter().copied().collect();
    for batch in ids.chunks(rayon::current_num_threads().clamp(1, BATCH)) {
        if cancel.is_cancelled() {
            return Err(OpError::Interrupted);
        }
        // The index cache may have taken in what has rotted since.
        let read = |id: &ObjectId| {
            repository.index_object(id).map_err(|source| OpError::unread_index(*id, source))
        };
        let read: Result<Vec<IndexRecord>, _> = batch.par_iter().map(read).collect();
        for record in read? {
            let compacted = record.compacted();
            record.packs.iter().try_for_each(|pack| each(pack, compacted))?;
        }
    }
    Ok(())
}

/// The weight of every pack, by its number.
pub(super) fn weigh(
    repository: &Repository,
    objects: &BTreeSet<ObjectId>,
    keeper: &Keeper,
    cancel: &Cancel,
) -> Result<Vec<Weight>, OpError> {
    let mut weights = vec![Weight::default(); keeper.packs.len()];
    each_pack(repository, objects, cancel, |listed, compacted| {
        let Some(number) = keeper.packs.find(&listed.id) else { return Ok(()) };
        let Some(weight) = weights.get_mut(number as usize) else { return Ok(()) };
        weight.compacted = weight.compacted.max(compacted);
        let fingerprint = listed.contents.fingerprint();
        if weight.fingerprint.replace(fingerprint).is_some() {
            return Ok(());
        }
        add(keeper, number, &listed.contents, weight)
    })?;
    confirm(&keeper.packs, &weights)?;
    Ok(weights)
}

fn add(
    keeper: &Keeper,
    number: u32,
    contents: &PackContents,
    weight: &mut Weight,
) -> Result<(), OpError> {
    let Some(pack) = keeper.packs.get(number) else { return Ok(()) };
    let mut dead: HashMap<BaseId, u8> = HashMap::new();
    for (ordinal, block) in (0u32..).zip(&contents.blocks) {
        weight.sealed += u64::from(block.sealed_len);
        if pack.live.has(ordinal) {
            let (chunks, part) = needed_of(keeper, pack, block);
            weight.live += part;
            weight.listing += listed_in(block, chunks);
            weight.live_blocks += 1;
            continue;
        }
        if pack.rescued.has(ordinal) {
            weight.rescued += u64::from(block.sealed_len) + listed_in(block, block.chunks.len());
        }
        if pack.merged.has(ordinal) {
            weight.merged.0 += 1;
            weight.merged.1 += u64::from(block.sealed_len);
        }
        if pack.place == PackPlace::Here {
            for base in named(contents, block) {
                // The shallowest block that needs it asks for most.
                let depth = dead.entry(base).or_insert(block.depth);
                *depth = block.depth.min(*depth);
            }
        }
    }
    let found: Result<Vec<Option<u32>>, OpError> = dead
        .into_par_iter()
        .map(|(base, depth)| Ok(holder(keeper, number, &base, depth)?))
        .collect();
    weight.leans_on.extend(found?.into_iter().flatten());
    Ok(())
}

/// Chunks of a needed block that are needed themselves, and their share of its bytes.
fn needed_of(keeper: &Keeper, pack: &Pack, block: &BlockRecord) -> (usize, u64) {
    let sealed = u64::from(block.sealed_len);
    if block.chunks.len() == 1 || block.codec == Codec::ZstdDelta {
        return (block.chunks.len(), sealed);
    }
    let (mut count, mut bytes, raw_len) = (0, 0u64, block.raw_len());
    for chunk in &block.chunks {
        if keeper.needs(&pack.id, raw_len, (&chunk.id, chunk.len)) {
            count += 1;
            bytes += u64::from(chunk.len);
        }
    }
    let raw = u64::from(raw_len).max(1);
    (count, (u128::from(sealed) * u128::from(bytes)).div_ceil(raw.into()) as u64)
}

/// Ids do not shrink, and what stands beside them hardly: so many bytes of a trailer.
fn listed_in(block: &BlockRecord, chunks: usize) -> u64 {
    const BLOCK: usize = 6;
    const CHUNK: usize = ChunkId::LEN + 3;
    const BASE: usize = BaseId::LEN + 5;
    (BLOCK + CHUNK * chunks + BASE * block.bases.len()) as u64
}

/// The names of what a block is coded against.
pub(super) fn named<'c>(
    contents: &'c PackContents,
    block: &'c BlockRecord,
) -> impl Iterator<Item = BaseId> + 'c {
    block.bases.iter().filter_map(|base| contents.bases.get(base.base as usize).copied())
}

/// The pack that has to stay for the sake of a base. `None`: none has to, or none would help.
fn holder(keeper: &Keeper, own: u32, base: &BaseId, below: u8) -> Result<Option<u32>, StoreError> {
    let Some((chunk, copies)) = keeper.reader.locator().find_base(base)? else { return Ok(None) };
    let mut first = None;
    for copy in copies.iter().filter(|copy| copy.depth < below) {
        let Some(((number, ordinal), pack)) = keeper.packs.block(copy) else { continue };
        // One that is needed stays in any case, here or copied; one beside it stays as long as it does.
        let is_needed =
            |copy: &Location| keeper.needs(&copy.pack, copy.raw_len, (&chunk, copy.chunk_len));
        if number == own || (pack.live.has(ordinal) && is_needed(copy)) {
            return Ok(None);
        }
        if pack.place == PackPlace::Here {
            first.get_or_insert(number);
        }
    }
    Ok(first)
}

/// Every block that was found needed is one that index objects list. Otherwise the index cache, by which it was found,
/// is not what the repository says, and nothing may be built on it.
fn confirm(packs: &Packs, weights: &[Weight]) -> Result<(), OpError> {
    for ((_, pack), weight) in packs.iter().zip(weights) {
        let (expected, found) = (pack.live.count(), weight.live_blocks);
        if !pack.is_disputed && expected != found {
            let pack = pack.id;
            return Err(OpError::StaleCache { pack, expected, found });
        }
    }
    Ok(())
}
