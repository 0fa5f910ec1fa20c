//! Backups as they really run are traces of the protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use restow::format::name;
use restow::ops::{BackupReport, OpError};
use restow::repo::{Identity, OpenOptions, Repository};
use restow::storage::{Key, Memory, Storage};

use super::accepts::accepts;
use super::events::{Act, Kind, ObjectEvent};
use super::faults::{Run, at_each_operation};
use super::real::{Recorder, count, names, restless};
use crate::support::faulty::Call;
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{
    back_up, copy_of, default_chunks, identity, memory_repository, open, passphrase, small_chunks,
};

fn open_as(storage: impl Storage + 'static, who: Identity) -> Repository {
    Repository::open(Arc::new(storage), &passphrase(), who, OpenOptions::default()).unwrap()
}

/// Backs up over a storage that is listened to; gives the report and what was heard.
fn recorded(
    storage: &Memory,
    source: &MemorySource,
    who: Identity,
    before: impl Fn(Call, &Key) + Send + Sync + 'static,
) -> (Result<BackupReport, OpError>, Vec<ObjectEvent>) {
    let recorder = Recorder::default();
    let repository = open_as(recorder.record(storage, before), who);
    let result = back_up(&repository, &[source]);
    (result, recorder.trace(&open(storage.clone())))
}

fn files(nights: u64) -> Files {
    let grown =
        |at: u64| noise(40_000, at).into_iter().chain(noise(300, 100 + nights + at)).collect();
    (0..4).map(|at| (path(&format!("f{at}")), grown(at))).collect()
}

#[test]
fn backups_follow_the_protocol() {
    let storage = memory_repository(&small_chunks());
    for night in 0..3 {
        let source = MemorySource::new(files(night));
        let (report, trace) = recorded(&storage, &source, identity(), |_, _| {});
        let report = report.unwrap();
        assert_eq!(accepts(&trace), Ok(()), "night {night}");
        assert_eq!(count(&trace, Act::Put, Kind::Pack) as u64, report.written.packs);
        assert_eq!(count(&trace, Act::Put, Kind::Manifest), 1);
        assert_eq!(count(&trace, Act::Delete, Kind::Active), 1);
        assert!(
            night == 0 || report.manifest.statistics.delta_bytes > 0,
            "it codes against what it found"
        );
    }
    // Nothing is new: no pack, and a manifest all the same.
    let (_, trace) = recorded(&storage, &MemorySource::new(files(2)), identity(), |_, _| {});
    assert_eq!(accepts(&trace), Ok(()));
    assert_eq!(count(&trace, Act::Put, Kind::Manifest), 1);
}

#[test]
fn a_backup_of_many_packs_with_signs_of_life_follows_the_protocol() {
    let options = default_chunks().pack_target(8 << 20);
    let storage = memory_repository(&options);
    let source = MemorySource::new([(path("a"), noise(30 << 20, 4))].into());
    let (report, trace) = recorded(&storage, &source, restless(), |_, _| {});
    report.unwrap();
    assert_eq!(accepts(&trace), Ok(()));
    assert!(count(&trace, Act::Put, Kind::Pack) > 3);
    assert!(count(&trace, Act::Put, Kind::Beat) > 0);
    assert!(names(&storage, name::BEATS).is_empty() && names(&storage, name::ACTIVE).is_empty());
}

#[test]
fn a_backup_that_gives_up_follows_the_protocol() {
    let storage = memory_repository(&small_chunks());
    let source = MemorySource { fails_at_end: true, ..MemorySource::new(files(0)) };
    let (result, trace) = recorded(&storage, &source, identity(), |_, _| {});
    result.unwrap_err();
    assert_eq!(accepts(&trace), Ok(()));
    assert_eq!(count(&trace, Act::Put, Kind::Manifest), 0);
    assert_eq!(count(&trace, Act::Delete, Kind::Active), 1);
}

/// Somebody takes the writer for dead at the latest moment there is.
#[test]
fn a_backup_that_was_taken_for_dead_withdraws() {
    let storage = memory_repository(&small_chunks());
    let there = storage.clone();
    let void_it = move |call: Call, key: &Key| {
        if call == Call::Put && key.as_str().starts_with(name::SNAPSHOTS) {
            let writer = names(&there, name::ACTIVE).pop().unwrap();
            there.put(&Key::new(format!("{}/{writer}", name::VOID)).unwrap(), b"void").unwrap();
        }
    };
    let (result, trace) = recorded(&storage, &MemorySource::new(files(0)), identity(), void_it);
    result.unwrap_err();
    assert_eq!(accepts(&trace), Ok(()));
    assert_eq!(count(&trace, Act::Put, Kind::Manifest), 1);
    assert_eq!(count(&trace, Act::Delete, Kind::Manifest), 1);
    assert!(names(&storage, name::SNAPSHOTS).is_empty());
}

/// Two writers at once: the second runs from beginning to end in the midst of the first.
#[test]
fn backups_at_once_follow_the_protocol_each() {
    let storage = memory_repository(&small_chunks());
    let (there, begun) = (storage.clone(), AtomicBool::new(false));
    let meanwhile = move |call: Call, key: &Key| {
        let puts_a_pack = call == Call::Put && key.as_str().starts_with(name::PACKS);
        if puts_a_pack && !begun.swap(true, Ordering::Relaxed) {
            let source = MemorySource::new(files(5));
            let (report, trace) = recorded(&there, &source, identity(), |_, _| {});
            report.unwrap();
            assert_eq!(accepts(&trace), Ok(()));
        }
    };
    let (report, trace) = recorded(&storage, &MemorySource::new(files(0)), identity(), meanwhile);
    report.unwrap();
    assert_eq!(accepts(&trace), Ok(()));
    assert_eq!(names(&storage, name::SNAPSHOTS).len(), 2);
}

#[test]
fn backups_that_meet_faults_follow_the_protocol() {
    let base = memory_repository(&small_chunks());
    back_up(&open(base.clone()), &[&MemorySource::new(files(0))]).unwrap();
    let source = MemorySource::new(files(1));
    let run = |repository: &Repository| back_up(repository, &[&source]).is_ok();
    let (whole, failing) = at_each_operation(|| copy_of(&base), run);
    assert!(whole.calls > 12, "{}", whole.calls);
    let len = |run: &Run| run.traces.iter().map(Vec::len).sum::<usize>();
    for run in &failing {
        assert!(run.traces.len() <= 1 && len(run) <= len(&whole), "{}", run.what);
    }
    let failed = failing.iter().filter(|run| !run.done).count();
    assert!(failed > 20, "{failed}");
}
