//! Restoring over what is there.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use restow::fault::ErrorKind;
use restow::format::EntryKind;
use restow::source::Fate;
use restow::source::files::RestoreOptions;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, mknodat};

use super::support::*;
use crate::support::skips::skip;

fn sample() -> (tempfile::TempDir, Exported) {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    write(root.join("folder/large"), (0..200_000u32).map(|n| (n / 7) as u8).collect::<Vec<_>>());
    write(root.join("folder/small"), "small");
    write(root.join("read-only"), "do not touch");
    fs::set_permissions(root.join("read-only"), Permissions::from_mode(0o444)).unwrap();
    fs::hard_link(root.join("folder/small"), root.join("other name")).unwrap();
    symlink("folder", root.join("link")).unwrap();
    mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    let exported = export(root);
    (source, exported)
}

/// Inode and change time of everything: what shows any change at all.
fn traces(root: &Path, exported: &Exported) -> BTreeMap<String, (u64, i64, i64)> {
    let trace = |given: &Given| {
        let data = fs::symlink_metadata(root.join(given.path())).unwrap();
        (given.path(), (data.ino(), data.ctime(), data.ctime_nsec()))
    };
    exported.given.iter().map(trace).collect()
}

#[test]
fn a_second_restore_changes_nothing_at_all() {
    let (_source, exported) = sample();
    let target = tempfile::tempdir().unwrap();
    let first = import(target.path(), &exported.given, RestoreOptions::default());
    assert!(first.fates.iter().all(|(path, fate)| path.is_empty() || *fate == Fate::New));
    let before = traces(target.path(), &exported);
    let second = import(target.path(), &exported.given, RestoreOptions::default());
    assert!(second.errors.is_empty(), "{:?}", second.errors);
    assert!(second.fates.values().all(|fate| *fate == Fate::Kept), "{:?}", second.fates);
    assert_eq!(second.written, 0);
    assert_eq!(traces(target.path(), &exported), before);
}

#[test]
fn only_what_differs_is_rewritten() {
    let (_source, exported) = sample();
    let target = tempfile::tempdir().unwrap();
    import(target.path(), &exported.given, RestoreOptions::default());
    let before = traces(target.path(), &exported);
    let large = target.path().join("folder/large");
    fs::File::options().write(true).open(&large).unwrap().write_all_at(b"XX", 55_000).unwrap();
    fs::write(target.path().join("other name"), "changed under one of its names").unwrap();
    write(target.path().join("folder/extra"), "stays");
    let restored = import(target.path(), &exported.given, replacing());
    assert!(restored.errors.is_empty(), "{:?}", restored.errors);
    assert!(matches!(restored.fates["folder/large"], Fate::Replaced(_)));
    assert_eq!(restored.written, 10_000 + 5, "one piece of one file, and the other whole");
    let after = traces(target.path(), &exported);
    for (path, (inode, _, _)) in &before {
        assert_eq!(after[path].0, *inode, "{path:?} is still the same file");
    }
    assert_eq!(after["read-only"], before["read-only"]);
    assert_eq!(fs::read(target.path().join("folder/extra")).unwrap(), b"stays");
    fs::remove_file(target.path().join("folder/extra")).unwrap();
    import(target.path(), &exported.given, replacing());
    assert_same(&exported, &export(target.path()));
}

#[test]
fn lengths_are_set_both_ways() {
    let (_source, exported) = sample();
    let target = tempfile::tempdir().unwrap();
    import(target.path(), &exported.given, RestoreOptions::default());
    for len in [0, 5, 199_999, 500_000] {
        let large = fs::File::options().write(true).open(target.path().join("folder/large"));
        large.unwrap().set_len(len).unwrap();
        import(target.path(), &exported.given, replacing());
        assert_same(&exported, &export(target.path()));
    }
}

