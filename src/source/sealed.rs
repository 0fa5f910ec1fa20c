//! Temporary files that nobody can change any more, read through memory maps.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};

use crate::limits::MIB;

/// Bytes mapped at once: a reader of a large file must not look as if it held the file in memory.
const WINDOW: u64 = 4 * MIB as u64;

/// A file without a name whose only descriptor is this one.
pub(super) struct SealedFile {
    file: File,
    len: u64,
}

impl SealedFile {
    /// Takes over a file that was unlinked, written by this process alone and is complete.
    pub fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Reads from the beginning. Several readers may read at once.
    pub fn reader(self: &Arc<Self>) -> SealedReader {
        SealedReader { file: Arc::clone(self), window: None, used: 0, end: 0 }
    }

    /// The file's bytes from `at`, a multiple of the page size. `None` at the file's end.
    #[allow(unsafe_code)]
    fn map(&self, at: u64) -> io::Result<Option<Mmap>> {
        let len = usize::try_from(self.len.saturating_sub(at).min(WINDOW)).unwrap_or_default();
        if len == 0 {
            return Ok(None);
        }
        let mut options = MmapOptions::new();
        options.offset(at).len(len);
        // SAFETY: the map is sound while nobody writes to or truncates the file. The file has no name, this is its
        // only descriptor, and no method gives it away.
        unsafe { options.map_copy_read_only(&self.file) }.map(Some)
    }

    #[cfg(test)]
    pub fn file_for_test(&self) -> &File {
        &self.file
    }
}

pub(super) struct SealedReader {
    file: Arc<SealedFile>,
    window: Option<Mmap>,
    /// Bytes of the window that were consumed.
    used: usize,
    /// Where the window ends in the file.
    end: u64,
}

impl BufRead for SealedReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.window.as_ref().is_none_or(|window| self.used >= window.len()) {
            // The old window goes before the new one comes.
            self.window = None;
            self.window = self.file.map(self.end)?;
            self.used = 0;
            self.end += self.window.as_ref().map_or(0, |window| window.len() as u64);
        }
        Ok(self.window.as_ref().and_then(|window| window.get(self.used..)).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.used += count;
    }
}

impl Read for SealedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_of_several_windows_is_read_whole_and_again() {
        for len in [0, 1, WINDOW as usize, WINDOW as usize * 2 + 77] {
            let bytes: Vec<u8> = (0..len).map(|at| (at / 1000) as u8).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let sealed = Arc::new(SealedFile::new(file).unwrap());
            assert_eq!(sealed.len(), len as u64);
            for _ in 0..2 {
                let (mut reader, mut found) = (sealed.reader(), Vec::new());
                reader.read_to_end(&mut found).unwrap();
                assert!(found == bytes);
                assert_eq!(reader.read(&mut [0]).unwrap(), 0);
            }
        }
    }
}
