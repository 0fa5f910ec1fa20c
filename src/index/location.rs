//! What the index knows of a chunk, a pack and an index object.

use std::ops::Range;

use crate::format::{Codec, IndexedPack, PackKind};
use crate::id::{ActorId, BaseId, ChunkId, ObjectId, PackId};

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

/// A base of a delta block: part of the chunk that `name` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Base {
    pub name: BaseId,
    pub skip: u32,
    /// 0: all from `skip` to the end of the chunk.
    pub len: u32,
}

impl Base {
    /// This part of a chunk of so many bytes; written as short as it can be.
    pub fn part_of(chunk: &ChunkId, chunk_len: usize, skip: u32, len: u32) -> Self {
        let to_the_end = u64::from(skip) + u64::from(len) == chunk_len as u64;
        Self { name: BaseId::of(chunk), skip, len: if to_the_end { 0 } else { len } }
    }

    /// Which bytes of a chunk of so many bytes it is. `None`: the chunk has no such bytes.
    pub fn range_in(&self, chunk_len: u32) -> Option<Range<u32>> {
        let end = match self.len {
            0 => chunk_len,
            len => self.skip.checked_add(len)?,
        };
        (self.skip < end && end <= chunk_len).then_some(self.skip..end)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_to_the_end_has_no_length() {
        let part = |skip, len| Base::part_of(&ChunkId::new([1; 32]), 100, skip, len);
        assert_eq!(
            [part(0, 100).len, part(99, 1).len, part(0, 99).len, part(1, 98).len],
            [0, 0, 99, 98]
        );
        for (skip, len) in [(0, 100), (99, 1), (0, 99), (1, 98)] {
            assert_eq!(part(skip, len).range_in(100), Some(skip..skip + len));
        }
        // Nothing, more than there is, and more than a number can say.
        for (skip, len) in [(100, 0), (101, 0), (1, 100), (u32::MAX, 2)] {
            let base = Base { skip, len, ..part(0, 1) };
            assert_eq!(base.range_in(100), None, "{skip} {len}");
        }
    }
}
