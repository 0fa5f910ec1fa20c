//! Several processes with a cache each back up, restore, check, delete, prune and compact one repository at once. Writers are
//! killed, or put to sleep for longer than a writer may be silent. No snapshot that was reported done loses a chunk.
//!
//! A minute of it in every test run; `RESTOW_CONCURRENCY_SECONDS` and `RESTOW_CONCURRENCY_SEED` choose others.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use restow::format::name;
use restow::id::SnapshotId;
use restow::index::ChunkIndex;
use restow::ops::{CheckOptions, CompactOptions, OpError, PruneOptions, check, prune};
use restow::progress::{Cancel, Silent};
use restow::repo::{Filter, Identity, OpenOptions, RepoError, Repository, Selector, create};
use restow::storage::{Key, Local};

use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{back_up_as, default_chunks, identity, passphrase, restore_to_memory};

/// Signs of life come ten times as often.
const EXPIRY: Duration = Duration::from_secs(2);
const WORKERS: usize = 4;
const FILES: u64 = 5;

fn who() -> Identity {
    Identity { beat_every: EXPIRY / 10, ..identity() }
}

fn open(folder: &Path, cache: Option<PathBuf>) -> Repository {
    let storage = Arc::new(Local::open(folder.join("repository")).unwrap());
    Repository::open(storage, &passphrase(), who(), OpenOptions::default().cache(cache)).unwrap()
}

/// What a source holds on a night: files that change in places, and one that comes and goes.
fn content(source: u64, night: u64) -> Files {
    let mut files = Files::new();
    for file in 0..FILES {
        let mut bytes = noise(180_000, source * 100 + file);
        for change in 0..=night {
            for (at, byte) in noise(12, change * 1000 + file).chunks(3).enumerate() {
                let place = (usize::from(byte[0]) * 997 + usize::from(byte[1]) * 31 + at * 40_000)
                    % bytes.len();
                bytes[place] = byte[2];
            }
        }
        files.insert(path(&format!("f{file}")), bytes);
    }
    if night.is_multiple_of(3) {
        files.insert(path("sometimes"), noise(60_000, source * 7919 + night % 2));
    }
    files
}

/// One process: `backup SOURCE NIGHT`, `restore ID SOURCE NIGHT`, `check`, `delete ID`, `prune`. What it says last is
/// what came of it.
#[test]
#[ignore = "a process of many_processes_at_once"]
fn worker() {
    let Ok(order) = std::env::var("RESTOW_CONCURRENCY_ORDER") else { return };
    let words: Vec<&str> = order.split(' ').collect();
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    let folder = PathBuf::from(std::env::var_os("RESTOW_CONCURRENCY_FOLDER").unwrap());
    let cache = folder.join("cache").join(std::env::var("RESTOW_CONCURRENCY_SLOT").unwrap());
    let repository = open(&folder, Some(cache));
    let said = match words[0] {
        "backup" => {
            let source = MemorySource {
                name: format!("source{}", number(1)),
                ..MemorySource::new(content(number(1), number(2)))
            };
            match back_up_as(&repository, &[&source], &format!("night {}", number(2))) {
                Ok(report) => format!("done {}", report.id.unwrap()),
                Err(OpError::Repo(RepoError::Expired { .. })) => "void".into(),
                Err(error) => format!("failed {error}"),
            }
        }
        "restore" => {
            let id: SnapshotId = words[1].parse().unwrap();
            match repository.find(&Selector::new(words[1]), &Filter::default()) {
                Err(RepoError::NoSnapshot { .. }) => "gone".into(),
                Err(error) => format!("failed {error}"),
                Ok(_) => {
                    let restored =
                        AssertUnwindSafe(|| restore_to_memory(&repository, id).contents());
                    let expected = content(number(2), number(3));
                    let same = catch_unwind(restored).map(|contents| contents == expected);
                    match same {
                        Ok(true) => "same".into(),
                        Ok(false) => "failed: it is another".into(),
                        Err(_) => "failed: it does not come back".into(),
                    }
                }
            }
        }
        "check" => {
            let options = CheckOptions::default().read_data(true);
            match check(&repository, &options, &Silent, &Cancel::new()) {
                Ok(report) if report.is_clean() => "clean".into(),
                Ok(report) => format!("damage {report:?}"),
                Err(error) => format!("failed {error}"),
            }
        }
        "delete" => match repository.delete_snapshot(&words[1].parse().unwrap()) {
            Ok(_) => "deleted".into(),
            Err(error) => format!("failed {error}"),
        },
        "prune" | "compact" => {
            let compaction = CompactOptions::default().older_than(Duration::ZERO).level(3);
            let compact = (words[0] == "compact").then_some(compaction);
            let options = PruneOptions::default().expire_after(EXPIRY).empty(true).compact(compact);
            match prune(&repository, &options, &Silent, &Cancel::new()) {
                Ok(report) if report.waits_for.is_empty() => {
                    format!("pruned {} {}", report.deleted.count, report.copied.blocks)
                }
                Ok(_) => "waits".into(),
                Err(OpError::PruneAtWork { .. }) => "busy".into(),
                Err(OpError::Repo(RepoError::PruneExpired { .. })) => "void".into(),
                Err(error) => format!("failed {error}"),
            }
        }
        other => panic!("{other}"),
    };
    println!("\nSAID {said}");
}

