//! Catalogs of any number of entries, written and read a leaf at a time.

use crate::format::{
    CatalogChild, CatalogLeaf, CatalogNode, Content, Entry, EntryKind, EntryPath, NodeRef, Recipe,
    TreeRoot, encode,
};
use crate::limits::{NODE_MAX, NODE_MIN};

use super::recipe::check_level;
use super::tree::Levels;
use super::{StoreError, StoreReader, StoreWriter};

/// One entry in this many ends a leaf, chosen by a keyed hash of its path.
const LEAF_CUT_ONE_IN: u8 = 128;

/// Takes the entries of a snapshot, sorted by path.
pub struct CatalogBuilder {
    cut_key: [u8; 32],
    entries: Vec<Entry>,
    size: usize,
    last: Option<EntryPath>,
    levels: Levels<CatalogChild>,
}

impl CatalogBuilder {
    pub fn new(cut_key: &[u8; 32]) -> Self {
        Self { cut_key: *cut_key, entries: Vec::new(), size: 0, last: None, levels: Levels::new() }
    }

    pub fn push(&mut self, writer: &mut StoreWriter, entry: Entry) -> Result<(), StoreError> {
        if let Some(last) = &self.last
            && *last >= entry.path
        {
            let (path, after) = (entry.path.display(), last.display());
            return Err(StoreError::Unsorted { path, after });
        }
        let size = size_of(&entry);
        if !self.entries.is_empty() && self.size + size > NODE_MAX {
            self.put_leaf(writer)?;
        }
        let hash = blake3::keyed_hash(&self.cut_key, entry.path.as_bytes());
        let [first, ..] = *hash.as_bytes();
        self.last = Some(entry.path.clone());
        self.entries.push(entry);
        self.size += size;
        if self.size >= NODE_MIN && first % LEAF_CUT_ONE_IN == 0 {
            self.put_leaf(writer)?;
        }
        Ok(())
    }

    /// Every entry was pushed.
    pub fn finish(mut self, writer: &mut StoreWriter) -> Result<TreeRoot, StoreError> {
        if !self.entries.is_empty() || self.levels.is_empty() {
            self.put_leaf(writer)?;
        }
        let root = self.levels.finish(writer)?;
        root.ok_or_else(|| StoreError::damaged("new catalog", "catalog", "a root", "none"))
    }

    fn put_leaf(&mut self, writer: &mut StoreWriter) -> Result<(), StoreError> {
        let entries = std::mem::take(&mut self.entries);
        self.size = 0;
        let (count, last) = (entries.len() as u64, self.last.clone().unwrap_or_default());
        let leaf = encode(&CatalogLeaf { entries, ext: Vec::new() })
            .map_err(|e| StoreError::format("new catalog leaf", e))?;
        let node = writer.put_node(&leaf)?;
        self.levels.push(writer, CatalogChild { node, entries: count, last })
    }
}

/// About how many bytes an entry takes in its leaf.
fn size_of(entry: &Entry) -> usize {
    let unix = entry.unix.as_ref().map_or(0, |unix| {
        let xattrs = unix.xattrs.iter().map(|xattr| xattr.name.len() + xattr.value.len() + 4);
        30 + unix.user.len() + unix.group.len() + xattrs.sum::<usize>()
    });
    let refs = match &entry.content {
        Some(Content { recipe: Recipe::Inline(refs), .. }) => refs.len(),
        _ => 1,
    };
    let kind = match &entry.kind {
        EntryKind::Symlink { target } => target.len(),
        EntryKind::Stream { class } => class.len(),
        _ => 0,
    };
    let properties = entry.properties.iter().map(|p| p.name.len() + p.value.len() + 4);
    8 + entry.path.as_bytes().len()
        + kind
        + unix
        + entry.token.len()
        + refs * 39
        + properties.sum::<usize>()
}

/// Reads the entries of a snapshot in order, from any path on.
pub struct CatalogCursor<'a> {
    reader: &'a StoreReader,
    root: TreeRoot,
    started: bool,
    leaf: std::iter::Peekable<std::vec::IntoIter<Entry>>,
    pending: Vec<std::vec::IntoIter<CatalogChild>>,
    last: Option<EntryPath>,
}

