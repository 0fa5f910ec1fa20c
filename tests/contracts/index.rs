//! The contract in the docs of `restow::index`.

use std::collections::BTreeSet;

use restow::fault::ErrorKind;
use restow::format::{Codec, HEADER_LEN, PackKind};
use restow::id::{BaseId, ChunkId, SnapshotId};
use restow::index::{ChunkIndex, IndexError, Location, MemoryIndex, PackEntry};

use crate::support::index_records::{
    chunk, double, numbered_record, object, pack, pack_id, record, writer,
};

pub fn look_up(index: &dyn ChunkIndex, number: u32) -> Vec<Location> {
    let mut found = Vec::new();
    index.look_up(&chunk(number), &mut found).unwrap();
    found
}

pub fn packs_of(index: &dyn ChunkIndex, number: u32) -> Vec<restow::id::PackId> {
    look_up(index, number).iter().map(|copy| copy.pack).collect()
}

/// Everything the contract promises of an index that holds nothing yet.
pub fn keeps_the_contract(index: &dyn ChunkIndex) {
    a_copy_is_found_where_it_lies(index);
    copies_come_shallowest_first_and_once(index);
    bases_come_in_order(index);
    a_base_is_found_by_its_name(index);
    a_name_of_two_chunks_is_an_error(index);
    taking_in_twice_changes_nothing(index);
    forgetting_spares_what_others_list(index);
    contents_that_differ_are_kept_apart(index);
    a_repeated_pack_counts_once(index);
    it_vouches_until_something_is_forgotten(index);
    threads_may_share_it(index);
    index.flush().unwrap();
}

fn clear(index: &dyn ChunkIndex) {
    index.forget(&index.ingested().into_iter().collect::<Vec<_>>()).unwrap();
    assert!(index.objects().is_empty() && index.ingested().is_empty());
}

fn it_vouches_until_something_is_forgotten(index: &dyn ChunkIndex) {
    let (one, other) = (SnapshotId::new([1; 32]), SnapshotId::new([2; 32]));
    index.ingest(object(7), &numbered_record(7)).unwrap();
    assert!(!index.vouches_for(&one));
    index.vouch(&one).unwrap();
    index.ingest(object(8), &numbered_record(8)).unwrap();
    assert!(index.vouches_for(&one) && !index.vouches_for(&other));
    index.forget(&[object(8)]).unwrap();
    assert!(!index.vouches_for(&one));
    index.vouch(&other).unwrap();
    assert!(index.vouches_for(&other) && !index.vouches_for(&one));
    clear(index);
}

fn a_copy_is_found_where_it_lies(index: &dyn ChunkIndex) {
    assert!(look_up(index, 20).is_empty());
    index.ingest(object(2), &numbered_record(2)).unwrap();
    let found = look_up(index, 24);
    let expected = Location {
        pack: pack_id(2),
        pack_kind: PackKind::Data,
        ordinal: 2,
        offset: HEADER_LEN as u32 + 100 + 101,
        sealed_len: 102,
        raw_len: 10 + 23 + 10 + 24,
        codec: Codec::ZstdDelta,
        depth: 3,
        chunk_offset: 10 + 23,
        chunk_len: 10 + 24,
    };
    assert_eq!(found, [expected]);
    // What was found before stays in front.
    let mut found = vec![expected];
    index.look_up(&chunk(20), &mut found).unwrap();
    assert_eq!((found.len(), found[0]), (2, expected));
    assert!(look_up(index, 999).is_empty());

    let objects = index.objects();
    assert_eq!(objects.len(), 1);
    assert_eq!((objects[0].id, objects[0].writer), (object(2), writer(2)));
    let (len, contents) = {
        let first = &numbered_record(2).packs[0];
        (first.len, first.contents.fingerprint())
    };
    let first = PackEntry { id: pack_id(2), kind: PackKind::Data, len, contents };
    assert_eq!(objects[0].packs[0], first);
    assert_eq!(objects[0].packs.len(), 2);
    clear(index);
}

fn copies_come_shallowest_first_and_once(index: &dyn ChunkIndex) {
    // Chunk 7 as a delta of depth 4 in pack 3, of depth 2 in pack 1, plain in packs 11 and 12.
    let deltas = |number| pack(number, &[&[100], &[101], &[7, 8]]);
    index.ingest(object(1), &record(1, vec![deltas(3)])).unwrap();
    index.ingest(object(2), &record(1, vec![pack(11, &[&[7]]), deltas(1)])).unwrap();
    index.ingest(object(3), &record(1, vec![pack(12, &[&[5], &[6, 7]]), deltas(1)])).unwrap();
    let depths: Vec<u8> = look_up(index, 7).iter().map(|copy| copy.depth).collect();
    assert_eq!(depths, [0, 0, 2, 4]);
    // Twice in one block are two places.
    index.ingest(object(4), &record(1, vec![pack(13, &[&[9, 9]])])).unwrap();
    let offsets: Vec<u32> = look_up(index, 9).iter().map(|copy| copy.chunk_offset).collect();
    assert_eq!(offsets, [0, 19]);
    clear(index);
    assert!(look_up(index, 7).is_empty());
}

