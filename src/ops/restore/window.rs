//! Chunks wanted are gathered into lots: a bounded number of chunks and open files. While one is gathered, the
//! one before is fetched and written.

use crossbeam_channel::Sender;

use crate::format::{ChunkRef, EntryPath};
use crate::source::Sink;
use crate::store::{StoreError, Want};

use super::super::OpError;

/// Raw bytes wanted, chunks wanted and files opened in a lot. Three lots are under way at most.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
const WANTS_MAX: usize = 8192;
const FILES_MAX: usize = 128;

/// A file of the target, open.
pub(super) struct OpenFile {
    pub path: EntryPath,
    pub sink: Box<dyn Sink>,
}

/// Where a chunk goes: a file of the lot, by its number, and the place in it.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub file: usize,
    pub offset: u64,
}

/// What is fetched and written together. Files are numbered: first the one that the lot before left open, if
/// it did, then those this one opens.
#[derive(Default)]
pub(super) struct Lot {
    pub opened: Vec<OpenFile>,
    pub wants: Vec<Want<Target>>,
    /// Files the rest of which is lost.
    pub damaged: Vec<(usize, StoreError)>,
    /// The last file goes on in the next lot.
    pub last_stays_open: bool,
}

/// The lot being gathered.
pub(super) struct RestoreWindow {
    lots: Sender<Lot>,
    lot: Lot,
    files: usize,
    bytes: u64,
}

impl RestoreWindow {
    pub fn new(lots: Sender<Lot>) -> Self {
        Self { lots, lot: Lot::default(), files: 0, bytes: 0 }
    }

    pub fn open(&mut self, path: &EntryPath, sink: Box<dyn Sink>) -> Result<(), OpError> {
        if self.files >= FILES_MAX {
            self.send(false)?;
        }
        self.lot.opened.push(OpenFile { path: path.clone(), sink });
        self.files += 1;
        Ok(())
    }

    /// The next chunk of the file opened last.
    pub fn want(&mut self, chunk: ChunkRef, offset: u64) -> Result<(), OpError> {
        if self.bytes >= BYTES_MAX || self.lot.wants.len() >= WANTS_MAX {
            self.send(true)?;
        }
        let tag = Target { file: self.files.saturating_sub(1), offset };
        self.lot.wants.push(Want { id: chunk.id, len: chunk.len, tag });
        self.bytes += u64::from(chunk.len);
        Ok(())
    }

    /// The rest of the file opened last is lost.
    pub fn damaged(&mut self, error: StoreError) {
        self.lot.damaged.push((self.files.saturating_sub(1), error));
    }

    /// Every file has all its chunks.
    pub fn finish(mut self) -> Result<(), OpError> {
        self.send(false)
    }

    fn send(&mut self, last_stays_open: bool) -> Result<(), OpError> {
        let lot = Lot { last_stays_open, ..std::mem::take(&mut self.lot) };
        self.files = usize::from(last_stays_open);
        self.bytes = 0;
        // Whoever hung up says why.
        self.lots.send(lot).map_err(|_| OpError::Lost)
    }
}
