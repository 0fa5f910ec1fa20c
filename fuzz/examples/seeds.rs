//! Writes the seed corpus: one good example or more for every target. `cargo run --release --example seeds` in `fuzz/`.

use std::collections::BTreeMap;
use std::path::Path;

use restow::codec::KdfCost;
use restow::format::*;
use restow::id::*;
use restow::repo::{CreateOptions, Identity, OpenOptions, Repository, create};
use restow::storage::{Key, Memory, Storage};

fn put(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&folder).expect("a corpus folder");
    std::fs::write(folder.join(name), bytes).expect("a seed");
}

fn chunk_ref(byte: u8) -> ChunkRef {
    ChunkRef {
        id: ChunkId::new([byte; 32]),
        len: 70_000,
        cut: restow::cut::CutKind::Content,
        end: [byte; 4],
    }
}

fn node(byte: u8) -> NodeRef {
    NodeRef { id: ChunkId::new([byte; 32]), len: 9000 }
}

fn entry(path: &str, kind: EntryKind, recipe: Option<Recipe>) -> Entry {
    let unix = UnixAttributes {
        mode: 0o644,
        user: "root".into(),
        mtime: Time { seconds: -5, nanos: 7 },
        xattrs: vec![Xattr { name: b"user.a".to_vec().into(), value: b"b".to_vec().into() }],
        link: Some(LinkGroup { device: 1, inode: 2, names: 3 }),
        ..UnixAttributes::default()
    };
    Entry {
        path: EntryPath::new(path).expect("a good path"),
        kind,
        unix: Some(unix),
        token: vec![1; 16].into(),
        content: recipe.map(|recipe| Content { len: 140_000, recipe }),
        properties: vec![Property { name: "rows".into(), value: b"7".to_vec().into() }],
        ext: vec![Extension { tag: 1, required: false, value: vec![2].into() }],
    }
}

fn contents() -> PackContents {
    let chunks = vec![ChunkRecord { id: ChunkId::new([4; 32]), len: 100 }];
    let plain = BlockRecord {
        sealed_len: 60,
        codec: Codec::Zstd,
        depth: 0,
        bases: vec![],
        chunks: chunks.clone(),
    };
    let bases = vec![BaseRef { base: 0, skip: 3, len: 90 }];
    let delta = BlockRecord { sealed_len: 40, codec: Codec::ZstdDelta, depth: 1, bases, chunks };
    PackContents { bases: vec![BaseId::new([5; 16])], blocks: vec![plain, delta] }
}

fn trees() {
    let refs = vec![chunk_ref(1), chunk_ref(2)];
    let leaf = RecipeLeaf { refs: refs.clone(), ext: vec![] };
    put("recipe_leaf", "two", &encode(&leaf).expect("encodes"));
    let children = vec![RecipeChild { node: node(1), refs: 5, bytes: 6 }];
    put(
        "recipe_node",
        "one",
        &encode(&RecipeNode { level: 1, children, ext: vec![] }).expect("encodes"),
    );
    let entries = vec![
        entry("", EntryKind::Directory, None),
        entry("a", EntryKind::File, Some(Recipe::Inline(refs))),
        entry("a/b", EntryKind::Symlink { target: b"c".to_vec().into() }, None),
        entry(
            "c",
            EntryKind::Stream { class: "table".into() },
            Some(Recipe::Tree(TreeRoot { node: node(3), levels: 2 })),
        ),
        entry("d", EntryKind::CharDevice { major: 1, minor: 3 }, None),
    ];
    put("catalog_leaf", "five", &encode(&CatalogLeaf { entries, ext: vec![] }).expect("encodes"));
    let child = |byte, last: &str| CatalogChild {
        node: node(byte),
        entries: 3,
        last: EntryPath::new(last).expect("good"),
    };
    let children = vec![child(1, "a"), child(2, "b/c")];
    put(
        "catalog_node",
        "two",
        &encode(&CatalogNode { level: 1, children, ext: vec![] }).expect("encodes"),
    );
    put("path", "deep", b"a/b c/\xff\n");
}

