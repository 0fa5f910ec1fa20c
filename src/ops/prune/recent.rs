//! Chunks of which something was settled lately.

use crate::id::ChunkId;

/// One slot for each chunk that shares its start with others.
pub(super) struct Recent {
    slots: Vec<[u8; 16]>,
}

/// 4 MiB.
const SLOTS: usize = 1 << 18;

impl Recent {
    pub fn new() -> Self {
        Self { slots: vec![[0; 16]; SLOTS] }
    }

    /// Ids are hashes: no two chunks a repository could hold share the part that is compared.
    fn split(id: &ChunkId) -> (usize, [u8; 16]) {
        let (mut at, mut kept) = (0usize, [0; 16]);
        for (slot, byte) in kept.iter_mut().zip(id.as_bytes()) {
            *slot = *byte;
        }
        for byte in id.as_bytes().iter().skip(28) {
            at = at << 8 | usize::from(*byte);
        }
        (at % SLOTS, kept)
    }

    pub fn has(&self, id: &ChunkId) -> bool {
        let (at, part) = Self::split(id);
        self.slots.get(at) == Some(&part)
    }

    pub fn add(&mut self, id: &ChunkId) {
        let (at, part) = Self::split(id);
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_last_is_there_and_nothing_else() {
        let id = |number: u32| ChunkId::new(*blake3::hash(&number.to_le_bytes()).as_bytes());
        let mut recent = Recent::new();
        for number in 0..2_000_000 {
            recent.add(&id(number));
            assert!(recent.has(&id(number)) && !recent.has(&id(number + 1)));
        }
        // Bounded: most are forgotten.
        let kept = (0..2_000_000).filter(|number| recent.has(&id(*number))).count();
        assert!((100_000..=SLOTS).contains(&kept), "{kept}");
    }
}
