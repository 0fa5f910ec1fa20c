use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use restow::fault::ErrorKind;
use restow::format::EntryKind;
use restow::progress::Cancel;
use restow::source::files::{FolderExporter, FolderOptions, RestoreOptions};
use restow::source::{Exporter, Item, SourceError};

use super::support::*;
use crate::support::skips::skip;

#[test]
fn entries_come_in_catalog_order() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    for path in ["a/c/d", "a/c!", "a-b", "a.b/x", "a!/y", "b", "\u{1}/z", "z", "a/0"] {
        write(root.join(path), path);
    }
    let exported = export(root);
    let paths: Vec<_> = exported.given.iter().map(|given| given.entry.path.clone()).collect();
    let mut sorted = paths.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(paths, sorted);
    assert_eq!(paths.len(), 15);
    assert!(paths[0].is_root());
    assert_eq!(exported.given[0].entry.kind, EntryKind::Directory);
}

#[test]
fn description() {
    let source = tempfile::tempdir().unwrap();
    let folder = source.path().canonicalize().unwrap().join("photos");
    write(folder.join("one.jpg"), "x");
    symlink(&folder, source.path().join("link")).unwrap();
    let describe =
        |path: &Path| FolderExporter::new(path, FolderOptions::default()).unwrap().describe();
    let by_link = describe(&source.path().join("link"));
    assert_eq!(by_link, describe(&folder));
    assert_eq!(by_link.url, folder.to_str().unwrap());
    assert_eq!((by_link.kind.as_str(), by_link.label.as_str()), ("folder", "photos"));
    let file = describe(&folder.join("one.jpg"));
    assert_eq!((file.kind.as_str(), file.label.as_str()), ("file", "one.jpg"));
    assert_eq!(describe(Path::new("/")).label, "root");
}

/// It must be no other path's, and nobody must take it for one.
#[test]
fn description_of_a_path_that_is_no_utf_8() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path().canonicalize().unwrap();
    let describe = |name: &[u8]| {
        let path = root.join(OsStr::from_bytes(name));
        fs::create_dir(&path).unwrap();
        FolderExporter::new(path, FolderOptions::default()).unwrap().describe()
    };
    let raw = describe(b"a \xff%");
    assert_eq!(raw.url, format!("file://{}/a%20%FF%25", root.display()));
    assert_eq!(raw.label, "a \\xff%");
    assert_eq!(describe(b"a \\xff%").url, format!("{}/a \\xff%", root.display()));
}

#[test]
fn a_root_that_is_a_link_is_followed() {
    let source = tempfile::tempdir().unwrap();
    write(source.path().join("folder/file"), "x");
    symlink("folder", source.path().join("link")).unwrap();
    assert_eq!(export(&source.path().join("link")).paths(), ["", "file"]);
}

#[test]
fn what_is_not_there_is_not_found() {
    let source = tempfile::tempdir().unwrap();
    let missing = source.path().join("missing");
    let error = FolderExporter::new(&missing, FolderOptions::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("missing"), "{error}");

    fs::create_dir(&missing).unwrap();
    let exporter = FolderExporter::new(&missing, FolderOptions::default()).unwrap();
    fs::remove_dir(&missing).unwrap();
    let error = exporter.open(&Cancel::new()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = FolderExporter::new("/dev/null", FolderOptions::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn cancel_stops_the_walk() {
    let source = tempfile::tempdir().unwrap();
    write(source.path().join("a"), "x");
    write(source.path().join("b"), "x");
    let cancel = Cancel::new();
    let exporter = FolderExporter::new(source.path(), FolderOptions::default()).unwrap();
    let mut session = exporter.open(&cancel).unwrap();
    assert!(matches!(session.next(), Ok(Some(Item::Entry(_)))));
    cancel.cancel();
    assert!(matches!(session.next(), Err(SourceError::Interrupted)));
}

#[test]
fn deep_trees_need_few_descriptors() {
    let source = tempfile::tempdir().unwrap();
    let mut folder = source.path().to_path_buf();
    for _ in 0..900 {
        folder.push("d");
        write(folder.join("c"), "before");
        write(folder.join("e"), "after");
    }
    let open = || fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = open();
    let mut most = 0;
    let exported =
        export_slowly(source.path(), FolderOptions::default(), |_| most = most.max(open()));
    assert_eq!(exported.problems, []);
    assert_eq!(exported.given.len(), 2701);
    // Other tests run beside this one.
    assert!(most < before + 600, "{before} descriptors, then {most}");
    let target = tempfile::tempdir().unwrap();
    let restored = import(target.path(), &exported.given, RestoreOptions::default());
    assert!(restored.errors.is_empty(), "{:?}", restored.errors);
    assert_same(&exported, &export(target.path()));
    let restored = import(target.path(), &[made_up("d", EntryKind::File, b"short")], replacing());
    assert!(restored.errors.is_empty(), "{:?}", restored.errors);
    assert!(target.path().join("d").is_file());
}

#[test]
fn a_tree_swapped_during_the_walk_is_not_mixed_with_another() {
    let source = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let mut folder = source.path().join("d");
        for _ in 0..100 {
            write(folder.join("e"), name);
            folder.push("d");
        }
        write(folder.join("last"), name);
    };
    make("first");
    let exported = export_slowly(source.path(), FolderOptions::default(), |entry| {
        if entry.path.name() == b"last" {
            fs::rename(source.path().join("d"), source.path().join("moved")).unwrap();
            make("second");
        }
    });
    assert!(exported.problem("d").contains("moved or replaced"));
    assert!(exported.given.iter().all(|given| given.bytes != b"second"));
    let read = exported.given.iter().filter(|given| given.bytes == b"first").count();
    assert!((60..101).contains(&read), "{read}: what was held open is still read");
}

#[test]
fn other_file_systems() {
    let is_mounted = |path: &str| {
        let device = |path: &str| fs::metadata(path).map(|data| data.dev()).ok();
        device(path).is_some_and(|inner| device("/dev").is_some_and(|outer| outer != inner))
    };
    let mut names = ["shm", "pts", "mqueue"].into_iter();
    let Some(mounted) = names.find(|name| is_mounted(&format!("/dev/{name}"))) else {
        skip!("nothing is mounted below /dev");
    };
    let options = FolderOptions { one_file_system: true, ..FolderOptions::default() };
    let exported = export_with(Path::new("/dev"), options);
    assert_eq!(exported.get(mounted).entry.kind, EntryKind::Directory);
    let inside = format!("{mounted}/");
    assert!(exported.paths().iter().all(|path| !path.starts_with(&inside)));
}

#[test]
fn paths_too_long_to_be_kept_are_problems() {
    let source = tempfile::tempdir().unwrap();
    // Longer than any path the kernel takes at once, so made step by step.
    let mut folder = rustix::fs::open(
        source.path(),
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    let name = "n".repeat(255);
    let levels = restow::limits::PATH_MAX / 256 + 2;
    for _ in 0..levels {
        rustix::fs::mkdirat(&folder, &name, rustix::fs::Mode::from_raw_mode(0o700)).unwrap();
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
        folder = rustix::fs::openat(&folder, &name, flags, rustix::fs::Mode::empty()).unwrap();
    }
    let exported = export(source.path());
    assert_eq!(exported.problems.len(), 1);
    assert!(exported.problems[0].message.contains("too long"));
    assert_eq!(exported.given.len(), restow::limits::PATH_MAX / 256 + 1);
}
