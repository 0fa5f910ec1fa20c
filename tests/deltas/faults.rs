//! Bases that cannot be read, and backups that were cut off.

use std::sync::Arc;

use restow::ops::{BackupOptions, OpError, backup};
use restow::progress::{Cancel, Silent};
use restow::repo::CreateOptions;
use restow::storage::{Key, Memory, Storage};

use crate::prune::costs::broken_shallow_copy;
use crate::support::faulty::{Call, Failure, Faulty};
use crate::support::hand_packs::{HandPack, commit, id_of, pack_key, whole};
use crate::support::hooked::Hooked;
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{
    back_up, copy_of, default_chunks, memory_repository, open, restore_to_memory, try_open,
};

use super::edits::{Table, touched};
use super::writers::at_once;
use super::{Series, assert_clean, assert_restores, chains, is_damaged, keys_of, source, stream};

fn chunks_of_4_kib() -> CreateOptions {
    let [chunk_min, chunk_avg, chunk_max] = [1024, 4096, 16_384];
    default_chunks().chunk_min(chunk_min).chunk_avg(chunk_avg).chunk_max(chunk_max).delta_depth(8)
}

/// Every chunk of 1 KiB or more is another one each night.
fn night(number: u64) -> Files {
    let mut bytes = Table::new(8000, 1).bytes();
    for number in 1..=number {
        bytes = touched(&bytes, 900, number);
    }
    stream(bytes)
}

const DATA: u8 = 3;
const METADATA: u8 = 4;

/// Byte 7 of a pack's header is its kind.
fn kind(storage: &Memory, key: &Key) -> u8 {
    storage.get(key, 1 << 30).unwrap()[7]
}

fn spoil(storage: &Memory, key: &Key) {
    let mut bytes = storage.get(key, 1 << 30).unwrap();
    bytes.iter_mut().skip(100).step_by(50).for_each(|byte| *byte ^= 1);
    storage.put(key, &bytes).unwrap();
}

/// A storage after three nights, their snapshots, and the packs of each.
fn three_nights() -> (Memory, Series, Vec<Vec<Key>>) {
    let storage = memory_repository(&chunks_of_4_kib());
    let (mut series, mut packs, mut seen) = (Series::new(), Vec::new(), Vec::new());
    for number in 0..3 {
        let files = night(number);
        let report = back_up(&open(storage.clone()), &[&source("x", &files)]).unwrap();
        assert_eq!(report.written.delta_stored > 0, number > 0);
        series.push((files, report.id.unwrap()));
        let all = keys_of(&storage, "packs");
        packs.push(all.iter().filter(|key| !seen.contains(*key)).cloned().collect());
        seen = all;
    }
    (storage, series, packs)
}

#[test]
fn a_base_that_cannot_be_read_is_done_without() {
    let harms: [fn(&Memory, &Key); 2] = [spoil, |storage, key| storage.delete(key).unwrap()];
    let cases = [
        (&[0][..], &[DATA][..]),
        (&[1], &[DATA]),
        (&[2], &[DATA]),
        (&[2], &[METADATA]),
        (&[0, 1, 2], &[DATA]),
        (&[0, 1, 2], &[DATA, METADATA]),
    ];
    for (number, harm) in harms.iter().enumerate() {
        for (nights, kinds) in cases {
            let what = format!("harm {number} to packs of nights {nights:?}, kinds {kinds:?}");
            let (storage, mut series, packs) = three_nights();
            // What was open before does not know of it either.
            let repository = open(storage.clone());
            repository.load_index().unwrap();
            for key in nights.iter().flat_map(|night| &packs[*night]) {
                if kinds.contains(&kind(&storage, key)) {
                    harm(&storage, key);
                }
            }
            let (last, repositories) = (series[2].1, [repository, open(storage.clone())]);
            assert!(is_damaged(&repositories[1], last), "{what}");
            series.clear();
            for (number, repository) in (3..).zip(&repositories) {
                let files = night(number);
                let report = back_up(repository, &[&source("x", &files)]).unwrap();
                assert!(!report.manifest.incomplete, "{what}");
                series.push((files, report.id.unwrap()));
            }
            let repository = open(storage);
            chains(&repository, 8);
            assert_restores(&repository, &series);
            // The night after goes on with deltas.
            let files = night(5);
            let report = back_up(&repository, &[&source("x", &files)]).unwrap();
            assert!(report.written.delta_stored > 0, "{what}");
            assert_restores(&repository, &vec![(files, report.id.unwrap())]);
        }
    }
}

/// Bases are read on the pool's threads. One that panics there ends the backup: neither the process nor a wait.
#[test]
fn a_panic_while_coding_ends_the_backup_with_an_error() {
    let (storage, mut series, _) = three_nights();
    let panics = Hooked::before(storage.clone(), |call, key| {
        let on_the_pool = rayon::current_thread_index().is_some();
        assert!(!on_the_pool || call != Call::GetRange, "a panic that is wanted, at {key:?}");
        Ok(())
    });
    let error = back_up(&open(panics), &[&source("x", &night(3))]).unwrap_err();
    assert!(matches!(error, OpError::Lost), "{error}");
    let report = back_up(&open(storage.clone()), &[&source("x", &night(3))]).unwrap();
    series.push((night(3), report.id.unwrap()));
    assert_restores(&open(storage), &series);
}

