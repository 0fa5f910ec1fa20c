//! cat, export, delete, tag, stats, and which snapshots count, through the binary.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::support::binary::{Bench, stderr};
use crate::support::model::noise;
use crate::support::tree::look;

/// A repository with snapshots of `site` and `docs`, in this order; their ids.
fn two() -> (Bench, String, String) {
    let bench = Bench::with_repository();
    for (name, content) in [("site/index.html", "<h1>hello</h1>"), ("docs/a.txt", "words")] {
        let path = bench.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::write(bench.path("site/big.bin"), noise(3 << 20, 1)).unwrap();
    let first = bench.back_up(&["site", "--tag", "web", "-m", "First night"]);
    let second = bench.back_up(&["docs", "--permanent", "--name", "the-papers"]);
    (bench, first, second)
}

fn ids(bench: &Bench, args: &[&str]) -> Vec<String> {
    let list = bench.json(args);
    let snapshots = list["snapshots"].as_array().unwrap();
    snapshots.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn cat_prints_the_bytes_and_nothing_else() {
    let (bench, first, _) = two();
    assert_eq!(bench.ok(&["cat", &first, "index.html"]), "<h1>hello</h1>");
    assert_eq!(bench.ok(&["cat", "latest", "a.txt", "--host", &host(&bench)]), "words");
    let output = bench.run(&["cat", "latest", "big.bin", "--source", "site"]);
    assert!(output.stdout == noise(3 << 20, 1) && output.stderr.is_empty());
    let error = bench.fails(5, &["cat", &first, "index.htm"]);
    assert!(error.contains("similar entries: index.html"), "{error}");
    assert!(bench.fails(2, &["cat", &first, ""]).contains("empty"));
    bench.fails(2, &["cat", &first, "../index.html"]);
    bench.fails(5, &["cat", "deadbeef", "index.html"]);
    assert!(bench.fails(2, &["cat", &first, "index.html", "--json"]).contains("bytes"));
}

fn host(bench: &Bench) -> String {
    bench.json(&["show", "latest"])["manifest"]["host"].as_str().unwrap().to_owned()
}

#[test]
fn cat_of_what_is_lost_ends_with_the_code_for_damage() {
    let (bench, first, _) = two();
    for (name, _) in look(&bench.path("repository/packs")).iter().filter(|(_, s)| s.kind == "file")
    {
        let path = bench.path("repository/packs").join(name);
        let mut bytes = fs::read(&path).unwrap();
        if bytes.len() > 2 << 20 {
            bytes[1 << 20] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let output = bench.run(&["cat", &first, "big.bin"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("big.bin, from byte"), "{}", stderr(&output));
    assert!(noise(3 << 20, 1).starts_with(&output.stdout));
    let error = bench.fails(4, &["export", &first, "--to", "out"]);
    assert!(error.contains("manifest.json"), "{error}");
}

#[test]
fn export_and_export_again() {
    let (bench, first, _) = two();
    let said = bench.ok(&["export", &first, "--to", "out"]);
    assert!(said.contains("exported 3 entries"), "{said}");
    assert_eq!(look(&bench.path("out/files")), look(&bench.path("site")));
    let manifest: Value =
        serde_json::from_slice(&fs::read(bench.path("out/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["snapshot"]["id"], first);
    let error = bench.fails(7, &["export", &first, "--to", "out"]);
    assert!(error.contains("earlier export"), "{error}");
    bench.ok(&["export", &first, "--to", "out", "--replace", "--only", "*.html", "--tag", "web"]);
    assert!(!bench.path("out/files/big.bin").exists());
    bench.fails(7, &["export", &first, "-t", "site", "--replace"]);
    assert!(bench.path("site/index.html").is_file());
    bench.fails(5, &["export", "latest", "--to", "none", "--source", "nowhere"]);
}

#[test]
fn delete_wants_a_yes_and_more_for_permanent_ones() {
    let (bench, first, second) = two();
    let error = bench.fails(2, &["delete", &first]);
    assert!(error.contains("--yes"), "nobody can be asked: {error}");
    assert!(bench.ok(&["delete", &first[..8], "--dry-run"]).contains("would delete"));
    let error = bench.fails(2, &["delete", &first, &second, "--yes"]);
    assert!(error.contains(&second[..8]) && error.contains("the-papers"), "{error}");
    bench.fails(2, &["delete", &second, "-n"]);
    assert_eq!(ids(&bench, &["list"]), [first.clone(), second.clone()], "all are there");
    let done = bench.ok(&["delete", "latest", "--source", "site", "-y"]);
    assert!(done.contains("1 snapshots deleted"), "{done}");
    assert_eq!(ids(&bench, &["list"]), [&*second]);
    bench.fails(5, &["delete", &first, "--yes"]);
    bench.ok(&["delete", "the-papers", "--force", "--yes", "--quiet"]);
    assert!(ids(&bench, &["list"]).is_empty());
    bench.ok(&["check"]);
}

/// A damaged manifest is named by its whole id: nothing else of it can be known.
#[test]
fn a_damaged_snapshot_can_be_deleted() {
    let (bench, first, second) = two();
    let manifest = bench.path("repository/snapshots").join(&first);
    let mut bytes = fs::read(&manifest).unwrap();
    bytes[100] ^= 1;
    fs::write(&manifest, bytes).unwrap();
    bench.fails(4, &["list"]);
    bench.fails(4, &["stats"]);
    let error = bench.fails(4, &["delete", &first[..8], "--yes", "--force"]);
    assert!(error.contains(&first), "the whole id is said: {error}");
    let error = bench.fails(2, &["delete", &first, "--yes"]);
    assert!(error.contains("damaged"), "{error}");
    bench.ok(&["delete", &first, "--yes", "--force"]);
    assert_eq!(ids(&bench, &["list"]), [second]);
}

#[test]
fn tags_and_permanence_of_several_at_once() {
    let (bench, first, second) = two();
    let said = bench.ok(&["tag", &first, "the-papers", "--add", "release", "--add", "x"]);
    assert_eq!(said.matches("changed: ").count() + said.matches("changed:").count(), 4, "{said}");
    assert_eq!(ids(&bench, &["list", "--tag", "release", "--tag", "x"]).len(), 2);
    bench.ok(&["tag", "latest", "--tag", "web", "--remove", "web", "--remove", "x"]);
    assert_eq!(ids(&bench, &["list", "--tag", "x"]), [&*second]);
    assert!(ids(&bench, &["list", "--tag", "web"]).is_empty());
    assert!(bench.ok(&["tag", &second, "--permanent", "on"]).contains("unchanged"));
    bench.ok(&["tag", &second, "--permanent", "off"]);
    bench.ok(&["tag", &first, "--permanent", "on"]);
    assert_eq!(ids(&bench, &["list", "--permanent"]), [&*first]);
    // Nothing is changed where one of them is not there, or nothing makes sense.
    bench.fails(5, &["tag", &first, "deadbeef", "--add", "never"]);
    bench.fails(2, &["tag", &first]);
    bench.fails(2, &["tag", &first, "--add", "a\nb"]);
    bench.fails(2, &["tag", &first, "--permanent", "maybe"]);
    assert!(ids(&bench, &["list", "--tag", "never"]).is_empty());
}

#[test]
fn stats_of_everything_of_some_and_of_none() {
    let (bench, first, second) = two();
    let again = bench.back_up(&["site"]);
    let all = bench.json(&["stats"]);
    assert_eq!(all["snapshots"].as_array().unwrap().len(), 3);
    assert_eq!(all["snapshots"][0]["id"], first);
    let logical = (3 << 20) + 14;
    assert_eq!(all["snapshots"][0]["statistics"]["logical_bytes"], logical);
    assert_eq!(all["snapshots"][2]["known_bytes"], logical, "the second time all is known");
    let whole = &all["repository"];
    assert_eq!(whole["logical_bytes"], 2 * logical + 5);
    assert_eq!(whole["data"]["unique_bytes"], logical + 5);
    assert!(whole["deduplication"].as_f64().unwrap() > 1.99);
    let files = look(&bench.repository());
    let on_disk: u64 = files
        .keys()
        .map(|path| fs::symlink_metadata(bench.repository().join(path)).unwrap())
        .filter(fs::Metadata::is_file)
        .map(|found| found.len())
        .sum();
    let marker = fs::metadata(bench.path("repository/restow.json")).unwrap().len();
    assert_eq!(whole["stored_bytes"], on_disk - marker);
    assert!(bench.ok(&["stats"]).contains("deduplication 2.0x"));
    for (args, expected) in [
        (&["stats", &second[..8], &first][..], vec![&first, &second]),
        (&["stats", "latest", "--source", "site"], vec![&again]),
        (&["stats", "--source", "docs"], vec![&second]),
        (&["stats", "--tag", "none"], vec![]),
    ] {
        let some = bench.json(args);
        assert!(some["repository"].is_null());
        let found: Vec<_> =
            some["snapshots"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
        assert_eq!(found, expected, "{args:?}");
    }
    bench.fails(5, &["stats", "deadbeef"]);
}

#[test]
fn which_snapshots_count() {
    let (bench, first, second) = two();
    let both = [first.clone(), second.clone()];
    assert_eq!(ids(&bench, &["list", "--host", &host(&bench)]), both);
    assert!(ids(&bench, &["list", "--host", "elsewhere"]).is_empty());
    assert_eq!(ids(&bench, &["list", "--name", "First"]), [&*first], "in the description");
    assert_eq!(ids(&bench, &["list", "--name", "papers"]), [&*second], "in the name");
    assert_eq!(ids(&bench, &["list", "--source", "docs", "--permanent"]), [&*second]);
    assert_eq!(ids(&bench, &["list", "--last", "1"]), [&*second]);
    assert_eq!(ids(&bench, &["list", "--last", "5"]), both);
    assert_eq!(ids(&bench, &["list", "--since", "1h"]), both);
    assert!(ids(&bench, &["list", "--before", "1 hour ago"]).is_empty());
    assert!(ids(&bench, &["list", "--since", "2999-01-01"]).is_empty());
    // Exactly the moment of the second: `since` has it, `before` has not.
    let all = bench.json(&["list"]);
    let moment = all["snapshots"][1]["manifest"]["time"].as_str().unwrap();
    assert_eq!(ids(&bench, &["list", "--since", moment]), [&*second]);
    assert_eq!(ids(&bench, &["list", "--before", moment]), [&*first]);
    // `latest` is the latest of those.
    assert_eq!(bench.json(&["show", "latest", "--before", moment])["id"], first);
    bench.ok(&["restore", "latest", "--name", "First", "--before", "2999-01-01", "--to", "out"]);
    assert!(bench.path("out/index.html").is_file());
    assert!(bench.fails(2, &["list", "--since", "yesterday-ish"]).contains("7d"));
}

/// What is meant by an id is the same for all who take one.
#[test]
fn filters_of_every_command_that_takes_an_id() {
    let (bench, _, second) = two();
    let host = host(&bench);
    for command in ["show", "stats"] {
        for (flag, value) in [
            ("--source", "docs"),
            ("--host", &host),
            ("--name", "papers"),
            ("--since", "1h"),
            ("--before", "2999-01-01"),
        ] {
            let found = bench.json(&[command, "latest", flag, value]);
            let id = found.get("id").unwrap_or(&found["snapshots"][0]["id"]);
            assert_eq!(*id, second, "{command} {flag}");
        }
    }
    // And all of them together.
    let all = ["show", "cat", "restore", "export", "tag", "stats", "delete"];
    bench.ok(&["tag", &second, "--add", "t", "--permanent", "off"]);
    for command in all {
        together(&bench, command, &host);
    }
    assert_eq!(ids(&bench, &["list"]).len(), 1);
    assert!(bench.path("all/a.txt").is_file() && bench.path("exported/files/a.txt").is_file());
    let ends = |args: &[&str]| bench.fails(5, args);
    for (flag, value) in [
        ("--source", "nowhere"),
        ("--host", "nowhere"),
        ("--name", "nothing"),
        ("--since", "2999-01-01"),
        ("--before", "2000-01-01"),
        ("--tag", "none"),
    ] {
        ends(&["show", "latest", flag, value]);
        ends(&["cat", "latest", "index.html", flag, value]);
        ends(&["restore", "latest", "--to", "out", flag, value]);
        ends(&["export", "latest", "--to", "out", flag, value]);
        ends(&["delete", "latest", "--yes", flag, value]);
        ends(&["tag", "latest", "--add", "x", flag, value]);
        ends(&["stats", "latest", flag, value]);
    }
    assert!(!bench.path("out").exists());
    assert_eq!(ids(&bench, &["list"]).len(), 1);
}

#[rustfmt::skip]
fn together(bench: &Bench, command: &str, host: &str) {
    match command {
        "show" => bench.ok(&["show", "latest", "--source", "docs", "--host", host, "--tag", "t", "--name", "papers", "--since", "1h", "--before", "2999-01-01"]),
        "cat" => bench.ok(&["cat", "latest", "a.txt", "--source", "docs", "--host", host, "--tag", "t", "--name", "papers", "--since", "1h", "--before", "2999-01-01"]),
        "restore" => bench.ok(&["restore", "latest", "--to", "all", "--source", "docs", "--host", host, "--tag", "t", "--name", "papers", "--since", "1h", "--before", "2999-01-01"]),
        "export" => bench.ok(&["export", "latest", "--to", "exported", "--source", "docs", "--host", host, "--tag", "t", "--name", "papers", "--since", "1h", "--before", "2999-01-01"]),
        "tag" => bench.ok(&["tag", "latest", "--add", "u", "--source", "docs", "--host", host, "--tag", "t", "--name", "papers", "--since", "1h", "--before", "2999-01-01"]),
        "stats" => bench.ok(&["stats", "latest", "--source", "docs", "--host", host, "--tag", "t", "--name", "papers", "--since", "1h", "--before", "2999-01-01"]),
        _ => bench.ok(&["delete", "latest", "--yes", "--source", "docs", "--host", host, "--tag", "t", "--name", "papers", "--since", "1h", "--before", "2999-01-01"]),
    };
}

#[test]
fn a_reader_that_goes_away_ends_nothing_but_the_output() {
    let (bench, first, _) = two();
    let shell = |line: &str| {
        let mut command = std::process::Command::new("bash");
        let restow = bench.command(&[]);
        for (name, value) in restow.get_envs() {
            command.env(name, value.unwrap());
        }
        command.env("RESTOW", env!("CARGO_BIN_EXE_restow")).env("FIRST", &first);
        command.args(["-c", line]).current_dir(bench.path("")).stdin(Stdio::null());
        let output = command.output().unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), stderr(&output))
    };
    for command in [
        "list -v",
        "list --json",
        "show latest --entries",
        "show latest --entries --json",
        "stats",
        "completions bash",
        "--help",
        "cat $FIRST big.bin",
        "check",
    ] {
        // The reader is gone before the first byte.
        let line = format!("\"$RESTOW\" {command} | exec <&- true; echo ${{PIPESTATUS[0]}}");
        let (said, complaint) = shell(&line);
        assert_eq!((said.trim(), complaint.as_str()), ("0", ""), "{command}");
        // A full disk is an error, but no panic.
        let (said, complaint) = shell(&format!("\"$RESTOW\" {command} >/dev/full; echo $?"));
        assert_eq!(said.trim(), "1", "{command}: {complaint}");
        assert!(complaint.contains("No space left"), "{command}: {complaint}");
        assert!(!complaint.contains("panicked"), "{command}: {complaint}");
    }
    // Nobody hears of it, and the work is done all the same.
    for line in [
        "\"$RESTOW\" backup site --progress json --log-level trace 2>/dev/full >/dev/null; echo $?",
        "\"$RESTOW\" backup site --progress bar --log-format json 2>/dev/full >/dev/null; echo $?",
        "\"$RESTOW\" backup site --progress lines 2>&- >/dev/null; echo $?",
    ] {
        assert_eq!(shell(line).0.trim(), "0", "{line}");
    }
    assert_eq!(shell("\"$RESTOW\" list --no-such-flag 2>/dev/full; echo $?").0.trim(), "2");
    assert_eq!(shell("\"$RESTOW\" show deadbeef 2>/dev/full; echo $?").0.trim(), "5");
    assert_eq!(ids(&bench, &["list"]).len(), 5);
}
