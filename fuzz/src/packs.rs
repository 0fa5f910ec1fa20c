//! Packs, as only a holder of the key could make them: authentication is no obstacle to the fuzzer.

use std::sync::Arc;

use restow::chunk::chunk_id;
use restow::codec::SealKey;
use restow::format::{
    BaseRef, BlockRecord, ChunkRecord, Codec, Footer, HEADER_LEN, Header, IndexRecord, IndexedPack,
    PackContents, PackKind, TAG_LEN, Trailer, decode, encode, name, padding_len,
};
use restow::id::{ActorId, BaseId, ObjectId, PackId};
use restow::index::{ChunkIndex, MemoryIndex};
use restow::storage::{Key, Memory, Storage};
use restow::store::{PackView, StoreReader, Vault, scan_pack};

use crate::{Input, vault};

const SALT: [u8; 32] = [9; 32];

fn kind_of(byte: u8) -> PackKind {
    if byte.is_multiple_of(2) { PackKind::Data } else { PackKind::Metadata }
}

struct Builder {
    kind: PackKind,
    key: SealKey,
    bytes: Vec<u8>,
}

impl Builder {
    fn new(vault: &Vault, kind: PackKind) -> Self {
        let key = vault.object_key(kind.object(), &SALT).expect("a key");
        let bytes = Header { kind: kind.object(), salt: SALT }.encode().to_vec();
        Self { kind, key, bytes }
    }

    fn block(&mut self, record: &BlockRecord, ordinal: u32, coded: &[u8]) {
        let part = record.sealed_part(self.kind, ordinal);
        let mut body = coded.to_vec();
        self.key.seal(part.nonce(), &part.associated_data(), &mut body).expect("seals");
        self.bytes.extend_from_slice(&body);
    }

    /// The pack, and where its trailer starts.
    fn finish(mut self, codec: u8, raw_len: u32, coded: &[u8]) -> (Vec<u8>, usize) {
        let sealed_len = u32::try_from(coded.len() + TAG_LEN).expect("short");
        let footer = Footer { codec, raw_len, sealed_len };
        let part = footer.sealed_part(self.kind);
        let mut body = coded.to_vec();
        self.key.seal(part.nonce(), &part.associated_data(), &mut body).expect("seals");
        let unpadded = self.bytes.len() + body.len() + footer.encode().len();
        let padding = usize::try_from(padding_len(unpadded as u64)).expect("short");
        let trailer_at = self.bytes.len() + padding;
        self.bytes.resize(trailer_at, 0);
        self.bytes.extend_from_slice(&body);
        self.bytes.extend_from_slice(&footer.encode());
        (self.bytes, trailer_at)
    }
}

/// A pack's frame. Kind, mode; then, by mode: the whole pack; or bytes of blocks, the trailer's codec and
/// raw length, where to change a byte and to what, and the trailer's plaintext.
pub fn pack(data: &[u8]) {
    let vault = vault();
    let mut input = Input(data);
    let (kind, mode) = (kind_of(input.u8()), input.u8());
    if mode.is_multiple_of(2) {
        check_frame(&vault, kind, input.0);
        return;
    }
    let mut builder = Builder::new(&vault, kind);
    let filler = usize::from(input.u16());
    builder.bytes.resize(HEADER_LEN + filler, 0xaa);
    let (codec, raw_len) = (input.u8(), input.u32());
    let (at, change) = (input.u16(), input.u8());
    let (mut bytes, trailer_at) = builder.finish(codec, raw_len, input.0);
    let good = check_frame(&vault, kind, &bytes);
    let at = usize::from(at) % bytes.len();
    if good && change != 0 {
        bytes[at] ^= change;
        let framed = !(HEADER_LEN..trailer_at).contains(&at);
        assert_eq!(check_frame(&vault, kind, &bytes), !framed, "byte {at} ^ {change}");
    }
}

fn check_frame(vault: &Vault, kind: PackKind, bytes: &[u8]) -> bool {
    let Ok(view) = PackView::read(vault, kind, "fuzzed", bytes) else { return false };
    assert!(view.contents.blocks_end() <= bytes.len() as u64);
    let trailer = Trailer { contents: view.contents, ext: Vec::new() };
    let again = encode(&trailer).expect("what decodes encodes");
    assert_eq!(decode::<Trailer>(&again).as_ref(), Ok(&trailer));
    true
}

