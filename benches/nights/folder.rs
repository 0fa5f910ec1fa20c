//! Folders: their size, a copy, what tells that two are the same.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// All files below, ordered.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    let below = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => files_below(&entry.path()),
        false => vec![entry.path()],
    };
    entries.into_iter().flat_map(below).collect()
}

/// Bytes in all files below.
pub fn bytes_below(folder: &Path) -> u64 {
    let len = |file: PathBuf| file.metadata().unwrap().len();
    files_below(folder).into_iter().map(len).sum()
}

/// The files directly in a folder, in a new one.
pub fn copy_files(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// The same for the same names and bytes. Of a SQLite database the counters do not count that a copy of its pages
/// sets anew.
pub fn fingerprint(folder: &Path) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for path in files_below(folder) {
        let mut file = File::open(&path).unwrap();
        let name = path.strip_prefix(folder).unwrap();
        hasher.update(blake3::hash(name.as_os_str().as_encoded_bytes()).as_bytes());
        hasher.update(&file.metadata().unwrap().len().to_le_bytes());
        if path.extension().is_some_and(|ending| ending == "db") {
            let mut header = [0; 100];
            file.read_exact(&mut header).unwrap();
            for counters in [24..28, 40..44, 92..100] {
                header[counters].fill(0);
            }
            hasher.update(&header);
        }
        hasher.update_reader(file).unwrap();
    }
    hasher.finalize()
}
