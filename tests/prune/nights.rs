//! Thirty nights of a table in which rows change here and there; most of them are dropped.

use restow::id::SnapshotId;
use restow::ops::plan_prune;
use restow::progress::{Cancel, Silent};
use restow::storage::Memory;

use super::{assert_tidy, assert_whole, delete, listed, pack_bytes, prune_alone, take};
use crate::support::model::{Files, noise, path};
use crate::support::{default_chunks, memory_repository, open};

const NIGHTS: usize = 30;
const ROW: usize = 120;

/// Every night one row in a hundred is another, anywhere.
fn nights() -> (Memory, Vec<(SnapshotId, Files)>) {
    let storage = memory_repository(&default_chunks());
    let mut rows = noise(8 << 20, 1);
    let count = rows.len() / ROW;
    let mut taken = Vec::new();
    for night in 0..NIGHTS {
        let dice = noise(count / 100 * 8, 100 + night as u64);
        for (number, dice) in dice.chunks_exact(8).enumerate() {
            let row = u64::from_le_bytes(dice.try_into().unwrap()) as usize % count * ROW;
            let seed = (night * count + number) as u64;
            rows[row + 8..row + ROW - 8].copy_from_slice(&noise(ROW - 16, seed));
        }
        let files: Files = [(path("table"), rows.clone())].into();
        taken.push((take(&storage, &files), files));
    }
    (storage, taken)
}

#[test]
fn dropping_most_nights_frees_what_was_said() {
    type Kept = fn(usize) -> bool;
    let kept: [(&str, Kept); 3] = [
        ("the last three", |night| night >= NIGHTS - 3),
        ("one of ten", |night| night % 10 == 9),
        ("the first and the last two", |night| night == 0 || night >= NIGHTS - 2),
    ];
    for (what, is_kept) in kept {
        let (storage, taken) = nights();
        let (mut there, mut dropped) = (Vec::new(), Vec::new());
        for (night, (id, files)) in taken.into_iter().enumerate() {
            if is_kept(night) { there.push((id, files)) } else { dropped.push(id) }
        }
        assert_eq!(dropped.len(), 27, "{what}");
        let repository = open(storage.clone());
        let plan = |without| plan_prune(&repository, without, &Silent, &Cancel::new()).unwrap();
        assert_eq!(plan(&[]).freed(), 0, "{what}");
        let said = plan(&dropped).freed();
        delete(&repository, dropped.iter().copied());
        let before = pack_bytes(&storage);
        let report = prune_alone(&repository);
        let freed = before - pack_bytes(&storage);
        println!("{what}: {before} before, {freed} freed, {said} said, {:?}", report.copied);
        // Two in a hundred, and a step of the new packs' padding.
        let bound = freed / 50 + report.copied.pack_bytes / 32;
        assert!(said.abs_diff(freed) <= bound, "{what}: {said} said, {freed} freed");
        assert_whole(&storage, &there, what);
        assert_tidy(&storage, what);
        // What is needed was written at most once more, and stands in one place.
        let (chunks, _) = listed(&open(storage.clone()));
        assert!(chunks.values().all(|copies| *copies == 1), "{what}");
        assert!(report.copied.pack_bytes <= pack_bytes(&storage), "{what}");
        assert!(report.copied.pack_bytes <= 3 * freed, "{what}");
        assert!(prune_alone(&open(storage.clone())).plan.unwrap().is_nothing(), "{what}");
    }
}
