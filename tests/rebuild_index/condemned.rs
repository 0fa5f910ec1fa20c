//! Packs that a prune means to delete.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use restow::format::name;
use restow::id::{ObjectId, PackId, SnapshotId};
use restow::ops::{CheckOptions, OpError, PruneReport, check};
use restow::progress::{Cancel, Silent};
use restow::repo::{Repository, WriteSession};
use restow::storage::{Key, Memory, Storage, StorageError};

use super::{flip, lose_the_index, packs, rebuild, rebuild_all};
use crate::prune::{
    LONG, assert_tidy, assert_whole, delete, keys, listed, prune_alone, take, try_prune,
};
use crate::support::faulty::Call;
use crate::support::hooked::Hooked;
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{
    back_up, memory_repository, open, open_interrupted, open_with_cache, restore_to_memory,
    small_chunks,
};

fn one(len: usize, seed: u64) -> Files {
    [(path("a"), noise(len, seed))].into()
}

fn condemned(storage: &Memory) -> BTreeSet<PackId> {
    open(storage.clone()).condemned().unwrap().into_iter().collect()
}

fn listed_packs(storage: &Memory) -> BTreeSet<PackId> {
    listed(&open(storage.clone())).1
}

/// A backup was killed before it put its index object, and a prune waits for another to end.
#[test]
fn they_are_not_listed_anew() {
    let storage = memory_repository(&small_chunks());
    let kept = one(30_000, 2);
    let kept_id = take(&storage, &kept);
    let dies = Hooked::before(storage.clone(), |call, key| {
        match call == Call::Put && key.as_str().starts_with(name::INDEX) {
            true => Err(StorageError::Missing { place: "nowhere".into(), key: key.clone() }),
            false => Ok(()),
        }
    });
    back_up(&open(dies), &[&MemorySource::new(one(60_000, 1))]).unwrap_err();
    storage.advance(LONG);
    let writer = open(storage.clone());
    let session = WriteSession::begin(&writer, false).unwrap();
    assert_eq!(try_prune(&open(storage.clone())).unwrap().waits_for.len(), 1);
    let going = condemned(&storage);
    assert!(!going.is_empty() && listed_packs(&storage).is_disjoint(&going));
    for _ in 0..2 {
        let report = rebuild(&storage);
        assert_eq!(report.condemned.count, going.len() as u64, "{report:?}");
        assert!(report.is_whole() && listed_packs(&storage).is_disjoint(&going));
        assert_eq!(condemned(&storage), going, "it is the prune's to go on with");
    }
    assert_whole(&storage, &[(kept_id, kept.clone())], "beside what is condemned");
    session.abandon();
    let report = prune_alone(&open(storage.clone()));
    assert!(report.went_on && report.deleted.count >= going.len() as u64, "{report:?}");
    assert_whole(&storage, &[(kept_id, kept)], "gone on");
    assert_tidy(&storage, "gone on");
}

/// A backup that was at work counts on what a prune condemned meanwhile.
pub(super) fn needed_again() -> (Memory, SnapshotId, Files) {
    let storage = memory_repository(&small_chunks());
    let old = take(&storage, &one(60_000, 1));
    let (there, heard) = (storage.clone(), Arc::new(Mutex::new(PruneReport::default())));
    let told = Arc::clone(&heard);
    let packs = |call, key: &Key| call == Call::Put && key.as_str().starts_with(name::PACKS);
    let repository: Repository = open_interrupted(&storage, packs, move || {
        delete(&open(there.clone()), [old]);
        *told.lock().unwrap() = try_prune(&open(there.clone())).unwrap();
    });
    let mut files = one(60_000, 1);
    files.insert(path("b"), noise(500, 2));
    let id = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap().id.unwrap();
    assert_eq!(heard.lock().unwrap().waits_for.len(), 1);
    (storage, id, files)
}

/// The index object that lists what is condemned.
pub(super) fn lists_condemned(storage: &Memory) -> Key {
    let (repository, going) = (open(storage.clone()), condemned(storage));
    let lists_them = |id: &ObjectId| {
        let record = repository.index_object(id).unwrap();
        record.packs.iter().any(|pack| going.contains(&pack.id))
    };
    let mut objects = repository.index_objects().unwrap();
    objects.retain(lists_them);
    assert_eq!(objects.len(), 1);
    Key::new(name::index(&objects[0])).unwrap()
}

