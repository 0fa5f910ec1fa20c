//! Index objects: which packs hold which blocks and chunks.

use serde::{Deserialize, Serialize};

use super::pack::{PackContents, PackKind};
use super::record::{Extension, Record};
use super::{Bytes, FormatError};
use crate::id::{ActorId, ObjectId, PackId};
use crate::limits::{INDEX_MAX, PACK_LEN_MAX};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedPack {
    pub id: PackId,
    pub kind: PackKind,
    /// Bytes of the pack object.
    pub len: u64,
    pub contents: PackContents,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexRecord {
    /// Whose work the packs are. If that writer turns out void, they give no hits.
    pub writer: ActorId,
    pub packs: Vec<IndexedPack>,
    /// Index objects this one stands in for.
    pub replaces: Vec<ObjectId>,
    pub ext: Vec<Extension>,
}

/// The level a compaction coded the plain blocks of these packs with: 4 bytes, little-endian.
const COMPACTED: u32 = 1;

impl IndexRecord {
    pub fn compacted_at(level: i32) -> Extension {
        let value = Bytes::from(&level.to_le_bytes()[..]);
        Extension { tag: COMPACTED, required: false, value }
    }

    /// `None`: they are as their writers coded them.
    pub fn compacted(&self) -> Option<i32> {
        let found = self.ext.iter().find(|field| field.tag == COMPACTED)?;
        Some(i32::from_le_bytes(found.value.0.as_slice().try_into().ok()?))
    }

    /// What a newer restow says of these packs. All of it is optional: a record with anything else does not decode.
    pub fn unknown(&self) -> impl Iterator<Item = &Extension> {
        self.ext.iter().filter(|field| field.tag != COMPACTED)
    }
}

impl Record for IndexRecord {
    const TAG: u8 = 6;
    const WHAT: &'static str = "index";
    const LIMIT: usize = INDEX_MAX;

    fn extensions(&self) -> &[Extension] {
        &self.ext
    }

    fn validate(&self) -> Result<(), FormatError> {
        for pack in &self.packs {
            pack.contents.check(Self::WHAT)?;
            if pack.len > PACK_LEN_MAX || pack.len < pack.contents.blocks_end() {
                let expected = format!("{} to {PACK_LEN_MAX} bytes", pack.contents.blocks_end());
                let found = format!("{} in pack {}", pack.len, pack.id);
                return Err(FormatError::damaged(Self::WHAT, 2, expected, found));
            }
        }
        Ok(())
    }
}
