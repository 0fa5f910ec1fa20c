//! Snapshots that lie in files.

use std::io::Write;
use std::path::{Path, PathBuf};

use restow::source::qdrant::{QdrantFileExporter, QdrantFileOptions, QdrantSource};
use restow::source::{Description, Exporter, Session, SourceError};
use restow::{BackupOptions, Cancel, ErrorKind};
use serde_json::{Value, json};

use super::shards::{partial_shard, shard};
use super::{back_up, cat, json, manager, property};
use crate::support::binary::Bench;
use crate::support::qdrant::{Qdrant, night, said, sha256};

const SERVED: &str = "notes-4261355958411988-2026-11-20-20-00-11.snapshot";

fn laid(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn file(path: &Path) -> QdrantFileExporter {
    QdrantFileExporter::new(path, QdrantFileOptions::default()).unwrap()
}

/// Must fail and leave no snapshot.
fn fails(source: &dyn Exporter) -> String {
    let manager = manager();
    let error = manager.create(&[source], &BackupOptions::default()).unwrap_err();
    assert!(manager.list(&Default::default()).unwrap().snapshots.is_empty(), "{error}");
    assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
    error.to_string()
}

#[test]
fn a_file_goes_on_where_a_servers_snapshots_ended() {
    let (server, manager, folder) = (Qdrant::with_notes(), manager(), tempfile::tempdir().unwrap());
    let first = back_up(&manager, &server.exporter(&["notes"]));
    let path = laid(folder.path(), SERVED, &night(1));
    let url = format!("qdrant://{}/notes", &server.url()[7..]);
    let options = QdrantFileOptions {
        source: Some(QdrantSource::parse(&url).unwrap()),
        ..QdrantFileOptions::default()
    };
    let exporter = QdrantFileExporter::new(&path, options).unwrap();
    let report = manager.create(&[&exporter], &BackupOptions::default()).unwrap();
    let (id, source) = (report.id.unwrap(), &report.manifest.sources[0]);
    assert_eq!((source.parent, source.kind.as_str()), (Some(first), "qdrant"));
    assert_eq!(source.consistency.as_ref().unwrap().value, "2026-11-20T20:00:11");
    let statistics = &report.manifest.statistics;
    assert!(statistics.plain_stored + statistics.delta_stored < 400_000, "{statistics:?}");

    // The same entries, and what a restore needs of them.
    assert_eq!(sha256(&cat(&manager, &id, "notes.snapshot")), sha256(&night(1)));
    assert_eq!(statistics.entries, 3);
    assert_eq!(property(&manager, &id, "notes/segments").unwrap(), "2");
    let about = json(&manager, &id, "notes.info.json");
    let of_server = said("notes.info.json");
    assert_eq!(about["info"]["config"]["params"], of_server["config"]["params"]);
    assert_eq!(about["snapshot"]["name"], SERVED);
    let contents = json(&manager, &id, "notes.snapshot.contents.json");
    assert_eq!((&contents["whole"], &contents["odd"]), (&true.into(), &Value::Null));
}

#[test]
fn two_nights_of_files_in_one_folder() {
    let (manager, folder) = (manager(), tempfile::tempdir().unwrap());
    let path = laid(folder.path(), "notes_20261120_200010.snapshot", &night(0));
    let first = back_up(&manager, &file(&path));
    laid(folder.path(), "notes_20261121_200010.snapshot", &night(1));
    let latest = folder.path().join("notes_latest.snapshot");
    std::os::unix::fs::symlink("notes_20261121_200010.snapshot", &latest).unwrap();
    let report = manager.create(&[&file(&latest)], &BackupOptions::default()).unwrap();
    assert_eq!(report.manifest.sources[0].parent, Some(first));
    assert!(cat(&manager, &report.id.unwrap(), "notes.snapshot") == night(1));
}

#[test]
fn what_is_no_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let lay = |name: &str, bytes: &[u8]| file(&laid(folder.path(), name, bytes));
    assert!(fails(&lay("a.snapshot", b"")).contains("without the end of the archive"));
    assert!(fails(&lay("b.snapshot", &[7; 5000])).contains("no header of an archive"));
    let whole = night(0);
    for end in [1_000_000, whole.len() - 513, 512] {
        let error = fails(&lay("c.snapshot", &whole[..end]));
        assert!(error.contains("without the end of the archive"), "{end}: {error}");
    }
    let archive = |members: &[(&str, &[u8])]| {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, path, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    };
    let other = archive(&[("etc/passwd", b"root")]);
    assert!(fails(&lay("d.snapshot", &other)).contains("no config.json"));
    let config = json!({"collections_mapping": {"notes": "x"}, "collections_aliases": {}});
    let full = archive(&[("x.snapshot", b""), ("config.json", config.to_string().as_bytes())]);
    assert!(fails(&lay("e.snapshot", &full)).contains("whole storage"));
    // Whatever its name says.
    let error = fails(&lay("x-shard-0-2026-11-20-20-00-10.snapshot", &partial_shard(1)));
    assert!(error.contains("it is a partial one"), "{error}");
    let error = fails(&lay("f.snapshot", &shard(1)));
    assert!(error.contains("call it f.shard-0.snapshot"), "{error}");

    let new = |path: &Path| QdrantFileExporter::new(path, QdrantFileOptions::default());
    let missing = new(&folder.path().join("none")).err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let open = |path: &Path| file(path).open(&Cancel::new()).err().unwrap();
    assert!(open(folder.path()).to_string().contains("is no file"));
    let fifo = folder.path().join("fifo.snapshot");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    assert!(open(&fifo).to_string().contains("is no file"), "and does not wait for a writer");
}

