//! Counting, against what was put in.

use restow::fault::ErrorKind;
use restow::ops::{StatsOptions, StatsReport, stats};
use restow::progress::Cancel;
use restow::repo::Repository;
use restow::storage::Storage;

use super::{damage, marked, objects, one_file, with_snapshot};
use crate::support::back_up;
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};

fn counted(repository: &Repository) -> StatsReport {
    stats(repository, &StatsOptions::default(), &Cancel::new()).unwrap()
}

#[test]
fn each_byte_is_counted_once_where_it_is_unique_and_as_often_as_it_stands_where_not() {
    let same = noise(100_000, 1);
    let files: Files = [(path("a"), same.clone()), (path("b"), same)].into();
    let (storage, repository, _) = with_snapshot(files.clone());
    let mut more = files;
    more.insert(path("c"), noise(50_000, 2));
    back_up(&repository, &[&MemorySource::new(more)]).unwrap();
    let report = counted(&repository);
    let added: Vec<_> = report.snapshots.iter().map(|one| one.counts.new_bytes).collect();
    // A cut at the end of `a` may differ from one within `b`, but not here: both are whole streams.
    assert_eq!(added, [100_000, 50_000]);
    assert_eq!(report.snapshots[0].known_bytes(), 100_000);
    let whole = report.repository.unwrap();
    assert_eq!(whole.logical_bytes, 200_000 + 250_000);
    assert_eq!((whole.data.unique_bytes, whole.data.copied_bytes), (150_000, 150_000));
    assert_eq!(whole.deduplication(), Some(3.0));
    // Noise does not shrink.
    assert!(whole.compression().unwrap() < 1.0);
    let packs = objects(&storage, "packs");
    let bytes: u64 = packs.iter().map(|key| storage.get(key, 1 << 30).unwrap().len() as u64).sum();
    assert_eq!(
        (whole.objects["packs"].count, whole.objects["packs"].bytes),
        (packs.len() as u64, bytes)
    );
    assert!(whole.stored_bytes() > bytes);
}

#[test]
fn only_certain_snapshots_and_none() {
    let (_, repository, first) = with_snapshot(one_file());
    marked(&repository, &[], false);
    let options = StatsOptions::default().snapshots(Some(vec![first]));
    let report = stats(&repository, &options, &Cancel::new()).unwrap();
    assert_eq!(report.snapshots.len(), 1);
    assert!(report.repository.is_none());
    repository.delete_snapshot(&first).unwrap();
    let error = stats(&repository, &options, &Cancel::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_counted() {
    let (storage, repository, first) = with_snapshot(one_file());
    let empty = [(path("b"), noise(9_000, 9))].into();
    back_up(&repository, &[&MemorySource::new(empty)]).unwrap();
    damage(&storage, &restow::storage::Key::new(format!("snapshots/{first}")).unwrap());
    damage(&storage, &objects(&storage, "index")[0]);
    let report = counted(&repository);
    assert_eq!((report.snapshots.len(), report.unreadable[0].0), (1, first));
    let whole = report.repository.unwrap();
    assert_eq!(whole.unreadable_index.len(), 1);
    assert!(whole.data.unique_bytes == 5000 || whole.data.unique_bytes == 9000);
}
