//! What the file system that a file lies on can be trusted with.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fstatfs, openat};
use rustix::io::Result;

/// What is known of a file system. Of others nothing is: docs/decisions/0003-tokens.md says why so many are missing.
struct Known {
    magic: u32,
    /// It keeps a file's inode number and gives it a new change time with every change. Where it does not, files are
    /// read each time.
    exact: bool,
    /// It has found room for what was written once `write` returns: what can still go wrong is the disk itself.
    prompt: bool,
}

const KNOWN: &[Known] = &[
    Known { magic: 0x0000_ef53, exact: true, prompt: true }, // ext2, ext3, ext4
    Known { magic: 0x5846_5342, exact: true, prompt: true }, // XFS
    Known { magic: 0x9123_683e, exact: true, prompt: true }, // Btrfs
    Known { magic: 0xf2f5_2010, exact: true, prompt: true }, // F2FS
    Known { magic: 0x2fc1_2fc1, exact: true, prompt: true }, // ZFS
    Known { magic: 0xca45_1a4e, exact: true, prompt: true }, // bcachefs
    Known { magic: 0x0000_6969, exact: true, prompt: false }, // NFS
    Known { magic: 0x0102_1994, exact: false, prompt: true }, // tmpfs
];

fn known(of: impl AsFd) -> Result<Option<&'static Known>> {
    // The type's width differs between machines; the numbers have 32 bits.
    let magic = fstatfs(of)?.f_type as u32;
    Ok(KNOWN.iter().find(|known| known.magic == magic))
}

/// Whether a write that fails fails at once. Servers, FUSE and layers may tell of it when a file is synced, or never.
pub(super) fn tells_at_once(folder: &OwnedFd) -> bool {
    known(folder).is_ok_and(|known| known.is_some_and(|known| known.prompt))
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
    Ok(known(file)?.is_some_and(|known| known.exact))
}