fn bases_come_in_order(index: &dyn ChunkIndex) {
    index.ingest(object(1), &numbered_record(1)).unwrap();
    let [delta] = look_up(index, 13)[..] else { panic!("one copy") };
    let bases = index.bases(&delta).unwrap();
    let parts: Vec<_> = bases.iter().map(|base| (base.name, base.skip, base.len)).collect();
    let name = BaseId::of(&chunk(1013));
    assert_eq!(parts, [(name, 3, 50), (name, 0, 7)]);
    let [plain] = look_up(index, 10)[..] else { panic!("one copy") };
    assert!(index.bases(&plain).unwrap().is_empty());
    index.forget(&[object(1)]).unwrap();
    assert!(index.bases(&delta).is_err(), "its pack is gone");
    clear(index);
}

pub fn look_up_base(index: &dyn ChunkIndex, number: u32) -> (Option<ChunkId>, Vec<Location>) {
    let mut found = Vec::new();
    let id = index.look_up_base(&BaseId::of(&chunk(number)), &mut found).unwrap();
    (id, found)
}

fn a_base_is_found_by_its_name(index: &dyn ChunkIndex) {
    assert_eq!(look_up_base(index, 7), (None, Vec::new()));
    let deltas = |number| pack(number, &[&[100], &[101], &[7, 8]]);
    index.ingest(object(1), &record(1, vec![deltas(3)])).unwrap();
    index.ingest(object(2), &record(1, vec![pack(11, &[&[7]]), deltas(1)])).unwrap();
    let (id, found) = look_up_base(index, 7);
    assert_eq!((id, &found), (Some(chunk(7)), &look_up(index, 7)));
    assert_eq!(found.iter().map(|copy| copy.depth).collect::<Vec<_>>(), [0, 2, 4]);
    // What was found before stays in front.
    let mut both = found.clone();
    index.look_up_base(&BaseId::of(&chunk(100)), &mut both).unwrap();
    assert_eq!((&both[..3], both.len()), (&found[..], 5));
    index.forget(&[object(2)]).unwrap();
    let (id, found) = look_up_base(index, 7);
    assert_eq!((id, found.len()), (Some(chunk(7)), 1));
    clear(index);
    assert_eq!(look_up_base(index, 7), (None, Vec::new()));
}

fn a_name_of_two_chunks_is_an_error(index: &dyn ChunkIndex) {
    let mut other = pack(2, &[&[5]]);
    other.contents.blocks[0].chunks[0].id = double(7);
    index.ingest(object(1), &record(1, vec![pack(1, &[&[7]])])).unwrap();
    index.ingest(object(2), &record(1, vec![other])).unwrap();
    let before = look_up(index, 7);
    assert_eq!(before.iter().map(|copy| copy.pack).collect::<Vec<_>>(), [pack_id(1)]);
    let mut found = before.clone();
    index.look_up(&double(7), &mut found).unwrap();
    assert_eq!(found.iter().map(|copy| copy.pack).collect::<Vec<_>>(), [pack_id(1), pack_id(2)]);
    let mut found = before.clone();
    let error = index.look_up_base(&BaseId::of(&chunk(7)), &mut found).unwrap_err();
    assert_eq!(found, before);
    assert_eq!(error.kind(), ErrorKind::Damage);
    let IndexError::AmbiguousBase { one, other, .. } = error else { panic!("{error}") };
    assert_eq!(BTreeSet::from([one, other]), BTreeSet::from([chunk(7), double(7)]));
    index.forget(&[object(2)]).unwrap();
    assert_eq!(look_up_base(index, 7), (Some(chunk(7)), before));
    clear(index);
}

fn taking_in_twice_changes_nothing(index: &dyn ChunkIndex) {
    index.ingest(object(1), &numbered_record(1)).unwrap();
    let before = (look_up(index, 1), look_up(index, 14), index.objects());
    index.ingest(object(1), &numbered_record(1)).unwrap();
    assert_eq!((look_up(index, 1), look_up(index, 14), index.objects()), before);
    clear(index);
}

