//! Chains that lead to the same packs again and again: what is kept of those packs, and what if it leads astray.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use restow::id::PackId;
use restow::repo::Repository;
use restow::storage::{Memory, Storage};
use restow::store::StoreReader;

use crate::support::faulty::Call;
use crate::support::hand_packs::{HandPack, id_of, pack_key, whole};
use crate::support::hooked::Hooked;
use crate::support::model::noise;
use crate::support::{memory_repository, open, small_chunks};

const CHUNKS: usize = 120;

/// A chunk on three nights.
fn nights(number: usize) -> [Vec<u8>; 3] {
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
    let streams: Vec<_> = (0..CHUNKS).map(nights).collect();
    let (again, places) = put(&repository, &streams);
    let reader = repository.reader(&repository.load_index().unwrap());
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
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let storage: Memory = memory_repository(&small_chunks());
    let repository = open(Hooked::before(storage, move |call, _| {
        counted.fetch_add(usize::from(call == Call::GetRange), Ordering::Relaxed);
        Ok(())
    }));
    let streams: Vec<_> = (0..CHUNKS).map(nights).collect();
    put(&repository, &streams);
    let reader = repository.reader(&repository.load_index().unwrap());
    assert!(streams[..60].iter().all(|nights| is_right(&repository, &reader, nights)));
    let before = reads.swap(0, Ordering::Relaxed);
    assert!(before > 60, "{before}: each by itself, until it pays to know more");
    assert!(streams[60..].iter().all(|nights| is_right(&repository, &reader, nights)));
    // 9 kB of deltas, and 120 kB of what they are coded against in windows of 32 KiB.
    let reads = reads.load(Ordering::Relaxed);
    assert!(reads <= 8, "{reads} reads of two blocks each for 60 chunks");
}
