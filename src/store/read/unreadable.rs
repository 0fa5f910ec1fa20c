//! Chunks that turned out to be unreadable while something else was done.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::id::ChunkId;
use crate::limits::LOST_MAX;

/// A reader notes what it could not read; a writer that meets the same bytes stores them again, and so mends
/// every snapshot that refers to them.
#[derive(Debug, Default)]
pub(in crate::store) struct UnreadableChunks {
    /// How often something was, or was taken. Looked at first: hardly ever is anything lost.
    times: AtomicU64,
    ids: Mutex<HashSet<ChunkId>>,
}

impl UnreadableChunks {
    pub fn note(&self, id: &ChunkId) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() < LOST_MAX && ids.insert(*id) {
            self.times.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether the chunk is lost. It is not asked for twice: who hears of it stores it.
    pub fn take(&self, id: &ChunkId) -> bool {
        let is_lost =
            !self.is_empty() && self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.times.fetch_add(u64::from(is_lost), Ordering::Release);
        is_lost
    }

    /// Whether nothing was ever lost.
    pub fn is_empty(&self) -> bool {
        self.times() == 0
    }

    /// Changes whenever what is lost does.
    pub fn times(&self) -> u64 {
        self.times.load(Ordering::Acquire)
    }

    pub fn contains(&self, id: &ChunkId) -> bool {
        !self.is_empty() && self.ids.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }
}
