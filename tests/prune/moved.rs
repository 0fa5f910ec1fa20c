//! What comes and goes under the eyes of prunes and readers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use restow::format::{IndexRecord, name};
use restow::id::{ActorId, SnapshotId};
use restow::ops::{CompactOptions, PruneOptions, prune};
use restow::progress::{Cancel, Silent};
use restow::repo::Begun;
use restow::storage::{Key, Memory, Storage, StorageError};

use super::waits::one;
use super::{LONG, assert_tidy, assert_whole, keys, prune_alone, take};
use crate::support::faulty::Call;
use crate::support::hooked::Hooked;
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{back_up, copy_of, memory_repository, open, restore_to_memory, small_chunks};

/// A prune has index objects to put anew, since a pack of theirs is gone. While it marks, a backup ends, and its reader
/// takes that one's index object in. The packs that lists are none that the prune has seen, and not gone for that.
#[test]
fn an_index_object_that_a_reader_takes_in_while_a_prune_marks_is_left_alone() {
    let storage = memory_repository(&small_chunks());
    let lost = MemorySource { name: "lost".into(), ..MemorySource::new(one(40_000, 9)) };
    let lost = back_up(&open(storage.clone()), &[&lost]).unwrap().id.unwrap();
    let stale = keys(&storage, name::INDEX);
    open(storage.clone()).delete_snapshot(&lost).unwrap();
    keys(&storage, name::PACKS).iter().for_each(|key| storage.delete(key).unwrap());
    let kept = take(&storage, &one(30_000, 2));

    let taken = Arc::new(Mutex::new(vec![(kept, one(30_000, 2))]));
    let (there, told, begun) = (storage.clone(), Arc::clone(&taken), Arc::new(AtomicUsize::new(0)));
    let prunes = Arc::clone(&begun);
    let hooked = Hooked::before(storage.clone(), move |call, key| {
        if call == Call::Put && key.as_str().starts_with(name::ACTIVE) {
            prunes.fetch_add(1, Ordering::Relaxed);
        }
        let mut taken = told.lock().unwrap();
        let is_marking = call == Call::GetRange && key.as_str().starts_with(name::PACKS);
        if is_marking && taken.len() == 1 {
            taken.push((take(&there, &one(50_000, 3)), one(50_000, 3)));
            // As if it had just been moved.
            return Err(StorageError::Missing { place: "memory".into(), key: key.clone() });
        }
        Ok(())
    });
    let report = prune_alone(&open(hooked));
    assert!(report.plan.is_some_and(|plan| plan.is_nothing()), "{report:?}");
    assert_eq!(begun.load(Ordering::Relaxed), 1, "it did not have to look again");
    let index = keys(&storage, name::INDEX);
    assert!(stale.iter().all(|key| !index.contains(key)), "what lists what is gone went");
    let taken = taken.lock().unwrap().clone();
    assert_eq!((taken.len(), index.len()), (2, 2));
    assert_whole(&storage, &taken, "taken in");
    assert_tidy(&storage, "taken in");
}

/// An object with this one's packs, put by this writer.
fn put_index(storage: &Memory, writer: ActorId) -> Key {
    let repository = open(storage.clone());
    let some = repository.index_objects().unwrap()[0];
    let record = IndexRecord { writer, ..repository.index_object(&some).unwrap() };
    let before = keys(storage, name::INDEX);
    repository.put_index_object(&record).unwrap();
    let mut new = keys(storage, name::INDEX);
    new.retain(|key| !before.contains(key));
    assert_eq!(new.len(), 1);
    new.remove(0)
}

