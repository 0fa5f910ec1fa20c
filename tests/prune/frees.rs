use restow::format::name;
use restow::ops::{PackTotals, PruneOptions, prune};
use restow::progress::{Cancel, Silent};

use super::{assert_tidy, assert_whole, delete, keys, listed, pack_bytes, prune_alone, take};
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{
    back_up, default_chunks, memory_repository, open, open_with_cache, small_chunks,
};

fn one(name: &str, len: usize, seed: u64) -> Files {
    [(path(name), noise(len, seed))].into()
}

#[test]
fn without_snapshots_nothing_is_left() {
    let storage = memory_repository(&small_chunks());
    let ids = [1, 2].map(|seed| take(&storage, &one("a", 50_000, seed)));
    let repository = open(storage.clone());
    delete(&repository, ids);
    let before = pack_bytes(&storage);
    let report = prune_alone(&repository);
    assert_eq!(report.deleted.bytes, before);
    assert_eq!(report.freed(), i64::try_from(before).unwrap());
    assert!(keys(&storage, name::PACKS).is_empty() && keys(&storage, name::INDEX).is_empty());
    assert_tidy(&storage, "all gone");
    let again = take(&storage, &one("a", 50_000, 1));
    assert_whole(&storage, &[(again, one("a", 50_000, 1))], "taken again");
}

#[test]
fn where_nothing_is_waste_nothing_is_touched() {
    let storage = memory_repository(&small_chunks());
    let files = one("a", 50_000, 1);
    let id = take(&storage, &files);
    let before = (keys(&storage, name::PACKS), keys(&storage, name::INDEX));
    let report = prune_alone(&open(storage.clone()));
    let plan = report.plan.unwrap();
    assert!(plan.is_nothing() && plan.snapshots == 1 && plan.waste == 0, "{plan:?}");
    assert_eq!((keys(&storage, name::PACKS), keys(&storage, name::INDEX)), before);
    assert_whole(&storage, &[(id, files)], "nothing to do");
}

/// A night in which half of the data came new; then the night before it goes.
#[test]
fn mostly_waste_is_copied_from_and_little_waste_stays() {
    // Blocks are up to 128 KiB long, and kept whole.
    for (shared, emptied) in [(200_000, true), (900_000, false)] {
        let storage = memory_repository(&small_chunks());
        let mut files = one("a", shared, 1);
        let kept = files.clone();
        files.insert(path("b"), noise(1_000_000 - shared, 2));
        let first = take(&storage, &files);
        let second = take(&storage, &kept);
        let repository = open(storage.clone());
        repository.delete_snapshot(&first).unwrap();
        let dry = PruneOptions::default().dry_run(true);
        let planned = prune(&repository, &dry, &Silent, &Cancel::new()).unwrap().plan.unwrap();
        let before = pack_bytes(&storage);
        let report = prune_alone(&repository);
        assert_eq!(report.plan, Some(planned), "what was shown is what is done");
        let freed = before - pack_bytes(&storage);
        assert_eq!(i64::try_from(freed).unwrap(), report.freed());
        assert_eq!(planned.emptied.count > 0, emptied, "{planned:?}");
        assert!(planned.freed().abs_diff(freed) <= 20_000, "{} and {freed}", planned.freed());
        if emptied {
            assert!(report.copied.blocks > 0 && planned.waste < 30_000, "{planned:?}");
        } else {
            assert!(planned.waste > 50_000, "{planned:?}");
        }
        assert_whole(&storage, &[(second, kept)], "the second night");
        assert_tidy(&storage, "pruned");
        let (chunks, _) = listed(&open(storage.clone()));
        assert!(chunks.values().all(|copies| *copies == 1));
        // It comes to rest.
        assert!(prune_alone(&open(storage.clone())).plan.unwrap().is_nothing());
    }
}

/// Scattered changes night by night, each night coded against the one before: dropping most of them keeps what the
/// others stand on, and no more than that.
#[test]
fn chains_keep_what_they_stand_on() {
    let storage = memory_repository(&default_chunks());
    let mut data = noise(4 << 20, 1);
    let mut nights = Vec::new();
    for night in 0..12u64 {
        for (at, byte) in noise(400, 100 + night).chunks(2).enumerate() {
            let place = (at * 20_011 + usize::from(byte[0]) * 77) % data.len();
            data[place] ^= byte[1] | 1;
        }
        let files: Files = [(path("table"), data.clone())].into();
        nights.push((take(&storage, &files), files));
    }
    let repository = open(storage.clone());
    let dropped: Vec<_> = nights.drain(1..11).collect();
    delete(&repository, dropped.iter().map(|(id, _)| *id));
    let before = pack_bytes(&storage);
    let report = prune_alone(&repository);
    let plan = report.plan.unwrap();
    let freed = before - pack_bytes(&storage);
    assert!(
        plan.freed().abs_diff(freed) * 50 <= freed.max(plan.freed()) + 100_000,
        "{plan:?} {freed}"
    );
    assert_whole(&storage, &nights, "first and last");
    assert_tidy(&storage, "chains");
    assert!(prune_alone(&open(storage.clone())).plan.unwrap().is_nothing());
    assert!(report.copied.pack_bytes <= 3 * u64::try_from(report.freed()).unwrap_or(0));
}

