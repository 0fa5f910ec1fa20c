//! Chunk id to where it lies: a local, disposable cache of the repository's index objects.
//!
//! # The contract every implementation keeps (`tests/contracts/index.rs` checks it)
//!
//! * Truth is in the repository. What is here can be lost at any moment and is then taken in again.
//! * `ingest` is atomic: after a crash an index object is wholly in, marker and all, or not at all.
//!   Taking in the same object twice changes nothing.
//! * `look_up` gives every copy of a chunk whose pack some ingested, unforgotten object lists, each once.
//! * `look_up_base` gives the same for the one chunk that has this name, and an error where several have it.
//! * After `forget`, packs that no other ingested object lists are gone from `look_up` and `packs`.
//! * An index vouches for a snapshot only after `vouch`, and never again once anything was forgotten: a new
//!   index vouches for none.
//! * All methods may be called from any number of threads.

mod error;
mod listing;
mod location;
mod memory;
#[cfg(feature = "rocksdb")]
mod rocks;

use std::collections::BTreeSet;

pub use error::IndexError;
pub use location::{Base, IngestedObject, Location, PackEntry};
pub use memory::MemoryIndex;
#[cfg(all(feature = "rocksdb", feature = "internals"))]
pub use rocks::CacheRole;
#[cfg(feature = "rocksdb")]
pub use rocks::RocksIndex;

use crate::format::IndexRecord;
use crate::id::{BaseId, ChunkId, ObjectId, SnapshotId};

/// The seam to the index cache. See the module's contract.
pub trait ChunkIndex: Send + Sync {
    /// The index objects taken in so far.
    fn ingested(&self) -> BTreeSet<ObjectId>;

    /// Takes in one index object.
    fn ingest(&self, object: ObjectId, record: &IndexRecord) -> Result<(), IndexError>;

    /// Drops index objects the repository no longer has.
    fn forget(&self, objects: &[ObjectId]) -> Result<(), IndexError>;

    /// Appends all known copies of a chunk to `found`, shallowest first.
    fn look_up(&self, id: &ChunkId, found: &mut Vec<Location>) -> Result<(), IndexError>;

    /// The chunk that a base's name stands for, its copies appended to `found` as by `look_up`. `None`, and nothing
    /// appended: no copy is known. An error: the name stands for several chunks.
    fn look_up_base(
        &self,
        base: &BaseId,
        found: &mut Vec<Location>,
    ) -> Result<Option<ChunkId>, IndexError>;

    /// The bases of the block at `location`, in order; empty for a block coded without any. A delta block of a
    /// pack that was forgotten since `location` was looked up is an error.
    fn bases(&self, location: &Location) -> Result<Vec<Base>, IndexError>;

    /// Every ingested object with its writer and packs. From memory, cheap.
    fn objects(&self) -> Vec<IngestedObject>;

    /// Everything this snapshot refers to was found here when it was committed.
    fn vouch(&self, snapshot: &SnapshotId) -> Result<(), IndexError>;

    /// Whether everything the snapshot refers to is still in here: nothing was forgotten since `vouch`.
    fn vouches_for(&self, snapshot: &SnapshotId) -> bool;

    /// Makes what was ingested so far survive this process, where that is the implementation's business.
    fn flush(&self) -> Result<(), IndexError>;
}

/// Brings what was appended to `found` from `start` on into the contract's shape: each location once, the
/// shallowest first, and otherwise always in the same order.
fn arrange(found: &mut Vec<Location>, start: usize) {
    let mut appended = found.split_off(start.min(found.len()));
    if appended.len() > 1 {
        appended.sort_unstable_by_key(|copy| {
            let place = (copy.ordinal, copy.offset, copy.chunk_offset);
            let lengths = (copy.sealed_len, copy.raw_len, copy.chunk_len);
            (copy.depth, copy.pack, copy.pack_kind, place, lengths, copy.codec as u8)
        });
        appended.dedup();
    }
    found.append(&mut appended);
}

/// The one chunk that all copies found under a name are of.
fn the_one(
    base: &BaseId,
    chunks: impl Iterator<Item = ChunkId>,
) -> Result<Option<ChunkId>, IndexError> {
    let mut found = None;
    for other in chunks {
        let one = *found.get_or_insert(other);
        if one != other {
            return Err(IndexError::AmbiguousBase { base: *base, one, other });
        }
    }
    Ok(found)
}

fn no_such_block(location: &Location) -> String {
    format!(
        "no listed pack {} has a delta block {} at offset {}",
        location.pack, location.ordinal, location.offset
    )
}
