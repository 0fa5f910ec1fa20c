//! Prunes beside backups, and beside each other.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use restow::format::name;
use restow::ops::{OpError, PruneReport};
use restow::repo::{Identity, OpenOptions, RepoError, Repository};
use restow::storage::{Key, Storage};
use restow::store::put_index;

use super::{LONG, assert_tidy, assert_whole, keys, pack_bytes, prune_alone, take, try_prune};
use crate::support::faulty::Call;
use crate::support::hooked::Hooked;
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{
    back_up, identity, memory_repository, open, open_interrupted, passphrase, restore_to_memory,
    small_chunks,
};

pub(super) fn puts(folder: &'static str) -> impl Fn(Call, &Key) -> bool {
    move |call, key| call == Call::Put && key.as_str().starts_with(folder)
}

pub(super) fn one(len: usize, seed: u64) -> Files {
    [(path("a"), noise(len, seed))].into()
}

/// The snapshot whose chunks a running backup counts on is deleted, and a prune condemns its packs.
#[test]
fn a_backup_counts_on_what_is_condemned_while_it_runs() {
    let storage = memory_repository(&small_chunks());
    let old = take(&storage, &one(60_000, 1));
    let (there, heard) = (storage.clone(), Arc::new(Mutex::new(PruneReport::default())));
    let told = Arc::clone(&heard);
    let repository = open_interrupted(&storage, puts(name::PACKS), move || {
        let repository = open(there.clone());
        repository.delete_snapshot(&old).unwrap();
        *told.lock().unwrap() = try_prune(&repository).unwrap();
    });
    let mut files = one(60_000, 1);
    files.insert(path("b"), noise(500, 2));
    let report = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap();
    assert!(report.written.new_bytes < 2_000, "it counts on the old chunks: {report:?}");
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.waits_for.len(), 1, "{heard:?}");
    assert!(heard.deleted.count == 0 && keys(&storage, name::CONDEMNED).len() == 2);

    let there = [(report.id.unwrap(), files)];
    assert_whole(&storage, &there, "before the second prune");
    let second = prune_alone(&open(storage.clone()));
    assert!(second.went_on && second.copied.blocks > 0 && second.deleted.count > 0, "{second:?}");
    assert_whole(&storage, &there, "after the second prune");
    assert_tidy(&storage, "after the second prune");
}

/// A backup that begins after the packs were condemned does not count on them, and is not waited for.
#[test]
fn a_backup_that_begins_later_is_not_waited_for() {
    let storage = memory_repository(&small_chunks());
    let old = take(&storage, &one(60_000, 1));
    let late = Arc::new(Mutex::new(None));
    let (there, told) = (storage.clone(), Arc::clone(&late));
    // While the first backup runs, a prune condemns; when it ends, a second backup is at work.
    let repository = open_interrupted(&storage, puts(name::PACKS), move || {
        let repository = open(there.clone());
        repository.delete_snapshot(&old).unwrap();
        assert_eq!(try_prune(&repository).unwrap().waits_for.len(), 1);
    });
    let mut first = one(60_000, 3);
    first.insert(path("b"), noise(60_000, 1));
    let first_id = back_up(&repository, &[&MemorySource::new(first.clone())]).unwrap().id.unwrap();
    let there = storage.clone();
    let repository = open_interrupted(&storage, puts(name::SNAPSHOTS), move || {
        *told.lock().unwrap() = Some(try_prune(&open(there.clone())).unwrap());
    });
    let second = one(60_000, 1);
    let second_id =
        back_up(&repository, &[&MemorySource::new(second.clone())]).unwrap().id.unwrap();
    let late = late.lock().unwrap().take().unwrap();
    assert!(late.went_on && late.deleted.count > 0, "{late:?}");
    let there = [(first_id, first), (second_id, second)];
    assert_whole(&storage, &there, "both");
    prune_alone(&open(storage.clone()));
    assert_whole(&storage, &there, "both, pruned");
    assert_tidy(&storage, "both, pruned");
}

/// The deletion of a snapshot between the plan and the end of a prune, and a new backup there, too.
#[test]
fn what_comes_between_plan_and_deletion_is_seen() {
    let storage = memory_repository(&small_chunks());
    let (old, kept) = (take(&storage, &one(60_000, 1)), one(30_000, 2));
    let kept_id = take(&storage, &kept);
    open(storage.clone()).delete_snapshot(&old).unwrap();
    let (there, taken) = (storage.clone(), Arc::new(Mutex::new(None)));
    let told = Arc::clone(&taken);
    // A backup that runs from beginning to end just before the packs are condemned takes them for stored.
    let repository = open_interrupted(&storage, puts(name::CONDEMNED), move || {
        *told.lock().unwrap() = Some(take(&there, &one(60_000, 1)));
    });
    let report = prune_alone(&repository);
    let id = taken.lock().unwrap().take().unwrap();
    assert!(report.copied.blocks > 0 && report.deleted.count > 0, "{report:?}");
    assert_whole(&storage, &[(kept_id, kept), (id, one(60_000, 1))], "seen at step 6");
    assert_tidy(&storage, "seen at step 6");
}

