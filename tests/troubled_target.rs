//! Targets that refuse: one entry's trouble is that entry's, the disk's trouble ends the restore.

use std::fs;
use std::io;
use std::sync::Arc;

use restow::codec::Secret;
use restow::format::{Entry, EntryKind, EntryPath};
use restow::ops::{OpError, RestoreOptions, RestoreReport, plan_restore, restore};
use restow::progress::{Cancel, Silent};
use restow::repo::{OpenOptions, Repository, SnapshotView};
use restow::source::files::{self, FolderImporter};
use restow::source::{Fate, Importer, Sink, SourceError};
use restow::storage::Local;
use rustix::io::Errno;

use crate::hostile::{Liar, entry};
use crate::support::binary::Bench;
use crate::support::memory_source::{MemoryImporter, MemorySource, MemoryTarget};
use crate::support::model::{Files, noise, path};
use crate::support::{back_up, identity, memory_repository, open, small_chunks, view};

/// Where the trouble is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Inspect,
    Place,
    Read,
    Write,
    Finish,
    Settle,
}

const STEPS: [Step; 6] =
    [Step::Inspect, Step::Place, Step::Read, Step::Write, Step::Finish, Step::Settle];

/// A target in memory that answers with `errno` at one step of one entry.
struct Troubled {
    inner: MemoryImporter,
    step: Step,
    path: EntryPath,
    errno: Errno,
}

impl Troubled {
    fn result(&self, step: Step, path: &EntryPath) -> Result<(), SourceError> {
        trouble(self.step == step && self.path == *path, self.errno)
    }
}

fn trouble(is_here: bool, errno: Errno) -> Result<(), SourceError> {
    let source = io::Error::from(errno);
    match is_here {
        true => Err(SourceError::Io { action: "touch", path: "it".into(), source }),
        false => Ok(()),
    }
}

impl Importer for Troubled {
    fn inspect(&mut self, entry: &Entry) -> Result<Fate, SourceError> {
        self.result(Step::Inspect, &entry.path)?;
        self.inner.inspect(entry)
    }

    fn place(&mut self, entry: &Entry) -> Result<Option<Box<dyn Sink>>, SourceError> {
        self.result(Step::Place, &entry.path)?;
        if entry.kind == EntryKind::Directory {
            return Ok(None);
        }
        let inner = self.inner.place(entry)?.unwrap();
        let step = (self.path == entry.path).then_some(self.step);
        Ok(Some(Box::new(TroubledSink { inner, step, errno: self.errno })))
    }

    fn settle(&mut self, entry: &Entry) -> Result<(), SourceError> {
        self.result(Step::Settle, &entry.path)
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        Ok(())
    }
}

struct TroubledSink {
    inner: Box<dyn Sink>,
    step: Option<Step>,
    errno: Errno,
}