type Changes = [(&'static str, bool, fn(&Memory, SnapshotId, ActorId)); 13];

/// What else may happen between two looks of a prune, and whether what it decided at the first still holds.
const CHANGES: Changes = [
    ("nothing", true, |_, _, _| {}),
    ("its own copies", true, |storage, _, own| drop(put_index(storage, own))),
    ("a pack nobody lists", true, |storage, _, _| {
        let name = Key::new(format!("packs/00/{}", "0".repeat(64))).unwrap();
        storage.put(&name, b"of a backup that is at work").unwrap();
    }),
    ("another's index object", false, |storage, _, _| {
        put_index(storage, ActorId::new([7; ActorId::LEN]));
    }),
    ("its own that cannot be read", false, |storage, _, own| {
        let key = put_index(storage, own);
        storage.put(&key, b"rotten").unwrap();
    }),
    ("an index object less", false, |storage, _, _| {
        storage.delete(&keys(storage, name::INDEX)[0]).unwrap();
    }),
    ("a backup", false, |storage, _, _| {
        take(storage, &one(9_000, 5));
    }),
    ("a snapshot more", false, |storage, id, _| {
        let repository = open(storage.clone());
        let mut manifest = repository.manifest(&id).unwrap();
        manifest.host = "elsewhere".into();
        let kind = restow::format::ObjectKind::Manifest;
        let object = repository.vault().seal(kind, &manifest).unwrap();
        let key = Key::new(name::snapshot(&SnapshotId::new(object.name))).unwrap();
        storage.put(&key, &object.bytes).unwrap();
    }),
    ("a snapshot less", false, |storage, id, _| {
        open(storage.clone()).delete_snapshot(&id).unwrap();
    }),
    ("a snapshot that does not count any more", false, |storage, id, _| {
        let writer = open(storage.clone()).manifest(&id).unwrap().writer;
        storage.put(&Key::new(name::void(&writer)).unwrap(), b"void").unwrap();
    }),
    ("a pack less", false, |storage, _, _| {
        storage.delete(&keys(storage, name::PACKS)[0]).unwrap();
    }),
    ("a pack of another length", false, |storage, _, _| {
        storage.put(&keys(storage, name::PACKS)[0], b"cut short").unwrap();
    }),
    ("a pack that was put again", false, |storage, _, _| {
        let pack = &keys(storage, name::PACKS)[0];
        storage.put(pack, &storage.get(pack, 1 << 30).unwrap()).unwrap();
    }),
];

/// Only then it need not be worked out anew what is needed of what goes.
#[test]
fn whatever_changes_between_two_looks_is_seen() {
    let base = memory_repository(&small_chunks());
    take(&base, &one(20_000, 1));
    let last = take(&base, &one(30_000, 2));
    for (what, holds, change) in CHANGES {
        let storage = copy_of(&base);
        let repository = open(storage.clone());
        let Begun::Session(session) = repository.begin_prune(LONG).unwrap() else {
            panic!("{what}: nobody else is at work");
        };
        let before = repository.look(None).unwrap();
        change(&storage, last, session.id());
        let now = repository.look(None).unwrap();
        assert_eq!(now.adds_only(&before, session.id()), holds, "{what}");
        session.retire().unwrap();
    }
}

/// The pack a reader is about to read is moved, and moved again when it has found out where to.
#[test]
fn a_reader_finds_what_was_moved_twice() {
    let storage = memory_repository(&small_chunks());
    let files: Files = [(path("a"), noise(500, 1))].into();
    let id = take(&storage, &files);
    let (there, moves) = (storage.clone(), Arc::new(Mutex::new(Vec::new())));
    let told = Arc::clone(&moves);
    let hooked = Hooked::before(storage.clone(), move |call, key| {
        let mut moves = told.lock().unwrap();
        let reads = call == Call::GetRange && key.as_str().starts_with(name::PACKS);
        if reads && moves.len() < 2 && !moves.contains(key) {
            moves.push(key.clone());
            there.advance(LONG);
            let level = 5 + moves.len() as i32;
            let compact = CompactOptions::default().older_than(LONG / 2).level(level);
            let options = PruneOptions::default().compact(Some(compact));
            let report = prune(&open(there.clone()), &options, &Silent, &Cancel::new()).unwrap();
            assert_eq!(report.deleted.count, 2, "{report:?}");
        }
        Ok(())
    });
    assert!(restore_to_memory(&open(hooked), id).contents() == files);
    let moves = moves.lock().unwrap();
    assert_eq!(moves.len(), 2);
    let packs = keys(&storage, name::PACKS);
    assert!(moves.iter().all(|key| !packs.contains(key)));
}
