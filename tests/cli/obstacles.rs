//! What stands in the way outside of restow: no other program, a socket that may not be used, a full disk, another
//! volume. Each is told by its cause, and done again once it is out of the way.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Output;

use crate::support::arango::{Arango, shop};
use crate::support::binary::{Bench, stderr, text};
use crate::support::model::noise;
use crate::support::mounts::{may_mount, unshared};
use crate::support::qdrant::{Qdrant, night};
use crate::support::rights::run_as_nobody;
use crate::support::skips::skip;

/// Dumps are read and written, servers backed up and filled, without a program of theirs.
#[test]
fn no_other_program_is_needed() {
    let bench = Bench::with_repository();
    let run = |args: &[&str]| {
        let output = bench.command(args).env("PATH", "/nowhere").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    };
    let (arango, qdrant) = (Arango::with_shop(), Qdrant::with_notes());
    let host = arango.host();
    let (documents, points) =
        (format!("arangodb://{host}/shop"), format!("qdrant://{}/notes", &qdrant.url()[7..]));
    fs::create_dir(bench.path("files")).unwrap();
    fs::write(bench.path("files/one"), "one").unwrap();
    run(&["backup", &documents, &points, "files"]);
    run(&["backup", &documents]);
    run(&["restore", "latest", "--to", &format!("arangodb://{host}/copy"), "--create-database"]);
    let found = arango.lock().collection("copy", "items").values();
    assert_eq!(found, shop().collections["items"].values());
    run(&["export", "latest", "--format", "arangodump", "--to", "dump.tar.gz"]);
    run(&["import", "dump.tar.gz"]);
    run(&["backup", &points]);
    let empty = Qdrant::start();
    run(&["restore", "latest", "--to", &format!("qdrant://{}", &empty.url()[7..])]);
    assert!(empty.lock().collections["notes"].bytes[..] == night(0)[..]);
    run(&["check", "--read-data"]);
}

