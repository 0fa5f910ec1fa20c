//! What is said is what is meant: ages, empty words, names with odd letters, texts with marks and line ends.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::support::binary::{Bench, stderr};
use crate::support::tree::look;

#[test]
fn a_bare_m_is_refused_wherever_an_age_is_read() {
    let bench = Bench::with_repository();
    let cases: [&[&str]; 9] = [
        &["cleanup", "--keep-within", "6m"],
        &["cleanup", "--keep-within", "1y 6M"],
        &["cleanup", "--keep-hourly", "90m"],
        &["cleanup", "--keep-monthly", "6m"],
        &["cleanup", "--older-than", "6 m"],
        &["compact", "--older-than", "6m"],
        &["list", "--since", "6m"],
        &["list", "--since", "6m ago"],
        &["list", "--before", "2h30m"],
    ];
    for args in cases {
        let said = bench.fails(2, args);
        assert!(said.contains("minutes or months"), "{args:?}: {said}");
    }
    bench.ok(&["list", "--since", "6mo"]);
    bench.ok(&["list", "--since", "6min"]);
    bench.ok(&["cleanup", "-n", "--keep-within", "P6M"]);
    for line in ["keep-within = '6m'", "keep-daily = '6m'", "older-than = '6m'"] {
        fs::write(bench.path("m.toml"), format!("[retention]\n{line}\n")).unwrap();
        let said = bench.fails(2, &["cleanup", "-n", "--config", "m.toml"]);
        assert!(said.contains("minutes or months"), "{line}: {said}");
    }
}

#[test]
fn an_empty_word_never_means_everything() {
    let bench = Bench::with_repository();
    fs::create_dir(bench.path("site")).unwrap();
    fs::write(bench.path("site/a"), "a").unwrap();
    let id = bench.back_up(&["site"]);
    let cases: [&[&str]; 16] = [
        &["list", "--source", ""],
        &["list", "--source="],
        &["list", "--host", ""],
        &["list", "--tag", ""],
        &["list", "--name", ""],
        &["show", ""],
        &["restore", &id, "--to", "out", "--only", ""],
        &["restore", &id, "--to", "out", "--only", "a", "--only", ""],
        &["restore", &id, "--to", "out", "--collection", ""],
        &["export", &id, "--to", "out", "--only", ""],
        &["cleanup", "--source", "", "--keep-last", "1", "--yes"],
        &["cleanup", "--keep-tag", "", "--keep-last", "1", "--yes"],
        &["delete", "", "--yes"],
        &["tag", &id, "--add", ""],
        &["backup", "site", "--exclude", ""],
        &["backup", ""],
    ];
    for args in cases {
        let said = bench.fails(2, args);
        assert!(said.contains("empty"), "{args:?}: {said}");
    }
    bench.fails(2, &["list", "--since", ""]);
    bench.fails(2, &["restore", &id, "--to", ""]);
    assert!(!bench.path("out").exists());
    for line in ["exclude = ['']", "exclude-file = ['']", "collections = ['a', '']"] {
        let text = format!("[sources.site]\nsource = 'site'\n{line}\n");
        fs::write(bench.path("empty.toml"), text).unwrap();
        let said = bench.fails(2, &["backup", "site", "--config", "empty.toml"]);
        assert!(said.contains("line 3") && said.contains("empty"), "{line}: {said}");
    }
    // Words for people may be empty, and so may the arguments of a program.
    bench.ok(&["backup", "site", "-m", ""]);
    bench.ok(&["backup", "command:x", "--", "printf", "%s.", ""]);
}

#[test]
fn of_several_patterns_one_that_names_nothing_is_told() {
    let bench = Bench::with_repository();
    fs::create_dir_all(bench.path("site/sub")).unwrap();
    fs::write(bench.path("site/a"), "a").unwrap();
    fs::write(bench.path("site/sub/b"), "b").unwrap();
    let id = bench.back_up(&["site"]);
    for (command, to) in [("restore", "one"), ("export", "two")] {
        let args = [command, &id, "--to", to, "--only", "a", "--only", "sub/none"];
        let said = bench.fails(3, &args);
        assert!(said.contains("nothing is named by sub/none"), "{said}");
        let said = bench.fails(2, &[command, &id, "--to", "no", "--only", "none", "--only", "x/y"]);
        assert!(said.contains("names nothing"), "{said}");
        assert!(!bench.path("no").exists());
    }
    assert!(bench.path("one/a").is_file() && !bench.path("one/sub").exists());
    let output =
        bench.run(&["restore", &id, "--to", "one", "-n", "--json", "--only", "a", "--only", "z"]);
    assert_eq!(output.status.code(), Some(3));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["unmatched"], serde_json::json!(["z"]));
}