/// Backups end, again and again, between the listings of the index and of snapshots: what they refer to seems to be
/// nowhere, and it is looked again until it is found.
#[test]
fn snapshots_that_come_while_it_looks_are_no_damage() {
    let storage = memory_repository(&small_chunks());
    let old = take(&storage, &one(60_000, 1));
    let kept = take(&storage, &one(30_000, 2));
    open(storage.clone()).delete_snapshot(&old).unwrap();
    let taken = Arc::new(Mutex::new(vec![(kept, one(30_000, 2))]));
    let (there, told) = (storage.clone(), Arc::clone(&taken));
    let hooked = Hooked::before(storage.clone(), move |call, key| {
        let mut taken = told.lock().unwrap();
        if call == Call::List && key.as_str() == name::PACKS && taken.len() < 12 {
            let files = one(5_000, 100 + taken.len() as u64);
            taken.push((take(&there, &files), files));
        }
        Ok(())
    });
    let options = OpenOptions::default();
    let repository =
        Repository::open(Arc::new(hooked), &passphrase(), identity(), options).unwrap();
    assert!(prune_alone(&repository).deleted.count > 0);
    let taken = taken.lock().unwrap().clone();
    assert_eq!(taken.len(), 12);
    assert_whole(&storage, &taken, "all of them");
    prune_alone(&open(storage.clone()));
    assert_tidy(&storage, "all of them");
}

/// A prune that was taken for dead long ago wakes up between its last look at `void/` and what it deletes: index objects
/// that another one has listed are gone when it reads them.
#[test]
fn index_objects_that_go_while_it_plans_are_no_error() {
    let storage = memory_repository(&small_chunks());
    let old = take(&storage, &one(60_000, 1));
    let kept = take(&storage, &one(30_000, 2));
    open(storage.clone()).delete_snapshot(&old).unwrap();
    let (there, has_looked) = (storage.clone(), AtomicBool::new(false));
    let weighs = move |call: Call, key: &Key| {
        if call == Call::List && key.as_str() == name::NOTES {
            has_looked.store(true, Ordering::Relaxed);
        }
        let reads = call == Call::Get && key.as_str().starts_with(name::INDEX);
        reads && has_looked.load(Ordering::Relaxed)
    };
    let repository = open_interrupted(&storage, weighs, move || {
        let repository = open(there.clone());
        for id in repository.index_objects().unwrap() {
            let mut record = repository.index_object(&id).unwrap();
            record.replaces = vec![id];
            put_index(&there, repository.vault(), &record).unwrap();
            there.delete(&Key::new(name::index(&id)).unwrap()).unwrap();
        }
    });
    assert!(prune_alone(&repository).deleted.count > 0);
    assert_whole(&storage, &[(kept, one(30_000, 2))], "moved");
    assert_tidy(&storage, "moved");
}

#[test]
fn two_prunes_do_not_work_at_once() {
    let storage = memory_repository(&small_chunks());
    let old = take(&storage, &one(60_000, 1));
    open(storage.clone()).delete_snapshot(&old).unwrap();
    let (there, second) = (storage.clone(), Arc::new(Mutex::new(None)));
    let told = Arc::clone(&second);
    let repository = open_interrupted(&storage, puts(name::CONDEMNED), move || {
        *told.lock().unwrap() = Some(try_prune(&open(there.clone())).unwrap_err());
    });
    assert!(prune_alone(&repository).deleted.count > 0);
    let second = second.lock().unwrap().take().unwrap();
    assert!(matches!(second, OpError::PruneAtWork { .. }), "{second}");
    assert!(second.to_string().contains("prune on"), "{second}");
    assert_tidy(&storage, "one of two");
}