#[test]
fn a_shards_file() {
    let (manager, folder) = (manager(), tempfile::tempdir().unwrap());
    let path = laid(folder.path(), "notes-shard-3-2026-11-20-20-00-10.snapshot", &shard(3));
    let id = back_up(&manager, &file(&path));
    assert_eq!(cat(&manager, &id, "notes.shard-3.snapshot"), shard(3));
}

/// As a server that still writes it.
struct Growing(QdrantFileExporter, PathBuf);

impl Exporter for Growing {
    fn describe(&self) -> Description {
        self.0.describe()
    }

    fn open(&self, cancel: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        let session = self.0.open(cancel)?;
        let mut file = std::fs::File::options().append(true).open(&self.1).unwrap();
        file.write_all(&[0; 512]).unwrap();
        Ok(session)
    }
}

#[test]
fn a_file_that_changes_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = laid(folder.path(), SERVED, &night(0));
    let error = fails(&Growing(file(&path), path));
    assert!(error.contains("changed while it was read"), "{error}");
}

#[test]
fn by_the_binary() {
    let (bench, server) = (Bench::with_repository(), Qdrant::with_notes());
    let url = format!("qdrant://{}/notes", &server.url()[7..]);
    bench.ok(&["backup", &url]);
    laid(&bench.path(""), "n1.snapshot", &night(1));
    let again = bench.json(&["backup", "qdrant-file:n1.snapshot", "--qdrant-as", &url]);
    assert!(again["manifest"]["sources"][0]["parent"].is_string(), "{again}");
    bench.ok(&["backup", "qdrant-file:n1.snapshot"]);
    assert!(bench.ok(&["list"]).contains("n1_"));
    let target = Qdrant::start();
    let to = format!("qdrant://{}", &target.url()[7..]);
    bench.ok(&["restore", "latest", "--source", "glob:*notes*", "--to", &to]);
    assert!(target.lock().collections["notes"].bytes[..] == night(1)[..]);
    let several = format!("{url},users");
    let error = bench.fails(2, &["backup", "qdrant-file:n1.snapshot", "--qdrant-as", &several]);
    assert!(error.contains("one collection"), "{error}");
}
