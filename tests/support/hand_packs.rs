//! Packs made block by block, deltas and lies among them, and snapshots of what is in them.

use restow::chunk::{chunk_id, end_fingerprint};
use restow::codec::{self, SealKey};
use restow::cut::CutKind;
use restow::format::{
    self, BaseRef, BlockRecord, CatalogLeaf, ChunkRecord, ChunkRef, Codec, Content, Entry, Footer,
    HEADER_LEN, Header, IndexRecord, IndexedPack, ObjectKind, PackContents, PackKind, Recipe, Salt,
    TAG_LEN, Trailer, TreeRoot, name,
};
use restow::id::{ActorId, ChunkId, PackId, SnapshotId};
use restow::index::Base;
use restow::repo::{Repository, WriteSession};
use restow::storage::Key;

use super::back_up;
use super::memory_source::MemorySource;
use super::model::{noise, path};

pub fn id_of(repository: &Repository, bytes: &[u8]) -> ChunkId {
    chunk_id(repository.vault().keys().chunk_id(), bytes)
}

/// Part of a chunk that another is coded against.
#[derive(Clone, Copy)]
pub struct Part<'b> {
    pub chunk: &'b [u8],
    pub skip: usize,
    pub len: usize,
}

pub fn whole(chunk: &[u8]) -> Part<'_> {
    Part { chunk, skip: 0, len: chunk.len() }
}

/// A pack of stream bytes.
pub struct HandPack<'r> {
    repository: &'r Repository,
    key: SealKey,
    bytes: Vec<u8>,
    contents: PackContents,
}

impl<'r> HandPack<'r> {
    pub fn new(repository: &'r Repository) -> Self {
        let (kind, salt): (_, Salt) = (ObjectKind::DataPack, codec::random().unwrap());
        let key = repository.vault().object_key(kind, &salt).unwrap();
        let bytes = Header { kind, salt }.encode().to_vec();
        Self { repository, key, bytes, contents: PackContents::default() }
    }

    /// A block of these chunks, coded against nothing.
    pub fn plain(&mut self, chunks: &[&[u8]]) {
        let raw = chunks.concat();
        let mut coded = Vec::new();
        let codec = match codec::compress(3, &raw, &mut coded).unwrap() {
            true => Codec::Zstd,
            false => {
                coded = raw;
                Codec::Raw
            }
        };
        let record = |bytes: &&[u8]| self.record(bytes);
        let chunks = chunks.iter().map(record).collect();
        self.block(codec, 0, Vec::new(), chunks, coded);
    }

    /// A block of one chunk that is called what it is not.
    pub fn called(&mut self, id: ChunkId, raw: &[u8]) {
        let chunks = vec![ChunkRecord { id, len: raw.len() as u32 }];
        self.block(Codec::Raw, 0, Vec::new(), chunks, raw.to_vec());
    }

