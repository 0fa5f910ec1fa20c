//! Restoring a database: checked before it takes its place, and never mixed with what lay there.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use super::support::{make, names, step, verify, wait_until};
use crate::support::binary::{Bench, stderr};
use crate::support::rights::run_as_nobody;

/// A repository with a snapshot of `app.db` at 3 steps; the database is at 5 by now.
fn at_three(journal_mode: &str, padding: usize) -> (Bench, String, Connection) {
    let bench = Bench::with_repository();
    fs::create_dir(bench.path("data")).unwrap();
    let path = bench.path("data/app.db");
    let connection = make(&path, journal_mode, padding);
    for _ in 0..3 {
        step(&connection).unwrap();
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let id = bench.back_up(&["sqlite:data/app.db"]);
    for _ in 0..2 {
        step(&connection).unwrap();
    }
    (bench, id, connection)
}

#[test]
fn to_the_original_place_after_consent() {
    for journal_mode in ["wal", "delete"] {
        let (bench, id, connection) = at_three(journal_mode, 0);
        let path = bench.path("data/app.db");
        drop(connection);
        let before = fs::read(&path).unwrap();
        let error = bench.fails(7, &["restore", &id]);
        assert!(error.contains("would replace") && error.contains("--overwrite"), "{error}");
        assert!(fs::read(&path).unwrap() == before);
        let plan = bench.json(&["restore", &id, "--dry-run"]);
        assert_eq!(plan["plans"][0]["replaced"], 1);
        assert!(fs::read(&path).unwrap() == before);

        bench.ok(&["restore", &id, "--overwrite"]);
        assert_eq!(verify(&path), 3);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(names(&bench.path("data")), ["app.db"]);

        // Gone altogether: nothing to ask.
        fs::remove_file(&path).unwrap();
        bench.ok(&["restore", &id]);
        assert_eq!(verify(&path), 3);
    }
}

#[test]
fn leftovers_of_another_database_are_not_applied() {
    let (bench, id, connection) = at_three("wal", 0);
    let path = bench.path("data/app.db");
    let stale = fs::read(bench.path("data/app.db-wal")).unwrap();
    assert!(!stale.is_empty());
    drop(connection);

    // The database is gone, its -wal is not.
    fs::remove_file(&path).unwrap();
    fs::write(bench.path("data/app.db-wal"), &stale).unwrap();
    let error = bench.fails(7, &["restore", &id]);
    assert!(error.contains("-wal"), "{error}");
    bench.ok(&["restore", &id, "--overwrite"]);
    assert_eq!(verify(&path), 3);

    // Garbage with a -wal and a -journal.
    fs::write(&path, "no database").unwrap();
    fs::write(bench.path("data/app.db-wal"), &stale).unwrap();
    fs::write(bench.path("data/app.db-journal"), &stale).unwrap();
    bench.ok(&["restore", &id, "--overwrite"]);
    assert_eq!(verify(&path), 3);
    assert_eq!(names(&bench.path("data")), ["app.db"]);
}

#[test]
fn a_database_in_use_is_not_replaced() {
    for journal_mode in ["wal", "delete"] {
        let (bench, id, connection) = at_three(journal_mode, 0);
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = bench.fails(3, &["restore", &id, "--overwrite"]);
        assert!(error.contains("open") && error.contains("stop it"), "{error}");
        connection.execute_batch("ROLLBACK").unwrap();
        if journal_mode == "wal" {
            // Open is enough there.
            bench.fails(3, &["restore", &id, "--overwrite"]);
        }
        step(&connection).unwrap();
        drop(connection);
        assert_eq!(verify(&bench.path("data/app.db")), 6, "{journal_mode}");
        assert_eq!(names(&bench.path("data")), ["app.db"]);
    }
}

#[test]
fn an_interrupted_restore_leaves_the_old_database() {
    let (bench, id, connection) = at_three("wal", 30 << 20);
    let path = bench.path("data/app.db");
    drop(connection);
    for wait in [50, 150, 200, 250, 300, 350, 400, 500] {
        let mut command = bench.command(&["restore", &id, "--overwrite"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        let n = verify(&path);
        assert!(n == 5 || n == 3, "{n}");
    }
    bench.ok(&["restore", &id, "--overwrite"]);
    assert_eq!(verify(&path), 3);

    // Asked to stop, it also takes away what it began.
    for wait in [0, 5, 20, 60] {
        let mut command = bench.command(&["restore", &id, "--to", "out"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("it writes", || {
            bench.path("out").is_dir() && !names(&bench.path("out")).is_empty()
        });
        std::thread::sleep(Duration::from_millis(wait));
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 130)), "{}", stderr(&output));
        // It may have been done already, but for the last look around.
        match names(&bench.path("out")).as_slice() {
            [] => assert_eq!(output.status.code(), Some(130)),
            left => {
                assert_eq!(left, ["app.db"]);
                assert_eq!(verify(&bench.path("out/app.db")), 3);
            }
        }
        fs::remove_dir_all(bench.path("out")).unwrap();
    }
}

#[test]
fn a_damaged_repository_does_not_cost_the_old_database() {
    let (bench, id, connection) = at_three("delete", 4 << 20);
    drop(connection);
    damage_packs(&bench);
    let error = bench.fails(4, &["restore", &id, "--overwrite"]);
    assert!(error.contains("kept as") && error.contains("as it was"), "{error}");
    assert_eq!(verify(&bench.path("data/app.db")), 5);
    // What can be saved is there.
    let kept: Vec<_> =
        names(&bench.path("data")).into_iter().filter(|name| name != "app.db").collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(fs::metadata(bench.path("data").join(&kept[0])).unwrap().len() > 4 << 20);
}

#[test]
fn a_database_that_was_broken_already_comes_back_as_it_was() {
    let bench = Bench::with_repository();
    let path = bench.path("app.db");
    drop(make(&path, "delete", 1 << 20));
    let mut bytes = fs::read(&path).unwrap();
    let len = bytes.len();
    bytes[len / 2 / 4096 * 4096..][..4096].fill(0xee);
    fs::write(&path, &bytes).unwrap();
    let id = bench.back_up(&["sqlite:app.db"]);
    let error = bench.fails(4, &["restore", &id, "--to", "out"]);
    assert!(error.contains("integrity_check"), "{error}");
    let kept = names(&bench.path("out"));
    assert_eq!(kept.len(), 1);
    let kept = fs::read(bench.path("out").join(&kept[0])).unwrap();
    // The copy's own counters are in the first page.
    assert!(kept[4096..] == bytes[4096..]);
}

#[test]
fn names_with_odd_letters() {
    let bench = Bench::with_repository();
    let name = "a b?c#d%41&é.db";
    step(&make(&bench.path(name), "wal", 0)).unwrap();
    let id = bench.back_up(&[&format!("sqlite:{name}")]);
    bench.ok(&["restore", &id, "--to", "out"]);
    assert_eq!(verify(&bench.path("out").join(name)), 1);

    // No text can name such a place, so it is not guessed.
    let folder = bench.path("").join(OsStr::from_bytes(b"not \xff UTF-8"));
    fs::create_dir(&folder).unwrap();
    step(&make(&folder.join("app.db"), "wal", 0)).unwrap();
    let source = [OsStr::new("sqlite:"), folder.join("app.db").as_os_str()].join(OsStr::new(""));
    assert!(bench.command(&["backup"]).arg(source).output().unwrap().status.success());
    assert!(bench.fails(2, &["restore", "latest"]).contains("--to"));
    bench.ok(&["restore", "latest", "--to", "again"]);
    assert_eq!(verify(&bench.path("again/app.db")), 1);
}

#[test]
fn every_page_size_and_what_only_its_application_understands() {
    let bench = Bench::with_repository();
    for page_size in [512, 1024, 65_536] {
        let path = bench.path(&format!("p{page_size}.db"));
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!("PRAGMA page_size={page_size}; PRAGMA auto_vacuum=FULL"))
            .unwrap();
        drop(connection);
        step(&make(&path, "wal", 100_000)).unwrap();
        bench.back_up(&[&format!("sqlite:p{page_size}.db")]);
        bench.ok(&["restore", "latest", "--to", "out"]);
        assert_eq!(verify(&bench.path(&format!("out/p{page_size}.db"))), 1);
    }

    // An order that only the application has: integrity_check cannot run, and says so.
    let connection = Connection::open(bench.path("own.db")).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE t (a TEXT); CREATE INDEX i ON t (a COLLATE NOCASE);
             INSERT INTO t VALUES ('x'); PRAGMA writable_schema=ON;
             UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'OURS') WHERE name = 'i'",
        )
        .unwrap();
    drop(connection);
    bench.back_up(&["sqlite:own.db"]);
    let said = bench.ok(&["restore", "latest", "--to", "out"]);
    assert!(said.contains("could not run"), "{said}");
    assert!(bench.path("out/own.db").is_file());
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn a_database_that_only_looks_the_same_is_not_replaced_without_consent() {
    let (bench, id, connection) = at_three("delete", 0);
    drop(connection);
    bench.ok(&["restore", &id, "--to", "out"]);
    let path = bench.path("out/app.db");
    let (modified, first) = (fs::metadata(&path).unwrap().modified().unwrap(), inode(&path));
    let user = Connection::open(&path).unwrap();
    user.query_row("SELECT n FROM counter", [], |row| row.get::<_, i64>(0)).unwrap();

    // Equal: left alone, also while it is in use.
    bench.ok(&["restore", &id, "--to", "out"]);
    bench.ok(&["restore", &id, "--to", "out", "--overwrite"]);
    assert_eq!(inode(&path), first);

    user.execute_batch("UPDATE counter SET n = 99").unwrap();
    drop(user);
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let before = fs::read(&path).unwrap();
    let error = bench.fails(3, &["restore", &id, "--to", "out"]);
    assert!(error.contains("--overwrite"), "{error}");
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(names(&bench.path("out")), ["app.db"]);
    bench.ok(&["restore", &id, "--to", "out", "--overwrite"]);
    assert_eq!(verify(&path), 3);
}

