//! Qdrant collections as sources and targets, against a server in this process.

mod anywhere;
mod backup;
mod cluster;
mod command_line;
mod contents;
mod errors;
mod export;
mod files;
mod logical;
mod real;
mod restore;
mod shards;
mod streams;

use std::sync::Arc;

use restow::id::SnapshotId;
use restow::source::Exporter;
use restow::{BackupOptions, Error, SnapshotManager};
use serde_json::Value;

use crate::support::qdrant::Qdrant;
use crate::support::{default_chunks, memory_repository, try_open};

fn manager() -> SnapshotManager {
    let storage = memory_repository(&default_chunks());
    SnapshotManager::new(try_open(Arc::new(storage)).unwrap())
}

fn back_up(manager: &SnapshotManager, source: &dyn Exporter) -> SnapshotId {
    manager.create(&[source], &BackupOptions::default()).unwrap().id.unwrap()
}

/// Must fail, leave no snapshot in the repository and none on the server.
fn fails(server: &Qdrant, source: &dyn Exporter) -> Error {
    let manager = manager();
    let error = manager.create(&[source], &BackupOptions::default()).unwrap_err();
    assert!(manager.list(&Default::default()).unwrap().snapshots.is_empty(), "{error}");
    assert_eq!(server.left(), [""; 0], "{error}");
    error
}

/// A fact of the snapshot's only source.
fn property(manager: &SnapshotManager, id: &SnapshotId, name: &str) -> Option<String> {
    let manifest = manager.get(&id.to_hex()).unwrap().unwrap().manifest;
    let properties = manifest.sources.into_iter().next().unwrap().properties;
    properties.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn json(manager: &SnapshotManager, id: &SnapshotId, path: &str) -> Value {
    serde_json::from_slice(&cat(manager, id, path)).unwrap()
}

fn cat(manager: &SnapshotManager, id: &SnapshotId, path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    manager.cat(id, path, &mut bytes).unwrap();
    bytes
}
