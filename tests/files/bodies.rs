use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;

use restow::fault::ErrorKind;
use restow::progress::Cancel;
use restow::source::files::{FolderExporter, FolderOptions};
use restow::source::{BodyStatus, Exporter, Item, OpenBody, SourceError};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::support::*;

/// The body of the one file at `path`, not yet opened.
fn body(path: &Path) -> Box<dyn OpenBody> {
    let exporter = FolderExporter::new(path, FolderOptions::default()).unwrap();
    let mut session = exporter.open(&Cancel::new()).unwrap();
    match session.next().unwrap() {
        Some(Item::Entry(entry)) => entry.body.unwrap(),
        _ => panic!("no entry"),
    }
}

#[test]
fn changes_while_reading_are_seen() {
    let source = tempfile::tempdir().unwrap();
    for name in ["grows", "shrinks", "rewritten", "calm"] {
        write(source.path().join(name), vec![1; 100_000]);
        set_mtime(&source.path().join(name), 1_000_000_000, 0);
    }
    let exported = export_slowly(source.path(), FolderOptions::default(), |entry| {
        let path = source.path().join(entry.path.display());
        let mut file = File::options().append(true).open(&path);
        match entry.path.name() {
            b"grows" => file.as_mut().unwrap().write_all(b"more").unwrap(),
            b"shrinks" => file.unwrap().set_len(10).unwrap(),
            b"rewritten" => fs::write(path, vec![2; 100_000]).unwrap(),
            _ => {}
        }
    });
    assert_eq!(exported.problems, []);
    assert_eq!(exported.get("calm").status, Some(BodyStatus::Good));
    for name in ["grows", "shrinks", "rewritten"] {
        let status = exported.get(name).status.clone();
        assert!(matches!(status, Some(BodyStatus::Changed(_))), "{name}: {status:?}");
    }
    assert_eq!(exported.get("grows").bytes.len(), 100_000);
}

#[test]
fn what_vanishes_is_a_problem_and_the_rest_goes_on() {
    let source = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c/d", "e"] {
        write(source.path().join(name), "x");
    }
    let exported = export_slowly(source.path(), FolderOptions::default(), |entry| {
        if entry.path.name() == b"a" {
            fs::remove_file(source.path().join("b")).unwrap();
            fs::remove_dir_all(source.path().join("c")).unwrap();
        }
    });
    assert_eq!(exported.paths(), ["", "a", "e"]);
    assert!(exported.problem("b").contains("vanished"));
    assert!(exported.problem("c").contains("vanished"));
}

#[test]
fn a_file_gone_before_it_is_opened() {
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("file");
    write(&path, "x");
    let body = body(&path);
    fs::remove_file(&path).unwrap();
    let error = body.open().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("vanished"), "{error}");
}

#[test]
fn a_file_replaced_before_it_is_opened() {
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("file");
    write(source.path().join("secret"), "not to be read");
    let replace: [fn(&Path); 4] = [
        |path| symlink("secret", path).unwrap(),
        |path| mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap(),
        |path| fs::create_dir(path).unwrap(),
        |path| fs::hard_link(path.with_file_name("secret"), path).unwrap(),
    ];
    for replace in replace {
        write(&path, "x");
        let body = body(&path);
        fs::remove_file(&path).unwrap();
        replace(&path);
        let error = body.open().err().unwrap();
        assert!(matches!(error, SourceError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("replaced"), "{error}");
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir(&path);
    }
}

#[test]
fn read_errors_surface() {
    let mut body = body(Path::new("/proc/self/mem")).open().unwrap();
    assert!(body.read(&mut [0; 100]).is_err());
}

#[test]
fn what_the_kernel_makes_up_has_bytes_without_a_size() {
    let mut text = String::new();
    body(Path::new("/proc/version")).open().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("Linux"));
}