/// Each of four old chunks may be a base, but all four together take more work than half of what a reader does.
#[test]
fn bases_that_take_too_much_work_together_are_not_taken() {
    let storage = memory_repository(&default_chunks());
    let repository = open(storage.clone());
    let mut pack = HandPack::new(&repository);
    let mut tops = Vec::new();
    for family in 0..4 {
        // Both of each level stand on both of the level below: 2^10 ways down.
        let mut pair = [noise(3000, 2 * family), noise(3000, 2 * family + 1)];
        pair.iter().for_each(|chunk| pack.plain(&[chunk]));
        for depth in 1..=10u8 {
            let above = pair.clone().map(|chunk| touched(&chunk, 1500, depth.into()));
            for chunk in &above {
                pack.delta(chunk, depth, &[whole(&pair[0]), whole(&pair[1])]);
            }
            pair = above;
        }
        let [top, _] = pair;
        tops.push(top);
    }
    pack.put();
    let chunks: Vec<&[u8]> = tops.iter().map(Vec::as_slice).collect();
    commit(&repository, &[("some", &chunks)]);

    for (count, is_delta) in [(3, true), (4, false)] {
        let files: Files = [(path("some"), touched(&chunks[..count].concat(), 2000, 77))].into();
        let report = back_up(&open(storage.clone()), &[&MemorySource::new(files.clone())]).unwrap();
        assert_eq!(report.written.delta_stored > 0, is_delta, "{count}");
        assert_restores(&open(storage.clone()), &vec![(files, report.id.unwrap())]);
        commit(&repository, &[("some", &chunks)]);
    }
}

/// What did not change since is known, but decodes no more.
#[test]
fn chunks_whose_bases_are_lost_are_made_good_by_the_next_backup() {
    let (storage, mut series, packs) = three_nights();
    for key in packs[0].iter().filter(|key| kind(&storage, key) == DATA) {
        storage.delete(key).unwrap();
    }
    let report = back_up(&open(storage.clone()), &[&source("x", &night(2))]).unwrap();
    series = vec![(series.remove(2).0, report.id.unwrap())];
    assert_restores(&open(storage), &series);
}

/// Two writers at once stored the same chunks, one plain, one as deltas, and the plain copies rot: what is coded
/// against such a chunk must decode from the copies that are left.
#[test]
fn a_rotten_shallow_copy_beside_a_deeper_one_is_no_base() {
    let storage = memory_repository(&chunks_of_4_kib());
    back_up(&open(storage.clone()), &[&source("x", &night(0))]).unwrap();
    let before = keys_of(&storage, "packs");
    // Both have begun before either stores anything.
    let sources = vec![source("x", &night(1)), source("y", &night(1))];
    let ids = at_once(&storage, sources, &mut [0, 1].into_iter().cycle());
    let repository = open(storage.clone());
    let records = repository.index_objects().unwrap().into_iter();
    let records: Vec<_> = records.map(|id| repository.index_object(&id).unwrap()).collect();
    let is_plain = |key: &&Key| {
        let mut packs = records.iter().flat_map(|record| &record.packs);
        let pack = packs.find(|pack| pack.id.to_hex() == key.name()).unwrap();
        pack.contents.blocks.iter().all(|block| block.depth == 0)
    };
    let fresh = keys_of(&storage, "packs");
    let fresh: Vec<_> = fresh.iter().filter(|key| !before.contains(key)).collect();
    let data = fresh.into_iter().filter(|key| kind(&storage, key) == DATA);
    let plain: Vec<_> = data.filter(is_plain).collect();
    assert_eq!(plain.len(), 1);
    spoil(&storage, plain[0]);
    let mut series: Series = ids.into_iter().map(|id| (night(1), id)).collect();
    for number in 2..5 {
        let report = back_up(&open(storage.clone()), &[&source("x", &night(number))]).unwrap();
        series.push((night(number), report.id.unwrap()));
    }
    let repository = open(storage);
    chains(&repository, 8);
    assert_restores(&repository, &series);
}

#[test]
fn a_dry_run_tells_of_deltas_and_stores_nothing() {
    let (storage, series, _) = three_nights();
    let repository = open(storage.clone());
    let folders = ["packs", "index", "snapshots", "active", "beats", "notes"];
    let keys = || folders.map(|folder| keys_of(&storage, folder));
    let before = keys();
    let options = BackupOptions::default().dry_run(true);
    let next = source("x", &night(3));
    let dry = backup(&repository, &[&next], &options, &Silent, &Cancel::new()).unwrap();
    assert_eq!(dry.id, None);
    assert!(dry.manifest.statistics.delta_stored > 0);
    assert_eq!(keys(), before);
    let real = back_up(&repository, &[&next]).unwrap();
    let (dry, real_statistics) = (dry.manifest.statistics, real.manifest.statistics);
    assert_eq!(dry.delta_bytes, real_statistics.delta_bytes);
    assert_eq!(dry.delta_stored, real_statistics.delta_stored);
    assert_restores(&repository, &series);
    assert_restores(&repository, &vec![(night(3), real.id.unwrap())]);
}

