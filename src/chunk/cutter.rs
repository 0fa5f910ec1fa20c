//! FastCDC (Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage
//! Systems", 2020) with a keyed gear table, so that cut places tell nothing of the content.

use fastcdc::v2020::{Normalization, cut_gear, select_masks};

use crate::cut::CutKind;
use crate::limits::{CHUNK_MAX_LIMIT, CHUNK_MIN_LIMIT};

/// Keyed bytes the gear table is made of: 256 entries of 8.
pub const GEAR_BYTES: usize = 256 * 8;

/// Least, average and most bytes of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSizes {
    pub min: u32,
    pub avg: u32,
    pub max: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "chunk sizes {0:?}: need even numbers, {CHUNK_MIN_LIMIT} <= min < avg < max <= {CHUNK_MAX_LIMIT}, avg a power of two from 256 to 1 MiB"
)]
pub struct BadSizes(pub ChunkSizes);

impl ChunkSizes {
    pub fn check(self) -> Result<Self, BadSizes> {
        let good = CHUNK_MIN_LIMIT <= self.min
            && self.min < self.avg
            && self.avg < self.max
            && self.max <= CHUNK_MAX_LIMIT
            && self.avg.is_power_of_two()
            && (256..=1024 * 1024).contains(&self.avg)
            && [self.min, self.max].iter().all(|size| size.is_multiple_of(2));
        if good { Ok(self) } else { Err(BadSizes(self)) }
    }
}

/// A place to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Bytes of the chunk, at least 1.
    pub len: usize,
    pub kind: CutKind,
}

/// Finds the cuts of a stream. Same key, same sizes, same bytes: same cuts, however the bytes arrive.
#[derive(Clone)]
pub struct Cutter {
    sizes: ChunkSizes,
    strict: u64,
    relaxed: u64,
    gear: Box<[u64]>,
    gear_shifted: Box<[u64]>,
}

impl Cutter {
    pub fn new(sizes: ChunkSizes, gear: &[u8; GEAR_BYTES]) -> Result<Self, BadSizes> {
        let sizes = sizes.check()?;
        let (strict, relaxed) = select_masks(sizes.avg as usize, Normalization::Level1);
        let entry = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        let gear: Box<[u64]> = gear.as_chunks::<8>().0.iter().map(entry).collect();
        let gear_shifted = gear.iter().map(|entry| entry << 1).collect();
        Ok(Self { sizes, strict, relaxed, gear, gear_shifted })
    }

    pub fn sizes(&self) -> ChunkSizes {
        self.sizes
    }

