//! The kernels, and first backup, second reading and restore as fractions of the bound that
//! follows from them; beside them other programs on the same data. `make bench` prints it, in one run, so the
//! ratios hold whatever the machine. Arguments choose among the data; `RESTOW_BENCH_DIR` is where it lies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod data;
mod engine;
mod kernels;
mod peers;

use std::path::Path;

use self::engine::Cost;
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

fn report(cost: Cost, bytes: u64, [per_gb, with_files]: [f64; 2], what: &str) {
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let (gb, possible) = (bytes as f64 / 1e9, cores / per_gb);
    let rate = gb / cost.seconds;
    println!(
        "  {what:<13} {:>6.2} s {rate:>6.2} GB/s of {possible:>5.2} possible: {:.2}, with files {:.2}; {:.0} % of the processors used, {:.0} % of that for the kernels",
        cost.seconds,
        rate / possible,
        rate * with_files / cores,
        100.0 * cost.cpu / cost.seconds / cores,
        100.0 * gb * per_gb / cost.cpu,
    );
}

fn measure(home: &Path, name: &str, source: &Path, bytes: u64, sample: &[u8]) {
    let k = Kernels::measure(sample, home);
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
    let costs = engine::measure(home, source);
    report(costs.first, bytes, k.first(), "first backup");
    report(costs.again, bytes, k.again(), "read again");
    report(costs.restore, bytes, k.restore(), "restore");
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
            let source = home.path().join("source");
            std::fs::create_dir(&source).unwrap();
            std::fs::write(source.join("data"), &data).unwrap();
            measure(home.path(), name, &source, data.len() as u64, &data);
            std::fs::remove_dir_all(&source).unwrap();
        }
    }
    if wants("files") {
        let source = home.path().join("source");
        std::fs::create_dir(&source).unwrap();
        let bytes = data::small_files(&source);
        let mut sample = Vec::new();
        for file in std::fs::read_dir(source.join("package-000")).unwrap() {
            sample.extend(std::fs::read(file.unwrap().path()).unwrap());
        }
        let sample = sample.repeat(100);
        measure(home.path(), "small files", &source, bytes, &sample);
    }
}
