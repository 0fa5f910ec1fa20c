//! Where a file's bytes go.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate, fstat, ftruncate};
use rustix::io::{Result, pread, pwrite, retry_on_intr};

use super::apply::Context;
use super::failure::{failed, refused};
use super::state::size;
use crate::fault::ErrorKind;
use crate::format::{EntryPath, UnixAttributes};
use crate::source::{Sink, SourceError};

/// Zeros are left out, or punched out, in pieces of this size.
const PIECE: usize = 4096;
const ZEROS: [u8; PIECE] = [0; PIECE];

/// An open file of the target.
pub(super) struct FileSink {
    pub file: OwnedFd,
    pub path: EntryPath,
    /// Length of what was there before. Beyond it nothing was ever written.
    pub existing_len: u64,
    pub len: u64,
    pub unix: Option<UnixAttributes>,
    pub context: Arc<Context>,
}

impl FileSink {
    fn write(&self, mut offset: u64, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let count = retry_on_intr(|| pwrite(&self.file, bytes, offset))?;
            bytes = bytes.get(count..).unwrap_or_default();
            offset += count as u64;
        }
        Ok(())
    }

    fn write_sparsely(&self, mut offset: u64, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (len, is_zero) = run(offset, bytes);
            let (piece, rest) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
            if is_zero {
                self.clear(offset, piece)?;
            } else {
                self.write(offset, piece)?;
            }
            bytes = rest;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Makes `zeros` read as zeros: a hole where the file system can.
    fn clear(&self, offset: u64, zeros: &[u8]) -> Result<()> {
        if offset >= self.existing_len {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, flags, offset, zeros.len() as u64) {
            Ok(()) => Ok(()),
            Err(_) => self.write(offset, zeros),
        }
    }
}

/// How far `bytes`, which start at `offset`, are all zero or all to be written, in whole pieces of the file.
fn run(offset: u64, bytes: &[u8]) -> (usize, bool) {
    let into_piece = usize::try_from(offset % PIECE as u64).unwrap_or(0);
    let (mut end, mut run_is_zero) = (0, None);
    while end < bytes.len() {
        let piece_end = (end + PIECE - (into_piece + end) % PIECE).min(bytes.len());
        let piece = bytes.get(end..piece_end).unwrap_or_default();
        let is_zero = ZEROS.starts_with(piece);
        if *run_is_zero.get_or_insert(is_zero) != is_zero {
            break;
        }
        end = piece_end;
    }
    (end, run_is_zero.unwrap_or(false))
}

impl Sink for FileSink {
    fn existing_len(&self) -> u64 {
        self.existing_len
    }

    fn read_at(
        &self,
        mut offset: u64,
        mut buffer: &mut [u8],
    ) -> std::result::Result<bool, SourceError> {
        while !buffer.is_empty() {
            let count = retry_on_intr(|| pread(&self.file, &mut *buffer, offset))
                .map_err(|errno| failed("read", self.path.as_bytes(), errno))?;
            if count == 0 {
                return Ok(false);
            }
            buffer = buffer.get_mut(count..).unwrap_or_default();
            offset += count as u64;
        }
        Ok(true)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> std::result::Result<(), SourceError> {
        let end = offset.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            let message = "bytes beyond the length the snapshot gives";
            return Err(refused(ErrorKind::Damage, self.path.as_bytes(), message));
        }
        let is_sparse = self.unix.as_ref().is_some_and(|unix| unix.sparse);
        let result =
            if is_sparse { self.write_sparsely(offset, bytes) } else { self.write(offset, bytes) };
        result.map_err(|errno| failed("write", self.path.as_bytes(), errno))
    }

    fn finish(self: Box<Self>) -> std::result::Result<(), SourceError> {
        let path = self.path.as_bytes();
        let stat = fstat(&self.file).map_err(|errno| failed("look at", path, errno))?;
        if size(&stat) != self.len {
            ftruncate(&self.file, self.len)
                .map_err(|errno| failed("set the length of", path, errno))?;
        }
        if let Some(unix) = &self.unix {
            self.context.apply_to(&self.file, unix, path);
        }
        self.context.databases.look(&self.file, &self.path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn runs_follow_the_pieces_of_the_file() {
        let mut bytes = vec![0u8; 12_000];
        bytes[5000] = 1;
        assert_eq!(run(0, &bytes), (4096, true));
        assert_eq!(run(4096, &bytes[4096..]), (4096, false));
        assert_eq!(run(8192, &bytes[8192..]), (12_000 - 8192, true));
        // 96 bytes into a piece: the piece ends 4000 bytes later.
        assert_eq!(run(96, &bytes), (4000, true));
        assert_eq!(run(96, &bytes[4000..]), (4000, false));
        assert_eq!(run(0, &[1]), (1, false));
        assert_eq!(run(7, &[]), (0, false));
    }
}