#[test]
fn a_database_unchanged_since_its_backup_is_left_alone() {
    let bench = Bench::with_repository();
    let path = bench.path("app.db");
    step(&make(&path, "delete", 0)).unwrap();
    let (id, first) = (bench.back_up(&["sqlite:app.db"]), inode(&path));
    bench.ok(&["restore", &id]);
    assert_eq!(inode(&path), first);
}

#[test]
fn an_idle_connection_keeps_a_database_from_being_replaced() {
    let (bench, id, connection) = at_three("delete", 0);
    let path = bench.path("data/app.db");
    let first = inode(&path);
    let error = bench.fails(3, &["restore", &id, "--overwrite"]);
    assert!(error.contains("(process ") && error.contains("stop it"), "{error}");
    assert_eq!(inode(&path), first);
    step(&connection).unwrap();
    drop(connection);
    assert_eq!(verify(&path), 6);
    assert_eq!(names(&bench.path("data")), ["app.db"]);
}

/// With an index in an order that only its application has, so that `integrity_check` cannot run.
fn make_unknowable(path: &Path, padding: usize) {
    let connection = make(path, "delete", padding);
    connection
        .execute_batch(
            "CREATE TABLE t (a TEXT); CREATE INDEX i ON t (a COLLATE NOCASE);
             INSERT INTO t VALUES ('x'); PRAGMA writable_schema=ON;
             UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'OURS') WHERE name = 'i'",
        )
        .unwrap();
}