fn records() {
    put(
        "trailer",
        "delta",
        &encode(&Trailer { contents: contents(), ext: vec![] }).expect("encodes"),
    );
    let pack = IndexedPack {
        id: PackId::new([6; 32]),
        kind: PackKind::Data,
        len: 400,
        contents: contents(),
    };
    let index = IndexRecord {
        writer: ActorId::new([1; 16]),
        packs: vec![pack],
        replaces: vec![ObjectId::new([2; 32])],
        ext: vec![],
    };
    put("index", "one", &encode(&index).expect("encodes"));
    let facts = [
        NoteFact::Tag("x".into()),
        NoteFact::Off,
        NoteFact::Drill { passed: true, report: "fine".into() },
    ];
    for (number, fact) in facts.into_iter().enumerate() {
        let note = Note {
            snapshot: SnapshotId::new([1; 32]),
            fact,
            off: vec![ObjectId::new([3; 32])],
            time: Time::default(),
            host: "h".into(),
            user: "u".into(),
            ext: vec![],
        };
        put("note", &number.to_string(), &encode(&note).expect("encodes"));
        sealed(3, ObjectKind::Note, &number.to_string(), &encode(&note).expect("encodes"));
    }
    let actor = ActorRecord {
        id: ActorId::new([1; 16]),
        role: ActorRole::Writer,
        started: Time::default(),
        host: "h".into(),
        user: "u".into(),
        process: 7,
        boot: "b".into(),
        process_start: 9,
        tool: "t".into(),
        ext: vec![],
    };
    put("actor", "one", &encode(&actor).expect("encodes"));
    for (name, what) in [
        ("packs", Condemnation::Packs(vec![PackId::new([1; 32])])),
        (
            "waiting",
            Condemnation::Waiting {
                condemned: ObjectId::new([2; 32]),
                writers: vec![ActorId::new([1; 16])],
            },
        ),
    ] {
        let record = CondemnedRecord { prune: ActorId::new([2; 16]), what, ext: vec![] };
        put("condemned", name, &encode(&record).expect("encodes"));
    }
    let mut frame = vec![0xb8, 0x0b, 0];
    let mut coded = Vec::new();
    restow::codec::compress(3, &[b'x'; 3000], &mut coded).expect("compresses");
    frame.extend_from_slice(&coded);
    put("zstd", "run", &frame);
    // 300 bytes of rows, 40 times over, and eight edits.
    let rows = b"(100,'paid',20),\n(101,'open',7),".repeat(10);
    let edits: Vec<u8> = (0..32u8).map(|n| n.wrapping_mul(71)).collect();
    put("delta", "rows", &[&[232, 39, 1], &rows[..], &edits].concat());
    put("delta", "strangers", &[&[128, 0, 0], &rows[..], &edits].concat());
}

