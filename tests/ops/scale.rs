//! Many files at once.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support::binary::{Bench, text};
use crate::support::model::noise;
use crate::support::skips::skip_part;
use crate::support::tree::{look, tells_every_change};

const FILES: usize = 50_000;

fn make_tree(root: &Path) {
    for number in 0..FILES {
        let folder = root.join(format!("d{}/e{}", number % 50, number % 400));
        if number < 400 {
            fs::create_dir_all(&folder).unwrap();
        }
        let file = folder.join(format!("file-{number}"));
        fs::write(&file, noise(number % 3000, number as u64 / 3)).unwrap();
        match number % 25 {
            0 => fs::set_permissions(&file, fs::Permissions::from_mode(0o4711)).unwrap(),
            1 => fs::hard_link(&file, folder.join(format!("hard-{number}"))).unwrap(),
            2 => symlink(format!("file-{number}"), folder.join(format!("soft-{number}"))).unwrap(),
            3 => {
                let time =
                    SystemTime::UNIX_EPOCH + Duration::new(number as u64 * 1000, 123_456_789);
                fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
            }
            4 => {
                // Not every file system keeps extended attributes: then there is none to compare.
                let flags = rustix::fs::XattrFlags::empty();
                let _ = rustix::fs::setxattr(&file, "user.number", &[number as u8; 9], flags);
            }
            _ => {}
        }
    }
}

#[test]
fn fifty_thousand_files_come_back_and_are_not_read_twice() {
    let bench = Bench::with_repository();
    // On the disk this was built on: what lies in memory is always read again.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let tree = folder.path().join("tree");
    make_tree(&tree);
    let before = look(&tree);
    assert!(before.len() > FILES);
    // Nobody writes to these any more.
    let args = ["backup", text(&tree), "--settle", "0"];
    let first = bench.json(&args);
    assert_eq!(first["manifest"]["incomplete"], false);
    let second = bench.json(&args);
    let counts = &second["manifest"]["statistics"];
    if tells_every_change(&tree) {
        assert_eq!(counts["read_bytes"], 0, "{counts}");
    } else {
        skip_part!("no change times that can be trusted on this file system");
    }
    assert_eq!(counts["new_chunks"], 0, "{counts}");
    assert_eq!(counts["metadata_stored_bytes"], 0, "the catalog is the same: {counts}");

    bench.ok(&["restore", second["id"].as_str().unwrap(), "--to", "out"]);
    assert!(look(&bench.path("out")) == before, "the restored tree differs");
    bench.ok(&["check", "--read-data"]);
}