/// With no index object left they are listed like others.
#[test]
fn what_is_needed_of_them_is_not_lost() {
    let (storage, id, files) = needed_again();
    let going = condemned(&storage);
    lose_the_index(&storage);
    let report = rebuild(&storage);
    assert!(report.condemned.count == 0 && going.is_subset(&listed_packs(&storage)));
    let report = prune_alone(&open(storage.clone()));
    assert!(report.went_on && report.copied.blocks > 0, "{report:?}");
    assert_whole(&storage, &[(id, files)], "gone on");
    assert_tidy(&storage, "gone on");
}

/// That one is lost cannot be seen from the others: what the prune that goes on has to copy is found nowhere. It refuses,
/// and `--all` helps.
#[test]
fn what_is_needed_of_them_is_found_when_asked_for() {
    let (storage, id, files) = needed_again();
    let going = condemned(&storage);
    storage.delete(&lists_condemned(&storage)).unwrap();
    let report = rebuild(&storage);
    assert_eq!(report.condemned.count, going.len() as u64, "{report:?}");
    let error = try_prune(&open(storage.clone())).unwrap_err();
    assert!(matches!(error, OpError::NotWhole { .. }), "{error}");
    assert_eq!(condemned(&storage), going);
    let options = CheckOptions::default();
    let found = check(&open(storage.clone()), &options, &Silent, &Cancel::new()).unwrap();
    assert_eq!(found.unindexed_condemned, going.len() as u64, "{found:?}");
    assert_eq!(found.snapshots_damaged.len(), 1, "{found:?}");

    let report = rebuild_all(&storage);
    assert_eq!((report.condemned.count, report.listed.count), (0, going.len() as u64));
    assert!(restore_to_memory(&open(storage.clone()), id).contents() == files);
    // Though they are listed, nobody who begins now counts on them.
    let other: Files = [(path("z"), noise(60_000, 1))].into();
    let source = MemorySource { name: "other".into(), ..MemorySource::new(other.clone()) };
    let written = back_up(&open(storage.clone()), &[&source]).unwrap();
    assert!(written.written.new_bytes >= 60_000, "{:?}", written.written);

    let report = prune_alone(&open(storage.clone()));
    assert!(report.went_on && report.deleted.count > 0, "{report:?}");
    let there = [(id, files), (written.id.unwrap(), other)];
    assert_whole(&storage, &there, "gone on");
    prune_alone(&open(storage.clone()));
    assert_whole(&storage, &there, "gone on");
    assert_tidy(&storage, "gone on");
}

/// The index cache has what an index object said before it rotted.
#[test]
fn a_cache_does_not_hide_the_way_out() {
    let (storage, id, files) = needed_again();
    let cache = tempfile::tempdir().unwrap();
    open_with_cache(&storage, cache.path()).load_index().unwrap();
    flip(&storage, &lists_condemned(&storage), 0.5);
    let before = packs(&storage);
    let error = try_prune(&open_with_cache(&storage, cache.path())).unwrap_err();
    assert!(matches!(&error, OpError::UnreadableIndex { .. }), "{error}");
    assert!(before.is_subset(&packs(&storage)), "nothing is deleted");
    assert_eq!(rebuild(&storage).mended.len(), 1);
    let report = prune_alone(&open_with_cache(&storage, cache.path()));
    assert!(report.went_on && report.deleted.count > 0, "{report:?}");
    assert_whole(&storage, &[(id, files)], "gone on");
    assert_tidy(&storage, "gone on");
}

/// Index objects that list them are merged like others: a prune has to find in them what it copies.
#[test]
fn those_that_are_listed_stay_listed() {
    let (storage, id, files) = needed_again();
    let (going, before) = (condemned(&storage), listed_packs(&storage));
    assert!(going.is_subset(&before));
    rebuild_all(&storage);
    assert_eq!(listed_packs(&storage), before);
    assert_eq!(keys(&storage, name::INDEX).len(), 1);
    let report = prune_alone(&open(storage.clone()));
    assert!(report.went_on && report.copied.blocks > 0, "{report:?}");
    assert_whole(&storage, &[(id, files)], "gone on");
    assert_tidy(&storage, "gone on");
}