/// Another storage with the same objects.
#[test]
fn nothing_that_a_killed_backup_left_makes_a_later_delta_wrong() {
    let (whole, series, _) = three_nights();
    let third = source("x", &night(3));
    let puts = {
        let counting = Arc::new(Faulty::counting(copy_of(&whole)).only(&[Call::Put]));
        let repository = try_open(Arc::clone(&counting) as Arc<dyn Storage>).unwrap();
        back_up(&repository, &[&third]).unwrap();
        counting.calls()
    };
    assert!(puts >= 5, "{puts}");
    for failure in Failure::ALL {
        for at in 0..puts {
            let storage = copy_of(&whole);
            let faulty = Faulty::failing(storage.clone(), at, failure).only(&[Call::Put]);
            let cut_off = try_open(Arc::new(faulty)).map(|it| back_up(&it, &[&third]));
            let mut series = series.clone();
            if let Ok(Ok(report)) = cut_off {
                series.push((night(3), report.id.unwrap()));
            }
            for number in 4..6 {
                let files = night(number);
                let report = back_up(&open(storage.clone()), &[&source("x", &files)]).unwrap();
                series.push((files, report.id.unwrap()));
            }
            let repository = open(storage);
            if failure != Failure::Torn {
                chains(&repository, 8);
                assert_clean(&repository);
            }
            assert_restores(&repository, &series);
        }
    }
}

/// Whatever was coded against it, at whatever depth, can be read again then.
#[test]
fn a_chunk_that_was_lost_is_stored_by_itself() {
    let sizes = default_chunks().chunk_min(4096).chunk_avg(16_384);
    let storage = memory_repository(&sizes);
    let repository = open(storage.clone());
    let edited = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let first = noise(3000, 1);
    let second = edited(&first, 1000);
    let third = edited(&second, 2000);
    let mut others = vec![edited(&second, 100)];
    (1..6).for_each(|n| others.push(edited(&others[n - 1], 100 + n)));

    let mut pack = HandPack::new(&repository);
    pack.plain(&[&first]);
    pack.delta(&third, 2, &[whole(&second)]);
    pack.plain(&[&others[0]]);
    (1..6).for_each(|n| pack.delta(&others[n], n as u8, &[whole(&others[n - 1])]));
    pack.put();
    let mut lost = HandPack::new(&repository);
    lost.delta(&second, 1, &[whole(&first)]);
    let (at, lost) = (lost.offset(0), pack_key(&lost.put()));
    let before = commit(&repository, &[("a", &[&third]), ("b", &[&others[5]])]);
    let mut bytes = storage.get(&lost, 1 << 30).unwrap();
    bytes[at] ^= 1;
    storage.put(&lost, &bytes).unwrap();

    // That `second` cannot be read is found out for the sake of a; then b turns out to be just that.
    let files = [(path("a"), edited(&third, 5)), (path("b"), second.clone())];
    let report = back_up(&repository, &[&MemorySource::new(files.clone().into())]).unwrap();
    let restored = restore_to_memory(&repository, report.id.unwrap()).contents();
    assert!(files.iter().all(|(name, bytes)| restored[name] == *bytes));
    let reader = repository.reader(&repository.load_index().unwrap());
    assert_eq!(reader.locator().cheapest(&id_of(&repository, &second)).unwrap().depth, 0);
    let restored = restore_to_memory(&repository, before).contents();
    assert!(restored[&path("a")] == third && restored[&path("b")] == others[5]);
}

/// Found in review: where all packs count, a copy was taken for a base that is coded against something that is nowhere,
/// though there was another.
#[test]
fn a_base_is_taken_from_a_copy_that_can_be_decoded() {
    let sizes = default_chunks().chunk_min(4096).chunk_avg(16_384);
    let storage = memory_repository(&sizes);
    let repository = open(storage.clone());
    let (before, [.., old]) = broken_shallow_copy(&repository);
    let mut new = old.clone();
    new[5] ^= 1;
    let files: Files = [(path("a"), new.clone())].into();
    let report = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap();
    let reader = repository.reader(&repository.load_index().unwrap());
    assert_eq!(
        reader.locator().cheapest(&id_of(&repository, &new)).unwrap().depth,
        3,
        "coded against it"
    );
    let repository = open(storage);
    assert!(restore_to_memory(&repository, report.id.unwrap()).contents() == files);
    assert!(restore_to_memory(&repository, before).contents()[&path("a")] == old);
}
