//! Every command through the binary.

mod cleanup;
mod commands;
mod config;
pub mod every_flag;
mod flags;
#[cfg(feature = "rocksdb")]
mod full_cache;
mod golden;
mod incomplete;
mod json;
mod keys;
mod obstacles;
mod passphrase_command;
mod prune;
mod several_sources;
mod signals;
mod which;
mod words;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::binary::{Bench, stderr, text};
use crate::support::model::noise;
use crate::support::tree::look;

fn make_site(folder: &Path) {
    fs::create_dir_all(folder.join("src/deep")).unwrap();
    fs::create_dir(folder.join("empty")).unwrap();
    fs::write(folder.join("index.html"), "<h1>hello</h1>").unwrap();
    fs::write(folder.join("src/a.rs"), noise(300_000, 1)).unwrap();
    fs::write(folder.join("src/deep/b.rs"), noise(10, 2)).unwrap();
    fs::write(folder.join("src/deep/c.tmp"), "scratch").unwrap();
    symlink("../index.html", folder.join("src/link")).unwrap();
    fs::hard_link(folder.join("src/a.rs"), folder.join("src/deep/same")).unwrap();
    fs::set_permissions(folder.join("empty"), fs::Permissions::from_mode(0o1750)).unwrap();
}

#[test]
fn a_first_night_and_a_restore() {
    let bench = Bench::with_repository();
    let site = bench.path("site");
    make_site(&site);
    let said = bench.ok(&["backup", "site", "-m", "First Night!", "--tag", "web", "--permanent"]);
    assert!(said.contains("snapshot") && said.contains("first-night"), "{said}");
    let before = look(&site);

    fs::write(site.join("index.html"), "<h1>changed</h1>").unwrap();
    let second = bench.back_up(&["site"]);
    let list = bench.json(&["list"]);
    let snapshots = list["snapshots"].as_array().unwrap();
    assert_eq!(snapshots.len(), 2);
    let first = snapshots[0]["id"].as_str().unwrap();
    assert_eq!(snapshots[0]["permanent"], true);
    assert_eq!(snapshots[0]["tags"][0], "web");
    assert_eq!(snapshots[0]["manifest"]["description"], "First Night!");
    assert_eq!(snapshots[1]["manifest"]["sources"][0]["parent"].as_str(), Some(first));
    assert_eq!(snapshots[1]["id"].as_str(), Some(second.as_str()));

    bench.ok(&["restore", &first[..10], "--to", "out/first"]);
    assert_eq!(look(&bench.path("out/first")), before);
    bench.ok(&["restore", "latest", "--to", "out/second"]);
    assert_eq!(look(&bench.path("out/second")), look(&site));
    assert!(bench.ok(&["list"]).contains("[PERMANENT] #web First Night!"));
    assert!(bench.ok(&["list", "--permanent", "-v"]).contains(first));
    assert_eq!(bench.json(&["list", "--tag", "nope"])["snapshots"].as_array().unwrap().len(), 0);
    let shown = bench.ok(&["show", first, "--entries"]);
    assert!(shown.contains("src/deep/b.rs") && shown.contains("link -> ../index.html"), "{shown}");
    let entries = bench.json(&["show", "latest", "--entries"]);
    assert_eq!(entries["entries"].as_array().unwrap().len(), before.len());
    for args in
        [&["check"][..], &["check", "--read-data"], &["check", "--names"], &["check", first]]
    {
        assert!(bench.ok(args).contains("no damage found"));
    }
}

