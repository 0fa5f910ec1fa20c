//! Recipes of streams of any length, written and read a node at a time.

use std::sync::Arc;

use crate::format::{
    ChunkRef, Content, NodeRef, Recipe, RecipeChild, RecipeLeaf, RecipeNode, encode,
};
use crate::limits::{INLINE_REFS_MAX, NODE_MAX, NODE_MIN};
use crate::store::StoreError;
use crate::store::delta::old_stream::OldRefs;
use crate::store::read::reader::StoreReader;
use crate::store::write::writer::StoreWriter;

use super::levels::{Levels, OldLeaves};

const REF_LEN: usize = 39;
const LEAF_MIN_REFS: usize = NODE_MIN / REF_LEN;
const LEAF_MAX_REFS: usize = NODE_MAX / REF_LEN;
/// Leaf boundaries follow the chunk ids, which are keyed hashes.
const LEAF_CUT_ONE_IN: u16 = 1024;

/// Takes the references of one stream, in order.
pub struct RecipeBuilder {
    refs: Vec<ChunkRef>,
    len: u64,
    levels: Levels<RecipeChild>,
    old: Option<OldLeaves<RecipeChild>>,
}

impl RecipeBuilder {
    /// `old` is the recipe of the stream as it was.
    pub fn new(reader: &Arc<StoreReader>, old: Option<&Recipe>) -> Self {
        let old = match old {
            Some(Recipe::Tree(root)) => Some(OldLeaves::new(Arc::clone(reader), *root)),
            _ => None,
        };
        Self { refs: Vec::new(), len: 0, levels: Levels::new(), old }
    }

    pub fn push(&mut self, writer: &mut StoreWriter, chunk: ChunkRef) -> Result<(), StoreError> {
        self.refs.push(chunk);
        self.len += u64::from(chunk.len);
        let [a, b, ..] = *chunk.id.as_bytes();
        let marked = u16::from_le_bytes([a, b]) % LEAF_CUT_ONE_IN == 0;
        if self.refs.len() >= LEAF_MAX_REFS || (marked && self.refs.len() >= LEAF_MIN_REFS) {
            self.put_leaf(writer)?;
        }
        Ok(())
    }

    /// The stream is whole.
    pub fn finish(mut self, writer: &mut StoreWriter) -> Result<Content, StoreError> {
        let len = self.len;
        if self.levels.is_empty() && self.refs.len() <= INLINE_REFS_MAX {
            return Ok(Content { len, recipe: Recipe::Inline(self.refs) });
        }
        if !self.refs.is_empty() {
            self.put_leaf(writer)?;
        }
        let recipe = match self.levels.finish(writer)? {
            Some(root) => Recipe::Tree(root),
            None => Recipe::Inline(Vec::new()),
        };
        Ok(Content { len, recipe })
    }

    fn put_leaf(&mut self, writer: &mut StoreWriter) -> Result<(), StoreError> {
        let refs = std::mem::take(&mut self.refs);
        let lineage = refs.last().map(|chunk| chunk.end).unwrap_or_default();
        let (count, bytes) =
            (refs.len() as u64, refs.iter().map(|chunk| u64::from(chunk.len)).sum());
        let leaf = encode(&RecipeLeaf { refs, ext: Vec::new() })
            .map_err(|e| StoreError::format("new recipe leaf", e))?;
        // Where it ends tells roughly which old leaves it takes the place of: they are far longer than most shifts.
        let old = self.old.as_mut().map(|old| old.up_to(&self.len)).unwrap_or_default();
        let node = writer.put_node_after(&leaf, &old, lineage)?;
        self.levels.push(writer, RecipeChild { node, refs: count, bytes })
    }
}

/// Reads the references of one stream, in order, one leaf in memory.
pub struct RecipeCursor {
    reader: Arc<StoreReader>,
    leaf: std::vec::IntoIter<ChunkRef>,
    /// Children still to visit, top level first.
    pending: Vec<std::vec::IntoIter<RecipeChild>>,
    /// The root, until it is read.
    root: Option<NodeRef>,
    root_levels: u8,
    promised: u64,
}

/// Something stored that a recipe needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipePart {
    Node(NodeRef),
    Chunk(ChunkRef),
}

