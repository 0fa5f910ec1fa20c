//! A pack being filled, and a pack's trailer read back.

use std::collections::HashMap;

use crate::codec::{self, SealKey};
use crate::format::{
    self, BaseRef, BlockRecord, ChunkRecord, Codec, FOOTER_LEN, Footer, HEADER_LEN, Header,
    PackContents, PackKind, Salt, TAG_LEN, Trailer, padding_len,
};
use crate::id::{BaseId, PackId};
use crate::index::Base;
use crate::limits::{PACK_CHUNKS_TARGET, PACK_LEN_MAX};
use crate::store::StoreError;

use super::sealer::{Vault, decode_plain};

const TRAILER_LEVEL: i32 = 3;

/// A pack that blocks are added to. Bytes are sealed as they come.
pub(in crate::store) struct PackBuilder {
    kind: PackKind,
    key: SealKey,
    bytes: Vec<u8>,
    contents: PackContents,
    /// Where a base stands in the contents' table.
    bases: HashMap<BaseId, u32>,
    chunks: usize,
}

/// A coded block on its way into a pack.
pub(in crate::store) struct NewBlock<'a> {
    pub codec: Codec,
    pub depth: u8,
    pub bases: &'a [Base],
    pub coded: &'a [u8],
}

/// A whole pack, its trailer read back and found equal.
pub(in crate::store) struct FinishedPack {
    pub id: PackId,
    pub kind: PackKind,
    pub bytes: Vec<u8>,
    pub contents: PackContents,
}

impl PackBuilder {
    /// `room` is a buffer to fill; what is in it is forgotten.
    pub fn new(vault: &Vault, kind: PackKind, mut room: Vec<u8>) -> Result<Self, StoreError> {
        let fresh = || -> Result<(Salt, SealKey), codec::CodecError> {
            let salt: Salt = codec::random()?;
            let key = vault.object_key(kind.object(), &salt)?;
            Ok((salt, key))
        };
        let (salt, key) = fresh().map_err(|e| StoreError::codec("new pack", e))?;
        room.clear();
        room.extend_from_slice(&Header { kind: kind.object(), salt }.encode());
        let contents = PackContents::default();
        Ok(Self { kind, key, bytes: room, contents, bases: HashMap::new(), chunks: 0 })
    }

    /// Whether it holds `target` bytes, or as many chunks as a pack is to have.
    pub fn is_full(&self, target: usize) -> bool {
        self.bytes.len() >= target || self.chunks >= PACK_CHUNKS_TARGET
    }

    /// Seals a block; returns its stored length.
    pub fn add(
        &mut self,
        block: NewBlock<'_>,
        chunks: Vec<ChunkRecord>,
    ) -> Result<usize, StoreError> {
        let NewBlock { codec, depth, bases, coded } = block;
        let sealed_len = coded.len() + TAG_LEN;
        let wrong = |e| StoreError::codec("new pack", e);
        let too_many = || wrong(codec::CodecError::Compress("too many or too long blocks".into()));
        let ordinal = u32::try_from(self.contents.blocks.len()).map_err(|_| too_many())?;
        let record = BlockRecord {
            sealed_len: u32::try_from(sealed_len).map_err(|_| too_many())?,
            codec,
            depth,
            bases: bases.iter().map(|base| self.base(base)).collect(),
            chunks,
        };
        let part = record.sealed_part(self.kind, ordinal);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(coded);
        let plain = self.bytes.get_mut(start..).unwrap_or_default();
        let tag =
            self.key.seal_slice(part.nonce(), &part.associated_data(), plain).map_err(wrong)?;
        self.bytes.extend_from_slice(&tag);
        self.chunks += record.chunks.len();
        self.contents.blocks.push(record);
        Ok(sealed_len)
    }

    fn base(&mut self, base: &Base) -> BaseRef {
        let table = &mut self.contents.bases;
        let number = *self.bases.entry(base.name).or_insert_with(|| {
            table.push(base.name);
            // Far fewer than chunks, of which a pack has at most 65,536.
            u32::try_from(table.len() - 1).unwrap_or(u32::MAX)
        });
        BaseRef { base: number, skip: base.skip, len: base.len }
    }