#[test]
fn a_restore_run_again_changes_only_what_differs() {
    let bench = Bench::new();
    // Chunks that are shorter than the file.
    bench.ok(&["init", "--chunk-sizes", "16384,65536,262144"]);
    let site = bench.path("site");
    make_site(&site);
    let id = bench.back_up(&["site"]);
    bench.ok(&["restore", &id, "--to", "out"]);
    let again = bench.json(&["restore", &id, "--to", "out"]);
    assert_eq!(again["bytes"], again["kept_bytes"]);

    // One byte changed in the middle: one chunk is written, after consent.
    let mut bytes = fs::read(bench.path("out/src/a.rs")).unwrap();
    bytes[150_000] ^= 1;
    fs::write(bench.path("out/src/a.rs"), &bytes).unwrap();
    let error = bench.fails(7, &["restore", &id, "--to", "out"]);
    assert!(error.contains("would replace") && error.contains("--overwrite"), "{error}");
    assert_eq!(fs::read(bench.path("out/src/a.rs")).unwrap(), bytes, "nothing was touched");
    let plan = bench.json(&["restore", &id, "--to", "out", "--dry-run"]);
    assert!(plan["plans"][0]["replaced"].as_u64().unwrap() >= 1);
    let mended = bench.json(&["restore", &id, "--to", "out", "--overwrite"]);
    let written = mended["bytes"].as_u64().unwrap() - mended["kept_bytes"].as_u64().unwrap();
    assert!(written <= 256 * 1024, "{mended}");
    assert_eq!(look(&bench.path("out")), look(&site));
}

#[test]
fn a_restore_to_the_original_place() {
    let bench = Bench::with_repository();
    let site = bench.path("site");
    make_site(&site);
    fs::write(bench.path("single.txt"), "one file").unwrap();
    let before = look(&site);
    let id = bench.back_up(&["site", "single.txt"]);
    fs::remove_dir_all(&site).unwrap();
    fs::remove_file(bench.path("single.txt")).unwrap();
    bench.ok(&["restore", &id]);
    assert_eq!(look(&site), before);
    assert_eq!(fs::read(bench.path("single.txt")).unwrap(), b"one file");
    bench.ok(&["restore", &id, "--to", "out"]);
    assert_eq!(look(&bench.path("out/site")), before);
    assert!(bench.path("out/single.txt/single.txt").is_file());
}

#[test]
fn a_folder_that_was_there_is_changed_only_when_told() {
    let bench = Bench::with_repository();
    let site = bench.path("site");
    make_site(&site);
    let id = bench.back_up(&["site"]);
    let out = bench.path("out");
    fs::create_dir(&out).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o711)).unwrap();
    let said = bench.ok(&["restore", &id, "--to", "out"]);
    assert!(said.contains("left as they are"), "{said}");
    assert_eq!(look(&out)[Path::new("")].mode, 0o711);
    assert_eq!(look(&out.join("src")), look(&site.join("src")));
    bench.ok(&["restore", &id, "--to", "out", "--overwrite"]);
    assert_eq!(look(&out), look(&site));
    // The original place is no other folder: it becomes what it was.
    let before = look(&site);
    fs::set_permissions(&site, fs::Permissions::from_mode(0o700)).unwrap();
    bench.ok(&["restore", &id]);
    assert_eq!(look(&site), before);
}

#[test]
fn an_original_place_that_no_text_can_name() {
    let bench = Bench::with_repository();
    let source = bench.path("").join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "x").unwrap();
    for _ in 0..2 {
        let output = bench.command(&["backup"]).arg(&source).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let snapshots = bench.json(&["list"]);
    assert!(snapshots["snapshots"][1]["manifest"]["sources"][0]["parent"].is_string());
    fs::remove_dir_all(&source).unwrap();
    let before = look(&bench.path("")).len();
    let error = bench.fails(2, &["restore", "latest"]);
    assert!(error.contains("caf%E9") && error.contains("--to"), "{error}");
    assert_eq!(look(&bench.path("")).len(), before, "nothing was made anywhere");
    bench.ok(&["restore", "latest", "--to", "out"]);
    assert_eq!(fs::read(bench.path("out/file")).unwrap(), b"x");
}

