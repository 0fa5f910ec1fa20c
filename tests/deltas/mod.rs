//! Deltas through the whole engine: whatever a night is coded against, it comes back.

pub mod edits;
mod faults;
mod nights;
mod property;
mod writers;

use std::collections::HashMap;

use restow::format::{Codec, IndexRecord};
use restow::id::SnapshotId;
use restow::ops::{CheckOptions, RestoreOptions, check, restore};
use restow::progress::{Cancel, Silent};
use restow::repo::Repository;
use restow::storage::{Key, Memory, Storage};

use crate::support::memory_source::{MemorySource, MemoryTarget};
use crate::support::model::{Files, path};
use crate::support::{restore_to_memory, view};

/// What all index objects together say of delta blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chains {
    pub deltas: usize,
    pub deepest: u8,
}

impl Chains {
    fn and(self, other: Self) -> Self {
        let deepest = self.deepest.max(other.deepest);
        Self { deltas: self.deltas + other.deltas, deepest }
    }
}

/// Walks all index objects. No block is deeper than `limit`, and every base of a delta block has a copy of
/// smaller depth than the block: no chain comes back to where it began, whoever stored its parts.
pub fn chains(repository: &Repository, limit: u8) -> Chains {
    let objects = repository.index_objects().unwrap();
    let records: Vec<IndexRecord> =
        objects.iter().map(|id| repository.index_object(id).unwrap()).collect();
    let packs = || records.iter().flat_map(|record| &record.packs);
    let mut shallowest: HashMap<Vec<u8>, u8> = HashMap::new();
    for block in packs().flat_map(|pack| &pack.contents.blocks) {
        assert!(block.depth <= limit, "a block of depth {}, the limit is {limit}", block.depth);
        assert_eq!(block.depth > 0, block.codec == Codec::ZstdDelta);
        for chunk in &block.chunks {
            let least = shallowest.entry(short(chunk.id.as_bytes())).or_insert(block.depth);
            *least = block.depth.min(*least);
        }
    }
    let mut chains = Chains::default();
    for contents in packs().map(|pack| &pack.contents) {
        for block in &contents.blocks {
            assert_eq!(block.bases.is_empty(), block.depth == 0);
            chains.deltas += usize::from(block.depth > 0);
            chains.deepest = chains.deepest.max(block.depth);
            for base in &block.bases {
                let id = contents.bases[base.base as usize];
                let least = shallowest.get(&short(id.as_bytes())).expect("every base is stored");
                assert!(*least < block.depth, "a base of depth {least} for {}", block.depth);
            }
        }
    }
    chains
}

/// As much of an id as tells it from all others.
fn short(id: &[u8]) -> Vec<u8> {
    id[..16].to_vec()
}

fn assert_clean(repository: &Repository) {
    let options = CheckOptions::default().read_data(true);
    let report = check(repository, &options, &Silent, &Cancel::new()).unwrap();
    assert!(report.is_clean(), "{report:?}");
}

/// Snapshots and what they must hold.
type Series = Vec<(Files, SnapshotId)>;

fn assert_restores(repository: &Repository, series: &Series) {
    for (night, (expected, id)) in series.iter().enumerate() {
        let contents = restore_to_memory(repository, *id).contents();
        assert!(contents == *expected, "snapshot {night} of {}", series.len());
    }
}

fn is_damaged(repository: &Repository, id: SnapshotId) -> bool {
    let importer = Box::new(MemoryTarget::default().importer());
    let (view, options) = (view(repository, id), RestoreOptions::default());
    restore(&view, importer, &options, &Silent, &Cancel::new()).map_or(true, |it| it.is_damaged())
}

/// One stream.
fn stream(bytes: Vec<u8>) -> Files {
    [(path("stream"), bytes)].into()
}

fn source(name: &str, files: &Files) -> MemorySource {
    MemorySource { name: name.into(), ..MemorySource::new(files.clone()) }
}

fn keys_of(storage: &Memory, folder: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    storage.list(&Key::new(folder).unwrap(), &mut |listed| keys.push(listed.key)).unwrap();
    keys.sort();
    keys
}
