//! Chunks coded against others, read back: chains of any shape, lies about them, damage in them. The packs are
//! made by hand, block by block.

use std::sync::{Arc, Mutex};

use restow::fault::ErrorKind;
use restow::id::{BaseId, ChunkId};
use restow::index::Base;
use restow::ops::{CheckOptions, CheckReport, RestoreOptions, RestoreReport, check, restore};
use restow::progress::{Cancel, Silent};
use restow::repo::Repository;
use restow::storage::Memory;
use restow::store::{StoreError, StoreReader};

use crate::support::faulty::Call;
use crate::support::hand_packs::{HandPack, commit, id_of, pack_key, whole};
use crate::support::hooked::Hooked;
use crate::support::memory_source::MemoryTarget;
use crate::support::model::{noise, path};
use crate::support::{memory_repository, open, restore_to_memory, small_chunks, view};

pub fn repository() -> (Memory, Repository) {
    let storage = memory_repository(&small_chunks());
    (storage.clone(), open(storage))
}

pub fn reader(repository: &Repository) -> Arc<StoreReader> {
    repository.reader(&repository.load_index().unwrap())
}

pub fn checked(repository: &Repository, read_data: bool) -> CheckReport {
    let options = CheckOptions::default().read_data(read_data);
    check(repository, &options, &Silent, &Cancel::new()).unwrap()
}

/// The same bytes with some changed: a different place for every number.
pub fn edited(bytes: &[u8], number: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = number * 97 % (bytes.len() - 8);
    bytes[at..at + 8].copy_from_slice(&(number as u64 ^ 0x5555).to_be_bytes());
    bytes
}

/// A chunk and what becomes of it in so many nights.
pub fn nights(first: Vec<u8>, count: usize) -> Vec<Vec<u8>> {
    let mut all = vec![first];
    for night in 1..=count {
        all.push(edited(&all[night - 1], night));
    }
    all
}

/// Each night's chunk against the one of the night before, each in a pack of its own.
pub fn put_chain(repository: &Repository, nights: &[Vec<u8>]) {
    for (depth, bytes) in nights.iter().enumerate() {
        let mut pack = HandPack::new(repository);
        match depth.checked_sub(1) {
            None => pack.plain(&[bytes]),
            Some(before) => pack.delta(bytes, depth as u8, &[whole(&nights[before])]),
        }
        pack.put();
    }
}

fn damage(storage: &Memory, id: &restow::id::PackId, at: usize) {
    use restow::storage::Storage;
    let mut bytes = storage.get(&pack_key(id), 1 << 30).unwrap();
    bytes[at] ^= 1;
    storage.put(&pack_key(id), &bytes).unwrap();
}

#[test]
fn chains_of_every_depth_restore() {
    let (_, repository) = repository();
    let nights = nights(noise(5000, 1), 64);
    put_chain(&repository, &nights);
    let names: Vec<String> = (0..nights.len()).map(|night| format!("night-{night:02}")).collect();
    let chunks: Vec<[&[u8]; 1]> = nights.iter().map(|bytes| [bytes.as_slice()]).collect();
    let files: Vec<(&str, &[&[u8]])> =
        names.iter().zip(&chunks).map(|(name, chunk)| (name.as_str(), chunk.as_slice())).collect();
    let id = commit(&repository, &files);
    let restored = restore_to_memory(&repository, id).contents();
    for (name, bytes) in names.iter().zip(&nights) {
        assert!(restored[&path(name)] == *bytes, "{name}");
    }
    assert!(checked(&repository, false).is_clean());
    assert!(checked(&repository, true).is_clean());
}

