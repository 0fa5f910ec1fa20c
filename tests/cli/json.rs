//! What `--json` prints, against docs/JSON.md: whatever appears is documented, whatever is documented appears.

pub mod document;

use std::fs;

use restow::repo::{Identity, WriteSession};
use serde_json::Value;

use self::document::Document;
use crate::support::binary::Bench;
use crate::support::model::noise;
use crate::support::tree::look;

fn parsed(bytes: &[u8], what: &[&str]) -> Value {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|error| panic!("{what:?}: {error}: {}", String::from_utf8_lossy(bytes)))
}

/// Runs a command that ends with `code`, and compares its document with a section.
fn run(bench: &Bench, document: &mut Document, section: &str, code: i32, args: &[&str]) -> Value {
    let all: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let output = bench.run(&all);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    let value = parsed(&output.stdout, args);
    document.compare(section, &value);
    value
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A folder in a git repository, with all kinds of entries and something that cannot be read.
fn with_sources() -> Bench {
    let bench = Bench::configured(
        "[repositories.here]\nplace = '~/repository'\npassphrase-command = 'echo a passphrase'\n\
         [sources.gone]\nsource = '~/gone'\n[sources.site]\nsource = '~/site'\n",
    );
    fs::create_dir_all(bench.path("site/deep")).unwrap();
    fs::write(bench.path("site/deep/a.bin"), noise(300_000, 1)).unwrap();
    fs::write(bench.path("site/b.txt"), "b").unwrap();
    std::os::unix::fs::symlink("b.txt", bench.path("site/link")).unwrap();
    fs::create_dir_all(bench.path(".git/refs/heads")).unwrap();
    fs::write(bench.path(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    fs::write(bench.path(".git/refs/heads/main"), format!("{}\n", "0123456789".repeat(4))).unwrap();
    rusqlite::Connection::open(bench.path("app.db"))
        .unwrap()
        .execute_batch("create table t (x); insert into t values (1);")
        .unwrap();
    bench
}

#[test]
fn documents_and_their_documentation_agree() {
    let bench = with_sources();
    let mut document = Document::read();
    let doc = &mut document;
    run(&bench, doc, "restow init", 0, &["init"]);
    let memory = format!("/proc/{}/mem", std::process::id());
    let sources = ["backup", "site", "app.db", "sqlite:app.db", &memory, "--tag", "web"];
    let first = text(&run(&bench, doc, "restow backup", 3, &sources)["id"]);
    let second = text(&run(&bench, doc, "restow backup", 0, &["backup", "./site"])["id"]);
    run(&bench, doc, "restow backup", 0, &["backup", "./site", "--dry-run"]);
    let dump = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/arangodump/entity_dump");
    let imported = text(&run(&bench, doc, "restow import", 0, &["import", dump])["id"]);
    let export = ["export", &imported, "--to", "dump", "--format", "arangodump"];
    run(&bench, doc, "restow export", 0, &export);
    run(&bench, doc, "restow backup --all", 8, &["backup", "--all", "--keep-going"]);
    run(&bench, doc, "restow list", 0, &["list"]);
    run(&bench, doc, "restow list", 0, &["list", "--verbose"]);
    run(&bench, doc, "restow show", 0, &["show", &first]);
    let shown = run(&bench, doc, "restow show", 0, &["show", &first, "--entries"]);
    assert_eq!(shown["manifest"]["git"]["branch"], "main");
    let none = run(&bench, doc, "restow show", 0, &["show", &second, "--entries"]);
    assert_eq!(none["entries"].as_array().unwrap().len(), 5, "{none}");
    run(&bench, doc, "restow restore", 0, &["restore", &second, "--to", "out"]);
    fs::write(bench.path("out/b.txt"), "changed").unwrap();
    let plan = ["restore", &second, "--to", "out", "--dry-run"];
    run(&bench, doc, "restow restore --dry-run", 0, &plan);
    run(&bench, doc, "restow export", 0, &["export", &second, "--to", "exported"]);
    let night = zstd::decode_all(&include_bytes!("../data/qdrant/notes-night0.snapshot.zst")[..]);
    fs::write(bench.path("notes.snapshot"), night.unwrap()).unwrap();
    run(&bench, doc, "restow backup", 0, &["backup", "qdrant-file:notes.snapshot"]);
    let snapshots =
        ["export", "latest", "--source", "glob:*notes*", "--format", "qdrant", "--to", "snapshots"];
    run(&bench, doc, "restow export --format qdrant", 0, &snapshots);
    fs::remove_file(bench.path("snapshots/notes_latest.snapshot")).unwrap();
    cleaned(&bench, doc);
    run(&bench, doc, "restow tag", 0, &["tag", &second, "--add", "x", "--permanent", "on"]);
    run(&bench, doc, "restow stats", 0, &["stats"]);
    run(&bench, doc, "restow stats", 0, &["stats", &second]);
    run(&bench, doc, "restow check", 0, &["check"]);
    run(&bench, doc, "restow check", 0, &["check", "--read-data"]);
    run(&bench, doc, "restow check", 0, &["check", "--names"]);
    let new = "--new-passphrase-command";
    let key = run(&bench, doc, "restow key add", 0, &["key", "add", new, "echo another"]);
    run(&bench, doc, "restow key list", 0, &["key", "list"]);
    run(&bench, doc, "restow key remove", 0, &["key", "remove", &text(&key["id"]), "--yes"]);
    run(&bench, doc, "restow key passwd", 0, &["key", "passwd", new, "echo a passphrase"]);
    run(&bench, doc, "restow completions", 0, &["completions", "fish"]);
    run(&bench, doc, "restow man", 0, &["man", "--to", "man"]);
    pruned(doc);
    damaged(&bench, doc, &second);
    run(&bench, doc, "restow delete", 0, &["delete", &second, "--yes", "--force"]);
    lines(&bench, doc);
    lost(doc);
    document.all_seen();
}

/// Two rules, and a budget of a source that has one of its own.
fn cleaned(bench: &Bench, doc: &mut Document) {
    let file = bench.path("rules.toml");
    let rules = "[sources.site]\nsource = '~/site'\nretention = { max-size = '1T' }\n\
                 [repositories.here]\nplace = '~/repository'\npassphrase-command = 'echo a passphrase'\n";
    fs::write(&file, rules).unwrap();
    let dry = ["cleanup", "--dry-run", "--config", "rules.toml"];
    let said = run(bench, doc, "restow cleanup", 0, &dry);
    assert!(said["budgets"][0]["sources"][0].as_str().unwrap().ends_with("/site"), "{said}");
    run(bench, doc, "restow cleanup", 0, &["cleanup", "--max-size", "1T", "--yes"]);
    let all = ["backup", "site", "--cleanup", "--config", "rules.toml"];
    run(bench, doc, "restow backup", 0, &all);
    run(bench, doc, "restow cleanup", 0, &["cleanup", "--keep-last", "3", "--yes"]);
}

/// Beside a backup at work, after one that was killed.
fn pruned(doc: &mut Document) {
    let bench = &Bench::with_repository();
    fs::write(bench.path("extra"), noise(300_000, 77)).unwrap();
    fs::write(bench.path("kept"), noise(300_000, 78)).unwrap();
    let kept = &bench.back_up(&["kept"]);
    run(bench, doc, "restow stats --costs", 0, &["stats", "--costs"]);
    run(bench, doc, "restow stats --costs", 0, &["stats", "--costs", kept]);
    let extra = bench.back_up(&["extra"]);
    run(bench, doc, "restow stats --without", 0, &["stats", "--without", &extra, kept]);
    run(bench, doc, "restow delete", 0, &["delete", &extra, "--prune", "--dry-run"]);
    bench.leave_a_dead_writer();
    let repository = bench.open(Identity::of_this_process());
    let at_work = WriteSession::begin(&repository, false).unwrap();
    let delete = ["delete", &extra, "--yes", "--prune"];
    let said = run(bench, doc, "restow delete", 0, &delete);
    let peers = |said: &Value, name: &str| said[name].as_array().unwrap().len();
    assert_eq!((peers(&said["prune"], "expired"), peers(&said["prune"], "waits_for")), (1, 1));
    let said = run(bench, doc, "restow prune", 0, &["prune"]);
    assert!(said["plan"].is_null() && said["went_on"] == true, "{said}");
    at_work.abandon();
    let said = run(bench, doc, "restow prune", 0, &["prune"]);
    assert!(said["deleted"]["count"].as_u64() > Some(0), "{said}");
    run(bench, doc, "restow prune", 0, &["prune", "--dry-run"]);
    let index = bench.path("repository/index");
    let (name, _) = look(&index).into_iter().find(|(_, seen)| seen.kind == "file").unwrap();
    fs::write(index.join(name), "rotten").unwrap();
    bench.leave_a_dead_writer();
    let said = run(bench, doc, "restow rebuild-index", 0, &["rebuild-index"]);
    assert!(said["mended"].as_array().map(Vec::len) == Some(1), "{said}");
    run(bench, doc, "restow compact", 0, &["compact", "--older-than", "0h"]);
    let cleanup = ["cleanup", "--keep-last", "3", "--yes", "--prune"];
    run(bench, doc, "restow cleanup", 0, &cleanup);
}

/// The same commands where the repository is damaged: lists that are empty otherwise.
fn damaged(bench: &Bench, doc: &mut Document, snapshot: &str) {
    let flip = |folder: &str, wanted: &dyn Fn(&[u8]) -> bool| {
        for (name, seen) in look(&bench.path(folder)) {
            let path = bench.path(folder).join(&name);
            if seen.kind != "file" || !wanted(&fs::read(&path).unwrap()) {
                continue;
            }
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }
    };
    let is_data = |bytes: &[u8]| bytes.get(7) == Some(&3);
    flip("repository/packs", &is_data);
    run(bench, doc, "restow check", 4, &["check", "--names"]);
    run(bench, doc, "restow check", 4, &["check", "--read-data"]);
    run(bench, doc, "restow restore", 4, &["restore", snapshot, "--to", "lost"]);
    run(bench, doc, "restow export", 4, &["export", snapshot, "--to", "lossy"]);
    flip("repository/packs", &is_data);
    let listed = |folder: &str| -> Vec<_> {
        let folder = bench.path("repository").join(folder);
        look(&folder).into_keys().map(|name| folder.join(name)).filter(|p| p.is_file()).collect()
    };
    let snapshots = listed("snapshots");
    let other = snapshots.iter().find(|path| !path.ends_with(snapshot)).unwrap();
    for (path, section, args) in [
        (other.clone(), "restow list", &["list"][..]),
        (other.clone(), "restow cleanup", &["cleanup", "--dry-run", "--keep-last", "1"]),
        (listed("index").remove(0), "restow stats", &["stats"]),
    ] {
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        fs::write(&path, bad).unwrap();
        run(bench, doc, section, 4, args);
        fs::write(&path, good).unwrap();
    }
    fs::copy(bench.path("repository/config"), bench.path("repository/keys").join("0".repeat(64)))
        .unwrap();
    run(bench, doc, "restow key list", 4, &["key", "list"]);
    fs::remove_file(bench.path("repository/keys").join("0".repeat(64))).unwrap();
}

/// Where a part of the catalog is damaged.
fn lost(doc: &mut Document) {
    let bench = Bench::with_repository();
    for number in 0..3000 {
        let path = bench.path(&format!("tree/d{}/file-{number}", number % 30));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, noise(40, number)).unwrap();
    }
    let id = bench.back_up(&["tree"]);
    let packs = bench.path("repository/packs");
    for (name, _) in look(&packs).iter().filter(|(_, seen)| seen.kind == "file") {
        let mut bytes = fs::read(packs.join(name)).unwrap();
        if bytes[7] == 4 {
            // In the first block: the first leaf.
            bytes[1000] ^= 1;
            fs::write(packs.join(name), bytes).unwrap();
        }
    }
    let shown = run(&bench, doc, "restow show", 4, &["show", &id, "--entries"]);
    let lost = shown["lost"][0]["entries"].as_u64().unwrap();
    let plan = ["restore", &id, "--to", "out", "--dry-run"];
    run(&bench, doc, "restow restore --dry-run", 4, &plan);
    let done = run(&bench, doc, "restow restore", 4, &["restore", &id, "--to", "out"]);
    assert_eq!(done["lost_count"], lost);
    let done = run(&bench, doc, "restow export", 4, &["export", &id, "--to", "exported"]);
    assert_eq!(done["damaged_count"], lost);
    assert_eq!(done["entries"].as_u64().unwrap() + lost, 3031);
}

/// What is said on standard error.
fn lines(bench: &Bench, doc: &mut Document) {
    let memory = format!("/proc/{}/mem", std::process::id());
    let slow = "echo a; sleep 1.3; echo b";
    for args in [
        &["backup", &memory, "--progress", "json", "--quiet"][..],
        &["backup", "command:x", "--progress", "json", "--json", "--", "sh", "-c", slow],
        &["check", "--progress", "json", "--quiet"],
        &["delete", "latest", "--yes", "--log-level", "info", "--log-format", "json"],
        &["show", "deadbeef", "--json"],
        &["show", "--no-such-flag", "--json"],
    ] {
        let output = bench.run(args);
        for line in String::from_utf8(output.stderr).unwrap().lines() {
            let value = parsed(line.as_bytes(), args);
            let section = match (value["event"].as_str(), value.get("error")) {
                (Some(event), _) => format!("Progress: {event}"),
                (None, Some(_)) => "Error".to_owned(),
                (None, None) => "Log line".to_owned(),
            };
            doc.compare(&section, &value);
        }
    }
}

/// No command is left out.
#[test]
fn every_command_is_documented() {
    let document = Document::read();
    for command in super::every_flag::commands() {
        let section = format!("restow {command}");
        assert!(document.has(&section) || command == "cat", "{section} is not in docs/JSON.md");
    }
}
