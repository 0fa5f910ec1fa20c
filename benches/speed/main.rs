//! The kernels, and first backup, second reading and restore as fractions of the bound that
//! follows from them; beside them other programs on the same data. `make bench` prints it, in one run, so the
//! ratios hold whatever the machine. Arguments choose among the data; `RESTOW_BENCH_DIR` is where it lies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod data;
mod engine;
mod kernels;
mod memory;
#[path = "../nowhere.rs"]
mod nowhere;
mod peers;

use std::path::Path;

use self::engine::{Cost, Costs};
use self::kernels::Kernels;

/// Processor seconds of this process so far.
fn cpu_seconds() -> f64 {
    let clock = rustix::time::ClockId::ProcessCPUTime;
    let used = rustix::time::clock_gettime(clock);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let sizes = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
        true => bytes_below(&entry.path()),
        false => entry.metadata().unwrap().len(),
    });
    sizes.sum()
}

fn assert_same(a: &Path, b: &Path) {
    let status = std::process::Command::new("diff").arg("-r").args([a, b]).status().unwrap();
    assert!(status.success(), "{} and {} differ", a.display(), b.display());
}

/// What something took, and the kernels as they were just before and after.
struct Round {
    costs: Costs,
    kernels: Kernels,
}

const ROUNDS: usize = 5;

/// In turns: the machine may be faster at one time than at another.
fn rounds(kernels: impl Fn() -> Kernels, measure: impl Fn() -> Costs) -> Vec<Round> {
    let mut before = kernels();
    let round = |_| {
        let costs = measure();
        let after = kernels();
        let kernels = before.between(&after);
        before = after;
        Round { costs, kernels }
    };
    (0..ROUNDS).map(round).collect()
}

/// The round whose share of what is possible is the median.
fn report(
    what: &str,
    bytes: u64,
    rounds: &[Round],
    cost: fn(&Costs) -> Cost,
    per_gb: impl Fn(&Kernels) -> f64,
) {
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let gb = bytes as f64 / 1e9;
    let mut shares: Vec<_> = rounds
        .iter()
        .map(|round| {
            let (cost, per_gb) = (cost(&round.costs), per_gb(&round.kernels));
            (gb / cost.seconds * per_gb / cores, cost, per_gb)
        })
        .collect();
    shares.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (share, cost, per_gb) = shares[shares.len() / 2];
    println!(
        "    {what:<13} {:>6.2} s {:>6.2} GB/s of {:>5.2} possible: {share:.2} ({:.2} to {:.2}); {:.0} % of the processors used",
        cost.seconds,
        gb / cost.seconds,
        cores / per_gb,
        shares[0].0,
        shares[shares.len() - 1].0,
        100.0 * cost.cpu / cost.seconds / cores,
    );
}

fn report_all(bytes: u64, rounds: &[Round], files: fn(&Kernels) -> [f64; 3]) {
    report("first backup", bytes, rounds, |costs| costs.first, |k| k.first() + files(k)[0]);
    report("read again", bytes, rounds, |costs| costs.again, |k| k.again() + files(k)[1]);
    report("restore", bytes, rounds, |costs| costs.restore, |k| k.restore() + files(k)[2]);
}

/// `sample`: bytes like those in `source`, and `stream` what is in it, if that is one file.
fn measure(home: &Path, name: &str, source: &Path, sample: &[u8], stream: Option<&'static [u8]>) {
    let (kernels, bytes) = (|| Kernels::measure(sample, home), bytes_below(source));
    let k = kernels();
    println!("\n{name}: {:.0} MB; kernels in GB/s a core, all cores at it", bytes as f64 / 1e6);
    println!(
        "  cut {:.2}  hash {:.2}  compress {:.2} (to {:.0} %)  seal {:.2}  decode {:.2}; files: read {:.2}  write {:.2}",
        k.cut,
        k.hash,
        k.compress,
        100.0 * k.share,
        k.seal,
        k.decode,
        k.read,
        k.write
    );
    println!("  the median of {ROUNDS} rounds, kernels measured between them (lowest and highest)");
    if let Some(stream) = stream {
        println!(
            "  a stream from memory, a repository in memory, a restore to nowhere; bounded by kernels"
        );
        let rounds = rounds(kernels, || engine::in_memory(home, stream));
        report_all(bytes, &rounds, |_| [0.0; 3]);
    }
    println!("  from files, into files; bounded by kernels and what reading and writing takes");
    let rounds = rounds(kernels, || engine::with_files(home, source));
    report_all(bytes, &rounds, Kernels::files);
    if !std::env::args().any(|arg| arg == "--no-peers") {
        peers::compare(home, source);
    }
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    let home = match std::env::var_os("RESTOW_BENCH_DIR") {
        Some(place) => tempfile::tempdir_in(place).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    println!("in {}", home.path().display());
    for (name, data) in [
        ("rows", data::rows as fn(usize) -> Vec<u8>),
        ("incompressible", data::noise as fn(usize) -> Vec<u8>),
    ] {
        if wants(name) {
            let data = data(if name == "rows" { 600_000_000 } else { 1 << 30 });
            let data: &'static [u8] = Box::leak(data.into_boxed_slice());
            let source = home.path().join("source");
            std::fs::create_dir(&source).unwrap();
            std::fs::write(source.join("data"), data).unwrap();
            measure(home.path(), name, &source, data, Some(data));
            std::fs::remove_dir_all(&source).unwrap();
        }
    }
    if wants("files") {
        let source = home.path().join("source");
        std::fs::create_dir(&source).unwrap();
        data::small_files(&source);
        let mut sample = Vec::new();
        for file in std::fs::read_dir(source.join("package-000")).unwrap() {
            sample.extend(std::fs::read(file.unwrap().path()).unwrap());
        }
        let sample = sample.repeat(100);
        measure(home.path(), "small files", &source, &sample, None);
    }
}
