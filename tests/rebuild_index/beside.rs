//! Rebuilds beside backups, restores and prunes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use restow::format::name;
use restow::ops::{OpError, RebuildReport, rebuild_index};
use restow::progress::{Cancel, Silent};
use restow::repo::{RepoError, Repository};
use restow::storage::{Key, Storage};

use super::{
    assert_all_listed, assert_nothing_new, everything, flip, lose_the_index, nights, packs,
    problems, rebuild, rebuild_all, try_rebuild,
};
use crate::prune::{LONG, assert_tidy, assert_whole, keys, listed, prune_alone, try_prune};
use crate::support::faulty::Call;
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{back_up, open, open_interrupted, restore_to_memory};

fn puts(folder: &'static str) -> impl Fn(Call, &Key) -> bool {
    move |call, key| call == Call::Put && key.as_str().starts_with(folder)
}

fn all(repository: &Repository) -> Result<RebuildReport, OpError> {
    rebuild_index(repository, &everything(), &Silent, &Cancel::new())
}

/// What a backup at work has put is not listed by anybody else, at whatever step of it.
#[test]
fn packs_of_a_backup_at_work_are_left_alone() {
    for (step, is_unlisted) in [(name::INDEX, true), (name::SNAPSHOTS, false)] {
        let (storage, mut there) = nights(2);
        lose_the_index(&storage);
        let before = packs(&storage);
        let (copy, told) = (storage.clone(), Arc::new(Mutex::new(RebuildReport::default())));
        let heard = Arc::clone(&told);
        let repository = open_interrupted(&storage, puts(step), move || {
            *heard.lock().unwrap() = rebuild(&copy);
            let (_, now) = listed(&open(copy.clone()));
            let new: Vec<_> = now.difference(&before).collect();
            assert_eq!(new.is_empty(), is_unlisted, "{new:?}");
            assert!(before.is_subset(&now));
        });
        let mut files = there[1].1.clone();
        files.insert(path("new"), noise(40_000, 77));
        let id = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap().id.unwrap();
        there.push((id, files));
        let report = told.lock().unwrap().clone();
        assert_eq!(report.young.count > 0, is_unlisted, "{report:?}");
        assert!(report.listed.count >= 4 && report.is_whole(), "{report:?}");
        assert_whole(&storage, &there, "beside a rebuild");
        assert_all_listed(&storage, "beside a rebuild");
        let report = rebuild(&storage);
        assert_eq!((report.young.count, report.listed.count), (0, 0), "{report:?}");
        prune_alone(&open(storage.clone()));
        assert_whole(&storage, &there, "pruned");
    }
}

/// An index object of a backup at work rots at once: it stays until the backup has ended, with the packs it lists.
#[test]
fn a_damaged_index_object_of_a_backup_at_work_stays_for_now() {
    for merges in [false, true] {
        let (storage, mut there) = nights(1);
        let before = keys(&storage, name::INDEX);
        let (copy, told) = (storage.clone(), Arc::new(Mutex::new(RebuildReport::default())));
        let heard = Arc::clone(&told);
        let repository = open_interrupted(&storage, puts(name::SNAPSHOTS), move || {
            let mut new = keys(&copy, name::INDEX);
            new.retain(|key| !before.contains(key));
            // As the storage would have it: nothing was put.
            flip(&copy, &new[0], 0.5);
            *heard.lock().unwrap() = if merges { rebuild_all(&copy) } else { rebuild(&copy) };
            assert!(copy.get(&new[0], 1 << 20).is_ok());
        });
        let files: Files = [(path("new"), noise(40_000, 77))].into();
        let id = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap().id.unwrap();
        there.push((id, files));
        let report = told.lock().unwrap().clone();
        assert_eq!((problems(&report).len(), report.young.count), (1, 2), "{report:?}");
        let report = rebuild(&storage);
        assert_eq!((report.mended.len(), report.listed.count), (1, 2), "{report:?}");
        assert!(report.is_whole());
        assert_whole(&storage, &there, "when it has ended");
    }
}

