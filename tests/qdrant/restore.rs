//! Collections back into a server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use restow::ops::{RestoreOptions, RestoreReport};
use restow::source::qdrant::{Policy, Priority, QdrantImporter, QdrantRestore};
use restow::storage::{Key, Storage};
use restow::{
    BackupOptions, Cancel, Confirmed, Error, ErrorKind, Overwrite, SnapshotId, SnapshotManager,
};

use super::{back_up, manager};
use crate::support::model::noise;
use crate::support::qdrant::{Qdrant, night, quick, sha256, with_key};
use crate::support::{default_chunks, memory_repository, try_open};

/// A repository with a backup of `notes`.
fn backed_up() -> (SnapshotManager, SnapshotId) {
    let (server, manager) = (Qdrant::with_notes(), manager());
    let id = back_up(&manager, &server.exporter(&["notes"]));
    (manager, id)
}

fn importer(server: &Qdrant, restore: QdrantRestore) -> Box<QdrantImporter> {
    let new = QdrantImporter::new(&server.server(), &quick(), restore, &Cancel::new());
    Box::new(new.unwrap())
}

fn restore(
    (manager, id): &(SnapshotManager, SnapshotId),
    importer: Box<QdrantImporter>,
    overwrite: Overwrite,
) -> Result<RestoreReport, Error> {
    manager.restore_into(id, importer, &RestoreOptions::default(), overwrite)
}

/// As somebody does who was shown one replacement.
fn confirmed() -> Overwrite {
    let plan = restow::RestorePlan { replaced: 1, ..Default::default() };
    Overwrite::Confirmed(Confirmed::of(&plan))
}

fn overwriting() -> QdrantRestore {
    let policy = Policy { overwrite: true, ..Policy::default() };
    QdrantRestore { policy, ..QdrantRestore::default() }
}

#[test]
fn into_a_fresh_server() {
    let (backup, server) = (backed_up(), Qdrant::start());
    let options = QdrantRestore { aliases: true, ..QdrantRestore::default() };
    let report = restore(&backup, importer(&server, options), Overwrite::Refuse).unwrap();
    assert_eq!((report.problem_count, report.damaged_count), (0, 0), "{report:?}");
    {
        let state = server.lock();
        let (name, bytes, priority) = &state.restored[0];
        assert_eq!((name.as_str(), priority.as_str()), ("notes", "snapshot"));
        assert_eq!(sha256(bytes), sha256(&night(0)));
        assert_eq!(state.aliases["notes_live"], "notes");
    }
    assert_eq!(server.left(), [""; 0], "the uploaded file is deleted");
    let checked = format!("wait=true&priority=snapshot&checksum={}", sha256(&night(0)));
    assert_eq!(server.count(&format!("POST /collections/notes/snapshots/upload?{checked}")), 1);

    // And once more through a backup of what was restored.
    let manager = manager();
    let again = back_up(&manager, &server.exporter(&["notes"]));
    assert_eq!(super::cat(&manager, &again, "notes.snapshot"), night(0));
}

#[test]
fn under_another_name_without_aliases() {
    let (backup, server) = (backed_up(), Qdrant::with_notes());
    server.lock().collections.get_mut("notes").unwrap().bytes = vec![9; 10].into();
    let options = QdrantRestore {
        collection: Some("notes copy".into()),
        priority: Priority::NoSync,
        ..QdrantRestore::default()
    };
    restore(&backup, importer(&server, options), Overwrite::Refuse).unwrap();
    let state = server.lock();
    assert_eq!(state.restored[0].0, "notes copy");
    assert_eq!(state.restored[0].2, "no_sync");
    assert_eq!(state.collections["notes copy"].bytes[..], night(0)[..]);
    assert_eq!(state.collections["notes"].bytes[..], [9; 10]);
    assert_eq!(state.aliases.len(), 1);
}

