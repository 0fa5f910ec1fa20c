//! Databases that cannot be had, or only with care; and what is left beside them.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use restow::fault::ErrorKind;
use restow::progress::Cancel;
use restow::source::Exporter;
use restow::source::sqlite::{SqliteExporter, SqliteOptions};
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use super::support::{make, names, step, verify, wait_until};
use crate::support::binary::{Bench, stderr};
use crate::support::rights::{NOBODY, as_nobody, is_root};
use crate::support::skips::skip_part;

fn no_snapshot(bench: &Bench) {
    assert_eq!(bench.json(&["list"])["snapshots"].as_array().unwrap().len(), 0);
}

#[test]
fn what_is_no_database_is_told_before_a_passphrase_is_asked_for() {
    let bench = Bench::with_repository();
    fs::write(bench.path("text"), "SQLite format 4, perhaps\n".repeat(100)).unwrap();
    fs::write(bench.path("empty"), "").unwrap();
    fs::create_dir(bench.path("folder")).unwrap();
    let cases = [
        ("sqlite:missing.db", 8, "missing.db"),
        ("sqlite:text", 8, "not a SQLite database"),
        ("sqlite:empty", 8, "empty"),
        ("sqlite:folder", 2, "not a file"),
    ];
    for (source, code, words) in cases {
        let mut command = bench.command(&["backup", source]);
        let output = command.env_remove("RESTOW_PASSPHRASE").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{source}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{source}: {}", stderr(&output));
    }
    no_snapshot(&bench);
}

