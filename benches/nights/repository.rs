//! A process of its own that has a repository open, so that its peak memory is restow's and not that of the data's
//! making: it takes and restores snapshots as the lines on its standard input say, and answers with a line each.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use restow::codec::{KdfCost, Secret};
use restow::format::Statistics;
use restow::id::SnapshotId;
use restow::ops::{
    BackupOptions, CompactOptions, PruneOptions, RestoreOptions, Selection, backup, prune, restore,
};
use restow::progress::{Cancel, Silent};
use restow::repo::{CreateOptions, Identity, OpenOptions, Repository, SnapshotView, create};
use restow::source::Exporter;
use restow::source::arangodb::{ArangodumpExporter, ArangodumpOptions, SortOptions};
use restow::source::files::{self, FolderExporter, FolderImporter, FolderOptions};
use restow::source::qdrant::{QdrantFileExporter, QdrantFileOptions};
use restow::source::sqlite::{SqliteExporter, SqliteOptions};
use restow::storage::Local;
use serde::{Deserialize, Serialize};

/// The peak is in bytes, and of the process so far.
#[derive(Serialize, Deserialize)]
pub struct Taken {
    pub seconds: f64,
    pub peak: u64,
    pub statistics: Statistics,
}

#[derive(Serialize, Deserialize)]
pub struct Restored {
    pub seconds: f64,
    pub peak: u64,
}

#[derive(Serialize, Deserialize)]
enum Order {
    Take,
    /// The snapshot of that night, into a folder below the home.
    Restore(usize, String),
    /// Only the snapshots of these nights stay; what nobody needs is freed.
    Thin(Vec<usize>),
    Compact,
}

/// The other process, as its parent sees it.
pub struct Opened {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Opened {
    /// `home` has the source in `source` and gets the repository in `repository`.
    pub fn start(home: &Path) -> Self {
        Self::at(home, &home.join("source"))
    }

    /// `home` gets the repository in `repository`, unless it has one.
    pub fn at(home: &Path, source: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([Path::new("child"), home, source])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, orders, answers }
    }

    fn ask<T: for<'a> Deserialize<'a>>(&mut self, order: &Order) -> T {
        writeln!(self.orders, "{}", serde_json::to_string(order).unwrap()).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("the process with the repository ended early")
    }

    pub fn take(&mut self) -> Taken {
        self.ask(&Order::Take)
    }

    pub fn restore(&mut self, night: usize, folder: &str) -> Restored {
        self.ask(&Order::Restore(night, folder.to_owned()))
    }

    pub fn thin(&mut self, kept: Vec<usize>) -> Freed {
        self.ask(&Order::Thin(kept))
    }

    pub fn compact(&mut self) -> Freed {
        self.ask(&Order::Compact)
    }

    pub fn end(self) {
        let Self { mut process, orders, .. } = self;
        drop(orders);
        assert!(process.wait().unwrap().success());
    }
}

/// What a prune came to.
#[derive(Serialize, Deserialize)]
pub struct Freed {
    pub seconds: f64,
    pub peak: u64,
    pub merged: u64,
    pub rebased: u64,
}

fn freed(repository: &Repository, compact: Option<CompactOptions>) -> Freed {
    let started = Instant::now();
    let options = PruneOptions::default().compact(compact);
    let report = prune(repository, &options, &Silent, &Cancel::new()).unwrap();
    let (seconds, rebased) = (started.elapsed().as_secs_f64(), report.copied.rebased);
    let merged = report.plan.map_or(0, |plan| plan.merged.count);
    Freed { seconds, peak: peak(), merged, rebased }
}

