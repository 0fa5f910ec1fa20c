//! Storage faults at every single operation of a backup.

use std::sync::Arc;

use restow::ops::{CheckOptions, check};
use restow::progress::{Cancel, Silent};
use restow::repo::CreateOptions;
use restow::storage::Storage;

use crate::support::faulty::{Failure, Faulty};
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{
    back_up, copy_of, default_chunks, memory_repository, open, restore_to_memory, small_chunks,
    try_open,
};

/// Backs up `second` over a storage that fails at its n-th operation, for every n, and looks at what is left.
fn at_every_operation(
    options: &CreateOptions,
    first: &Files,
    second: &Files,
    failures: &[Failure],
) {
    let base = memory_repository(options);
    let old = back_up(&open(base.clone()), &[&MemorySource::new(first.clone())]).unwrap();
    let old = old.id.unwrap();
    let all = {
        let counting = Arc::new(Faulty::counting(copy_of(&base)));
        let repository = try_open(Arc::clone(&counting) as Arc<dyn Storage>).unwrap();
        back_up(&repository, &[&MemorySource::new(second.clone())]).unwrap();
        counting.calls()
    };
    assert!(all > 15, "only {all} operations");
    for failure in failures {
        for at in 0..all {
            let storage = copy_of(&base);
            let faulty = Arc::new(Faulty::failing(storage.clone(), at, *failure));
            // Opening may fail already; then there was no backup.
            let result = try_open(faulty)
                .map(|repository| back_up(&repository, &[&MemorySource::new(second.clone())]));
            let what = format!("{failure:?} at operation {at} of {all}");
            let repository = open(storage.clone());
            assert!(restore_to_memory(&repository, old).contents() == *first, "{what}");

            let (snapshots, unreadable) = repository.snapshots().unwrap();
            assert!(unreadable.is_empty() || *failure == Failure::Torn, "{what}");
            if let Ok(Ok(report)) = &result {
                assert!(snapshots.iter().any(|snapshot| Some(snapshot.id) == report.id), "{what}");
            }
            // Whatever is listed is whole.
            for snapshot in &snapshots {
                let expected = if snapshot.id == old { first } else { second };
                let contents = restore_to_memory(&repository, snapshot.id).contents();
                assert!(contents == *expected, "{what}");
            }
            let options = CheckOptions::default().read_data(true);
            let checked = check(&repository, &options, &Silent, &Cancel::new()).unwrap();
            assert!(checked.snapshots_damaged.is_empty(), "{what}: {checked:?}");
            // A storage that keeps half an object breaks its contract: that object is named, no more.
            let torn = usize::from(*failure == Failure::Torn);
            assert!(checked.objects_damaged.len() <= torn, "{what}: {checked:?}");

            let next = back_up(&repository, &[&MemorySource::new(second.clone())]).unwrap();
            let contents = restore_to_memory(&repository, next.id.unwrap()).contents();
            assert!(contents == *second, "{what}");
        }
    }
}

#[test]
fn a_small_backup_survives_every_fault_at_every_operation() {
    let first: Files = [(path("a"), noise(30_000, 1)), (path("b"), noise(500, 2))].into();
    let second: Files = [(path("a"), noise(31_000, 1)), (path("c"), noise(20_000, 3))].into();
    at_every_operation(&small_chunks(), &first, &second, &Failure::ALL);
}

#[test]
fn a_backup_of_several_packs_survives_crashes_at_every_operation() {
    let mut options = default_chunks();
    options.pack_target = 8 << 20;
    let first: Files = [(path("a"), noise(1_000_000, 1))].into();
    let second: Files = [(path("a"), noise(18 << 20, 4))].into();
    at_every_operation(&options, &first, &second, &[Failure::Refused, Failure::CrashAfter]);
}
