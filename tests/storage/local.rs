//! What only a folder has: files that are no objects, permissions, leftovers.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use restow::fault::ErrorKind;
use restow::storage::{Key, Local, Storage};

use crate::support::rights::as_nobody;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn names(storage: &Local, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    storage.list(&key(prefix), &mut |listed| names.push(listed.key.to_string())).unwrap();
    names.sort();
    names
}

fn open_error(path: &Path) -> restow::storage::StorageError {
    Local::open(path).err().expect("it should not open")
}

#[test]
fn opening_what_is_no_repository_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let missing = open_error(&folder.path().join("none"));
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().ends_with("none: no such folder"), "{missing}");

    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = open_error(&file);
    assert!(error.to_string().ends_with("file: it is not a folder"), "{error}");
    assert!(Local::create(file.join("below")).is_err());

    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    // Root reads everything.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    as_nobody(move || {
        assert!(open_error(&closed).to_string().contains("ermission denied"));
    });
}

#[test]
fn other_files_are_no_objects() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Local::open(folder.path()).unwrap();
    storage.put(&key("packs/00/aa"), b"pack").unwrap();
    let packs = folder.path().join("packs");
    for other in ["README.TXT", ".hidden", ".put-0123", "a b", "00/.put-77"] {
        fs::write(packs.join(other), b"other").unwrap();
    }
    fs::create_dir(packs.join("lost+found")).unwrap();
    fs::write(packs.join("lost+found/aa"), b"other").unwrap();
    symlink(".", packs.join("circle")).unwrap();
    let listed = names(&storage, "packs");
    assert!(listed.iter().all(|name| name.ends_with("00/aa")), "{listed:?}");
    assert_eq!(names(&storage, "packs/00"), ["packs/00/aa"]);
}

/// It may lead to a disk that is not mounted: what is there is not gone.
#[test]
fn a_link_that_leads_nowhere_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Local::open(folder.path()).unwrap();
    storage.put(&key("packs/00/aa"), b"pack").unwrap();
    let list = |prefix: &str| storage.list(&key(prefix), &mut |_| {});
    assert!(list("snapshots").is_ok(), "there never was any");
    for link in ["snapshots", "packs/01", "packs/00/bb"] {
        symlink("nowhere", folder.path().join(link)).unwrap();
        let prefix = link.split('/').next().unwrap();
        let error = list(prefix).unwrap_err().to_string();
        assert!(error.contains(link), "{error}");
        fs::remove_file(folder.path().join(link)).unwrap();
        assert!(list(prefix).is_ok());
    }
}

#[test]
fn packs_may_be_moved_to_another_disk() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    symlink(elsewhere.path(), folder.path().join("packs")).unwrap();
    let storage = Local::open(folder.path()).unwrap();
    storage.put(&key("packs/00/aa"), b"pack").unwrap();
    assert_eq!(fs::read(elsewhere.path().join("00/aa")).unwrap(), b"pack");
    assert_eq!(names(&storage, "packs"), ["packs/00/aa"]);
}

#[test]
fn objects_are_their_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let storage = Local::create(&root).unwrap();
    storage.put(&key("packs/00/aa"), b"pack").unwrap();
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(""), mode("packs"), mode("packs/00")].map(|mode| mode & 0o077), [0; 3]);
    assert_eq!(mode("packs/00/aa") & 0o177, 0);
}

#[test]
fn leftovers_are_swept_when_they_are_a_day_old() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Local::open(folder.path()).unwrap();
    storage.put(&key("packs/00/aa"), b"pack").unwrap();
    let leave = |name: &str, hours: u64| {
        let path = folder.path().join(name);
        let file = File::create(&path).unwrap();
        let time = SystemTime::now() - Duration::from_secs(hours * 3600);
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
        path
    };
    let fresh = leave("packs/00/.put-1", 23);
    let stale = [leave("packs/00/.put-2", 25), leave(".put-3", 100)];
    let foreign = leave("packs/.keep", 1000);
    assert_eq!(storage.sweep_stale().unwrap(), 2);
    assert!(fresh.exists() && foreign.exists());
    assert!(stale.iter().all(|path| !path.exists()));
    assert_eq!(storage.sweep_stale().unwrap(), 0);
    assert_eq!(names(&storage, "packs"), ["packs/00/aa"]);
}

#[test]
fn a_failed_put_leaves_nothing_and_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Local::open(folder.path()).unwrap();
    // The rename cannot replace a folder.
    fs::create_dir_all(folder.path().join("packs/00/aa/b")).unwrap();
    let error = storage.put(&key("packs/00/aa"), b"pack").unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
    assert_eq!(fs::read_dir(folder.path().join("packs/00")).unwrap().count(), 1);
}

#[test]
fn a_repository_on_read_only_media_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    Local::open(folder.path()).unwrap().put(&key("packs/aa"), b"pack").unwrap();
    let all = |mode| {
        fs::set_permissions(folder.path().join("packs"), Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
    };
    all(0o500);
    let storage = Local::open(folder.path()).unwrap();
    assert_eq!(storage.get(&key("packs/aa"), 10).unwrap(), b"pack");
    assert_eq!(names(&storage, "packs"), ["packs/aa"]);
    all(0o700);
}

#[test]
fn a_vanished_repository_is_not_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let storage = Local::create(&root).unwrap();
    fs::remove_dir(&root).unwrap();
    assert!(storage.list(&key("packs"), &mut |_| {}).is_err());
    assert!(storage.put(&key("packs/aa"), b"pack").is_err());
}
