//! `compact`: old packs coded more tightly, by a prune's steps.

use std::time::Duration;

use restow::format::{HEADER_LEN, PackKind};
use restow::id::{PackId, SnapshotId};
use restow::ops::{CompactOptions, PruneOptions, PruneReport, prune};
use restow::progress::{Cancel, Silent};
use restow::storage::{Key, Memory, Storage};

use super::{assert_tidy, assert_whole, delete, listed, pack_bytes, prune_alone, take};
use crate::support::model::{Files, noise, path};
use crate::support::{default_chunks, memory_repository, open, restore_to_memory};

const WEEK: Duration = Duration::from_secs(7 * 86_400);

pub fn compact(storage: &Memory, level: i32) -> PruneReport {
    let compact = Some(CompactOptions::default().older_than(WEEK).level(level));
    let options = PruneOptions::default().compact(compact);
    let dry = options.dry_run(true);
    let repository = open(storage.clone());
    let said = prune(&repository, &dry, &Silent, &Cancel::new()).unwrap();
    assert!(said.deleted.count == 0 && said.plan.is_some());
    prune(&repository, &options, &Silent, &Cancel::new()).unwrap()
}

/// Lines that a thorough compressor makes more of than a quick one.
fn lines(count: u32, seed: u32) -> Vec<u8> {
    let line = |at: u32| {
        let mixed = (at ^ seed).wrapping_mul(2_654_435_761);
        format!(
            "{at:08} GET /items/{:05}?page={} HTTP/1.1 {} {}\n",
            mixed >> 15,
            mixed % 97,
            200 + mixed % 5,
            mixed % 8191
        )
    };
    (0..count).flat_map(|at| line(at).into_bytes()).collect()
}

#[test]
fn old_packs_are_coded_anew_once_and_young_ones_not() {
    let storage = memory_repository(&default_chunks());
    let old: Files = [(path("log"), lines(40_000, 1))].into();
    let first = take(&storage, &old);
    storage.advance(WEEK * 2);
    let young: Files = [(path("log"), lines(40_000, 2))].into();
    let second = take(&storage, &young);
    let both = [(first, old), (second, young)];

    let before = pack_bytes(&storage);
    let report = compact(&storage, 19);
    let plan = report.plan.unwrap();
    assert!(plan.compacted.count > 0 && plan.compacted.bytes < before, "{plan:?}");
    let saved = before - pack_bytes(&storage);
    assert_eq!(i64::try_from(saved).unwrap(), report.freed());
    assert!(saved * 12 > plan.compacted.bytes, "{saved} of {}", plan.compacted.bytes);
    assert_whole(&storage, &both, "compacted");
    assert_tidy(&storage, "compacted");
    // Once is enough, also at a lower level.
    for level in [19, 12] {
        storage.advance(WEEK / 7);
        assert!(compact(&storage, level).plan.unwrap().is_nothing());
    }
    storage.advance(WEEK * 2);
    let report = compact(&storage, 12);
    assert!(report.plan.unwrap().compacted.count > 0, "the young ones have grown old");
    assert!(compact(&storage, 12).plan.unwrap().is_nothing());
    assert_whole(&storage, &both, "compacted twice");
    let (chunks, _) = listed(&open(storage.clone()));
    assert!(chunks.values().all(|copies| *copies == 1));
}

/// Chains go through old packs: what is coded against a chunk finds it, wherever it lies.
#[test]
fn deltas_find_their_bases_in_compacted_packs() {
    let storage = memory_repository(&default_chunks());
    let mut nights = Vec::new();
    let mut text = lines(60_000, 1);
    for night in 0..6usize {
        for at in 0..60 {
            let place = (at * 49_999 + night * 7_000) % text.len();
            text[place] = b'#';
        }
        let files: Files = [(path("log"), text.clone())].into();
        nights.push((take(&storage, &files), files));
        storage.advance(WEEK);
    }
    let report = compact(&storage, 15);
    assert!(report.plan.unwrap().compacted.count > 3, "{report:?}");
    assert_whole(&storage, &nights, "compacted");
    let dropped: Vec<_> = nights.drain(1..5).map(|(id, _)| id).collect();
    delete(&open(storage.clone()), dropped);
    compact(&storage, 15);
    assert_whole(&storage, &nights, "compacted and pruned");
    text[1_000] = b'!';
    let files: Files = [(path("log"), text)].into();
    nights.push((take(&storage, &files), files));
    assert_whole(&storage, &nights, "and a night more");
}

const ROW: usize = 120;

