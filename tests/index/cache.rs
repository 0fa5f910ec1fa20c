//! The RocksDB cache as files: damaged, foreign, shared by processes, and cut off at the worst moment.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use restow::id::RepositoryId;
use restow::index::{CacheRole, ChunkIndex, IndexError, RocksIndex};

use crate::support::index_records::{
    REPOSITORY, chunk, numbered_record, object, pack, pack_id, record,
};

const OBJECTS: u32 = 20;

fn open(dir: &Path) -> RocksIndex {
    RocksIndex::open(dir, REPOSITORY).unwrap()
}

fn fill(index: &RocksIndex) {
    for number in 0..OBJECTS {
        index.ingest(object(number), &numbered_record(number)).unwrap();
    }
    index.flush().unwrap();
}

fn has_chunk(index: &RocksIndex, number: u32) -> bool {
    let mut found = Vec::new();
    index.look_up(&chunk(number), &mut found).unwrap();
    found.iter().any(|copy| copy.pack == pack_id(number / 10))
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn database_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("db")).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

#[test]
fn what_was_flushed_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path()));
    let index = open(folder.path());
    assert_eq!(index.ingested().len(), OBJECTS as usize);
    assert!((0..OBJECTS * 10).step_by(10).all(|number| has_chunk(&index, number)));
}

#[test]
fn another_repositorys_or_schemas_cache_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path()));
    let other = RocksIndex::open(folder.path(), RepositoryId::new([8; 16])).unwrap();
    assert!(other.ingested().is_empty());
    drop(other);
    assert!(open(folder.path()).ingested().is_empty());
}

#[test]
fn a_deleted_cache_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path()));
    fs::remove_dir_all(folder.path()).unwrap();
    let index = open(folder.path());
    assert!(index.ingested().is_empty());
    fill(&index);
    assert!(has_chunk(&index, 50));
}

#[derive(Debug, Clone, Copy)]
enum Harm {
    Empty,
    Halve,
    FlipEveryByte,
    FlipOneByte,
    Delete,
}

fn harm(path: &Path, harm: Harm) {
    let mut bytes = fs::read(path).unwrap();
    match harm {
        Harm::Empty => bytes.clear(),
        Harm::Halve => bytes.truncate(bytes.len() / 2),
        Harm::FlipEveryByte => bytes.iter_mut().for_each(|byte| *byte ^= 0xff),
        Harm::FlipOneByte => {
            let middle = bytes.len() / 3;
            bytes.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 0x10);
        }
        Harm::Delete => return fs::remove_file(path).unwrap(),
    }
    fs::write(path, bytes).unwrap();
}

/// Whatever happens to any file: a hit is a true one, damage is an error and gone at the next opening, and a
/// cache that says it has an object has its chunks.
#[test]
fn a_damaged_cache_never_lies_and_is_begun_anew() {
    let whole = tempfile::tempdir().unwrap();
    fill(&open(whole.path()));
    let index = open(whole.path());
    let truth: Vec<_> = (0..OBJECTS * 10).map(|number| copies(&index, number).unwrap()).collect();
    drop(index);
    let names: Vec<_> =
        database_files(whole.path()).iter().map(|p| p.file_name().unwrap().to_owned()).collect();
    let mut noticed = 0;
    for name in names {
        for kind in [Harm::Empty, Harm::Halve, Harm::FlipEveryByte, Harm::FlipOneByte, Harm::Delete]
        {
            let folder = tempfile::tempdir().unwrap();
            copy_folder(whole.path(), folder.path());
            harm(&folder.path().join("db").join(&name), kind);
            let context = format!("{name:?} {kind:?}");
            let index = open(folder.path());
            if index.ingested().is_empty() {
                noticed += 1;
                fill(&index);
                assert_eq!(copies(&index, 33).unwrap(), truth[33], "{context}");
                continue;
            }
            assert_eq!(index.ingested().len(), OBJECTS as usize, "{context}");
            let mut is_damaged = false;
            for (number, expected) in (0..).zip(&truth) {
                match copies(&index, number) {
                    Ok(found) => assert_eq!(&found, expected, "{context}"),
                    Err(IndexError::Damaged { .. }) => is_damaged = true,
                    Err(error) => panic!("{context}: {error}"),
                }
            }
            drop(index);
            if is_damaged {
                noticed += 1;
                assert!(open(folder.path()).ingested().is_empty(), "{context}");
                assert_eq!(open(folder.path()).role(), CacheRole::Primary, "{context}");
            }
        }
    }
    assert!(noticed >= 10, "{noticed}");
}

