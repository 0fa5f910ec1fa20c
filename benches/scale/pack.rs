//! Packs made block by block, each chunk a block of its own, as chunks of the usual size are.

use restow::codec::{self, SealKey};
use restow::format::{
    self, BaseRef, BlockRecord, ChunkRecord, Codec, FOOTER_LEN, Footer, Header, IndexedPack,
    PackContents, PackKind, Salt, TAG_LEN, Trailer, padding_len,
};
use restow::id::{BaseId, PackId};
use restow::store::Vault;

pub struct Pack {
    kind: PackKind,
    key: SealKey,
    bytes: Vec<u8>,
    contents: PackContents,
}

/// A chunk as it goes into a pack.
pub struct Block<'b> {
    pub chunk: ChunkRecord,
    pub codec: Codec,
    pub base: Option<(BaseId, u8)>,
    pub coded: &'b [u8],
}

impl Pack {
    pub fn new(vault: &Vault, kind: PackKind) -> Self {
        let salt: Salt = codec::random().unwrap();
        let key = vault.object_key(kind.object(), &salt).unwrap();
        let bytes = Header { kind: kind.object(), salt }.encode().to_vec();
        Self { kind, key, bytes, contents: PackContents::default() }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn add(&mut self, block: Block<'_>) {
        let Block { chunk, codec, base, coded } = block;
        let mut record = BlockRecord {
            sealed_len: (coded.len() + TAG_LEN) as u32,
            codec,
            depth: 0,
            bases: Vec::new(),
            chunks: vec![chunk],
        };
        if let Some((name, depth)) = base {
            record.depth = depth;
            let base = self.contents.bases.len() as u32;
            record.bases.push(BaseRef { base, skip: 0, len: 0 });
            self.contents.bases.push(name);
        }
        let part = record.sealed_part(self.kind, self.contents.blocks.len() as u32);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(coded);
        let plain = &mut self.bytes[start..];
        let tag = self.key.seal_slice(part.nonce(), &part.associated_data(), plain).unwrap();
        self.bytes.extend_from_slice(&tag);
        self.contents.blocks.push(record);
    }

    /// A node of a catalog or recipe.
    pub fn add_node(&mut self, chunk: ChunkRecord, node: &[u8]) {
        let (codec, coded) = smaller(node);
        self.add(Block { chunk, codec, base: None, coded: &coded });
    }

    /// The pack, and what the index says of it.
    pub fn finish(self) -> (Vec<u8>, IndexedPack) {
        let Self { kind, key, mut bytes, contents } = self;
        let trailer = Trailer { contents, ext: Vec::new() };
        let plain = format::encode(&trailer).unwrap();
        let (codec, mut sealed) = smaller(&plain);
        let footer = Footer {
            codec: codec as u8,
            raw_len: plain.len() as u32,
            sealed_len: (sealed.len() + TAG_LEN) as u32,
        };
        let part = footer.sealed_part(kind);
        key.seal(part.nonce(), &part.associated_data(), &mut sealed).unwrap();
        let padding = padding_len((bytes.len() + sealed.len() + FOOTER_LEN) as u64);
        bytes.resize(bytes.len() + padding as usize, 0);
        bytes.extend_from_slice(&sealed);
        bytes.extend_from_slice(&footer.encode());
        let id = PackId::new(*blake3::hash(&bytes).as_bytes());
        let len = bytes.len() as u64;
        (bytes, IndexedPack { id, kind, len, contents: trailer.contents })
    }
}

fn smaller(plain: &[u8]) -> (Codec, Vec<u8>) {
    let mut coded = Vec::new();
    match codec::compress(3, plain, &mut coded).unwrap() {
        true => (Codec::Zstd, coded),
        false => (Codec::Raw, plain.to_vec()),
    }
}
