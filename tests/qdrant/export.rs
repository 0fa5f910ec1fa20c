//! Snapshots as the files their server made, and the link to the latest.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use restow::ops::{NameTemplate, QdrantExportOptions, export_qdrant};
use restow::progress::Silent;
use restow::storage::{Key, Storage};
use restow::{Cancel, ErrorKind};

use crate::support::binary::{Bench, text};
use crate::support::qdrant::{Qdrant, night, sha256};
use crate::support::{back_up, default_chunks, memory_repository, open, view};

/// Two nights in a repository, and their ids.
fn nights() -> (Bench, [String; 2]) {
    let (bench, server) = (Bench::with_repository(), Qdrant::with_notes());
    let url = format!("qdrant://{}/notes", &server.url()[7..]);
    let first = bench.back_up(&[&url]);
    // Names have a second's resolution.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    server.lock().collections.get_mut("notes").unwrap().bytes = night(1).into();
    let second = bench.back_up(&[&url]);
    (bench, [first, second])
}

/// The files in a folder but the link.
fn files(bench: &Bench, folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(bench.path(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("notes_latest.snapshot"))
        .collect();
    files.sort();
    files
}

#[test]
fn files_as_the_server_made_them_and_a_link_to_the_latest() {
    let (bench, [first, second]) = nights();
    let latest = bench.path("out/notes_latest.snapshot");
    let done = bench.json(&["export", &first, "--format", "qdrant", "--to", "out"]);
    let path = done["files"][0]["path"].as_str().unwrap().to_owned();
    assert_eq!(done["files"][0]["sha256"], sha256(&night(0)).as_str());
    assert_eq!(done["files"][0]["bytes"], night(0).len());
    assert!(fs::read(bench.path(&path)).unwrap() == night(0));
    let name = path.strip_prefix("out/notes_").and_then(|it| it.strip_suffix(".snapshot")).unwrap();
    let (date, time) = name.split_once('_').unwrap();
    assert_eq!((date.len(), time.len()), (8, 6), "{name}");
    assert!(name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_'));
    assert_eq!(bench.path("out").join(fs::read_link(&latest).unwrap()), bench.path(&path));

    let said = bench.ok(&["export", &second, "--format", "qdrant", "--to", "out"]);
    assert!(said.contains("2848768 bytes") || said.contains(&night(1).len().to_string()), "{said}");
    assert!(fs::read(&latest).unwrap() == night(1), "the link leads on");
    assert_eq!(files(&bench, "out").len(), 2);

    // There already; an older one written again leaves the link where it is.
    bench.fails(7, &["export", &second, "--format", "qdrant", "--to", "out"]);
    fs::remove_file(bench.path(&path)).unwrap();
    let again = bench.json(&["export", &first, "--format", "qdrant", "--to", "out"]);
    assert!(again["files"][0]["latest"].is_null(), "{again}");
    assert!(fs::read(&latest).unwrap() == night(1));
    assert_eq!(files(&bench, "out").len(), 2, "and nothing else is left");
}

#[test]
fn links_that_are_broken_and_links_that_are_not_ours() {
    let (bench, [first, second]) = nights();
    let export = ["export", &second, "--format", "qdrant", "--to", "out"];
    let latest = bench.path("out/notes_latest.snapshot");
    let place = |make: &dyn Fn()| {
        let _ = fs::remove_dir_all(bench.path("out"));
        fs::create_dir(bench.path("out")).unwrap();
        make();
    };
    // Leads nowhere since its file is gone, though that had a later name.
    place(&|| symlink("notes_20991231_000000.snapshot", &latest).unwrap());
    bench.ok(&export);
    assert!(fs::read(&latest).unwrap() == night(1));

    fs::write(bench.path("precious"), "mine").unwrap();
    let elsewhere = bench.path("precious");
    place(&|| symlink(&elsewhere, &latest).unwrap());
    let error = bench.fails(7, &export);
    assert!(error.contains("leads to") && error.contains("remove it"), "{error}");
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
    assert!(files(&bench, "out").is_empty(), "looked before anything was written");

    place(&|| symlink("../precious", &latest).unwrap());
    bench.fails(7, &export);
    place(&|| fs::write(&latest, "mine").unwrap());
    assert!(bench.fails(7, &export).contains("not a link of an export"));
    assert_eq!(fs::read_to_string(&latest).unwrap(), "mine");
    place(&|| fs::create_dir(&latest).unwrap());
    bench.fails(7, &export);

    // A link where the file would go is not written through.
    let name = "fixed.snapshot";
    let linked = ["export", &first, "--format", "qdrant", "--to", "out", "--name-template", name];
    place(&|| symlink(&elsewhere, bench.path("out").join(name)).unwrap());
    bench.fails(7, &linked);
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
}

#[test]
fn names_by_a_template() {
    let (bench, [first, _]) = nights();
    let export = |template: &str, to: &str| {
        bench.run(&[
            "export",
            &first,
            "--format",
            "qdrant",
            "--to",
            to,
            "--name-template",
            template,
        ])
    };
    let made = export("{collection}-{id}.snapshot", "a");
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    assert_eq!(files(&bench, "a"), [bench.path(&format!("a/notes-{}.snapshot", &first[..8]))]);
    assert!(fs::read(bench.path("a/notes_latest.snapshot")).unwrap() == night(0));
    for bad in ["../{collection}", "{what}", "", "{collection}_latest.snapshot"] {
        assert_eq!(export(bad, "b").status.code(), Some(2), "{bad}");
    }
    assert!(!bench.path("b").exists());
    let error = bench.fails(2, &["export", &first, "--to", "b", "--name-template", "x"]);
    assert!(error.contains("--format qdrant"), "{error}");
    let error = bench.fails(2, &["export", &first, "--to", "b", "--format", "qdrant", "--replace"]);
    assert!(error.contains("--replace"), "{error}");
}

#[test]
fn several_collections_some_of_them_and_none() {
    let (bench, server) = (Bench::with_repository(), Qdrant::with_notes());
    server.add("users", vec![3; 10_000]);
    let url = format!("qdrant://{}", &server.url()[7..]);
    fs::create_dir(bench.path("site")).unwrap();
    fs::write(bench.path("site/x.snapshot"), "not Qdrant's").unwrap();
    // Beside another source: its entries stand below a folder then.
    bench.ok(&["backup", &url, "site"]);
    let done = bench.json(&["export", "latest", "--format", "qdrant", "--to", "out"]);
    let names: Vec<_> =
        done["files"].as_array().unwrap().iter().map(|f| &f["collection"]).collect();
    assert_eq!(names, ["notes", "users"]);
    assert_eq!(fs::read(bench.path("out/users_latest.snapshot")).unwrap(), vec![3; 10_000]);
    let one = ["--format", "files", "--only", "x.snapshot"];
    bench.ok(&[&["export", "latest", "--to", "files"][..], &one].concat());
    bench.ok(&["export", "latest", "--to", "files2", "--format", "files"]);
    let some = ["export", "latest", "--format", "qdrant", "--only", "users.*", "--to", "some"];
    assert_eq!(bench.json(&some)["files"].as_array().unwrap().len(), 1);
    let same = ["export", "latest", "--format", "qdrant", "--to", "x", "--name-template", "one"];
    assert!(bench.fails(2, &same).contains("two files would be called one"));
    let none = ["export", "latest", "--format", "qdrant", "--only", "site", "--to", "x"];
    assert!(bench.fails(2, &none).contains("nothing that is selected is a Qdrant snapshot"));
    assert!(!text(&bench.path("x")).is_empty() && !bench.path("x").exists());
}

/// Half a snapshot is none: it must not get the name of one.
#[test]
fn what_the_repository_has_lost_is_not_written() {
    let server = Qdrant::with_notes();
    let storage = memory_repository(&default_chunks());
    let repository = open(storage.clone());
    let id = back_up(&repository, &[&server.exporter(&["notes"])]).unwrap().id.unwrap();
    let mut packs = Vec::new();
    storage.list(&Key::new("packs").unwrap(), &mut |found| packs.push(found)).unwrap();
    let largest = packs.into_iter().max_by_key(|found| found.len).unwrap();
    let mut bytes = storage.get(&largest.key, 1 << 30).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    storage.put(&largest.key, &bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = QdrantExportOptions::default().template(NameTemplate::new("n.snapshot").unwrap());
    let view = view(&open(storage), id);
    let error = export_qdrant(&view, folder.path(), &options, &Silent, &Cancel::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damage, "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
