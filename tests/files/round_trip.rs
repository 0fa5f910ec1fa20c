use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use restow::format::EntryKind;
use restow::source::files::RestoreOptions;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};

use super::support::*;
use crate::support::rights::is_root;
use crate::support::skips::{skip, skip_part};

#[test]
fn odd_names() {
    let source = tempfile::tempdir().unwrap();
    let names: [&[u8]; 9] = [
        b"\xff\xfe not utf-8",
        b"two\nlines",
        b"-rf",
        b" ",
        b"trailing space ",
        b"*?[a]{b}\\",
        b"a.b",
        "größe".as_bytes(),
        &[b'n'; 255],
    ];
    for name in names {
        let folder = source.path().join(OsStr::from_bytes(name));
        write(folder.join(OsStr::from_bytes(name)), name);
    }
    assert_round_trip(source.path());
}

#[test]
fn kinds_without_bytes() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    fs::create_dir_all(root.join("empty/deeper")).unwrap();
    symlink("nowhere/at all", root.join("dangling")).unwrap();
    symlink("../../../etc/passwd", root.join("outward")).unwrap();
    symlink(OsStr::from_bytes(b"\xff"), root.join("raw")).unwrap();
    set_mtime(&root.join("dangling"), 86_400, 123_456_789);
    mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    set_mtime(&root.join("pipe"), 5, 6);
    assert_round_trip(root);
}

#[test]
fn devices() {
    if !is_root() {
        skip!("needs root");
    }
    let source = tempfile::tempdir().unwrap();
    let make = |name: &str, kind, major, minor| {
        let mode = Mode::from_raw_mode(0o620);
        mknodat(CWD, source.path().join(name), kind, mode, makedev(major, minor)).unwrap();
    };
    make("null", FileType::CharacterDevice, 1, 3);
    make("large", FileType::CharacterDevice, 511, 70_000);
    make("disk", FileType::BlockDevice, 7, 200);
    let exported = export(source.path());
    let expected = EntryKind::CharDevice { major: 511, minor: 70_000 };
    assert_eq!(exported.get("large").entry.kind, expected);
    assert_round_trip(source.path());
}

#[test]
fn sockets_are_recorded_and_left_out_of_a_restore() {
    let source = tempfile::tempdir().unwrap();
    let _listener = UnixListener::bind(source.path().join("socket")).unwrap();
    let exported = export(source.path());
    assert_eq!(exported.get("socket").entry.kind, EntryKind::Socket);
    assert_eq!(exported.problems, []);
    let target = tempfile::tempdir().unwrap();
    let restored = import(target.path(), &exported.given, RestoreOptions::default());
    assert!(restored.errors.is_empty());
    assert_eq!(restored.report.notes(), ["sockets are not restored"]);
    assert!(!target.path().join("socket").exists());
}

#[test]
fn modes_and_times() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    for (name, mode) in
        [("setuid", 0o4755), ("setgid", 0o2711), ("sticky", 0o1777), ("none", 0), ("read", 0o444)]
    {
        write(root.join(name), name);
        fs::set_permissions(root.join(name), Permissions::from_mode(mode)).unwrap();
        let folder = root.join(format!("folder {name}"));
        write(folder.join("file"), name);
        fs::set_permissions(folder, Permissions::from_mode(mode | 0o700)).unwrap();
    }
    for (name, seconds, nanos) in
        [("old", -1, 999_999_999), ("older", -2_000_000_000, 1), ("new", 4_000_000_000, 7)]
    {
        write(root.join(name), "");
        set_mtime(&root.join(name), seconds, nanos);
    }
    set_mtime(&root.join("folder none"), 1_234, 567);
    set_mtime(root, 1_000_000, 1);
    if is_root() {
        let exported = export(root);
        assert_eq!(exported.get("older").unix().mtime.seconds, -2_000_000_000);
        assert_eq!(exported.get("setuid").unix().mode, 0o4755);
        assert_round_trip(root);
    } else {
        skip_part!("needs root: whoever may not read a file cannot back it up");
    }
}

#[test]
fn hard_links() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    write(root.join("a/first"), "shared");
    fs::create_dir(root.join("b")).unwrap();
    fs::hard_link(root.join("a/first"), root.join("b/second")).unwrap();
    fs::hard_link(root.join("a/first"), root.join("third")).unwrap();
    symlink("x", root.join("link")).unwrap();
    fs::hard_link(root.join("link"), root.join("link too")).unwrap();
    write(root.join("alone"), "shared");
    let exported = export(root);
    assert_eq!(exported.get("third").unix().link.unwrap().names, 3);
    assert_eq!(exported.get("alone").unix().link, None);
    assert_round_trip(root);
}

#[test]
fn a_link_group_with_names_outside() {
    let source = tempfile::tempdir().unwrap();
    write(source.path().join("in/a"), "shared");
    fs::hard_link(source.path().join("in/a"), source.path().join("in/b")).unwrap();
    fs::hard_link(source.path().join("in/a"), source.path().join("out")).unwrap();
    let exported = export(&source.path().join("in"));
    let target = tempfile::tempdir().unwrap();
    import(target.path(), &exported.given, RestoreOptions::default());
    let inode = |name: &str| fs::metadata(target.path().join(name)).unwrap().ino();
    assert_eq!(inode("a"), inode("b"));
    assert_eq!(fs::read(target.path().join("b")).unwrap(), b"shared");
}