fn copies(index: &RocksIndex, number: u32) -> Result<Vec<restow::index::Location>, IndexError> {
    let mut found = Vec::new();
    index.look_up(&chunk(number), &mut found).map(|()| found)
}

#[test]
fn nothing_that_was_ingested_is_half_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    index.ingest(object(1), &numbered_record(1)).unwrap();
    index.flush().unwrap();
    index.ingest(object(5), &numbered_record(5)).unwrap();
    index.forget(&[object(1)]).unwrap();
    // The files as they are now are what a kill leaves.
    let crashed = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), crashed.path());
    let survivor = open(crashed.path());
    assert!(has_chunk(&survivor, 10) && !has_chunk(&survivor, 50));
    assert_eq!(survivor.ingested().into_iter().collect::<Vec<_>>(), [object(1)]);
    survivor.ingest(object(5), &numbered_record(5)).unwrap();
    assert!(has_chunk(&survivor, 50));
    index.flush().unwrap();
    let crashed = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), crashed.path());
    let survivor = open(crashed.path());
    assert!(!has_chunk(&survivor, 10) && has_chunk(&survivor, 50));
    assert_eq!(survivor.ingested().into_iter().collect::<Vec<_>>(), [object(5)]);
}

/// An object larger than the write buffers is flushed while it is being taken in.
#[test]
fn a_large_object_is_wholly_in_or_not_at_all() {
    const PACKS: u32 = 16;
    const CHUNKS: u32 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let all: Vec<u32> = (0..PACKS * CHUNKS).collect();
    let packs = all.chunks(CHUNKS as usize).zip(500..).map(|(chunks, number)| {
        let blocks: Vec<&[u32]> = chunks.chunks(1000).collect();
        pack(number, &blocks)
    });
    let large = record(1, packs.collect());
    let watching = std::thread::scope(|threads| {
        let ingesting = threads.spawn(|| index.ingest(object(1), &large).unwrap());
        let mut crashes = 0;
        while !ingesting.is_finished() {
            let crashed = tempfile::tempdir().unwrap();
            copy_folder(folder.path(), crashed.path());
            // Files were copied while they changed: what cannot be opened is begun anew.
            let survivor = open(crashed.path());
            let is_in = survivor.ingested().contains(&object(1));
            let hits = (0..PACKS * CHUNKS).step_by(1000);
            let hits: Vec<bool> =
                hits.map(|number| !copies(&survivor, number).unwrap().is_empty()).collect();
            assert!(hits.iter().all(|hit| *hit == is_in));
            crashes += 1;
        }
        crashes
    });
    assert!(watching > 0);
    index.flush().unwrap();
    let crashed = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), crashed.path());
    let survivor = open(crashed.path());
    assert!((0..PACKS * CHUNKS).step_by(997).all(|n| copies(&survivor, n).unwrap().len() == 1));
}

#[test]
fn a_cache_of_mostly_forgotten_packs_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    for number in 0..70 {
        index.ingest(object(number), &numbered_record(number)).unwrap();
    }
    let most: Vec<_> = (0..30).map(object).collect();
    index.forget(&most).unwrap();
    drop(index);
    let index = open(folder.path());
    assert_eq!(index.ingested().len(), 40);
    index.forget(&(30..50).map(object).collect::<Vec<_>>()).unwrap();
    drop(index);
    assert!(open(folder.path()).ingested().is_empty());
}

#[test]
fn where_nothing_can_be_kept_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    for dir in [file.join("below"), file] {
        let error = RocksIndex::open(&dir, REPOSITORY).err().unwrap();
        assert!(matches!(error, IndexError::Cache { .. }), "{error}");
    }
}

