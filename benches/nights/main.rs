//! Nights of data that changed a little: what a repository grows by, beside whole-file patches of the same, and
//! how fast it backs up and restores. `make bench` prints a table for each series.
//!
//! `cargo bench --bench nights -- [scattered] [real] [pages] [tree] [vectors] [qdrant] [arangodb] [--nights N] [--mb N]
//! [--all-nights] [--no-peers] [--thin]`; all series where none is named. `--thin` drops most nights in the end, and compacts. The slow patches are made for a sample of the nights unless all
//! are asked for. `RESTOW_BENCH_DIR` is where everything lies meanwhile. The data is the same in every run, the cuts
//! are not: each repository has its own key, and small or repetitive data comes out differently for that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod arangodb;
mod folder;
mod peers;
mod qdrant;
mod real;
mod relational;
mod repository;
mod seeded;
mod series;
mod speed;
mod sqlite;
mod table;
mod tree;
mod vectors;

use std::path::{Path, PathBuf};

use self::peers::Peer;
use self::series::{Bounds, Plan, Series};

/// What the arguments say.
struct Settings {
    series: Vec<String>,
    nights: Option<u32>,
    bytes: Option<u64>,
    has_peers: bool,
    every_night: bool,
    is_thinned: bool,
}

const NAMES: &[&str] = &["scattered", "real", "pages", "tree", "vectors", "qdrant", "arangodb"];

impl Settings {
    fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = args;
        let mut settings = Self {
            series: Vec::new(),
            nights: None,
            bytes: None,
            has_peers: true,
            every_night: false,
            is_thinned: false,
        };
        while let Some(arg) = args.next() {
            let mut number = || {
                let value = args.next().and_then(|value| value.parse::<u32>().ok());
                value.filter(|value| *value > 0).ok_or_else(|| format!("{arg} needs a number"))
            };
            match arg.as_str() {
                // Cargo says it.
                "--bench" => {}
                "--nights" => settings.nights = Some(number()?),
                "--mb" => settings.bytes = Some(u64::from(number()?) * 1_000_000),
                "--no-peers" => settings.has_peers = false,
                "--all-nights" => settings.every_night = true,
                "--thin" => settings.is_thinned = true,
                name if NAMES.contains(&name) => settings.series.push(name.to_owned()),
                other => return Err(format!("{other}: neither an option nor one of {NAMES:?}")),
            }
        }
        Ok(settings)
    }

    fn wants(&self, name: &str) -> bool {
        self.series.is_empty() || self.series.iter().any(|one| one == name)
    }

    fn bytes_or(&self, default: u64) -> u64 {
        self.bytes.unwrap_or(default)
    }

    /// A place that goes when it is dropped.
    fn home(&self) -> tempfile::TempDir {
        let base =
            std::env::var_os("RESTOW_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        std::fs::create_dir_all(&base).unwrap();
        tempfile::Builder::new().prefix("restow-nights-").tempdir_in(base).unwrap()
    }
}

fn series_of(name: &'static str, settings: &Settings) -> Result<(Plan, Box<dyn Series>), String> {
    let growth = |worst| Bounds { growth_worst: Some(worst), ..Bounds::default() };
    let plan =
        |about, nights, peer, bounds| Plan { name, about, nights, peer, has_restic: false, bounds };
    Ok(match name {
        "scattered" => {
            let bounds = Bounds {
                growth_mean: Some(2.5),
                growth_worst: Some(5.0),
                coded_worst: None,
                backup_speed: Some(0.8),
                restore_speed: Some(0.5),
            };
            let about = "a relational dump, 1 % of the rows updated, 0.5 % inserted, 0.2 % deleted";
            let plan = Plan { has_restic: true, ..plan(about, 30, Peer::Xdelta, bounds) };
            (plan, Box::new(relational::Dump::new(settings.bytes_or(500_000_000))))
        }
        "real" => {
            let bounds = Bounds { coded_worst: Some(1.6), ..growth(5.0) };
            let about = "data.json of @mdn/browser-compat-data 8.1.3, .4, .5, .6, .7, .9";
            let data = real::CompatData::fetch()?;
            (plan(about, 5, Peer::ZstdPatch, bounds), Box::new(data))
        }
        "pages" => {
            let about = "a SQLite database as sqlite: takes it (its copy is in the time), 1 % of the rows updated, 0.5 % inserted, 0.2 % deleted";
            let data = sqlite::Database::new(settings.bytes_or(500_000_000));
            (plan(about, 30, Peer::Xdelta, growth(4.0)), Box::new(data))
        }
        "tree" => {
            let about = "50,000 files (fewer with --mb), 1 % of them edited";
            let data = tree::Tree::new(settings.bytes_or(tree::Tree::DEFAULT_BYTES));
            (plan(about, 5, Peer::XdeltaOfTar, growth(3.0)), Box::new(data))
        }
        "qdrant" => {
            let bounds = Bounds { coded_worst: Some(1.5), ..growth(4.0) };
            let about = "a real collection's snapshots, 1 % of its points written again";
            let plan = Plan { has_restic: true, ..plan(about, 1, Peer::ZstdPatch, bounds) };
            (plan, Box::new(qdrant::Nights::new()))
        }
        "arangodb" => {
            let bounds = Bounds { coded_worst: Some(1.3), ..growth(2.0) };
            let about = "a real database's arangodump, 1 % of its documents written again";
            let plan = Plan { has_restic: true, ..plan(about, 5, Peer::ZstdPatch, bounds) };
            (plan, Box::new(arangodb::Nights::new()))
        }
        _ => {
            let about = "segments of float32 vectors, 0.5 % of the 4-KiB pages rewritten";
            let data = vectors::Vectors::new(settings.bytes_or(1 << 30));
            (plan(about, 3, Peer::Xdelta, growth(1.3)), Box::new(data))
        }
    })
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, home, source] = args.as_slice()
        && first == "child"
    {
        return repository::serve(Path::new(home), Path::new(source));
    }
    let settings = Settings::parse(args.into_iter()).unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(2);
    });
    for name in NAMES.iter().filter(|name| settings.wants(name)) {
        match series_of(name, &settings) {
            Ok((plan, mut series)) => series::run(&plan, &mut *series, &settings),
            Err(error) => println!("\n{name}: left out, for the data is not to be had: {error}"),
        }
    }
}
