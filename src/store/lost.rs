//! Chunks that turned out to be unreadable while something else was done.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::id::ChunkId;
use crate::limits::LOST_MAX;

/// A reader notes what it could not read; a writer that meets the same bytes stores them again, and so mends
/// every snapshot that refers to them.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// Looked at first: hardly ever is anything lost.
    any: AtomicBool,
    ids: Mutex<HashSet<ChunkId>>,
}

impl Lost {
    pub fn note(&self, id: &ChunkId) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() < LOST_MAX {
            ids.insert(*id);
            self.any.store(true, Ordering::Release);
        }
    }

    /// Whether the chunk is lost. It is not asked for twice: who hears of it stores it.
    pub fn take(&self, id: &ChunkId) -> bool {
        self.any.load(Ordering::Acquire)
            && self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// Whether nothing was ever lost.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    pub fn contains(&self, id: &ChunkId) -> bool {
        self.any.load(Ordering::Acquire)
            && self.ids.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }
}
