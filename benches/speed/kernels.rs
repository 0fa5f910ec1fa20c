//! What one core does when it does nothing else.

use std::hint::black_box;
use std::time::Instant;

use restow::chunk::{ChunkSizes, Cutter, chunk_id};
use restow::codec::{self, SealKey};

const BLOCK: usize = 64 * 1024;
/// As much of the data as tells; more only takes longer.
const SAMPLE: usize = 256 << 20;

/// GB/s of one core.
pub struct Kernels {
    pub cut: f64,
    pub hash: f64,
    pub compress: f64,
    pub seal: f64,
    pub decode: f64,
    /// Compressed bytes of one byte.
    pub share: f64,
}

/// GB/s of processor time, which others at work on the machine do not change much.
fn rate(len: usize, mut pass: impl FnMut()) -> f64 {
    let before = super::cpu_seconds();
    let started = Instant::now();
    pass();
    let used = super::cpu_seconds() - before;
    len as f64 / 1e9 / used.max(started.elapsed().as_secs_f64() * 1e-3)
}

impl Kernels {
    pub fn measure(data: &[u8]) -> Self {
        let data = &data[..data.len().min(SAMPLE)];
        let mut gear = [0u8; 2048];
        blake3::Hasher::new_keyed(&[1; 32]).finalize_xof().fill(&mut gear);
        let sizes = ChunkSizes { min: 16 * 1024, avg: 64 * 1024, max: 256 * 1024 };
        let cutter = Cutter::new(sizes, &gear).unwrap();
        let key = SealKey::new(&[2; 32]).unwrap();
        let cut = rate(data.len(), || {
            let mut rest = data;
            while let Some(found) = cutter.cut(rest, true) {
                rest = &rest[found.len..];
            }
        });
        let hash = rate(data.len(), || {
            for block in data.chunks(BLOCK) {
                black_box(chunk_id(&[3; 32], block));
            }
        });
        let mut coded = Vec::new();
        let compress = rate(data.len(), || {
            for block in data.chunks(BLOCK) {
                black_box(codec::compress(3, block, &mut coded).unwrap());
            }
        });
        let mut blocks = Vec::new();
        for block in data.chunks(BLOCK) {
            let shrank = codec::compress(3, block, &mut coded).unwrap();
            blocks.push((shrank, if shrank { coded.clone() } else { block.to_vec() }));
        }
        // Over the same bytes again and again: what is coded lies in the cache when it is sealed.
        let mut sealed = data[..data.len().min(1 << 20)].to_vec();
        let rounds = data.len() / sealed.len();
        let seal = rate(sealed.len() * rounds, || {
            for round in 0..rounds as u64 {
                for (n, block) in (0u64..).zip(sealed.chunks_mut(BLOCK)) {
                    let mut nonce = [0; 12];
                    nonce[4..].copy_from_slice(&(round << 32 | n).to_le_bytes());
                    black_box(key.seal_slice(nonce, b"", block).unwrap());
                }
            }
        });
        let mut raw = Vec::new();
        let decode = rate(data.len(), || {
            for ((shrank, block), plain) in blocks.iter().zip(data.chunks(BLOCK)) {
                match shrank {
                    true => codec::decompress(block, plain.len(), &mut raw).unwrap(),
                    false => drop(black_box(block.as_slice())),
                }
            }
        });
        let share = blocks.iter().map(|(_, block)| block.len()).sum::<usize>() as f64;
        Self { cut, hash, compress, seal, decode, share: share / data.len() as f64 }
    }

    /// Processor seconds per GB of a first backup, of reading known data again, of a restore: every byte is
    /// cut and hashed, a new one compressed, what is left of it sealed, and all of it backwards.
    pub fn first(&self) -> f64 {
        1.0 / self.cut + 1.0 / self.hash + 1.0 / self.compress + self.share / self.seal
    }

    pub fn again(&self) -> f64 {
        1.0 / self.cut + 1.0 / self.hash
    }

    pub fn restore(&self) -> f64 {
        self.share / self.seal + 1.0 / self.decode + 1.0 / self.hash
    }
}
