//! The disk of the index cache is full: a file system of its own, in memory, of a mebibyte.

use std::fs;
use std::process::Output;

use crate::support::binary::{Bench, stderr};
use crate::support::mounts::{may_mount, unshared};
use crate::support::skips::skip;

/// Many small chunks: their rows in the cache take several mebibytes.
fn lines() -> String {
    let line = |n| format!("{n:07} the same words in every line, again and again and again\n");
    (0..600_000).map(line).collect()
}

/// Runs restow where nobody else sees the small file system at `cache`.
fn with_small_cache(bench: &Bench, args: &[&str]) -> Output {
    let line = "mount -t tmpfs -o size=1m none cache && exec \"$0\" \"$@\" --cache cache";
    unshared(bench, line, args).output().unwrap()
}

/// Before the commit it ends the backup, and there is no snapshot; after it, the snapshot stands. Either way the
/// cache is named, nothing is left behind, and the repository is whole.
#[test]
fn a_full_disk_for_the_cache_is_told_and_harms_nothing() {
    if !may_mount() {
        skip!("nothing can be mounted");
    }
    let bench = Bench::new();
    bench.ok(&["init", "--chunk-sizes", "64,256,320"]);
    fs::create_dir(bench.path("cache")).unwrap();
    fs::create_dir(bench.path("source")).unwrap();
    fs::write(bench.path("source/lines"), lines()).unwrap();
    let output = with_small_cache(&bench, &["backup", "source"]);
    let error = stderr(&output);
    assert!(error.contains("index cache") && error.contains("No space left"), "{error}");
    let snapshots = bench.json(&["list"])["snapshots"].as_array().unwrap().len();
    let expected = match output.status.code() {
        Some(0) => 1,
        Some(1) => 0,
        code => panic!("{code:?}: {error}"),
    };
    assert_eq!(snapshots, expected, "{error}");
    let left = |name: &str| fs::read_dir(bench.repository().join(name)).map_or(0, Iterator::count);
    assert_eq!((left("active"), left("beats")), (0, 0));

    bench.ok(&["check", "--read-data"]);
    let id = bench.back_up(&["source"]);
    bench.ok(&["restore", &id, "--to", "out"]);
    assert!(fs::read(bench.path("out/lines")).unwrap() == lines().into_bytes());
}