/// Nights of a table in which one row in a hundred is another, every night; a quarter of them in a stretch that changes
/// again and again.
fn nights(count: usize) -> (Memory, Vec<(SnapshotId, Files)>) {
    let storage = memory_repository(&default_chunks());
    let mut rows = noise(3 << 20, 1);
    let rows_count = rows.len() / ROW;
    let mut taken = Vec::new();
    for night in 0..count {
        let dice = noise(rows_count / 100 * 8, 100 + night as u64);
        for (number, dice) in dice.chunks_exact(8).enumerate() {
            let among = if number % 4 == 0 { rows_count / 100 } else { rows_count };
            let row = u64::from_le_bytes(dice.try_into().unwrap()) as usize % among * ROW;
            let seed = (night * rows_count + number) as u64;
            rows[row + 8..row + ROW - 8].copy_from_slice(&noise(ROW - 16, seed));
        }
        let files: Files = [(path("table"), rows.clone())].into();
        taken.push((take(&storage, &files), files));
        storage.advance(WEEK / 7);
    }
    (storage, taken)
}

fn keep(storage: &Memory, taken: &mut Vec<(SnapshotId, Files)>, kept: &[usize]) {
    let mut night = 0..;
    let dropped = taken.extract_if(.., |_| !kept.contains(&night.next().unwrap()));
    let dropped: Vec<SnapshotId> = dropped.map(|(id, _)| id).collect();
    delete(&open(storage.clone()), dropped);
}

/// Depths of all blocks.
fn depths(storage: &Memory) -> Vec<u8> {
    let repository = open(storage.clone());
    let mut found = Vec::new();
    for id in repository.index_objects().unwrap() {
        for pack in repository.index_object(&id).unwrap().packs {
            found.extend(pack.contents.blocks.iter().map(|block| block.depth));
        }
    }
    found
}

#[test]
fn what_only_deltas_need_is_merged_into_them() {
    let (storage, mut taken) = nights(21);
    let before = depths(&storage).into_iter().max().unwrap();
    assert!(before >= 16, "{before}");
    // The first night, too, is kept as a base only.
    keep(&storage, &mut taken, &[6, 12, 18, 20]);
    storage.advance(WEEK * 2);
    let pruned = prune_alone(&open(storage.clone()));
    assert!(pruned.copied.rebased == 0 && pruned.plan.unwrap().merged.count == 0);
    let (chunks_before, _) = listed(&open(storage.clone()));
    let bytes_before = pack_bytes(&storage);

    let report = compact(&storage, 9);
    let plan = report.plan.unwrap();
    let (chunks, _) = listed(&open(storage.clone()));
    println!("{plan:?}, {:?}: {bytes_before} to {}", report.copied, pack_bytes(&storage));
    assert!(plan.merged.count > 0 && report.copied.rebased > 0, "{plan:?} {:?}", report.copied);
    // Those that were merged, and what the prune had left as waste.
    let gone = chunks_before.len() - chunks.len();
    assert!(gone as u64 >= plan.merged.count, "{gone}");
    assert!(chunks.keys().all(|id| chunks_before.contains_key(id)));
    assert!(chunks.values().all(|copies| *copies == 1));
    let deepest = depths(&storage).into_iter().max().unwrap();
    // Four snapshots are left, and bases that several deltas share.
    assert!(deepest <= 6, "{deepest}");
    // Rows that changed again and again are stored once, not once a night.
    let saved = bytes_before - pack_bytes(&storage);
    assert!(saved > 0 && saved * 4 > plan.merged.bytes.min(bytes_before / 8), "{saved} {plan:?}");
    assert_whole(&storage, &taken, "merged");
    assert_tidy(&storage, "merged");
    assert!(compact(&storage, 9).plan.unwrap().is_nothing());

    // What is compacted already is done again where chains have grown long enough since.
    let mut rows = taken.last().unwrap().1.values().next().unwrap().clone();
    for night in 0..8u64 {
        for at in 0..200 {
            rows[8 + at * 1200..][..100].copy_from_slice(&noise(100, night * 1000 + at as u64));
        }
        let files: Files = [(path("table"), rows.clone())].into();
        taken.push((take(&storage, &files), files));
        storage.advance(WEEK);
    }
    storage.advance(WEEK);
    compact(&storage, 9);
    assert_whole(&storage, &taken, "nights on top, compacted");
    keep(&storage, &mut taken, &[3, 11]);
    let report = compact(&storage, 9);
    assert!(report.plan.unwrap().merged.count > 0, "{report:?}");
    assert_whole(&storage, &taken, "merged again");
    assert_tidy(&storage, "merged again");
}

