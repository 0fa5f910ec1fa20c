//! What a hostile snapshot, or a hostile target, could try.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use restow::fault::ErrorKind;
use restow::format::{EntryKind, EntryPath, LinkGroup};
use restow::source::files::{FolderImporter, RestoreOptions};
use restow::source::{Fate, Importer};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::support::*;

struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        write(root.path().join("outside/secret"), "secret");
        write(root.path().join("outside/sub/file"), "also secret");
        fs::set_permissions(root.path().join("outside/secret"), Permissions::from_mode(0o600))
            .unwrap();
        set_mtime(&root.path().join("outside/secret"), 1_000_000_000, 5);
        fs::create_dir(root.path().join("target")).unwrap();
        Self { root }
    }

    fn target(&self) -> std::path::PathBuf {
        self.root.path().join("target")
    }

    fn outside(&self) -> std::path::PathBuf {
        self.root.path().join("outside")
    }

    fn assert_untouched(&self) {
        assert_eq!(export(&self.outside()).paths(), ["", "secret", "sub", "sub/file"]);
        assert_eq!(fs::read(self.outside().join("secret")).unwrap(), b"secret");
        assert_eq!(fs::read(self.outside().join("sub/file")).unwrap(), b"also secret");
        let secret = fs::metadata(self.outside().join("secret")).unwrap();
        assert_eq!((secret.mode() & 0o7777, secret.mtime()), (0o600, 1_000_000_000));
    }
}

fn folder(path: &str) -> Given {
    made_up(path, EntryKind::Directory, b"")
}

fn file(path: &str, bytes: &str) -> Given {
    made_up(path, EntryKind::File, bytes.as_bytes())
}

fn link(path: &str, target: &Path) -> Given {
    let target = target.to_str().unwrap().as_bytes().into();
    made_up(path, EntryKind::Symlink { target }, b"")
}

#[test]
fn paths_that_lead_out_cannot_be_made() {
    for path in ["..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/./b", ".", "a\0b"] {
        assert!(EntryPath::new(path).is_err(), "{path}");
    }
}

#[test]
fn a_link_where_a_folder_should_be() {
    let place = Place::new();
    symlink(place.outside(), place.target().join("sub")).unwrap();
    let given = [folder(""), folder("sub"), file("sub/file", "new"), file("sub/more", "new")];

    let restored = import(&place.target(), &given, RestoreOptions::default());
    assert!(matches!(&restored.fates["sub"], Fate::Replaced(what) if what.contains("link")));
    assert_eq!(restored.fates["sub/file"], Fate::New);
    assert_eq!(
        restored.errors.len(),
        4,
        "placing three entries, settling one: {:?}",
        restored.errors
    );
    assert!(restored.errors.iter().all(|(_, error)| error.kind() == ErrorKind::Exists));
    place.assert_untouched();

    let restored = import(&place.target(), &given, replacing());
    assert!(restored.errors.is_empty(), "{:?}", restored.errors);
    place.assert_untouched();
    assert_eq!(fs::read(place.target().join("sub/file")).unwrap(), b"new");
    assert!(place.target().join("sub").symlink_metadata().unwrap().is_dir());
}

#[test]
fn a_link_that_the_snapshot_itself_brings() {
    let place = Place::new();
    let given =
        [folder(""), link("way", &place.outside()), file("way/secret", "mine"), folder("way/sub")];
    let restored = import(&place.target(), &given, replacing());
    assert!(restored.errors.iter().all(|(path, _)| path.starts_with("way/")));
    assert_eq!(restored.errors.len(), 3);
    place.assert_untouched();
}

#[test]
fn a_parent_that_is_a_file() {
    let place = Place::new();
    let given = [folder(""), file("a", "file"), file("a/b", "beneath a file")];
    let restored = import(&place.target(), &given, replacing());
    assert_eq!(restored.errors.len(), 1);
    assert_eq!(fs::read(place.target().join("a")).unwrap(), b"file");
}

