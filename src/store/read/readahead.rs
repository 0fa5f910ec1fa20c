//! Parts of packs as they were read: one night's deltas are short and lie side by side, so that one read serves
//! many chains.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::id::PackId;
use crate::index::Location;

use super::packs::SealedPacks;

/// Bytes read at once, where more than this lies ahead.
const WINDOW: u32 = 32 * 1024;
/// A block of more than this part of a window is read by itself.
const SHARE: u32 = 4;
/// Packs of which a thread keeps a window: one a link of the longest chains there mostly are.
const PACKS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(47);

pub(in crate::store) struct Windows(Mutex<LruCache<PackId, Window>>);

#[derive(Default)]
pub(in crate::store) struct Window {
    start: u32,
    bytes: Vec<u8>,
}

impl Window {
    fn block(&self, at: &Location) -> Option<&[u8]> {
        let from = at.offset.checked_sub(self.start)? as usize;
        self.bytes.get(from..from + at.sealed_len as usize)
    }
}

impl Windows {
    pub fn new() -> Self {
        Self(Mutex::new(LruCache::new(PACKS)))
    }

    pub fn lock(&self) -> MutexGuard<'_, LruCache<PackId, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sealed block from what was read of its pack, or read with what follows it before the end of the blocks, if
    /// that is likely to be wanted next. `false`: it has to be read by itself.
    pub fn read(
        &self,
        packs: &SealedPacks,
        blocks_end: u32,
        at: &Location,
        to: &mut Vec<u8>,
    ) -> bool {
        let ahead = blocks_end.saturating_sub(at.offset);
        if at.sealed_len > ahead || at.sealed_len >= WINDOW / SHARE {
            return false;
        }
        // Taken out while it is read: storage may be slow, and others need theirs.
        let window = self.lock().pop(&at.pack);
        let mut window = window.unwrap_or_default();
        if window.block(at).is_none() {
            // Anything unreadable ahead is no matter of this block.
            let read = packs.read_run(at, u64::from(WINDOW.min(ahead)), &mut window.bytes);
            if read.is_err() {
                return false;
            }
            window.start = at.offset;
        }
        to.clear();
        to.extend_from_slice(window.block(at).unwrap_or_default());
        self.lock().put(at.pack, window);
        true
    }
}