#[test]
fn holes_read_as_zeros_in_pieces_of_any_size() {
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("file");
    let file = File::create(&path).unwrap();
    for offset in [100_000u64, 100_003, 400_000, 999_990] {
        std::os::unix::fs::FileExt::write_all_at(&file, b"data", offset).unwrap();
    }
    file.set_len(2_000_000).unwrap();
    let expected = fs::read(&path).unwrap();
    for step in [1000, 4096, 65_537, 3_000_000] {
        let mut body = body(&path).open().unwrap();
        let (mut bytes, mut buffer) = (Vec::new(), vec![0xff; step]);
        loop {
            match body.read(&mut buffer).unwrap() {
                0 => break,
                count => bytes.extend_from_slice(&buffer[..count]),
            }
        }
        assert!(bytes == expected, "step {step}");
        assert_eq!(body.finish().unwrap().status, BodyStatus::Good);
    }
}

const MIB: u64 = 1024 * 1024;

/// A file of a gibibyte that is all hole but for its first bytes.
fn holey(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("holey");
    write(&path, "data");
    File::options().write(true).open(&path).unwrap().set_len(1024 * MIB).unwrap();
    path
}

/// Reads to the end, calling `between` after the first piece; gives up after a while.
fn read_all(body: &mut dyn restow::source::Body, between: impl FnOnce()) -> u64 {
    let (mut buffer, mut total, mut between) = (vec![0xff; 65_536], 0, Some(between));
    loop {
        let count = body.read(&mut buffer).unwrap() as u64;
        total += count;
        if let Some(between) = between.take() {
            between();
        }
        if count == 0 || total > 200 * MIB {
            return total;
        }
    }
}

fn set_len(path: &Path, len: u64) {
    File::options().write(true).open(path).unwrap().set_len(len).unwrap();
}

#[test]
fn a_file_with_holes_that_is_cut_off_ends_there() {
    let source = tempfile::tempdir().unwrap();
    let path = holey(source.path());
    let mut opened = body(&path).open().unwrap();
    set_len(&path, 10);
    assert_eq!(read_all(&mut *opened, || {}), 10);
    assert!(matches!(opened.finish().unwrap().status, BodyStatus::Changed(_)));

    // In the middle of a hole: what is left of it is not read to the end it once had.
    let path = holey(source.path());
    let mut opened = body(&path).open().unwrap();
    let total = read_all(&mut *opened, || set_len(&path, 0));
    assert!(total < 70 * MIB, "{total}");
    assert!(matches!(opened.finish().unwrap().status, BodyStatus::Changed(_)));
}

#[test]
fn a_file_with_holes_that_grows_has_the_length_it_was_opened_with() {
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("file");
    let make = || {
        write(&path, vec![1; 100_000]);
        set_len(&path, 10 * MIB);
    };
    for changed_before_opening in [false, true] {
        make();
        let body = body(&path);
        let change = || set_len(&path, 20 * MIB);
        if changed_before_opening {
            change();
        }
        let mut opened = body.open().unwrap();
        change();
        let len = if changed_before_opening { 20 * MIB } else { 10 * MIB };
        assert_eq!(read_all(&mut *opened, || {}), len);
        assert!(matches!(opened.finish().unwrap().status, BodyStatus::Changed(_)));
    }
}

/// Empty when it is opened, endless as it is read.
#[test]
fn a_file_that_grows_from_nothing_comes_to_an_end() {
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("file");
    write(&path, "");
    let mut opened = body(&path).open().unwrap();
    set_len(&path, 1 << 40);
    assert_eq!(read_all(&mut *opened, || {}), 64 * MIB);
    match opened.finish().unwrap().status {
        BodyStatus::Changed(what) => assert!(what.contains("left out"), "{what}"),
        BodyStatus::Good => panic!("a part is not the whole"),
    }
}

#[test]
fn reading_leaves_no_trace() {
    let source = tempfile::tempdir().unwrap();
    write(source.path().join("folder/file"), "x");
    let ago = 1_000_000_000;
    set_mtime(&source.path().join("folder/file"), ago, 0);
    set_mtime(&source.path().join("folder"), ago, 0);
    export(source.path());
    for name in ["folder", "folder/file"] {
        let atime =
            std::os::unix::fs::MetadataExt::atime(&fs::metadata(source.path().join(name)).unwrap());
        assert_eq!(atime, ago, "{name}");
    }
}