/// A handle in another process: this binary again, told what to do by lines on its standard input.
struct OtherProcess {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl OtherProcess {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "index::cache::other_process", "--ignored", "--nocapture"])
            .env("RESTOW_TEST_CACHE", dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    fn ask(&mut self, question: &str) -> String {
        writeln!(self.child.stdin.as_mut().unwrap(), "{question}").unwrap();
        self.next()
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        while self.answers.read_line(&mut line).unwrap() > 0 {
            if let Some(answer) = line.trim_end().split("answer: ").nth(1) {
                return answer.to_owned();
            }
            line.clear();
        }
        panic!("the other process ended");
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
#[ignore = "the other process of the tests below"]
fn other_process() {
    let Some(dir) = std::env::var_os("RESTOW_TEST_CACHE") else { return };
    let index = open(Path::new(&dir));
    println!("answer: {:?}", index.role());
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (what, number) = line.split_once(' ').unwrap();
        let number: u32 = number.parse().unwrap();
        match what {
            "ingest" => index.ingest(object(number), &numbered_record(number)).unwrap(),
            "flush" => index.flush().unwrap(),
            _ => {}
        }
        println!("answer: {}", has_chunk(&index, number * 10));
    }
}

#[test]
fn two_processes_share_a_cache_and_a_killed_one_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path()));
    let mut other = OtherProcess::start(folder.path());
    assert_eq!(other.next(), "Primary");
    let index = open(folder.path());
    assert_eq!(index.role(), CacheRole::Overlay);
    // Each works on its own, on top of what was there.
    index.ingest(object(50), &numbered_record(50)).unwrap();
    assert_eq!(other.ask("ingest 60"), "true");
    assert_eq!(other.ask("look-up 50"), "false");
    assert_eq!(other.ask("look-up 7"), "true");
    assert!(has_chunk(&index, 500) && has_chunk(&index, 70) && !has_chunk(&index, 600));
    other.kill();
    drop(index);
    // Neither was flushed by a primary.
    let index = open(folder.path());
    assert_eq!(index.role(), CacheRole::Primary);
    assert!(!has_chunk(&index, 500) && !has_chunk(&index, 600));
    assert_eq!(index.ingested().len(), OBJECTS as usize);

    let mut overlay = OtherProcess::start(folder.path());
    assert_eq!(overlay.next(), "Overlay");
    assert_eq!(overlay.ask("ingest 70"), "true");
    overlay.kill();
    let private = || {
        let entries = fs::read_dir(folder.path()).unwrap();
        entries.filter(|e| e.as_ref().unwrap().path().join("lock").exists()).count()
    };
    assert_eq!(private(), 1);
    drop(index);
    drop(open(folder.path()));
    assert_eq!(private(), 0);
}

#[test]
fn a_flush_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = OtherProcess::start(folder.path());
    assert_eq!(other.next(), "Primary");
    assert_eq!(other.ask("ingest 1"), "true");
    assert_eq!(other.ask("flush 1"), "true");
    assert_eq!(other.ask("ingest 5"), "true");
    other.kill();
    let index = open(folder.path());
    assert!(has_chunk(&index, 10) && !has_chunk(&index, 50));
    assert_eq!(index.ingested().into_iter().collect::<Vec<_>>(), [object(1)]);
}

/// The primary replaces and deletes files all the time while others open, read and close.
#[test]
fn an_overlay_is_of_one_moment_whatever_the_primary_does() {
    let folder = tempfile::tempdir().unwrap();
    let primary = open(folder.path());
    fill(&primary);
    std::thread::scope(|threads| {
        let busy = threads.spawn(|| {
            for number in OBJECTS..OBJECTS + 40 {
                primary.ingest(object(number), &numbered_record(number)).unwrap();
                primary.flush().unwrap();
            }
        });
        let mut opened = 0;
        while !busy.is_finished() || opened < 3 {
            let overlay = open(folder.path());
            opened += 1;
            let numbers = (0..OBJECTS + 40).filter(|n| overlay.ingested().contains(&object(*n)));
            let numbers: Vec<u32> = numbers.collect();
            assert!(numbers.iter().all(|number| has_chunk(&overlay, number * 10)));
            let all = (0..OBJECTS + 40).filter(|number| has_chunk(&overlay, number * 10));
            // The last one's second pack has chunks too.
            assert!(all.count() <= numbers.len() + 1);
        }
    });
}
