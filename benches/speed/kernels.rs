//! What a core does when it does nothing else.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;
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
    /// A file in the page cache read, and a new file written.
    pub read: f64,
    pub write: f64,
    /// Compressed bytes of one byte.
    pub share: f64,
}

/// GB/s of one core while all are at it, each on its part of the data.
fn rate(data: &[u8], pass: impl Fn(usize, &[u8]) + Sync) -> f64 {
    let cores = std::thread::available_parallelism().unwrap().get();
    let part = data.len() / cores / BLOCK * BLOCK;
    let started = Instant::now();
    std::thread::scope(|scope| {
        for (core, part) in data.chunks_exact(part).take(cores).enumerate() {
            let pass = &pass;
            scope.spawn(move || pass(core, part));
        }
    });
    part as f64 / 1e9 / started.elapsed().as_secs_f64()
}

impl Kernels {
    pub fn measure(data: &[u8], home: &Path) -> Self {
        let data = &data[..data.len().min(SAMPLE)];
        let data = &data[..data.len() / BLOCK * BLOCK];
        let mut gear = [0u8; 2048];
        blake3::Hasher::new_keyed(&[1; 32]).finalize_xof().fill(&mut gear);
        let sizes = ChunkSizes { min: 16 * 1024, avg: 64 * 1024, max: 256 * 1024 };
        let cutter = Cutter::new(sizes, &gear).unwrap();
        let key = SealKey::new(&[2; 32]).unwrap();
        let cut = rate(data, |_, mut rest| {
            while let Some(found) = cutter.cut(rest, true) {
                rest = &rest[found.len..];
            }
        });
        let hash = rate(data, |_, part| {
            for block in part.chunks(BLOCK) {
                black_box(chunk_id(&[3; 32], block));
            }
        });
        let compress = rate(data, |_, part| {
            let mut coded = Vec::new();
            for block in part.chunks(BLOCK) {
                black_box(codec::compress(3, block, &mut coded).unwrap());
            }
        });
        let (mut blocks, mut coded) = (Vec::new(), Vec::new());
        for block in data.chunks(BLOCK) {
            let shrank = codec::compress(3, block, &mut coded).unwrap();
            blocks.push((shrank, if shrank { coded.clone() } else { block.to_vec() }));
        }
        // What is coded still lies in the cache when it is sealed.
        let seal = rate(data, |_, part| {
            let mut block = part[..BLOCK].to_vec();
            for number in 0..(part.len() / BLOCK) as u64 {
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&number.to_le_bytes());
                black_box(key.seal_slice(nonce, b"", &mut block).unwrap());
            }
        });
        let decode = rate(data, |core, part| {
            let mut raw = Vec::new();
            for (shrank, block) in &blocks[core * (part.len() / BLOCK)..][..part.len() / BLOCK] {
                match shrank {
                    true => codec::decompress(block, BLOCK, &mut raw).unwrap(),
                    false => drop(black_box(block.as_slice())),
                }
            }
        });
        let file = |core: usize| home.join(format!("kernel-{core}"));
        let write = rate(data, |core, part| {
            let mut out = File::create(file(core)).unwrap();
            part.chunks(BLOCK).for_each(|block| out.write_all(block).unwrap());
        });
        let read = rate(data, |core, _| {
            let (mut input, mut buffer) = (File::open(file(core)).unwrap(), vec![0; BLOCK]);
            while input.read(&mut buffer).unwrap() > 0 {}
        });
        let share = blocks.iter().map(|(_, block)| block.len()).sum::<usize>() as f64;
        Self { cut, hash, compress, seal, decode, read, write, share: share / data.len() as f64 }
    }

    /// What lies between two measurements.
    pub fn between(&self, other: &Self) -> Self {
        let mean = |of: fn(&Self) -> f64| 2.0 / (1.0 / of(self) + 1.0 / of(other));
        Self {
            cut: mean(|k| k.cut),
            hash: mean(|k| k.hash),
            compress: mean(|k| k.compress),
            seal: mean(|k| k.seal),
            decode: mean(|k| k.decode),
            read: mean(|k| k.read),
            write: mean(|k| k.write),
            share: self.share,
        }
    }

    /// Processor seconds per GB of a first backup: every byte is cut and hashed and compressed, what is left of it
    /// sealed, and hashed once more for the pack's name.
    pub fn first(&self) -> f64 {
        let left = self.share * (1.0 / self.seal + 1.0 / self.hash);
        1.0 / self.cut + 1.0 / self.hash + 1.0 / self.compress + left
    }

    /// Of reading known data again.
    pub fn again(&self) -> f64 {
        1.0 / self.cut + 1.0 / self.hash
    }

    /// Of a restore.
    pub fn restore(&self) -> f64 {
        self.share / self.seal + 1.0 / self.decode + 1.0 / self.hash
    }

    /// What files cost besides in each: reading the source, writing packs; reading it; reading packs, writing the
    /// target.
    pub fn files(&self) -> [f64; 3] {
        let (read, write) = (1.0 / self.read, 1.0 / self.write);
        [read + self.share * write, read, self.share * read + write]
    }
}