/// Objects of a real repository: its keys, config, packs and manifest.
fn repository() {
    let storage = Memory::new();
    let secret = restow::codec::Secret::Passphrase("fuzz".into());
    let identity = Identity::of_this_process();
    let kdf = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
    create(&storage, &secret, &CreateOptions::default().kdf(kdf), &identity)
        .expect("creates");
    let get = |key: &str| storage.get(&Key::new(key).expect("good"), 1 << 20).expect("reads");
    put("marker", "new", &get("restow.json"));
    let mut keys = BTreeMap::new();
    let mut each = |listed: restow::storage::Listed| {
        keys.insert(listed.key, listed.len);
    };
    storage.list(&Key::new("keys").expect("good"), &mut each).expect("lists");
    let key = get(keys.keys().next().expect("one key").as_str());
    put("key", "passphrase", &key[HEADER_LEN..]);
    put("header", "key", &key[..HEADER_LEN]);
    let opened =
        Repository::open(std::sync::Arc::new(storage), &secret, identity, OpenOptions::default())
            .expect("opens");
    put("config", "new", &encode(opened.config()).expect("encodes"));
    let footer = Footer { codec: 1, raw_len: 100, sealed_len: 60 };
    put("footer", "small", &footer.encode());
    let manifest = Manifest {
        kind: ManifestKind::Snapshot,
        name: "n".into(),
        description: "d".into(),
        time: Time::default(),
        zone_offset: -3600,
        zone: "z".into(),
        host: "h".into(),
        user: "u".into(),
        sources: vec![SourceRecord {
            kind: "folder".into(),
            url: "/a".into(),
            prefix: EntryPath::root(),
            parent: Some(SnapshotId::new([1; 32])),
            consistency: Some(Consistency { kind: "lsn".into(), value: "1".into() }),
            properties: vec![("a".into(), "b".into())],
        }],
        tags: vec!["t".into()],
        permanent: true,
        incomplete: true,
        problems: vec![Problem { path: b"p".to_vec().into(), message: "m".into() }],
        problem_count: 1,
        git: Some(GitState { commit: "c".into(), branch: None }),
        tool: "t".into(),
        writer: ActorId::new([1; 16]),
        statistics: Statistics::default(),
        catalog: TreeRoot { node: node(1), levels: 0 },
        ext: vec![],
    };
    put("manifest", "full", &encode(&manifest).expect("encodes"));
    let log = ManifestKind::Log {
        log: "binlog".into(),
        from: vec![1].into(),
        to: vec![2].into(),
        from_time: Time::default(),
        to_time: Time::default(),
    };
    put("manifest", "log", &encode(&Manifest { kind: log, ..manifest }).expect("encodes"));
    packs();
}

/// A sealed object whole, and as what the target seals itself.
fn sealed(number: u8, kind: ObjectKind, name: &str, plain: &[u8]) {
    let vault = restow_fuzz::vault();
    let whole = restow_fuzz::seal(&vault, kind, Codec::Raw as u8, plain.len() as u32, plain);
    put("sealed", &format!("{name}_whole"), &[&[number, 0], &*whole].concat());
    let raw_len = (plain.len() as u32).to_le_bytes();
    put("sealed", &format!("{name}_raw"), &[&[number, 1, 0], &raw_len[..], plain].concat());
    let mut coded = Vec::new();
    restow::codec::compress(3, plain, &mut coded).expect("compresses");
    put("sealed", &format!("{name}_zstd"), &[&[number, 1, 1], &raw_len[..], &coded].concat());
}

fn packs() {
    let trailer = encode(&Trailer { contents: contents(), ext: vec![] }).expect("encodes");
    put("trailer", "two_blocks", &trailer);
    let raw_len = (trailer.len() as u32).to_le_bytes();
    // Kind 0, mode 1, 900 bytes of blocks, raw codec, then place and change.
    let front = [&[0, 1, 0x84, 0x03, 0][..], &raw_len].concat();
    put("pack", "as_it_is", &[&front[..], &[0, 0, 0], &trailer].concat());
    put("pack", "header_changed", &[&front[..], &[9, 0, 1], &trailer].concat());
    put("pack", "block_changed", &[&front[..], &[99, 0, 1], &trailer].concat());

    let text = b"a line of text, and again a line of text, and once more a line of text".as_slice();
    let (mut plain, mut delta) = (Vec::new(), Vec::new());
    restow::codec::compress(3, text, &mut plain).expect("compresses");
    restow::codec::compress_against(3, text, text, &mut delta).expect("compresses");
    let len = |bytes: &[u8]| (bytes.len() as u16).to_le_bytes();
    // Codec, depth, chunks less one, their lengths; for a delta skip, length and name; coded bytes.
    let raw = [&[0, 0, 0][..], &len(text), &len(text), text].concat();
    let coded = [&[1, 0, 0][..], &len(text), &len(&plain), &plain].concat();
    let against =
        [&[2, 1, 0][..], &len(text), &[0], &len(text), &[0], &len(&delta), &delta].concat();
    put("blocks", "raw", &[&[0], &raw[..]].concat());
    put("blocks", "zstd", &[&[1], &coded[..]].concat());
    put("blocks", "all", &[&[0], &raw[..], &coded, &against].concat());
}

fn main() {
    trees();
    records();
    repository();
}
