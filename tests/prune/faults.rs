//! A prune that fails, or is killed, at any of its operations.

use std::sync::Arc;
use std::time::Duration;

use restow::id::SnapshotId;
use restow::ops::{CompactOptions, OpError, PruneOptions, PruneReport, prune};
use restow::progress::{Cancel, Silent};
use restow::repo::Repository;
use restow::storage::{Memory, Storage};

use super::{LONG, assert_tidy, assert_whole, delete, pack_bytes, take, try_prune};
use crate::support::faulty::{Failure, Faulty};
use crate::support::model::{Files, noise, path};
use crate::support::{copy_of, memory_repository, open, small_chunks, try_open};

/// Three nights of which the middle one and half of the first's data are waste.
fn wasteful() -> (Memory, Vec<(SnapshotId, Files)>) {
    let storage = memory_repository(&small_chunks());
    let mut files: Files = [(path("a"), noise(20_000, 1)), (path("b"), noise(60_000, 2))].into();
    let first = take(&storage, &files);
    files.remove(&path("b"));
    files.insert(path("c"), noise(20_000, 3));
    let second = take(&storage, &files);
    files.remove(&path("c"));
    files.insert(path("d"), [noise(300, 9), noise(20_000, 1)].concat());
    let third = take(&storage, &files);
    let repository = open(storage.clone());
    delete(&repository, [first, second]);
    (storage, vec![(third, files)])
}

/// Eight nights of rows that change here and there; the first and the sixth are left, with what only deltas need.
fn chained() -> (Memory, Vec<(SnapshotId, Files)>) {
    let storage = memory_repository(&small_chunks());
    let mut rows = noise(12_000, 1);
    let (mut there, mut dropped) = (Vec::new(), Vec::new());
    for night in 0..8u64 {
        let files: Files = [(path("rows"), rows.clone())].into();
        match (night, take(&storage, &files)) {
            (0 | 5, id) => there.push((id, files)),
            (_, id) => dropped.push(id),
        }
        for at in (0..rows.len() - 30).step_by(1_500) {
            rows[at..at + 30].copy_from_slice(&noise(30, night * 1000 + at as u64));
        }
    }
    delete(&open(storage.clone()), dropped);
    storage.advance(LONG);
    (storage, there)
}

fn try_compact(repository: &Repository) -> Result<PruneReport, OpError> {
    let compact = Some(CompactOptions::default().older_than(Duration::ZERO).level(3));
    let options = PruneOptions::default().compact(compact);
    prune(repository, &options, &Silent, &Cancel::new())
}

#[test]
fn whatever_fails_nothing_is_lost_and_the_next_goes_on() {
    let report = fails_everywhere(&wasteful(), try_prune);
    assert!(report.copied.blocks > 0 && report.deleted.count > 2, "{report:?}");
}

#[test]
fn whatever_fails_while_chains_are_made_shorter_nothing_is_lost() {
    let report = fails_everywhere(&chained(), try_compact);
    let plan = report.plan.unwrap();
    assert!(plan.merged.count > 5 && report.copied.rebased > 5, "{report:?}");
}

type Act = fn(&Repository) -> Result<PruneReport, OpError>;

/// Lets each of its operations fail in each way. Gives what is done where none does.
fn fails_everywhere((base, there): &(Memory, Vec<(SnapshotId, Files)>), act: Act) -> PruneReport {
    let (report, calls, least) = {
        let storage = copy_of(base);
        let counting = Arc::new(Faulty::counting(storage.clone()));
        let repository = try_open(Arc::clone(&counting) as Arc<dyn Storage>).unwrap();
        let report = act(&repository).unwrap();
        assert_whole(&storage, there, "none failed");
        (report, counting.calls(), pack_bytes(&storage))
    };
    assert!(calls > 40, "{calls}");
    let mut failed = 0;
    for failure in Failure::ALL {
        for at in 0..calls {
            let what = format!("{failure:?} at {at} of {calls}");
            let storage = copy_of(base);
            let faulty = Arc::new(Faulty::failing(storage.clone(), at, failure));
            let result = try_open(faulty).map(|repository| act(&repository));
            failed += usize::from(!matches!(result, Ok(Ok(_))));
            if failure == Failure::Torn {
                // A storage that keeps half an object breaks its contract: no promise beyond refusing.
                continue;
            }
            assert_whole(&storage, there, &what);
            // Nobody is kept from backing up meanwhile.
            let mut files = there[0].1.clone();
            files.insert(path("e"), noise(5_000, at));
            files.insert(path("b"), noise(60_000, 2));
            let id = take(&storage, &files);
            storage.advance(LONG);
            let later = act(&open(storage.clone())).unwrap();
            assert!(later.waits_for.is_empty(), "{what}: {later:?}");
            assert_tidy(&storage, &what);
            let now = [&there[..], &[(id, files)]].concat();
            assert_whole(&storage, &now, &what);
            open(storage.clone()).delete_snapshot(&id).unwrap();
            act(&open(storage.clone())).unwrap();
            assert_whole(&storage, there, &what);
            assert!(pack_bytes(&storage) <= least + least / 10, "{what}");
        }
    }
    assert!(failed > 100, "{failed}");
    report
}

/// Half an object where a whole one should be: prunes and backups either go on or refuse, and what was there is there.
#[test]
fn a_torn_object_costs_nothing_that_was_there() {
    let (base, there) = wasteful();
    for at in 0..200 {
        let storage = copy_of(&base);
        let faulty = Arc::new(Faulty::failing(storage.clone(), at, Failure::Torn));
        let Ok(repository) = try_open(faulty) else { continue };
        let _ = try_prune(&repository);
        storage.advance(LONG);
        let _ = try_prune(&open(storage.clone()));
        let repository = open(storage.clone());
        for (id, files) in &there {
            let contents = crate::support::restore_to_memory(&repository, *id).contents();
            assert!(contents == *files, "torn at {at}");
        }
    }
}
