//! The names in a directory, in catalog order.

use std::ffi::CStr;
use std::os::fd::AsFd;

use rustix::fs::RawDir;
use rustix::io::{Errno, Result};

use crate::progress::Cancel;

const READ_BUFFER: usize = 32 * 1024;

/// A directory's names, sorted. A million of them are one buffer and one list of places in it.
#[derive(Default)]
pub(super) struct Names {
    /// All names, each with its NUL.
    bytes: Vec<u8>,
    starts: Vec<usize>,
    next: usize,
}

impl Names {
    /// Reads and sorts the names in `directory`. What was read before an error is kept beside it.
    pub fn read(directory: impl AsFd, cancel: &Cancel) -> (Self, Result<()>) {
        let mut names = Self::default();
        let result = names.fill(directory, cancel);
        names.sort();
        (names, result)
    }

    /// A single name.
    pub fn one(name: &CStr) -> Self {
        let mut names = Self::default();
        names.push(name);
        names
    }

    pub fn next(&mut self) -> Option<&CStr> {
        let start = *self.starts.get(self.next)?;
        self.next += 1;
        self.at(start)
    }

    pub fn contains(&self, name: &[u8]) -> bool {
        let found = self.starts.binary_search_by(|start| {
            self.at(*start).map(CStr::to_bytes).unwrap_or_default().cmp(name)
        });
        found.is_ok()
    }

    /// Leaves out all names but `name`; how many went.
    pub fn keep_only(&mut self, name: &CStr) -> u64 {
        let before = self.starts.len();
        *self = if self.contains(name.to_bytes()) { Self::one(name) } else { Self::default() };
        u64::try_from(before - self.starts.len()).unwrap_or(u64::MAX)
    }

    fn at(&self, start: usize) -> Option<&CStr> {
        CStr::from_bytes_until_nul(self.bytes.get(start..)?).ok()
    }

    fn push(&mut self, name: &CStr) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(name.to_bytes_with_nul());
    }

    fn fill(&mut self, directory: impl AsFd, cancel: &Cancel) -> Result<()> {
        let mut buffer = Vec::with_capacity(READ_BUFFER);
        let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            if cancel.is_cancelled() {
                return Err(Errno::CANCELED);
            }
            let entry = entry?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b".." | b"") {
                self.push(name);
            }
        }
        Ok(())
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let name = |start: usize| {
            let tail = bytes.get(start..).unwrap_or_default();
            CStr::from_bytes_until_nul(tail).map(CStr::to_bytes).unwrap_or_default()
        };
        self.starts.sort_unstable_by(|a, b| name(*a).cmp(name(*b)));
        // A directory that changes while it is read may give a name twice.
        self.starts.dedup_by(|a, b| name(*a) == name(*b));
    }
}
