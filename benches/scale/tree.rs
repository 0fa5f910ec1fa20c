//! The metadata of a version of a folder: half of its chunks are one long file, the others many short ones.

use restow::chunk::{chunk_id, end_fingerprint};
use restow::codec::Keys;
use restow::cut::CutKind;
use restow::format::{
    self, Bytes, CatalogChild, CatalogLeaf, CatalogNode, ChunkRecord, ChunkRef, Content, Entry,
    EntryKind, EntryPath, NodeRef, Recipe, RecipeChild, RecipeLeaf, RecipeNode, Record, Time,
    TreeRoot, UnixAttributes,
};
use restow::limits::INLINE_REFS_MAX;

use super::shape::{FOLDERS, Shape, content};

/// References of a recipe's leaf, of a short file, and entries of a catalog's leaf: about what restow cuts.
const LEAF_REFS: usize = 1_440;
const FILE_REFS: usize = 20;
const LEAF_ENTRIES: usize = 100;

/// A node, encoded.
pub type Node = (ChunkRecord, Vec<u8>);

/// Nodes as they are made, children before parents.
pub struct Nodes<'k> {
    keys: &'k Keys,
    pub made: Vec<Node>,
}

impl<'k> Nodes<'k> {
    pub fn new(keys: &'k Keys) -> Self {
        Self { keys, made: Vec::new() }
    }

    fn put(&mut self, node: &impl Record) -> NodeRef {
        let bytes = format::encode(node).unwrap();
        let (id, len) = (chunk_id(self.keys.chunk_id(), &bytes), bytes.len() as u32);
        self.made.push((ChunkRecord { id, len }, bytes));
        NodeRef { id, len }
    }

    /// The leaves of the catalog that are a folder's.
    pub fn folder(&mut self, shape: &Shape, version: u64) -> Vec<CatalogChild> {
        let refs: Vec<ChunkRef> =
            shape.chunks_of(version).map(|chunk| self.reference(chunk)).collect();
        let (long, short) = refs.split_at(refs.len() / 2);
        let name = format!("folder-{:03}", version % FOLDERS);
        let token = Bytes(version.to_le_bytes().repeat(3));
        let mut entries = vec![entry(&name, &token, None)];
        for (number, refs) in short.chunks(FILE_REFS).enumerate() {
            let recipe = Recipe::Inline(refs.to_vec());
            let path = format!("{name}/file-of-some-name-{number:06}");
            entries.push(entry(&path, &token, Some(Content { len: bytes_of(refs), recipe })));
        }
        let content = Content { len: bytes_of(long), recipe: self.recipe(long) };
        entries.push(entry(&format!("{name}/long"), &token, Some(content)));
        let mut leaves = Vec::new();
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(LEAF_ENTRIES));
            let leaf = CatalogLeaf { entries, ext: Vec::new() };
            let last = leaf.entries[leaf.entries.len() - 1].path.clone();
            let count = leaf.entries.len() as u64;
            leaves.push(CatalogChild { node: self.put(&leaf), entries: count, last });
            entries = rest;
        }
        leaves
    }

    fn reference(&self, chunk: u64) -> ChunkRef {
        let bytes = content(chunk);
        ChunkRef {
            id: chunk_id(self.keys.chunk_id(), &bytes),
            len: bytes.len() as u32,
            cut: CutKind::Content,
            end: end_fingerprint(self.keys.fingerprint(), &bytes),
        }
    }

    fn recipe(&mut self, refs: &[ChunkRef]) -> Recipe {
        if refs.len() <= INLINE_REFS_MAX {
            return Recipe::Inline(refs.to_vec());
        }
        let mut children = Vec::new();
        for refs in refs.chunks(LEAF_REFS) {
            let node = self.put(&RecipeLeaf { refs: refs.to_vec(), ext: Vec::new() });
            children.push(RecipeChild { node, refs: refs.len() as u64, bytes: bytes_of(refs) });
        }
        if let [only] = children.as_slice() {
            return Recipe::Tree(TreeRoot { node: only.node, levels: 0 });
        }
        let node = self.put(&RecipeNode { level: 1, children, ext: Vec::new() });
        Recipe::Tree(TreeRoot { node, levels: 1 })
    }

    /// The root of a catalog of all folders.
    pub fn root(&mut self, folders: &[Vec<CatalogChild>]) -> TreeRoot {
        let node = CatalogNode { level: 1, children: folders.concat(), ext: Vec::new() };
        TreeRoot { node: self.put(&node), levels: 1 }
    }
}

fn bytes_of(refs: &[ChunkRef]) -> u64 {
    refs.iter().map(|chunk| u64::from(chunk.len)).sum()
}

fn entry(path: &str, token: &Bytes, content: Option<Content>) -> Entry {
    let unix = UnixAttributes {
        mode: 0o640,
        uid: 1000,
        gid: 1000,
        user: "somebody".into(),
        group: "everybody".into(),
        mtime: Time { seconds: 1_700_000_000, nanos: 123_456_789 },
        ..UnixAttributes::default()
    };
    Entry {
        path: EntryPath::new(path).unwrap(),
        kind: if content.is_some() { EntryKind::File } else { EntryKind::Directory },
        unix: Some(unix),
        token: token.clone(),
        content,
        properties: Vec::new(),
        ext: Vec::new(),
    }
}
