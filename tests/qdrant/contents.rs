//! What is told of a snapshot's inside.

use std::collections::BTreeMap;

use restow::source::qdrant::{QdrantLoader, QdrantRestore};
use restow::{Cancel, Overwrite, RestoreOptions};
use serde_json::Value;

use super::{back_up, json, manager, property};
use crate::support::binary::Bench;
use crate::support::qdrant::{Qdrant, night, quick};

const PATH: &str = "notes.snapshot.contents.json";

/// As another reader of archives sees it: path, bytes, bytes stored.
fn members(bytes: &[u8]) -> Vec<(String, u64, u64)> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().unwrap().map(Result::unwrap);
    let seen = entries.map(|entry| {
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        (path, entry.size(), entry.header().entry_size().unwrap())
    });
    seen.collect()
}

#[test]
fn a_real_snapshot_member_by_member() {
    let (server, manager) = (Qdrant::with_notes(), manager());
    let id = back_up(&manager, &server.exporter(&["notes"]));
    let told = json(&manager, &id, PATH);
    assert_eq!((&told["format"], &told["whole"]), (&"tar".into(), &true.into()), "{told}");
    assert_eq!(told["odd"], Value::Null);
    assert_eq!(told["collection_version"], "0.4.2");
    let number = |value: &Value| value.as_u64().unwrap();
    let listed: Vec<_> = told["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let path = one["path"].as_str().unwrap().to_owned();
            (path, number(&one["bytes"]), number(&one["allocated"]))
        })
        .collect();
    let truth = members(&night(0));
    assert_eq!(listed, truth);
    assert!(truth.iter().any(|(_, bytes, stored)| stored < bytes), "some are sparse");

    let mut segments = BTreeMap::new();
    for (path, bytes, _) in truth.iter().filter(|(path, ..)| path.starts_with("0/segments/")) {
        let uuid = path.trim_start_matches("0/segments/").trim_end_matches(".tar");
        *segments.entry(uuid.to_owned()).or_insert(0) += bytes;
    }
    let summed: BTreeMap<_, _> = told["segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            assert_eq!(one["shard"], 0);
            (one["uuid"].as_str().unwrap().to_owned(), number(&one["bytes"]))
        })
        .collect();
    assert_eq!(summed, segments);
    assert_eq!(summed.len(), 2);

    let fact = |name: &str| property(&manager, &id, &format!("notes/{name}")).unwrap();
    assert_eq!(fact("segments"), "2");
    assert_eq!(fact("members"), truth.len().to_string());
    let allocated: u64 = truth.iter().map(|(.., stored)| stored).sum();
    assert_eq!(fact("allocated"), allocated.to_string());
}

/// The bytes are what matters: that they are no archive is told, and no failure.
#[test]
fn a_stream_that_is_no_archive_or_half_a_one() {
    let (server, manager) = (Qdrant::with_notes(), manager());
    server.add("empty", Vec::new());
    server.add("noise", vec![7; 5000]);
    server.add("half", night(0)[..1_000_000].to_vec());
    let id = back_up(&manager, &server.exporter(&[]));
    let told = |name: &str| json(&manager, &id, &format!("{name}.snapshot.contents.json"));
    for (name, format, words) in [
        ("empty", Value::Null, "ends without the end"),
        ("noise", Value::Null, "no header of an archive"),
        ("half", "tar".into(), "ends without the end"),
    ] {
        let told = told(name);
        assert_eq!((&told["format"], &told["whole"]), (&format, &false.into()), "{name}");
        assert!(told["odd"].as_str().unwrap().contains(words), "{name}: {told}");
    }
    assert_eq!(told("notes")["whole"], true);
    assert_eq!(property(&manager, &id, "noise/segments"), None);
    assert_eq!(property(&manager, &id, "half/segments").unwrap(), "2");
}

/// It is there for people to read, and takes no part in a restore.
#[test]
fn a_restore_passes_over_it() {
    let (server, manager) = (Qdrant::with_notes(), manager());
    let id = back_up(&manager, &server.exporter(&["notes"]));
    let target = Qdrant::start();
    let loader =
        QdrantLoader::new(&target.server(), &quick(), QdrantRestore::default(), &Cancel::new());
    let report = manager
        .load(&id, Box::new(loader.unwrap()), &RestoreOptions::default(), Overwrite::Refuse)
        .unwrap();
    assert_eq!((report.problem_count, report.damaged_count), (0, 0), "{report:?}");
    assert_eq!(target.lock().restored.len(), 1);
}

/// Names for which one collection's entries lie between another's.
#[test]
fn collections_named_like_entries() {
    let (server, manager) = (Qdrant::start(), manager());
    for (at, name) in ["a", "a.snapshot", "a.snapshot.b", "a.info.json"].into_iter().enumerate() {
        server.add(name, vec![at as u8; 1000 * (at + 1)]);
    }
    let id = back_up(&manager, &server.exporter(&[]));
    for (at, name) in ["a", "a.snapshot", "a.snapshot.b", "a.info.json"].into_iter().enumerate() {
        assert_eq!(
            property(&manager, &id, &format!("{name}/bytes")).unwrap(),
            (1000 * (at + 1)).to_string()
        );
        let told = json(&manager, &id, &format!("{name}.snapshot.contents.json"));
        assert_eq!(told["whole"], false);
    }
}

#[test]
fn show_tells_of_segments() {
    let (bench, server) = (Bench::with_repository(), Qdrant::with_notes());
    bench.ok(&["backup", &format!("qdrant://{}/notes", &server.url()[7..])]);
    let shown = bench.ok(&["show", "latest", "--entries"]);
    let line = shown.lines().find(|line| line.contains("notes/segments")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["notes/segments", "2"]);
    assert!(shown.contains(PATH), "{shown}");
}
