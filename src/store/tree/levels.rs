//! The levels above the leaves of a catalog or recipe, built as the leaves come.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::format::{
    CatalogChild, CatalogNode, EntryPath, FormatError, NodeRef, RecipeChild, RecipeNode, TreeRoot,
    encode,
};
use crate::limits::{NODE_MAX, NODE_MIN};
use crate::store::StoreError;
use crate::store::read::reader::StoreReader;
use crate::store::write::writer::StoreWriter;

/// A child of a node; nodes are made of consecutive ones.
pub(in crate::store) trait Branch: Sized {
    /// What the children are sorted by.
    type Place: Ord + Clone;

    fn node(&self) -> NodeRef;
    /// Where what is below it ends, when what is before it ends at `before`.
    fn end(&self, before: Option<&Self::Place>) -> Self::Place;
    /// The children of a stored node.
    fn children(reader: &StoreReader, node: NodeRef) -> Result<Vec<Self>, StoreError>;
    /// About how many bytes it takes in its parent.
    fn size(&self) -> usize;
    /// The node's bytes, and the child that stands for it one level up (its `node` to be filled in).
    fn encode(level: u8, children: Vec<Self>) -> Result<(Vec<u8>, Self), FormatError>;
    fn with_node(self, node: NodeRef) -> Self;
}

/// Node boundaries follow the children's ids, which are keyed hashes: an insertion moves no other boundary.
const NODE_CUT_ONE_IN: u8 = 128;

/// Unfinished nodes, one a level.
pub(in crate::store) struct Levels<B> {
    levels: Vec<Unfinished<B>>,
}

struct Unfinished<B> {
    children: Vec<B>,
    /// About how many bytes they take.
    size: usize,
}

impl<B> Default for Unfinished<B> {
    fn default() -> Self {
        Self { children: Vec::new(), size: 0 }
    }
}

impl<B: Branch> Levels<B> {
    pub fn new() -> Self {
        Self { levels: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Adds a leaf; nodes that become full are put.
    pub fn push(&mut self, writer: &mut StoreWriter, mut child: B) -> Result<(), StoreError> {
        let mut level = 0;
        loop {
            let [first, ..] = *child.node().id.as_bytes();
            if self.levels.len() == level {
                self.levels.push(Unfinished::default());
            }
            let Some(node) = self.levels.get_mut(level) else { return Ok(()) };
            node.size += child.size();
            node.children.push(child);
            let size = node.size;
            let full = size >= NODE_MAX || (size >= NODE_MIN && first % NODE_CUT_ONE_IN == 0);
            if !full || node.children.len() < 2 {
                return Ok(());
            }
            let Unfinished { children, .. } = std::mem::take(node);
            child = put_node(writer, level, children)?;
            level += 1;
        }
    }

    /// Puts what is unfinished; the root. `None` where nothing was ever added.
    pub fn finish(mut self, writer: &mut StoreWriter) -> Result<Option<TreeRoot>, StoreError> {
        let mut level = 0;
        while level < self.levels.len() {
            let top = level + 1 == self.levels.len();
            let Unfinished { children, .. } =
                self.levels.get_mut(level).map(std::mem::take).unwrap_or_default();
            if let (true, [only]) = (top, children.as_slice()) {
                return Ok(Some(TreeRoot { node: only.node(), levels: as_level(level) }));
            }
            if !children.is_empty() {
                let above = put_node(writer, level, children)?;
                if self.levels.len() == level + 1 {
                    self.levels.push(Unfinished::default());
                }
                if let Some(next) = self.levels.get_mut(level + 1) {
                    next.size += above.size();
                    next.children.push(above);
                }
            }
            level += 1;
        }
        Ok(None)
    }
}

fn put_node<B: Branch>(
    writer: &mut StoreWriter,
    level: usize,
    children: Vec<B>,
) -> Result<B, StoreError> {
    let (bytes, above) =
        B::encode(as_level(level + 1), children).map_err(|e| StoreError::format("new node", e))?;
    Ok(above.with_node(writer.put_node(&bytes)?))
}

fn as_level(level: usize) -> u8 {
    // Nodes have two children or more: 64 levels are past any number of entries.
    u8::try_from(level).unwrap_or(u8::MAX)
}

fn sum(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, u64::saturating_add)
}

/// The leaves of an older tree, walked beside a new one: what a new leaf is likely to be much like.
pub(in crate::store) struct OldLeaves<B: Branch> {
    reader: Arc<StoreReader>,
    /// Children still to visit and their level, top level first.
    pending: Vec<(u8, std::vec::IntoIter<B>)>,
    /// The root, where it is a leaf itself.
    only: Option<NodeRef>,
    /// Leaves that end behind what was asked for last.
    ahead: VecDeque<(NodeRef, B::Place)>,
    end: Option<B::Place>,
}

/// Old leaves that one new leaf is coded against, at most: where many of them overlap it, none is like it.
const OLD_LEAVES_MAX: usize = 4;

impl<B: Branch> OldLeaves<B> {
    pub fn new(reader: Arc<StoreReader>, root: TreeRoot) -> Self {
        let (only, pending, ahead) = (None, Vec::new(), VecDeque::new());
        let mut leaves = Self { reader, pending, only, ahead, end: None };
        match root.levels {
            0 => leaves.only = Some(root.node),
            levels => leaves.enter(root.node, levels),
        }
        leaves
    }

