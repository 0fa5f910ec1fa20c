//! A bounded number of chunks and open files at a time: fetched together, written from all cores.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::chunk::chunk_id;
use crate::fault::ErrorKind;
use crate::format::{Bytes, ChunkRef, EntryPath, Problem};
use crate::limits::PROBLEMS_MAX;
use crate::progress::{Event, Observer};
use crate::repo::SnapshotView;
use crate::source::{Sink, SourceError};
use crate::store::{StoreError, Want};

use super::super::OpError;
use super::RestoreReport;

/// Raw bytes wanted, chunks wanted and files open before a window is fetched.
const BYTES_MAX: u64 = 32 * 1024 * 1024;
const WANTS_MAX: usize = 8192;
const FILES_MAX: usize = 256;

struct OpenFile {
    path: EntryPath,
    sink: Box<dyn Sink>,
    /// All its chunks are wanted already.
    complete: bool,
}

#[derive(Clone, Copy)]
struct Target {
    file: usize,
    offset: u64,
}

pub(super) struct Window<'v> {
    view: &'v SnapshotView,
    observer: &'v dyn Observer,
    files: Vec<OpenFile>,
    wants: Vec<Want<Target>>,
    bytes: u64,
}

/// What the worker threads found. The first write error ends the restore.
#[derive(Default)]
struct Findings {
    failed: Option<SourceError>,
    damaged: Vec<(usize, StoreError)>,
}

impl<'v> Window<'v> {
    pub fn new(view: &'v SnapshotView, observer: &'v dyn Observer) -> Self {
        Self { view, observer, files: Vec::new(), wants: Vec::new(), bytes: 0 }
    }

    pub fn open(
        &mut self,
        path: &EntryPath,
        sink: Box<dyn Sink>,
        report: &mut RestoreReport,
    ) -> Result<(), OpError> {
        if self.files.len() >= FILES_MAX {
            self.flush(report)?;
        }
        self.files.push(OpenFile { path: path.clone(), sink, complete: false });
        Ok(())
    }

    /// The next chunk of the file opened last.
    pub fn want(
        &mut self,
        chunk: ChunkRef,
        offset: u64,
        report: &mut RestoreReport,
    ) -> Result<(), OpError> {
        if self.bytes >= BYTES_MAX || self.wants.len() >= WANTS_MAX {
            self.flush(report)?;
        }
        let file = self.files.len().saturating_sub(1);
        let tag = Target { file, offset };
        self.wants.push(Want { id: chunk.id, len: chunk.len, tag });
        self.bytes += u64::from(chunk.len);
        Ok(())
    }

    /// The file opened last has all its chunks.
    pub fn close(&mut self) {
        if let Some(file) = self.files.last_mut() {
            file.complete = true;
        }
    }

    /// Fetches and writes what is wanted; finishes the files that are complete.
    pub fn flush(&mut self, report: &mut RestoreReport) -> Result<(), OpError> {
        let wants = std::mem::take(&mut self.wants);
        self.bytes = 0;
        let missing = self.differing(&wants)?;
        let total = |wants: &[Want<Target>]| wants.iter().map(|w| u64::from(w.len)).sum::<u64>();
        report.kept_bytes += total(&wants) - total(&missing);
        self.observer.on(Event::Bytes(total(&wants) - total(&missing)));

        let findings = Mutex::new(Findings::default());
        let files = &self.files;
        let observer = self.observer;
        self.view.reader().fetch(&missing, &|target: Target, bytes| {
            let Some(file) = files.get(target.file) else { return };
            let result = match bytes {
                Ok(bytes) => {
                    observer.on(Event::Bytes(bytes.len() as u64));
                    file.sink.write_at(target.offset, bytes)
                }
                Err(error) => {
                    lock(&findings).damaged.push((target.file, error));
                    return;
                }
            };
            if let Err(error) = result {
                lock(&findings).failed.get_or_insert(error);
            }
        });
        let findings = findings.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = findings.failed {
            return Err(error.into());
        }
        for (file, error) in &findings.damaged {
            if let Some(file) = self.files.get(*file) {
                self.damaged(report, &file.path, error);
            }
        }
        self.finish_complete(report)
    }

    /// Says that an entry cannot be had whole.
    pub fn damaged(&self, report: &mut RestoreReport, path: &EntryPath, error: &dyn Display) {
        let message = error.to_string();
        self.observer.on(Event::Problem { path: path.as_bytes(), message: &message });
        report.damaged_count += 1;
        if report.damaged.len() < PROBLEMS_MAX {
            let path = Bytes::from(path.as_bytes());
            report.damaged.push(Problem { path, message });
        }
    }

    /// Chunks that are not already where they belong.
    fn differing(&self, wants: &[Want<Target>]) -> Result<Vec<Want<Target>>, OpError> {
        if self.files.iter().all(|file| file.sink.existing_len() == 0) {
            return Ok(wants.to_vec());
        }
        let key = *self.view.reader().vault().keys().chunk_id();
        let differs = |buffer: &mut Vec<u8>, want: &Want<Target>| {
            let Some(file) = self.files.get(want.tag.file) else { return Ok(true) };
            let end = want.tag.offset + u64::from(want.len);
            if file.sink.existing_len() < end {
                return Ok(true);
            }
            buffer.resize(want.len as usize, 0);
            let whole = file.sink.read_at(want.tag.offset, buffer)?;
            Ok::<bool, OpError>(!whole || chunk_id(&key, buffer) != want.id)
        };
        wants
            .par_iter()
            .map_init(Vec::new, |buffer, want| Ok(differs(buffer, want)?.then_some(*want)))
            .filter_map(Result::transpose)
            .collect()
    }

    /// What is found to be broken only once it is whole is one entry's damage: the others are still saved.
    fn finish_complete(&mut self, report: &mut RestoreReport) -> Result<(), OpError> {
        let files = std::mem::take(&mut self.files);
        let (done, open): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.complete);
        self.files = open;
        for file in done {
            match file.sink.finish() {
                Err(error) if error.kind() == ErrorKind::Damage => {
                    self.damaged(report, &file.path, &error);
                }
                finished => finished?,
            }
            self.observer.on(Event::Items(1));
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