/// A node to be read, and what its parent says of it.
struct Awaited {
    node: NodeRef,
    level: u8,
    /// References and bytes below it; the root's are the entry's.
    total: Option<(u64, u64)>,
}

impl RecipeCursor {
    pub fn new(reader: Arc<StoreReader>, content: &Content) -> Self {
        let (leaf, root, root_levels) = match &content.recipe {
            Recipe::Inline(refs) => (refs.clone(), None, 0),
            Recipe::Tree(root) => (Vec::new(), Some(root.node), root.levels),
        };
        let (leaf, promised) = (leaf.into_iter(), content.len);
        Self { reader, leaf, pending: Vec::new(), root, root_levels, promised }
    }

    /// The next reference. A recipe that gives more or fewer bytes than the entry says is an error.
    pub fn next_ref(&mut self) -> Result<Option<ChunkRef>, StoreError> {
        loop {
            match self.next_part()? {
                Some(RecipePart::Chunk(chunk)) => return Ok(Some(chunk)),
                Some(RecipePart::Node(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next node or reference: everything stored that the recipe needs, nodes before what is below them.
    pub fn next_part(&mut self) -> Result<Option<RecipePart>, StoreError> {
        if let Some(chunk) = self.leaf.next() {
            let len = u64::from(chunk.len);
            self.promised = self
                .promised
                .checked_sub(len)
                .ok_or_else(|| StoreError::damaged(chunk.id, "recipe", "no more bytes", len))?;
            return Ok(Some(RecipePart::Chunk(chunk)));
        }
        if let Some(Awaited { node, level, total }) = self.next_node() {
            if level == 0 {
                let leaf = self.reader.node::<RecipeLeaf>(node)?;
                check_total(node, total, leaf.total())?;
                self.leaf = leaf.refs.into_iter();
            } else {
                let found = self.reader.node::<RecipeNode>(node)?;
                check_level(node, level, found.level)?;
                let below = found.total().map_err(|e| StoreError::format(node.id, e))?;
                check_total(node, total, below)?;
                self.pending.push(found.children.into_iter());
            }
            return Ok(Some(RecipePart::Node(node)));
        }
        match self.promised {
            0 => Ok(None),
            missing => {
                let expected = format!("{missing} more bytes");
                Err(StoreError::damaged("catalog", "recipe", expected, "end"))
            }
        }
    }

    /// The next node to read, and its level. A node's level is how many stand between it and the leaves.
    fn next_node(&mut self) -> Option<Awaited> {
        if let Some(node) = self.root.take() {
            return Some(Awaited { node, level: self.root_levels, total: None });
        }
        while let Some(children) = self.pending.last_mut() {
            if let Some(child) = children.next() {
                let depth = u8::try_from(self.pending.len()).unwrap_or(u8::MAX);
                let level = self.root_levels.saturating_sub(depth);
                let total = Some((child.refs, child.bytes));
                return Some(Awaited { node: child.node, level, total });
            }
            self.pending.pop();
        }
        None
    }
}

/// What a parent says of a recipe node must be so: every reader then walks the same stream.
pub fn check_total(
    node: NodeRef,
    said: Option<(u64, u64)>,
    found: (u64, u64),
) -> Result<(), StoreError> {
    match said {
        Some(said) if said != found => {
            let text = |(refs, bytes)| format!("{bytes} bytes in {refs} references");
            Err(StoreError::damaged(node.id, "recipe", text(said), text(found)))
        }
        _ => Ok(()),
    }
}

/// A node must stand at the level its parent says: no cycle can then be walked for ever.
pub fn check_level(node: NodeRef, expected: u8, found: u8) -> Result<(), StoreError> {
    if expected == found {
        return Ok(());
    }
    Err(StoreError::damaged(node.id, "node", format!("level {expected}"), found))
}

impl OldRefs for RecipeCursor {
    fn next_old(&mut self) -> Option<ChunkRef> {
        // A damaged parent costs space, nothing more.
        self.next_ref().unwrap_or_else(|error| {
            tracing::warn!(
                "new data of this stream is stored without deltas from here on: {error}"
            );
            None
        })
    }
}
