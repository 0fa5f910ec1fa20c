//! Several packs are put at once: what is listed is durable, and one failure ends it all. Gates, no clocks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use restow::fault::ErrorKind;
use restow::format::{EntryPath, IndexRecord, ObjectKind, name};
use restow::ops::{BackupOptions, backup};
use restow::progress::{Cancel, Silent};
use restow::storage::{Hints, Key, Listed, Memory, Operation, Storage, StorageError};

use crate::support::memory_source::MemorySource;
use crate::support::{memory_repository, open, small_chunks, try_open};

/// How many packs are put at once.
const IN_FLIGHT: usize = 3;

#[derive(Default)]
struct Seen {
    /// Packs whose put began, and those whose put was answered.
    begun: Vec<String>,
    durable: BTreeSet<String>,
    most_in_flight: usize,
    /// Index objects, and what was durable when their put began.
    indexed: Vec<(String, Vec<u8>, BTreeSet<String>)>,
    has_failed: bool,
}

/// Holds the put of the first pack back until `opens` says so, and refuses the second if it is to.
struct Gated {
    inner: Memory,
    refuses: bool,
    opens: fn(&Seen) -> bool,
    seen: Mutex<Seen>,
    changed: Condvar,
}

impl Gated {
    fn new(inner: Memory, refuses: bool, opens: fn(&Seen) -> bool) -> Self {
        Self { inner, refuses, opens, seen: Mutex::default(), changed: Condvar::new() }
    }

    fn put_pack(&self, key: &Key, bytes: &[u8]) -> Result<(), StorageError> {
        let mut seen = self.seen.lock().unwrap();
        seen.begun.push(key.name().to_owned());
        let number = seen.begun.len();
        seen.most_in_flight = seen.most_in_flight.max(number - seen.durable.len());
        if self.refuses && number == 2 {
            seen.has_failed = true;
            self.changed.notify_all();
            let (path, source) = (key.to_string(), std::io::Error::other("refused"));
            return Err(StorageError::Io { operation: Operation::Put, path, source });
        }
        if number == 1 {
            let is_shut = |seen: &mut Seen| !(self.opens)(seen);
            let patience = Duration::from_secs(300);
            let (guard, waited) = self.changed.wait_timeout_while(seen, patience, is_shut).unwrap();
            assert!(!waited.timed_out(), "no other pack was put meanwhile");
            seen = guard;
        }
        drop(seen);
        self.inner.put(key, bytes)?;
        let mut seen = self.seen.lock().unwrap();
        seen.durable.insert(key.name().to_owned());
        self.changed.notify_all();
        Ok(())
    }
}

impl Storage for Gated {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), StorageError> {
        match key.as_str().split('/').next() {
            Some(name::PACKS) => return self.put_pack(key, bytes),
            Some(name::INDEX) => {
                let mut seen = self.seen.lock().unwrap();
                let durable = seen.durable.clone();
                seen.indexed.push((key.name().to_owned(), bytes.to_vec(), durable));
            }
            _ => {}
        }
        self.inner.put(key, bytes)?;
        self.changed.notify_all();
        Ok(())
    }

    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, StorageError> {
        self.inner.get(key, limit)
    }

    fn get_range(&self, k: &Key, at: u64, len: usize, b: &mut Vec<u8>) -> Result<(), StorageError> {
        self.inner.get_range(k, at, len, b)
    }

    fn stat(&self, key: &Key) -> Result<Listed, StorageError> {
        self.inner.stat(key)
    }

    fn list(&self, prefix: &Key, each: &mut dyn FnMut(Listed)) -> Result<(), StorageError> {
        self.inner.list(prefix, each)
    }

    fn delete(&self, key: &Key) -> Result<(), StorageError> {
        self.inner.delete(key)
    }

    fn hints(&self) -> Hints {
        Hints { puts_in_flight: IN_FLIGHT, ..Hints::DISK }
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// Enough chunks for many packs and several index objects.
fn source() -> MemorySource {
    let mut noise = blake3::Hasher::new().finalize_xof();
    let mut files = BTreeMap::new();
    for number in 0..20 {
        let mut bytes = vec![0; 1024 * 1024];
        noise.fill(&mut bytes);
        files.insert(EntryPath::new(format!("file{number:02}")).unwrap(), bytes);
    }
    MemorySource::new(files)
}

/// What index objects list, each with what was durable when it was put.
fn listed(storage: &Gated, memory: &Memory) -> BTreeSet<String> {
    let repository = open(memory.clone());
    let mut all = BTreeSet::new();
    for (name, bytes, durable) in &storage.seen.lock().unwrap().indexed {
        let record: IndexRecord = repository.vault().open(ObjectKind::Index, name, bytes).unwrap();
        for pack in &record.packs {
            let id = pack.id.to_hex();
            assert!(durable.contains(&id), "{id} is listed before it is durable");
            assert!(all.insert(id), "listed twice");
        }
    }
    all
}

#[test]
fn an_index_object_lists_what_is_durable_in_whatever_order_puts_end() {
    let memory = memory_repository(&small_chunks());
    // The first pack is answered only after an index object without it was put.
    let storage = Arc::new(Gated::new(memory.clone(), false, |seen| !seen.indexed.is_empty()));
    let repository = try_open(Arc::clone(&storage) as _).unwrap();
    let report =
        backup(&repository, &[&source()], &BackupOptions::default(), &Silent, &Cancel::new());
    let written = report.unwrap().written;
    let listed = listed(&storage, &memory);
    let seen = storage.seen.lock().unwrap();
    assert!(seen.indexed.len() > 1 && seen.begun.len() > IN_FLIGHT, "{}", seen.begun.len());
    assert!((2..=IN_FLIGHT).contains(&seen.most_in_flight), "{}", seen.most_in_flight);
    assert_eq!(listed, seen.durable);
    assert_eq!(written.packs, seen.durable.len() as u64);
}

#[test]
fn the_first_failure_ends_all_puts_and_what_is_durable_is_listed() {
    let memory = memory_repository(&small_chunks());
    let storage = Arc::new(Gated::new(memory.clone(), true, |seen| seen.has_failed));
    let repository = try_open(Arc::clone(&storage) as _).unwrap();
    let error =
        backup(&repository, &[&source()], &BackupOptions::default(), &Silent, &Cancel::new())
            .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(error.to_string().contains("refused"), "{error}");
    let listed = listed(&storage, &memory);
    let seen = storage.seen.lock().unwrap();
    // Those that were under way, and no others.
    assert!(seen.begun.len() <= 2 * IN_FLIGHT, "{}", seen.begun.len());
    assert!(seen.durable.contains(&seen.begun[0]));
    assert_eq!(listed, seen.durable);
    let mut snapshots = 0;
    memory.list(&Key::new(name::SNAPSHOTS).unwrap(), &mut |_| snapshots += 1).unwrap();
    assert_eq!(snapshots, 0);
}
