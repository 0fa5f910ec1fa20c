//! Every block that some snapshot needs, bases of deltas included, found by walking catalogs and recipes. A node is
//! read once, however many snapshots share it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::format::{CatalogLeaf, CatalogNode, NodeRef, Recipe, RecipeLeaf, RecipeNode};
use crate::id::ChunkId;
use crate::index::Location;
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::Root;
use crate::store::{StoreError, check_level};

use super::super::OpError;
use super::keep::Keeper;
use super::packs::{Bits, Pack};

/// Marks what these snapshots need.
pub(super) fn mark(
    keeper: &mut Keeper,
    roots: &[Root],
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<(), OpError> {
    observer.on(Event::Started(Phase::Mark));
    observer.on(Event::Total { bytes: None, items: Some(roots.len() as u64) });
    let mut walk = Walk { keeper, shared: HashSet::new(), lenient: false, cancel };
    for root in roots {
        // What its writer relied on may be gone: it is no promise to anybody. What there is of it stays.
        walk.lenient = root.is_void;
        match walk.catalog(root.catalog.node, root.catalog.levels) {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!("snapshot {}, of a writer taken for dead, is not whole", root.id)
            }
            Err(StoreError::Interrupted) => return Err(OpError::Interrupted),
            Err(error) if error.is_general() => return Err(error.into()),
            Err(source) => return Err(OpError::NotWhole { snapshot: root.id, source }),
        }
        observer.on(Event::Items(1));
    }
    observer.on(Event::Finished(Phase::Mark));
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tree {
    Catalog,
    Recipe,
}

impl Tree {
    fn bits(self, pack: &mut Pack) -> &mut Bits {
        match self {
            Self::Catalog => &mut pack.catalogs,
            Self::Recipe => &mut pack.recipes,
        }
    }
}

struct Walk<'w> {
    keeper: &'w mut Keeper,
    /// Nodes looked at that share a block with others. Writers give each a block of its own.
    shared: HashSet<(ChunkId, Tree)>,
    /// Whether it may go on where something is missing.
    lenient: bool,
    cancel: &'w Cancel,
}

/// Whether everything below was there.
type Whole = Result<bool, StoreError>;

impl Walk<'_> {
    /// Keeps a node and looks at what is below it, unless that was done before.
    fn node(&mut self, node: NodeRef, tree: Tree, below: impl FnOnce(&mut Self) -> Whole) -> Whole {
        if self.cancel.is_cancelled() {
            return Err(StoreError::Interrupted);
        }
        let Some(copy) = self.keeper.keep(&node.id)? else {
            return self.missing(StoreError::MissingChunk { chunk: node.id });
        };
        if self.is_done(node, tree, &copy) {
            return Ok(true);
        }
        let whole = match below(self) {
            Ok(whole) => whole,
            Err(error) => self.missing(error)?,
        };
        if whole {
            self.done(node, tree, &copy);
        }
        Ok(whole)
    }

    fn missing(&self, error: StoreError) -> Whole {
        let goes_on = self.lenient && !error.is_general();
        if goes_on { Ok(false) } else { Err(error) }
    }

    fn is_done(&mut self, node: NodeRef, tree: Tree, copy: &Location) -> bool {
        if copy.chunk_len != copy.raw_len {
            return self.shared.contains(&(node.id, tree));
        }
        let number = self.keeper.packs.find(&copy.pack);
        let pack = number.and_then(|number| self.keeper.packs.get_mut(number));
        pack.is_some_and(|pack| tree.bits(pack).has(copy.ordinal))
    }

    fn done(&mut self, node: NodeRef, tree: Tree, copy: &Location) {
        if copy.chunk_len != copy.raw_len {
            self.shared.insert((node.id, tree));
        } else if let Some(number) = self.keeper.packs.find(&copy.pack)
            && let Some(pack) = self.keeper.packs.get_mut(number)
        {
            tree.bits(pack).add(copy.ordinal);
        }
    }

    /// Depth is bounded by `level`, which each node must confirm.
    fn catalog(&mut self, node: NodeRef, level: u8) -> Whole {
        self.node(node, Tree::Catalog, |walk| {
            let reader = Arc::clone(&walk.keeper.reader);
            let mut whole = true;
            if level > 0 {
                let found = reader.node::<CatalogNode>(node)?;
                check_level(node, level, found.level)?;
                for child in &found.children {
                    whole &= walk.catalog(child.node, level - 1)?;
                }
                return Ok(whole);
            }
            let leaf = reader.node::<CatalogLeaf>(node)?;
            let mut chunks = Vec::new();
            for content in leaf.entries.iter().filter_map(|entry| entry.content.as_ref()) {
                match &content.recipe {
                    Recipe::Inline(refs) => chunks.extend(refs.iter().map(|one| one.id)),
                    Recipe::Tree(root) => whole &= walk.recipe(root.node, root.levels)?,
                }
            }
            Ok(walk.chunks(&chunks)? && whole)
        })
    }

    fn recipe(&mut self, node: NodeRef, level: u8) -> Whole {
        self.node(node, Tree::Recipe, |walk| {
            let reader = Arc::clone(&walk.keeper.reader);
            if level > 0 {
                let found = reader.node::<RecipeNode>(node)?;
                check_level(node, level, found.level)?;
                let mut whole = true;
                for child in &found.children {
                    whole &= walk.recipe(child.node, level - 1)?;
                }
                return Ok(whole);
            }
            let leaf = reader.node::<RecipeLeaf>(node)?;
            let chunks: Vec<ChunkId> = leaf.refs.iter().map(|one| one.id).collect();
            walk.chunks(&chunks)
        })
    }

    fn chunks(&mut self, ids: &[ChunkId]) -> Whole {
        match self.keeper.keep_all(ids)? {
            None => Ok(true),
            Some(chunk) => self.missing(StoreError::MissingChunk { chunk }),
        }
    }
}
