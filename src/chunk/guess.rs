//! Cutting a stream in several places at once. Where a cut falls depends on the bytes and on the cut before
//! it only, and soon on the bytes alone: two ways of cutting the same bytes that share one cut share all that
//! follow. So a part of a stream is cut before it is known where its first chunk begins; once it is known,
//! cutting goes on from there until a cut was guessed, and takes over the rest.

use crate::cut::CutKind;

use super::{Cut, Cutter};

/// The cuts of a part of a stream, if a chunk begins where the part does.
#[derive(Debug, Default)]
pub struct Guess {
    /// Where that is.
    from: usize,
    /// Where chunks end, ascending.
    ends: Vec<(usize, CutKind)>,
}

impl Cutter {
    /// Cuts `bytes` from `from` on, as far as it can without knowing what follows.
    pub fn guess(&self, bytes: &[u8], from: usize) -> Guess {
        let (mut ends, mut at) = (Vec::new(), from);
        while let Some(found) = bytes.get(at..).and_then(|rest| self.cut(rest, false)) {
            at += found.len;
            ends.push((at, found.kind));
        }
        Guess { from, ends }
    }

    /// Gives every cut of `bytes` from `start` on, where a chunk begins, with where its chunk starts: the same
    /// that cutting without the guess would find, also as far. `bytes` are those that were guessed on, but for
    /// what lies before the guess.
    pub fn confirm(
        &self,
        bytes: &[u8],
        start: usize,
        guess: &Guess,
        mut each: impl FnMut(usize, Cut),
    ) {
        let mut at = start;
        let mut guessed = guess.ends.iter().peekable();
        loop {
            while guessed.next_if(|(end, _)| *end < at).is_some() {}
            let is_shared = at == guess.from || guessed.next_if(|(end, _)| *end == at).is_some();
            if is_shared {
                break;
            }
            let Some(found) = bytes.get(at..).and_then(|rest| self.cut(rest, false)) else {
                return;
            };
            each(at, found);
            at += found.len;
        }
        for (end, kind) in guessed {
            each(at, Cut { len: end - at, kind: *kind });
            at = *end;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::ChunkSizes;
    use super::*;

    fn cutter() -> Cutter {
        let mut gear = [0; 2048];
        blake3::Hasher::new_keyed(&[7; 32]).finalize_xof().fill(&mut gear);
        Cutter::new(ChunkSizes { min: 64, avg: 256, max: 1024 }, &gear).unwrap()
    }

    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    proptest! {
        /// Wherever the truth starts and whatever was guessed from, the cuts are those of cutting in order.
        #[test]
        fn a_guess_changes_nothing(
            noisy in 0usize..9000,
            zeros in 0usize..5000,
            tail in 0usize..9000,
            seed in 0u64..100,
            start in 0usize..2000,
            ahead in 0usize..1024,
        ) {
            let cutter = cutter();
            let bytes = [noise(noisy, seed), vec![0; zeros], noise(tail, seed + 1)].concat();
            let start = start.min(bytes.len());
            let from = (start + ahead).min(bytes.len());
            let (mut plain, mut at) = (Vec::new(), start);
            while let Some(found) = cutter.cut(&bytes[at..], false) {
                plain.push((at, found));
                at += found.len;
            }
            let mut confirmed = Vec::new();
            let guess = cutter.guess(&bytes, from);
            cutter.confirm(&bytes, start, &guess, |at, cut| confirmed.push((at, cut)));
            prop_assert_eq!(confirmed, plain);
        }
    }

    #[test]
    fn a_guess_is_taken_over_soon() {
        let (cutter, bytes) = (cutter(), noise(1 << 20, 3));
        let (guess, mut taken) = (cutter.guess(&bytes, 500), 0);
        let ends: Vec<usize> = guess.ends.iter().map(|(end, _)| *end).collect();
        cutter.confirm(&bytes, 0, &guess, |at, cut| {
            taken += usize::from(ends.contains(&(at + cut.len)));
        });
        assert!(taken + 20 > ends.len(), "{taken} of {}", ends.len());
    }
}