#[test]
fn a_collection_that_is_there() {
    let (backup, server) = (backed_up(), Qdrant::with_notes());
    let error = restore(&backup, importer(&server, QdrantRestore::default()), Overwrite::Refuse);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert!(error.to_string().contains("collection notes with 4000 points"), "{error}");
    assert_eq!(server.count("POST"), 0);

    // Left alone, which is a success, and says so.
    let policy = Policy { if_missing: true, ..Policy::default() };
    let leave = importer(&server, QdrantRestore { policy, ..QdrantRestore::default() });
    let said = leave.report();
    let report = restore(&backup, leave, Overwrite::Refuse).unwrap();
    assert_eq!(report.problem_count, 0);
    assert!(said.notes()[0].contains("skipped: the collection is there"), "{:?}", said.notes());
    assert_eq!(server.count("POST"), 0);

    restore(&backup, importer(&server, overwriting()), confirmed()).unwrap();
    assert_eq!(server.lock().restored.len(), 1);

    // The server would refuse, half-way.
    let changed = serde_json::json!({"size": 7, "distance": "Dot"});
    let path = "/config/params/vectors";
    *server.lock().collections.get_mut("notes").unwrap().info.pointer_mut(path).unwrap() = changed;
    let report = restore(&backup, importer(&server, overwriting()), confirmed()).unwrap();
    assert_eq!(report.problem_count, 1);
    let problem = &report.problems[0].message;
    assert!(problem.contains("other vectors") && problem.contains("another name"), "{problem}");
    assert_eq!(server.lock().restored.len(), 1);
}

#[test]
fn an_alias_that_stands_for_another_collection() {
    let (backup, server) = (backed_up(), Qdrant::start());
    server.add("newer", vec![1]);
    server.lock().aliases.insert("notes_live".into(), "newer".into());
    let options = QdrantRestore { aliases: true, ..QdrantRestore::default() };
    let careful = importer(&server, options.clone());
    let said = careful.report();
    restore(&backup, careful, Overwrite::Refuse).unwrap();
    assert!(said.problems()[0].message.contains("alias notes_live stays with newer"));
    assert_eq!(server.lock().aliases["notes_live"], "newer");

    let moving = QdrantRestore { aliases: true, ..overwriting() };
    restore(&backup, importer(&server, moving), confirmed()).unwrap();
    assert_eq!(server.lock().aliases["notes_live"], "notes");
}

#[test]
fn a_server_that_does_not_take_it() {
    let backup = backed_up();
    // Before the first byte is wanted, in the middle, and after the last.
    for (after, status, words) in
        [(0, 507, "disk is full"), (500_000, 500, "500"), (2_848_768, 400, "400")]
    {
        let server = Qdrant::start();
        server.faults(|faults| faults.upload_ends = Some((after, status)));
        let error =
            restore(&backup, importer(&server, QdrantRestore::default()), Overwrite::Refuse)
                .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        let text = error.to_string();
        // A server that hangs up while it is sent to may not be heard any more.
        assert!(text.contains(words) || text.contains("the connection broke"), "{after}: {text}");
        assert!(server.lock().restored.is_empty());
        assert_eq!(server.left(), [""; 0]);
    }
}

#[test]
fn nobody_there_and_a_wrong_key() {
    let backup = backed_up();
    let server = Qdrant::start();
    server.lock().key = Some("right".into());
    let url = server.server();
    for (options, words) in [(quick(), "set QDRANT_API_KEY"), (with_key("x"), "is wrong")] {
        let importer =
            QdrantImporter::new(&url, &options, QdrantRestore::default(), &Cancel::new()).unwrap();
        let error = restore(&backup, Box::new(importer), Overwrite::Refuse).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.to_string().contains(words), "{error}");
    }
    drop(server);
    let importer =
        QdrantImporter::new(&url, &quick(), QdrantRestore::default(), &Cancel::new()).unwrap();
    let error = restore(&backup, Box::new(importer), Overwrite::Refuse).unwrap_err();
    assert!(error.to_string().contains("cannot connect"), "{error}");
}