#[test]
fn a_link_where_a_file_should_be() {
    let place = Place::new();
    symlink(place.outside().join("secret"), place.target().join("file")).unwrap();
    symlink(place.outside().join("created"), place.target().join("new")).unwrap();
    let given = [folder(""), file("file", "mine"), file("new", "mine")];
    let restored = import(&place.target(), &given, RestoreOptions::default());
    assert_eq!(restored.errors.len(), 2);
    place.assert_untouched();
    let restored = import(&place.target(), &given, replacing());
    assert!(restored.errors.is_empty());
    place.assert_untouched();
    assert!(place.target().join("file").symlink_metadata().unwrap().is_file());
    assert_eq!(fs::read(place.target().join("new")).unwrap(), b"mine");
}

#[test]
fn another_name_of_a_file_outside() {
    let place = Place::new();
    // "alike" has the size and the time of the file outside: it counts as kept, and still is not touched.
    for name in ["other", "alike", "group 1", "group 2"] {
        fs::hard_link(place.outside().join("secret"), place.target().join(name)).unwrap();
    }
    let group = |mut given: Given| {
        given.entry.unix.as_mut().unwrap().link = Some(LinkGroup { device: 1, inode: 2, names: 2 });
        given
    };
    let given = [
        folder(""),
        file("alike", "public"),
        group(file("group 1", "grouped")),
        group(file("group 2", "grouped")),
        file("other", "completely different"),
    ];
    let restored = import(&place.target(), &given, replacing());
    assert!(restored.errors.is_empty(), "{:?}", restored.errors);
    assert_eq!(restored.fates["alike"], Fate::Kept);
    place.assert_untouched();
    let inode = |name: &str| fs::metadata(place.target().join(name)).unwrap().ino();
    assert_eq!(inode("group 1"), inode("group 2"));
    assert_eq!(fs::metadata(place.outside().join("secret")).unwrap().nlink(), 1);
    for given in &given[1..] {
        assert_eq!(fs::read(place.target().join(given.path())).unwrap(), given.bytes);
    }
}

#[test]
fn another_name_of_a_fifo_outside() {
    let place = Place::new();
    let pipe = place.root.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    fs::hard_link(&pipe, place.target().join("pipe")).unwrap();
    let given = [folder(""), made_up("pipe", EntryKind::Fifo, b"")];
    let restored = import(&place.target(), &given, RestoreOptions::default());
    assert!(restored.errors.is_empty(), "{:?}", restored.errors);
    assert_eq!(fs::metadata(&pipe).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(place.target().join("pipe")).unwrap().mode() & 0o777, 0o755);
}

#[test]
fn a_file_that_somebody_else_may_hold_open_is_replaced() {
    let place = Place::new();
    let path = place.target().join("file");
    write(&path, "old");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    // Keeps the inode's number from being given again.
    let _open = fs::File::open(&path).unwrap();
    import(&place.target(), &[folder(""), file("file", "new")], replacing());
    assert_ne!(fs::metadata(&path).unwrap().ino(), before);
}

#[test]
fn what_is_removed_is_not_followed() {
    let place = Place::new();
    let inside = place.target().join("a");
    write(inside.join("deep/er/file"), "x");
    symlink(place.outside(), inside.join("deep/out")).unwrap();
    symlink(place.outside().join("secret"), inside.join("out")).unwrap();
    fs::hard_link(place.outside().join("secret"), inside.join("hard")).unwrap();
    let given = [folder(""), file("a", "now a file")];
    let restored = import(&place.target(), &given, RestoreOptions::default());
    assert_eq!(restored.errors[0].1.kind(), ErrorKind::Exists);
    assert!(matches!(&restored.fates["a"], Fate::Replaced(what) if what.contains("folder")));
    assert!(inside.join("deep/er/file").exists());
    let restored = import(&place.target(), &given, replacing());
    assert!(restored.errors.is_empty(), "{:?}", restored.errors);
    assert_eq!(fs::read(&inside).unwrap(), b"now a file");
    place.assert_untouched();
}

#[test]
fn a_folder_swapped_during_the_restore() {
    let place = Place::new();
    let target = place.target();
    let mut importer = FolderImporter::new(&target, replacing()).unwrap();
    let swap = |name: &str| {
        fs::rename(target.join(name), target.join(format!("{name} moved"))).unwrap();
        symlink(place.outside(), target.join(name)).unwrap();
    };
    for entry in [folder(""), folder("a"), folder("b")] {
        importer.place(&entry.entry).unwrap();
    }
    swap("b");
    assert!(importer.place(&file("b/secret", "mine").entry).is_err());
    let first = importer.place(&file("a/first", "1").entry).unwrap().unwrap();
    swap("a");
    // The folder that is held is still the one that was made.
    let sink = importer.place(&file("a/secret", "mine").entry).unwrap().unwrap();
    for (sink, bytes) in [(first, "1"), (sink, "mine")] {
        sink.write_at(0, bytes.as_bytes()).unwrap();
        sink.finish().unwrap();
    }
    importer.settle(&folder("a").entry).unwrap();
    assert!(importer.settle(&folder("b").entry).is_err());
    place.assert_untouched();
    assert_eq!(fs::read(target.join("a moved/secret")).unwrap(), b"mine");
}

