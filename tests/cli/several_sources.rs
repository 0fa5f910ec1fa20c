//! A folder, a database and a command in one snapshot.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::support::binary::Bench;
use crate::support::model::noise;
use crate::support::tree::look;

const ALL: [&str; 5] = ["backup", "site", "sqlite:app.db", "command:dump.sql", "--"];

/// With the three sources made.
fn bench() -> Bench {
    let bench = Bench::with_repository();
    let site = bench.path("site");
    fs::create_dir_all(site.join("deep")).unwrap();
    fs::write(site.join("deep/page"), noise(100_000, 3)).unwrap();
    fs::write(site.join("page"), noise(1000, 4)).unwrap();
    let database = Connection::open(bench.path("app.db")).unwrap();
    database.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (7)").unwrap();
    let mut insert = database.prepare("INSERT INTO t VALUES (?1)").unwrap();
    for number in 0..50 {
        insert.execute([noise(4000, 100 + number)]).unwrap();
    }
    drop(insert);
    bench
}

fn with<'a>(program: &[&'a str]) -> Vec<&'a str> {
    ALL.into_iter().chain(program.iter().copied()).collect()
}

fn first_value(database: &Path) -> i64 {
    let restored = Connection::open(database).unwrap();
    restored.query_row("SELECT a FROM t LIMIT 1", [], |row| row.get(0)).unwrap()
}

#[test]
fn one_snapshot_of_everything_or_none() {
    let bench = bench();
    fs::create_dir(bench.path("temp")).unwrap();
    let failing = ["--temp-dir", "temp", "--", "sh", "-c", "echo half; exit 1"];
    let error = bench.fails(8, &[&ALL[..4], &failing].concat());
    assert_eq!(fs::read_dir(bench.path("temp")).unwrap().count(), 0);
    assert!(error.contains("command:dump.sql"), "{error}");
    assert_eq!(bench.json(&["list"])["snapshots"].as_array().unwrap().len(), 0);

    bench.ok(&with(&["echo", "whole"]));
    let manifest = &bench.json(&["show", "latest"])["manifest"];
    let sources = manifest["sources"].as_array().unwrap();
    let kinds: Vec<_> = sources.iter().map(|source| source["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["sqlite", "command", "folder"], "in the order of their prefixes");
    bench.ok(&["restore", "latest", "--to", "out"]);
    assert_eq!(look(&bench.path("out/site")), look(&bench.path("site")));
    assert_eq!(fs::read(bench.path("out/dump.sql/dump.sql")).unwrap(), b"whole\n");
    assert_eq!(first_value(&bench.path("out/app.db/app.db")), 7);
    // And again, where all is in place already.
    bench.ok(&["restore", "latest", "--to", "out"]);
}

#[test]
fn restored_one_at_a_time() {
    let bench = bench();
    bench.ok(&with(&["echo", "whole"]));
    let cases = [
        ("app.db", "app.db/app.db"),
        ("dump.sql", "dump.sql/dump.sql"),
        ("site", "site/page"),
        ("site/deep", "site/deep/page"),
    ];
    for (only, file) in cases {
        let to = format!("part-{}", only.replace('/', "-"));
        bench.ok(&["restore", "latest", "--to", &to, "--only", only]);
        assert!(bench.path(&to).join(file).is_file(), "{only}");
        let top = file.split('/').next().unwrap();
        let found: Vec<_> =
            fs::read_dir(bench.path(&to)).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(found, [top], "{only}");
    }
    assert_eq!(look(&bench.path("part-site/site")), look(&bench.path("site")));
    assert_eq!(first_value(&bench.path("part-app.db/app.db/app.db")), 7);
}

#[test]
fn to_their_own_places() {
    let bench = bench();
    bench.ok(&with(&["echo", "whole"]));
    let before = look(&bench.path("site"));
    fs::remove_dir_all(bench.path("site")).unwrap();
    fs::remove_file(bench.path("app.db")).unwrap();

    // A command has no place of its own, which matters only where it is asked for.
    let error = bench.fails(2, &["restore", "latest"]);
    assert!(error.contains("command:dump.sql") && error.contains("--to"), "{error}");
    assert!(!bench.path("site").exists() && !bench.path("app.db").exists());
    bench.ok(&["restore", "latest", "--only", "site", "--only", "app.db"]);
    assert_eq!(look(&bench.path("site")), before);
    assert_eq!(first_value(&bench.path("app.db")), 7);
    bench.fails(2, &["restore", "latest", "--only", "dump.sql"]);
    bench.fails(2, &["restore", "latest", "--only", "nothing"]);
}

/// The database comes first, and fails its check only once it is whole.
#[test]
fn a_broken_database_does_not_keep_the_others_from_being_saved() {
    let bench = bench();
    let mut bytes = fs::read(bench.path("app.db")).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[4096..middle].fill(0xee);
    fs::write(bench.path("app.db"), &bytes).unwrap();
    bench.ok(&with(&["echo", "whole"]));
    let error = bench.fails(4, &["restore", "latest", "--to", "out"]);
    assert!(error.contains("integrity_check") && error.contains("kept as"), "{error}");
    assert_eq!(look(&bench.path("out/site")), look(&bench.path("site")));
    assert_eq!(fs::read(bench.path("out/dump.sql/dump.sql")).unwrap(), b"whole\n");
    assert!(!bench.path("out/app.db/app.db").exists());
}

/// Somebody else may have put it there, and the snapshot may be somebody else's.
#[test]
fn a_link_named_as_a_source_is_not_followed() {
    let bench = bench();
    bench.ok(&["backup", "site", "sqlite:app.db"]);
    for (link, only) in [("site", "site"), ("app.db", "app.db")] {
        let (out, outside) = (bench.path("out"), bench.path("outside"));
        fs::create_dir_all(&out).unwrap();
        fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, out.join(link)).unwrap();
        for more in [&["--overwrite"][..], &[]] {
            let args = [&["restore", "latest", "--to", "out", "--only", only], more].concat();
            let error = bench.fails(7, &args);
            assert!(error.contains(&format!("out/{link}: the target is not a folder")), "{error}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{link}");
        fs::remove_file(out.join(link)).unwrap();
        // The folder that was said may be one.
        std::os::unix::fs::symlink("out", bench.path("way")).unwrap();
        bench.ok(&["restore", "latest", "--to", "way", "--only", only]);
        assert!(out.join(link).is_dir());
        fs::remove_file(bench.path("way")).unwrap();
        fs::remove_dir_all(&out).unwrap();
    }
}