/// What runs in the other process.
pub fn serve(home: &Path, source: &Path) {
    let repository = open(home);
    let mut ids = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let order: Order = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = match order {
            Order::Take => {
                let (id, taken) = take(&repository, home, source);
                ids.push(id);
                serde_json::to_string(&taken)
            }
            Order::Restore(night, folder) => {
                let started = Instant::now();
                bring_back(&repository, ids[night], &home.join(folder));
                let seconds = started.elapsed().as_secs_f64();
                serde_json::to_string(&Restored { seconds, peak: peak() })
            }
            Order::Thin(kept) => {
                let dropped = (0..).zip(&ids).filter(|(night, _)| !kept.contains(night));
                for (_, id) in dropped {
                    repository.delete_snapshot(id).unwrap();
                }
                serde_json::to_string(&freed(&repository, None))
            }
            Order::Compact => {
                let compact = CompactOptions::default().older_than(Duration::ZERO).level(3);
                serde_json::to_string(&freed(&repository, Some(compact)))
            }
        };
        println!("{}", answer.unwrap());
    }
}

fn open(home: &Path) -> Repository {
    let place = home.join("repository");
    let is_new = !place.exists();
    let storage = Arc::new(Local::create(place).unwrap());
    let secret = Secret::Passphrase("bench".into());
    let kdf = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
    let options = CreateOptions::default().kdf(kdf);
    let identity = Identity::of_this_process();
    if is_new {
        create(&*storage, &secret, &options, &identity).unwrap();
    }
    let cache = OpenOptions::default().cache(Some(home.join("cache")));
    Repository::open(storage, &secret, identity, cache).unwrap()
}

/// A database that stands alone in the folder is backed up as one, and so are a collection's snapshot and a dump.
fn exporter(home: &Path, source: &Path) -> Box<dyn Exporter> {
    if source.join("dump.json").exists() {
        let sort = SortOptions { temp_dir: Some(home.into()), ..SortOptions::default() };
        let options = ArangodumpOptions { sort, identity: None };
        return Box::new(ArangodumpExporter::new(source, options, &Cancel::new()).unwrap());
    }
    let files = std::fs::read_dir(source).unwrap().map(|file| file.unwrap().path());
    let files: Vec<_> = files.collect();
    let find = |wanted: &str| {
        files.iter().find(|file| file.extension().is_some_and(|ending| ending == wanted))
    };
    if let Some(snapshot) = find("snapshot") {
        return Box::new(QdrantFileExporter::new(snapshot, QdrantFileOptions::default()).unwrap());
    }
    match find("db") {
        Some(database) => {
            let options = SqliteOptions { temp_dir: Some(home.into()), ..SqliteOptions::default() };
            Box::new(SqliteExporter::new(database, options).unwrap())
        }
        None => {
            // A night is no minute: what was not touched since the last one is not read again.
            let options =
                FolderOptions { settle: Some(Duration::ZERO), ..FolderOptions::default() };
            Box::new(FolderExporter::new(source, options).unwrap())
        }
    }
}

fn take(repository: &Repository, home: &Path, source: &Path) -> (SnapshotId, Taken) {
    // What was just written is not to be written out while the clock runs.
    rustix::fs::syncfs(std::fs::File::open(home).unwrap()).unwrap();
    let started = Instant::now();
    let (options, cancel) = (BackupOptions::default(), Cancel::new());
    let report =
        backup(repository, &[&*exporter(home, source)], &options, &Silent, &cancel).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let statistics = report.manifest.statistics;
    (report.id.unwrap(), Taken { seconds, peak: peak(), statistics })
}

fn bring_back(repository: &Repository, id: SnapshotId, target: &Path) {
    let index = repository.load_index().unwrap();
    let manifest = repository.manifest(&id).unwrap();
    let view = SnapshotView::new(id, manifest, repository.reader(&index));
    let importer = FolderImporter::new(target, files::RestoreOptions::default()).unwrap();
    // What stands beside a collection's bytes came from no file.
    let only = match view.manifest.sources[0].kind.as_str() {
        "qdrant" => vec!["*.snapshot".to_owned()],
        _ => Vec::new(),
    };
    let selection = Selection::only(&only).unwrap();
    let all = RestoreOptions::default().selection(selection);
    restore(&view, Box::new(importer), &all, &Silent, &Cancel::new()).unwrap();
}

/// The most memory this process ever had, in bytes (`VmHWM` of proc(5)).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
