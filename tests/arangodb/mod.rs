//! ArangoDB databases as sources and targets, against a server in this process with dumps of real ones; against
//! a real one too where `RESTOW_TEST_ARANGO_URL` names it.

mod anywhere;
mod backup;
mod command_line;
mod errors;
mod restore;
mod streams;

use std::collections::BTreeMap;
use std::sync::Arc;

use restow::id::SnapshotId;
use restow::source::Exporter;
use restow::{BackupOptions, BackupReport, Error, SnapshotManager};
use serde_json::Value;

use crate::support::arango::Arango;
use crate::support::{default_chunks, memory_repository, try_open};

fn manager() -> SnapshotManager {
    let storage = memory_repository(&default_chunks());
    SnapshotManager::new(try_open(Arc::new(storage)).unwrap())
}

fn report(manager: &SnapshotManager, source: &dyn Exporter) -> BackupReport {
    let report = manager.create(&[source], &BackupOptions::default()).unwrap();
    assert_eq!(report.manifest.problem_count, 0, "{:?}", report.manifest.problems);
    report
}

/// Must succeed and leave nothing held at the server.
fn back_up(server: &Arango, manager: &SnapshotManager, source: &dyn Exporter) -> SnapshotId {
    let id = report(manager, source).id.unwrap();
    assert_eq!(server.held(), 0, "states that nobody needs");
    id
}

/// Must fail, leave no snapshot in the repository and nothing held at the server.
fn fails(server: &Arango, source: &dyn Exporter) -> Error {
    let manager = manager();
    let error = manager.create(&[source], &BackupOptions::default()).unwrap_err();
    assert!(manager.list(&Default::default()).unwrap().snapshots.is_empty(), "{error}");
    assert_eq!(server.held(), 0, "{error}");
    error
}

fn cat(manager: &SnapshotManager, id: &SnapshotId, path: &str) -> String {
    let mut bytes = Vec::new();
    manager.cat(id, path, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The documents of a collection in a snapshot, by key, with their revisions.
fn documents(
    manager: &SnapshotManager,
    id: &SnapshotId,
    collection: &str,
) -> BTreeMap<String, Value> {
    let stream = |name: &str| cat(manager, id, &format!("{collection}/{name}.jsonl"));
    let (documents, revisions) = (stream("documents"), stream("revisions"));
    assert_eq!(documents.lines().count(), revisions.lines().count());
    let mut found = BTreeMap::new();
    for (document, revision) in documents.lines().zip(revisions.lines()) {
        let mut value: Value = serde_json::from_str(document).unwrap();
        assert!(value.get("_rev").is_none());
        value["_rev"] = revision.into();
        let key = value["_key"].as_str().unwrap().to_owned();
        assert!(found.last_key_value().is_none_or(|(last, _)| *last < key), "sorted by key");
        found.insert(key, value);
    }
    found
}
