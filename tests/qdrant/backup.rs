//! What a backup holds, what it asks of the server, what it leaves there.

use restow::source::qdrant::{QdrantLoader, QdrantRestore};
use restow::{BackupOptions, Cancel, Overwrite, RestoreOptions};
use serde_json::Value;

use super::{back_up, cat, fails, manager};
use crate::support::qdrant::{Qdrant, night, quick, said, sha256, with_key};

#[test]
fn two_nights_of_a_real_collection() {
    let (server, manager) = (Qdrant::with_notes(), manager());
    let exporter = server.exporter(&["notes"]);
    let first = back_up(&manager, &exporter);
    server.lock().collections.get_mut("notes").unwrap().bytes = night(1).into();
    let second = manager.create(&[&exporter], &BackupOptions::default()).unwrap();

    let true_sum = |night: &str| said(night)["checksum"].as_str().unwrap().to_owned();
    let nights = [(first, "notes-night0"), (second.id.unwrap(), "notes-night1")];
    for (id, name) in nights {
        let bytes = cat(&manager, &id, "notes.snapshot");
        assert_eq!(sha256(&bytes), true_sum(&format!("{name}.description.json")));
    }
    assert_eq!(server.left(), [""; 0], "the server's copies are deleted");
    assert_eq!(server.count("POST /collections/notes/snapshots"), 2);

    // The second night costs what changed.
    let statistics = &second.manifest.statistics;
    assert_eq!(second.manifest.sources[0].parent, Some(first));
    let stored = statistics.plain_stored + statistics.delta_stored;
    assert!(stored < 400_000, "{statistics:?}");
}

#[test]
fn what_is_recorded_beside_the_bytes() {
    let (server, manager) = (Qdrant::with_notes(), manager());
    let report =
        manager.create(&[&server.exporter(&["notes"])], &BackupOptions::default()).unwrap();
    let source = &report.manifest.sources[0];
    assert_eq!(source.kind, "qdrant");
    assert_eq!(source.url, format!("qdrant://{}/notes", server.url().split_at(7).1));
    assert!(report.manifest.name.starts_with("notes_"), "{}", report.manifest.name);
    assert_eq!(source.consistency.as_ref().unwrap().value, "2026-11-20T20:00:10");
    let property = |name: &str| {
        let found = source.properties.iter().find(|(key, _)| key == name);
        found.unwrap_or_else(|| panic!("{name}")).1.clone()
    };
    assert_eq!(property("server_version"), "1.19.0");
    assert_eq!(property("notes/points"), "4000");
    assert_eq!(property("notes/bytes"), "2848768");
    assert_eq!(property("notes/sha256"), sha256(&night(0)));
    assert!(property("notes/snapshot").starts_with("notes-4261355958411988-"));

    let info: Value =
        serde_json::from_slice(&cat(&manager, &report.id.unwrap(), "notes.info.json")).unwrap();
    assert_eq!(info["info"], said("notes.info.json"));
    assert_eq!(info["aliases"], serde_json::json!(["notes_live"]));
    assert_eq!(info["cluster"]["shard_count"], 1);
}

#[test]
fn several_collections_and_all_of_them() {
    let server = Qdrant::with_notes();
    server.add("a b", vec![1; 100_000]);
    server.add("notes.old", vec![2; 300_000]);
    let names = |report: &restow::BackupReport| report.manifest.statistics.entries;
    let manager = manager();
    let two = manager
        .create(&[&server.exporter(&["notes.old", "a b"])], &BackupOptions::default())
        .unwrap();
    assert_eq!(names(&two), 4);
    assert!(two.manifest.sources[0].url.ends_with("/a b,notes.old"));
    let all = manager.create(&[&server.exporter(&[])], &BackupOptions::default()).unwrap();
    assert_eq!(names(&all), 6);
    let id = all.id.unwrap();
    assert_eq!(cat(&manager, &id, "a b.snapshot"), vec![1; 100_000]);
    assert_eq!(cat(&manager, &id, "notes.old.snapshot"), vec![2; 300_000]);
    assert_eq!(sha256(&cat(&manager, &id, "notes.snapshot")), sha256(&night(0)));
    assert_eq!(server.left(), [""; 0]);

    // Each is a file for those who have no Qdrant at hand.
    let folder = tempfile::tempdir().unwrap();
    manager.restore(&id, folder.path(), Overwrite::Refuse).unwrap();
    assert_eq!(std::fs::read(folder.path().join("notes.snapshot")).unwrap(), night(0));
}

