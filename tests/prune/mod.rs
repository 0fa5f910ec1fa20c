//! Prune: what it frees, what it leaves, and what becomes of it when it is disturbed.

mod checks;
mod compacts;
pub mod costs;
mod faults;
mod frees;
mod moved;
mod nights;
mod plans;
mod property;
mod refuses;
mod rot;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use restow::format::name;
use restow::id::{ChunkId, PackId, SnapshotId};
use restow::ops::{CheckOptions, OpError, PruneOptions, PruneReport, check, prune};
use restow::progress::{Cancel, Silent};
use restow::repo::Repository;
use restow::storage::{Key, Memory, Storage};

use crate::support::memory_source::MemorySource;
use crate::support::model::Files;
use crate::support::{back_up, open, restore_to_memory};

pub fn try_prune(repository: &Repository) -> Result<PruneReport, OpError> {
    let options = PruneOptions::default().empty(true);
    prune(repository, &options, &Silent, &Cancel::new())
}

/// One that meets nobody.
pub fn prune_alone(repository: &Repository) -> PruneReport {
    let report = try_prune(repository).unwrap();
    assert!(report.waits_for.is_empty(), "{report:?}");
    report
}

pub fn take(storage: &Memory, files: &Files) -> SnapshotId {
    let source = MemorySource::new(files.clone());
    back_up(&open(storage.clone()), &[&source]).unwrap().id.unwrap()
}

pub fn delete(repository: &Repository, ids: impl IntoIterator<Item = SnapshotId>) {
    for id in ids {
        repository.delete_snapshot(&id).unwrap();
    }
}

pub fn keys(storage: &Memory, folder: &str) -> Vec<Key> {
    let mut found = Vec::new();
    storage.list(&Key::new(folder).unwrap(), &mut |listed| found.push(listed.key)).unwrap();
    found
}

pub fn pack_bytes(storage: &Memory) -> u64 {
    let mut bytes = 0;
    storage.list(&Key::new(name::PACKS).unwrap(), &mut |listed| bytes += listed.len).unwrap();
    bytes
}

/// Every copy of every chunk the index objects list, and all packs they list.
pub fn listed(repository: &Repository) -> (BTreeMap<ChunkId, usize>, BTreeSet<PackId>) {
    let (mut chunks, mut packs) = (BTreeMap::new(), BTreeSet::new());
    for id in repository.index_objects().unwrap() {
        for pack in repository.index_object(&id).unwrap().packs {
            if packs.insert(pack.id) {
                for chunk in pack.contents.blocks.iter().flat_map(|block| &block.chunks) {
                    *chunks.entry(chunk.id).or_insert(0) += 1;
                }
            }
        }
    }
    (chunks, packs)
}

/// These snapshots come back, nothing is damaged.
pub fn assert_whole(storage: &Memory, snapshots: &[(SnapshotId, Files)], what: &str) {
    let repository = open(storage.clone());
    for (id, files) in snapshots {
        assert!(restore_to_memory(&repository, *id).contents() == *files, "{what}: {id}");
    }
    let options = CheckOptions::default().read_data(true);
    let report = check(&repository, &options, &Silent, &Cancel::new()).unwrap();
    assert!(report.is_clean(), "{what}: {report:?}");
}

/// Nobody is announced, nothing is condemned, index and packs tell of each other.
pub fn assert_tidy(storage: &Memory, what: &str) {
    for folder in [name::ACTIVE, name::BEATS, name::CONDEMNED] {
        assert_eq!(keys(storage, folder), [], "{what}: {folder}");
    }
    let (_, packs) = listed(&open(storage.clone()));
    let there: BTreeSet<PackId> =
        keys(storage, name::PACKS).iter().map(|key| key.name().parse().unwrap()).collect();
    assert_eq!(packs, there, "{what}");
}

/// Longer than anybody may be silent.
pub const LONG: Duration = Duration::from_secs(25 * 3600);