#[test]
fn a_part_of_a_snapshot() {
    let bench = Bench::with_repository();
    make_site(&bench.path("site"));
    let id = bench.back_up(&["site"]);
    bench.ok(&["restore", &id, "--to", "out", "--only", "*.rs", "--only", "empty"]);
    let found: Vec<_> =
        look(&bench.path("out")).into_keys().map(|p| p.display().to_string()).collect();
    assert_eq!(found, ["", "empty", "src", "src/a.rs", "src/deep", "src/deep/b.rs"]);
    bench.ok(&["restore", &id, "--to", "deep", "--only", "src/deep"]);
    assert!(bench.path("deep/src/deep/c.tmp").is_file());
    assert!(!bench.path("deep/index.html").exists());
    let error = bench.fails(2, &["restore", &id, "--to", "none", "--only", "nothing-like-it"]);
    assert!(error.contains("names nothing"), "{error}");
    assert!(!bench.path("none").exists());
}

#[test]
fn excludes_and_dry_runs() {
    let bench = Bench::with_repository();
    let site = bench.path("site");
    make_site(&site);
    fs::write(bench.path("patterns"), "# comment\nsrc/deep/b.rs\n").unwrap();
    let dry = bench.json(&["backup", "site", "--dry-run", "--exclude", "*.html"]);
    assert!(dry["id"].is_null());
    assert_eq!(bench.json(&["list"])["snapshots"].as_array().unwrap().len(), 0);
    let args =
        ["site", "-e", "*.html", "--exclude-preset", "dev", "--exclude-file", "patterns", "-x"];
    let id = bench.back_up(&args);
    bench.ok(&["restore", &id, "--to", "out"]);
    let found = look(&bench.path("out"));
    assert!(found.contains_key(Path::new("src/a.rs")));
    for gone in ["index.html", "src/deep/c.tmp", "src/deep/b.rs"] {
        assert!(!found.contains_key(Path::new(gone)), "{gone}");
    }
    let error = bench.fails(2, &["backup", "site", "--exclude-preset", "nope"]);
    assert!(error.contains("dev"), "{error}");
}

#[test]
fn exit_codes_and_messages() {
    let bench = Bench::new();
    let error = bench.fails(5, &["list"]);
    assert!(error.contains("no restow repository") && error.contains("repository"), "{error}");
    bench.ok(&["init"]);
    assert!(bench.fails(7, &["init"]).contains("already"));
    assert!(bench.fails(8, &["backup", "missing"]).contains("missing"));
    assert!(bench.fails(5, &["restore", "latest"]).contains("latest"));
    assert!(bench.fails(5, &["show", "deadbeef"]).contains("restow list"));
    bench.fails(2, &["backup"]);
    bench.fails(2, &["no-such-command"]);

    let wrong = bench.command(&["list"]).env("RESTOW_PASSPHRASE", "wrong").output().unwrap();
    assert_eq!(wrong.status.code(), Some(6));
    assert!(stderr(&wrong).contains("RESTOW_PASSPHRASE"), "{}", stderr(&wrong));
    assert!(!stderr(&wrong).contains("wrong\n"), "the passphrase itself is not shown");
    let none = bench.command(&["list"]).env_remove("RESTOW_PASSPHRASE").output().unwrap();
    assert_eq!(none.status.code(), Some(2), "{}", stderr(&none));

    // A file that cannot be read: the rest is kept, the snapshot is incomplete.
    let id = std::process::id();
    let error = bench.fails(3, &["backup", &format!("/proc/{id}/mem")]);
    assert!(error.contains("mem"), "{error}");
    assert!(bench.ok(&["list"]).contains("[INCOMPLETE]"));

    let as_json = bench.run(&["show", "deadbeef", "--json"]);
    let error: serde_json::Value = serde_json::from_slice(&as_json.stderr).unwrap();
    assert_eq!(error["exit_code"], 5);
}