#[test]
fn a_chain_longer_than_it_says_or_in_a_circle_is_an_error_and_no_hang() {
    let (_, repository) = repository();
    let [a, b, c, d] = [1, 2, 3, 4].map(|number| edited(&noise(3000, 7), number));
    let mut pack = HandPack::new(&repository);
    // A circle of three.
    pack.delta(&a, 3, &[whole(&b)]);
    pack.delta(&b, 2, &[whole(&c)]);
    pack.delta(&c, 1, &[whole(&a)]);
    // Its base is as deep as itself.
    pack.delta(&d, 1, &[whole(&c)]);
    pack.put();
    let id = commit(&repository, &[("a", &[&a]), ("d", &[&d])]);
    for (bytes, base, depth) in [(&a, &a, 1), (&d, &c, 1)] {
        let error = reader(&repository).chunk(&id_of(&repository, bytes)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damage);
        let said = format!(
            "chunk {}, a base of a block of depth {depth}, is in no shallower block",
            id_of(&repository, base)
        );
        assert_eq!(error.to_string(), said);
    }
    for read_data in [false, true] {
        let report = checked(&repository, read_data);
        let named: Vec<_> = report.snapshots_damaged.iter().map(|d| (d.id, d.count)).collect();
        assert_eq!(named, [(id, 2)]);
    }
}

#[test]
fn of_two_copies_the_shallower_is_read_and_when_it_is_damaged_the_other() {
    let storage = memory_repository(&small_chunks());
    let read = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&read);
    let repository = open(Hooked::before(storage.clone(), move |call, key| {
        if call == Call::GetRange {
            heard.lock().unwrap().push(key.clone());
        }
        Ok(())
    }));
    let nights = nights(noise(4000, 3), 3);
    put_chain(&repository, &nights);
    let mut shallow = HandPack::new(&repository);
    shallow.delta(&nights[2], 1, &[whole(&nights[0])]);
    let (at, shallow) = (shallow.offset(0), shallow.put());

    // The chunk of depth 3 is read over the base that is less deep.
    let id = id_of(&repository, &nights[3]);
    assert!(reader(&repository).chunk(&id).unwrap() == nights[3]);
    let packs = |read: &Mutex<Vec<_>>| {
        let mut keys = std::mem::take(&mut *read.lock().unwrap());
        keys.sort();
        keys.dedup();
        keys.len()
    };
    assert!(read.lock().unwrap().contains(&pack_key(&shallow)));
    assert_eq!(packs(&read), 3);
    let base = id_of(&repository, &nights[2]);
    assert_eq!(reader(&repository).locator().cheapest(&base).unwrap().depth, 1);

    damage(&storage, &shallow, at);
    read.lock().unwrap().clear();
    assert!(reader(&repository).chunk(&id).unwrap() == nights[3]);
    assert_eq!(packs(&read), 5, "the shallow copy, and then the whole chain");
    let snapshot = commit(&repository, &[("a", &[&nights[3]]), ("b", &[&nights[2]])]);
    let restored = restore_to_memory(&repository, snapshot).contents();
    assert!(restored[&path("a")] == nights[3] && restored[&path("b")] == nights[2]);
    let report = checked(&repository, true);
    assert!(report.snapshots_damaged.is_empty() && report.objects_damaged.len() == 2, "{report:?}");
}

/// A copy that opens and decodes, but to other bytes, is found out when the end of the chain does not match.
#[test]
fn a_base_that_is_not_what_it_is_called_is_replaced_by_another_copy() {
    let (_, repository) = repository();
    let nights = nights(noise(4000, 4), 2);
    let mut pack = HandPack::new(&repository);
    pack.plain(&[&noise(50, 1)]);
    let mut wrong = Vec::new();
    let other = edited(&nights[1], 900);
    restow::codec::compress_against(3, &noise(50, 1), &other, &mut wrong).unwrap();
    pack.coded(
        &nights[1],
        1,
        &[Base::part_of(&id_of(&repository, &noise(50, 1)), 50, 0, 50)],
        wrong,
    );
    pack.put();
    let mut pack = HandPack::new(&repository);
    pack.plain(&[&nights[0]]);
    pack.delta(&nights[1], 2, &[whole(&nights[0])]);
    // Too high is no lie: its base has a copy of depth 2, and one of depth 1 that is wrong.
    pack.delta(&nights[2], 3, &[whole(&nights[1])]);
    pack.put();
    let reader = reader(&repository);
    // Twice: what is wrong may be in the cache by then.
    for _ in 0..2 {
        assert!(reader.chunk(&id_of(&repository, &nights[2])).unwrap() == nights[2]);
        assert!(reader.chunk(&id_of(&repository, &nights[1])).unwrap() == nights[1]);
    }
    let id = commit(&repository, &[("a", &[&nights[2]])]);
    assert!(restore_to_memory(&repository, id).contents()[&path("a")] == nights[2]);
    assert!(checked(&repository, true).snapshots_damaged.is_empty());
}