/// Index objects are replaced under the eyes of a backup, and of a restore.
#[test]
fn nobody_is_disturbed() {
    for step in [name::ACTIVE, name::PACKS, name::INDEX, name::SNAPSHOTS] {
        let (storage, mut there) = nights(3);
        let copy = storage.clone();
        let repository = open_interrupted(&storage, puts(step), move || {
            rebuild_all(&copy);
        });
        let mut files = there[2].1.clone();
        files.insert(path("new"), noise(40_000, 77));
        let report = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap();
        assert!(report.written.new_bytes < 45_000, "the rest is known: {:?}", report.written);
        there.push((report.id.unwrap(), files));
        assert_whole(&storage, &there, step);
        assert_all_listed(&storage, step);
    }
    let (storage, there) = nights(3);
    let copy = storage.clone();
    let reads = |call, key: &Key| call == Call::GetRange && key.as_str().starts_with(name::PACKS);
    let repository = open_interrupted(&storage, reads, move || {
        rebuild_all(&copy);
    });
    assert!(restore_to_memory(&repository, there[2].0).contents() == there[2].1);
}

#[test]
fn neither_two_rebuilds_nor_a_prune_work_at_once() {
    let (storage, there) = nights(2);
    lose_the_index(&storage);
    let copy = storage.clone();
    let repository = open_interrupted(&storage, puts(name::INDEX), move || {
        for error in [
            try_rebuild(&open(copy.clone())).unwrap_err(),
            try_prune(&open(copy.clone())).unwrap_err(),
        ] {
            assert!(matches!(error, OpError::PruneAtWork { .. }), "{error}");
        }
    });
    assert!(try_rebuild(&repository).unwrap().is_whole());
    let copy = storage.clone();
    open(storage.clone()).delete_snapshot(&there[0].0).unwrap();
    let repository = open_interrupted(&storage, puts(name::CONDEMNED), move || {
        let error = all(&open(copy.clone())).unwrap_err();
        assert!(matches!(error, OpError::PruneAtWork { .. }), "{error}");
    });
    prune_alone(&repository);
    assert_whole(&storage, &there[1..], "one at a time");
    assert_tidy(&storage, "one at a time");
}

/// Taken for dead wherever it sleeps, it puts nothing more where it has not looked again, and nothing is lost.
#[test]
fn a_rebuild_taken_for_dead_loses_nothing() {
    let steps: [(Call, &str, bool); 5] = [
        (Call::List, name::INDEX, true),
        (Call::List, name::PACKS, true),
        (Call::GetRange, name::PACKS, true),
        (Call::Put, name::INDEX, true),
        (Call::Delete, name::INDEX, false),
    ];
    for (call, folder, fails) in steps {
        for prunes in [false, true] {
            let what = format!("{call:?} {folder}, {prunes}");
            let (storage, there) = nights(3);
            open(storage.clone()).delete_snapshot(&there[0].0).unwrap();
            let (copy, announced) = (storage.clone(), AtomicBool::new(false));
            let sleeps = move |at: Call, key: &Key| {
                if at == Call::Put && key.as_str().starts_with(name::ACTIVE) {
                    announced.store(true, Ordering::Relaxed);
                }
                at == call && key.as_str().starts_with(folder) && announced.load(Ordering::Relaxed)
            };
            let repository = open_interrupted(&storage, sleeps, move || {
                copy.advance(LONG);
                let expired = match prunes {
                    true => try_prune(&open(copy.clone())).unwrap().expired,
                    false => rebuild_all(&copy).expired,
                };
                assert_eq!(expired.len(), 1);
            });
            match all(&repository) {
                // There was nothing left that was there before it began.
                Ok(report) => assert!(!fails || report.objects_put == 0, "{what}: {report:?}"),
                Err(OpError::Repo(RepoError::PruneExpired { .. })) => assert!(fails, "{what}"),
                // It was moved under its eyes.
                Err(error) => assert!(fails && call != Call::Put, "{what}: {error}"),
            }
            for (id, files) in &there[1..] {
                let restored = restore_to_memory(&open(storage.clone()), *id).contents();
                assert!(restored == *files, "{what}");
            }
            assert!(rebuild(&storage).mended.is_empty(), "{what}");
            prune_alone(&open(storage.clone()));
            prune_alone(&open(storage.clone()));
            assert_whole(&storage, &there[1..], &what);
            assert_tidy(&storage, &what);
            assert_nothing_new(&storage, &there[2].1, &what);
        }
    }
}

/// Two hosts at it by turns, as often as they like.
#[test]
fn again_and_again() {
    let (storage, there) = nights(3);
    for _ in 0..3 {
        lose_the_index(&storage);
        rebuild(&storage);
        rebuild_all(&storage);
        assert_whole(&storage, &there, "again");
    }
    assert_eq!(keys(&storage, name::INDEX).len(), 1);
    assert_tidy(&storage, "again");
}