    /// The old leaves that hold anything from where the last call left off up to and with `place`, in order.
    pub fn up_to(&mut self, place: &B::Place) -> Vec<NodeRef> {
        let mut found: Vec<NodeRef> = self.only.into_iter().collect();
        while found.len() < OLD_LEAVES_MAX {
            if self.ahead.is_empty() {
                self.read();
            }
            let Some((node, end)) = self.ahead.front() else { break };
            found.push(*node);
            if end >= place {
                break;
            }
            self.ahead.pop_front();
        }
        // The walk goes on where the new one is, however many were left out.
        while self.ahead.front().is_some_and(|(_, end)| end <= place) {
            self.ahead.pop_front();
            if self.ahead.is_empty() {
                self.read();
            }
        }
        found
    }

    /// The next leaf, if there is one that can be found.
    fn read(&mut self) {
        while let Some((level, children)) = self.pending.last_mut() {
            let level = *level;
            let Some(child) = children.next() else {
                self.pending.pop();
                continue;
            };
            if level > 1 {
                self.enter(child.node(), level - 1);
                continue;
            }
            let end = child.end(self.end.as_ref());
            // Leaves ascend. A tree that lies about that could be walked for ever.
            if self.end.as_ref().is_some_and(|before| *before >= end) {
                self.pending.clear();
                return;
            }
            self.end = Some(end.clone());
            self.ahead.push_back((child.node(), end));
            return;
        }
    }

    fn enter(&mut self, node: NodeRef, level: u8) {
        match B::children(&self.reader, node) {
            Ok(children) => self.pending.push((level, children.into_iter())),
            // A damaged parent costs space, nothing more.
            Err(error) => tracing::warn!("part of the parent is no base: {error}"),
        }
    }
}

impl Branch for RecipeChild {
    type Place = u64;

    fn node(&self) -> NodeRef {
        self.node
    }

    fn end(&self, before: Option<&u64>) -> u64 {
        before.copied().unwrap_or(0).saturating_add(self.bytes)
    }

    fn children(reader: &StoreReader, node: NodeRef) -> Result<Vec<Self>, StoreError> {
        Ok(reader.node::<RecipeNode>(node)?.children)
    }

    fn size(&self) -> usize {
        46
    }

    fn encode(level: u8, children: Vec<Self>) -> Result<(Vec<u8>, Self), FormatError> {
        let Some(first) = children.first() else { return Err(no_children(RECIPE)) };
        let above = Self {
            node: first.node,
            refs: sum(children.iter().map(|child| child.refs)),
            bytes: sum(children.iter().map(|child| child.bytes)),
        };
        Ok((encode(&RecipeNode { level, children, ext: Vec::new() })?, above))
    }

    fn with_node(self, node: NodeRef) -> Self {
        Self { node, ..self }
    }
}

impl Branch for CatalogChild {
    type Place = EntryPath;

    fn node(&self) -> NodeRef {
        self.node
    }

    fn end(&self, _: Option<&EntryPath>) -> EntryPath {
        self.last.clone()
    }

    fn children(reader: &StoreReader, node: NodeRef) -> Result<Vec<Self>, StoreError> {
        Ok(reader.node::<CatalogNode>(node)?.children)
    }

    fn size(&self) -> usize {
        44 + self.last.as_bytes().len()
    }

    fn encode(level: u8, children: Vec<Self>) -> Result<(Vec<u8>, Self), FormatError> {
        let (Some(first), Some(last)) = (children.first(), children.last()) else {
            return Err(no_children(CATALOG));
        };
        let above = Self {
            node: first.node,
            entries: sum(children.iter().map(|child| child.entries)),
            last: last.last.clone(),
        };
        Ok((encode(&CatalogNode { level, children, ext: Vec::new() })?, above))
    }

    fn with_node(self, node: NodeRef) -> Self {
        Self { node, ..self }
    }
}

const RECIPE: &str = "recipe node";
const CATALOG: &str = "catalog node";

fn no_children(what: &'static str) -> FormatError {
    FormatError::damaged(what, 0, "children", "none")
}