impl Sink for TroubledSink {
    fn existing_len(&self) -> u64 {
        u64::MAX
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<bool, SourceError> {
        trouble(self.step == Some(Step::Read), self.errno).map(|()| false)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), SourceError> {
        trouble(self.step == Some(Step::Write), self.errno)?;
        self.inner.write_at(offset, bytes)
    }

    fn finish(self: Box<Self>) -> Result<(), SourceError> {
        trouble(self.step == Some(Step::Finish), self.errno)?;
        self.inner.finish()
    }
}

/// Three files in a folder; "d/b" has many chunks.
fn snapshot() -> (SnapshotView, Files) {
    let repository = open(memory_repository(&small_chunks()));
    let files: Files = [
        (path("d/a"), noise(500, 1)),
        (path("d/b"), noise(50_000, 2)),
        (path("d/c"), noise(500, 3)),
    ]
    .into();
    let folder = Liar(vec![entry("", EntryKind::Directory)]);
    let sources = MemorySource::new(files.clone());
    let id = back_up(&repository, &[&folder, &sources]).unwrap().id.unwrap();
    let files = files.into_iter().map(|(name, bytes)| {
        (EntryPath::new("memory").unwrap().join(name.as_bytes()).unwrap(), bytes)
    });
    (view(&repository, id), files.collect())
}

fn run(
    view: &SnapshotView,
    target: &MemoryTarget,
    step: Step,
    errno: Errno,
) -> (Result<u64, OpError>, Result<RestoreReport, OpError>) {
    let at = if step == Step::Settle { "liar" } else { "memory/d/b" };
    let troubled = || Troubled { inner: target.importer(), step, path: path(at), errno };
    let all = RestoreOptions::default();
    let plan = plan_restore(view, &mut troubled(), &all, &Cancel::new());
    let done = restore(view, Box::new(troubled()), &all, &Silent, &Cancel::new());
    (plan.map(|plan| plan.problem_count), done)
}

#[test]
fn what_one_entry_meets_is_its_own_problem() {
    let (view, files) = snapshot();
    let own = [
        Errno::NAMETOOLONG,
        Errno::PERM,
        Errno::ACCESS,
        Errno::EXIST,
        Errno::INVAL,
        Errno::LOOP,
        Errno::NOENT,
        Errno::FBIG,
        Errno::TXTBSY,
        Errno::NOTSUP,
    ];
    for (step, errno) in STEPS.into_iter().flat_map(|step| own.map(|errno| (step, errno))) {
        let target = MemoryTarget::default();
        let (plan, done) = run(&view, &target, step, errno);
        let what = format!("{errno:?} at {step:?}");
        assert_eq!(plan.unwrap(), u64::from(step == Step::Inspect), "{what}");
        let report = done.unwrap();
        let is_harmless = matches!(step, Step::Inspect | Step::Read);
        assert_eq!(report.problem_count, u64::from(!is_harmless), "{what}: {report:?}");
        assert!(!report.is_damaged());
        let at = if step == Step::Settle { "liar" } else { "memory/d/b" };
        assert!(report.problems.iter().all(|found| *found.path == *at.as_bytes()), "{what}");
        let restored = target.files.lock().unwrap();
        for (name, bytes) in &files {
            if name.display() != at || is_harmless {
                assert!(restored.get(name) == Some(bytes), "{what}: {name:?}");
            }
        }
        let finished = target.finished.lock().unwrap().contains(&path("memory/d/b"));
        assert_eq!(finished, is_harmless || step == Step::Settle, "{what}: it must not look whole");
    }
}

#[test]
fn what_every_entry_would_meet_ends_the_restore() {
    let (view, _) = snapshot();
    let everywhere = [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::IO, Errno::CONNRESET];
    for (step, errno) in STEPS.into_iter().flat_map(|step| everywhere.map(|errno| (step, errno))) {
        let (plan, done) = run(&view, &MemoryTarget::default(), step, errno);
        let what = format!("{errno:?} at {step:?}");
        assert_eq!(plan.is_err(), step == Step::Inspect, "{what}");
        assert_eq!(done.is_err(), step != Step::Inspect, "{what}");
    }
}

fn odd_entries() -> Liar {
    let long = "n".repeat(300);
    let link = |target: &str| EntryKind::Symlink { target: target.as_bytes().into() };
    let mut entries = vec![
        entry("", EntryKind::Directory),
        entry("a", EntryKind::Fifo),
        entry("empty link", link("")),
        entry("folder", EntryKind::Directory),
        entry("folder/in", EntryKind::Fifo),
        entry("link", link("a")),
        entry(&long, EntryKind::Directory),
        entry(&format!("{long}/in"), EntryKind::Fifo),
        entry("z", EntryKind::Fifo),
    ];
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Liar(entries)
}

#[test]
fn names_the_file_system_cannot_hold() {
    let repository = open(memory_repository(&small_chunks()));
    let id = back_up(&repository, &[&odd_entries()]).unwrap().id.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target");
    let options = files::RestoreOptions::default();
    let mut importer = FolderImporter::new(&target, options).unwrap();
    let (view, all) = (view(&repository, id), RestoreOptions::default());
    plan_restore(&view, &mut importer, &all, &Cancel::new()).unwrap();
    let report = restore(&view, Box::new(importer), &all, &Silent, &Cancel::new()).unwrap();
    assert_eq!((report.entries, report.problem_count), (6, 3), "{report:?}");
    let named: Vec<_> = report.problems.iter().map(|found| found.path.len()).collect();
    assert_eq!(named, ["empty link".len(), 300, 303]);
    for name in ["a", "folder/in", "z"] {
        assert!(target.join(name).exists(), "{name}");
    }
}

#[test]
fn a_target_that_cannot_be_made_is_one_error() {
    let repository = open(memory_repository(&small_chunks()));
    let id = back_up(&repository, &[&odd_entries()]).unwrap().id.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let importer =
        FolderImporter::new(folder.path().join("a/b"), files::RestoreOptions::default()).unwrap();
    fs::write(folder.path().join("a"), "in the way").unwrap();
    let (view, all) = (view(&repository, id), RestoreOptions::default());
    let error = restore(&view, Box::new(importer), &all, &Silent, &Cancel::new()).unwrap_err();
    assert!(error.to_string().starts_with("cannot use the target"), "{error}");
}

#[test]
fn exit_code_3_and_a_list() {
    let bench = Bench::with_repository();
    let storage = Arc::new(Local::open(bench.repository()).unwrap());
    let secret = Secret::Passphrase("a passphrase".into());
    let repository =
        Repository::open(storage, &secret, identity(), OpenOptions::default()).unwrap();
    back_up(&repository, &[&odd_entries()]).unwrap();
    let output = bench.run(&["restore", "latest", "--to", "out"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = crate::support::binary::stderr(&output);
    assert_eq!(said.lines().filter(|line| line.starts_with("problem: ")).count(), 3, "{said}");
    assert!(bench.path("out/z").exists());
    let output = bench.run(&["restore", "latest", "--to", "again", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["problem_count"], 3);
}
