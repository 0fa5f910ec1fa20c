//! Index objects replaced that can be read.

use std::collections::{BTreeMap, BTreeSet};

use restow::format::{Extension, IndexRecord, name};
use restow::id::{ObjectId, PackId};
use restow::ops::{CheckOptions, CheckReport, CompactOptions, PruneOptions, check, prune};
use restow::progress::{Cancel, Silent};
use restow::repo::RepoError;
use restow::storage::{Memory, Storage};

use super::{
    assert_all_listed, assert_nothing_new, lose_the_index, nights, packs, rebuild, rebuild_all,
};
use crate::prune::{LONG, assert_whole, keys, listed, take};
use crate::support::faulty::Call;
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{back_up, memory_repository, open, open_interrupted, small_chunks};

fn checked(storage: &Memory) -> CheckReport {
    let options = CheckOptions::default().read_data(true);
    check(&open(storage.clone()), &options, &Silent, &Cancel::new()).unwrap()
}

#[test]
fn many_become_one() {
    let (storage, there) = nights(5);
    let before = keys(&storage, name::INDEX);
    let report = rebuild_all(&storage);
    assert_eq!((before.len(), report.objects_removed, report.objects_put), (5, 5, 1));
    assert_eq!((report.packs_read, report.listed.count), (report.packs, 0));
    assert_eq!(report.corrected, 0);
    assert!(report.is_whole() && !keys(&storage, name::INDEX).contains(&before[0]));
    assert_all_listed(&storage, "merged");
    assert_whole(&storage, &there, "merged");
    assert_nothing_new(&storage, &there[4].1, "merged");
}

/// An index object that says something else of a pack than its trailer, and what `check` says of it.
#[test]
fn the_trailer_is_believed() {
    let (storage, there) = nights(3);
    let repository = open(storage.clone());
    let objects = repository.index_objects().unwrap();
    let mut record = repository.index_object(&objects[1]).unwrap();
    let longest = record.packs.iter_mut().max_by_key(|pack| pack.contents.blocks.len()).unwrap();
    let chunks = &mut longest.contents.blocks[0].chunks;
    chunks.reverse();
    let first = &mut chunks[0];
    first.id = restow::id::ChunkId::new([7; 32]);
    repository.delete_index_object(&objects[1]).unwrap();
    repository.put_index_object(&record).unwrap();
    let found = checked(&storage);
    let says = |words: &str| found.objects_damaged.iter().any(|one| one.message.contains(words));
    assert!(says("an index object lists other contents than its trailer"), "{found:?}");

    let report = rebuild(&storage);
    assert_eq!((report.packs_read, report.objects_put), (0, 0), "nobody asked the trailer");
    let report = rebuild_all(&storage);
    assert_eq!((report.corrected, report.listed.count, report.problems.len()), (1, 0, 0));
    assert!(checked(&storage).is_clean());
    assert_whole(&storage, &there, "corrected");
    assert_nothing_new(&storage, &there[2].1, "corrected");
}

/// What a writer put that was taken for dead gives no more hits than before.
#[test]
fn the_dead_are_not_vouched_for() {
    let storage = memory_repository(&small_chunks());
    let files: Files = [(path("a"), noise(60_000, 1))].into();
    let kept: Files = [(path("b"), noise(30_000, 2))].into();
    let kept_id = take(&storage, &kept);
    let there = storage.clone();
    let is_commit = |call, key: &restow::storage::Key| {
        call == Call::Put && key.as_str().starts_with(name::SNAPSHOTS)
    };
    let repository = open_interrupted(&storage, is_commit, move || {
        there.advance(LONG);
        assert_eq!(rebuild(&there).expired.len(), 1);
    });
    let error = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap_err();
    assert!(matches!(error, restow::ops::OpError::Repo(RepoError::Expired { .. })), "{error}");
    let dead = keys(&storage, name::VOID)[0].name().parse().unwrap();
    let of_the_dead = || -> BTreeSet<_> {
        let repository = open(storage.clone());
        let objects = repository.index_objects().unwrap().into_iter();
        let records = objects.map(|id| repository.index_object(&id).unwrap());
        let dead = records.filter(|record| record.writer == dead);
        dead.flat_map(|record| record.packs.into_iter().map(|pack| pack.id)).collect()
    };
    let before = of_the_dead();
    assert!(before.len() == 2 && before.is_subset(&packs(&storage)));
    let report = rebuild_all(&storage);
    assert_eq!((report.objects_put, report.objects_removed), (2, 2), "{report:?}");
    assert_eq!(of_the_dead(), before);
    let source = MemorySource::new(files.clone());
    let written = back_up(&open(storage.clone()), &[&source]).unwrap();
    assert!(written.written.new_bytes >= 60_000, "{:?}", written.written);
    assert_whole(&storage, &[(kept_id, kept), (written.id.unwrap(), files)], "stored again");
    // It may have listed them when they were gone already.
    for pack in before {
        storage.delete(&restow::storage::Key::new(name::pack(&pack)).unwrap()).unwrap();
    }
    assert!(rebuild(&storage).is_whole() && rebuild_all(&storage).is_whole());
}

