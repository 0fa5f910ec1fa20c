//! Whatever is taken in and forgotten, an index answers like a list that is searched from end to end.

use std::collections::BTreeMap;

use proptest::prelude::*;
use restow::format::{HEADER_LEN, IndexRecord, IndexedPack};
use restow::index::{ChunkIndex, Location, MemoryIndex};

use super::index::{look_up, look_up_base};
use crate::support::index_records::{chunk, object, pack, record};

#[derive(Debug, Clone)]
enum Act {
    Ingest(u32),
    Forget(Vec<u32>),
    Flush,
    Reopen,
}

/// Chunks 0 to 11 in 5 packs, some of which come with two different contents; 8 objects of up to 4 packs.
fn objects() -> impl Strategy<Value = Vec<IndexRecord>> {
    let blocks = prop::collection::vec(prop::collection::vec(0..12u32, 1..4), 0..5);
    let packs = prop::collection::vec((0..5u32, blocks), 1..7).prop_map(|packs| {
        let made = packs.iter().map(|(number, blocks)| {
            let blocks: Vec<&[u32]> = blocks.iter().map(Vec::as_slice).collect();
            pack(*number, &blocks)
        });
        made.collect::<Vec<IndexedPack>>()
    });
    packs.prop_flat_map(|packs| {
        let some = prop::collection::vec(0..packs.len(), 0..4);
        prop::collection::vec(some, 8).prop_map(move |objects| {
            let packs_of = |chosen: Vec<usize>| chosen.iter().map(|p| packs[*p].clone()).collect();
            objects.into_iter().map(|chosen| record(1, packs_of(chosen))).collect()
        })
    })
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0..8u32).prop_map(Act::Ingest),
        3 => prop::collection::vec(0..8u32, 1..4).prop_map(Act::Forget),
        1 => Just(Act::Flush),
        1 => Just(Act::Reopen),
    ];
    prop::collection::vec(act, 1..25)
}

/// Every copy of a chunk in the packs of some records, by the plainest search.
fn search(records: &BTreeMap<u32, &IndexRecord>, number: u32) -> Vec<Location> {
    let mut found: Vec<Location> = Vec::new();
    for pack in records.values().flat_map(|record| &record.packs) {
        let mut offset = HEADER_LEN as u32;
        for (ordinal, block) in pack.contents.blocks.iter().enumerate() {
            let mut chunk_offset = 0;
            for entry in &block.chunks {
                let location = Location {
                    pack: pack.id,
                    pack_kind: pack.kind,
                    ordinal: ordinal as u32,
                    offset,
                    sealed_len: block.sealed_len,
                    raw_len: block.raw_len(),
                    codec: block.codec,
                    depth: block.depth,
                    chunk_offset,
                    chunk_len: entry.len,
                };
                if entry.id == chunk(number) && !found.contains(&location) {
                    found.push(location);
                }
                chunk_offset += entry.len;
            }
            offset += block.sealed_len;
        }
    }
    found
}

fn agrees(index: &dyn ChunkIndex, records: &BTreeMap<u32, &IndexRecord>) {
    let ingested: Vec<_> = index.ingested().into_iter().collect();
    let mut expected: Vec<_> = records.keys().map(|number| object(*number)).collect();
    expected.sort();
    assert_eq!(ingested, expected);
    for number in 0..12 {
        let found = look_up(index, number);
        assert!(found.is_sorted_by_key(|copy| copy.depth));
        let expected = search(records, number);
        assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
        assert!(expected.iter().all(|copy| found.contains(copy)));
        let id = (!found.is_empty()).then(|| chunk(number));
        assert_eq!(look_up_base(index, number), (id, found.clone()));
        for copy in found {
            assert_eq!(index.bases(&copy).unwrap().is_empty(), copy.depth == 0);
        }
    }
}

fn acts_like_a_search<I: ChunkIndex>(
    open: &dyn Fn() -> I,
    is_persistent: bool,
    records: &[IndexRecord],
    acts: Vec<Act>,
) {
    let mut index = Some(open());
    let mut model: BTreeMap<u32, &IndexRecord> = BTreeMap::new();
    for act in acts {
        let current = index.as_ref().unwrap();
        match act {
            Act::Ingest(number) => {
                let record = &records[number as usize];
                current.ingest(object(number), record).unwrap();
                model.insert(number, record);
            }
            Act::Forget(numbers) => {
                let objects: Vec<_> = numbers.iter().map(|number| object(*number)).collect();
                current.forget(&objects).unwrap();
                model.retain(|number, _| !numbers.contains(number));
            }
            Act::Flush => current.flush().unwrap(),
            Act::Reopen if is_persistent => {
                current.flush().unwrap();
                drop(index.take());
                index = Some(open());
            }
            Act::Reopen => {}
        }
        agrees(index.as_ref().unwrap(), &model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_index_in_memory_acts_like_a_search(records in objects(), acts in acts()) {
        acts_like_a_search(&MemoryIndex::new, false, &records, acts);
    }
}

#[cfg(feature = "rocksdb")]
mod rocks {
    use restow::index::RocksIndex;

    use super::*;
    use crate::support::index_records::REPOSITORY;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

        #[test]
        fn the_cache_acts_like_a_search(records in objects(), acts in acts()) {
            let folder = tempfile::tempdir().unwrap();
            let open = || RocksIndex::open(folder.path(), REPOSITORY).unwrap();
            acts_like_a_search(&open, true, &records, acts);
        }

        #[test]
        fn an_overlay_acts_like_a_search(records in objects(), first in acts(), acts in acts()) {
            let folder = tempfile::tempdir().unwrap();
            let open = || RocksIndex::open(folder.path(), REPOSITORY).unwrap();
            let primary = open();
            // What the primary has on disk, the overlay starts from, and forgets in part.
            for act in first {
                if let Act::Ingest(number) = act {
                    primary.ingest(object(number), &records[number as usize]).unwrap();
                }
            }
            primary.flush().unwrap();
            let forget_half = || {
                let overlay = open();
                assert_eq!(overlay.ingested(), primary.ingested());
                let all: Vec<_> = overlay.ingested().into_iter().collect();
                overlay.forget(&all).unwrap();
                overlay
            };
            acts_like_a_search(&forget_half, false, &records, acts);
        }
    }
}
