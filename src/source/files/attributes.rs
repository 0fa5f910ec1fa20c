//! What a file system knows of an entry, as the catalog keeps it.

use rustix::fs::{FileType, Stat, major, minor};
use rustix::io::Errno;

use super::failure::words;
use super::node::Node;
use super::state::{link_count, mtime, size};
use crate::format::{EntryKind, LinkGroup, UnixAttributes, Xattr};
use crate::source::accounts::Accounts;

/// Together no entry's attributes exceed this: an entry must fit a catalog node with room to spare.
const XATTRS_MAX: usize = 1024 * 1024;

pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The kind of what is no symbolic link. None for what no Unix has.
pub(super) fn kind(stat: &Stat) -> Option<EntryKind> {
    let (major, minor) = (major(stat.st_rdev), minor(stat.st_rdev));
    Some(match file_type(stat) {
        FileType::Directory => EntryKind::Directory,
        FileType::RegularFile => EntryKind::File,
        FileType::Fifo => EntryKind::Fifo,
        FileType::Socket => EntryKind::Socket,
        FileType::CharacterDevice => EntryKind::CharDevice { major, minor },
        FileType::BlockDevice => EntryKind::BlockDevice { major, minor },
        FileType::Symlink | FileType::Unknown => return None,
    })
}

pub(in crate::source) fn unix(
    stat: &Stat,
    accounts: &Accounts,
    xattrs: Vec<Xattr>,
) -> UnixAttributes {
    let is_directory = file_type(stat) == FileType::Directory;
    let names = link_count(stat);
    UnixAttributes {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        user: accounts.user(stat.st_uid),
        group: accounts.group(stat.st_gid),
        mtime: mtime(stat),
        xattrs,
        link: (names > 1 && !is_directory).then_some(LinkGroup {
            device: stat.st_dev,
            inode: stat.st_ino,
            names,
        }),
        sparse: is_sparse(stat),
    }
}

pub(super) fn is_sparse(stat: &Stat) -> bool {
    let stored = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
    file_type(stat) == FileType::RegularFile && stored < size(stat)
}

/// The extended attributes, sorted by name, and what could not be read of them.
pub(super) fn xattrs(node: &Node<'_>) -> (Vec<Xattr>, Vec<String>) {
    let mut names = match node.xattr_names() {
        Ok(names) => names,
        // Not supported, or the entry is gone: its own stat will tell.
        Err(Errno::NOTSUP | Errno::NODATA | Errno::NOENT) => Vec::new(),
        Err(errno) => {
            return (Vec::new(), vec![format!("cannot list attributes: {}", words(errno))]);
        }
    };
    names.sort_unstable();
    let (mut found, mut problems, mut total) = (Vec::new(), Vec::new(), 0);
    for name in names {
        let value = match node.xattr(&name) {
            Ok(value) => value,
            Err(Errno::NOTSUP | Errno::NODATA | Errno::NOENT) => continue,
            Err(errno) => {
                let name = String::from_utf8_lossy(&name);
                problems.push(format!("cannot read attribute {name}: {}", words(errno)));
                continue;
            }
        };
        total += name.len() + value.len();
        if total > XATTRS_MAX {
            problems.push(format!("attributes beyond {XATTRS_MAX} bytes are left out"));
            break;
        }
        found.push(Xattr { name: name.into(), value: value.into() });
    }
    (found, problems)
}
