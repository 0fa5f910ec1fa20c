//! Shard by shard, without a copy on the server's disk.

use restow::source::http::ClientOptions;
use restow::source::qdrant::{
    Mode, QdrantBackup, QdrantExporter, QdrantLoader, QdrantOptions, QdrantRestore, recreate_body,
};
use restow::{BackupOptions, Cancel, ErrorKind, Overwrite, RestoreOptions};
use serde_json::{Value, json};

use super::{cat, fails, json, manager, property};
use crate::support::binary::Bench;
use crate::support::model::noise;
use crate::support::qdrant::{Qdrant, quick, said, sha256};

/// A shard as a server streams it: segments as folders.
pub fn shard(seed: u64) -> Vec<u8> {
    shard_with(seed, Vec::new())
}

/// Of what changed since another.
pub fn partial_shard(seed: u64) -> Vec<u8> {
    let uuid = format!("8f8a574d-a279-425b-8210-{seed:012}");
    let manifest = format!(
        r#"{{"segment_id":"{uuid}","segment_version":7,"file_versions":{{"segment.json":null}}}}"#
    );
    let path = format!("segments/{uuid}/files/segment_manifest.json");
    shard_with(seed, vec![(path, manifest.into_bytes())])
}

fn shard_with(seed: u64, more: Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let uuid = format!("8f8a574d-a279-425b-8210-{seed:012}");
    let members = [
        (format!("segments/{uuid}/files/segment.json"), noise(700, seed)),
        (format!("segments/{uuid}/files/vector_storage/matrix.dat"), noise(300_000, seed + 1)),
        ("shard_config.json".to_owned(), b"{\"type\":\"Local\"}".to_vec()),
    ];
    for (path, bytes) in more.into_iter().chain(members) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// With two shards of `notes`.
pub fn with_shards() -> Qdrant {
    let server = Qdrant::with_notes();
    server.lay_out("notes", 7, &[(0, "Active"), (10, "Active")], &[]);
    let mut state = server.lock();
    let notes = state.collections.get_mut("notes").unwrap();
    notes.shards = [(0, shard(1).into()), (10, shard(2).into())].into();
    drop(state);
    server
}

pub fn streaming(server: &Qdrant) -> QdrantExporter {
    let backup = QdrantBackup { mode: Mode::Stream, ..QdrantBackup::default() };
    server.exporter(&["notes"]).reading(backup)
}

#[test]
fn each_shard_is_an_entry_and_nothing_is_kept_on_the_server() {
    let (server, manager) = (with_shards(), manager());
    let report = manager.create(&[&streaming(&server)], &BackupOptions::default()).unwrap();
    let id = report.id.unwrap();
    assert_eq!(cat(&manager, &id, "notes.shard-0.snapshot"), shard(1));
    assert_eq!(cat(&manager, &id, "notes.shard-10.snapshot"), shard(2));
    assert_eq!(report.manifest.statistics.entries, 5, "info, and each with its contents");
    assert_eq!((server.count("POST"), server.count("DELETE")), (0, 0));
    let consistency = report.manifest.sources[0].consistency.as_ref().unwrap();
    assert_eq!(consistency.kind, "qdrant-shard-streams");
    assert_eq!(property(&manager, &id, "notes.shard-10/sha256").unwrap(), sha256(&shard(2)));
    assert_eq!(property(&manager, &id, "notes.shard-0/segments").unwrap(), "1");
    let told = json(&manager, &id, "notes.shard-0.snapshot.contents.json");
    assert_eq!(told["segments"][0]["shard"], Value::Null);
    assert_eq!(told["segments"][0]["bytes"], 300_700);
    // What it takes to make the collection anew.
    let about = json(&manager, &id, "notes.info.json");
    assert_eq!(about["info"], said("notes.info.json"));
    assert_eq!(about["aliases"], json!(["notes_live"]));
}

/// Nobody says that it is not all, but the archive itself.
#[test]
fn a_stream_that_breaks_off() {
    let server = with_shards();
    let whole = shard(1).len();
    for end in [0, 1, 512, 100_000, whole - 1024, whole - 1] {
        server.faults(|faults| faults.ends_at = Some(end));
        let error = fails(&server, &streaming(&server));
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        let text = error.to_string();
        assert!(text.contains("shard 0 broke off"), "{text}");
        assert!(text.contains(&format!("after {end} bytes")), "{text}");
    }
}

#[test]
fn shards_that_cannot_be_streamed() {
    let server = with_shards();
    server.lock().collections.get_mut("notes").unwrap().shards.remove(&10);
    let error = fails(&server, &streaming(&server)).to_string();
    assert!(error.contains("shards/10/snapshot") && error.contains("404"), "{error}");
    server.lay_out("notes", 7, &[(0, "Active"), (10, "Partial")], &[]);
    let error = fails(&server, &streaming(&server)).to_string();
    assert!(error.contains("shard 10 (whole on no peer they know of)"), "{error}");
    server.lock().collections.get_mut("notes").unwrap().cluster = json!({});
    let error = fails(&server, &streaming(&server)).to_string();
    assert!(error.contains("does not say which shards it has"), "{error}");
    // Silent in the midst of it.
    let http = ClientOptions { retries: 0, ..quick().http };
    let quick = QdrantOptions { http, ..quick() };
    server.lay_out("notes", 7, &[(0, "Active")], &[]);
    server.instead("GET /collections/notes/shards", 1, 0, "", "");
    let backup = QdrantBackup { mode: Mode::Stream, ..QdrantBackup::default() };
    let exporter = server.exporter_with(&["notes"], quick).reading(backup);
    assert_eq!(fails(&server, &exporter).kind(), ErrorKind::Unreachable);
}

#[test]
fn back_into_a_collection_made_anew() {
    let (source, manager) = (with_shards(), manager());
    let id = manager.create(&[&streaming(&source)], &BackupOptions::default()).unwrap().id.unwrap();
    let restore = |server: &Qdrant| {
        let restore = QdrantRestore::default();
        let loader = QdrantLoader::new(&server.server(), &quick(), restore, &Cancel::new());
        let options = RestoreOptions::default();
        manager.load(&id, Box::new(loader.unwrap()), &options, Overwrite::Refuse)
    };
    let server = Qdrant::start();
    let layout = |ids: &[u64]| {
        let shards: Vec<_> =
            ids.iter().map(|id| json!({"shard_id": id, "state": "Active"})).collect();
        json!({"peer_id": 1, "local_shards": shards, "remote_shards": []})
    };
    server.lock().new_layout = layout(&[0, 10]);
    let report = restore(&server).unwrap();
    assert_eq!((report.entries, report.problem_count), (1, 0));
    let wanted = recreate_body(&said("notes.info.json"));
    {
        let made = &server.lock().made;
        assert_eq!(made[0], ("collections/notes".to_owned(), wanted));
        let index = json!({"field_name": "cat", "field_schema": "keyword"});
        assert_eq!(made[1], ("collections/notes/index".to_owned(), index));
    }
    assert_eq!(server.lock().collections["notes"].shards[&10][..], shard(2)[..]);
    assert_eq!(server.count("DELETE /collections/notes/shards/0/snapshots/restow-"), 1);
    assert!(server.lock().restored.iter().all(|(.., priority)| priority == "snapshot"));

    // A server that made other shards than those there are.
    let other = Qdrant::start();
    other.lock().new_layout = layout(&[0]);
    let error = restore(&other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    for words in ["shard 10 is on none of the nodes", "is there now, and not whole: delete it"] {
        assert!(error.to_string().contains(words), "{error}");
    }
    // There already: it is shown, and not touched.
    let before = server.count("POST");
    assert_eq!(restore(&server).unwrap_err().kind(), ErrorKind::Exists);
    assert_eq!(server.count("POST"), before);
}

#[test]
fn by_the_binary_and_into_a_folder() {
    let (bench, server) = (Bench::with_repository(), with_shards());
    let url = format!("qdrant://{}/notes", &server.url()[7..]);
    bench.ok(&["backup", &url, "--qdrant-mode", "stream"]);
    bench.ok(&["restore", "latest", "--to", "out"]);
    assert_eq!(std::fs::read(bench.path("out/notes.shard-10.snapshot")).unwrap(), shard(2));
    // Without what tells of the collection nobody can make it.
    let target = Qdrant::start();
    let to = format!("qdrant://{}", &target.url()[7..]);
    let error = bench.fails(2, &["restore", "latest", "--to", &to, "--only", "*.snapshot"]);
    assert!(error.contains("notes.info.json: is not selected"), "{error}");
    assert!(target.lock().restored.is_empty() && target.lock().made.is_empty());
}
