//! Makes a repository night by night, in a memory that does not depend on how many there are: every object as
//! restow itself would put it, but for syncs.

use std::fs;
use std::path::PathBuf;

use rayon::prelude::*;
use restow::chunk::chunk_id;
use restow::codec;
use restow::format::{
    CatalogChild, ChunkRecord, Codec, EntryPath, IndexRecord, IndexedPack, Manifest, ManifestKind,
    Note, NoteFact, ObjectKind, PackKind, Record, SourceRecord, Statistics, Time, TreeRoot, name,
};
use restow::id::{ActorId, BaseId, ObjectId, SnapshotId};
use restow::limits::{INDEX_FLUSH_CHUNKS, PACK_TARGET_MIN};
use restow::repo::Repository;

use super::home::Home;
use super::pack::{Block, Pack};
use super::shape::{FOLDERS, Shape, content, frame};
use super::tree::{Node, Nodes};

/// Nights that are made at once.
const BATCH: u64 = 32;
/// One snapshot in this many has a tag.
const TAGGED: u64 = 50;
const DAY: i64 = 86_400;

struct Maker<'r> {
    shape: Shape,
    repository: &'r Repository,
    place: PathBuf,
}

/// What a night stores, but for its catalog's root.
struct Night {
    number: u64,
    packs: Vec<IndexedPack>,
    nodes: Vec<Node>,
    folders: Vec<(u64, Vec<CatalogChild>)>,
}

/// All that a manifest needs to know of it.
struct Stored {
    number: u64,
    writer: ActorId,
    catalog: TreeRoot,
    entries: u64,
}

pub fn make(home: &Home, shape: Shape) {
    let repository = home.create();
    let maker = Maker { shape, repository: &repository, place: home.repository() };
    for byte in 0..=255u8 {
        fs::create_dir_all(maker.place.join(format!("packs/{byte:02x}"))).unwrap();
    }
    for folder in [name::INDEX, name::SNAPSHOTS] {
        fs::create_dir_all(maker.place.join(folder)).unwrap();
    }
    let mut folders = vec![Vec::new(); FOLDERS as usize];
    let (mut parent, mut first) = (None, 0);
    while first < shape.snapshots {
        // The first night is as much as a hundred others.
        let end = if first == 0 { 1 } else { shape.snapshots.min(first + BATCH) };
        let mut nights: Vec<Night> =
            (first..end).into_par_iter().map(|number| maker.night(number)).collect();
        let roots: Vec<TreeRoot> =
            nights.iter_mut().map(|night| maker.root(night, &mut folders)).collect();
        let entries = folders.iter().flatten().map(|leaf| leaf.entries).sum();
        let stored: Vec<Stored> = nights
            .into_par_iter()
            .zip(roots)
            .map(|(night, catalog)| maker.store(night, catalog, entries))
            .collect();
        for night in stored {
            parent = Some(maker.commit(&night, parent));
        }
        first = end;
    }
    home.settle();
}

