//! Parts of packs as they were read: one night's deltas are short and lie side by side, so that one read serves
//! many chains.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use crate::id::PackId;
use crate::index::Location;

use super::{StoreError, StoreReader};

/// Bytes read at once, where more than this lies ahead.
const WINDOW: u32 = 32 * 1024;
/// A block of more than this part of a window is read by itself.
const SHARE: u32 = 4;
/// Packs of which a thread keeps a window: one a link of the longest chains there mostly are.
const PACKS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(47);

pub(super) struct Windows(Mutex<LruCache<PackId, Window>>);

#[derive(Default)]
struct Window {
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
}

impl StoreReader {
    /// Reads a sealed block, and what follows it where that is likely to be wanted next.
    pub(super) fn read_sealed(&self, at: &Location, to: &mut Vec<u8>) -> Result<(), StoreError> {
        let ahead = self.contents().blocks_end(&at.pack).unwrap_or(0).saturating_sub(at.offset);
        let is_small = at.sealed_len <= ahead && at.sealed_len < WINDOW / SHARE;
        let Some(near) = self.near().filter(|_| is_small) else {
            return self.read_run(at, u64::from(at.sealed_len), to);
        };
        let mut windows = near.windows.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.get_or_insert_mut(at.pack, Window::default);
        if window.block(at).is_none() {
            // Nobody takes what is left of a read that failed.
            let mut bytes = std::mem::take(&mut window.bytes);
            self.read_run(at, u64::from(WINDOW.min(ahead)), &mut bytes)?;
            *window = Window { start: at.offset, bytes };
        }
        to.clear();
        to.extend_from_slice(window.block(at).unwrap_or_default());
        Ok(())
    }
}