/// A base of another length than it should have may serve for nothing at all.
#[test]
fn a_base_that_is_too_short_for_what_is_coded_against_it_is_replaced_by_another_copy() {
    let (_, repository) = repository();
    let nights = nights(noise(4000, 4), 2);
    let mut pack = HandPack::new(&repository);
    pack.called(id_of(&repository, &nights[0]), &noise(50, 1));
    pack.put();
    let mut pack = HandPack::new(&repository);
    pack.plain(&[&noise(4000, 9)]);
    // Readers take the shallower copy first: of a base, this is the one that is wrong.
    pack.delta(&nights[0], 1, &[whole(&noise(4000, 9))]);
    pack.delta(&nights[1], 2, &[whole(&nights[0])]);
    pack.delta(&nights[2], 3, &[whole(&nights[1])]);
    pack.put();
    for _ in 0..2 {
        let reader = reader(&repository);
        assert!(reader.chunk(&id_of(&repository, &nights[2])).unwrap() == nights[2]);
        assert!(reader.chunk(&id_of(&repository, &nights[1])).unwrap() == nights[1]);
    }
    let id = commit(&repository, &[("a", &[&nights[2], &nights[1]])]);
    assert!(
        restore_to_memory(&repository, id).contents()[&path("a")]
            == [&nights[2][..], &nights[1]].concat()
    );
    assert!(checked(&repository, true).snapshots_damaged.is_empty());
}

/// Two copies of everything, at every level, and all of them stand on one chunk that is gone: 2^40 ways to fail.
#[test]
fn what_stands_on_a_lost_chunk_in_many_ways_fails_once() {
    let (_, repository) = repository();
    let nights = nights(noise(3000, 4), 40);
    for _ in 0..2 {
        let mut pack = HandPack::new(&repository);
        for depth in 1..nights.len() {
            pack.delta(&nights[depth], depth as u8, &[whole(&nights[depth - 1])]);
        }
        pack.put();
    }
    let error = reader(&repository).chunk(&id_of(&repository, &nights[40])).unwrap_err();
    assert!(!matches!(error, StoreError::CostlyChain { .. }), "{error}");
    let base = BaseId::of(&id_of(&repository, &nights[0]));
    assert!(error.to_string().contains(&base.to_string()), "{error}");
}

/// Nobody without the key can make one; whoever has it gets no wrong bytes for it.
#[test]
fn a_base_whose_name_means_two_chunks_is_refused_by_name() {
    let (_, repository) = repository();
    let nights = nights(noise(3000, 1), 2);
    put_chain(&repository, &nights);
    let one = id_of(&repository, &nights[0]);
    let mut other = *one.as_bytes();
    other[31] ^= 1;
    let other = ChunkId::new(other);
    let mut pack = HandPack::new(&repository);
    pack.called(other, &noise(50, 2));
    pack.put();
    let reader = reader(&repository);
    assert!(reader.chunk(&one).unwrap() == nights[0]);
    let error = reader.chunk(&id_of(&repository, &nights[1])).unwrap_err();
    let said = error.to_string();
    assert!(said.contains(&one.to_hex()) && said.contains(&other.to_hex()), "{said}");
    assert_eq!((error.kind(), error.is_general()), (ErrorKind::Damage, false));
    let id = commit(&repository, &[("a", &[&nights[2]]), ("b", &[&nights[0]])]);
    let report = checked(&repository, false);
    assert_eq!(report.snapshots_damaged.iter().map(|d| d.id).collect::<Vec<_>>(), [id]);
    assert!(report.snapshots_damaged[0].entries[0].message.contains(&other.to_hex()));
    let (target, report) = restore_what_can_be(&repository, id);
    assert_eq!(report.damaged_count, 1);
    assert!(target.contents()[&path("b")] == nights[0]);
}