/// Deltas that are too young to be coded anew keep what they are coded against.
#[test]
fn what_young_deltas_need_is_not_merged() {
    let (storage, mut taken) = nights(12);
    storage.advance(WEEK * 2);
    let mut rows = taken.last().unwrap().1.values().next().unwrap().clone();
    (0..rows.len()).step_by(5000).for_each(|at| rows[at] ^= 1);
    let files: Files = [(path("table"), rows)].into();
    taken.push((take(&storage, &files), files));
    keep(&storage, &mut taken, &[4, 12]);
    let before = depths(&storage).into_iter().max().unwrap();
    let report = compact(&storage, 9);
    assert!(report.plan.unwrap().merged.count > 0, "{report:?}");
    let after = depths(&storage).into_iter().max().unwrap();
    // The young one's base was number 11, and is kept: against number 4.
    assert!(after == 2 || after == before, "{before} {after}");
    assert_whole(&storage, &taken, "young ones on top");
    assert_tidy(&storage, "young ones on top");
}

/// Some such block of stream bytes, of a night before deeper ones, and where it starts.
fn a_block_of_depth(storage: &Memory, depth: u8) -> (PackId, usize) {
    let repository = open(storage.clone());
    let objects = repository.index_objects().unwrap();
    let packs = objects.iter().flat_map(|id| repository.index_object(id).unwrap().packs);
    for pack in packs.filter(|pack| pack.kind == PackKind::Data) {
        let mut at = HEADER_LEN;
        let deepest = pack.contents.blocks.iter().map(|block| block.depth).max();
        for block in pack.contents.blocks.iter().filter(|_| deepest == Some(depth)) {
            if block.depth == depth {
                return (pack.id, at);
            }
            at += block.sealed_len as usize;
        }
    }
    panic!("no such block");
}

/// Every delta on a damaged base made the compaction begin anew, once for each pack above it.
#[test]
fn a_chain_that_cannot_be_read_stays_and_the_rest_is_compacted() {
    let (storage, mut taken) = nights(8);
    // A night in the middle: deltas on deltas.
    let (pack, offset) = a_block_of_depth(&storage, 3);
    let damaged = &Key::new(restow::format::name::pack(&pack)).unwrap();
    let whole = storage.get(damaged, 1 << 30).unwrap();
    let mut rotten = whole.clone();
    rotten[offset + 20] ^= 1;
    storage.put(damaged, &rotten).unwrap();
    keep(&storage, &mut taken, &[0, 7]);
    storage.advance(WEEK * 2);
    let report = compact(&storage, 9);
    let plan = report.plan.unwrap();
    assert!(plan.merged.count == 0 && report.copied.rebased == 0, "{report:?}");
    assert!(report.deleted.count > 3 && report.copied.blocks > 20, "{report:?}");
    assert!(storage.get(damaged, 1 << 30).is_ok());
    assert!(restore_to_memory(&open(storage.clone()), taken[0].0).contents() == taken[0].1);
    storage.put(damaged, &whole).unwrap();
    assert_whole(&storage, &taken, "mended");
    storage.advance(WEEK * 2);
    assert!(compact(&storage, 10).plan.unwrap().merged.count > 0);
    assert_whole(&storage, &taken, "mended and compacted");
    assert_tidy(&storage, "mended and compacted");
}

/// What a prune copies out of compacted packs was taken for what never was, and compressed anew by the next compaction.
#[test]
fn what_was_compacted_stays_so_where_it_is_copied() {
    let storage = memory_repository(&default_chunks());
    let both: Files = [(path("a"), lines(20_000, 1)), (path("b"), lines(30_000, 2))].into();
    let first = take(&storage, &both);
    storage.advance(WEEK * 2);
    assert!(compact(&storage, 12).copied.blocks > 0);
    let kept: Files = [(path("a"), lines(20_000, 1))].into();
    let second = take(&storage, &kept);
    delete(&open(storage.clone()), [first]);
    let report = prune_alone(&open(storage.clone()));
    assert!(report.plan.unwrap().emptied.count > 0 && report.copied.blocks > 0, "{report:?}");
    assert_whole(&storage, &[(second, kept.clone())], "pruned");
    storage.advance(WEEK * 2);
    // The second night's own metadata was never compacted; its data were.
    let report = compact(&storage, 12);
    let plan = report.plan.unwrap();
    assert!(plan.compacted.bytes < 40_000, "{plan:?}");
    assert!(plan.packs.bytes > 3 * plan.compacted.bytes, "{plan:?}");
    assert_whole(&storage, &[(second, kept)], "compacted again");
    assert_tidy(&storage, "compacted again");
}