#[test]
fn a_damaged_database_that_cannot_be_checked_does_not_cost_the_old_one() {
    let bench = Bench::with_repository();
    fs::create_dir(bench.path("data")).unwrap();
    let path = bench.path("data/app.db");
    make_unknowable(&path, 4 << 20);
    let id = bench.back_up(&["sqlite:data/app.db"]);
    damage_packs(&bench);
    fs::write(&path, "the old one").unwrap();
    let error = bench.fails(4, &["restore", &id, "--overwrite"]);
    assert!(error.contains("kept as") && error.contains("as it was"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"the old one");
    assert_eq!(names(&bench.path("data")).len(), 2);
}

fn damage_packs(bench: &Bench) {
    for (name, seen) in crate::support::tree::look(&bench.path("repository/packs")) {
        if seen.kind == "file" && seen.bytes.len() > 2 << 20 {
            let mut bytes = seen.bytes;
            bytes[1 << 20] ^= 1;
            fs::write(bench.path("repository/packs").join(name), bytes).unwrap();
        }
    }
}

#[test]
fn a_wal_of_a_database_that_cannot_be_written_to_is_not_thrown_away() {
    let (bench, id, connection) = at_three("wal", 0);
    let path = bench.path("data/app.db");
    let mut left = Vec::new();
    for suffix in ["", "-wal"] {
        left.push((suffix, fs::read(bench.path(&format!("data/app.db{suffix}"))).unwrap()));
    }
    drop(connection);
    for (suffix, bytes) in &left {
        fs::write(bench.path(&format!("data/app.db{suffix}")), bytes).unwrap();
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let output = run_as_nobody(&bench, &["restore", &id, "--overwrite"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("not writable"), "{}", stderr(&output));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(verify(&path), 5, "all of it is still there");
}

#[test]
fn the_journal_of_a_crashed_writer_is_rolled_back_before_its_database_is_replaced() {
    let bench = Bench::with_repository();
    let path = bench.path("app.db");
    let live = make(&path, "delete", 0);
    let id = bench.back_up(&["sqlite:app.db"]);
    live.execute_batch("PRAGMA cache_size=2; PRAGMA cache_spill=2; BEGIN").unwrap();
    live.execute_batch("UPDATE one SET pad = randomblob(400)").unwrap();
    fs::create_dir(bench.path("out")).unwrap();
    for suffix in ["", "-journal"] {
        let to = bench.path(&format!("out/app.db{suffix}"));
        fs::copy(bench.path(&format!("app.db{suffix}")), to).unwrap();
    }
    bench.ok(&["restore", &id, "--to", "out", "--overwrite"]);
    assert_eq!(names(&bench.path("out")), ["app.db"]);
    assert_eq!(verify(&bench.path("out/app.db")), 0);
}

#[test]
fn a_journal_beside_a_database_restored_as_a_file_is_reported() {
    let bench = Bench::with_repository();
    fs::create_dir(bench.path("data")).unwrap();
    drop(make(&bench.path("data/app.db"), "delete", 0));
    fs::write(bench.path("data/kept.db"), fs::read(bench.path("data/app.db")).unwrap()).unwrap();
    fs::write(bench.path("data/kept.db-wal"), "backed up with it").unwrap();
    let id = bench.back_up(&["data"]);
    bench.ok(&["restore", &id, "--to", "out"]);
    fs::write(bench.path("out/app.db-journal"), "of another state").unwrap();
    let error = bench.fails(3, &["restore", &id, "--to", "out"]);
    assert!(error.contains("app.db-journal") && error.contains("remove it"), "{error}");
    assert!(!error.contains("kept.db"), "{error}");
    fs::remove_file(bench.path("out/app.db-journal")).unwrap();
    bench.ok(&["restore", &id, "--to", "out"]);
}
