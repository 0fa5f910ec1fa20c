//! What the index knows of a chunk, a pack and an index object.

use crate::format::{Codec, IndexedPack, PackKind};
use crate::id::{ActorId, ChunkId, ObjectId, PackId};

/// One copy of a chunk: its block in its pack, and its place in the decoded block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Location {
    pub pack: PackId,
    pub pack_kind: PackKind,
    /// The block's number in its pack: the nonce it was sealed with.
    pub ordinal: u32,
    /// Where the sealed block starts in the pack.
    pub offset: u32,
    pub sealed_len: u32,
    pub raw_len: u32,
    pub codec: Codec,
    pub depth: u8,
    /// Where the chunk starts in the decoded block.
    pub chunk_offset: u32,
    pub chunk_len: u32,
}

/// A base of a delta block: `len` bytes of chunk `id`, from `skip` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Base {
    pub id: ChunkId,
    pub skip: u32,
    pub len: u32,
}

/// A pack as one index object lists it. Two objects that list the same pack with different contents (one of
/// them was rebuilt without what could not be read) list two packs, each visible as long as its own object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackEntry {
    pub id: PackId,
    pub kind: PackKind,
    /// Bytes of the pack object.
    pub len: u64,
    /// Says whether contents are the same: [`crate::format::PackContents::fingerprint`].
    pub contents: [u8; 16],
}

impl PackEntry {
    pub fn of(pack: &IndexedPack) -> Self {
        let contents = pack.contents.fingerprint();
        Self { id: pack.id, kind: pack.kind, len: pack.len, contents }
    }
}

/// An index object that has been taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestedObject {
    pub id: ObjectId,
    pub writer: ActorId,
    pub packs: Vec<PackEntry>,
}
