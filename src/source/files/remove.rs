//! Takes away what stands where an entry is to go.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Stat, fstat, unlinkat};
use rustix::io::{Errno, Result};

use super::attributes::file_type;
use super::beneath::{Beneath, open_directory};
use super::listing::Names;
use crate::progress::Cancel;

/// Removes `name`, a folder with all it contains. Symbolic links are removed, not followed, and nothing on
/// another file system is touched.
pub(super) fn remove(directory: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<()> {
    if file_type(stat) != FileType::Directory {
        return unlinkat(directory, name, AtFlags::empty());
    }
    match unlinkat(directory, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {
            empty(open_directory(directory, name)?, stat.st_dev)?;
            unlinkat(directory, name, AtFlags::REMOVEDIR)
        }
        result => result,
    }
}

fn empty(folder: OwnedFd, device: u64) -> Result<()> {
    if fstat(&folder)?.st_dev != device {
        return Err(Errno::XDEV);
    }
    let mut place = Beneath::new(folder);
    let mut names = vec![list(&place)?];
    while let Some(listing) = names.last_mut() {
        let Some(name) = listing.next() else {
            names.pop();
            if let Some(left) = place.leave() {
                place.reopen()?;
                unlinkat(place.current()?, &left, AtFlags::REMOVEDIR)?;
            }
            continue;
        };
        match unlinkat(place.current()?, name, AtFlags::empty()) {
            // Linux answers with the first, POSIX asks for the second.
            Err(Errno::ISDIR | Errno::PERM) => {
                if place.enter(name)?.st_dev != device {
                    return Err(Errno::XDEV);
                }
                names.push(list(&place)?);
            }
            Err(Errno::NOENT) => {}
            result => result?,
        }
    }
    Ok(())
}

fn list(place: &Beneath) -> Result<Names> {
    let (names, result) = Names::read(place.current()?, &Cancel::new());
    result.map(|()| names)
}