#[test]
fn with_a_key_which_shows_nowhere() {
    let (server, manager) = (Qdrant::with_notes(), manager());
    server.lock().key = Some("s3cret".into());
    let exporter = server.exporter_with(&["notes"], with_key("s3cret"));
    let report = manager.create(&[&exporter], &BackupOptions::default()).unwrap();
    assert!(!format!("{:?}", report.manifest).contains("s3cret"));
    assert!(!server.lock().requests.iter().any(|made| made.contains("s3cret")));
}

/// Names have a second's resolution; what was there before belongs to somebody else.
#[test]
fn two_backups_in_one_second() {
    let (server, manager) = (Qdrant::with_notes(), manager());
    // Another's copy was made just before, and ours gets its name twice.
    manager_of_another(&server);
    let before = server.left();
    server.faults(|faults| faults.same_second = 1);
    back_up(&manager, &server.exporter(&["notes"]));
    assert_eq!(server.left(), before, "the other's copy is left to them");
    assert_eq!(server.count("POST /collections/notes/snapshots"), 3);
    server.lock().collections.get_mut("notes").unwrap().snapshots.clear();

    // The other deletes what both made, before it is read.
    server.faults(|faults| faults.others_delete = 1);
    let id = back_up(&manager, &server.exporter(&["notes"]));
    assert_eq!(cat(&manager, &id, "notes.snapshot"), night(0));
    assert_eq!(server.left(), [""; 0]);

    server.faults(|faults| faults.others_delete = 100);
    let error = fails(&server, &server.exporter(&["notes"])).to_string();
    assert!(error.contains("another backup of this collection"), "{error}");
}

fn manager_of_another(server: &Qdrant) {
    use std::io::{Read, Write};
    let address = server.url().split_at(7).1.to_owned();
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    let request = "POST /collections/notes/snapshots?wait=true HTTP/1.1\r\nhost: x\r\n\r\n";
    connection.write_all(request.as_bytes()).unwrap();
    connection.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(server.left().len(), 1);
}

#[test]
fn a_server_that_keeps_its_snapshots_elsewhere_has_no_checksum() {
    let (server, manager) = (Qdrant::with_notes(), manager());
    server.faults(|faults| faults.no_checksum = true);
    let id = back_up(&manager, &server.exporter_with(&["notes"], quick()));
    assert_eq!(cat(&manager, &id, "notes.snapshot"), night(0));
    let properties = &manager.get(&id.to_hex()).unwrap().unwrap().manifest.sources[0].properties;
    let sum = properties.iter().find(|(key, _)| key == "notes/sha256").unwrap();
    assert_eq!(sum.1, sha256(&night(0)));
}

/// Another backup's copy took the place of ours: what the server checks at a restore is the sum of what was read.
#[test]
fn a_copy_of_which_no_two_are_alike() {
    let (server, manager) = (Qdrant::with_notes(), manager());
    server.faults(|faults| (faults.each_differs, faults.others_delete) = (true, 1));
    let id = back_up(&manager, &server.exporter(&["notes"]));
    let bytes = cat(&manager, &id, "notes.snapshot");
    assert_eq!(bytes.len(), night(0).len() + 8);
    let target = Qdrant::start();
    let restore = QdrantRestore::default();
    let loader = QdrantLoader::new(&target.server(), &quick(), restore, &Cancel::new()).unwrap();
    manager.load(&id, Box::new(loader), &RestoreOptions::default(), Overwrite::Refuse).unwrap();
    assert_eq!(target.lock().restored[0].1, bytes);
    let checked = format!("checksum={}", sha256(&bytes));
    assert!(target.lock().requests.iter().any(|made| made.contains(&checked)));
}

/// Several nodes behind one address: the one that was asked to delete it has none of that name.
#[test]
fn a_copy_that_another_node_was_asked_to_delete() {
    let (server, manager) = (Qdrant::with_notes(), manager());
    server.faults(|faults| faults.deletes_elsewhere = true);
    let report =
        manager.create(&[&server.exporter(&["notes"])], &BackupOptions::default()).unwrap();
    let properties = &report.manifest.sources[0].properties;
    assert!(properties.iter().any(|(key, _)| key == "notes/left_on_server"), "{properties:?}");
}

/// The bytes are safe by then: what stays on the server is said, and no reason to throw them away.
#[test]
fn a_copy_that_cannot_be_deleted() {
    let (server, manager) = (Qdrant::with_notes(), manager());
    server.instead("DELETE", 10, 500, "", "");
    let report =
        manager.create(&[&server.exporter(&["notes"])], &BackupOptions::default()).unwrap();
    let properties = &report.manifest.sources[0].properties;
    let left = properties.iter().find(|(key, _)| key == "notes/left_on_server").unwrap();
    assert_eq!(server.left(), std::slice::from_ref(&left.1));
}