/// A prune that slept for longer than it may be silent wakes up and stops; the one that took it for dead has finished.
#[test]
fn a_prune_taken_for_dead_stops_wherever_it_slept() {
    let steps: [(Call, &str, bool); 5] = [
        // It finds nothing left to do.
        (Call::List, name::CONDEMNED, false),
        (Call::List, name::INDEX, false),
        (Call::List, name::SNAPSHOTS, true),
        (Call::Put, name::CONDEMNED, true),
        (Call::Delete, name::INDEX, true),
    ];
    for (call, folder, fails) in steps {
        let what = format!("{call:?} {folder}");
        let storage = memory_repository(&small_chunks());
        let old = take(&storage, &one(60_000, 1));
        let kept = take(&storage, &one(30_000, 2));
        open(storage.clone()).delete_snapshot(&old).unwrap();
        let there = storage.clone();
        let announced = AtomicBool::new(false);
        let sleeps = move |at: Call, key: &Key| {
            if at == Call::Put && key.as_str().starts_with(name::ACTIVE) {
                announced.store(true, Ordering::Relaxed);
            }
            at == call && key.as_str().starts_with(folder) && announced.load(Ordering::Relaxed)
        };
        let repository = open_interrupted(&storage, sleeps, move || {
            there.advance(LONG);
            let report = try_prune(&open(there.clone())).unwrap();
            assert!(report.expired.len() == 1 && report.deleted.count > 0, "{report:?}");
        });
        match try_prune(&repository) {
            Ok(report) => assert!(!fails || folder == name::INDEX, "{what}: {report:?}"),
            Err(OpError::Repo(RepoError::PruneExpired { .. })) => assert!(fails, "{what}"),
            Err(error) => panic!("{what}: {error}"),
        }
        assert_whole(&storage, &[(kept, one(30_000, 2))], &what);
        prune_alone(&open(storage.clone()));
        assert_tidy(&storage, &what);
        assert_eq!(keys(&storage, name::VOID).len(), 1);
    }
}

/// A backup that slept: its snapshot is withdrawn, and what it counted on may be gone.
#[test]
fn a_backup_taken_for_dead_withdraws_and_the_next_one_is_whole() {
    let storage = memory_repository(&small_chunks());
    let old = take(&storage, &one(60_000, 1));
    let there = storage.clone();
    let repository = open_interrupted(&storage, puts(name::PACKS), move || {
        open(there.clone()).delete_snapshot(&old).unwrap();
        there.advance(LONG);
        let report = try_prune(&open(there.clone())).unwrap();
        assert!(report.waits_for.is_empty() && report.expired.len() == 1, "{report:?}");
    });
    let mut files = one(60_000, 1);
    files.insert(path("b"), noise(5_000, 2));
    let error = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap_err();
    assert!(matches!(&error, OpError::Repo(RepoError::Expired { .. })), "{error}");
    assert!(keys(&storage, name::SNAPSHOTS).is_empty());
    let id = take(&storage, &files);
    assert_whole(&storage, &[(id, files.clone())], "again");
    prune_alone(&open(storage.clone()));
    assert_whole(&storage, &[(id, files)], "again, pruned");
    assert_tidy(&storage, "again, pruned");
}

/// The process of the same host is gone: nobody waits for a day.
#[test]
fn a_process_that_is_gone_is_dead_at_once() {
    let storage = memory_repository(&small_chunks());
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let process = child.id();
    child.wait().unwrap();
    let gone = Identity { process, process_start: 1, ..identity() };
    for (who, expired) in [(gone, 1), (identity(), 0)] {
        let options = OpenOptions::default();
        let repository =
            Repository::open(Arc::new(storage.clone()), &passphrase(), who, options).unwrap();
        let session = restow::repo::WriteSession::begin(&repository, false).unwrap();
        // Killed, as it were: it never takes itself off the list.
        std::mem::forget(session);
        let report = try_prune(&open(storage.clone())).unwrap();
        assert_eq!(report.expired.len(), expired, "{report:?}");
    }
    assert_eq!(keys(&storage, name::ACTIVE).len(), 1, "the one that lives");
    assert_eq!(keys(&storage, name::VOID).len(), 1);
}

/// What a reader was about to read is moved elsewhere.
#[test]
fn a_reader_finds_what_was_moved() {
    let storage = memory_repository(&small_chunks());
    let mut files = one(200_000, 1);
    files.insert(path("b"), noise(600_000, 2));
    let first = take(&storage, &files);
    let kept = one(200_000, 1);
    let second = take(&storage, &kept);
    let there = storage.clone();
    let moves = Mutex::new(0);
    let hooked = Hooked::before(storage.clone(), move |call, key| {
        let mut moves = moves.lock().unwrap();
        if call == Call::GetRange && key.as_str().starts_with(name::PACKS) && *moves == 0 {
            *moves = 1;
            open(there.clone()).delete_snapshot(&first).unwrap();
            assert!(prune_alone(&open(there.clone())).copied.blocks > 0);
        }
        Ok(())
    });
    let options = OpenOptions::default();
    let repository =
        Repository::open(Arc::new(hooked), &passphrase(), identity(), options).unwrap();
    assert!(restore_to_memory(&repository, second).contents() == kept);
    assert!(pack_bytes(&storage) < 500_000);
}