#[test]
fn what_is_in_the_way_is_replaced_only_when_told() {
    let (_source, exported) = sample();
    let target = tempfile::tempdir().unwrap();
    let root = target.path();
    write(root.join("folder"), "a file where a folder goes");
    write(root.join("read-only/file"), "a folder where a file goes");
    symlink("elsewhere", root.join("link")).unwrap();
    write(root.join("pipe"), "");
    mknodat(CWD, root.join("empty"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    write(root.join("other name"), "another file");
    let restored = import(root, &exported.given, RestoreOptions::default());
    assert!(restored.errors.iter().all(|(_, error)| error.kind() == ErrorKind::Exists));
    let replaced = restored.fates.values().filter(|fate| matches!(fate, Fate::Replaced(_))).count();
    assert_eq!(replaced, 6);
    assert_eq!(fs::read(root.join("folder")).unwrap(), b"a file where a folder goes");
    assert_eq!(fs::read(root.join("other name")).unwrap(), b"another file");
    assert_eq!(fs::read_link(root.join("link")).unwrap(), Path::new("elsewhere"));
    let restored = import(root, &exported.given, replacing());
    assert!(restored.errors.is_empty(), "{:?}", restored.errors);
    assert_same(&exported, &export(root));
}

#[test]
fn attributes_that_were_added_or_changed_go() {
    let (_source, exported) = sample();
    let target = tempfile::tempdir().unwrap();
    import(target.path(), &exported.given, RestoreOptions::default());
    let set = |name: &str| {
        let path = target.path().join(name);
        lsetxattr(path, "user.added", b"x", XattrFlags::empty()).is_ok()
    };
    if !set("folder/large") || !set("folder") || !set("other name") {
        skip!("no extended attributes on this file system");
    }
    fs::set_permissions(target.path().join("folder"), Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(target.path().join("empty"), Permissions::from_mode(0o500)).unwrap();
    set_mtime(&target.path().join("link"), 1, 2);
    import(target.path(), &exported.given, replacing());
    assert_same(&exported, &export(target.path()));
}

#[test]
fn zeros_become_holes_in_place() {
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("disk");
    let file = fs::File::create(&path).unwrap();
    file.set_len(4 << 20).unwrap();
    file.write_all_at(b"data", 1 << 20).unwrap();
    drop(file);
    let exported = export(source.path());
    if !exported.get("disk").unix().sparse {
        skip!("no holes in files of this file system");
    }
    let target = tempfile::tempdir().unwrap();
    write(target.path().join("disk"), vec![0xaa; 4 << 20]);
    fs::set_permissions(target.path().join("disk"), Permissions::from_mode(0o600)).unwrap();
    let before = fs::metadata(target.path().join("disk")).unwrap();
    import(target.path(), &exported.given, replacing());
    let after = fs::metadata(target.path().join("disk")).unwrap();
    assert_eq!(before.ino(), after.ino());
    // A piece that ends within a block of the file system leaves that block in place.
    assert!(after.blocks() < before.blocks() / 2, "{} blocks", after.blocks());
    assert_same(&exported, &export(target.path()));
}

#[test]
fn a_part_can_be_restored_without_its_folders() {
    let (_source, exported) = sample();
    let target = tempfile::tempdir().unwrap();
    let part = [exported.get("folder/large").clone()];
    let restored = import(target.path(), &part, RestoreOptions::default());
    assert!(restored.errors.is_empty());
    assert_eq!(fs::read(target.path().join("folder/large")).unwrap(), part[0].bytes);
}

#[test]
fn the_second_of_two_names_alone_gets_its_bytes() {
    let (_source, exported) = sample();
    let target = tempfile::tempdir().unwrap();
    let part = [exported.get("other name").clone()];
    import(target.path(), &part, RestoreOptions::default());
    assert_eq!(fs::read(target.path().join("other name")).unwrap(), b"small");
}

#[test]
fn streams_of_other_sources_become_files() {
    let target = tempfile::tempdir().unwrap();
    let mut stream = made_up("shop/orders", EntryKind::File, b"rows");
    stream.entry.kind = EntryKind::Stream { class: "table".to_owned() };
    stream.entry.unix = None;
    let restored = import(target.path(), &[stream], RestoreOptions::default());
    assert!(restored.errors.is_empty());
    let path = target.path().join("shop/orders");
    assert_eq!(fs::read(&path).unwrap(), b"rows");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}