#[test]
fn a_base_that_is_nowhere_is_named() {
    let (_, repository) = repository();
    let nights = nights(noise(3000, 1), 1);
    let mut pack = HandPack::new(&repository);
    pack.delta(&nights[1], 1, &[whole(&nights[0])]);
    pack.put();
    let error = reader(&repository).chunk(&id_of(&repository, &nights[1])).unwrap_err();
    let base = BaseId::of(&id_of(&repository, &nights[0]));
    assert!(matches!(error, StoreError::MissingBase { base: found } if found == base), "{error}");
    assert_eq!(error.kind(), ErrorKind::Damage);
}

/// 64 levels of 8 chunks, each against 1024 pieces of the level below: 2^640 ways down.
pub fn restore_what_can_be(
    repository: &Repository,
    id: restow::id::SnapshotId,
) -> (MemoryTarget, RestoreReport) {
    let target = MemoryTarget::default();
    let (view, all) = (view(repository, id), RestoreOptions::default());
    let report =
        restore(&view, Box::new(target.importer()), &all, &Silent, &Cancel::new()).unwrap();
    (target, report)
}

#[test]
fn a_damaged_base_hurts_every_snapshot_above_it_and_nothing_else() {
    let (storage, repository) = repository();
    let (hurt, sound) = (nights(noise(5000, 1), 4), nights(noise(5000, 2), 4));
    let mut pack = HandPack::new(&repository);
    pack.plain(&[&hurt[0]]);
    pack.plain(&[&sound[0]]);
    let (at, base) = (pack.offset(0), pack.put());
    let mut snapshots = vec![commit(&repository, &[("a", &[&hurt[0]]), ("b", &[&sound[0]])])];
    for night in 1..5 {
        let mut pack = HandPack::new(&repository);
        pack.delta(&hurt[night], night as u8, &[whole(&hurt[night - 1])]);
        pack.delta(&sound[night], night as u8, &[whole(&sound[night - 1])]);
        pack.put();
        let files: [(&str, &[&[u8]]); 2] = [("a", &[&hurt[night]]), ("b", &[&sound[night]])];
        snapshots.push(commit(&repository, &files));
    }
    let untouched = commit(&repository, &[("b", &[&sound[4], &sound[2]])]);
    damage(&storage, &base, at);

    assert!(checked(&repository, false).is_clean(), "unread, it cannot show");
    let report = checked(&repository, true);
    let mut named: Vec<_> = report.snapshots_damaged.iter().map(|d| (d.id, d.count)).collect();
    named.sort();
    let mut expected: Vec<_> = snapshots.iter().map(|id| (*id, 1)).collect();
    expected.sort();
    assert_eq!(named, expected);
    for damage in &report.snapshots_damaged {
        assert_eq!(damage.entries[0].path.to_vec(), b"a");
        assert!(damage.entries[0].message.contains(&base.to_hex()), "{damage:?}");
    }
    let objects: Vec<_> = report.objects_damaged.iter().map(|o| o.path.to_vec()).collect();
    let pack = pack_key(&base).as_str().as_bytes().to_vec();
    assert!(objects.iter().all(|object| *object == pack), "only the damaged pack: {report:?}");

    for (night, id) in snapshots.iter().enumerate() {
        let (target, report) = restore_what_can_be(&repository, *id);
        assert_eq!(report.damaged_count, 1);
        assert_eq!(report.damaged[0].path.to_vec(), b"a");
        assert!(target.contents()[&path("b")] == sound[night]);
    }
    let (_, report) = restore_what_can_be(&repository, untouched);
    assert_eq!(report.damaged_count, 0);

    // A pack that is gone is seen without reading.
    {
        use restow::storage::Storage;
        storage.delete(&pack_key(&base)).unwrap();
    }
    let report = checked(&repository, false);
    assert_eq!(report.snapshots_damaged.len(), 6, "and now b is lost, too");
}
