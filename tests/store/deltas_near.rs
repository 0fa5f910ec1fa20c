//! Chains that lead to the same packs again and again: what is kept of those packs, and what if it leads astray.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use restow::format::{Footer, HEADER_LEN, TAG_LEN};
use restow::id::PackId;
use restow::repo::Repository;
use restow::storage::{Memory, Storage};
use restow::store::{StoreReader, Want};

use crate::store::deltas_read::{nights, put_chain};
use crate::support::faulty::Call;
use crate::support::hand_packs::{HandPack, Part, id_of, pack_key, whole};
use crate::support::hooked::Hooked;
use crate::support::model::noise;
use crate::support::{memory_repository, open, small_chunks};

const CHUNKS: usize = 120;

/// A repository, and how many parts of objects were read from it.
fn counted() -> (Repository, Arc<AtomicUsize>) {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let storage: Memory = memory_repository(&small_chunks());
    let repository = open(Hooked::before(storage, move |call, _| {
        counted.fetch_add(usize::from(call == Call::GetRange), Ordering::Relaxed);
        Ok(())
    }));
    (repository, reads)
}

fn reader(repository: &Repository) -> Arc<StoreReader> {
    repository.reader(&repository.load_index().unwrap())
}

/// A chunk on three nights.
fn three_nights(number: usize) -> [Vec<u8>; 3] {
    let first = noise(2000, number as u64);
    let [mut second, mut third] = [first.clone(), first.clone()];
    second[number] ^= 1;
    third[number + 7] ^= 1;
    [first, second, third]
}

/// Packs of three nights, and one in which the second night's chunks lie once more, by themselves: the one that is
/// read. Where its blocks start, too.
fn put(repository: &Repository, streams: &[[Vec<u8>; 3]]) -> (PackId, Vec<usize>) {
    let [mut first, mut second, mut third, mut again] = [0; 4].map(|_| HandPack::new(repository));
    for [one, two, three] in streams {
        first.plain(&[one]);
        second.delta(two, 1, &[whole(one)]);
        third.delta(three, 2, &[whole(two)]);
        again.plain(&[two]);
    }
    let places = (0..streams.len()).map(|number| again.offset(number)).collect();
    for pack in [first, second, third] {
        pack.put();
    }
    (again.put(), places)
}

fn is_right(repository: &Repository, reader: &StoreReader, [.., last]: &[Vec<u8>; 3]) -> bool {
    reader.chunk(&id_of(repository, last)).unwrap() == *last
}

/// Once a trailer was read, the index is asked no more where bases are: unless what it says fails.
#[test]
fn where_a_trailer_leads_to_a_damaged_copy_another_is_read() {
    let storage = memory_repository(&small_chunks());
    let repository = open(storage.clone());
    let streams: Vec<_> = (0..CHUNKS).map(three_nights).collect();
    let (again, places) = put(&repository, &streams);
    let reader = reader(&repository);
    let right = |streams: &[[Vec<u8>; 3]]| {
        streams.iter().all(|nights| is_right(&repository, &reader, nights))
    };
    assert!(right(&streams[..60]));
    let mut bytes = storage.get(&pack_key(&again), 1 << 30).unwrap();
    places.iter().for_each(|place| bytes[*place] ^= 1);
    storage.put(&pack_key(&again), &bytes).unwrap();
    assert!(right(&streams[60..90]));
    storage.delete(&pack_key(&again)).unwrap();
    assert!(right(&streams[90..]));
}

#[test]
fn neighbours_are_read_together_once_a_pack_is_known() {
    let (repository, reads) = counted();
    let streams: Vec<_> = (0..CHUNKS).map(three_nights).collect();
    put(&repository, &streams);
    let reader = reader(&repository);
    assert!(streams[..60].iter().all(|nights| is_right(&repository, &reader, nights)));
    let before = reads.swap(0, Ordering::Relaxed);
    assert!(before > 60, "{before}: each by itself, until it pays to know more");
    assert!(streams[60..].iter().all(|nights| is_right(&repository, &reader, nights)));
    // 9 kB of deltas, and 120 kB of what they are coded against in windows of 32 KiB.
    let reads = reads.load(Ordering::Relaxed);
    assert!(reads <= 8, "{reads} reads of two blocks each for 60 chunks");
}

/// Many chains of one copy a link, each night in a pack of its own, all of whose trailers a reader knows.
fn long_chains(
    repository: &Repository,
    links: usize,
    count: u64,
) -> (Vec<Vec<Vec<u8>>>, Vec<PackId>) {
    let streams: Vec<_> = (0..count).map(|n| nights(noise(800, n), links)).collect();
    let packs = (0..=links).map(|night| {
        let mut pack = HandPack::new(repository);
        for stream in &streams {
            match night {
                0 => pack.plain(&[&stream[0]]),
                _ => pack.delta(&stream[night], night as u8, &[whole(&stream[night - 1])]),
            }
        }
        pack.put()
    });
    let packs = packs.collect();
    (streams, packs)
}

