//! Buffers that threads fill again and again: what is decoded over and over stays in the core's cache, and memory
//! is neither asked for nor given back for every block.

use std::cell::RefCell;
use std::ops::Deref;

/// Buffers a thread keeps, and how large the largest may be.
const SPARES: usize = 3;
const SPARE_MAX: usize = 1024 * 1024;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes whose memory goes to the thread that has done with them.
#[derive(Debug, Default)]
pub(in crate::store) struct Buffer(Vec<u8>);

impl Buffer {
    /// Room for `len` bytes, and not for many more: whoever keeps it counts what it takes.
    pub fn with_room(len: usize) -> Self {
        let spare = SPARE.with_borrow_mut(|spares| {
            let fits = |spare: &Vec<u8>| spare.capacity() / 2 <= len && spare.capacity() >= len;
            let newest = spares.iter().rposition(fits)?;
            Some(spares.remove(newest))
        });
        Self(spare.unwrap_or_default())
    }

    pub fn as_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.0.capacity() == 0 || self.0.capacity() > SPARE_MAX {
            return;
        }
        let bytes = std::mem::take(&mut self.0);
        // A thread that ends has none any more.
        let _ = SPARE.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() == SPARES {
                spares.remove(0);
            }
            spares.push(bytes);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_filled_again() {
        let mut first = Buffer::with_room(1000);
        first.as_mut().extend_from_slice(&[7; 1000]);
        let place = first.as_ptr();
        drop(first);
        assert_ne!(Buffer::with_room(400).as_ptr(), place, "takes more than twice the room");
        assert_ne!(Buffer::with_room(2000).as_ptr(), place, "too small");
        let again = Buffer::with_room(900);
        assert_eq!(again.as_ptr(), place);
        drop(again);
        (1..=SPARES).for_each(|n| drop(Buffer(Vec::with_capacity(100_000 * n))));
        assert_ne!(Buffer::with_room(900).as_ptr(), place, "the oldest goes");
    }
}
