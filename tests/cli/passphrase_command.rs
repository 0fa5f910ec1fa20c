//! The command that prints the passphrase, and what it has no business with.

use std::fs::{self, File};

use crate::support::binary::{Bench, stderr};
use crate::support::model::noise;

/// As `ssh` does, which reads ahead for the command it runs.
#[test]
fn it_eats_nothing_of_what_is_piped_in() {
    let bench = Bench::with_repository();
    let dump = noise(300_000, 5);
    fs::write(bench.path("dump"), &dump).unwrap();
    let hungry = "head -c 100000 > eaten; echo a passphrase";
    let output = bench
        .command(&["backup", "stdin:dump.sql", "--passphrase-command", hungry])
        .stdin(File::open(bench.path("dump")).unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let kept = bench.run(&["cat", "latest", "dump.sql"]).stdout;
    assert!(kept == dump, "{} bytes of {} were kept", kept.len(), dump.len());
    assert_eq!(fs::read(bench.path("eaten")).unwrap(), b"");
}

#[test]
fn its_first_line_counts_and_then_how_it_ended() {
    let bench = Bench::with_repository();
    let list = |command: &str| bench.run(&["list", "--passphrase-command", command]);
    let more = list("echo a passphrase; seq 100000");
    assert_eq!(more.status.code(), Some(0), "{}", stderr(&more));
    assert_eq!(list("printf 'a passphrase'").status.code(), Some(0), "without a line's end");

    let failed = list("echo a passphrase; seq 100000; exit 3");
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains("exit status: 3"), "{}", stderr(&failed));
    let garbage = list("head -c 100000 /dev/zero; exit 3");
    assert!(stderr(&garbage).contains("exit status: 3"), "{}", stderr(&garbage));

    for (wrong, word) in [("head -c 9000000 /dev/zero", "too long"), ("printf '\\377'", "UTF-8")] {
        let refused = list(wrong);
        assert_eq!(refused.status.code(), Some(2), "{wrong}");
        assert!(stderr(&refused).contains(word), "{}", stderr(&refused));
    }
}
