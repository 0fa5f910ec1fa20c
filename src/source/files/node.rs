//! Extended attributes, owner, mode and time of something held open, or of a name that is not followed.

use std::ffi::{CStr, CString};
use std::fmt::Write as _;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chmodat, chownat,
    fchmod, fchown, fgetxattr, flistxattr, fremovexattr, fsetxattr, futimens, getxattr, lgetxattr,
    listxattr, llistxattr, removexattr, setxattr, utimensat,
};
use rustix::io::{Errno, Result};

use super::beneath::c_name;
use crate::format::Time;

/// Most attributes are small; the kernel's own bound for lists and values is 64 KiB.
const SMALL: usize = 256;
const LARGE: usize = 64 * 1024;

/// Something with attributes.
pub(super) enum Node<'a> {
    /// Open for reading or writing.
    Open(BorrowedFd<'a>),
    /// Held by a descriptor that allows nothing itself (`O_PATH`): devices and links, which must not be
    /// opened, are reached through the process's own descriptor table.
    Held(CString),
    /// A name in a held directory. Only for reading: the name may come to mean something else.
    Named(CString),
}

impl<'a> Node<'a> {
    pub fn held(descriptor: BorrowedFd<'a>) -> Self {
        Self::Held(proc_path(descriptor, None))
    }

    pub fn named(directory: BorrowedFd<'a>, name: &CStr) -> Self {
        Self::Named(proc_path(directory, Some(name)))
    }

    /// The names of the extended attributes.
    pub fn xattr_names(&self) -> Result<Vec<Vec<u8>>> {
        let list = growing(|buffer| match self {
            Self::Open(descriptor) => flistxattr(descriptor, spare_capacity(buffer)),
            Self::Held(path) => listxattr(path.as_c_str(), spare_capacity(buffer)),
            Self::Named(path) => llistxattr(path.as_c_str(), spare_capacity(buffer)),
        })?;
        let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(<[u8]>::to_vec).collect())
    }

    pub fn xattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        let name = c_name(name)?;
        growing(|buffer| match self {
            Self::Open(descriptor) => fgetxattr(descriptor, &name, spare_capacity(buffer)),
            Self::Held(path) => getxattr(path.as_c_str(), &name, spare_capacity(buffer)),
            Self::Named(path) => lgetxattr(path.as_c_str(), &name, spare_capacity(buffer)),
        })
    }

    pub fn set_xattr(&self, name: &[u8], value: &[u8]) -> Result<()> {
        let name = c_name(name)?;
        match self {
            Self::Open(descriptor) => fsetxattr(descriptor, &name, value, XattrFlags::empty()),
            Self::Held(path) => setxattr(path.as_c_str(), &name, value, XattrFlags::empty()),
            Self::Named(_) => Err(Errno::BADF),
        }
    }

    pub fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        let name = c_name(name)?;
        match self {
            Self::Open(descriptor) => fremovexattr(descriptor, &name),
            Self::Held(path) => removexattr(path.as_c_str(), &name),
            Self::Named(_) => Err(Errno::BADF),
        }
    }

    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        match self {
            Self::Open(descriptor) => fchown(descriptor, uid, gid),
            Self::Held(path) => chownat(CWD, path, uid, gid, AtFlags::empty()),
            Self::Named(_) => Err(Errno::BADF),
        }
    }

    pub fn set_mode(&self, mode: u32) -> Result<()> {
        let mode = Mode::from_raw_mode(mode);
        match self {
            Self::Open(descriptor) => fchmod(descriptor, mode),
            Self::Held(path) => chmodat(CWD, path, mode, AtFlags::empty()),
            Self::Named(_) => Err(Errno::BADF),
        }
    }

    pub fn set_mtime(&self, time: Time) -> Result<()> {
        // Nanoseconds beyond a second have meanings of their own to the kernel.
        if time.nanos >= 1_000_000_000 {
            return Err(Errno::INVAL);
        }
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: time.seconds, tv_nsec: time.nanos.into() },
        };
        match self {
            Self::Open(descriptor) => futimens(descriptor, &times),
            Self::Held(path) => utimensat(CWD, path, &times, AtFlags::empty()),
            Self::Named(_) => Err(Errno::BADF),
        }
    }
}

fn proc_path(descriptor: BorrowedFd<'_>, name: Option<&CStr>) -> CString {
    let mut path = String::with_capacity(24);
    // Writing to a string does not fail.
    let _ = write!(path, "/proc/self/fd/{}", descriptor.as_raw_fd());
    let mut path = path.into_bytes();
    if let Some(name) = name {
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
    }
    CString::new(path).unwrap_or_default()
}

fn growing(mut read: impl FnMut(&mut Vec<u8>) -> Result<usize>) -> Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(SMALL);
    match read(&mut buffer) {
        Err(Errno::RANGE) => {}
        result => return result.map(|_| buffer),
    }
    buffer = Vec::with_capacity(LARGE);
    read(&mut buffer)?;
    buffer.shrink_to_fit();
    Ok(buffer)
}