/// A guess that fails is not tried again at every level above it, and the true error is told.
#[test]
fn what_a_long_chain_lacks_is_found_out_once() {
    let (repository, reads) = counted();
    let (streams, packs) = long_chains(&repository, 24, 200);
    let reader = reader(&repository);
    let id = |stream: usize, night: usize| id_of(&repository, &streams[stream][night]);
    for (number, stream) in streams[..50].iter().enumerate() {
        assert!(reader.chunk(&id(number, 24)).unwrap() == stream[24]);
    }
    repository.storage().delete(&pack_key(&packs[0])).unwrap();
    reads.store(0, Ordering::Relaxed);
    let error = reader.chunk(&id(155, 24)).unwrap_err();
    assert!(error.to_string().contains(&packs[0].to_hex()), "{error}");
    let count = reads.load(Ordering::Relaxed);
    assert!(count < 150, "{count} reads");

    // And another copy of the last is found.
    let mut pack = HandPack::new(&repository);
    pack.plain(&[&streams[156][23]]);
    pack.put();
    let reader = self::reader(&repository);
    for number in 0..50 {
        assert!(reader.chunk(&id(number, 24)).is_err());
    }
    assert!(reader.chunk(&id(156, 24)).unwrap() == streams[156][24]);
}

/// What is read ahead may fail without harm to what is wanted.
#[test]
fn a_part_of_a_pack_that_cannot_be_read_hurts_no_block_before_it() {
    let (repository, _) = counted();
    let (streams, packs) = long_chains(&repository, 2, 200);
    let reader = reader(&repository);
    let is_right = |stream: &Vec<Vec<u8>>| {
        reader.chunk(&id_of(&repository, &stream[2])).is_ok_and(|chunk| chunk == stream[2])
    };
    assert!(streams[..50].iter().all(is_right));
    // The pack's trailer is known, and what of it was read ends long before here.
    let (storage, key) = (repository.storage(), pack_key(&packs[0]));
    let bytes = storage.get(&key, 1 << 30).unwrap();
    storage.put(&key, &bytes[..HEADER_LEN + 150 * (800 + TAG_LEN)]).unwrap();
    assert!(streams[140..150].iter().all(is_right));
    assert!(!streams[150..].iter().any(is_right));
}

/// A host may write what it likes at the end of a pack: that is no reason to ask for gigabytes.
#[test]
fn a_pack_that_grew_keeps_its_blocks_and_loses_its_trailer() {
    let (repository, _) = counted();
    let (streams, packs) = long_chains(&repository, 2, 60);
    for pack in &packs {
        let key = pack_key(pack);
        let mut bytes = repository.storage().get(&key, 1 << 30).unwrap();
        let footer = Footer { codec: 1, raw_len: 1 << 20, sealed_len: 1 << 25 };
        bytes.resize((1 << 25) + 4096, 0);
        bytes.extend_from_slice(&footer.encode());
        repository.storage().put(&key, &bytes).unwrap();
    }
    let reader = reader(&repository);
    for stream in &streams {
        assert!(reader.chunk(&id_of(&repository, &stream[2])).unwrap() == stream[2]);
    }
}

/// A night's chunks against the night before's, which are neighbours there, too: each block is read once, and
/// with its neighbours.
#[test]
fn a_stream_of_deltas_is_read_in_few_reads() {
    const CHUNKS: usize = 300;
    let (repository, reads) = counted();
    let streams: Vec<_> = (0..CHUNKS).map(|n| nights(noise(3000, n as u64), 8)).collect();
    for night in 0..=8 {
        let mut pack = HandPack::new(&repository);
        for (number, chunk) in streams.iter().enumerate() {
            match night {
                0 => pack.plain(&[&chunk[0]]),
                _ => {
                    // A little of the neighbour besides.
                    let next = &streams[(number + 1) % CHUNKS][night - 1];
                    let beside = Part { chunk: next, skip: 0, len: 100 };
                    pack.delta(&chunk[night], night as u8, &[whole(&chunk[night - 1]), beside]);
                }
            }
        }
        pack.put();
    }
    let wants: Vec<Want<usize>> = (0..CHUNKS)
        .map(|tag| {
            let chunk = &streams[tag][8];
            Want { id: id_of(&repository, chunk), len: chunk.len() as u32, tag }
        })
        .collect();
    let (reader, delivered) = (reader(&repository), AtomicUsize::new(0));
    reads.store(0, Ordering::Relaxed);
    reader.fetch(&wants, &|tag, result| {
        assert!(result.unwrap() == streams[tag][8]);
        delivered.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(delivered.into_inner(), CHUNKS);
    // 900 kB in one run: a read a night, two for the plain one, one for each pack's key and two for its trailer.
    let reads = reads.load(Ordering::Relaxed);
    assert!(reads <= 9 + 1 + 9 + 2 * 9, "{reads} reads");
}

/// Neighbours ask for the same base one after the other: it is read, decoded and hashed once.
#[test]
fn a_base_asked_for_again_is_at_hand() {
    let (repository, reads) = counted();
    let nights = nights(noise(5000, 1), 9);
    put_chain(&repository, &nights);
    let reader = reader(&repository);
    let (bytes, depth) = reader.chunk_with_depth(&id_of(&repository, &nights[9])).unwrap();
    assert!(*bytes == *nights[9] && depth == 9);
    let before = reads.load(Ordering::Relaxed);
    let (bytes, depth) = reader.chunk_with_depth(&id_of(&repository, &nights[9])).unwrap();
    assert!(*bytes == *nights[9] && depth == 9);
    assert_eq!(reads.load(Ordering::Relaxed), before);
    assert!(reader.chunk_with_depth(&id_of(&repository, b"nowhere")).is_err());
}
