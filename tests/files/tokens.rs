use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use restow::format::Bytes;

use super::support::*;

fn token(folder: &Path, name: &str) -> Bytes {
    export(folder).get(name).entry.token.clone()
}

/// A change time cannot be set back: it has to grow old.
fn grow_old() {
    std::thread::sleep(Duration::from_millis(2200));
}

#[test]
fn a_new_file_has_none() {
    let source = tempfile::tempdir().unwrap();
    write(source.path().join("new"), "x");
    write(source.path().join("old times"), "x");
    write(source.path().join("from the future"), "x");
    set_mtime(&source.path().join("old times"), 1_000_000_000, 0);
    set_mtime(&source.path().join("from the future"), 10_000_000_000, 0);
    fs::create_dir(source.path().join("folder")).unwrap();
    assert!(token(source.path(), "new").is_empty());
    assert!(token(source.path(), "old times").is_empty(), "its change time is new");
    grow_old();
    let exported = export(source.path());
    assert!(exported.get("from the future").entry.token.is_empty());
    assert!(exported.get("folder").entry.token.is_empty());
    assert_eq!(exported.get("new").entry.token.len(), 16);
}

#[test]
fn equal_until_touched() {
    let source = tempfile::tempdir().unwrap();
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
    let before = export(root);
    assert!(before.get("link").entry.token.is_empty());
    assert_ne!(before.get("same").entry.token, before.get("other").entry.token);
    fs::set_permissions(root.join("mode"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    set_mtime(&root.join("time"), 1_000_000_000, 43);
    fs::write(root.join("bytes"), "54321").unwrap();
    set_mtime(&root.join("bytes"), 1_000_000_000, 42);
    fs::rename(root.join("spare"), root.join("replaced")).unwrap();
    grow_old();
    let after = export(root);
    for name in names {
        let (before, after) = (&before.get(name).entry.token, &after.get(name).entry.token);
        assert_eq!(before == after, ["same", "other"].contains(&name), "{name}");
        assert_eq!(after.len(), 16, "{name}");
    }
}
