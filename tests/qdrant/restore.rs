//! Collections back into a server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use restow::ops::{RestoreOptions, RestoreReport};
use restow::source::Rename;
use restow::source::qdrant::{Priority, QdrantLoader, QdrantRestore};
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

fn loader(server: &Qdrant, restore: QdrantRestore) -> Box<QdrantLoader> {
    let new = QdrantLoader::new(&server.server(), &quick(), restore, &Cancel::new());
    Box::new(new.unwrap())
}

fn restore(
    (manager, id): &(SnapshotManager, SnapshotId),
    loader: Box<QdrantLoader>,
    overwrite: Overwrite,
) -> Result<RestoreReport, Error> {
    manager.load(id, loader, &RestoreOptions::default(), overwrite)
}

/// As somebody does who was shown one replacement.
fn confirmed() -> Overwrite {
    let mut plan = restow::RestorePlan::default();
    plan.replaced = 1;
    Overwrite::Confirmed(Confirmed::of(&plan))
}

#[test]
fn into_a_fresh_server() {
    let (backup, server) = (backed_up(), Qdrant::start());
    let options = QdrantRestore { aliases: true, ..QdrantRestore::default() };
    let report = restore(&backup, loader(&server, options), Overwrite::Refuse).unwrap();
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
        rename: Some("notes copy".into()),
        priority: Priority::NoSync,
        ..QdrantRestore::default()
    };
    restore(&backup, loader(&server, options), Overwrite::Refuse).unwrap();
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
    let error = restore(&backup, loader(&server, QdrantRestore::default()), Overwrite::Refuse);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert!(error.to_string().contains("notes (collection with 4000 points)"), "{error}");
    assert_eq!(server.count("POST"), 0);

    // Left alone, which is a success, and says so.
    let missing = || QdrantRestore { if_missing: true, ..QdrantRestore::default() };
    let report = restore(&backup, loader(&server, missing()), Overwrite::Refuse).unwrap();
    assert_eq!(report.problem_count, 0);
    let note =
        "skipped: collection notes with 4000 points is there, and only missing ones were wanted";
    assert_eq!(report.notes, [note]);
    assert_eq!(server.count("POST"), 0);

    restore(&backup, loader(&server, QdrantRestore::default()), confirmed()).unwrap();
    assert_eq!(server.lock().restored.len(), 1);

    // The server would refuse, half-way.
    let changed = serde_json::json!({"size": 7, "distance": "Dot"});
    let path = "/config/params/vectors";
    *server.lock().collections.get_mut("notes").unwrap().info.pointer_mut(path).unwrap() = changed;
    let error =
        restore(&backup, loader(&server, QdrantRestore::default()), confirmed()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    let text = error.to_string();
    assert!(text.contains("other vectors") && text.contains("another name"), "{text}");
    assert_eq!(server.lock().restored.len(), 1);
}

#[test]
fn an_alias_that_stands_for_another_collection() {
    let (backup, server) = (backed_up(), Qdrant::start());
    server.add("newer", vec![1]);
    server.lock().aliases.insert("notes_live".into(), "newer".into());
    let options = || QdrantRestore { aliases: true, ..QdrantRestore::default() };
    let error = restore(&backup, loader(&server, options()), Overwrite::Refuse).unwrap_err();
    assert!(error.to_string().contains("notes_live (an alias of collection newer)"), "{error}");
    assert!(server.lock().restored.is_empty());

    let at_start = QdrantRestore { if_missing: true, ..options() };
    let report = restore(&backup, loader(&server, at_start), Overwrite::Refuse).unwrap();
    assert_eq!(
        report.problems[0].message,
        "alias notes_live stays with newer: --overwrite moves it"
    );
    assert_eq!(server.lock().aliases["notes_live"], "newer");

    server.lock().collections.remove("notes");
    restore(&backup, loader(&server, options()), confirmed()).unwrap();
    assert_eq!(server.lock().aliases["notes_live"], "notes");
}

