use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use restow::source::files::FolderOptions;

use super::support::*;
use crate::support::skips::skip;
use crate::support::tree::tells_every_change;

const NO_CHANGE_TIMES: &str = "no change times that can be trusted on this file system";

/// Settled soon, so that no test has to wait for a minute.
fn soon() -> FolderOptions {
    FolderOptions { settle: Some(Duration::from_millis(200)), ..FolderOptions::default() }
}

/// A change time cannot be set back: it has to grow old.
fn grow_old() {
    std::thread::sleep(Duration::from_millis(300));
}

/// On the disk this was built on: in memory there are no tokens. None where there are none either.
fn folder() -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    tells_every_change(folder.path()).then_some(folder)
}

fn is_in_memory(path: &Path) -> bool {
    rustix::fs::statfs(path).unwrap().f_type as u32 == 0x0102_1994
}

#[test]
fn a_new_file_has_none() {
    let Some(source) = folder() else { skip!("{NO_CHANGE_TIMES}") };
    write(source.path().join("new"), "x");
    write(source.path().join("old times"), "x");
    write(source.path().join("from the future"), "x");
    set_mtime(&source.path().join("old times"), 1_000_000_000, 0);
    set_mtime(&source.path().join("from the future"), 10_000_000_000, 0);
    fs::create_dir(source.path().join("folder")).unwrap();
    grow_old();
    let exported = export(source.path());
    for name in ["new", "old times", "from the future"] {
        assert!(exported.get(name).entry.token.is_empty(), "{name} is younger than a minute");
    }
    let exported = export_with(source.path(), soon());
    assert!(exported.get("from the future").entry.token.is_empty());
    assert!(exported.get("folder").entry.token.is_empty());
    for name in ["new", "old times"] {
        assert_eq!(exported.get(name).entry.token.len(), 16, "{name}");
    }
}

#[test]
fn the_time_to_settle_can_be_any() {
    let Some(source) = folder() else { skip!("{NO_CHANGE_TIMES}") };
    write(source.path().join("file"), "x");
    grow_old();
    let has_token = |settle: Duration| {
        let options = FolderOptions { settle: Some(settle), ..FolderOptions::default() };
        !export_with(source.path(), options).get("file").entry.token.is_empty()
    };
    assert!(has_token(Duration::ZERO));
    assert!(!has_token(Duration::from_secs(3600)));
    assert!(!has_token(Duration::MAX), "since before the epoch");
}

/// Inode numbers there begin anew after every mount.
#[test]
fn files_in_memory_have_none() {
    let source = tempfile::tempdir_in("/dev/shm").ok().filter(|found| is_in_memory(found.path()));
    let Some(source) = source else { skip!("no file system in memory at /dev/shm") };
    write(source.path().join("file"), "x");
    grow_old();
    assert!(export_with(source.path(), soon()).get("file").entry.token.is_empty());
    let file = source.path().join("file");
    assert!(export_with(&file, soon()).given[0].entry.token.is_empty(), "also on its own");
}

/// What the kernel makes up has no change times; nor has anything else that is not known to have them.
#[test]
fn files_of_unknown_file_systems_have_none() {
    let options = FolderOptions { settle: Some(Duration::ZERO), ..FolderOptions::default() };
    let version = export_with(Path::new("/proc/version"), options);
    assert!(version.given[0].entry.token.is_empty());
}

#[test]
fn equal_until_touched() {
    let Some(source) = folder() else { skip!("{NO_CHANGE_TIMES}") };
    let root = source.path();
    let names = ["same", "mode", "time", "bytes", "replaced", "other"];
    for name in names {
        write(root.join(name), "12345");
        set_mtime(&root.join(name), 1_000_000_000, 42);
    }
    symlink("same", root.join("link")).unwrap();
    write(root.join("spare"), "12345");
    set_mtime(&root.join("spare"), 1_000_000_000, 42);
    grow_old();
    let before = export_with(root, soon());
    assert!(before.get("link").entry.token.is_empty());
    assert_ne!(before.get("same").entry.token, before.get("other").entry.token);
    fs::set_permissions(root.join("mode"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    set_mtime(&root.join("time"), 1_000_000_000, 43);
    fs::write(root.join("bytes"), "54321").unwrap();
    set_mtime(&root.join("bytes"), 1_000_000_000, 42);
    fs::rename(root.join("spare"), root.join("replaced")).unwrap();
    grow_old();
    let after = export_with(root, soon());
    for name in names {
        let (before, after) = (&before.get(name).entry.token, &after.get(name).entry.token);
        assert_eq!(before == after, ["same", "other"].contains(&name), "{name}");
        assert_eq!(after.len(), 16, "{name}");
    }
}