#[test]
fn a_name_as_it_is_printed_can_be_said() {
    let bench = Bench::with_repository();
    let site = bench.path("site");
    fs::create_dir_all(site.join("[x]")).unwrap();
    let names: [&[u8]; 6] =
        [b"[draft].txt", b"[open", b"{a,b}", b"star*", b"odd\xff.bin", b"[x]/in"];
    for name in names {
        fs::write(site.join(OsStr::from_bytes(name)), name).unwrap();
    }
    fs::write(site.join("d.txt"), "no").unwrap();
    let id = bench.back_up(&["site"]);
    for (at, name) in names.iter().enumerate() {
        let to = format!("out{at}");
        let mut command = bench.command(&["restore", &id, "--to", &to, "--only"]);
        let output = command.arg(OsStr::from_bytes(name)).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let restored = fs::read(bench.path(&to).join(OsStr::from_bytes(name))).unwrap();
        assert_eq!(restored, *name);
        assert!(!look(&bench.path(&to)).contains_key(std::path::Path::new("d.txt")), "{name:?}");
    }
}

#[test]
fn a_passphrase_opens_in_whichever_way_it_is_given() {
    let bench = Bench::with_repository();
    // The bench's passphrase, as editors and shells leave it.
    let texts: [&[u8]; 5] = [
        b"a passphrase",
        b"a passphrase\n",
        b"a passphrase\r\n",
        b"\xef\xbb\xbfa passphrase\n",
        b"a passphrase\nanother line\n",
    ];
    for text in texts {
        fs::write(bench.path("word"), text).unwrap();
        bench.ok(&["list", "--passphrase-file", "word"]);
        bench.ok(&["list", "--passphrase-command", "cat word"]);
        let mut command = bench.command(&["list"]);
        let output = command.env("RESTOW_PASSPHRASE", OsStr::from_bytes(text)).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{text:?}: {}", stderr(&output));
    }
    for (text, code) in [(&b"a passphrase \n"[..], 6), (b"\na passphrase", 2), (b"a\xff", 2)] {
        fs::write(bench.path("word"), text).unwrap();
        bench.fails(code, &["list", "--passphrase-file", "word"]);
        bench.fails(code, &["list", "--passphrase-command", "cat word"]);
        let mut command = bench.command(&["list"]);
        let output = command.env("RESTOW_PASSPHRASE", OsStr::from_bytes(text)).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{text:?}: {}", stderr(&output));
    }
}

#[test]
fn marks_and_line_ends_are_no_part_of_any_text() {
    let bench = Bench::with_repository();
    fs::create_dir(bench.path("site")).unwrap();
    fs::write(bench.path("site/a.tmp"), "a").unwrap();
    fs::write(bench.path("site/b.log"), "b").unwrap();
    fs::write(bench.path("globs"), "\u{feff}*.tmp\r\n*.log\r\n").unwrap();
    fs::write(bench.path("c.toml"), "\u{feff}[retention]\r\nkeep-last = 3\r\n").unwrap();
    bench.ok(&["backup", "site", "--exclude-file", "globs", "--config", "c.toml"]);
    // A first name that had the mark in it would not be found.
    fs::write(bench.path("env"), "\u{feff}QDRANT_URL=http://127.0.0.1:1\r\n").unwrap();
    bench.fails(8, &["backup", "qdrant:", "--env-file", "env", "--retries", "0"]);
    let shown = bench.ok(&["show", "latest", "--entries"]);
    assert!(!shown.contains("a.tmp") && !shown.contains("b.log"), "{shown}");
}

#[test]
fn a_time_zone_that_is_unknown_is_an_error_and_not_utc() {
    let bench = Bench::with_repository();
    fs::write(bench.path("a"), "a").unwrap();
    let run = |zone: &str, args: &[&str]| bench.command(args).env("TZ", zone).output().unwrap();
    for args in
        [&["cleanup", "-n"][..], &["list", "--since", "7d"], &["list", "--since", "2026-01-01"]]
    {
        let refused = run("Mars/Phobos", args);
        assert_eq!(refused.status.code(), Some(2), "{args:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains("Mars/Phobos"), "{}", stderr(&refused));
        assert_eq!(run("Europe/Berlin", args).status.code(), Some(0), "{args:?}");
        assert_eq!(run("", args).status.code(), Some(0), "{args:?}");
    }
    bench.ok(&["cleanup", "-n", "--timezone", "Asia/Kathmandu"]);
    // A backup is taken all the same.
    let taken = run("Mars/Phobos", &["backup", "a"]);
    assert_eq!(taken.status.code(), Some(0), "{}", stderr(&taken));
    assert!(stderr(&taken).contains("time zone"), "{}", stderr(&taken));
}
