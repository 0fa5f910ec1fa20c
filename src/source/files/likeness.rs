//! What is at an entry's place, compared with the entry.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::fs::{FileType, Stat, makedev, readlinkat};

use super::attributes::file_type;
use super::state::{mtime, size};
use crate::format::{Entry, EntryKind};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Nothing would be lost: a file of the same size and time, a folder, the same link or device.
    Same,
    /// A file with other content.
    OtherContent,
    OtherKind,
}

pub(super) fn likeness(
    entry: &Entry,
    directory: BorrowedFd<'_>,
    name: &CStr,
    stat: &Stat,
) -> Likeness {
    let same = |is_same: bool| if is_same { Likeness::Same } else { Likeness::OtherKind };
    match (&entry.kind, file_type(stat)) {
        (EntryKind::File | EntryKind::Stream { .. }, FileType::RegularFile) => {
            let has_time = entry.unix.as_ref().is_some_and(|unix| unix.mtime == mtime(stat));
            if has_time && size(stat) == entry.len() {
                Likeness::Same
            } else {
                Likeness::OtherContent
            }
        }
        (EntryKind::Symlink { target }, FileType::Symlink) => same(
            readlinkat(directory, name, Vec::new())
                .is_ok_and(|found| *found.as_bytes() == **target),
        ),
        (EntryKind::CharDevice { major, minor }, FileType::CharacterDevice)
        | (EntryKind::BlockDevice { major, minor }, FileType::BlockDevice) => {
            same(stat.st_rdev == makedev(*major, *minor))
        }
        (EntryKind::Directory, FileType::Directory) | (EntryKind::Fifo, FileType::Fifo) => {
            Likeness::Same
        }
        _ => Likeness::OtherKind,
    }
}

/// What would be lost, in words.
pub(super) fn describe(stat: &Stat) -> String {
    let modified = Timestamp::from_second(mtime(stat).seconds).map_or_else(
        |_| "at an unknown time".to_owned(),
        |time| time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    );
    let what = match file_type(stat) {
        FileType::Directory => "folder and all it contains",
        FileType::RegularFile => {
            return format!("file, {}, modified {modified}", amount(size(stat)));
        }
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "FIFO",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        FileType::Unknown => "something",
    };
    format!("{what}, modified {modified}")
}

fn amount(bytes: u64) -> String {
    let (mut left, mut unit) = (bytes, "B");
    for larger in ["kB", "MB", "GB", "TB", "PB"] {
        if left < 1000 {
            break;
        }
        (left, unit) = ((left + 500) / 1000, larger);
    }
    format!("{left} {unit}")
}