#[test]
fn repositories_that_must_not_be_opened_have_their_own_exit_codes() {
    let bench = Bench::with_repository();
    let marker = bench.path("repository/restow.json");
    let good = fs::read_to_string(&marker).unwrap();
    fs::write(&marker, good.replace("\"version\": 1", "\"version\": 2")).unwrap();
    let error = bench.fails(9, &["list"]);
    assert!(error.contains("version 2"), "{error}");
    fs::write(&marker, &good).unwrap();

    // The configuration of another repository, opened by our own key.
    let other = Bench::with_repository();
    fs::copy(other.path("repository/config"), bench.path("repository/config")).unwrap();
    let error = bench.fails(4, &["list"]);
    assert!(error.contains("config"), "{error}");
}

#[test]
fn other_ways_to_give_the_key() {
    let bench = Bench::new();
    fs::write(bench.path("secret"), "from a file\nand more\n").unwrap();
    fs::write(bench.path("key"), noise(64, 5)).unwrap();
    let run = |place: &str, args: &[&str]| {
        let mut command = bench.command(args);
        command.env("RESTOW_REPOSITORY", bench.path(place)).env_remove("RESTOW_PASSPHRASE");
        command.output().unwrap().status.code()
    };
    assert_eq!(run("one", &["init", "--passphrase-file", "secret"]), Some(0));
    assert_eq!(run("one", &["list", "--passphrase-command", "echo from a file"]), Some(0));
    assert_eq!(run("one", &["list", "--passphrase-command", "echo something else"]), Some(6));
    assert_eq!(run("one", &["list", "--passphrase-command", "false"]), Some(1));
    assert_eq!(run("two", &["init", "--key-file", "key"]), Some(0));
    assert_eq!(run("two", &["list", "--key-file", "key"]), Some(0));
    assert_eq!(run("two", &["list", "--passphrase-file", "secret"]), Some(6));
    assert_eq!(run("two", &["list", "--key-file", "secret"]), Some(2));
}

#[test]
fn damage_is_found_and_named() {
    let bench = Bench::with_repository();
    make_site(&bench.path("site"));
    let id = bench.back_up(&["site"]);
    let packs = look(&bench.path("repository/packs"));
    for (name, _) in packs.iter().filter(|(_, seen)| seen.kind == "file") {
        let path = bench.path("repository/packs").join(name);
        let mut bytes = fs::read(&path).unwrap();
        if bytes[7] == 3 {
            // Behind the first block, which src/a.rs shares with smaller files.
            bytes[200_000] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    bench.fails(4, &["check", "--names"]);
    bench.ok(&["check"]);
    let output = bench.run(&["check", "--read-data"]);
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(&id) && said.contains("src/a.rs"), "{said}");
    let error = bench.fails(4, &["restore", &id, "--to", "out"]);
    assert!(error.contains("src/a.rs"), "{error}");
    assert_eq!(fs::read(bench.path("out/index.html")).unwrap(), b"<h1>hello</h1>");
}

#[test]
fn a_repository_on_read_only_media_and_no_cache() {
    let bench = Bench::with_repository();
    make_site(&bench.path("site"));
    let id = bench.back_up(&["site"]);
    // The cache's place is a file: no cache can be written.
    fs::write(bench.path("blocked"), "").unwrap();
    let blocked = bench.path("blocked");
    bench.ok(&["restore", &id, "--to", "out", "--cache", text(&blocked)]);
    assert_eq!(look(&bench.path("out")), look(&bench.path("site")));
    bench.ok(&["list", "--no-cache"]);
    bench.ok(&["check", "--no-cache"]);
}

#[test]
fn an_interrupted_backup_leaves_no_snapshot_and_the_next_succeeds() {
    let bench = Bench::with_repository();
    let data = bench.path("data");
    fs::create_dir(&data).unwrap();
    for number in 0..12 {
        fs::write(data.join(format!("f{number}")), noise(40 << 20, number)).unwrap();
    }
    let packs = bench.path("repository/packs");
    let mut child = bench.command(&["backup", "data"]).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    // Stopped once something was stored.
    while fs::read_dir(&packs).map_or(0, Iterator::count) == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing was ever stored");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{status:?}");
    assert_eq!(bench.json(&["list"])["snapshots"].as_array().unwrap().len(), 0);
    let actors = fs::read_dir(bench.path("repository/active")).map_or(0, Iterator::count);
    assert_eq!(actors, 0, "an interrupted writer takes itself off the list");

    let done = bench.json(&["backup", "data"]);
    let new = done["manifest"]["statistics"]["new_bytes"].as_u64().unwrap();
    assert!(new < 12 * (40 << 20), "what was stored is taken up: {new} new");
    bench.ok(&["check", "--read-data"]);
}

