//! Names of one file that changed while they were read: they are no names of one file any more.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use restow::cut::CutKind;
use restow::format::{ChunkRef, Content, EntryKind, LinkGroup, Recipe, Xattr};
use restow::id::ChunkId;
use restow::source::files::RestoreOptions;

use super::support::*;

/// One of three names of a file.
fn name(path: &str, bytes: &[u8]) -> Given {
    let mut given = made_up(path, EntryKind::File, bytes);
    let id = ChunkId::new(*blake3::hash(bytes).as_bytes());
    let len = bytes.len() as u32;
    let chunk = ChunkRef { id, len, cut: CutKind::End, end: [0; 4] };
    let recipe = Recipe::Inline(vec![chunk]);
    given.entry.content = Some(Content { len: u64::from(len), recipe });
    let unix = given.entry.unix.as_mut().unwrap();
    unix.link = Some(LinkGroup { device: 1, inode: 2, names: 3 });
    given
}

fn inode(folder: &Path, name: &str) -> u64 {
    fs::symlink_metadata(folder.join(name)).unwrap().ino()
}

const NOTE: &str =
    "names of a file that changed while it was backed up are restored as separate files";

#[test]
fn names_of_other_bytes_become_separate_files() {
    let target = tempfile::tempdir().unwrap();
    let given = [name("a", b"first"), name("b", b"later"), name("c", b"later")];
    let restored = import(target.path(), &given, RestoreOptions::default());
    assert!(restored.errors.is_empty(), "{:?}", restored.errors);
    for given in &given {
        assert_eq!(fs::read(target.path().join(given.path())).unwrap(), given.bytes);
    }
    assert_ne!(inode(target.path(), "a"), inode(target.path(), "b"));
    assert_eq!(inode(target.path(), "b"), inode(target.path(), "c"), "these two are one file");
    assert_eq!(restored.report.notes(), [NOTE]);
    assert_eq!(restored.report.problems(), []);
}

#[test]
fn names_of_other_attributes_become_separate_files() {
    type Change = fn(&mut Given);
    let changes: [Change; 3] = [
        |given| given.entry.unix.as_mut().unwrap().mode = 0o600,
        |given| given.entry.unix.as_mut().unwrap().mtime.nanos += 1,
        |given| {
            let xattr = Xattr { name: b"user.x"[..].into(), value: b"y"[..].into() };
            given.entry.unix.as_mut().unwrap().xattrs.push(xattr);
        },
    ];
    for change in changes {
        let target = tempfile::tempdir().unwrap();
        let mut given = [name("a", b"same"), name("b", b"same")];
        change(&mut given[1]);
        let restored = import(target.path(), &given, RestoreOptions::default());
        assert!(restored.errors.is_empty(), "{:?}", restored.errors);
        assert_ne!(inode(target.path(), "a"), inode(target.path(), "b"));
        assert_eq!(restored.report.notes(), [NOTE]);
    }
}

/// Holes depend on what the file system made of it meanwhile, the count of names on other folders.
#[test]
fn holes_and_other_names_make_no_difference() {
    let target = tempfile::tempdir().unwrap();
    let mut given = [name("a", b"same"), name("b", b"same")];
    let unix = given[1].entry.unix.as_mut().unwrap();
    unix.sparse = true;
    unix.link.as_mut().unwrap().names = 4;
    let restored = import(target.path(), &given, RestoreOptions::default());
    assert!(restored.errors.is_empty(), "{:?}", restored.errors);
    assert_eq!(inode(target.path(), "a"), inode(target.path(), "b"));
    assert!(restored.report.notes().is_empty());
}

/// The names are one file in the target: writing the second must not change the first.
#[test]
fn an_older_restore_that_linked_them_is_taken_apart() {
    let target = tempfile::tempdir().unwrap();
    let before = ["a", "b", "c"].map(|path| name(path, b"before"));
    import(target.path(), &before, RestoreOptions::default());
    assert_eq!(inode(target.path(), "a"), inode(target.path(), "c"));
    let given = [name("a", b"first"), name("b", b"second one"), name("c", b"first")];
    let restored = import(target.path(), &given, replacing());
    assert!(restored.errors.is_empty(), "{:?}", restored.errors);
    for given in &given {
        assert_eq!(fs::read(target.path().join(given.path())).unwrap(), given.bytes);
    }
    assert_eq!(inode(target.path(), "a"), inode(target.path(), "c"));
    assert_ne!(inode(target.path(), "a"), inode(target.path(), "b"));
}

#[test]
fn links_that_lead_elsewhere_or_are_none_any_more() {
    let target = tempfile::tempdir().unwrap();
    let link = |path: &str, to: &[u8]| {
        let mut given = name(path, b"");
        given.entry.kind = EntryKind::Symlink { target: to.into() };
        given.entry.content = None;
        given
    };
    symlink("x", target.path().join("a")).unwrap();
    fs::hard_link(target.path().join("a"), target.path().join("b")).unwrap();
    let given = [link("a", b"x"), link("b", b"y"), name("c", b"now a file")];
    let restored = import(target.path(), &given, replacing());
    assert!(restored.errors.is_empty(), "{:?}", restored.errors);
    assert_eq!(fs::read_link(target.path().join("a")).unwrap(), Path::new("x"));
    assert_eq!(fs::read_link(target.path().join("b")).unwrap(), Path::new("y"));
    assert_eq!(fs::read(target.path().join("c")).unwrap(), b"now a file");
}
