//! Peak memory of a process that backs up, backs up again, checks and restores: a tree of two million entries,
//! and a stream of 8 GiB cut into 4 KiB chunks; each at a quarter of its size, too. Fails where a peak is over
//! 256 MiB or grows by more than 16 MiB. `make bench` prints it; a factor as argument makes all of it smaller.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../nowhere.rs"]
mod nowhere;
mod source;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use restow::codec::{KdfCost, Secret};
use restow::ops::{BackupOptions, CheckOptions, RestoreOptions, backup, check, restore};
use restow::progress::{Cancel, Silent};
use restow::repo::{CreateOptions, Identity, OpenOptions, Repository, SnapshotView, create};
use restow::storage::Local;

use self::nowhere::{Nowhere, restored};
use self::source::Made;

const PEAK_MAX: u64 = 256 << 20;
const GROWTH_MAX: u64 = 16 << 20;

/// The most memory this process ever had, in bytes (`VmHWM` of proc(5)).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// In a process of its own.
fn child(home: &Path, made: Made, chunk_avg: u32) {
    let storage = Arc::new(Local::create(home.join("repository")).unwrap());
    let secret = Secret::Passphrase("bench".into());
    let kdf = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
    let (chunk_min, chunk_max) = (chunk_avg / 4, chunk_avg * 4);
    let options = CreateOptions::default()
        .kdf(kdf)
        .chunk_min(chunk_min)
        .chunk_avg(chunk_avg)
        .chunk_max(chunk_max);
    let identity = Identity::of_this_process();
    create(&*storage, &secret, &options, &identity).unwrap();
    let cache = OpenOptions::default().cache(Some(home.join("cache")));
    let repository = Repository::open(storage, &secret, identity, cache).unwrap();
    let take = || {
        let (options, cancel) = (BackupOptions::default(), Cancel::new());
        backup(&repository, &[&made], &options, &Silent, &cancel).unwrap()
    };
    let mut peaks = Vec::new();
    let first = take();
    peaks.push(peak());
    let again = take();
    assert_eq!(again.written.new_chunks, 0);
    peaks.push(peak());
    let report = check(&repository, &CheckOptions::default(), &Silent, &Cancel::new()).unwrap();
    assert!(report.is_clean());
    peaks.push(peak());
    let index = repository.load_index().unwrap();
    let manifest = repository.manifest(&first.id.unwrap()).unwrap();
    let view = SnapshotView::new(first.id.unwrap(), manifest, repository.reader(&index));
    let all = RestoreOptions::default();
    restore(&view, Box::new(Nowhere), &all, &Silent, &Cancel::new()).unwrap();
    assert_eq!(restored(), made.files * made.len);
    peaks.push(peak());
    let chunks = first.manifest.statistics.chunks;
    let peaks: Vec<String> = peaks.iter().map(u64::to_string).collect();
    println!("{chunks} {}", peaks.join(" "));
}

/// The peak after each step, in bytes.
fn measure(made: Made, chunk_avg: u32) -> Vec<u64> {
    let base = std::env::var_os("RESTOW_BENCH_DIR").unwrap_or_else(|| std::env::temp_dir().into());
    let home = tempfile::tempdir_in(base).unwrap();
    let started = Instant::now();
    let numbers = [made.files, made.len, u64::from(chunk_avg)].map(|number| number.to_string());
    let output = Command::new(std::env::current_exe().unwrap())
        .arg("child")
        .arg(home.path())
        .args(numbers)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<u64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let shown: Vec<String> = numbers[1..].iter().map(|n| format!("{:>6}", n >> 20)).collect();
    println!(
        "  {:>9} entries {:>6} MiB {:>9} chunks: {} MiB, {:.0} s",
        made.files,
        (made.files * made.len) >> 20,
        numbers[0],
        shown.join(" "),
        started.elapsed().as_secs_f64(),
    );
    numbers[1..].to_vec()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [first, home, numbers @ ..] = args.as_slice()
        && first == "child"
    {
        let numbers: Vec<u64> = numbers.iter().map(|n| n.parse().unwrap()).collect();
        let made = Made { files: numbers[0], len: numbers[1] };
        return child(Path::new(home), made, numbers[2] as u32);
    }
    let factor: u64 = args.first().map_or(1, |factor| factor.parse().unwrap());
    let mut is_good = true;
    println!("peak RSS after first backup, again, check, restore");
    let tree = |files| (Made { files, len: 200 }, 64 * 1024);
    let stream = |len| (Made { files: 1, len }, 4096);
    for (name, quarter, whole) in [
        ("tree", tree(500_000 / factor), tree(2_000_000 / factor)),
        ("stream", stream((2 << 30) / factor), stream((8 << 30) / factor)),
    ] {
        println!("{name}:");
        let quarter = measure(quarter.0, quarter.1);
        let whole = measure(whole.0, whole.1);
        // Peaks over all steps: in which of them a cache fills up first is a matter of chance.
        let [small, peak] = [&quarter, &whole].map(|peaks| *peaks.iter().max().unwrap());
        let grown = peak.saturating_sub(small);
        let good = peak <= PEAK_MAX && grown <= GROWTH_MAX;
        let verdict = if good { "as promised" } else { "TOO MUCH" };
        println!("  peak {} MiB, grown by {} MiB: {verdict}", peak >> 20, grown >> 20);
        is_good &= good;
    }
    assert!(is_good);
}