#[test]
fn several_collections_at_once_and_one_of_them_renamed() {
    let (source, manager) = (Qdrant::with_notes(), manager());
    source.add("users", (0..200).cycle().take(500_000).collect());
    let backup = (manager.clone(), back_up(&manager, &source.exporter(&[])));
    let server = Qdrant::start();
    restore(&backup, importer(&server, QdrantRestore::default()), Overwrite::Refuse).unwrap();
    assert_eq!(server.lock().restored.len(), 2);
    assert_eq!(server.lock().collections["users"].bytes.len(), 500_000);

    let renamed = || QdrantRestore { collection: Some("x".into()), ..QdrantRestore::default() };
    let error = restore(&backup, importer(&server, renamed()), Overwrite::Refuse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let options = RestoreOptions {
        selection: restow::Selection::only(&["users.*".into()]).unwrap(),
        ..RestoreOptions::default()
    };
    manager
        .restore_into(&backup.1, importer(&server, renamed()), &options, Overwrite::Refuse)
        .unwrap();
    assert_eq!(server.lock().collections["x"].bytes.len(), 500_000);
}

/// Half a snapshot is none: the server must not get one that looks whole.
#[test]
fn what_the_repository_has_lost_is_not_uploaded() {
    let source = Qdrant::with_notes();
    let storage = memory_repository(&default_chunks());
    let manager = SnapshotManager::new(try_open(Arc::new(storage.clone())).unwrap());
    let id = back_up(&manager, &source.exporter(&["notes"]));
    let mut packs = Vec::new();
    storage.list(&Key::new("packs").unwrap(), &mut |found| packs.push(found)).unwrap();
    let largest = packs.into_iter().max_by_key(|found| found.len).unwrap();
    let bytes = storage.get(&largest.key, 1 << 30).unwrap();
    for at in [bytes.len() / 10, bytes.len() / 2, bytes.len() * 3 / 4] {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        storage.put(&largest.key, &bad).unwrap();
        let manager = SnapshotManager::new(try_open(Arc::new(storage.clone())).unwrap());
        let server = Qdrant::start();
        let into = importer(&server, QdrantRestore::default());
        let report = restore(&(manager, id), into, Overwrite::Refuse).unwrap();
        assert!(report.is_damaged(), "{report:?}");
        assert!(server.lock().restored.is_empty(), "byte {at}");
        assert_eq!(server.left(), [""; 0]);
    }
}

#[test]
fn told_to_stop_while_it_uploads() {
    let (source, manager) = (Qdrant::with_notes(), manager());
    source.add("large", noise(30 << 20, 7));
    let id = back_up(&manager, &source.exporter(&["large"]));
    let (server, cancel) = (Qdrant::start(), Cancel::new());
    server.faults(|faults| faults.slow = Some(Duration::from_millis(50)));
    let new = QdrantImporter::new(&server.server(), &quick(), QdrantRestore::default(), &cancel);
    let stopping = cancel.clone();
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        stopping.cancel();
    });
    let started = Instant::now();
    let error = manager
        .with_cancel(cancel)
        .restore_into(&id, Box::new(new.unwrap()), &RestoreOptions::default(), Overwrite::Refuse)
        .unwrap_err();
    stopper.join().unwrap();
    assert!(
        matches!(error, Error::Interrupted) || error.kind() == ErrorKind::Interrupted,
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(server.lock().restored.is_empty());
}

/// The runtime of the HTTP client is a stranger there, and must not mind.
#[cfg(feature = "async")]
#[test]
fn from_async_code() {
    let (server, manager) = (Qdrant::with_notes(), manager());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let report = runtime.block_on(async {
        let manager = restow::AsyncSnapshotManager::new(manager);
        // Made and dropped among tasks.
        drop(importer(&server, QdrantRestore::default()));
        let source = server.exporter(&["notes"]);
        manager.create(vec![Box::new(source)], BackupOptions::default()).await
    });
    assert_eq!(report.unwrap().manifest.statistics.entries, 3);
}
