use std::fs;
use std::os::unix::fs::MetadataExt;

use restow::format::EntryKind;
use restow::source::files::{OwnerPolicy, RestoreOptions};

use super::support::*;

#[test]
fn owners_by_name() {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    if !is_root() || !accounts.contains("\ndaemon:x:1:") {
        return;
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
    let by_name = RestoreOptions { overwrite: false, owners: OwnerPolicy::ByName };
    import(target.path(), &given, by_name);
    assert_eq!([owner("known"), owner("nameless"), owner("unknown")], [1, 7777, 7777]);
    import(target.path(), &given, RestoreOptions::default());
    assert_eq!(owner("known"), 7777);
}
