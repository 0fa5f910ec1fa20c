//! `compact`: old packs coded more tightly, by a prune's steps.

use std::time::Duration;

use restow::ops::{CompactOptions, PruneOptions, PruneReport, prune};
use restow::progress::{Cancel, Silent};
use restow::storage::Memory;

use super::{assert_tidy, assert_whole, delete, listed, pack_bytes, take};
use crate::support::model::{Files, path};
use crate::support::{default_chunks, memory_repository, open};

const WEEK: Duration = Duration::from_secs(7 * 86_400);

fn compact(storage: &Memory, level: i32) -> PruneReport {
    let compact = Some(CompactOptions { older_than: WEEK, level });
    let options = PruneOptions { compact, ..PruneOptions::default() };
    let dry = PruneOptions { dry_run: true, ..options };
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
