//! What the file system that a file lies on can be trusted with.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fstatfs, openat};
use rustix::io::Result;

/// File systems that say too little of whether a file is still the same: those in memory count inodes anew
/// after every mount, FAT has no change times, and what runs in user space may make up both.
const VAGUE: &[u32] = &[
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x0000_4d44, // FAT
    0x2011_bab0, // exFAT
    0x6573_5546, // FUSE
];

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
    Ok(!VAGUE.contains(&(found.f_type as u32)))
}