/// An ACL as the kernel takes it: version, then tag, permissions and id of each line.
fn acl(lines: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in lines {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn set(path: &Path, name: &str, value: &[u8]) -> bool {
    lsetxattr(path, name, value, XattrFlags::empty()).is_ok()
}

#[test]
fn extended_attributes_and_acls() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    write(root.join("file"), "x");
    fs::create_dir(root.join("folder")).unwrap();
    if !set(&root.join("file"), "user.color", b"blue\0\xff") {
        skip!("no extended attributes on this file system");
    }
    assert!(set(&root.join("file"), "user.empty", b""));
    assert!(set(&root.join("file"), "user.long", &[7; 3000]));
    assert!(set(&root.join("folder"), "user.color", b"red"));
    assert!(set(root, "user.color", b"root"));
    let none = u32::MAX;
    let lines =
        [(1, 6, none), (2, 7, 1234), (4, 4, none), (8, 5, 4321), (0x10, 7, none), (0x20, 0, none)];
    assert!(set(&root.join("file"), "system.posix_acl_access", &acl(&lines)));
    assert!(set(&root.join("folder"), "system.posix_acl_default", &acl(&lines)));
    let mut expected = vec!["system.posix_acl_access", "user.color", "user.empty", "user.long"];
    if is_root() {
        // cap_net_bind_service, permitted and effective.
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(set(&root.join("file"), "security.capability", &capability));
        assert!(set(&root.join("file"), "trusted.note", b"t"));
        symlink("x", root.join("link")).unwrap();
        assert!(set(&root.join("link"), "trusted.note", b"on a link"));
        fs::set_permissions(root.join("folder"), Permissions::from_mode(0o2775)).unwrap();
        std::os::unix::fs::chown(root.join("folder"), Some(1), Some(2)).unwrap();
        fs::set_permissions(root.join("folder"), Permissions::from_mode(0o2775)).unwrap();
        expected.insert(0, "security.capability");
        expected.insert(2, "trusted.note");
    } else {
        skip_part!("needs root: capabilities and trusted attributes");
    }
    let exported = export(root);
    let file = exported.get("file").unix();
    let names: Vec<_> =
        file.xattrs.iter().map(|xattr| String::from_utf8_lossy(&xattr.name).into_owned()).collect();
    assert_eq!(names, expected);
    assert_eq!(file.mode & 0o070, 0o070, "the mode's group bits are the ACL's mask");
    assert_round_trip(root);
}

#[test]
fn owners() {
    if !is_root() {
        skip!("needs root");
    }
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    write(root.join("file"), "x");
    fs::create_dir(root.join("folder")).unwrap();
    symlink("x", root.join("link")).unwrap();
    for name in ["file", "folder", "link"] {
        std::os::unix::fs::lchown(root.join(name), Some(12_345), Some(54_321)).unwrap();
    }
    fs::set_permissions(root.join("file"), Permissions::from_mode(0o6755)).unwrap();
    let exported = export(root);
    assert_eq!(exported.get("").unix().user, "root");
    assert_eq!(exported.get("file").unix().user, "");
    assert_round_trip(root);
}

#[test]
fn holes() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    let len = 8 * 1024 * 1024u64;
    for (name, data) in
        [("nothing", None), ("start", Some(0)), ("middle", Some(3_000_000)), ("end", Some(len - 5))]
    {
        let file = fs::File::create(root.join(name)).unwrap();
        file.set_len(len).unwrap();
        if let Some(offset) = data {
            std::os::unix::fs::FileExt::write_all_at(&file, b"bytes", offset).unwrap();
        }
    }
    let exported = export(root);
    let has_holes = exported.get("nothing").unix().sparse;
    assert_eq!(exported.get("nothing").bytes.len() as u64, len);
    assert_eq!(&exported.get("middle").bytes[3_000_000..3_000_005], b"bytes");
    assert_round_trip(root);

    let target = tempfile::tempdir().unwrap();
    import(target.path(), &exported.given, RestoreOptions::default());
    if has_holes {
        for name in ["nothing", "start", "middle", "end"] {
            let stored = fs::metadata(target.path().join(name)).unwrap().blocks() * 512;
            assert!(stored <= 16 * 1024, "{name} takes {stored} bytes");
        }
    } else {
        skip_part!("no holes in files of this file system");
    }
}

#[test]
fn a_single_file() {
    let source = tempfile::tempdir().unwrap();
    write(source.path().join("data.bin"), "bytes");
    write(source.path().join("other"), "not meant");
    let exported = export(&source.path().join("data.bin"));
    assert_eq!(exported.paths(), ["data.bin"]);
    assert_eq!(exported.get("data.bin").bytes, b"bytes");
    let target = tempfile::tempdir().unwrap();
    let place = target.path().join("not/yet/there");
    import(&place, &exported.given, RestoreOptions::default());
    assert_eq!(fs::read(place.join("data.bin")).unwrap(), b"bytes");
}