impl<'a> CatalogCursor<'a> {
    pub fn new(reader: &'a StoreReader, root: TreeRoot) -> Self {
        let leaf = Vec::new().into_iter().peekable();
        Self { reader, root, started: false, leaf, pending: Vec::new(), last: None }
    }

    pub fn next_entry(&mut self) -> Result<Option<Entry>, StoreError> {
        if !self.started {
            self.started = true;
            self.enter(self.root.node, None, self.root.levels, None)?;
        }
        self.fill()?;
        let Some(entry) = self.leaf.next() else { return Ok(None) };
        // Across leaves too: a tree that names a leaf twice would otherwise be walked for ever.
        if let Some(last) = self.last.take_if(|last| *last >= entry.path) {
            let expected = format!("an entry behind {last:?}");
            let found = format!("{:?}", entry.path);
            return Err(StoreError::damaged("catalog", "catalog", expected, found));
        }
        self.last = Some(entry.path.clone());
        Ok(Some(entry))
    }

    /// Goes on with the first entry at or behind `path`. Reads one node a level.
    pub fn seek(&mut self, path: &EntryPath) -> Result<(), StoreError> {
        self.started = true;
        self.last = None;
        self.pending.clear();
        self.leaf = Vec::new().into_iter().peekable();
        self.enter(self.root.node, None, self.root.levels, Some(path))?;
        while self.leaf.next_if(|entry| entry.path < *path).is_some() {}
        Ok(())
    }

    /// Reads nodes until the current leaf has an entry, or there is none left.
    fn fill(&mut self) -> Result<(), StoreError> {
        while self.leaf.peek().is_none() {
            let Some(children) = self.pending.last_mut() else { return Ok(()) };
            match children.next() {
                Some(child) => {
                    let above = u8::try_from(self.pending.len()).unwrap_or(u8::MAX);
                    let level = self.root.levels.saturating_sub(above);
                    self.enter(child.node, Some(child), level, None)?;
                }
                None => drop(self.pending.pop()),
            }
        }
        Ok(())
    }

    /// Reads a node and, with a path to seek, what lies on the way down to it.
    fn enter(
        &mut self,
        mut node: NodeRef,
        mut said: Option<CatalogChild>,
        mut level: u8,
        seek: Option<&EntryPath>,
    ) -> Result<(), StoreError> {
        while level > 0 {
            let found = self.reader.node::<CatalogNode>(node)?;
            check_level(node, level, found.level)?;
            let total = found.total().map_err(|e| StoreError::format(node.id, e))?;
            check_child(said.as_ref(), total, found.children.last().map(|child| &child.last))?;
            let mut children = found.children;
            if let Some(path) = seek {
                let before = children.partition_point(|child| child.last < *path);
                children.drain(..before);
            }
            let mut children = children.into_iter();
            let next = match seek {
                Some(_) => children.next(),
                None => None,
            };
            self.pending.push(children);
            match next {
                Some(child) => {
                    node = child.node;
                    said = Some(child);
                }
                None => return Ok(()),
            }
            level -= 1;
        }
        let entries = self.reader.node::<CatalogLeaf>(node)?.entries;
        check_child(said.as_ref(), entries.len() as u64, entries.last().map(|entry| &entry.path))?;
        self.leaf = entries.into_iter().peekable();
        Ok(())
    }
}

/// What a parent says of a catalog node must be so. Children's last paths ascend and none is empty, so
/// no walk can be made longer than what is stored. An empty leaf can only be a root.
pub fn check_child(
    said: Option<&CatalogChild>,
    entries: u64,
    last: Option<&EntryPath>,
) -> Result<(), StoreError> {
    match said {
        Some(said) if said.entries != entries || Some(&said.last) != last => {
            let expected = format!("{} entries up to {:?}", said.entries, said.last);
            let found = format!("{entries} up to {:?}", last.cloned().unwrap_or_default());
            Err(StoreError::damaged(said.node.id, "catalog node", expected, found))
        }
        _ => Ok(()),
    }
}
