//! A repository of 20 million chunks in 50,000 packs, with 5,000 snapshots that share 99 % of their metadata: what
//! opening, listing, look-ups and a plan of `cleanup` take, in time and in memory, at a tenth, a quarter, a half and all
//! of it. Fails where a bound is broken, or where memory grows with the chunks.
//!
//! `RESTOW_SCALE_CHUNKS` says how many at most: 400,000 without it. Arguments choose among the steps;
//! `RESTOW_BENCH_DIR` is where it all lies, 6 GB for 20 million; `RESTOW_SCALE_KEEP` leaves it there for the next run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod home;
mod make;
mod pack;
mod shape;
mod steps;
mod tree;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use self::home::Home;
use self::shape::Shape;
use self::steps::{Before, Bound, CHECK, Done, STEPS, Step};

const CHUNKS: u64 = 400_000;
const CHECKED_CHUNKS: u64 = 40_000;
const PEAK_MAX: u64 = 300 << 20;
/// From a quarter of the chunks to all of them.
const GROWTH_MAX: u64 = 32 << 20;

struct Measured {
    /// The repository's, about.
    chunks: u64,
    done: Done,
    /// Seconds of all processors, of the whole process.
    cpu: f64,
    /// The most memory the process ever had.
    peak: u64,
}

fn cpu_seconds() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

/// The most memory this process ever had, in bytes (`VmHWM` of proc(5)).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// In a process of its own.
fn child(step: &str, home: &Home, shape: &Shape) {
    let started = Instant::now();
    let done = if step == "make" {
        make::make(home, *shape);
        Done { seconds: started.elapsed().as_secs_f64(), count: shape.chunks() }
    } else {
        let mut steps = STEPS.iter().chain([&CHECK]);
        (steps.find(|known| known.name == step).unwrap().run)(home, shape)
    };
    println!("{} {} {} {}", done.seconds, done.count, cpu_seconds(), peak());
}

fn in_a_child(step: &str, home: &Home, chunks: u64) -> Measured {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child", step, &chunks.to_string()])
        .arg(&home.0)
        .output()
        .unwrap();
    assert!(output.status.success(), "{step}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let [seconds, count, cpu, peak] = *text.split_whitespace().collect::<Vec<_>>() else {
        panic!("{text}")
    };
    let done = Done { seconds: seconds.parse().unwrap(), count: count.parse().unwrap() };
    Measured { chunks, done, cpu: cpu.parse().unwrap(), peak: peak.parse().unwrap() }
}

fn measure(step: &Step, home: &Home, chunks: u64) -> Measured {
    match step.before {
        Before::NoIndexCache => {
            home.drop_index_cache();
            home.drop_pages("index");
        }
        Before::IndexCache if home.has_index_cache() => {}
        Before::IndexCache => drop(in_a_child("open", home, chunks)),
        Before::ColdSnapshots => ["snapshots", "notes"].iter().for_each(|it| home.drop_pages(it)),
    }
    in_a_child(step.name, home, chunks)
}

fn show(name: &str, unit: &str, measured: &Measured) {
    let Measured { done: Done { seconds, count }, cpu, peak, .. } = measured;
    let (rate, unit) = (*count as f64 / seconds, format!("{unit}/s"));
    let peak = peak >> 20;
    println!(
        "  {name:<32} {seconds:>8.2} s {rate:>11.0} {unit:<12} {cpu:>7.1} s CPU {peak:>4} MiB"
    );
}

/// Where a repository of that many chunks is made, or lies.
enum Place {
    Kept(PathBuf),
    Passing(tempfile::TempDir),
}

impl Place {
    fn new(chunks: u64) -> Self {
        let base =
            std::env::var_os("RESTOW_BENCH_DIR").unwrap_or_else(|| std::env::temp_dir().into());
        match std::env::var_os("RESTOW_SCALE_KEEP") {
            Some(_) => Self::Kept(Path::new(&base).join(format!("scale-{chunks}"))),
            None => Self::Passing(tempfile::tempdir_in(base).unwrap()),
        }
    }

