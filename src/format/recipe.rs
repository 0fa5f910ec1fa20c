//! Recipes: the chunk references a stream is rebuilt from, and the nodes long ones are stored in.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::record::{Extension, Record};
use super::tree::check_level;
use super::{FormatError, RecipeChild, TreeRoot};
use crate::cut::CutKind;
use crate::id::ChunkId;
use crate::limits::{CHUNK_MAX_LIMIT, INLINE_REFS_MAX, NODE_LIMIT};

/// One chunk of a stream. 39 bytes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkRef {
    pub id: ChunkId,
    /// 1 to 4 MiB.
    pub len: u32,
    pub cut: CutKind,
    /// Keyed hash of the last 64 bytes: survives edits inside the chunk.
    pub end: [u8; 4],
}

type WireRef = (ChunkId, [u8; 3], [u8; 4]);

impl Serialize for ChunkRef {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let kind: u32 = match self.cut {
            CutKind::Content => 0,
            CutKind::Forced => 1,
            CutKind::End => 2,
        };
        if self.len == 0 || self.len > CHUNK_MAX_LIMIT {
            return Err(serde::ser::Error::custom("chunk length out of range"));
        }
        let [a, b, c, _] = ((self.len - 1) | (kind << 22)).to_le_bytes();
        let wire: WireRef = (self.id, [a, b, c], self.end);
        wire.serialize(to)
    }
}

impl<'de> Deserialize<'de> for ChunkRef {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (id, [a, b, c], end) = WireRef::deserialize(from)?;
        let packed = u32::from_le_bytes([a, b, c, 0]);
        let cut = match packed >> 22 {
            0 => CutKind::Content,
            1 => CutKind::Forced,
            2 => CutKind::End,
            _ => return Err(de::Error::custom("cut kind out of range")),
        };
        Ok(Self { id, len: (packed & (CHUNK_MAX_LIMIT - 1)) + 1, cut, end })
    }
}

/// How a stream is rebuilt: references at hand, or the root of a tree of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recipe {
    Inline(Vec<ChunkRef>),
    Tree(TreeRoot),
}

impl Recipe {
    pub(super) fn check(&self, what: &'static str, len: u64) -> Result<(), FormatError> {
        match self {
            Self::Inline(refs) => {
                let sum: u64 = refs.iter().map(|chunk| u64::from(chunk.len)).sum();
                if refs.len() > INLINE_REFS_MAX {
                    let expected = format!("at most {INLINE_REFS_MAX} references in an entry");
                    Err(FormatError::damaged(what, 2, expected, refs.len()))
                } else if sum != len {
                    Err(FormatError::damaged(what, 2, format!("references to {len} bytes"), sum))
                } else {
                    Ok(())
                }
            }
            Self::Tree(root) => root.check(what),
        }
    }
}

/// Consecutive references of a recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeLeaf {
    pub refs: Vec<ChunkRef>,
    pub ext: Vec<Extension>,
}

impl RecipeLeaf {
    /// References, and the stream bytes they come to.
    pub fn total(&self) -> (u64, u64) {
        let bytes = self.refs.iter().map(|chunk| u64::from(chunk.len)).sum();
        (self.refs.len() as u64, bytes)
    }
}

impl Record for RecipeLeaf {
    const TAG: u8 = 1;
    const WHAT: &'static str = "recipe leaf";
    const LIMIT: usize = NODE_LIMIT;

    fn extensions(&self) -> &[Extension] {
        &self.ext
    }

    fn validate(&self) -> Result<(), FormatError> {
        match self.refs.is_empty() {
            true => Err(FormatError::damaged(Self::WHAT, 2, "references", "none")),
            false => Ok(()),
        }
    }
}

/// A node above recipe leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeNode {
    /// 1 for a node whose children are leaves.
    pub level: u8,
    pub children: Vec<RecipeChild>,
    pub ext: Vec<Extension>,
}

impl RecipeNode {
    /// References below, and the stream bytes they come to.
    pub fn total(&self) -> Result<(u64, u64), FormatError> {
        RecipeChild::total(Self::WHAT, &self.children)
    }
}

impl Record for RecipeNode {
    const TAG: u8 = 2;
    const WHAT: &'static str = "recipe node";
    const LIMIT: usize = NODE_LIMIT;

    fn extensions(&self) -> &[Extension] {
        &self.ext
    }

    fn validate(&self) -> Result<(), FormatError> {
        check_level(Self::WHAT, self.level)?;
        self.total().map(drop)
    }
}
