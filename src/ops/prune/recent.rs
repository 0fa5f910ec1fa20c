//! Chunks of which something was settled lately.

use crate::id::BaseId;

/// One slot for each chunk that shares its start with others.
pub(super) struct Recent {
    names: Vec<[u8; 16]>,
    /// With a bit for those that are needed for their own sake.
    depths: Vec<u8>,
}

const DIRECT: u8 = 0x80;

/// 34 MiB, which a system gives as it is used.
const SLOTS: usize = 1 << 21;

impl Recent {
    pub fn new() -> Self {
        Self { names: vec![[0; 16]; SLOTS], depths: vec![0; SLOTS] }
    }

    /// Names are parts of hashes: their own bytes say where to look.
    fn slot(name: &BaseId) -> usize {
        let [a, b, c, d, ..] = *name.as_bytes();
        u32::from_le_bytes([a, b, c, d]) as usize % SLOTS
    }

    /// The depth it was settled at.
    pub fn depth(&self, name: &BaseId) -> Option<u8> {
        let at = Self::slot(name);
        let is_there = self.names.get(at) == Some(name.as_bytes());
        if is_there { self.depths.get(at).map(|depth| depth & !DIRECT) } else { None }
    }

    /// Whether it was settled for its own sake, not only as a base.
    pub fn is_direct(&self, name: &BaseId) -> bool {
        let at = Self::slot(name);
        let is_there = self.names.get(at) == Some(name.as_bytes());
        is_there && self.depths.get(at).is_some_and(|depth| depth & DIRECT != 0)
    }

    pub fn has(&self, name: &BaseId) -> bool {
        self.depth(name).is_some()
    }

    pub fn add(&mut self, name: &BaseId, depth: u8) {
        let direct = if self.is_direct(name) { DIRECT } else { 0 };
        self.put(name, depth | direct);
    }

    pub fn add_direct(&mut self, name: &BaseId, depth: u8) {
        self.put(name, depth | DIRECT);
    }

    fn put(&mut self, name: &BaseId, depth: u8) {
        let at = Self::slot(name);
        if let (Some(there), Some(its_depth)) = (self.names.get_mut(at), self.depths.get_mut(at)) {
            (*there, *its_depth) = (*name.as_bytes(), depth);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_last_is_there_and_nothing_else() {
        let name = |number: u32| {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&blake3::hash(&number.to_le_bytes()).as_bytes()[..16]);
            BaseId::new(bytes)
        };
        let mut recent = Recent::new();
        for number in 0..4_000_000 {
            let depth = (number % 65) as u8;
            recent.add(&name(number), depth);
            assert_eq!(recent.depth(&name(number)), Some(depth));
            assert!(!recent.is_direct(&name(number)));
            assert!(!recent.has(&name(number + 1)));
        }
        recent.add_direct(&name(0), 64);
        recent.add(&name(0), 3);
        assert!(recent.is_direct(&name(0)) && recent.depth(&name(0)) == Some(3));
        // Bounded: most of the first half is forgotten.
        let kept = (0..4_000_000).filter(|number| recent.has(&name(*number))).count();
        assert!((1_000_000..=SLOTS).contains(&kept), "{kept}");
    }
}