#[test]
fn a_database_that_stays_locked() {
    for journal_mode in ["delete", "wal"] {
        let bench = Bench::with_repository();
        fs::create_dir(bench.path("temp")).unwrap();
        let holder = make(&bench.path("app.db"), journal_mode, 0);
        holder.execute_batch("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
        step_within(&holder);
        let args = ["backup", "sqlite:app.db", "--temp-dir", "temp", "--busy-timeout"];
        let error = bench.fails(8, &[&args[..], &["2"]].concat());
        assert!(error.contains("waiting, at most 2 s"), "{error}");
        assert!(error.contains("locked by another process for 2 s"), "{error}");
        assert!(names(&bench.path("temp")).is_empty());
        no_snapshot(&bench);

        // Told to stop while it waits.
        let mut command = bench.command(&[&args[..], &["600"]].concat());
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let active = bench.path("repository/active");
        wait_until("it is under way", || fs::read_dir(&active).is_ok_and(|a| a.count() > 0));
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
        assert!(names(&bench.path("temp")).is_empty());
        no_snapshot(&bench);

        // And let in after all.
        let mut command = bench.command(&[&args[..], &["600"]].concat());
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        wait_until("it waits", || fs::read_dir(&active).is_ok_and(|a| a.count() > 0));
        std::thread::sleep(Duration::from_millis(300));
        holder.execute_batch("COMMIT").unwrap();
        drop(holder);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        bench.ok(&["restore", "latest", "--to", "out"]);
        assert_eq!(verify(&bench.path("out/app.db")), 1);
    }
}

/// A sparse file stands in for a database larger than the disk.
#[test]
fn too_little_room_is_told_before_anything_is_copied() {
    let bench = Bench::with_repository();
    fs::create_dir(bench.path("temp")).unwrap();
    let path = bench.path("app.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA page_size=65536; CREATE TABLE t (a)").unwrap();
    drop(connection);
    let room = rustix::fs::statvfs(bench.path("temp")).unwrap();
    let pages = room.f_blocks * room.f_frsize / 65_536 + 1;
    let file = fs::File::options().read(true).write(true).open(&path).unwrap();
    file.set_len(pages * 65_536).unwrap();
    file.write_all_at(&u32::try_from(pages).unwrap().to_be_bytes(), 28).unwrap();
    drop(file);
    let error = bench.fails(1, &["backup", "sqlite:app.db", "--temp-dir", "temp"]);
    let needed = format!("no room for a copy of the database, {} bytes", pages * 65_536);
    assert!(error.contains(&needed) && error.contains("--temp-dir"), "{error}");
    assert!(names(&bench.path("temp")).is_empty());
    no_snapshot(&bench);
    // It is let go of.
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE u (a)").unwrap();
}

fn has_open(fds: &str, folder: &Path) -> bool {
    let links = fs::read_dir(fds).into_iter().flatten().flatten();
    let mut targets = links.filter_map(|fd| fs::read_link(fd.path()).ok());
    // Before it has lost its name it is not yet a copy.
    targets.any(|target| target.starts_with(folder) && !target.exists())
}

#[test]
fn a_backup_killed_at_any_moment() {
    for journal_mode in ["wal", "delete"] {
        let bench = Bench::with_repository();
        for folder in ["temp", "data"] {
            fs::create_dir(bench.path(folder)).unwrap();
        }
        let path = bench.path("data/app.db");
        let connection = make(&path, journal_mode, 30 << 20);
        let temp = bench.path("temp");
        let mut n = 0;
        // Some time after it began to copy; before that, where there is none.
        for wait in [None, Some(0), Some(2), Some(5), Some(10), Some(20), Some(40), Some(80)] {
            let mut command =
                bench.command(&["backup", "sqlite:data/app.db", "--temp-dir", "temp"]);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            if let Some(wait) = wait {
                let fds = format!("/proc/{}/fd", child.id());
                let mut has_ended = || child.try_wait().unwrap().is_some();
                wait_until("it copies", || has_open(&fds, &temp) || has_ended());
                std::thread::sleep(Duration::from_millis(wait));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(names(&temp).is_empty(), "{:?}", names(&temp));
            // Nothing is locked, nothing is lost.
            n = step(&connection).unwrap();
        }
        drop(connection);
        assert_eq!(verify(&path), n);
        assert_eq!(names(&bench.path("data")), ["app.db"]);
        bench.back_up(&["sqlite:data/app.db", "--temp-dir", "temp"]);
        bench.ok(&["restore", "latest", "--to", "out"]);
        assert_eq!(verify(&bench.path("out/app.db")), n);
    }
}

/// What [`step`] does, in a transaction begun already.
fn step_within(connection: &Connection) {
    connection
        .execute_batch(
            "UPDATE counter SET n = n + 1; INSERT INTO log VALUES (1, x'00');
             UPDATE one SET v = v + 1 WHERE id = 1; UPDATE two SET v = v + 1 WHERE id = 1",
        )
        .unwrap();
}

#[test]
fn a_backup_leaves_the_source_and_its_folder_as_they_were() {
    for journal_mode in ["wal", "delete", "persist"] {
        let bench = Bench::with_repository();
        fs::create_dir(bench.path("data")).unwrap();
        let path = bench.path("data/app.db");
        step(&make(&path, journal_mode, 0)).unwrap();
        let (before, files) = (fs::read(&path).unwrap(), names(&bench.path("data")));
        bench.back_up(&["sqlite:data/app.db"]);
        assert!(fs::read(&path).unwrap() == before);
        assert_eq!(names(&bench.path("data")), files, "{journal_mode}");
    }
}

#[test]
fn what_a_crashed_writer_left() {
    let bench = Bench::with_repository();
    // A -wal with transactions that are in no other place.
    let live = make(&bench.path("live.db"), "wal", 0);
    for _ in 0..20 {
        step(&live).unwrap();
    }
    for suffix in ["", "-wal"] {
        let from = bench.path(&format!("live.db{suffix}"));
        fs::copy(from, bench.path(&format!("app.db{suffix}"))).unwrap();
    }
    let id = bench.back_up(&["sqlite:app.db"]);
    bench.ok(&["restore", &id, "--to", "out"]);
    assert_eq!(verify(&bench.path("out/app.db")), 20);

    // A journal that must be rolled back first, which is not ours to do.
    let live = make(&bench.path("spilt.db"), "delete", 0);
    live.execute_batch("PRAGMA cache_size=2; PRAGMA cache_spill=2; BEGIN").unwrap();
    live.execute_batch("UPDATE one SET pad = randomblob(400)").unwrap();
    for suffix in ["", "-journal"] {
        let from = bench.path(&format!("spilt.db{suffix}"));
        fs::copy(from, bench.path(&format!("hot.db{suffix}"))).unwrap();
    }
    let before = fs::read(bench.path("hot.db")).unwrap();
    let error = bench.fails(8, &["backup", "sqlite:hot.db"]);
    assert!(error.contains("rolled back"), "{error}");
    assert!(fs::read(bench.path("hot.db")).unwrap() == before);
    assert_eq!(verify(&bench.path("hot.db")), 0, "opened once by its application");
    bench.back_up(&["sqlite:hot.db"]);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    set_mode(folder.path(), 0o755);
    step(&make(&closed.join("rest.db"), "wal", 0)).unwrap();
    let live = make(&closed.join("live.db"), "wal", 0);
    step(&live).unwrap();
    for suffix in ["", "-wal"] {
        let name = |stem: &str| closed.join(format!("{stem}.db{suffix}"));
        fs::copy(name("live"), name("crashed")).unwrap();
    }
    for name in names(&closed) {
        set_mode(&closed.join(name), 0o644);
    }
    set_mode(&closed, 0o555);
    let inside = closed.clone();
    as_nobody(move || {
        let open = |name: &str| {
            let exporter = SqliteExporter::new(inside.join(name), SqliteOptions::default())?;
            exporter.open(&Cancel::new()).map(drop)
        };
        // At rest everything is in the file; a live one has the files that reading needs.
        open("rest.db").unwrap();
        open("live.db").unwrap();
        let error = open("crashed.db").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.to_string().contains("-wal"), "{error}");
    });
    set_mode(&closed, 0o755);
}

#[test]
fn a_backup_by_another_user_leaves_nothing_that_keeps_the_owner_out() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    for path in [folder.path(), &open] {
        set_mode(path, 0o777);
    }
    let path = open.join("app.db");
    step(&make(&path, "wal", 0)).unwrap();
    // Left by a crash: one is read as it is, the other would need an index.
    let crashed = open.join("crashed.db");
    let live = make(&open.join("live.db"), "wal", 0);
    for suffix in ["", "-wal"] {
        fs::copy(open.join(format!("live.db{suffix}")), open.join(format!("crashed.db{suffix}")))
            .unwrap();
    }
    drop(live);
    for name in names(&open) {
        set_mode(&open.join(name), 0o644);
    }
    let before = names(&open);
    let databases = (path.clone(), crashed);
    as_nobody(move || {
        let exporter = SqliteExporter::new(&databases.0, SqliteOptions::default()).unwrap();
        exporter.open(&Cancel::new()).map(drop).unwrap();
        if rustix::process::geteuid().as_raw() == NOBODY {
            let refused = SqliteExporter::new(&databases.1, SqliteOptions::default());
            let error = refused.map(drop).unwrap_err().to_string();
            assert!(error.contains("open it once with its application"), "{error}");
        }
    });
    if is_root() {
        assert_eq!(names(&open), before);
    } else {
        skip_part!("needs root: the databases are the tester's own");
    }
    step(&Connection::open(&path).unwrap()).unwrap();
}

#[test]
fn a_database_in_use_under_another_name_is_refused() {
    let bench = Bench::with_repository();
    let path = bench.path("app.db");
    let live = make(&path, "wal", 0);
    step(&live).unwrap();
    // As a mount of the file alone shows it: without what lies beside it.
    fs::rename(&path, bench.path("seen.db")).unwrap();
    let error = bench.fails(8, &["backup", "sqlite:seen.db"]);
    assert!(error.contains("in use under another name"), "{error}");
    fs::rename(bench.path("seen.db"), &path).unwrap();
    bench.back_up(&["sqlite:app.db"]);

    fs::hard_link(&path, bench.path("other.db")).unwrap();
    let error = bench.fails(8, &["backup", "sqlite:other.db"]);
    assert!(error.contains("hard links"), "{error}");
    no_snapshots_but(&bench, 1);
}

fn no_snapshots_but(bench: &Bench, count: usize) {
    assert_eq!(bench.json(&["list"])["snapshots"].as_array().unwrap().len(), count);
}
