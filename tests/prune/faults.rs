//! A prune that fails, or is killed, at any of its operations.

use std::sync::Arc;

use restow::id::SnapshotId;
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

#[test]
fn whatever_fails_nothing_is_lost_and_the_next_goes_on() {
    let (base, there) = wasteful();
    let whole = {
        let storage = copy_of(&base);
        let counting = Arc::new(Faulty::counting(storage.clone()));
        let repository = try_open(Arc::clone(&counting) as Arc<dyn Storage>).unwrap();
        let report = try_prune(&repository).unwrap();
        assert!(report.copied.blocks > 0 && report.deleted.count > 2, "{report:?}");
        (counting.calls(), pack_bytes(&storage))
    };
    let (calls, least) = whole;
    assert!(calls > 40, "{calls}");
    let mut failed = 0;
    for failure in Failure::ALL {
        for at in 0..calls {
            let what = format!("{failure:?} at {at} of {calls}");
            let storage = copy_of(&base);
            let faulty = Arc::new(Faulty::failing(storage.clone(), at, failure));
            let result = try_open(faulty).map(|repository| try_prune(&repository));
            failed += usize::from(!matches!(result, Ok(Ok(_))));
            if failure == Failure::Torn {
                // A storage that keeps half an object breaks its contract: no promise beyond refusing.
                continue;
            }
            assert_whole(&storage, &there, &what);
            // Nobody is kept from backing up meanwhile.
            let mut files = there[0].1.clone();
            files.insert(path("e"), noise(5_000, at));
            files.insert(path("b"), noise(60_000, 2));
            let id = take(&storage, &files);
            storage.advance(LONG);
            let later = try_prune(&open(storage.clone())).unwrap();
            assert!(later.waits_for.is_empty(), "{what}: {later:?}");
            assert_tidy(&storage, &what);
            let now = [&there[..], &[(id, files)]].concat();
            assert_whole(&storage, &now, &what);
            open(storage.clone()).delete_snapshot(&id).unwrap();
            try_prune(&open(storage.clone())).unwrap();
            assert_whole(&storage, &there, &what);
            assert!(pack_bytes(&storage) <= least + least / 10, "{what}");
        }
    }
    assert!(failed > 100, "{failed}");
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
