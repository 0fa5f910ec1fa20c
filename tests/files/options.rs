use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use restow::format::EntryKind;
use restow::source::files::{OwnerPolicy, RestoreOptions};

use super::support::*;
use crate::support::rights::is_root;
use crate::support::skips::skip;

#[test]
fn owners_by_name() {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    if !is_root() || !accounts.contains("\ndaemon:x:1:") {
        skip!("needs root, and a user daemon with the id 1");
    }
    let target = tempfile::tempdir().unwrap();
    let owned = |path: &str, user: &str| {
        let mut given = made_up(path, EntryKind::File, b"x");
        let unix = given.entry.unix.as_mut().unwrap();
        (unix.uid, unix.user) = (7777, user.to_owned());
        given
    };
    let given = [owned("known", "daemon"), owned("nameless", ""), owned("unknown", "no such user")];
    let owner = |name: &str| fs::metadata(target.path().join(name)).unwrap().uid();
    let by_name = RestoreOptions::default().owners(OwnerPolicy::ByName);
    import(target.path(), &given, by_name);
    assert_eq!([owner("known"), owner("nameless"), owner("unknown")], [1, 7777, 7777]);
    import(target.path(), &given, RestoreOptions::default());
    assert_eq!(owner("known"), 7777);
}

/// A folder that was there before is somebody's: what is restored into it is another matter.
#[test]
fn a_target_that_was_there_keeps_its_own_attributes() {
    let folder = tempfile::tempdir().unwrap();
    let (there, new) = (folder.path().join("there"), folder.path().join("new"));
    fs::create_dir(&there).unwrap();
    fs::set_permissions(&there, Permissions::from_mode(0o751)).unwrap();
    let mut root = made_up("", EntryKind::Directory, b"");
    root.entry.unix.as_mut().unwrap().mode = 0o700;
    let given = [root, made_up("sub", EntryKind::Directory, b"")];
    let look = |path: &Path| {
        let data = fs::metadata(path).unwrap();
        (data.mode() & 0o7777, data.mtime())
    };
    let overwrite = RestoreOptions::default().overwrite(true);
    for options in [RestoreOptions::default(), overwrite] {
        let restored = import_with(&there, &given, options);
        assert!(restored.errors.is_empty());
        let (mode, mtime) = look(&there);
        assert_eq!(mode, 0o751);
        assert_ne!(mtime, 1_000_000_000);
        assert_eq!(look(&there.join("sub")), (0o755, 1_000_000_000));
        assert!(restored.report.notes()[0].contains("left as they are"));
    }
    import_with(&new, &given, RestoreOptions::default());
    assert_eq!(look(&new), (0o700, 1_000_000_000));
    let change_root = RestoreOptions::default().change_root(true);
    import_with(&there, &given, change_root);
    assert_eq!(look(&there), (0o700, 1_000_000_000));
}
