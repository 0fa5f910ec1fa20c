//! The bytes of a file.

use std::ffi::CString;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Advice, FileType, OFlags, SeekFrom, fadvise, fstat, seek};
use rustix::io::{Errno, pread, retry_on_intr};

use super::attributes::{file_type, is_sparse};
use super::beneath::open_quietly;
use super::failure::{failed, refused};
use super::state::{FileState, size};
use crate::fault::ErrorKind;
use crate::format::EntryPath;
use crate::source::{Body, BodyEnd, BodyStatus, OpenBody, SourceError};

/// Files from here on are worth telling the kernel that they are read from end to end.
const LONG: u64 = 1024 * 1024;

/// Most that is read of a file that has no size: what the kernel makes up as it is read is shorter, and a
/// file that grows from nothing while it is read comes to an end.
const SIZELESS_MAX: u64 = 64 * 1024 * 1024;

/// So far into a hole, the file is looked at again.
const HOLE_MAX: u64 = 64 * 1024 * 1024;

/// A file as the walk saw it.
pub(super) struct FileBody {
    pub directory: Arc<OwnedFd>,
    pub name: CString,
    pub path: EntryPath,
    pub seen: FileState,
}

impl OpenBody for FileBody {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        let path = self.path.as_bytes();
        // A file that became a FIFO must not keep us waiting.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file =
            open_quietly(&self.directory, &self.name, flags).map_err(|errno| match errno {
                Errno::NOENT => refused(ErrorKind::NotFound, path, "vanished before it was read"),
                Errno::LOOP => refused(ErrorKind::Failed, path, REPLACED),
                errno => failed("open", path, errno),
            })?;
        let stat = fstat(&file).map_err(|errno| failed("look at", path, errno))?;
        let now = FileState::of(&stat);
        if file_type(&stat) != FileType::RegularFile || now.identity != self.seen.identity {
            return Err(refused(ErrorKind::Failed, path, REPLACED));
        }
        if now.size >= LONG {
            // Advice only: whether it is taken changes nothing.
            let _ = fadvise(&file, 0, None, Advice::Sequential);
        }
        let has_runs = is_sparse(&stat) && now.size == self.seen.size;
        Ok(Box::new(OpenFile {
            file,
            path: self.path,
            seen: self.seen,
            limit: if now.size == 0 { SIZELESS_MAX } else { now.size },
            offset: 0,
            run: has_runs.then_some(Run { end: 0, is_hole: false }),
        }))
    }
}

const REPLACED: &str = "replaced by something else before it was read";

/// A file being read.
struct OpenFile {
    file: OwnedFd,
    path: EntryPath,
    seen: FileState,
    /// Its size when it was opened: a file that grows faster than it is read still comes to an end.
    limit: u64,
    offset: u64,
    /// Where we are in a file with holes.
    run: Option<Run>,
}

#[derive(Clone, Copy)]
struct Run {
    end: u64,
    is_hole: bool,
}

impl OpenFile {
    /// The run that `offset` lies in. A file system that knows no holes has one run of data; so has a file
    /// that no longer has the size it was opened with, and reading tells where that ends.
    fn run_at(&self, offset: u64) -> Run {
        let rest = Run { end: self.limit, is_hole: false };
        let hole_up_to = |end: u64| Run {
            end: end.min(self.limit).min(offset.saturating_add(HOLE_MAX)),
            is_hole: true,
        };
        let run = match seek(&self.file, SeekFrom::Data(offset)) {
            Ok(data) if data > offset => hole_up_to(data),
            Ok(_) => match seek(&self.file, SeekFrom::Hole(offset)) {
                Ok(hole) if hole > offset => Run { end: hole.min(self.limit), is_hole: false },
                _ => rest,
            },
            Err(Errno::NXIO) => hole_up_to(self.limit),
            Err(_) => rest,
        };
        // Asked afterwards: behind the end of a file that was cut off, all looks like a hole.
        match fstat(&self.file) {
            Ok(stat) if size(&stat) == self.limit => run,
            _ => rest,
        }
    }

    fn advance(&mut self, count: usize) -> usize {
        self.offset = self.offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        count
    }
}

impl Read for OpenFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (mut end, mut in_hole) = (self.limit, false);
        if let Some(mut run) = self.run
            && self.offset < end
        {
            if self.offset >= run.end {
                run = self.run_at(self.offset);
                self.run = Some(run);
            }
            (end, in_hole) = (run.end, run.is_hole);
        }
        let left = usize::try_from(end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let Some(buffer) = buffer.get_mut(..wanted).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        if in_hole {
            buffer.fill(0);
            return Ok(self.advance(wanted));
        }
        let count = retry_on_intr(|| pread(&self.file, &mut *buffer, self.offset))?;
        Ok(self.advance(count))
    }
}

impl Body for OpenFile {
    fn finish(self: Box<Self>) -> Result<BodyEnd, SourceError> {
        let path = self.path.as_bytes();
        let stat = fstat(&self.file).map_err(|errno| failed("look at", path, errno))?;
        let now = FileState::of(&stat);
        if self.seen.size == 0 && self.limit == SIZELESS_MAX && self.offset == self.limit {
            let what =
                format!("has no size and more than {SIZELESS_MAX} bytes: the rest is left out");
            return Ok(BodyStatus::Changed(what).into());
        }
        if now == self.seen {
            return Ok(BodyEnd::good());
        }
        let what = if now.size == self.seen.size {
            "changed while it was read".to_owned()
        } else {
            format!("changed while it was read: {} bytes, then {}", self.seen.size, now.size)
        };
        Ok(BodyStatus::Changed(what).into())
    }
}
