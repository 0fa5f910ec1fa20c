//! The kernels on one core, and first backup, second reading and restore as fractions of the bound that
//! follows from them. One run, so the ratios hold whatever the machine; `make bench` prints them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use restow::chunk::{ChunkSizes, Cutter, chunk_id};
use restow::codec::{self, KdfCost, SealKey, Secret};
use restow::ops::{BackupOptions, RestoreOptions, backup, restore};
use restow::progress::{Cancel, Silent};
use restow::repo::{CreateOptions, Identity, OpenOptions, Repository, SnapshotView, create};
use restow::source::files::{self, FolderExporter, FolderImporter, FolderOptions};
use restow::storage::Local;

const CHUNK: usize = 64 * 1024;
const LEN: usize = 256 << 20;

/// Rows of a made-up shop: seeded, so every run sees the same bytes.
fn rows() -> Vec<u8> {
    use std::io::Write;
    let (mut out, mut state) = (Vec::with_capacity(LEN + 256), 7u64);
    let mut number = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state >> 33
    };
    for id in 1.. {
        let (a, b, c, d) = (number(), number(), number(), number());
        let town = ["Leipzig", "Nantes", "Porto", "Turku", "Gdynia"][(a % 5) as usize];
        let status = ["open", "paid", "sent", "returned"][(b % 4) as usize];
        writeln!(
            out,
            "INSERT INTO orders VALUES ({id},{},'{status}','{town}',{}.{:02},'{c:08x}-{d:08x}');",
            a % 90_000,
            b % 900,
            c % 100,
        )
        .unwrap();
        if out.len() >= LEN {
            break;
        }
    }
    out.truncate(LEN);
    out
}

fn noise() -> Vec<u8> {
    let mut bytes = vec![0; LEN];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// GB/s of a pass over all bytes.
fn rate(mut pass: impl FnMut()) -> f64 {
    let started = Instant::now();
    pass();
    LEN as f64 / 1e9 / started.elapsed().as_secs_f64()
}

struct Kernels {
    cut: f64,
    hash: f64,
    compress: f64,
    seal: f64,
    decode: f64,
}

fn kernels(data: &[u8]) -> Kernels {
    let mut gear = [0u8; 2048];
    blake3::Hasher::new_keyed(&[1; 32]).finalize_xof().fill(&mut gear);
    let sizes = ChunkSizes { min: 16 * 1024, avg: 64 * 1024, max: 256 * 1024 };
    let cutter = Cutter::new(sizes, &gear).unwrap();
    let key = SealKey::new(&[2; 32]).unwrap();
    let mut coded = Vec::new();
    let cut = rate(|| {
        let mut rest = data;
        while let Some(found) = cutter.cut(rest, true) {
            rest = &rest[found.len..];
        }
    });
    let hash = rate(|| {
        for chunk in data.chunks(CHUNK) {
            black_box(chunk_id(&[3; 32], chunk));
        }
    });
    let mut blocks = Vec::new();
    let compress = rate(|| {
        for chunk in data.chunks(CHUNK) {
            let shrank = codec::compress(3, chunk, &mut coded).unwrap();
            blocks.push((shrank, if shrank { coded.clone() } else { chunk.to_vec() }));
        }
    });
    let mut sealed = data.to_vec();
    let seal = rate(|| {
        for (n, chunk) in sealed.chunks_mut(CHUNK).enumerate() {
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&(n as u64).to_le_bytes());
            black_box(key.seal_slice(nonce, b"", chunk).unwrap());
        }
    });
    let mut raw = Vec::new();
    let decode = rate(|| {
        for ((shrank, block), chunk) in blocks.iter().zip(data.chunks(CHUNK)) {
            match shrank {
                true => codec::decompress(block, chunk.len(), &mut raw).unwrap(),
                false => {
                    black_box(block.as_slice());
                }
            }
        }
    });
    Kernels { cut, hash, compress, seal, decode }
}

/// GB/s of all cores when each byte passes these kernels one after the other.
fn bound(cores: f64, rates: &[f64]) -> f64 {
    cores / rates.iter().map(|rate| 1.0 / rate).sum::<f64>()
}

fn pipeline(name: &str, data: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("data"), data).unwrap();
    let storage = Arc::new(Local::create(folder.path().join("repository")).unwrap());
    let secret = Secret::Passphrase("bench".into());
    let kdf = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
    let options = CreateOptions { kdf, ..CreateOptions::default() };
    let identity = Identity::of_this_process();
    create(&*storage, &secret, &options, &identity).unwrap();
    let cache = OpenOptions { cache: Some(folder.path().join("cache")) };
    let repository = Repository::open(storage, &secret, identity, cache).unwrap();

    let mut id = None;
    let mut take = || {
        let exporter = FolderExporter::new(&source, FolderOptions::default()).unwrap();
        let options = BackupOptions { force_read: true, ..BackupOptions::default() };
        id = backup(&repository, &[&exporter], &options, &Silent, &Cancel::new()).unwrap().id;
    };
    let (first, again) = (rate(&mut take), rate(&mut take));
    let id = id.unwrap();
    let back = rate(|| {
        let index = repository.load_index().unwrap();
        let manifest = repository.manifest(&id).unwrap();
        let view = SnapshotView::new(id, manifest, repository.reader(&index));
        let target = folder.path().join("target");
        let importer = FolderImporter::new(&target, files::RestoreOptions::default()).unwrap();
        let all = RestoreOptions::default();
        restore(&view, Box::new(importer), &all, &Silent, &Cancel::new()).unwrap();
    });
    assert!(std::fs::read(Path::new(&folder.path().join("target/data"))).unwrap() == data);

    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let k = kernels(data);
    println!("\n{name}: {} MiB, {cores} cores; kernels on one core in GB/s", LEN >> 20);
    println!(
        "  cut {:.2}  hash {:.2}  compress {:.2}  seal {:.2}  decode {:.2}",
        k.cut, k.hash, k.compress, k.seal, k.decode
    );
    let line = |what: &str, rate: f64, bound: f64| {
        println!("  {what:<15} {rate:>6.2} GB/s of {bound:>6.2} possible: {:.2}", rate / bound);
    };
    line("first backup", first, bound(cores, &[k.cut, k.hash, k.compress, k.seal]));
    line("read again", again, bound(cores, &[k.cut, k.hash]));
    line("restore", back, bound(cores, &[k.seal, k.decode, k.hash]));
}

fn main() {
    pipeline("rows", &rows());
    pipeline("incompressible", &noise());
}
