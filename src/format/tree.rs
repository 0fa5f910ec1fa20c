//! References between the nodes of catalogs and recipes.

use serde::{Deserialize, Serialize};

use super::{EntryPath, FormatError};
use crate::id::ChunkId;
use crate::limits::{NODE_LIMIT, TREE_LEVELS_MAX};

/// A node: a metadata chunk and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NodeRef {
    pub id: ChunkId,
    pub len: u32,
}

/// The top of a tree. With `levels` 0 the root is itself a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TreeRoot {
    pub node: NodeRef,
    pub levels: u8,
}

impl TreeRoot {
    pub(super) fn check(&self, what: &'static str) -> Result<(), FormatError> {
        if self.levels > TREE_LEVELS_MAX {
            let expected = format!("at most {TREE_LEVELS_MAX} levels");
            return Err(FormatError::damaged(what, 2, expected, self.levels));
        }
        if self.node.len as usize > NODE_LIMIT {
            let expected = format!("a node of at most {NODE_LIMIT} bytes");
            return Err(FormatError::damaged(what, 2, expected, self.node.len));
        }
        Ok(())
    }
}

/// The level a node above leaves may claim.
pub(super) fn check_level(what: &'static str, level: u8) -> Result<(), FormatError> {
    if level == 0 || level > TREE_LEVELS_MAX {
        let expected = format!("level 1 to {TREE_LEVELS_MAX}");
        return Err(FormatError::damaged(what, 2, expected, level));
    }
    Ok(())
}

/// A child of a recipe node: the references and stream bytes below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeChild {
    pub node: NodeRef,
    pub refs: u64,
    pub bytes: u64,
}

/// A child of a catalog node: the entries below it and the last of their paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogChild {
    pub node: NodeRef,
    pub entries: u64,
    pub last: EntryPath,
}