/// Sealed blocks of any content, read back through an index that says what the trailer says: kind, then per
/// block codec, depth, chunks and coded bytes.
pub fn blocks(data: &[u8]) {
    let vault = vault();
    let mut input = Input(data);
    let kind = kind_of(input.u8());
    let mut contents = PackContents::default();
    let mut builder = Builder::new(&vault, kind);
    while !input.0.is_empty() && contents.blocks.len() < 8 {
        let (record, coded) = block(&vault, &mut input, &mut contents.bases);
        builder.block(&record, contents.blocks.len() as u32, coded);
        contents.blocks.push(record);
    }
    let trailer = Trailer { contents, ext: Vec::new() };
    let plain = encode(&trailer).expect("encodes");
    let (mut bytes, _) = builder.finish(Codec::Raw as u8, plain.len() as u32, &plain);
    let valid = decode::<Trailer>(&plain).is_ok();
    assert_eq!(check_frame(&vault, kind, &bytes), valid);
    if valid {
        read_back(vault, kind, trailer.contents, &mut bytes);
    }
}

fn block<'a>(
    vault: &Vault,
    input: &mut Input<'a>,
    bases: &mut Vec<BaseId>,
) -> (BlockRecord, &'a [u8]) {
    let codec = [Codec::Raw, Codec::Zstd, Codec::ZstdDelta][usize::from(input.u8() % 3)];
    let (depth, count) = (input.u8() % 66, input.u8() % 4);
    let lens: Vec<u32> = (0..=count).map(|_| u32::from(input.u16())).collect();
    let mut refs = Vec::new();
    if codec == Codec::ZstdDelta {
        // A base is named after the chunk that a raw block of these bytes would hold.
        let (skip, len, name_len) = (input.u8(), input.u16(), usize::from(input.u8()));
        let id = chunk_id(vault.keys().chunk_id(), input.0.get(..name_len).unwrap_or(b""));
        bases.push(BaseId::of(&id));
        let base = bases.len() as u32 - 1;
        refs.push(BaseRef { base, skip: u32::from(skip), len: u32::from(len) });
    }
    let coded_len = usize::from(input.u16());
    let coded = input.take(coded_len);
    let mut rest = coded;
    let chunks = lens.into_iter().map(|len| {
        let raw = rest.split_off(..rest.len().min(len as usize)).unwrap_or_default();
        ChunkRecord { id: chunk_id(vault.keys().chunk_id(), raw), len }
    });
    let record = BlockRecord {
        sealed_len: (coded.len() + TAG_LEN) as u32,
        codec,
        depth,
        bases: refs,
        chunks: chunks.collect(),
    };
    (record, coded)
}

fn read_back(vault: Vault, kind: PackKind, contents: PackContents, bytes: &mut [u8]) {
    let id = PackId::new(*blake3::hash(bytes).as_bytes());
    let (storage, index) = (Memory::new(), MemoryIndex::new());
    storage.put(&Key::new(name::pack(&id)).expect("a key"), bytes).expect("put");
    let packs = vec![IndexedPack { id, kind, len: bytes.len() as u64, contents }];
    let writer = ActorId::new([3; 16]);
    let record = IndexRecord { writer, packs, replaces: Vec::new(), ext: Vec::new() };
    let wire = encode(&record).expect("encodes");
    let Ok(record) = decode::<IndexRecord>(&wire) else { return };
    index.ingest(ObjectId::new([4; 32]), &record).expect("taken in");
    let key = *vault.keys().chunk_id();
    let reader = StoreReader::new(Arc::new(storage), Arc::new(vault), Arc::new(index));
    for chunk in record.packs.iter().flat_map(|p| &p.contents.blocks).flat_map(|b| &b.chunks) {
        if let Ok(raw) = reader.chunk(&chunk.id) {
            assert_eq!(chunk_id(&key, &raw), chunk.id, "an unverified chunk");
        }
    }
    let report = scan_pack(&reader, kind, &id, bytes).expect("the frame is whole");
    assert!(report.wrong_name.is_none());
}
