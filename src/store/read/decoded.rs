//! Blocks that were decoded, and what is made of them for the next.

use std::ops::Range;
use std::sync::Arc;

use crate::id::PackId;
use crate::index::Location;

use super::buffer::Buffer;

/// Where a block lies: pack and number.
pub(in crate::store) type Place = (PackId, u32);

pub(in crate::store) fn place(at: &Location) -> Place {
    (at.pack, at.ordinal)
}

/// A decoded block: authenticated, but whether its chunks are what they are called nobody has looked.
#[derive(Clone)]
pub(in crate::store) struct Decoded {
    pub bytes: Arc<Buffer>,
    pub effort: Effort,
}

/// What it takes to decode a block when nothing of its chain is in a cache.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::store) struct Effort {
    /// In the measure of [`CHAIN_WORK_MAX`](crate::limits::CHAIN_WORK_MAX).
    pub work: u64,
    /// In that of [`CHAIN_HELD_MAX`](crate::limits::CHAIN_HELD_MAX).
    pub held: u64,
}

/// Bases, one after the other.
#[derive(Default)]
pub(in crate::store) enum Prefix {
    #[default]
    None,
    /// Part of a block, where it lies: mostly a block has one base.
    Part(Arc<Buffer>, Range<usize>),
    Joined(Vec<u8>),
}

impl Prefix {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Part(block, range) => block.get(range.clone()).unwrap_or_default(),
            Self::Joined(bytes) => bytes,
        }
    }

    pub fn held(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Part(block, _) => block.len() as u64,
            Self::Joined(bytes) => bytes.len() as u64,
        }
    }

    pub fn push(&mut self, block: Arc<Buffer>, range: Range<usize>) {
        match self {
            Self::None => *self = Self::Part(block, range),
            Self::Part(same, before) if Arc::ptr_eq(same, &block) && before.end == range.start => {
                before.end = range.end;
            }
            _ => {
                let part = block.get(range).unwrap_or_default();
                let mut bytes = match std::mem::take(self) {
                    Self::Joined(bytes) => bytes,
                    other => Vec::from(other.bytes()),
                };
                bytes.extend_from_slice(part);
                *self = Self::Joined(bytes);
            }
        }
    }
}
