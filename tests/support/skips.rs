//! Tests that cannot run on this machine say so. `skip!` ends such a test; `skip_rest!` records that a part of it
//! did not run, and goes on. Both print a line that no captured output hides, and append it to a file in
//! `target/tmp/skips`, which `scripts/skips.sh` compares with `tests/expected_skips.txt`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// The name of the test this stands in, as `cargo test` prints it.
macro_rules! test_name {
    () => {{
        fn here() {}
        $crate::support::skips::test_of(std::any::type_name_of_val(&here))
    }};
}

/// Ends the test here: it cannot run on this machine, for this reason.
macro_rules! skip {
    ($($reason:tt)+) => {{
        $crate::support::skips::record(&$crate::support::skips::test_name!(), &format!($($reason)+));
        return;
    }};
}

/// A part of the test cannot run on this machine, for this reason. The test goes on.
macro_rules! skip_part {
    ($($reason:tt)+) => {
        $crate::support::skips::record(&$crate::support::skips::test_name!(), &format!($($reason)+))
    };
}

pub(crate) use {skip, skip_part, test_name};

/// `restow_tests::files::walk::holes::{{closure}}::here` is in the test `files::walk::holes`.
pub fn test_of(here: &str) -> String {
    let inside = here.strip_suffix("::here").unwrap_or(here).replace("::{{closure}}", "");
    inside.split_once("::").map_or(inside.clone(), |(_, test)| test.to_owned())
}

pub fn record(test: &str, reason: &str) {
    // Not by `eprintln!`: the harness keeps that to itself where a test passes.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skips");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{}.txt", std::process::id()));
    let line = format!("{test} {reason}\n");
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    // One write: lines of several threads stay whole.
    file.write_all(line.as_bytes()).unwrap();
}

#[test]
fn the_name_of_a_test() {
    let in_a_closure = || test_name!();
    assert_eq!(in_a_closure(), "support::skips::the_name_of_a_test");
    assert_eq!(test_name!(), "support::skips::the_name_of_a_test");
}
