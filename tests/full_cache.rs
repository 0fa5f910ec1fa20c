//! The disk of the index cache is full: a limit on the length of files stands in for it, which the cache's tables
//! exceed and the repository's small packs do not.

use std::fs;
use std::process::Command;

use crate::support::binary::{Bench, stderr};

/// Many small chunks that shrink well: their rows in the cache take more room than the chunks in a pack.
fn lines(count: u32) -> String {
    (0..count)
        .map(|n| format!("{n:07} the same words in every line, again and again and again\n"))
        .collect()
}

#[test]
fn a_full_disk_for_the_cache_ends_a_backup_with_its_cause_and_leaves_nothing_behind() {
    let bench = Bench::new();
    bench.ok(&["init", "--chunk-sizes", "64,256,320"]);
    fs::create_dir(bench.path("source")).unwrap();
    fs::write(bench.path("source/lines"), lines(1_300_000)).unwrap();
    let limited = |blocks: u32| {
        let restow = bench.command(&["backup", "source"]);
        let mut sh = Command::new("sh");
        // Without the trap the limit would kill instead of failing the write.
        let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        sh.arg("-c").arg(line).arg(restow.get_program()).args(restow.get_args());
        sh.env_clear().current_dir(restow.get_current_dir().unwrap());
        sh.envs(restow.get_envs().filter_map(|(name, value)| Some((name, value?))));
        sh.output().unwrap()
    };
    // Half KiB blocks: 11 MiB a file. All packs are shorter here, the first table of the cache is longer.
    let output = limited(2 * 11 * 1024);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("cache") && error.contains("File too large"), "{error}");
    assert_eq!(bench.json(&["list"])["snapshots"].as_array().unwrap().len(), 0);
    for folder in ["active", "beats"] {
        let left = fs::read_dir(bench.repository().join(folder)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{folder}");
    }
    bench.ok(&["check", "--read-data"]);
    let id = bench.back_up(&["source"]);
    bench.ok(&["restore", &id, "--to", "out"]);
    assert_eq!(fs::read(bench.path("out/lines")).unwrap(), lines(1_300_000).into_bytes());
}
