//! References between the nodes of catalogs and recipes.

use serde::{Deserialize, Serialize};

use super::{EntryPath, FormatError};
use crate::id::ChunkId;
use crate::limits::{CHUNK_MAX_LIMIT, NODE_LIMIT, TREE_LEVELS_MAX};

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

impl NodeRef {
    fn check(&self, what: &'static str) -> Result<(), FormatError> {
        if self.len as usize > NODE_LIMIT {
            let expected = format!("a node of at most {NODE_LIMIT} bytes");
            return Err(FormatError::damaged(what, 2, expected, self.len));
        }
        Ok(())
    }
}

impl TreeRoot {
    pub(super) fn check(&self, what: &'static str) -> Result<(), FormatError> {
        if self.levels > TREE_LEVELS_MAX {
            let expected = format!("at most {TREE_LEVELS_MAX} levels");
            return Err(FormatError::damaged(what, 2, expected, self.levels));
        }
        self.node.check(what)
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

impl RecipeChild {
    /// What a node of these children comes to. None of them is empty: a walk gets on with each node.
    pub(super) fn total(what: &'static str, children: &[Self]) -> Result<(u64, u64), FormatError> {
        let mut total = (0u64, 0u64);
        for child in children {
            child.node.check(what)?;
            let most = child.refs.saturating_mul(u64::from(CHUNK_MAX_LIMIT));
            if child.refs == 0 || child.bytes < child.refs || child.bytes > most {
                let found = format!("{} bytes in {} references", child.bytes, child.refs);
                return Err(FormatError::damaged(what, 2, "chunks of 1 byte to 4 MiB", found));
            }
            total = added(what, total, (child.refs, child.bytes))?;
        }
        not_empty(what, children.len())?;
        Ok(total)
    }
}

impl CatalogChild {
    /// Entries below a node of these children: their last paths ascend, and none of them is empty.
    pub(super) fn total(what: &'static str, children: &[Self]) -> Result<u64, FormatError> {
        let mut total = (0u64, 0u64);
        for child in children {
            child.node.check(what)?;
            if child.entries == 0 {
                return Err(FormatError::damaged(what, 2, "a child with entries", "none"));
            }
            total = added(what, total, (child.entries, 0))?;
        }
        for (before, after) in children.iter().zip(children.iter().skip(1)) {
            if before.last >= after.last {
                let found = format!("{:?} before {:?}", before.last, after.last);
                return Err(FormatError::damaged(what, 2, "children sorted by path", found));
            }
        }
        not_empty(what, children.len())?;
        Ok(total.0)
    }
}

fn added(what: &'static str, a: (u64, u64), b: (u64, u64)) -> Result<(u64, u64), FormatError> {
    let sum = a.0.checked_add(b.0).zip(a.1.checked_add(b.1));
    sum.ok_or_else(|| FormatError::damaged(what, 2, "totals below 2^64", "more"))
}

fn not_empty(what: &'static str, children: usize) -> Result<(), FormatError> {
    match children {
        0 => Err(FormatError::damaged(what, 2, "children", "none")),
        _ => Ok(()),
    }
}
