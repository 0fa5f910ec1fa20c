//! Catalogs of any number of entries, written and read a leaf at a time.

use std::sync::Arc;

use crate::format::{
    CatalogChild, CatalogLeaf, CatalogNode, Content, Entry, EntryKind, EntryPath, NodeRef, Recipe,
    TreeRoot, encode,
};
use crate::limits::{NODE_MAX, NODE_MIN};
use crate::store::StoreError;
use crate::store::read::reader::StoreReader;
use crate::store::write::writer::StoreWriter;

use super::levels::{Levels, OldLeaves};
use super::recipe::check_level;

/// One entry in this many ends a leaf, chosen by a keyed hash of its path.
const LEAF_CUT_ONE_IN: u8 = 128;

/// Takes the entries of a snapshot, sorted by path.
pub struct CatalogBuilder {
    cut_key: [u8; 32],
    entries: Vec<Entry>,
    size: usize,
    last: Option<EntryPath>,
    /// Of the last path, keyed.
    last_hash: [u8; 4],
    levels: Levels<CatalogChild>,
    old: Option<OldLeaves<CatalogChild>>,
}

impl CatalogBuilder {
    /// `old` is the catalog of an older snapshot of the same.
    pub fn new(cut_key: &[u8; 32], reader: &Arc<StoreReader>, old: Option<TreeRoot>) -> Self {
        Self {
            cut_key: *cut_key,
            entries: Vec::new(),
            size: 0,
            last: None,
            last_hash: [0; 4],
            levels: Levels::new(),
            old: old.map(|root| OldLeaves::new(Arc::clone(reader), root)),
        }
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
        let [first, b, c, d, e, ..] = *hash.as_bytes();
        self.last_hash = [b, c, d, e];
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
        let old = self.old.as_mut().map(|old| old.up_to(&last)).unwrap_or_default();
        let node = writer.put_node_after(&leaf, &old, self.last_hash)?;
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

/// What comes next in a catalog.
#[derive(Debug)]
pub enum CatalogItem {
    /// An entry.
    Entry(Entry),
    /// Entries that cannot be read.
    Lost(Lost),
}

/// A stretch of a catalog that cannot be read, as the node above it tells.
#[derive(Debug)]
pub struct Lost {
    /// Number of entries.
    pub entries: u64,
    /// The path of the last of them.
    pub last: EntryPath,
    /// Why they cannot be read.
    pub error: StoreError,
}

/// Reads the entries of a snapshot in order, from any path on.
pub struct CatalogCursor<'a> {
    reader: &'a StoreReader,
    root: TreeRoot,
    started: bool,
    /// Entries before this one are stepped over.
    from: EntryPath,
    leaf: std::vec::IntoIter<Entry>,
    pending: Vec<std::vec::IntoIter<CatalogChild>>,
    /// The entry given last.
    given: Option<EntryPath>,
    /// Where the leaf or the loss that was met last ends. A node that ends no later is not read: so no node
    /// is walked twice, whatever a tree says.
    reached: Option<EntryPath>,
}

impl<'a> CatalogCursor<'a> {
    #[doc(hidden)]
    pub fn new(reader: &'a StoreReader, root: TreeRoot) -> Self {
        Self {
            reader,
            root,
            started: false,
            from: EntryPath::root(),
            leaf: Vec::new().into_iter(),
            pending: Vec::new(),
            given: None,
            reached: None,
        }
    }

    /// The next entry. What is lost is an error; a caller who asks again gets what lies behind it.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, StoreError> {
        match self.next_item()? {
            Some(CatalogItem::Entry(entry)) => Ok(Some(entry)),
            Some(CatalogItem::Lost(lost)) => Err(lost.error),
            None => Ok(None),
        }
    }

    /// The next entry or loss. An error only where nothing can be read on: the root is damaged, or a node
    /// needs a newer restow.
    pub fn next_item(&mut self) -> Result<Option<CatalogItem>, StoreError> {
        self.start()?;
        loop {
            if let Some(entry) = self.leaf.next() {
                if entry.path < self.from {
                    continue;
                }
                self.given = Some(entry.path.clone());
                return Ok(Some(CatalogItem::Entry(entry)));
            }
            let depth = u8::try_from(self.pending.len()).unwrap_or(u8::MAX);
            let Some(children) = self.pending.last_mut() else { return Ok(None) };
            let Some(child) = children.next() else {
                self.pending.pop();
                continue;
            };
            if child.last < self.from {
                continue;
            }
            match self.enter_child(&child, self.root.levels.saturating_sub(depth)) {
                Ok(()) => {}
                Err(error) if error.is_general() => return Err(error),
                Err(error) => {
                    let CatalogChild { entries, last, .. } = child;
                    self.reach(&last);
                    return Ok(Some(CatalogItem::Lost(Lost { entries, last, error })));
                }
            }
        }
    }

    /// Goes on with the first entry at or behind `path`. Reads one node a level.
    pub fn seek(&mut self, path: &EntryPath) -> Result<(), StoreError> {
        *self = Self { from: path.clone(), ..Self::new(self.reader, self.root) };
        self.start()
    }

    fn start(&mut self) -> Result<(), StoreError> {
        if self.started {
            return Ok(());
        }
        self.enter(self.root.node, self.root.levels, None)?;
        self.started = true;
        Ok(())
    }

    fn enter_child(&mut self, child: &CatalogChild, level: u8) -> Result<(), StoreError> {
        behind(child.node, self.reached.as_ref(), Some(&child.last))?;
        self.enter(child.node, level, Some(child))
    }

    /// Reads a node.
    fn enter(
        &mut self,
        node: NodeRef,
        level: u8,
        said: Option<&CatalogChild>,
    ) -> Result<(), StoreError> {
        if level > 0 {
            let found = self.reader.node::<CatalogNode>(node)?;
            check_level(node, level, found.level)?;
            let total = found.total().map_err(|e| StoreError::format(node.id, e))?;
            check_child(said, total, found.children.last().map(|child| &child.last))?;
            self.pending.push(found.children.into_iter());
            return Ok(());
        }
        let entries = self.reader.node::<CatalogLeaf>(node)?.entries;
        let last = entries.last().map(|entry| &entry.path);
        check_child(said, entries.len() as u64, last)?;
        behind(node, self.given.as_ref(), entries.first().map(|entry| &entry.path))?;
        if let Some(last) = last {
            self.reach(last);
        }
        self.leaf = entries.into_iter();
        Ok(())
    }

    fn reach(&mut self, path: &EntryPath) {
        if self.reached.as_ref().is_none_or(|reached| reached < path) {
            self.reached = Some(path.clone());
        }
    }
}

/// Entries ascend across nodes, too.
fn behind(
    node: NodeRef,
    before: Option<&EntryPath>,
    path: Option<&EntryPath>,
) -> Result<(), StoreError> {
    match (before, path) {
        (Some(before), Some(path)) if before >= path => {
            let expected = format!("an entry behind {before:?}");
            Err(StoreError::damaged(node.id, "catalog", expected, format!("{path:?}")))
        }
        _ => Ok(()),
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
