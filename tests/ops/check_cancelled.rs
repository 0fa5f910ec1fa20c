//! A check that is told to stop stops, wherever it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use restow::fault::ErrorKind;
use restow::ops::{CheckOptions, check};
use restow::progress::{Cancel, Event, Observer, Phase, Silent};
use restow::repo::Repository;
use restow::storage::Memory;

use crate::support::faulty::Call;
use crate::support::hooked::Hooked;
use crate::support::memory_source::MemorySource;
use crate::support::model::{noise, path};
use crate::support::{back_up, memory_repository, open, small_chunks, try_open};

/// One snapshot: files with recipes of several nodes, in several packs.
fn filled() -> Memory {
    let mut options = small_chunks();
    options.pack_target = 8 << 20;
    let storage = memory_repository(&options);
    let files = (0..4).map(|n| (path(&format!("f{n}")), noise(5 << 20, n))).collect();
    back_up(&open(storage.clone()), &[&MemorySource::new(files)]).unwrap();
    storage
}

/// Says stop at one of its reading calls, and counts them. Opens without being counted, so that call 0 is the check's first.
fn stopping(storage: &Memory, at: u64) -> (Repository, Cancel, Arc<AtomicU64>) {
    let (cancel, calls) = (Cancel::new(), Arc::new(AtomicU64::new(u64::MAX / 2)));
    let (stop, counter) = (cancel.clone(), Arc::clone(&calls));
    let storage = Hooked::before(storage.clone(), move |call, _| {
        let reads = !matches!(call, Call::Put | Call::Delete);
        if reads && counter.fetch_add(1, Ordering::Relaxed) == at {
            stop.cancel();
        }
        Ok(())
    });
    let repository = try_open(Arc::new(storage)).unwrap();
    calls.store(0, Ordering::Relaxed);
    (repository, cancel, calls)
}

/// A manifest, an index object, the pack in hand: what is begun may end, no more.
const BEGUN_MAX: u64 = 8;

#[test]
fn at_every_call_to_the_storage() {
    let storage = filled();
    for read_data in [false, true] {
        let options = CheckOptions::default().read_data(read_data);
        let (repository, cancel, calls) = stopping(&storage, u64::MAX);
        assert!(check(&repository, &options, &Silent, &cancel).unwrap().is_clean());
        let all = calls.load(Ordering::Relaxed);
        assert!(all > 2 * BEGUN_MAX, "{all} calls only");
        for at in 0..all {
            let (repository, cancel, calls) = stopping(&storage, at);
            let error = check(&repository, &options, &Silent, &cancel).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Interrupted, "call {at} of {all}");
            let more = calls.load(Ordering::Relaxed) - at - 1;
            assert!(more <= BEGUN_MAX, "call {at} of {all}, and then {more} more");
        }
    }
}

/// Says stop when the first of several things is done.
struct AfterOne {
    phase: Phase,
    cancel: Cancel,
    items: AtomicU64,
    is_on: std::sync::atomic::AtomicBool,
}

impl Observer for AfterOne {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Started(phase) => self.is_on.store(phase == self.phase, Ordering::Relaxed),
            Event::Items(count) if self.is_on.load(Ordering::Relaxed) => {
                self.items.fetch_add(count, Ordering::Relaxed);
                self.cancel.cancel();
            }
            _ => {}
        }
    }
}

#[test]
fn after_one_pack_and_after_one_snapshot() {
    let storage = filled();
    for number in 0..3 {
        let files = [(path("file"), noise(3000, 100 + number))].into();
        back_up(&open(storage.clone()), &[&MemorySource::new(files)]).unwrap();
    }
    for (phase, read_data) in
        [(Phase::CheckSnapshots, false), (Phase::CheckSnapshots, true), (Phase::CheckData, true)]
    {
        let cancel = Cancel::new();
        let observer = AfterOne {
            phase,
            cancel: cancel.clone(),
            items: AtomicU64::new(0),
            is_on: Default::default(),
        };
        let options = CheckOptions::default().read_data(read_data);
        let error = check(&open(storage.clone()), &options, &observer, &cancel).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert_eq!(observer.items.load(Ordering::Relaxed), 1, "{phase:?}");
    }
}
