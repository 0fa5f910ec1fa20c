//! What a snapshot needs: its catalog and recipes walked from the top. Who walks says what is looked at and what is known
//! already; thousands of snapshots share most of their nodes.

use crate::format::{
    CatalogLeaf, CatalogNode, Entry, NodeRef, Recipe, RecipeLeaf, RecipeNode, TreeRoot,
};
use crate::id::ChunkId;
use crate::progress::Cancel;
use crate::store::{StoreError, StoreReader, check_level};

/// Which tree a node belongs to: a chunk of a stream may by chance hold the bytes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Tree {
    Catalog,
    Recipe,
}

/// Who walks.
pub(super) trait Visitor {
    /// Takes note of a node. `None`: nothing below it has to be looked at; else what [`Self::leave`] gets.
    fn enter(
        &mut self,
        node: NodeRef,
        level: u8,
        tree: Tree,
    ) -> Result<Option<Self::Entered>, StoreError>;

    type Entered;

    /// Everything below the node was looked at, and was there.
    fn leave(&mut self, node: NodeRef, tree: Tree, entered: Self::Entered);

    /// Takes note of the chunks of streams that stand together. `false`: some are not there, and that is borne.
    fn chunks(&mut self, ids: &[ChunkId]) -> Result<bool, StoreError>;

    /// Whether the walk goes on beside what is missing.
    fn bears(&self, error: &StoreError) -> bool;
}

/// Walks trees on behalf of a visitor.
pub(super) struct Walk<'w, V> {
    pub visitor: &'w mut V,
    pub reader: &'w StoreReader,
    pub cancel: &'w Cancel,
}

/// Whether everything was there.
type Whole = Result<bool, StoreError>;

impl<V: Visitor> Walk<'_, V> {
    pub fn snapshot(&mut self, catalog: TreeRoot) -> Whole {
        self.catalog(catalog.node, catalog.levels)
    }

    pub fn entry(&mut self, entry: &Entry) -> Whole {
        match entry.content.as_ref().map(|content| &content.recipe) {
            None => Ok(true),
            Some(Recipe::Inline(refs)) => {
                let ids: Vec<ChunkId> = refs.iter().map(|one| one.id).collect();
                self.visitor.chunks(&ids)
            }
            Some(Recipe::Tree(root)) => self.recipe(root.node, root.levels),
        }
    }

    fn node(
        &mut self,
        (node, level, tree): (NodeRef, u8, Tree),
        below: impl FnOnce(&mut Self) -> Whole,
    ) -> Whole {
        if self.cancel.is_cancelled() {
            return Err(StoreError::Interrupted);
        }
        let whole = self.visitor.enter(node, level, tree).and_then(|entered| match entered {
            None => Ok(true),
            Some(entered) => {
                let whole = below(self)?;
                if whole {
                    self.visitor.leave(node, tree, entered);
                }
                Ok(whole)
            }
        });
        match whole {
            Err(error) if self.visitor.bears(&error) => Ok(false),
            whole => whole,
        }
    }

    /// Depth is bounded by `level`, which each node must confirm.
    fn catalog(&mut self, node: NodeRef, level: u8) -> Whole {
        self.node((node, level, Tree::Catalog), |walk| {
            let mut whole = true;
            if level > 0 {
                let found = walk.reader.node::<CatalogNode>(node)?;
                check_level(node, level, found.level)?;
                for child in &found.children {
                    whole &= walk.catalog(child.node, level - 1)?;
                }
                return Ok(whole);
            }
            // The short recipes of a leaf together: they are looked up on all cores.
            let (leaf, mut ids) = (walk.reader.node::<CatalogLeaf>(node)?, Vec::new());
            for content in leaf.entries.iter().filter_map(|entry| entry.content.as_ref()) {
                match &content.recipe {
                    Recipe::Inline(refs) => ids.extend(refs.iter().map(|one| one.id)),
                    Recipe::Tree(root) => whole &= walk.recipe(root.node, root.levels)?,
                }
            }
            Ok(walk.visitor.chunks(&ids)? && whole)
        })
    }

    fn recipe(&mut self, node: NodeRef, level: u8) -> Whole {
        self.node((node, level, Tree::Recipe), |walk| {
            if level > 0 {
                let (found, mut whole) = (walk.reader.node::<RecipeNode>(node)?, true);
                check_level(node, level, found.level)?;
                for child in &found.children {
                    whole &= walk.recipe(child.node, level - 1)?;
                }
                return Ok(whole);
            }
            let leaf = walk.reader.node::<RecipeLeaf>(node)?;
            let ids: Vec<ChunkId> = leaf.refs.iter().map(|one| one.id).collect();
            walk.visitor.chunks(&ids)
        })
    }
}
