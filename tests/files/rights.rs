//! Without root's rights. Linux gives every thread its own, so root can run these, too.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use restow::format::EntryKind;
use restow::source::files::{FolderExporter, FolderOptions, RestoreOptions};

use super::support::*;
use crate::support::rights::as_nobody;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_cannot_be_read_is_a_problem_and_the_rest_goes_on() {
    as_nobody(|| {
        let source = tempfile::tempdir().unwrap();
        let root = source.path();
        for path in ["a", "closed/file", "secret", "unlisted/file", "z"] {
            write(root.join(path), "x");
        }
        set_mode(&root.join("closed"), 0);
        set_mode(&root.join("secret"), 0);
        set_mode(&root.join("unlisted"), 0o400);
        let exported = export(root);
        assert_eq!(exported.paths(), ["", "a", "closed", "unlisted", "z"]);
        assert!(exported.problem("closed").contains("cannot open the folder"));
        assert!(exported.problem("secret").contains("cannot open"));
        assert!(exported.problem("unlisted/file").contains("cannot look at it"));
        assert_eq!(exported.problems.len(), 3);
        set_mode(&root.join("closed"), 0o700);
        set_mode(&root.join("unlisted"), 0o700);

        set_mode(root, 0o300);
        let exporter = FolderExporter::new(root, FolderOptions::default()).unwrap();
        let cancel = restow::progress::Cancel::new();
        assert!(restow::source::Exporter::open(&exporter, &cancel).is_err());
        set_mode(root, 0o700);
    });
}

#[test]
fn files_of_others_become_ones_own() {
    as_nobody(|| {
        let target = tempfile::tempdir().unwrap();
        let foreign = |path: &str, kind: EntryKind, mode: u32| {
            let mut given = made_up(path, kind, b"x");
            let unix = given.entry.unix.as_mut().unwrap();
            (unix.uid, unix.gid, unix.mode) = (0, 0, mode);
            given
        };
        let given = [
            foreign("", EntryKind::Directory, 0o755),
            foreign("file", EntryKind::File, 0o6755),
            foreign("folder", EntryKind::Directory, 0o755),
            foreign("link", EntryKind::Symlink { target: b"x"[..].into() }, 0o777),
        ];
        let restored = import(target.path(), &given, RestoreOptions::default());
        assert!(restored.errors.is_empty(), "{:?}", restored.errors);
        assert_eq!(restored.report.problems(), []);
        let notes = restored.report.notes();
        assert_eq!(notes, ["owners are not restored: that needs root's rights (4 entries)"]);
        let file = fs::metadata(target.path().join("file")).unwrap();
        assert_eq!(file.mode() & 0o7777, 0o755, "set-id bits would give one's own rights away");
        let before = (file.ino(), file.ctime(), file.ctime_nsec());
        let again = import(target.path(), &given, RestoreOptions::default());
        assert_eq!(again.written, 0);
        let file = fs::metadata(target.path().join("file")).unwrap();
        assert_eq!((file.ino(), file.ctime(), file.ctime_nsec()), before);
    });
}

#[test]
fn read_only_folders_are_restored_and_restored_again() {
    as_nobody(|| {
        let source = tempfile::tempdir().unwrap();
        let folder = source.path().join("folder");
        write(folder.join("sub/file"), "x");
        write(folder.join("file"), "y");
        set_mode(&folder.join("file"), 0o400);
        set_mode(&folder.join("sub"), 0o555);
        set_mode(&folder, 0o500);
        let exported = export(source.path());
        assert_eq!(exported.problems, []);
        let target = tempfile::tempdir().unwrap();
        let copy = target.path().join("folder");
        import(target.path(), &exported.given, RestoreOptions::default());
        assert_same(&exported, &export(target.path()));
        set_mode(&copy, 0o700);
        fs::remove_file(copy.join("file")).unwrap();
        set_mode(&copy.join("sub"), 0o700);
        fs::write(copy.join("sub/file"), "changed").unwrap();
        set_mode(&copy.join("sub"), 0);
        set_mode(&copy, 0o100);
        let restored = import(target.path(), &exported.given, replacing());
        // Nothing can be looked at in a closed folder, but it can be opened up again.
        assert!(restored.errors.is_empty(), "{:?}", restored.errors);
        assert_same(&exported, &export(target.path()));
        for root in [source.path(), target.path()] {
            set_mode(&root.join("folder"), 0o700);
            set_mode(&root.join("folder/sub"), 0o700);
        }
    });
}

#[test]
fn devices_need_root_and_attributes_may_be_refused() {
    as_nobody(|| {
        let target = tempfile::tempdir().unwrap();
        let mut labelled = made_up("file", EntryKind::File, b"x");
        labelled.entry.unix.as_mut().unwrap().xattrs = vec![restow::format::Xattr {
            name: b"trusted.note"[..].into(),
            value: b"x"[..].into(),
        }];
        let device = made_up("device", EntryKind::CharDevice { major: 1, minor: 3 }, b"");
        let restored = import(target.path(), &[device, labelled], RestoreOptions::default());
        assert_eq!(restored.errors.len(), 1);
        let message = restored.errors[0].1.to_string();
        assert_eq!(message, "device: only root can create devices");
        let problems = restored.report.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains("trusted.note"));
        assert_eq!(fs::read(target.path().join("file")).unwrap(), b"x");
    });
}

#[test]
fn a_whole_tree_without_rights() {
    as_nobody(|| {
        let source = tempfile::tempdir().unwrap();
        write(source.path().join("a/file"), "x");
        fs::hard_link(source.path().join("a/file"), source.path().join("a/too")).unwrap();
        symlink("a", source.path().join("link")).unwrap();
        set_mtime(&source.path().join("link"), 1, 2);
        assert_round_trip(source.path());
    });
}
