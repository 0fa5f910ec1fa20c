//! Lots, one after the other: fetched together, written from all cores, complete files finished.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::Receiver;
use rayon::prelude::*;

use crate::chunk::chunk_id;
use crate::fault::ErrorKind;
use crate::progress::{Cancel, Event, Observer};
use crate::repo::SnapshotView;
use crate::source::SourceError;
use crate::store::{StoreError, Want};

use super::super::OpError;
use super::window::{Lot, OpenFile, Target};
use super::{RestoreReport, own, problem, stop_if};

/// Writes what others gather.
pub(super) struct Writing<'v> {
    view: &'v SnapshotView,
    observer: &'v dyn Observer,
    cancel: &'v Cancel,
    files: Vec<Written>,
    report: RestoreReport,
}

struct Written {
    file: OpenFile,
    /// Some of its bytes are lost.
    damaged: bool,
    /// It could not be written: it gets no attributes that would make it look whole.
    failed: bool,
}

/// What the worker threads found: the first trouble with each file.
#[derive(Default)]
struct Findings {
    failed: BTreeMap<usize, SourceError>,
    damaged: BTreeMap<usize, StoreError>,
    /// What everything would meet.
    general: Option<StoreError>,
}

impl<'v> Writing<'v> {
    pub fn new(view: &'v SnapshotView, observer: &'v dyn Observer, cancel: &'v Cancel) -> Self {
        Self { view, observer, cancel, files: Vec::new(), report: RestoreReport::default() }
    }

    /// Until the last lot. The report has what came of the bytes.
    pub fn run(mut self, lots: &Receiver<Lot>) -> Result<RestoreReport, OpError> {
        for lot in lots {
            stop_if(self.cancel)?;
            self.write(lot)?;
        }
        Ok(self.report)
    }

    fn write(&mut self, lot: Lot) -> Result<(), OpError> {
        let Lot { opened, wants, damaged, last_stays_open } = lot;
        self.files.extend(opened.into_iter().map(|file| Written {
            file,
            damaged: false,
            failed: false,
        }));
        let missing = self.differing(&wants)?;
        let total = |wants: &[Want<Target>]| wants.iter().map(|w| u64::from(w.len)).sum::<u64>();
        self.report.kept_bytes += total(&wants) - total(&missing);
        self.observer.on(Event::Bytes(total(&wants) - total(&missing)));

        let mut findings = self.fetch(&missing);
        if let Some(error) = findings.general {
            return Err(error.into());
        }
        for (at, error) in damaged {
            findings.damaged.entry(at).or_insert(error);
        }
        for (at, error) in findings.damaged {
            if let Some(file) = self.files.get_mut(at)
                && !std::mem::replace(&mut file.damaged, true)
            {
                self.report.damage(self.observer, problem(&file.file.path, &error));
            }
        }
        for (at, error) in findings.failed {
            if let Some(file) = self.files.get_mut(at) {
                let first = !std::mem::replace(&mut file.failed, true);
                let note = |problem| {
                    if first {
                        self.report.fail(self.observer, problem);
                    }
                };
                own::<()>(Err(error), &file.file.path, note)?;
            }
        }
        self.finish_complete(last_stays_open)
    }

    fn fetch(&self, missing: &[Want<Target>]) -> Findings {
        let findings = Mutex::new(Findings::default());
        self.view.reader().fetch(missing, &|target: Target, bytes| {
            let Some(file) = self.files.get(target.file) else { return };
            let result = match bytes {
                Ok(bytes) => {
                    self.observer.on(Event::Bytes(bytes.len() as u64));
                    file.file.sink.write_at(target.offset, bytes)
                }
                Err(error) if error.is_general() => {
                    lock(&findings).general.get_or_insert(error);
                    return;
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
        findings.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chunks that are not already where they belong.
    fn differing(&self, wants: &[Want<Target>]) -> Result<Vec<Want<Target>>, OpError> {
        if self.files.iter().all(|file| file.file.sink.existing_len() == 0) {
            return Ok(wants.to_vec());
        }
        let key = *self.view.reader().vault().keys().chunk_id();
        let differs = |buffer: &mut Vec<u8>, want: &Want<Target>| {
            let Some(Written { file, .. }) = self.files.get(want.tag.file) else { return Ok(true) };
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

    fn finish_complete(&mut self, last_stays_open: bool) -> Result<(), OpError> {
        let open = if last_stays_open { self.files.pop() } else { None };
        let done = std::mem::take(&mut self.files);
        self.files.extend(open);
        let finished: Vec<_> = done
            .into_par_iter()
            .map(|Written { file: OpenFile { path, sink }, failed, damaged }| {
                let result = match (failed, damaged) {
                    (true, _) => Ok(()),
                    (false, true) => sink.finish_damaged(),
                    (false, false) => sink.finish(),
                };
                self.observer.on(Event::Items(1));
                (path, damaged, result)
            })
            .filter(|(.., result)| result.is_err())
            .collect();
        for (path, damaged, result) in finished {
            match result {
                // Found only once it was whole.
                Err(error) if error.kind() == ErrorKind::Damage && !damaged => {
                    self.report.damage(self.observer, problem(&path, &error));
                }
                finished => {
                    own(finished, &path, |problem| self.report.fail(self.observer, problem))?;
                }
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
