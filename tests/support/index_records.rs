//! Made-up index records: valid, small, and different for every number.

use restow::format::{
    BaseRef, BlockRecord, ChunkRecord, Codec, IndexRecord, IndexedPack, PackContents, PackKind,
};
use restow::id::{ActorId, BaseId, ChunkId, ObjectId, PackId};

#[cfg(feature = "rocksdb")]
pub const REPOSITORY: restow::id::RepositoryId = restow::id::RepositoryId::new([7; 16]);

fn spread<const N: usize>(kind: u8, number: u32) -> [u8; N] {
    let mut bytes = [kind; N];
    let hash = scattered(kind, number);
    for (byte, value) in bytes.iter_mut().zip(hash.to_be_bytes()) {
        *byte = value;
    }
    bytes[N - 4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// Ids are random: these are at least not sorted like their numbers.
fn scattered(kind: u8, number: u32) -> u64 {
    (u64::from(number) + u64::from(kind)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

pub fn chunk(number: u32) -> ChunkId {
    ChunkId::new(spread(1, number))
}

/// Another chunk than `chunk(number)`, whose id begins like that one's.
pub fn double(number: u32) -> ChunkId {
    let mut bytes = *chunk(number).as_bytes();
    bytes[16] ^= 1;
    ChunkId::new(bytes)
}

pub fn pack_id(number: u32) -> PackId {
    PackId::new(spread(2, number))
}

pub fn object(number: u32) -> ObjectId {
    ObjectId::new(spread(3, number))
}

pub fn writer(number: u32) -> ActorId {
    ActorId::new(spread(4, number))
}

/// A pack with each run of chunks as one block. Every third block is a delta against chunk `number` of its
/// first chunk plus 1000.
pub fn pack(number: u32, blocks: &[&[u32]]) -> IndexedPack {
    let mut contents = PackContents::default();
    for (ordinal, chunks) in blocks.iter().enumerate() {
        let is_delta = ordinal % 3 == 2;
        let mut bases = Vec::new();
        if is_delta {
            let base = contents.bases.len() as u32;
            contents.bases.push(BaseId::of(&chunk(chunks[0] + 1000)));
            bases.push(BaseRef { base, skip: 3, len: 50 });
            bases.push(BaseRef { base, skip: 0, len: 7 });
        }
        contents.blocks.push(BlockRecord {
            sealed_len: 100 + ordinal as u32,
            codec: if is_delta { Codec::ZstdDelta } else { Codec::Zstd },
            depth: if is_delta { 1 + number as u8 % 4 } else { 0 },
            bases,
            chunks: chunks
                .iter()
                .map(|c| ChunkRecord { id: chunk(*c), len: 10 + c % 90 })
                .collect(),
        });
    }
    let kind = if number % 5 == 4 { PackKind::Metadata } else { PackKind::Data };
    let len = contents.blocks_end() + 1000;
    IndexedPack { id: pack_id(number), kind, len, contents }
}

pub fn record(writer_number: u32, packs: Vec<IndexedPack>) -> IndexRecord {
    IndexRecord { writer: writer(writer_number), packs, replaces: Vec::new(), ext: Vec::new() }
}

/// The record of object `number`: two packs, the second shared with object `number + 1`.
pub fn numbered_record(number: u32) -> IndexRecord {
    let of = |pack_number: u32| {
        let first = pack_number * 10;
        let blocks: [&[u32]; 4] =
            [&[first, first + 1], &[first + 2], &[first + 3, first + 4], &[first + 5, 1]];
        pack(pack_number, &blocks)
    };
    record(number, vec![of(number), of(number + 1)])
}