    /// The first cut of `bytes`, which start where the last chunk ended. `ended`: the stream ends with them.
    /// `None`: more bytes are needed (fewer than the maximum are here), or there are none.
    pub fn cut(&self, bytes: &[u8], ended: bool) -> Option<Cut> {
        let max = self.sizes.max as usize;
        if bytes.is_empty() || (bytes.len() < max && !ended) {
            return None;
        }
        let (_, len) = cut_gear(
            bytes,
            self.sizes.min as usize,
            self.sizes.avg as usize,
            max,
            self.strict,
            self.relaxed,
            self.strict << 1,
            self.relaxed << 1,
            &self.gear,
            &self.gear_shifted,
        );
        let kind = if ended && len == bytes.len() {
            CutKind::End
        } else if len == max {
            CutKind::Forced
        } else {
            CutKind::Content
        };
        Some(Cut { len, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gear() -> [u8; GEAR_BYTES] {
        let mut bytes = [0; GEAR_BYTES];
        blake3::Hasher::new_keyed(&[7; 32]).finalize_xof().fill(&mut bytes);
        bytes
    }

    fn noise(len: usize, seed: u8) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new_keyed(&[seed; 32]).finalize_xof().fill(&mut bytes);
        bytes
    }

    const SMALL: ChunkSizes = ChunkSizes { min: 64, avg: 256, max: 1024 };

    /// The slow, obvious twin: one byte at a time, the hash of everything since the minimum.
    fn twin(sizes: ChunkSizes, gear: &[u8; GEAR_BYTES], mut bytes: &[u8]) -> Vec<Cut> {
        let table: Vec<u64> =
            gear.chunks(8).map(|entry| u64::from_le_bytes(entry.try_into().unwrap())).collect();
        let (strict, relaxed) = select_masks(sizes.avg as usize, Normalization::Level1);
        let mut cuts = Vec::new();
        while !bytes.is_empty() {
            let end = bytes.len().min(sizes.max as usize);
            let mut hash = 0u64;
            let mut len = end;
            // Pairs of bytes are looked at: an odd last byte is never a candidate.
            let last_pair = end / 2 * 2;
            for at in sizes.min as usize..last_pair {
                hash = (hash << 1).wrapping_add(table[usize::from(bytes[at])]);
                // A pair is judged by the mask that holds where it begins.
                let center = (sizes.avg as usize).min(bytes.len()) / 2 * 2;
                let mask = if at < center { strict } else { relaxed };
                if hash & mask == 0 {
                    len = at;
                    break;
                }
            }
            let kind = match len {
                _ if len == bytes.len() => CutKind::End,
                _ if len == sizes.max as usize => CutKind::Forced,
                _ => CutKind::Content,
            };
            cuts.push(Cut { len, kind });
            bytes = &bytes[len..];
        }
        cuts
    }

    fn cuts(cutter: &Cutter, mut bytes: &[u8]) -> Vec<Cut> {
        let mut found = Vec::new();
        while let Some(cut) = cutter.cut(bytes, true) {
            found.push(cut);
            bytes = &bytes[cut.len..];
        }
        found
    }

    #[test]
    fn agrees_with_the_slow_twin() {
        let cutter = Cutter::new(SMALL, &gear()).unwrap();
        for len in [0, 1, 2, 63, 64, 65, 66, 255, 256, 257, 1023, 1024, 1025, 40_000, 40_001] {
            for seed in 0..8 {
                let bytes = noise(len, seed);
                assert_eq!(cuts(&cutter, &bytes), twin(SMALL, &gear(), &bytes), "{len} {seed}");
            }
        }
        let zeros = vec![0u8; 5000];
        assert_eq!(cuts(&cutter, &zeros), twin(SMALL, &gear(), &zeros));
    }

    #[test]
    fn cuts_do_not_depend_on_how_bytes_arrive() {
        let cutter = Cutter::new(SMALL, &gear()).unwrap();
        let bytes = noise(30_000, 3);
        let whole = cuts(&cutter, &bytes);
        for step in [1, 7, 500, 1024, 4096] {
            let (mut held, mut rest) = (Vec::new(), bytes.as_slice());
            let mut found = Vec::new();
            loop {
                let take = rest.len().min(step);
                held.extend_from_slice(&rest[..take]);
                rest = &rest[take..];
                while let Some(cut) = cutter.cut(&held, rest.is_empty()) {
                    held.drain(..cut.len);
                    found.push(cut);
                }
                if rest.is_empty() {
                    break;
                }
            }
            assert_eq!(found, whole, "{step}");
        }
    }

    #[test]
    fn the_key_moves_the_cuts() {
        let bytes = noise(30_000, 3);
        let one = Cutter::new(SMALL, &gear()).unwrap();
        let mut other_gear = gear();
        other_gear.reverse();
        let other = Cutter::new(SMALL, &other_gear).unwrap();
        assert_ne!(cuts(&one, &bytes), cuts(&other, &bytes));
    }

    #[test]
    fn average_is_near_what_was_asked() {
        let sizes = ChunkSizes { min: 1024, avg: 4096, max: 16_384 };
        let cutter = Cutter::new(sizes, &gear()).unwrap();
        let found = cuts(&cutter, &noise(4 << 20, 9));
        let average = (4 << 20) / found.len();
        assert!((3000..6500).contains(&average), "{average}");
    }

    #[test]
    fn bad_sizes_are_refused() {
        for (min, avg, max) in
            [(63, 256, 1024), (64, 300, 1024), (64, 256, 256), (64, 256, 8 << 20)]
        {
            assert!(Cutter::new(ChunkSizes { min, avg, max }, &gear()).is_err());
        }
    }
}