#[test]
fn a_socket_that_this_user_may_not_use() {
    let (bench, folder) = (Bench::with_repository(), tempfile::tempdir().unwrap());
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let socket = folder.path().join("arangod.sock");
    let _server = Arango::with_shop().on_socket(&socket);
    let url = format!("arangodb+unix://{}?database=shop", socket.display());
    fs::set_permissions(&socket, Permissions::from_mode(0o000)).unwrap();
    let refused = run_as_nobody(&bench, &["backup", &url]);
    assert_eq!(refused.status.code(), Some(8), "{}", stderr(&refused));
    let said = stderr(&refused);
    assert!(said.contains("this user may not use the socket"), "{said}");
    assert!(said.contains("a user of its group") && said.contains(text(&socket)), "{said}");
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    let done = run_as_nobody(&bench, &["backup", &url]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
}

/// Runs a script where nobody else sees what it mounts. `restow` is what it says.
fn in_a_world_of_its_own(bench: &Bench, script: &str) -> Output {
    let script = format!("restow() {{ \"$0\" \"$@\"; }}\n{script}");
    unshared(bench, &script, &[]).output().unwrap()
}

/// The disk of the repository, then that of the target. What was stored before it was full is not stored again.
#[test]
fn a_full_disk_ends_cleanly_and_the_next_run_goes_on() {
    if !may_mount() {
        skip!("nothing can be mounted");
    }
    let bench = Bench::new();
    fs::create_dir_all(bench.path("source")).unwrap();
    for number in 0..4 {
        let bytes = noise(10 << 20, number);
        fs::write(bench.path(&format!("source/{number}")), bytes).unwrap();
    }
    for name in ["repository", "out"] {
        fs::create_dir(bench.path(name)).unwrap();
    }
    let script = "
        ends() { code=0; \"$@\" || code=$?; echo $code; }
        mount -t tmpfs -o size=26m none repository
        restow init --pack-size 8
        ends restow backup source > backup.code 2> backup.said
        restow list --json > list.json
        find repository/active repository/beats repository/snapshots -type f > left || true
        mount -o remount,size=100m repository
        restow backup source --json > second.json
        restow check --read-data
        mount -t tmpfs -o size=15m none out
        ends restow restore latest --to out > restore.code 2> restore.said
        mount -o remount,size=100m out
        restow restore latest --to out --overwrite
        diff -r source out
    ";
    let output = in_a_world_of_its_own(&bench, script);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let read = |name: &str| fs::read_to_string(bench.path(name)).unwrap();
    let json = |name: &str| serde_json::from_str::<serde_json::Value>(&read(name)).unwrap();
    for name in ["backup", "restore"] {
        let said = read(&format!("{name}.said"));
        assert!(said.contains("No space left on device"), "{name}: {said}");
        assert_eq!(read(&format!("{name}.code")).trim().lines().last(), Some("1"), "{said}");
    }
    assert_eq!(json("list.json")["snapshots"].as_array().unwrap().len(), 0);
    assert_eq!(read("left"), "");
    let statistics = &json("second.json")["manifest"]["statistics"];
    let (all, new) = (&statistics["logical_bytes"], &statistics["new_bytes"]);
    assert_eq!(all.as_u64(), Some(40 << 20), "{statistics}");
    assert!(new.as_u64().unwrap() < 30 << 20, "{statistics}");
}

/// What is only looked at, or taken out, writes nothing there.
#[test]
fn a_repository_that_is_mounted_read_only() {
    if !may_mount() {
        skip!("nothing can be mounted");
    }
    let (bench, source, target) = (Bench::with_repository(), Qdrant::with_notes(), Qdrant::start());
    let url = |server: &Qdrant| format!("qdrant://{}", &server.url()[7..]);
    bench.ok(&["backup", &url(&source)]);
    let script = format!(
        "
        mount --bind repository repository
        mount -o remount,bind,ro repository
        ! touch repository/mine 2> /dev/null
        restow list
        restow show latest
        restow stats
        restow check --read-data
        restow restore latest --to out
        restow restore latest --to {} --no-cache
        ! restow backup out
    ",
        url(&target)
    );
    let output = in_a_world_of_its_own(&bench, &script);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("Read-only file system"), "{}", stderr(&output));
    assert!(fs::read(bench.path("out/notes.snapshot")).unwrap() == night(0));
    assert!(target.lock().collections["notes"].bytes[..] == night(0)[..]);
}

/// Nothing is linked or renamed from one to the other.
#[test]
fn a_repository_and_a_target_on_another_volume() {
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    let (bench, elsewhere) = (Bench::new(), tempfile::tempdir_in("/dev/shm"));
    let elsewhere = match elsewhere {
        Ok(found) if device(found.path()) != device(&bench.path("")) => found,
        _ => skip!("there is no other volume at /dev/shm"),
    };
    let away = |name: &str| elsewhere.path().join(name);
    let run = |args: &[&str]| {
        let mut command = bench.command(args);
        let output = command.env("RESTOW_REPOSITORY", away("repository")).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    };
    run(&["init"]);
    fs::create_dir(bench.path("source")).unwrap();
    fs::write(bench.path("source/one"), noise(100_000, 1)).unwrap();
    fs::hard_link(bench.path("source/one"), bench.path("source/two")).unwrap();
    let base = rusqlite::Connection::open(bench.path("app.db")).unwrap();
    base.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (7)").unwrap();
    drop(base);
    let server = Arango::with_shop();
    let shop = format!("arangodb://{}/shop", server.host());
    run(&["backup", "source", "sqlite:app.db", &shop, "--temp-dir", text(elsewhere.path())]);
    run(&["restore", "latest", "--to", text(&away("out"))]);
    run(&["export", "latest", "--format", "arangodump", "--to", text(&away("dump"))]);
    run(&["check", "--read-data"]);
    let found = |name: &str| fs::read(away("out").join(name)).unwrap();
    assert!(found("source/one") == noise(100_000, 1) && found("source/two") == found("source/one"));
    let inode = |name: &str| fs::metadata(away("out/source").join(name)).unwrap().ino();
    assert_eq!(inode("one"), inode("two"));
    let base = rusqlite::Connection::open(away("out/app.db/app.db")).unwrap();
    let number: i64 = base.query_row("SELECT x FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(number, 7);
    assert!(away("dump/dump.json").exists());
}