    /// A block of one chunk that says it is coded against these parts, at this depth, and is.
    pub fn delta(&mut self, raw: &[u8], depth: u8, parts: &[Part<'_>]) {
        let cut = |part: &Part<'_>| part.chunk[part.skip..part.skip + part.len].to_vec();
        let prefix = parts.iter().map(cut).collect::<Vec<_>>().concat();
        let mut coded = Vec::new();
        codec::compress_against(3, &prefix, raw, &mut coded).unwrap();
        let bases = parts.iter().map(|part| {
            let id = id_of(self.repository, part.chunk);
            Base::part_of(&id, part.chunk.len(), part.skip as u32, part.len as u32)
        });
        self.coded(raw, depth, &bases.collect::<Vec<_>>(), coded);
    }

    /// A block that holds these coded bytes, whatever it says of them.
    pub fn coded(&mut self, raw: &[u8], depth: u8, bases: &[Base], coded: Vec<u8>) {
        let mut refs = Vec::new();
        for Base { name, skip, len } in bases {
            let known = self.contents.bases.iter().position(|base| base == name);
            let base = known.unwrap_or_else(|| {
                self.contents.bases.push(*name);
                self.contents.bases.len() - 1
            });
            refs.push(BaseRef { base: base as u32, skip: *skip, len: *len });
        }
        let chunks = vec![self.record(raw)];
        self.block(Codec::ZstdDelta, depth, refs, chunks, coded);
    }

    fn record(&self, bytes: &[u8]) -> ChunkRecord {
        ChunkRecord { id: id_of(self.repository, bytes), len: bytes.len() as u32 }
    }

    fn block(
        &mut self,
        codec: Codec,
        depth: u8,
        bases: Vec<BaseRef>,
        chunks: Vec<ChunkRecord>,
        mut coded: Vec<u8>,
    ) {
        let sealed_len = (coded.len() + TAG_LEN) as u32;
        let record = BlockRecord { sealed_len, codec, depth, bases, chunks };
        let part = record.sealed_part(PackKind::Data, self.contents.blocks.len() as u32);
        self.key.seal(part.nonce(), &part.associated_data(), &mut coded).unwrap();
        self.bytes.extend_from_slice(&coded);
        self.contents.blocks.push(record);
    }

    /// Where a block starts in the pack.
    pub fn offset(&self, block: usize) -> usize {
        let before = self.contents.blocks.iter().take(block);
        HEADER_LEN + before.map(|block| block.sealed_len as usize).sum::<usize>()
    }

    /// Puts the pack and an index object that lists it.
    pub fn put(mut self) -> PackId {
        let vault = self.repository.vault();
        let trailer = Trailer { contents: self.contents, ext: Vec::new() };
        let mut sealed = format::encode(&trailer).unwrap();
        let footer = Footer {
            codec: Codec::Raw as u8,
            raw_len: sealed.len() as u32,
            sealed_len: (sealed.len() + TAG_LEN) as u32,
        };
        let part = footer.sealed_part(PackKind::Data);
        self.key.seal(part.nonce(), &part.associated_data(), &mut sealed).unwrap();
        self.bytes.extend_from_slice(&sealed);
        self.bytes.extend_from_slice(&footer.encode());
        let id = PackId::new(*blake3::hash(&self.bytes).as_bytes());
        let storage = self.repository.storage();
        storage.put(&pack_key(&id), &self.bytes).unwrap();

        let (kind, len) = (PackKind::Data, self.bytes.len() as u64);
        let packs = vec![IndexedPack { id, kind, len, contents: trailer.contents }];
        let writer = ActorId::new([9; ActorId::LEN]);
        let record = IndexRecord { writer, packs, replaces: Vec::new(), ext: Vec::new() };
        let object = vault.seal(ObjectKind::Index, &record).unwrap();
        let index = name::index(&restow::id::ObjectId::new(object.name));
        storage.put(&Key::new(index).unwrap(), &object.bytes).unwrap();
        id
    }
}

pub fn pack_key(id: &PackId) -> Key {
    Key::new(name::pack(id)).unwrap()
}

/// Commits a snapshot of files that consist of these chunks, wherever those are.
pub fn commit(repository: &Repository, files: &[(&str, &[&[u8]])]) -> SnapshotId {
    let some = MemorySource::new([(path("some"), noise(10, 1))].into());
    let honest = back_up(repository, &[&some]).unwrap().id.unwrap();
    let mut manifest = repository.manifest(&honest).unwrap();
    // After the honest one, whose place it takes.
    manifest.time.seconds += 1;
    let entries: Vec<Entry> = files.iter().map(|file| entry(repository, file)).collect();
    let session = WriteSession::begin(repository, false).unwrap();
    let mut writer = session.store_writer();
    let leaf = format::encode(&CatalogLeaf { entries, ext: Vec::new() }).unwrap();
    manifest.catalog = TreeRoot { node: writer.put_node(&leaf).unwrap(), levels: 0 };
    writer.finish().unwrap();
    session.commit(&manifest).unwrap().unwrap()
}

fn entry(repository: &Repository, (name, chunks): &(&str, &[&[u8]])) -> Entry {
    let keys = repository.vault().keys();
    let chunk = |bytes: &&[u8]| ChunkRef {
        id: chunk_id(keys.chunk_id(), bytes),
        len: bytes.len() as u32,
        cut: CutKind::Content,
        end: end_fingerprint(keys.fingerprint(), bytes),
    };
    let refs: Vec<ChunkRef> = chunks.iter().map(chunk).collect();
    let len = chunks.iter().map(|bytes| bytes.len() as u64).sum();
    let mut entry = crate::hostile::entry(name, format::EntryKind::File);
    entry.content = Some(Content { len, recipe: Recipe::Inline(refs) });
    entry
}