/// The server follows an alias, to a collection that nobody was shown.
#[test]
fn an_alias_is_no_target() {
    let (backup, server) = (backed_up(), Qdrant::with_notes());
    let rename = Some("notes_live".to_owned());
    let into = loader(&server, QdrantRestore { rename, ..QdrantRestore::default() });
    let error = restore(&backup, into, confirmed()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert!(error.to_string().contains("is an alias of collection notes"), "{error}");
    assert_eq!(server.count("POST"), 0);
}

/// An application that starts beside the restore must not lose what it wrote.
#[test]
fn a_collection_that_appears_while_its_snapshot_is_uploaded() {
    let backup = backed_up();
    for if_missing in [false, true] {
        let server = Qdrant::start();
        // It is missing for the plan and before the upload, and there at its end.
        server.faults(|faults| faults.appears_after = Some(3));
        let options = QdrantRestore { if_missing, ..QdrantRestore::default() };
        let error = restore(&backup, loader(&server, options), Overwrite::Refuse).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
        assert!(error.to_string().contains("made by somebody else"), "{error}");
        assert!(server.lock().restored.is_empty());
        assert_eq!(server.left(), [""; 0]);
    }
}

/// What a broken restore left is not what was wanted.
#[test]
fn a_collection_without_points_is_not_taken_for_restored() {
    let (backup, server) = (backed_up(), Qdrant::with_notes());
    server.lock().collections.get_mut("notes").unwrap().info["points_count"] = 0.into();
    let options = QdrantRestore { if_missing: true, ..QdrantRestore::default() };
    let report = restore(&backup, loader(&server, options), Overwrite::Refuse).unwrap();
    assert_eq!(report.problem_count, 1);
    let problem = &report.problems[0].message;
    assert!(problem.contains("no points where the snapshot has 4000"), "{problem}");
    assert_eq!(server.count("POST"), 0);
}

#[test]
fn an_upload_that_breaks_is_begun_anew() {
    let (source, manager) = (Qdrant::start(), manager());
    // More than what lies between two programs.
    let bytes = noise(40 << 20, 5);
    source.add("large", bytes.clone());
    let backup = (manager.clone(), back_up(&manager, &source.exporter(&["large"])));
    let server = Qdrant::start();
    server.faults(|faults| faults.upload_breaks = vec![0, 700_000, 20_000_000]);
    let into = loader(&server, QdrantRestore::default());
    let report = restore(&backup, into, Overwrite::Refuse).unwrap();
    assert_eq!((report.problem_count, report.entries), (0, 1));
    assert_eq!(report.notes, ["large: 4000 points, as when it was backed up"]);
    let state = server.lock();
    assert_eq!(state.restored.len(), 1);
    assert!(state.restored[0].1 == bytes);
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
        let error = restore(&backup, loader(&server, QdrantRestore::default()), Overwrite::Refuse)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        let text = error.to_string();
        // A server that hangs up while it is sent to may not be heard any more.
        assert!(text.contains(words) || text.contains("the connection broke"), "{after}: {text}");
        assert!(server.lock().restored.is_empty());
        assert_eq!(server.left(), [""; 0]);
    }
}

/// Where the first answer was lost with its connection, the second is waited for before everything is sent again.
#[test]
fn a_refusal_that_was_not_heard_is_not_sent_everything_again() {
    let (source, manager) = (Qdrant::start(), manager());
    source.add("large", noise(40 << 20, 8));
    let backup = (manager.clone(), back_up(&manager, &source.exporter(&["large"])));
    for (status, words) in [
        (413, "service.max_request_size_mb"),
        (401, "set QDRANT_API_KEY"),
        (400, "the server answers 400"),
    ] {
        let server = Qdrant::start();
        server.faults(|faults| {
            faults.upload_breaks = vec![0];
            (faults.upload_ends, faults.lingers) = (Some((0, status)), true);
            // Time enough to send it much.
            faults.slow = Some(Duration::from_millis(100));
        });
        let error = restore(&backup, loader(&server, QdrantRestore::default()), Overwrite::Refuse)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(server.count("POST"), 2, "{error}");
        // The form's first lines, and nothing of the snapshot.
        assert!(server.lock().came_after < 1000, "{} bytes", server.lock().came_after);
        assert!(server.lock().restored.is_empty());
    }
}

