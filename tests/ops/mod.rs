//! Operations through the library.

mod cat;
mod check_cancelled;
mod damage;
mod delete;
mod engine;
mod export;
mod faults;
mod keys;
mod lanes;
mod notes;
mod renamed;
mod retention;
mod scale;
mod stats;

use restow::id::SnapshotId;
use restow::ops::{BackupOptions, backup};
use restow::progress::{Cancel, Silent};
use restow::repo::Repository;
use restow::storage::{Key, Memory, Storage};

use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{back_up, memory_repository, open, small_chunks};

/// A repository in memory with one snapshot of these files.
fn with_snapshot(files: Files) -> (Memory, Repository, SnapshotId) {
    let storage = memory_repository(&small_chunks());
    let repository = open(storage.clone());
    let id = back_up(&repository, &[&MemorySource::new(files)]).unwrap().id.unwrap();
    (storage, repository, id)
}

fn one_file() -> Files {
    [(path("a"), noise(5000, 1))].into()
}

/// A snapshot with these marks of its own, written when it was taken.
fn marked(repository: &Repository, tags: &[&str], permanent: bool) -> SnapshotId {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let options = BackupOptions::default().tags(tags).permanent(permanent);
    let source = MemorySource::new(one_file());
    backup(repository, &[&source], &options, &Silent, &Cancel::new()).unwrap().id.unwrap()
}

fn objects(storage: &Memory, folder: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    storage.list(&Key::new(folder).unwrap(), &mut |listed| keys.push(listed.key)).unwrap();
    keys.sort();
    keys
}

/// Changes one byte in the middle of an object.
fn damage(storage: &Memory, key: &Key) {
    let mut bytes = storage.get(key, 1 << 30).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    storage.put(key, &bytes).unwrap();
}

/// The packs that hold stream bytes: their headers say so.
fn data_packs(storage: &Memory) -> Vec<Key> {
    let mut packs = objects(storage, "packs");
    packs.retain(|key| storage.get(key, 1 << 30).unwrap()[7] == 3);
    packs
}