#[test]
fn a_killed_backup_does_no_harm() {
    let bench = Bench::with_repository();
    make_site(&bench.path("site"));
    let first = bench.back_up(&["site"]);
    let data = bench.path("data");
    fs::create_dir(&data).unwrap();
    for number in 0..4 {
        fs::write(data.join(format!("f{number}")), noise(30 << 20, number)).unwrap();
    }
    for wait in [5, 60, 150, 300] {
        let mut child = bench.command(&["backup", "data"]).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        bench.ok(&["check"]);
        bench.ok(&["restore", &first, "--to", "out", "--overwrite"]);
        assert_eq!(look(&bench.path("out")), look(&bench.path("site")));
    }
    let id = bench.back_up(&["data"]);
    bench.ok(&["restore", &id, "--to", "data-out"]);
    assert_eq!(look(&bench.path("data-out")), look(&data));
}

#[test]
fn two_backups_at_once() {
    let bench = Bench::with_repository();
    for name in ["one", "two"] {
        fs::create_dir(bench.path(name)).unwrap();
        fs::write(bench.path(name).join("shared"), noise(20 << 20, 1)).unwrap();
        fs::write(bench.path(name).join("own"), noise(5 << 20, name.len() as u64 + 7)).unwrap();
    }
    let start = |name: &str| {
        bench
            .command(&["backup", name])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    for child in [start("one"), start("two")] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    for name in ["one", "two"] {
        bench.ok(&["restore", "latest", "--source", name, "--to", &format!("out-{name}")]);
        assert_eq!(look(&bench.path(&format!("out-{name}"))), look(&bench.path(name)));
    }
    bench.ok(&["check", "--read-data"]);
}

#[test]
fn completions() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(bench.ok(&["completions", shell]).contains("restow"));
    }
}

#[test]
fn a_reader_that_goes_away_and_a_disk_that_is_full() {
    let bench = Bench::with_repository();
    make_site(&bench.path("site"));
    bench.ok(&["backup", "site"]);
    let commands = [
        &["list"][..],
        &["list", "--json"],
        &["show", "latest", "--entries"],
        &["completions", "bash"],
    ];
    for args in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = bench.command(args).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        assert_eq!(stderr(&output), "");
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = bench.command(args).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(stderr(&output).contains("cannot write to standard output"));
    }
    // Nobody to hear of an error, or of a snapshot that was taken all the same.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = bench.command(&["restore", "none"]);
    assert_eq!(command.stderr(writer).output().unwrap().status.code(), Some(5));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = bench.command(&["backup", "site"]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(bench.json(&["list"])["snapshots"].as_array().unwrap().len(), 2);
}

#[test]
fn a_home_with_the_repository_in_it_does_not_back_up_the_repository() {
    let bench = Bench::with_repository();
    make_site(&bench.path("site"));
    let first = bench.back_up(&["."]);
    let id = bench.back_up(&["--force", "."]);
    for id in [first, id] {
        let shown = bench.ok(&["show", "--entries", &id]);
        let has = |end: &str| shown.lines().any(|line| line.ends_with(end));
        assert!(has(" site/index.html") && has(" .cache"), "{shown}");
        assert!(!has("repository") && !shown.contains(".cache/restow/"), "{shown}");
    }
    assert!(bench.fails(2, &["backup", "repository"]).contains("left out"));
}