    /// Pads, appends the trailer, and reads back what a reader would read before anyone relies on it.
    pub fn finish(mut self, vault: &Vault) -> Result<FinishedPack, StoreError> {
        let wrong = |e| StoreError::codec("new pack", e);
        let trailer = Trailer { contents: self.contents, ext: Vec::new() };
        let plain = format::encode(&trailer).map_err(|e| StoreError::format("new pack", e))?;
        let mut coded = Vec::new();
        let shrank = codec::compress(TRAILER_LEVEL, &plain, &mut coded).map_err(wrong)?;
        if !shrank {
            coded.clone_from(&plain);
        }
        let footer = Footer {
            codec: if shrank { Codec::Zstd } else { Codec::Raw } as u8,
            // A trailer is at most 32 MiB: `encode` refuses more.
            raw_len: u32::try_from(plain.len()).unwrap_or(u32::MAX),
            sealed_len: u32::try_from(coded.len() + TAG_LEN).unwrap_or(u32::MAX),
        };
        let part = footer.sealed_part(self.kind);
        self.key.seal(part.nonce(), &part.associated_data(), &mut coded).map_err(wrong)?;

        let unpadded = self.bytes.len() + coded.len() + FOOTER_LEN;
        let padding = padding_len(unpadded as u64);
        let padded = self.bytes.len() + usize::try_from(padding).unwrap_or(0);
        let blocks_end = self.bytes.len();
        self.bytes.resize(padded, 0);
        // Noise, not zeros: nobody without the key may see where the blocks end.
        let seed: [u8; 32] = codec::random().map_err(wrong)?;
        let padding = self.bytes.get_mut(blocks_end..).unwrap_or_default();
        blake3::Hasher::new_keyed(&seed).finalize_xof().fill(padding);
        self.bytes.extend_from_slice(&coded);
        self.bytes.extend_from_slice(&footer.encode());

        let id = PackId::new(*blake3::hash(&self.bytes).as_bytes());
        let view = PackView::read(vault, self.kind, &id.to_hex(), &self.bytes)?;
        if view.contents != trailer.contents {
            return Err(StoreError::damaged(id, "pack trailer", "what was written", "another"));
        }
        let contents = trailer.contents;
        Ok(FinishedPack { id, kind: self.kind, bytes: self.bytes, contents })
    }
}

/// A pack's header and trailer, authenticated.
pub struct PackView {
    pub(in crate::store) key: SealKey,
    pub contents: PackContents,
}

impl PackView {
    /// Reads a whole pack's frame. `object` names it in errors.
    pub fn read(
        vault: &Vault,
        kind: PackKind,
        object: &str,
        bytes: &[u8],
    ) -> Result<Self, StoreError> {
        let damaged = |e| StoreError::format(object, e);
        let (header, _) = Header::decode(kind.object(), bytes).map_err(damaged)?;
        let short = || {
            let found = format!("{} bytes", bytes.len());
            StoreError::damaged(object, "pack", "a header, a trailer and a footer", found)
        };
        let footer_at = bytes.len().checked_sub(FOOTER_LEN).ok_or_else(short)?;
        let (front, footer) = bytes.split_at_checked(footer_at).ok_or_else(short)?;
        let footer = Footer::decode(footer, bytes.len() as u64).map_err(damaged)?;
        let trailer_at = front.len().checked_sub(footer.sealed_len as usize).ok_or_else(short)?;
        let sealed = front.get(trailer_at..).ok_or_else(short)?;
        let key = vault
            .object_key(kind.object(), &header.salt)
            .map_err(|e| StoreError::codec(object, e))?;
        let trailer = open_trailer(&key, kind, &footer, sealed.to_vec(), object)?;
        if trailer.contents.blocks_end() > trailer_at as u64
            || trailer.contents.blocks_end() < HEADER_LEN as u64
            || bytes.len() as u64 > PACK_LEN_MAX
        {
            let found = format!("{} bytes of blocks", trailer.contents.blocks_end());
            let expected = format!("blocks that end before byte {trailer_at}");
            return Err(StoreError::damaged(object, "pack", expected, found));
        }
        Ok(Self { key, contents: trailer.contents })
    }
}