fn forgetting_spares_what_others_list(index: &dyn ChunkIndex) {
    // Objects 1 and 2 share pack 2.
    for number in [1, 2] {
        index.ingest(object(number), &numbered_record(number)).unwrap();
    }
    assert_eq!(index.ingested(), BTreeSet::from([object(1), object(2)]));
    index.forget(&[object(1), object(77)]).unwrap();
    assert_eq!(index.ingested(), BTreeSet::from([object(2)]));
    assert!(packs_of(index, 10).is_empty());
    assert_eq!(packs_of(index, 20), [pack_id(2)]);
    assert_eq!(packs_of(index, 30), [pack_id(3)]);
    // What comes back is as if it had never gone.
    index.ingest(object(1), &numbered_record(1)).unwrap();
    assert_eq!(packs_of(index, 10), [pack_id(1)]);
    assert_eq!(packs_of(index, 20), [pack_id(2)]);
    clear(index);
}

/// A rebuilt index object lists a pack without the blocks that could not be read: once the old object is
/// forgotten, they must give no hits.
fn contents_that_differ_are_kept_apart(index: &dyn ChunkIndex) {
    let whole = pack(1, &[&[50], &[51]]);
    let mut rebuilt = whole.clone();
    rebuilt.contents.blocks.truncate(1);
    index.ingest(object(1), &record(1, vec![whole])).unwrap();
    index.ingest(object(2), &record(1, vec![rebuilt])).unwrap();
    assert_eq!((look_up(index, 50).len(), look_up(index, 51).len()), (1, 1));
    index.forget(&[object(1)]).unwrap();
    assert_eq!((look_up(index, 50).len(), look_up(index, 51).len()), (1, 0));
    clear(index);
}

fn a_repeated_pack_counts_once(index: &dyn ChunkIndex) {
    let twice = vec![pack(1, &[&[60]]), pack(1, &[&[60]]), pack(2, &[])];
    index.ingest(object(1), &record(1, twice)).unwrap();
    index.ingest(object(2), &record(1, Vec::new())).unwrap();
    assert_eq!(look_up(index, 60).len(), 1);
    let packs: Vec<usize> = index
        .objects()
        .iter()
        .map(|object| object.packs.iter().map(|pack| pack.id).collect::<BTreeSet<_>>().len())
        .collect();
    assert_eq!(packs.iter().sum::<usize>(), 2);
    index.forget(&[object(1)]).unwrap();
    assert!(look_up(index, 60).is_empty());
    clear(index);
}

fn threads_may_share_it(index: &dyn ChunkIndex) {
    std::thread::scope(|threads| {
        for start in [100, 110] {
            threads.spawn(move || {
                for number in start..start + 10 {
                    index.ingest(object(number), &numbered_record(number)).unwrap();
                    assert_eq!(packs_of(index, number * 10), [pack_id(number)]);
                }
                index.forget(&[object(start)]).unwrap();
            });
        }
        threads.spawn(|| {
            for number in (100..120).cycle().take(2000) {
                for copy in look_up(index, number * 10 + 3) {
                    // It may be forgotten meanwhile, but is never another's.
                    let bases = index.bases(&copy).unwrap_or_default();
                    assert!(
                        bases
                            .iter()
                            .all(|base| base.name == BaseId::of(&chunk(number * 10 + 1003)))
                    );
                }
            }
        });
    });
    assert_eq!(index.ingested().len(), 18);
    clear(index);
}

#[test]
fn the_index_in_memory_keeps_the_contract() {
    keeps_the_contract(&MemoryIndex::new());
}

#[cfg(feature = "rocksdb")]
mod rocks {
    use restow::index::{CacheRole, RocksIndex};

    use super::*;
    use crate::support::index_records::REPOSITORY;

    #[test]
    fn the_primary_keeps_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let index = RocksIndex::open(folder.path(), REPOSITORY).unwrap();
        assert_eq!(index.role(), CacheRole::Primary);
        keeps_the_contract(&index);
    }

    #[test]
    fn a_secondary_with_its_overlay_keeps_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let primary = RocksIndex::open(folder.path(), REPOSITORY).unwrap();
        let overlay = RocksIndex::open(folder.path(), REPOSITORY).unwrap();
        assert_eq!(overlay.role(), CacheRole::Overlay);
        keeps_the_contract(&overlay);
        keeps_the_contract(&primary);
        // Once more on top of what the primary has on disk, all of it forgotten.
        primary.ingest(object(2), &numbered_record(2)).unwrap();
        primary.flush().unwrap();
        let overlay = RocksIndex::open(folder.path(), REPOSITORY).unwrap();
        assert_eq!(packs_of(&overlay, 20), [pack_id(2)]);
        clear(&overlay);
        keeps_the_contract(&overlay);
        assert_eq!(packs_of(&primary, 20), [pack_id(2)]);
    }

    #[test]
    fn a_private_cache_keeps_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let _primary = RocksIndex::open(folder.path(), REPOSITORY).unwrap();
        std::fs::write(folder.path().join("damaged"), b"").unwrap();
        let private = RocksIndex::open(folder.path(), REPOSITORY).unwrap();
        assert_eq!(private.role(), CacheRole::Private);
        keeps_the_contract(&private);
    }
}
