//! A set of names that takes the same room however many they are.

use crate::id::BaseId;

/// Names of chunks in a fixed room: it may say of one that it has it though it has not, never the other way round.
#[derive(Debug)]
pub(super) struct Names {
    bits: Vec<u64>,
}

/// 32 MiB, which a system gives as it is used. Of 20 million names one in a hundred is taken for one of as many others.
const WORDS: usize = 1 << 22;

impl Names {
    pub fn new() -> Self {
        Self { bits: vec![0; WORDS] }
    }

    /// Names are parts of hashes: their own bytes say where to look.
    fn places(base: &BaseId) -> [(usize, u64); 3] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = *base.as_bytes();
        [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(|part| {
            let number = u32::from_le_bytes(part);
            ((number >> 6) as usize % WORDS, 1 << (number & 63))
        })
    }

    pub fn add(&mut self, base: &BaseId) {
        for (word, bit) in Self::places(base) {
            if let Some(word) = self.bits.get_mut(word) {
                *word |= bit;
            }
        }
    }

    pub fn may_have(&self, base: &BaseId) -> bool {
        let has =
            |(word, bit): (usize, u64)| self.bits.get(word).is_some_and(|word| word & bit != 0);
        Self::places(base).into_iter().all(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ChunkId;

    #[test]
    fn no_name_is_forgotten() {
        let name = |number: u32| {
            BaseId::of(&ChunkId::new(*blake3::hash(&number.to_le_bytes()).as_bytes()))
        };
        let mut names = Names::new();
        (0..50_000).for_each(|number| names.add(&name(number)));
        assert!((0..50_000).all(|number| names.may_have(&name(number))));
        let wrong = (50_000..100_000).filter(|number| names.may_have(&name(*number))).count();
        assert!(wrong < 50, "{wrong}");
    }
}
