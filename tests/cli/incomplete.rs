//! A snapshot in which something is missing says so when it is restored.

use std::fs;
use std::io::Write;
use std::path::Path;

use rustix::fs::{Mode, OFlags, mkdirat, openat};
use serde_json::Value;

use crate::support::binary::{Bench, stderr};

/// A path that the format has no room for: not even root can have that backed up.
fn bury(folder: &Path) {
    let name = "d".repeat(200);
    let mut place: std::os::fd::OwnedFd = fs::File::open(folder).unwrap().into();
    for _ in 0..330 {
        mkdirat(&place, name.as_str(), Mode::RWXU).unwrap();
        place = openat(&place, name.as_str(), OFlags::RDONLY, Mode::empty()).unwrap();
    }
}

fn site(bench: &Bench) {
    fs::create_dir_all(bench.path("site/good")).unwrap();
    fs::create_dir_all(bench.path("site/bad")).unwrap();
    fs::write(bench.path("site/good/page"), "text").unwrap();
}

fn document(bench: &Bench, code: i32, args: &[&str]) -> Value {
    let output = bench.run(&[args, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_restore_says_what_is_missing_and_which_snapshot_is_whole() {
    let bench = Bench::with_repository();
    site(&bench);
    let whole = bench.back_up(&["site"]);
    bench.ok(&["restore", "latest", "--to", "whole"]);
    bury(&bench.path("site/bad"));
    bench.fails(3, &["backup", "site"]);

    let said = bench.fails(3, &["restore", "latest", "--to", "out"]);
    assert!(said.contains("not in the snapshot: bad/ddd") && said.contains("too long"), "{said}");
    assert!(said.contains(&whole[..8]), "the one that is whole: {said}");
    assert_eq!(fs::read(bench.path("out/good/page")).unwrap(), b"text", "the rest is there");
    for more in [&["--dry-run"][..], &[]] {
        let args = [&["restore", "latest", "--to", "out"], more].concat();
        let said = document(&bench, 3, &args);
        assert_eq!((&said["missing_count"], &said["missing"][1]), (&1.into(), &Value::Null));
        assert!(said["missing"][0]["path"].as_str().unwrap().starts_with("bad/ddd"), "{said}");
        assert_eq!(said["complete_snapshot"], whole.as_str());
    }
    // Who names a snapshot means it.
    let list = bench.json(&["list"]);
    let id = list["snapshots"][1]["id"].as_str().unwrap();
    let said = document(&bench, 3, &["restore", id, "--to", "out"]);
    assert_eq!(said["complete_snapshot"], Value::Null);
    document(&bench, 0, &["restore", &whole, "--to", "out"]);
}

#[test]
fn an_export_says_it_too() {
    let bench = Bench::with_repository();
    site(&bench);
    let whole = bench.back_up(&["site"]);
    bury(&bench.path("site/bad"));
    bench.fails(3, &["backup", "site"]);
    let said = bench.fails(3, &["export", "latest", "--to", "out"]);
    assert!(said.contains("not in the snapshot: bad/ddd"), "{said}");
    assert!(said.contains(&whole[..8]), "the one that is whole: {said}");
    let said = document(&bench, 3, &["export", "latest", "--to", "again"]);
    assert_eq!((&said["missing_count"], &said["complete_snapshot"]), (&1.into(), &whole.into()));
    let said = document(&bench, 0, &["export", "latest", "--to", "part", "--only", "/good"]);
    assert_eq!(said["missing_count"], 0);
}

/// A file that was written to while it was read is in the snapshot, but may never have been like that.
#[test]
fn what_is_printed_of_a_torn_file_is_told_of() {
    let bench = Bench::with_repository();
    site(&bench);
    let log = bench.path("site/log");
    fs::write(&log, vec![b'a'; 64 << 20]).unwrap();
    let grows = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while grows.load(std::sync::atomic::Ordering::Relaxed) {
                fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(b"x").unwrap();
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        bench.fails(3, &["backup", "site"]);
        grows.store(false, std::sync::atomic::Ordering::Relaxed);
    });
    let torn = bench.run(&["cat", "latest", "log"]);
    assert_eq!(torn.status.code(), Some(3), "{}", stderr(&torn));
    assert!(torn.stdout.len() >= 64 << 20);
    assert!(stderr(&torn).contains("log"), "{}", stderr(&torn));
    let whole = bench.run(&["cat", "latest", "good/page"]);
    assert_eq!((whole.status.code(), &whole.stdout[..]), (Some(0), &b"text"[..]));
}

#[test]
fn what_is_missing_elsewhere_is_no_matter() {
    let bench = Bench::with_repository();
    site(&bench);
    bury(&bench.path("site/bad"));
    bench.fails(3, &["backup", "site"]);
    let restored = |only: &str, code: i32| {
        document(&bench, code, &["restore", "latest", "--to", "out", "--only", only])
    };
    for (only, code) in [("/good", 0), ("site/good", 2), ("bad", 3), ("bad/*", 3), ("page", 3)] {
        let args = ["restore", "latest", "--to", "out", "--only", only];
        assert_eq!(bench.run(&args).status.code(), Some(code), "{only}");
    }
    assert_eq!(restored("/good", 0)["missing_count"], 0);
    assert_eq!(restored("bad", 3)["missing_count"], 1);
}

/// Problems stand where their source stands.
#[test]
fn of_several_sources_too() {
    let bench = Bench::with_repository();
    site(&bench);
    bury(&bench.path("site/bad"));
    fs::write(bench.path("file"), "x").unwrap();
    bench.fails(3, &["backup", "site", "file"]);
    let said = document(&bench, 3, &["restore", "latest", "--to", "out"]);
    assert!(said["missing"][0]["path"].as_str().unwrap().starts_with("site/bad/ddd"), "{said}");
    document(&bench, 0, &["restore", "latest", "--to", "out", "--only", "site/good"]);
    document(&bench, 0, &["restore", "latest", "--to", "out", "--only", "file/file"]);
    document(&bench, 3, &["restore", "latest", "--to", "out", "--only", "site"]);
}