impl Maker<'_> {
    fn night(&self, number: u64) -> Night {
        let versions = self.shape.stored_by(number);
        let made: Vec<_> = versions.into_par_iter().map(|version| self.version(version)).collect();
        let mut night = Night { number, packs: Vec::new(), nodes: Vec::new(), folders: Vec::new() };
        for (version, packs, nodes, leaves) in made {
            night.packs.extend(packs);
            night.nodes.extend(nodes);
            night.folders.push((version % FOLDERS, leaves));
        }
        night
    }

    fn version(&self, version: u64) -> (u64, Vec<IndexedPack>, Vec<Node>, Vec<CatalogChild>) {
        let mut nodes = Nodes::new(self.repository.vault().keys());
        let leaves = nodes.folder(&self.shape, version);
        let chunks: Vec<u64> = self.shape.chunks_of(version).collect();
        let each = chunks.len().div_ceil(self.shape.packs_each as usize);
        let packs = chunks.chunks(each).map(|chunks| self.data_pack(chunks)).collect();
        (version, packs, nodes.made, leaves)
    }

    fn data_pack(&self, chunks: &[u64]) -> IndexedPack {
        let vault = self.repository.vault();
        let key = vault.keys().chunk_id();
        let mut pack = Pack::new(vault, PackKind::Data);
        for &number in chunks {
            let bytes = content(number);
            let chunk = ChunkRecord { id: chunk_id(key, &bytes), len: bytes.len() as u32 };
            match self.shape.base_of(number) {
                None => pack.add(Block { chunk, codec: Codec::Raw, base: None, coded: &bytes }),
                Some((base, depth)) => {
                    let base = Some((BaseId::of(&chunk_id(key, &content(base))), depth));
                    let coded = &frame(bytes);
                    pack.add(Block { chunk, codec: Codec::ZstdDelta, base, coded });
                }
            }
        }
        self.put_pack(pack)
    }

    fn root(&self, night: &mut Night, folders: &mut [Vec<CatalogChild>]) -> TreeRoot {
        for (folder, leaves) in night.folders.drain(..) {
            folders[folder as usize] = leaves;
        }
        let mut nodes = Nodes::new(self.repository.vault().keys());
        let root = nodes.root(folders);
        night.nodes.extend(nodes.made);
        root
    }

    /// Metadata packs and index objects: all but the manifest.
    fn store(&self, night: Night, catalog: TreeRoot, entries: u64) -> Stored {
        let Night { number, mut packs, nodes, .. } = night;
        let vault = self.repository.vault();
        let mut pack = Pack::new(vault, PackKind::Metadata);
        for (chunk, node) in nodes {
            if pack.len() >= PACK_TARGET_MIN as usize {
                let full = std::mem::replace(&mut pack, Pack::new(vault, PackKind::Metadata));
                packs.push(self.put_pack(full));
            }
            pack.add_node(chunk, &node);
        }
        packs.push(self.put_pack(pack));
        let writer = ActorId::new(codec::random().unwrap());
        let (mut listed, mut chunks) = (Vec::new(), 0);
        for pack in packs {
            chunks += pack.contents.chunk_count();
            listed.push(pack);
            if chunks >= INDEX_FLUSH_CHUNKS {
                self.put_index(writer, std::mem::take(&mut listed));
                chunks = 0;
            }
        }
        if !listed.is_empty() {
            self.put_index(writer, listed);
        }
        Stored { number, writer, catalog, entries }
    }

    fn put_pack(&self, pack: Pack) -> IndexedPack {
        let (bytes, listed) = pack.finish();
        fs::write(self.place.join(name::pack(&listed.id)), bytes).unwrap();
        listed
    }

    fn put_index(&self, writer: ActorId, packs: Vec<IndexedPack>) {
        let record = IndexRecord { writer, packs, replaces: Vec::new(), ext: Vec::new() };
        self.put(ObjectKind::Index, &record, |id| name::index(&ObjectId::new(id)));
    }

    fn put(
        &self,
        kind: ObjectKind,
        record: &impl Record,
        key: impl Fn([u8; 32]) -> String,
    ) -> [u8; 32] {
        let object = self.repository.vault().seal(kind, record).unwrap();
        fs::write(self.place.join(key(object.name)), &object.bytes).unwrap();
        object.name
    }

    fn commit(&self, night: &Stored, parent: Option<SnapshotId>) -> SnapshotId {
        let manifest = self.manifest(night, parent);
        let key = |id| name::snapshot(&SnapshotId::new(id));
        let snapshot = SnapshotId::new(self.put(ObjectKind::Manifest, &manifest, key));
        if night.number.is_multiple_of(TAGGED) {
            let note = Note {
                snapshot,
                fact: NoteFact::Tag("release".into()),
                off: Vec::new(),
                time: manifest.time,
                host: manifest.host,
                user: manifest.user,
                ext: Vec::new(),
            };
            self.repository.put_note(&note).unwrap();
        }
        snapshot
    }

    /// One a day, the last of them yesterday.
    fn manifest(&self, night: &Stored, parent: Option<SnapshotId>) -> Manifest {
        let now = jiff::Timestamp::now().as_second();
        let seconds = now - (self.shape.snapshots - night.number) as i64 * DAY;
        let moment = jiff::Timestamp::from_second(seconds).unwrap();
        let source = SourceRecord {
            kind: "folder".into(),
            url: "/srv/shop/files".into(),
            prefix: EntryPath::root(),
            parent,
            consistency: None,
            properties: Vec::new(),
        };
        let chunks = FOLDERS * self.shape.chunks_each;
        let versions = self.shape.stored_by(night.number);
        let new_chunks = (versions.end - versions.start) * self.shape.chunks_each;
        Manifest {
            kind: ManifestKind::Snapshot,
            name: moment.strftime("files_%Y%m%d_%H%M%S").to_string(),
            description: String::new(),
            time: Time { seconds, nanos: 0 },
            zone_offset: 0,
            zone: "UTC".into(),
            host: "shop-1".into(),
            user: "backup".into(),
            sources: vec![source],
            tags: vec!["nightly".into()],
            permanent: false,
            incomplete: false,
            problems: Vec::new(),
            problem_count: 0,
            git: None,
            tool: "bench".into(),
            writer: night.writer,
            statistics: Statistics {
                entries: night.entries,
                logical_bytes: chunks * 8,
                chunks,
                new_chunks,
                new_bytes: new_chunks * 8,
                ..Statistics::default()
            },
            catalog: night.catalog,
            ext: Vec::new(),
        }
    }
}
