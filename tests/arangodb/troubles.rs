//! What becomes of a restore when a server does less than it should, or the repository has lost something.

use std::sync::Arc;

use restow::ops::RestoreOptions;
use restow::source::arangodb::ArangoRestore;
use restow::storage::{Key, Storage};
use restow::{BackupOptions, ErrorKind, Overwrite, Selection, SnapshotManager};

use super::{Backup, backed_up, confirmed, creating, good, is_same, load, loader};
use crate::support::arango::{Arango, document, dumped, shop};
use crate::support::{default_chunks, memory_repository, try_open};

#[test]
fn servers_that_take_documents_otherwise() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    // Before 3.8: in envelopes.
    let old = Arango::start();
    old.lock().version = "3.7.18".into();
    good(load(&old, &backup, creating(), Overwrite::Refuse));
    is_same(&old, "shop", &shop());
    assert_eq!(
        old.count("PUT /_api/replication/restore-data?collection=items&force=false&useEnvelope"),
        0
    );
    // Without replication: as an import, which gives each a new revision, and says so.
    let without = Arango::start();
    without.faults(|faults| faults.no_restore_data = true);
    let report = good(load(&without, &backup, creating(), Overwrite::Refuse));
    assert!(report.notes.iter().any(|note| note.contains("new `_rev`")), "{:?}", report.notes);
    let state = without.lock();
    assert_eq!(state.collection("shop", "people").documents.len(), 7);
    assert!(
        state.collection("shop", "people").values()["k1"]["_rev"]
            .as_str()
            .unwrap()
            .starts_with("new")
    );
}

#[test]
fn documents_that_do_not_arrive() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    // A connection that broke: sent again, and each document is there once.
    let target = Arango::start();
    target.instead("PUT /_api/replication/restore-data", 3, 0, "", "");
    target.instead("PUT /_api/replication/restore-data", 1, 503, "", "{}");
    good(load(&target, &backup, creating(), Overwrite::Refuse));
    is_same(&target, "shop", &shop());
    // A server that says yes and does not do it is found out.
    let target = Arango::start();
    target.faults(|faults| faults.loses_documents = true);
    let report = load(&target, &backup, creating(), Overwrite::Refuse).unwrap();
    // Of the server's own collections too.
    assert_eq!(report.problem_count, 5, "{report:?}");
    let said = &report.problems.iter().find(|it| it.path.0 == b"shop/items").unwrap().message;
    assert!(said.contains("50 documents were sent, and the server counts 49"), "{said}");
}

/// What one collection or view cannot does not keep the others from it.
#[test]
fn troubles_of_one_thing() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let target = Arango::start();
    let said = r#"{"error":true,"code":400,"errorNum":10,"errorMessage":"no such feature"}"#;
    target.instead("PUT /_api/replication/restore-indexes", 1, 400, "", said);
    let report = load(&target, &backup, creating(), Overwrite::Refuse).unwrap();
    let problems: Vec<_> =
        report.problems.iter().map(|it| String::from_utf8_lossy(&it.path)).collect();
    // The index, and the view that needs it.
    assert_eq!(problems, ["shop/items", "shop/alias"], "{report:?}");
    assert!(report.problems[0].message.contains("no such feature"));
    assert_eq!(target.lock().collection("shop", "items").documents.len(), 50);
    assert_eq!(target.lock().collection("shop", "bought").documents.len(), 7);
    // What nobody may do, nothing else can be expected to do either.
    let forbidden = Arango::start();
    forbidden.instead("PUT /_api/replication/restore-collection", 1, 403, "", "");
    let error = load(&forbidden, &backup, creating(), Overwrite::Refuse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("a restore one that may write"), "{error}");
}

/// The server takes a collection that has this identity for the one that is to be made.
#[test]
fn a_collection_that_was_not_made_is_not_filled() {
    let backup = backed_up(&Arango::with_shop(), "shop");
    let target = Arango::start();
    target.instead("PUT /_api/replication/restore-collection", 1, 200, "", r#"{"result":true}"#);
    let report = load(&target, &backup, creating(), Overwrite::Refuse).unwrap();
    assert!(report.problems[0].message.contains("but is not there"), "{report:?}");
}

/// A snapshot of a real database, one byte of whose documents is lost.
pub fn damaged() -> Backup {
    let storage = memory_repository(&default_chunks());
    let manager = SnapshotManager::new(try_open(Arc::new(storage.clone())).unwrap());
    let server = Arango::with("db", dumped("imdb_with_ratings"));
    let exporter = server.exporter("db");
    let id = manager.create(&[&exporter], &BackupOptions::default()).unwrap().id.unwrap();
    let mut packs = Vec::new();
    storage.list(&Key::new("packs").unwrap(), &mut |found| packs.push(found)).unwrap();
    let largest = packs.iter().max_by_key(|pack| pack.len).unwrap();
    let mut bytes = storage.get(&largest.key, 1 << 30).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    storage.put(&largest.key, &bytes).unwrap();
    (SnapshotManager::new(try_open(Arc::new(storage)).unwrap()), id)
}

#[test]
fn what_the_repository_has_lost() {
    let (backup, target) = (damaged(), Arango::start());
    let report = load(&target, &backup, creating(), Overwrite::Refuse).unwrap();
    assert_eq!(report.damaged_count, 1, "{report:?}");
    let damaged = &report.damaged[0];
    assert_eq!(damaged.path.0, b"db/Ratings", "{report:?}");
    assert!(damaged.message.contains("not all of it is there"), "{report:?}");
    let was = dumped("imdb_with_ratings").collections;
    assert_eq!(target.lock().collection("db", "Movies").values(), was["Movies"].values());
    let count = target.lock().collection("db", "Ratings").documents.len();
    assert!(count < was["Ratings"].documents.len(), "{count}");
}

/// What is there is not dropped for what cannot come.
#[test]
fn what_is_lost_replaces_nothing() {
    let (backup, target) = (damaged(), Arango::with("db", dumped("imdb_with_ratings")));
    target.lock().add("db", "Ratings", &document("Ratings", "mine", 1));
    target.lock().add("db", "Movies", &document("Movies", "mine", 1));
    let report = load(&target, &backup, ArangoRestore::default(), confirmed(3)).unwrap();
    assert_eq!((report.damaged_count, report.problem_count), (1, 0), "{report:?}");
    assert!(report.damaged[0].message.contains("nothing was replaced"), "{report:?}");
    let was = dumped("imdb_with_ratings").collections;
    let count = target.lock().collection("db", "Ratings").documents.len();
    assert_eq!(count, was["Ratings"].documents.len() + 1);
    assert_eq!(target.lock().collection("db", "Movies").values(), was["Movies"].values());
}

#[test]
fn a_collection_whose_documents_were_not_selected() {
    let server = Arango::with_shop();
    let backup = backed_up(&server, "shop");
    let selection = Selection::only(&["shop/collections/items/structure.json".to_owned()]).unwrap();
    let options = RestoreOptions::default().selection(selection);
    let loader = loader(&server, ArangoRestore::default());
    let report = backup.0.load(&backup.1, loader, &options, confirmed(0)).unwrap();
    assert_eq!(report.problem_count, 1, "{report:?}");
    assert!(report.problems[0].message.contains("were not selected"), "{report:?}");
    is_same(&server, "shop", &shop());
    assert_eq!(server.count("PUT"), 0);
}