#[test]
fn a_first_name_swapped_during_the_restore() {
    let place = Place::new();
    let grouped = |path: &str| {
        let mut given = file(path, "grouped");
        given.entry.unix.as_mut().unwrap().link = Some(LinkGroup { device: 9, inode: 9, names: 2 });
        given
    };
    let mut importer = FolderImporter::new(place.target(), replacing()).unwrap();
    importer.place(&grouped("first").entry).unwrap().unwrap().finish().unwrap();
    let first = place.target().join("first");
    fs::rename(&first, place.root.path().join("kept")).unwrap();
    fs::hard_link(place.outside().join("secret"), &first).unwrap();
    assert!(importer.place(&grouped("second").entry).is_err());
    assert!(!place.target().join("second").exists());
    place.assert_untouched();
}

#[test]
fn inspecting_changes_nothing() {
    let place = Place::new();
    write(place.target().join("folder/file"), "12 bytes now");
    let mut importer = FolderImporter::new(place.target().join("new"), replacing()).unwrap();
    assert_eq!(importer.inspect(&folder("").entry).unwrap(), Fate::New);
    assert_eq!(importer.inspect(&file("x/y", "").entry).unwrap(), Fate::New);
    assert!(!place.target().join("new").exists());

    let before = comparable(&export(&place.target()).given);
    let mut importer = FolderImporter::new(place.target(), replacing()).unwrap();
    assert_eq!(importer.inspect(&folder("folder").entry).unwrap(), Fate::Kept);
    match importer.inspect(&file("folder/file", "").entry).unwrap() {
        Fate::Replaced(what) => assert!(what.starts_with("file, 12 B, modified 20"), "{what}"),
        fate => panic!("{fate:?}"),
    }
    assert!(matches!(importer.inspect(&file("folder", "").entry), Ok(Fate::Replaced(_))));
    assert_eq!(comparable(&export(&place.target()).given), before);
}

#[test]
fn bytes_beyond_the_length_are_refused() {
    let place = Place::new();
    let mut importer = FolderImporter::new(place.target(), replacing()).unwrap();
    let sink = importer.place(&file("file", "four").entry).unwrap().unwrap();
    assert_eq!(sink.write_at(2, b"abc").unwrap_err().kind(), ErrorKind::Damage);
    assert_eq!(sink.write_at(u64::MAX, b"abc").unwrap_err().kind(), ErrorKind::Damage);
    sink.write_at(0, b"four").unwrap();
    sink.finish().unwrap();
}

#[test]
fn attributes_that_make_no_sense_are_problems_only() {
    let place = Place::new();
    let mut odd = file("file", "x");
    let unix = odd.entry.unix.as_mut().unwrap();
    unix.mode = 0o7_777_644;
    unix.mtime.nanos = 1_073_741_822;
    unix.xattrs
        .push(restow::format::Xattr { name: b"no.such\0space"[..].into(), value: b""[..].into() });
    unix.xattrs.push(restow::format::Xattr { name: b"nonsense"[..].into(), value: b""[..].into() });
    let restored = import(&place.target(), &[odd], replacing());
    assert!(restored.errors.is_empty());
    let problems = restored.report.problems();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert_eq!(fs::read(place.target().join("file")).unwrap(), b"x");
}

#[test]
fn the_target_itself_must_be_a_folder() {
    let place = Place::new();
    let error = FolderImporter::new(place.outside().join("secret"), replacing()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Exists);
    symlink(place.target(), place.root.path().join("by link")).unwrap();
    let restored = import(&place.root.path().join("by link"), &[file("a", "x")], replacing());
    assert!(restored.errors.is_empty());
    assert_eq!(fs::read(place.target().join("a")).unwrap(), b"x");
}
