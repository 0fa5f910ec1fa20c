//! What a folder holds, read with the standard library only: the other side of a comparison.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub kind: &'static str,
    pub mode: u32,
    pub owner: (u32, u32),
    pub mtime: (i64, i64),
    /// Bytes of a file, target of a link.
    pub bytes: Vec<u8>,
    /// Names the file has, for files only.
    pub links: u64,
    pub rdev: u64,
    pub xattrs: Vec<(OsString, Vec<u8>)>,
}

/// Everything below a folder, and the folder itself under the empty path.
pub fn look(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen = BTreeMap::new();
    visit(root, Path::new(""), &mut seen);
    seen
}

fn visit(root: &Path, relative: &Path, seen: &mut BTreeMap<PathBuf, Seen>) {
    let path = if relative == Path::new("") { root.to_path_buf() } else { root.join(relative) };
    let metadata = std::fs::symlink_metadata(&path).unwrap();
    let file_type = metadata.file_type();
    let (kind, bytes) = if file_type.is_dir() {
        ("directory", Vec::new())
    } else if file_type.is_symlink() {
        ("symlink", std::fs::read_link(&path).unwrap().into_os_string().into_vec())
    } else if file_type.is_fifo() {
        ("fifo", Vec::new())
    } else if file_type.is_file() {
        ("file", std::fs::read(&path).unwrap())
    } else {
        ("special", Vec::new())
    };
    let is_special = kind == "special";
    let entry = Seen {
        kind,
        mode: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        mtime: (metadata.mtime(), metadata.mtime_nsec()),
        bytes,
        links: if kind == "file" { metadata.nlink() } else { 1 },
        rdev: if is_special { metadata.rdev() } else { 0 },
        xattrs: xattrs(&path),
    };
    seen.insert(relative.to_path_buf(), entry);
    if kind == "directory" {
        for child in std::fs::read_dir(&path).unwrap() {
            visit(root, &relative.join(child.unwrap().file_name()), seen);
        }
    }
}

fn xattrs(path: &Path) -> Vec<(OsString, Vec<u8>)> {
    let mut names = vec![0u8; 64 * 1024];
    let Ok(len) = rustix::fs::llistxattr(path, &mut names) else { return Vec::new() };
    names.truncate(len);
    let mut found: Vec<_> = names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let name = OsString::from_vec(name.to_vec());
            let mut value = vec![0u8; 64 * 1024];
            let len = rustix::fs::lgetxattr(path, &name, &mut value).unwrap_or(0);
            value.truncate(len);
            (name, value)
        })
        .collect();
    found.sort();
    found
}

/// Whether the times of a file tell every change here. In a container without a volume (overlayfs) they do not:
/// docs/decisions/0003-tokens.md.
pub fn tells_every_change(folder: &Path) -> bool {
    let kind = rustix::fs::statfs(folder).unwrap().f_type as u32;
    // ext, XFS, Btrfs: enough for a machine that tests are run on.
    [0xef53, 0x5846_5342, 0x9123_683e].contains(&kind)
}