/// Packs that a killed backup left, which no index object lists.
#[test]
fn what_no_index_object_lists_goes() {
    let storage = memory_repository(&small_chunks());
    let files = one("a", 50_000, 1);
    let id = take(&storage, &files);
    take(&storage, &one("b", 50_000, 2));
    let repository = open(storage.clone());
    let unlisted = repository.index_objects().unwrap().into_iter().find(|object| {
        let record = repository.index_object(object).unwrap();
        let (_, snapshot) = (record.writer, repository.snapshot(&id).unwrap());
        record.writer != snapshot.manifest.writer
    });
    let second =
        repository.snapshots().unwrap().0.into_iter().find(|found| found.id != id).unwrap();
    repository.delete_snapshot(&second.id).unwrap();
    use restow::storage::{Key, Storage};
    storage.delete(&Key::new(name::index(&unlisted.unwrap())).unwrap()).unwrap();
    let plan = prune_alone(&open(storage.clone())).plan.unwrap();
    assert!(plan.unindexed.count > 0 && plan.unindexed == plan.dead, "{plan:?}");
    assert_ne!(plan.unindexed, PackTotals::default());
    assert_whole(&storage, &[(id, files)], "the first");
    assert_tidy(&storage, "unlisted");
}

/// Another host's cache, which knows the packs that are gone, is brought up to date.
#[test]
fn caches_of_others_follow() {
    let cache = tempfile::tempdir().unwrap();
    let storage = memory_repository(&small_chunks());
    let mut files = one("a", 60_000, 1);
    let first = MemorySource::new(files.clone());
    let first = back_up(&open_with_cache(&storage, cache.path()), &[&first]).unwrap().id.unwrap();
    files.insert(path("a"), noise(60_000, 2));
    let second = take(&storage, &files);
    let repository = open(storage.clone());
    repository.delete_snapshot(&first).unwrap();
    assert!(prune_alone(&repository).deleted.count > 0);
    // What it had is gone: stored again, not taken for known.
    let cached = open_with_cache(&storage, cache.path());
    let again = one("a", 60_000, 1);
    let report = back_up(&cached, &[&MemorySource::new(again.clone())]).unwrap();
    assert!(report.written.new_bytes >= 60_000, "{report:?}");
    drop(cached);
    assert_whole(&storage, &[(second, files), (report.id.unwrap(), again)], "from another cache");
}

/// Small files share blocks. What is needed of a block stays, not the block.
#[test]
fn of_blocks_that_are_needed_in_part_that_part_stays() {
    const LEN: usize = 6_000;
    for (kept_of_ten, emptied) in [(1, true), (7, true), (9, false)] {
        let storage = memory_repository(&default_chunks());
        let files: Files =
            (0..500u64).map(|at| (path(&format!("{at:03}")), noise(LEN, at))).collect();
        let first = take(&storage, &files);
        let mut number = 0..;
        let mut kept = files.clone();
        kept.retain(|_, _| number.next().unwrap() % 10 < kept_of_ten);
        let second = take(&storage, &kept);
        delete(&open(storage.clone()), [first]);
        let before = pack_bytes(&storage);
        let report = prune_alone(&open(storage.clone()));
        let plan = report.plan.unwrap();
        let needed = (kept.len() * LEN) as u64;
        let waste = (files.len() - kept.len()) as u64 * LEN as u64;
        if emptied {
            let freed = before - pack_bytes(&storage);
            assert!(freed.abs_diff(waste) * 10 < waste, "{freed} of {waste}: {plan:?}");
            assert!(plan.freed().abs_diff(freed) <= 30_000, "{freed}: {plan:?}");
            assert!(pack_bytes(&storage) < needed + needed / 5, "{kept_of_ten}");
            let (chunks, _) = listed(&open(storage.clone()));
            assert!(chunks.values().all(|copies| *copies == 1));
            // A chunk for each file, and those of catalogs.
            assert!((kept.len()..kept.len() + 20).contains(&chunks.len()), "{}", chunks.len());
        } else {
            assert!(plan.emptied.count == 0 && plan.waste.abs_diff(waste) * 5 < waste, "{plan:?}");
        }
        assert_whole(&storage, &[(second, kept.clone())], "a part of each block");
        assert_tidy(&storage, "a part of each block");
        assert!(prune_alone(&open(storage.clone())).plan.unwrap().is_nothing());
        let third = take(&storage, &files);
        assert_whole(&storage, &[(second, kept), (third, files)], "all of them again");
    }
}
