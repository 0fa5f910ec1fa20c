//! What the file system that a file lies on can be trusted with.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fstatfs, openat};
use rustix::io::Result;

/// File systems that keep a file's inode number and give it a new change time with every change. On any other
/// it is read each time: docs/decisions/0003-tokens.md says why so many are missing.
const EXACT: &[u32] = &[
    0x0000_ef53, // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683e, // Btrfs
    0xf2f5_2010, // F2FS
    0x2fc1_2fc1, // ZFS
    0xca45_1a4e, // bcachefs
    0x0000_6969, // NFS
];

/// File systems that have found room for what was written once `write` returns: what can still go wrong is the
/// disk itself.
const PROMPT: &[u32] = &[
    0x0000_ef53, // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683e, // Btrfs
    0xf2f5_2010, // F2FS
    0x2fc1_2fc1, // ZFS
    0xca45_1a4e, // bcachefs
    0x0102_1994, // tmpfs
];

/// Whether a write that fails fails at once. Servers, FUSE and layers may tell of it when a file is synced, or never.
pub(super) fn tells_at_once(folder: &OwnedFd) -> bool {
    fstatfs(folder).is_ok_and(|found| PROMPT.contains(&(found.f_type as u32)))
}

/// Whether the files of a device keep their inode numbers and show every change in a change time. Remembers
/// the device asked for last.
#[derive(Default)]
pub(super) struct Trust {
    last: Option<(u64, bool)>,
}

impl Trust {
    /// For the file `name` in `directory`, on `device`.
    pub fn is_exact(&mut self, directory: &OwnedFd, name: &CStr, device: u64) -> bool {
        match self.last {
            Some((known, is_exact)) if known == device => is_exact,
            _ => {
                let is_exact = is_exact(directory, name).unwrap_or(false);
                self.last = Some((device, is_exact));
                is_exact
            }
        }
    }
}

fn is_exact(directory: &OwnedFd, name: &CStr) -> Result<bool> {
    // A file can be a mount of its own.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::empty())?;
    let found = fstatfs(file.as_fd())?;
    // The type's width differs between machines; the numbers have 32 bits.
    Ok(EXACT.contains(&(found.f_type as u32)))
}
