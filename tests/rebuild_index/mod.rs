//! The index made of the packs: what it mends, what it leaves, and what becomes of it when it is disturbed.

mod all;
mod beside;
mod command_line;
mod condemned;
mod faults;
mod losses;
mod mends;
mod property;

use std::collections::BTreeSet;

use restow::format::name;
use restow::id::{PackId, SnapshotId};
use restow::ops::{OpError, RebuildOptions, RebuildReport, rebuild_index};
use restow::progress::{Cancel, Silent};
use restow::repo::Repository;
use restow::storage::{Key, Memory, Storage};

use crate::prune::{keys, listed, pack_bytes, take};
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{back_up, memory_repository, open, small_chunks};

pub fn everything() -> RebuildOptions {
    RebuildOptions::default().all(true).expire_after(crate::prune::LONG)
}

pub fn try_rebuild(repository: &Repository) -> Result<RebuildReport, OpError> {
    rebuild_index(repository, &RebuildOptions::default(), &Silent, &Cancel::new())
}

pub fn rebuild(storage: &Memory) -> RebuildReport {
    try_rebuild(&open(storage.clone())).unwrap()
}

pub fn rebuild_all(storage: &Memory) -> RebuildReport {
    rebuild_index(&open(storage.clone()), &everything(), &Silent, &Cancel::new()).unwrap()
}

/// Nights of which each changes a part of the one before, with deltas, and what they hold.
pub fn nights(count: u64) -> (Memory, Vec<(SnapshotId, Files)>) {
    let storage = memory_repository(&small_chunks());
    let mut files: Files = [(path("a"), noise(60_000, 1)), (path("b"), noise(20_000, 2))].into();
    let mut there = Vec::new();
    for night in 0..count {
        let edited = files.get_mut(&path("a")).unwrap();
        let at = 1000 + 7000 * night as usize;
        edited[at..at + 5].copy_from_slice(&noise(5, 50 + night));
        files.insert(path(&format!("c{night}")), noise(3_000, 100 + night));
        there.push((take(&storage, &files), files.clone()));
    }
    (storage, there)
}

pub fn lose(storage: &Memory, keys: &[Key]) {
    keys.iter().for_each(|key| storage.delete(key).unwrap());
}

pub fn lose_the_index(storage: &Memory) {
    lose(storage, &keys(storage, name::INDEX));
}

/// One bit, at a part of the object's length.
pub fn flip(storage: &Memory, key: &Key, part: f64) {
    let mut bytes = storage.get(key, 1 << 30).unwrap();
    let at = (bytes.len() as f64 * part) as usize;
    bytes[at] ^= 1;
    storage.put(key, &bytes).unwrap();
}

/// A backup of what was backed up last stores nothing.
pub fn assert_nothing_new(storage: &Memory, files: &Files, what: &str) {
    let before = pack_bytes(storage);
    let source = MemorySource::new(files.clone());
    let written = back_up(&open(storage.clone()), &[&source]).unwrap().written;
    assert_eq!((written.new_chunks, written.metadata_stored), (0, 0), "{what}: {written:?}");
    assert_eq!(pack_bytes(storage), before, "{what}");
}

/// Every pack is listed, and nothing else.
pub fn assert_all_listed(storage: &Memory, what: &str) {
    assert_eq!(listed(&open(storage.clone())).1, packs(storage), "{what}");
}

pub fn packs(storage: &Memory) -> BTreeSet<PackId> {
    keys(storage, name::PACKS).iter().map(|key| key.name().parse().unwrap()).collect()
}

pub fn problems(report: &RebuildReport) -> Vec<String> {
    report.problems.iter().map(|problem| String::from_utf8_lossy(&problem.path).into()).collect()
}
