//! The levels above the leaves of a catalog or recipe, built as the leaves come.

use crate::format::{
    CatalogChild, CatalogNode, FormatError, NodeRef, RecipeChild, RecipeNode, TreeRoot, encode,
};
use crate::limits::{NODE_MAX, NODE_MIN};

use super::{StoreError, StoreWriter};

/// A child of a node; nodes are made of consecutive ones.
pub(super) trait Branch: Sized {
    fn node(&self) -> NodeRef;
    /// About how many bytes it takes in its parent.
    fn size(&self) -> usize;
    /// The node's bytes, and the child that stands for it one level up (its `node` to be filled in).
    fn encode(level: u8, children: Vec<Self>) -> Result<(Vec<u8>, Self), FormatError>;
    fn with_node(self, node: NodeRef) -> Self;
}

/// Node boundaries follow the children's ids, which are keyed hashes: an insertion moves no other boundary.
const NODE_CUT_ONE_IN: u8 = 128;

/// Unfinished nodes, one a level.
pub(super) struct Levels<B> {
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

impl Branch for RecipeChild {
    fn node(&self) -> NodeRef {
        self.node
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
    fn node(&self) -> NodeRef {
        self.node
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