    fn home(&self) -> Home {
        match self {
            Self::Kept(path) => Home(path.clone()),
            Self::Passing(folder) => Home(folder.path().to_owned()),
        }
    }
}

/// Makes it, unless an earlier run left it whole.
fn made(home: &Home, chunks: u64) {
    let whole = home.0.join("whole");
    let shape = Shape::of(chunks);
    print!("{} chunks, {} snapshots", shape.chunks(), shape.snapshots);
    if whole.exists() {
        println!(", made before");
        return;
    }
    if home.repository().exists() {
        std::fs::remove_dir_all(&home.0).unwrap();
    }
    std::fs::create_dir_all(&home.0).unwrap();
    let made = in_a_child("make", home, chunks);
    std::fs::write(whole, "").unwrap();
    println!(", {} MB", home.bytes() / 1_000_000);
    show("made", "chunks", &made);
}

/// Whether a step keeps its promises, from the fewest chunks to the most.
fn verdict(step: &Step, all: &[Measured]) -> bool {
    let Some(last) = all.last() else { return true };
    let Done { seconds, count } = last.done;
    let (said, kept) = match step.bound {
        Bound::None => (String::new(), true),
        Bound::Within(most) => (format!("within {most} s, "), seconds <= most),
        Bound::Rate(least) => {
            (format!("{least} {}/s or more, ", step.unit), count as f64 / seconds >= least)
        }
    };
    let most = all.iter().map(|one| one.peak).max().unwrap_or(0);
    // Of as many packs and snapshots: they take memory, and small repositories fill no cache.
    let before = all.iter().rev().find(|one| {
        let quarter = one.chunks <= last.chunks / 4;
        quarter && Shape::of(one.chunks).snapshots == Shape::of(last.chunks).snapshots
    });
    let grown = before.map_or(0, |before| last.peak.saturating_sub(before.peak));
    let good = kept && most <= PEAK_MAX && grown <= GROWTH_MAX;
    let word = if good { "as promised" } else { "BROKEN" };
    let grown = match before {
        Some(_) => format!("grown by {} MiB", grown >> 20),
        None => "too small to tell how it grows".to_owned(),
    };
    println!("  {:<32} {said}peak {} MiB, {grown}: {word}", step.name, most >> 20);
    good
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [first, step, chunks, home] = args.as_slice()
        && first == "child"
    {
        let shape = Shape::of(chunks.parse().unwrap());
        return child(step, &Home(home.into()), &shape);
    }
    let most = std::env::var("RESTOW_SCALE_CHUNKS").map_or(CHUNKS, |text| text.parse().unwrap());
    let steps: Vec<&Step> = STEPS
        .iter()
        .filter(|step| args.is_empty() || args.iter().any(|arg| step.name.contains(arg.as_str())))
        .collect();
    let checked = tempfile::tempdir().unwrap();
    let home = Home(checked.path().to_owned());
    made(&home, CHECKED_CHUNKS);
    show(CHECK.name, CHECK.unit, &measure(&CHECK, &home, CHECKED_CHUNKS));

    let mut all: Vec<Vec<Measured>> = steps.iter().map(|_| Vec::new()).collect();
    for chunks in [most / 10, most / 4, most / 2, most] {
        let place = Place::new(chunks);
        let home = place.home();
        made(&home, chunks);
        for (step, all) in steps.iter().zip(&mut all) {
            if chunks <= step.chunks_max {
                let measured = measure(step, &home, chunks);
                show(step.name, step.unit, &measured);
                all.push(measured);
            }
        }
    }
    println!("bounds:");
    let kept = steps.iter().zip(&all).filter(|(step, all)| verdict(step, all)).count();
    assert_eq!(kept, steps.len(), "bounds were broken");
}
