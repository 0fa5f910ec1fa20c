//! A bounded number of chunks and open files at a time: fetched together, written from all cores.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::chunk::chunk_id;
use crate::fault::ErrorKind;
use crate::format::{ChunkRef, EntryPath};
use crate::progress::{Event, Observer};
use crate::repo::SnapshotView;
use crate::source::{Sink, SourceError};
use crate::store::{StoreError, Want};

use super::super::OpError;
use super::{RestoreReport, own, problem};

/// Raw bytes wanted, chunks wanted and files open before a window is fetched.
const BYTES_MAX: u64 = 32 * 1024 * 1024;
const WANTS_MAX: usize = 8192;
const FILES_MAX: usize = 256;

struct OpenFile {
    path: EntryPath,
    sink: Box<dyn Sink>,
    /// All its chunks are wanted already.
    complete: bool,
    /// Some of its bytes are lost.
    damaged: bool,
    /// It could not be written: it gets no attributes that would make it look whole.
    failed: bool,
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

/// What the worker threads found: the first trouble with each file.
#[derive(Default)]
struct Findings {
    failed: BTreeMap<usize, SourceError>,
    damaged: BTreeMap<usize, StoreError>,
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
        let path = path.clone();
        self.files.push(OpenFile { path, sink, complete: false, damaged: false, failed: false });
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

    /// The rest of the file opened last is lost.
    pub fn damaged(&mut self, error: &StoreError, report: &mut RestoreReport) {
        if let Some(file) = self.files.last_mut() {
            file.note_damage(error, self.observer, report);
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
                    lock(&findings).damaged.entry(target.file).or_insert(error);
                    return;
                }
            };
            if let Err(error) = result {
                lock(&findings).failed.entry(target.file).or_insert(error);
            }
        });
        let findings = findings.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (at, error) in findings.damaged {
            if let Some(file) = self.files.get_mut(at) {
                file.note_damage(&error, self.observer, report);
            }
        }
        for (at, error) in findings.failed {
            if let Some(file) = self.files.get_mut(at) {
                file.note_failure(error, self.observer, report)?;
            }
        }
        self.finish_complete(report)
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
            match file.sink.read_at(want.tag.offset, buffer) {
                Ok(whole) => Ok(!whole || chunk_id(&key, buffer) != want.id),
                Err(error) if error.is_fatal() => Err(OpError::from(error)),
                // Writing will tell what is the matter with it.
                Err(_) => Ok(true),
            }
        };
        wants
            .par_iter()
            .map_init(Vec::new, |buffer, want| Ok(differs(buffer, want)?.then_some(*want)))
            .filter_map(Result::transpose)
            .collect()
    }

    fn finish_complete(&mut self, report: &mut RestoreReport) -> Result<(), OpError> {
        let files = std::mem::take(&mut self.files);
        let (done, open): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.complete);
        self.files = open;
        for file in done {
            self.observer.on(Event::Items(1));
            if file.failed {
                continue;
            }
            match file.sink.finish() {
                // Found only once it was whole.
                Err(error) if error.kind() == ErrorKind::Damage && !file.damaged => {
                    report.damage(self.observer, problem(&file.path, &error));
                }
                finished => {
                    let note = |problem| report.fail(self.observer, problem);
                    own(finished, &file.path, note)?;
                }
            }
        }
        Ok(())
    }
}

impl OpenFile {
    fn note_damage(
        &mut self,
        error: &StoreError,
        observer: &dyn Observer,
        report: &mut RestoreReport,
    ) {
        if !std::mem::replace(&mut self.damaged, true) {
            report.damage(observer, problem(&self.path, error));
        }
    }

    fn note_failure(
        &mut self,
        error: SourceError,
        observer: &dyn Observer,
        report: &mut RestoreReport,
    ) -> Result<(), OpError> {
        let first = !std::mem::replace(&mut self.failed, true);
        let note = |problem| {
            if first {
                report.fail(observer, problem)
            }
        };
        own::<()>(Err(error), &self.path, note).map(drop)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
