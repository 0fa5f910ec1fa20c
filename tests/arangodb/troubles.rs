//! What becomes of a restore when a server does less than it should, or the repository has lost something.

use std::sync::Arc;

use restow::storage::{Key, Storage};
use restow::{BackupOptions, ErrorKind, Overwrite, SnapshotManager};

use super::{backed_up, creating, good, is_same, load};
use crate::support::arango::{Arango, dumped, shop};
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
    assert_eq!(report.problem_count, 3, "{report:?}");
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

#[test]
fn what_the_repository_has_lost() {
    let storage = memory_repository(&default_chunks());
    let manager = SnapshotManager::new(try_open(Arc::new(storage.clone())).unwrap());
    let server = Arango::with("db", dumped("imdb_with_ratings"));
    let id =
        manager.create(&[&server.exporter("db")], &BackupOptions::default()).unwrap().id.unwrap();
    let mut packs = Vec::new();
    storage.list(&Key::new("packs").unwrap(), &mut |found| packs.push(found)).unwrap();
    let largest = packs.iter().max_by_key(|pack| pack.len).unwrap();
    let mut bytes = storage.get(&largest.key, 1 << 30).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    storage.put(&largest.key, &bytes).unwrap();
    let manager = SnapshotManager::new(try_open(Arc::new(storage)).unwrap());
    let target = Arango::start();
    let report = load(&target, &(manager, id), creating(), Overwrite::Refuse).unwrap();
    assert_eq!(report.damaged_count, 1, "{report:?}");
    let damaged = &report.damaged[0];
    assert_eq!(damaged.path.0, b"db/Ratings", "{report:?}");
    assert!(damaged.message.contains("the rest of it is lost"), "{report:?}");
    let movies = target.lock().collection("db", "Movies").values();
    assert_eq!(movies, dumped("imdb_with_ratings").collections["Movies"].values());
    assert!(target.lock().collection("db", "Ratings").documents.len() < 65_499);
}
