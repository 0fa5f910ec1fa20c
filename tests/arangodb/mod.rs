//! ArangoDB databases as sources and targets, against a server in this process with dumps of real ones; against
//! a real one too where `RESTOW_TEST_ARANGO_URL` names it.

mod anywhere;
mod backup;
mod checks;
mod command_line;
mod errors;
mod replace;
mod restore;
mod rollback;
mod streams;
mod troubles;

use std::collections::BTreeMap;
use std::sync::Arc;

use restow::id::SnapshotId;
use restow::ops::{RestoreOptions, RestoreReport};
use restow::source::Exporter;
use restow::source::arangodb::{ArangoLoader, ArangoLogin, ArangoRestore};
use restow::{
    BackupOptions, BackupReport, Cancel, Confirmed, Error, Overwrite, RestorePlan, SnapshotManager,
};
use serde_json::Value;

use crate::support::arango::{Arango, Database, connection};
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

type Backup = (SnapshotManager, SnapshotId);

/// A repository with a backup of a server's database.
fn backed_up(server: &Arango, database: &str) -> Backup {
    let manager = manager();
    let id = back_up(server, &manager, &server.exporter(database));
    (manager, id)
}

fn loader(server: &Arango, restore: ArangoRestore) -> Box<ArangoLoader> {
    let connection = connection(ArangoLogin::default());
    let server = &server.source("").server;
    Box::new(ArangoLoader::new(server, &connection, restore, &Cancel::new()).unwrap())
}

fn load(
    server: &Arango,
    (manager, id): &Backup,
    restore: ArangoRestore,
    overwrite: Overwrite,
) -> Result<RestoreReport, Error> {
    manager.load(id, loader(server, restore), &RestoreOptions::default(), overwrite)
}

fn plan(server: &Arango, (manager, id): &Backup, restore: ArangoRestore) -> RestorePlan {
    manager.plan_load(id, &mut *loader(server, restore), &RestoreOptions::default()).unwrap()
}

/// All went well.
fn good(report: Result<RestoreReport, Error>) -> RestoreReport {
    let report = report.unwrap();
    assert_eq!((report.problem_count, report.damaged_count), (0, 0), "{report:?}");
    report
}

/// As somebody does who was shown so many replacements.
fn confirmed(replaced: u64) -> Overwrite {
    let mut plan = RestorePlan::default();
    plan.replaced = replaced;
    Overwrite::Confirmed(Confirmed::of(&plan))
}

fn creating() -> ArangoRestore {
    ArangoRestore { create_database: true, ..ArangoRestore::default() }
}

/// Everything that a user made is there as it was.
fn is_same(server: &Arango, database: &str, was: &Database) {
    let state = server.lock();
    for (name, collection) in &was.collections {
        if name.starts_with('_') && name != "_graphs" && name != "_analyzers" {
            continue;
        }
        let found = state.collection(database, name);
        assert_eq!(found.values(), collection.values(), "{name}");
        let without_primary = |list: &[serde_json::Value]| {
            let mut names: Vec<_> = list.iter().map(|index| index["name"].to_string()).collect();
            names.sort();
            names
        };
        assert_eq!(without_primary(&found.indexes), without_primary(&collection.indexes));
        if name.starts_with('_') {
            // The server's own: not made of the snapshot.
            continue;
        }
        for key in ["type", "keyOptions", "numberOfShards", "schema", "waitForSync"] {
            assert_eq!(found.parameters.get(key), collection.parameters.get(key), "{name} {key}");
        }
    }
    for (name, view) in &was.views {
        for part in ["links", "indexes"] {
            assert_eq!(state.databases[database].views[name][part], view[part], "{name} {part}");
        }
    }
    let names =
        |views: &std::collections::BTreeMap<String, _>| views.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&state.databases[database].views), names(&was.views));
}