#[test]
fn nobody_there_and_a_wrong_key() {
    let backup = backed_up();
    let server = Qdrant::start();
    server.lock().key = Some("right".into());
    let url = server.server();
    for (options, words) in [(quick(), "set QDRANT_API_KEY"), (with_key("x"), "is wrong")] {
        let loader =
            QdrantLoader::new(&url, &options, QdrantRestore::default(), &Cancel::new()).unwrap();
        let error = restore(&backup, Box::new(loader), Overwrite::Refuse).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.to_string().contains(words), "{error}");
    }
    drop(server);
    let loader =
        QdrantLoader::new(&url, &quick(), QdrantRestore::default(), &Cancel::new()).unwrap();
    let error = restore(&backup, Box::new(loader), Overwrite::Refuse).unwrap_err();
    assert!(error.to_string().contains("cannot connect"), "{error}");
}

#[test]
fn several_collections_at_once_and_one_of_them_renamed() {
    let (source, manager) = (Qdrant::with_notes(), manager());
    source.add("users", (0..200).cycle().take(500_000).collect());
    let backup = (manager.clone(), back_up(&manager, &source.exporter(&[])));
    let server = Qdrant::start();
    restore(&backup, loader(&server, QdrantRestore::default()), Overwrite::Refuse).unwrap();
    assert_eq!(server.lock().restored.len(), 2);
    assert_eq!(server.lock().collections["users"].bytes.len(), 500_000);

    let renamed = || QdrantRestore { rename: Some("x".into()), ..QdrantRestore::default() };
    let error = restore(&backup, loader(&server, renamed()), Overwrite::Refuse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let options =
        RestoreOptions::default().selection(restow::Selection::only(&["users.*"]).unwrap());
    manager.load(&backup.1, loader(&server, renamed()), &options, Overwrite::Refuse).unwrap();
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
        let into = loader(&server, QdrantRestore::default());
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
    let new = QdrantLoader::new(&server.server(), &quick(), QdrantRestore::default(), &cancel);
    let stopping = cancel.clone();
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        stopping.cancel();
    });
    let started = Instant::now();
    let error = manager
        .with_cancel(cancel)
        .load(&id, Box::new(new.unwrap()), &RestoreOptions::default(), Overwrite::Refuse)
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
    let target = Qdrant::start();
    let (report, restored) = runtime.block_on(async {
        let manager = restow::AsyncSnapshotManager::new(manager);
        // Made and dropped among tasks.
        drop(loader(&server, QdrantRestore::default()));
        let source = server.exporter(&["notes"]);
        let report =
            manager.create(vec![Box::new(source)], BackupOptions::default()).await.unwrap();
        let (id, into) = (report.id.unwrap(), loader(&target, QdrantRestore::default()));
        let restored = manager.load(id, into, RestoreOptions::default(), Overwrite::Refuse).await;
        (report, restored.unwrap())
    });
    assert_eq!(report.manifest.statistics.entries, 3);
    assert_eq!(restored.entries, 1);
    assert!(target.lock().restored[0].1 == night(0));
}

/// The server may be at work on it: it is neither sent again nor deleted under its hands.
#[test]
fn an_upload_of_which_nobody_knows_what_became() {
    let (backup, server) = (backed_up(), Qdrant::start());
    server.faults(|faults| faults.loses_upload_answer = true);
    let into = loader(&server, QdrantRestore::default());
    let error = restore(&backup, into, Overwrite::Refuse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("may still take it in"), "{error}");
    assert_eq!((server.count("POST"), server.count("DELETE")), (1, 0));
    let [left] = server.left().try_into().unwrap();
    assert!(error.to_string().contains(&left), "{left}: {error}");
}

#[test]
fn chosen_collections_under_new_names() {
    let (source, manager) = (Qdrant::with_notes(), manager());
    source.add("users", vec![5; 300_000]);
    source.add("third", vec![6; 1000]);
    let backup = (manager.clone(), back_up(&manager, &source.exporter(&[])));
    let server = Qdrant::start();
    let choose = |pairs: &[(&str, &str)]| QdrantRestore {
        collections: pairs.iter().map(|(a, b)| Rename::new(*a, *b)).collect(),
        ..QdrantRestore::default()
    };
    let some = choose(&[("users", "people"), ("third", "third")]);
    restore(&backup, loader(&server, some), Overwrite::Refuse).unwrap();
    let names: Vec<String> = server.lock().collections.keys().cloned().collect();
    assert_eq!(names, ["people", "third"]);
    let error = restore(&backup, loader(&server, choose(&[("nope", "x")])), Overwrite::Refuse);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("the snapshot has no collection nope; it has notes")
    );
}