/// xorshift64*: the same schedule for the same seed, as far as the machine lets it.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Order {
    BackUp { source: u64, night: u64 },
    Restore(SnapshotId),
    Check,
    Delete(SnapshotId),
    Prune,
    Compact,
}

struct Running {
    order: Order,
    child: Child,
    /// When it is killed; when it is put to sleep and woken.
    killed: Option<Instant>,
    sleeps: Option<(Instant, Instant)>,
    is_asleep: bool,
}

struct Run {
    folder: tempfile::TempDir,
    dice: Dice,
    running: Vec<Option<Running>>,
    /// Reported done, and nobody was told to delete it.
    there: BTreeMap<SnapshotId, (u64, u64)>,
    nights: BTreeMap<u64, u64>,
    tally: BTreeMap<String, u64>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("repository")).unwrap();
        let storage = Local::open(folder.path().join("repository")).unwrap();
        create(&storage, &passphrase(), &default_chunks(), &who()).unwrap();
        Self {
            folder,
            dice: Dice(seed.max(1)),
            running: (0..WORKERS).map(|_| None).collect(),
            there: BTreeMap::new(),
            nights: BTreeMap::new(),
            tally: BTreeMap::new(),
        }
    }

    fn any_snapshot(&mut self) -> Option<SnapshotId> {
        let count = self.there.len() as u64;
        (count > 0)
            .then(|| self.dice.below(count))
            .and_then(|at| self.there.keys().nth(at as usize).copied())
    }

    fn choose(&mut self) -> Order {
        let source = self.dice.below(2);
        let night = self.nights.entry(source).or_default();
        let back_up = Order::BackUp { source, night: *night };
        match (self.dice.below(100), self.any_snapshot()) {
            (45..60, Some(id)) => Order::Restore(id),
            (60..67, _) => Order::Check,
            (67..82, Some(id)) if self.there.len() > 3 => {
                // From here on it may be gone.
                self.there.remove(&id);
                Order::Delete(id)
            }
            (82..91, _) => Order::Prune,
            (91.., _) => Order::Compact,
            _ => {
                *self.nights.entry(source).or_default() += 1;
                back_up
            }
        }
    }

    fn start(&mut self, slot: usize, order: Order, disturbed: bool) -> Running {
        let words = match &order {
            Order::BackUp { source, night } => format!("backup {source} {night}"),
            Order::Restore(id) => {
                let (source, night) = self.there[id];
                format!("restore {id} {source} {night}")
            }
            Order::Check => "check".into(),
            Order::Delete(id) => format!("delete {id}"),
            Order::Prune => "prune".into(),
            Order::Compact => "compact".into(),
        };
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "repo::concurrency::worker", "--ignored", "--nocapture"])
            .env("RESTOW_CONCURRENCY_ORDER", words)
            .env("RESTOW_CONCURRENCY_FOLDER", self.folder.path())
            .env("RESTOW_CONCURRENCY_SLOT", slot.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let now = Instant::now();
        let soon = Duration::from_millis(20 + self.dice.below(400));
        let puts = matches!(order, Order::BackUp { .. } | Order::Prune | Order::Compact);
        let kills = disturbed && puts;
        let (mut killed, mut sleeps) = (None, None);
        match self.dice.below(100) {
            0..15 if kills => killed = Some(now + soon),
            15..30 if kills => sleeps = Some((now + soon, now + soon + EXPIRY + EXPIRY / 2)),
            _ => {}
        }
        Running { order, child, killed, sleeps, is_asleep: false }
    }

    /// Starts, disturbs and takes back until `end`; then until all have ended.
    fn go(&mut self, end: Instant) {
        while Instant::now() < end || self.running.iter().any(Option::is_some) {
            for slot in 0..WORKERS {
                if self.running[slot].is_none() && Instant::now() < end {
                    let order = self.choose();
                    self.running[slot] = Some(self.start(slot, order, true));
                }
                if let Some(running) = &mut self.running[slot] {
                    disturb(running);
                    if running.child.try_wait().unwrap().is_some() {
                        let running = self.running[slot].take().unwrap();
                        self.end(running);
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(&mut self, mut running: Running) -> String {
        let mut text = String::new();
        running.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        let said = text.lines().find_map(|line| line.strip_prefix("SAID ")).unwrap_or("killed");
        let (what, rest) = said.split_once(' ').unwrap_or((said, ""));
        let order = match running.order {
            Order::BackUp { .. } => "backup",
            Order::Restore(_) => "restore",
            Order::Check => "check",
            Order::Delete(_) => "delete",
            Order::Prune => "prune",
            Order::Compact => "compact",
        };
        *self.tally.entry(format!("{order}: {what}")).or_default() += 1;
        let signal = running.child.wait().unwrap().signal();
        let was_killed = signal == Some(9) && running.killed.is_some();
        assert!(
            what != "killed" || was_killed,
            "{order} ended without a word ({signal:?}): {text}"
        );
        match running.order {
            Order::BackUp { source, night } => match what {
                "done" => drop(self.there.insert(rest.parse().unwrap(), (source, night))),
                _ => assert!(matches!(what, "void" | "killed"), "{order}: {said}"),
            },
            // Only what nobody meanwhile deleted has to come back.
            Order::Restore(id) => {
                assert!(what == "same" || !self.there.contains_key(&id), "{id}: {said}");
            }
            Order::Check => assert_eq!(what, "clean", "{said}"),
            Order::Delete(_) => assert_eq!(what, "deleted", "{said}"),
            Order::Prune | Order::Compact => {
                let good = ["pruned", "waits", "busy", "void", "killed"];
                assert!(good.contains(&what), "{order}: {said}");
            }
        }
        what.to_owned()
    }

    fn alone(&mut self, order: Order) -> String {
        let mut running = self.start(0, order, false);
        running.child.wait().unwrap();
        self.end(running)
    }
}

fn disturb(running: &mut Running) {
    let process = Pid::from_child(&running.child);
    let now = Instant::now();
    if running.killed.is_some_and(|at| now >= at) {
        let _ = kill_process(process, Signal::KILL);
    }
    let Some((asleep, awake)) = running.sleeps else { return };
    if !running.is_asleep && now >= asleep && now < awake {
        let _ = kill_process(process, Signal::STOP);
        running.is_asleep = true;
    } else if running.is_asleep && now >= awake {
        let _ = kill_process(process, Signal::CONT);
        running.sleeps = None;
    }
}

/// What an index knows of each chunk.
fn known(index: &dyn ChunkIndex, repository: &Repository) -> Vec<usize> {
    let mut all = Vec::new();
    for id in repository.index_objects().unwrap() {
        for pack in repository.index_object(&id).unwrap().packs {
            for chunk in pack.contents.blocks.iter().flat_map(|block| &block.chunks) {
                let mut copies = Vec::new();
                index.look_up(&chunk.id, &mut copies).unwrap();
                all.push(copies.len());
            }
        }
    }
    all
}

#[test]
fn many_processes_at_once() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seconds = number("RESTOW_CONCURRENCY_SECONDS").unwrap_or(60);
    let seed = number("RESTOW_CONCURRENCY_SEED").unwrap_or(20_261_122);
    let mut run = Run::new(seed);
    run.go(Instant::now() + Duration::from_secs(seconds));
    // Those that were killed expire, and what they left does; then prunes come to rest.
    std::thread::sleep(EXPIRY + EXPIRY / 2);
    for _ in 0..3 {
        assert_eq!(run.alone(Order::Prune), "pruned");
    }
    assert_eq!(run.alone(Order::Check), "clean");
    for id in run.there.keys().copied().collect::<Vec<_>>() {
        assert_eq!(run.alone(Order::Restore(id)), "same");
    }
    println!("{seconds} s, seed {seed}: {} snapshots kept; {:#?}", run.there.len(), run.tally);
    let folder = run.folder.path();
    let plain = open(folder, None);
    for folder in [name::ACTIVE, name::BEATS, name::CONDEMNED] {
        let mut left = Vec::new();
        let storage = plain.storage();
        storage.list(&Key::new(folder).unwrap(), &mut |listed| left.push(listed.key)).unwrap();
        assert_eq!(left, [], "{folder}");
    }
    let expected = known(&*plain.load_index().unwrap().index, &plain);
    for slot in 0..WORKERS {
        let cached = open(folder, Some(folder.join("cache").join(slot.to_string())));
        let state = cached.load_index().unwrap();
        assert!(known(&*state.index, &plain) == expected, "the cache of worker {slot}");
    }
    let done = |what: &str| run.tally.get(what).copied().unwrap_or_default();
    // However slow the machine: some were done beside the three at the end.
    assert!(done("backup: done") > 3 && done("prune: pruned") > 3, "{:?}", run.tally);
}