/// A compacted pack is known as such afterwards: it is not compacted again.
#[test]
fn what_was_compacted_stays_so() {
    let (storage, there) = nights(3);
    storage.advance(LONG);
    let compact = || {
        let compact = CompactOptions::default().older_than(LONG / 2).level(12);
        let options = PruneOptions::default().compact(Some(compact));
        storage.advance(LONG);
        prune(&open(storage.clone()), &options, &Silent, &Cancel::new()).unwrap()
    };
    assert!(compact().deleted.count > 0);
    rebuild_all(&storage);
    assert_eq!(compact().deleted.count, 0);
    // Trailers do not tell: it is done once more.
    lose_the_index(&storage);
    rebuild(&storage);
    assert!(compact().deleted.count > 0);
    assert_whole(&storage, &there, "compacted");
    assert_eq!(listed(&open(storage.clone())).1, packs(&storage));
}

/// What a newer restow says of these packs, in a field that this one need not know.
fn field(value: &[u8]) -> Extension {
    Extension { tag: 900, required: false, value: value.into() }
}

/// Puts an index object anew, changed.
fn change(storage: &Memory, id: &ObjectId, change: impl FnOnce(&mut IndexRecord)) -> ObjectId {
    let repository = open(storage.clone());
    let mut record = repository.index_object(id).unwrap();
    change(&mut record);
    let before = repository.index_objects().unwrap();
    repository.put_index_object(&record).unwrap();
    repository.delete_index_object(id).unwrap();
    let now = repository.index_objects().unwrap();
    now.into_iter().find(|id| !before.contains(id)).unwrap()
}

/// What is said of each pack.
fn said(storage: &Memory) -> BTreeMap<PackId, Vec<Extension>> {
    let repository = open(storage.clone());
    let mut said = BTreeMap::new();
    for id in repository.index_objects().unwrap() {
        let IndexRecord { packs, ext, .. } = repository.index_object(&id).unwrap();
        for pack in packs {
            assert!(said.insert(pack.id, ext.clone()).is_none(), "listed once");
        }
    }
    said
}

/// Found in review: it was dropped with the index objects that said it.
#[test]
fn what_a_newer_restow_says_of_packs_is_taken_along() {
    let (storage, there) = nights(5);
    let objects = open(storage.clone()).index_objects().unwrap();
    for (object, value) in objects.iter().zip([b"one", b"two", b"one"]) {
        change(&storage, object, |record| record.ext.push(field(value)));
    }
    change(&storage, &objects[3], |record| {
        record.ext = vec![field(b"two"), IndexRecord::compacted_at(12)];
    });
    let before = said(&storage);
    for _ in 0..2 {
        let report = rebuild_all(&storage);
        assert_eq!((report.objects_put, report.corrected), (4, 0), "{report:?}");
        let sorted = |said: BTreeMap<PackId, Vec<Extension>>| -> Vec<_> {
            let each = said.into_iter().map(|(id, mut ext)| {
                ext.sort();
                (id, ext)
            });
            each.collect()
        };
        assert_eq!(sorted(said(&storage)), sorted(before.clone()));
        assert_whole(&storage, &there, "taken along");
        assert_nothing_new(&storage, &there[4].1, "taken along");
    }
}

/// It was said of something else, or takes more room than there is beside packs.
#[test]
fn what_a_newer_restow_says_is_left_out_where_it_cannot_hold() {
    let (storage, there) = nights(3);
    let objects = open(storage.clone()).index_objects().unwrap();
    let mut wrong = None;
    change(&storage, &objects[0], |record| {
        record.ext.push(field(b"one"));
        let longest =
            record.packs.iter_mut().max_by_key(|pack| pack.contents.blocks.len()).unwrap();
        longest.contents.blocks[0].chunks[0].id = restow::id::ChunkId::new([7; 32]);
        wrong = Some(longest.id);
    });
    for (object, len) in objects[1..].iter().zip([60 << 10, 20 << 20]) {
        change(&storage, object, |record| record.ext.push(field(&vec![1; len])));
    }
    let before = said(&storage);
    let report = rebuild_all(&storage);
    assert!(report.is_whole() && report.corrected == 1, "{report:?}");
    for (id, ext) in said(&storage) {
        let is_long = before[&id].iter().any(|field| field.value.len() > 64 << 10);
        match Some(id) == wrong || is_long {
            true => assert_eq!(ext, []),
            false => assert!(!ext.is_empty() && ext == before[&id]),
        }
    }
    assert!(checked(&storage).is_clean());
    assert_whole(&storage, &there, "left out");
}