pub(in crate::store) fn open_trailer(
    key: &SealKey,
    kind: PackKind,
    footer: &Footer,
    mut sealed: Vec<u8>,
    object: &str,
) -> Result<Trailer, StoreError> {
    let part = footer.sealed_part(kind);
    let opened = key
        .open(part.nonce(), &part.associated_data(), &mut sealed)
        .map_err(|e| StoreError::codec(object, e))?;
    let plain = decode_plain(footer.codec, opened, footer.raw_len as usize)
        .map_err(|e| StoreError::codec(object, e))?;
    format::decode(&plain).map_err(|e| StoreError::format(object, e))
}

/// Whether bytes are what a content-named object says it holds.
pub fn verify_name(object: &str, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let found = blake3::hash(bytes).to_hex();
    if found.as_str() == name {
        Ok(())
    } else {
        Err(StoreError::WrongName { object: object.into(), found: found.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Keys, MasterKey};
    use crate::format::{IndexRecord, IndexedPack, ObjectKind};
    use crate::id::{ActorId, ChunkId, RepositoryId};

    const CHUNKS: usize = 3800;

    /// What says of a night's new chunks where they are, each coded against one whole old chunk.
    #[test]
    fn a_delta_takes_few_bytes_in_trailer_and_index() {
        let keys = Keys::new(RepositoryId::new([1; 16]), MasterKey::from_bytes([2; 32]));
        let vault = Vault::new(keys);
        let mut builder = PackBuilder::new(&vault, PackKind::Data, Vec::new()).unwrap();
        let mut noise = blake3::Hasher::new().finalize_xof();
        for _ in 0..CHUNKS {
            let (mut new, mut old, mut dice) = ([0; 32], [0; 32], [0; 6]);
            for bytes in [new.as_mut_slice(), &mut old, &mut dice] {
                noise.fill(bytes);
            }
            let [a, b, c, d, e, f] = dice.map(u32::from);
            // Chunks of 16 to 144 KiB, stored in 100 to 1123 bytes.
            let (len, stored) = (16_384 + ((a << 9) | (b << 1)), 100 + ((c << 2) | (d & 3)));
            let depth = 1 + u8::try_from(e % 8).unwrap();
            let base = Base::part_of(&ChunkId::new(old), len as usize + f as usize, 0, len + f);
            let coded = vec![0; stored as usize];
            let block = NewBlock { codec: Codec::ZstdDelta, depth, bases: &[base], coded: &coded };
            builder.add(block, vec![ChunkRecord { id: ChunkId::new(new), len }]).unwrap();
        }
        let pack = builder.finish(&vault).unwrap();
        let footer = &pack.bytes[pack.bytes.len() - FOOTER_LEN..];
        let footer = Footer::decode(footer, pack.bytes.len() as u64).unwrap();
        let (id, kind, len) = (pack.id, pack.kind, pack.bytes.len() as u64);
        let packs = vec![IndexedPack { id, kind, len, contents: pack.contents }];
        let writer = ActorId::new([3; 16]);
        let record = IndexRecord { writer, packs, replaces: Vec::new(), ext: Vec::new() };
        let index = vault.seal(ObjectKind::Index, &record).unwrap().bytes.len();
        let each = |bytes: usize| bytes as f64 / CHUNKS as f64;
        let (trailer, index) = (each(footer.sealed_len as usize), each(index));
        eprintln!("{trailer:.2} bytes a chunk in the trailer, {index:.2} in the index object");
        assert!(trailer < 60.0 && index < 60.0, "{trailer} and {index} bytes a chunk");
    }
}
