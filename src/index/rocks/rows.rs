//! The rows of the cache: keys and values as bytes. All numbers are big-endian and all rows of fixed parts.
//!
//! | family | key | value |
//! |---|---|---|
//! | default | `cache` | schema, repository id, next pack number, how often something was forgotten |
//! | default | snapshot id | the last of these numbers when the cache began to vouch for the snapshot |
//! | chunks | front half of a chunk id | copies of 50 bytes, the other half first, sorted, each once |
//! | bases | pack number, ordinal | offset of the block, then name, skip and length of each base |
//! | packs | pack number | pack id, kind, length, fingerprint of its contents |
//! | objects | object id | writer, pack numbers |

use crate::format::{Codec, PackKind};
use crate::id::{ActorId, BaseId, PackId, RepositoryId};
use crate::index::listing::ChunkCopy;
use crate::index::{Base, PackEntry};
use crate::limits::{BLOCK_RAW_MAX, DELTA_DEPTH_MAX};

/// Goes up with every change of the rows. A cache of another schema is thrown away.
pub(super) const SCHEMA: u32 = 3;

pub(super) const COPY_LEN: usize = 50;
const BASE_LEN: usize = 24;

/// Reads fixed-size fields off the front of a row.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// The row that says whose cache this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marker {
    pub schema: u32,
    pub repository: RepositoryId,
    pub next: u32,
    pub forgets: u64,
}

impl Marker {
    pub(super) const KEY: &'static [u8] = b"cache";

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = self.schema.to_be_bytes().to_vec();
        row.extend(self.repository.as_bytes());
        row.extend(self.next.to_be_bytes());
        row.extend(self.forgets.to_be_bytes());
        row
    }

    pub(super) fn decode(row: &[u8]) -> Option<Self> {
        let mut fields = Fields(row);
        let schema = fields.u32()?;
        let repository = RepositoryId::new(fields.take()?);
        let next = fields.u32()?;
        // Schema 1 had no more. Its cache is refused by its schema, not as damaged.
        let forgets = if schema > 1 { fields.take().map(u64::from_be_bytes)? } else { 0 };
        fields.end()?;
        Some(Self { schema, repository, next, forgets })
    }
}

/// A copy, and the first bytes of its pack's id: a row whose number has come to mean another pack shows. `rest`
/// is what of the chunk's id is not in the row's key.
pub(super) fn encode_copy(rest: &[u8; 16], copy: &ChunkCopy, pack: &PackId) -> [u8; COPY_LEN] {
    let numbers = [
        copy.pack,
        pack_tag(pack),
        copy.ordinal,
        copy.offset,
        copy.sealed_len,
        copy.raw_len,
        copy.chunk_offset,
        copy.chunk_len,
    ];
    let mut row = [0; COPY_LEN];
    let numbers = numbers.iter().flat_map(|number| number.to_be_bytes());
    let fields = rest.iter().copied().chain(numbers).chain([copy.codec as u8, copy.depth]);
    row.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    row
}

/// The rest of the chunk's id, a copy and its pack's tag, if it is one that can be: a codec, a depth and a place that fit each other.
pub(super) fn decode_copy(row: &[u8; COPY_LEN]) -> Option<([u8; 16], ChunkCopy, u32)> {
    let mut fields = Fields(row);
    let rest = fields.take()?;
    let (pack, tag) = (fields.u32()?, fields.u32()?);
    let (ordinal, offset, sealed_len) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let (raw_len, chunk_offset, chunk_len) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let [codec, depth] = fields.take()?;
    let codec = [Codec::Raw, Codec::Zstd, Codec::ZstdDelta]
        .into_iter()
        .find(|known| *known as u8 == codec)?;
    let is_possible = chunk_offset.checked_add(chunk_len).is_some_and(|end| end <= raw_len)
        && raw_len as usize <= BLOCK_RAW_MAX
        && depth <= DELTA_DEPTH_MAX
        && (codec == Codec::ZstdDelta) == (depth > 0);
    let copy = ChunkCopy {
        depth,
        pack,
        ordinal,
        chunk_offset,
        chunk_len,
        offset,
        sealed_len,
        raw_len,
        codec,
    };
    is_possible.then_some((rest, copy, tag))
}

pub(super) fn pack_tag(pack: &PackId) -> u32 {
    pack.as_bytes().first_chunk().map_or(0, |tag| u32::from_be_bytes(*tag))
}

/// The union of several chunk rows: what the merge operator does. `None` if one is not a row of copies.
pub(super) fn unite<'a>(rows: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut copies: Vec<&[u8; COPY_LEN]> = Vec::new();
    for row in rows {
        let (whole, rest) = row.as_chunks();
        if !rest.is_empty() {
            return None;
        }
        copies.extend(whole);
    }
    copies.sort_unstable();
    copies.dedup();
    let mut union = Vec::with_capacity(copies.len() * COPY_LEN);
    copies.into_iter().for_each(|copy| union.extend_from_slice(copy));
    Some(union)
}

pub(super) fn bases_key(number: u32, ordinal: u32) -> [u8; 8] {
    ((u64::from(number) << 32) | u64::from(ordinal)).to_be_bytes()
}

pub(super) fn encode_bases(offset: u32, bases: &[Base]) -> Vec<u8> {
    let mut row = Vec::with_capacity(4 + bases.len() * BASE_LEN);
    row.extend(offset.to_be_bytes());
    for base in bases {
        row.extend(base.name.as_bytes());
        row.extend(base.skip.to_be_bytes());
        row.extend(base.len.to_be_bytes());
    }
    row
}

pub(super) fn decode_bases(row: &[u8]) -> Option<(u32, Vec<Base>)> {
    let mut fields = Fields(row);
    let offset = fields.u32()?;
    let mut bases = Vec::with_capacity(fields.0.len() / BASE_LEN);
    while fields.end().is_none() {
        let name = BaseId::new(fields.take()?);
        bases.push(Base { name, skip: fields.u32()?, len: fields.u32()? });
    }
    Some((offset, bases))
}

pub(super) fn encode_pack(pack: &PackEntry) -> Vec<u8> {
    let mut row = pack.id.as_bytes().to_vec();
    row.push(match pack.kind {
        PackKind::Data => 0,
        PackKind::Metadata => 1,
    });
    row.extend(pack.len.to_be_bytes());
    row.extend(pack.contents);
    row
}

pub(super) fn decode_pack(row: &[u8]) -> Option<PackEntry> {
    let mut fields = Fields(row);
    let id = PackId::new(fields.take()?);
    let kind = match fields.take()? {
        [0] => PackKind::Data,
        [1] => PackKind::Metadata,
        _ => return None,
    };
    let len = u64::from_be_bytes(fields.take()?);
    let contents = fields.take()?;
    fields.end()?;
    Some(PackEntry { id, kind, len, contents })
}

pub(super) fn decode_number(key: &[u8]) -> Option<u32> {
    key.try_into().ok().map(u32::from_be_bytes)
}

pub(super) fn encode_object(writer: &ActorId, packs: &[u32]) -> Vec<u8> {
    let mut row = writer.as_bytes().to_vec();
    row.extend(packs.iter().flat_map(|number| number.to_be_bytes()));
    row
}

pub(super) fn decode_object(row: &[u8]) -> Option<(ActorId, Vec<u32>)> {
    let mut fields = Fields(row);
    let writer = ActorId::new(fields.take()?);
    let (numbers, rest) = fields.0.as_chunks();
    let numbers = numbers.iter().map(|number| u32::from_be_bytes(*number)).collect();
    rest.is_empty().then_some((writer, numbers))
}
