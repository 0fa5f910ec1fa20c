//! Backups and restores through the library, against the plain model.

use std::collections::BTreeMap;

use proptest::prelude::*;
use restow::codec::MasterKey;
use restow::ops::{BackupOptions, CheckOptions, backup, check};
use restow::progress::{Cancel, Silent};

use crate::support::memory_source::{MemorySource, Trouble};
use crate::support::model::{Files, apply, edits, files, noise, path};
use crate::support::{
    back_up, default_chunks, memory_repository, memory_repository_of, open, restore_to_memory,
    small_chunks,
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Any maps of names to bytes, backed up one after the other under any key, all come back equal in the end.
    #[test]
    fn any_sequence_of_backups_comes_back(
        key in any::<[u8; 32]>(),
        first in files(),
        scripts in prop::collection::vec(edits(), 0..4),
        read_size in prop_oneof![Just(usize::MAX), 1usize..5000],
        tiny in any::<bool>(),
    ) {
        let options = if tiny { small_chunks() } else { default_chunks() };
        let storage = memory_repository_of(MasterKey::from_bytes(key), &options);
        let mut states: Vec<(Files, _)> = Vec::new();
        let mut current = first;
        for script in std::iter::once(Vec::new()).chain(scripts) {
            script.iter().for_each(|edit| apply(&mut current, edit));
            // Opened anew each time, as every night does.
            let repository = open(storage.clone());
            let mut source = MemorySource::new(current.clone());
            source.read_size = read_size;
            let report = back_up(&repository, &[&source]).unwrap();
            prop_assert!(!report.manifest.incomplete);
            states.push((current.clone(), report.id.unwrap()));
        }
        let repository = open(storage);
        for (expected, id) in &states {
            prop_assert!(restore_to_memory(&repository, *id).contents() == *expected);
        }
        let options = CheckOptions::default().read_data(true);
        let report = check(&repository, &options, &Silent, &Cancel::new()).unwrap();
        prop_assert!(report.is_clean(), "{report:?}");
    }
}

#[test]
fn the_same_bytes_are_stored_once() {
    let repository = open(memory_repository(&default_chunks()));
    let bytes = noise(700_000, 1);
    let many: Files = (0..20).map(|n| (path(&format!("copy{n}")), bytes.clone())).collect();
    let first = back_up(&repository, &[&MemorySource::new(many.clone())]).unwrap();
    assert!(first.manifest.statistics.new_bytes <= 700_000, "{:?}", first.manifest.statistics);
    let again = back_up(&repository, &[&MemorySource::new(many)]).unwrap();
    assert_eq!(again.written.new_chunks, 0);
    assert_eq!(again.written.metadata_stored, 0);
}

#[test]
fn long_zero_runs_and_long_recipes() {
    let repository = open(memory_repository(&small_chunks()));
    let mut files = BTreeMap::new();
    files.insert(path("zeros"), vec![0; 9_000_000]);
    // At 256 bytes a chunk: a recipe of several levels.
    files.insert(path("noise"), noise(12_000_000, 7));
    let report = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap();
    assert!(report.manifest.statistics.chunks > 40_000);
    assert!(restore_to_memory(&repository, report.id.unwrap()).contents() == files);
}

/// However a long stream is taken apart to be cut on all cores, its chunks are those of cutting it in order.
#[test]
fn long_streams_are_cut_as_if_in_one_go() {
    let repository = open(memory_repository(&small_chunks()));
    let cutter = repository.cutter().unwrap();
    let long = [noise(7_000_000, 1), vec![0; 3_000_000], noise(9_000_001, 2)].concat();
    let mut files: Files = (0..50).map(|n| (path(&format!("a{n}")), noise(n * 997, 3))).collect();
    files.insert(path("b"), long.clone());
    files.insert(path("c"), noise(2 << 20, 4));
    files.insert(path("d"), long);
    let mut chunks = 0;
    for mut rest in files.values().map(Vec::as_slice) {
        while let Some(cut) = cutter.cut(rest, true) {
            rest = &rest[cut.len..];
            chunks += 1;
        }
    }
    for read_size in [usize::MAX, 70_001] {
        let mut source = MemorySource::new(files.clone());
        source.read_size = read_size;
        source.troubles.insert(path("d"), Trouble::Unreadable(18_000_000));
        let report = back_up(&repository, &[&source]).unwrap();
        assert_eq!(report.manifest.problem_count, 1);
        source.troubles.clear();
        let report = back_up(&repository, &[&source]).unwrap();
        assert_eq!(report.manifest.statistics.chunks, chunks);
        assert!(report.written.new_chunks < 10_000, "the stream that broke off was cut otherwise");
        assert!(restore_to_memory(&repository, report.id.unwrap()).contents() == files);
    }
}

#[test]
fn several_sources_are_one_snapshot() {
    let repository = open(memory_repository(&default_chunks()));
    let source = |name: &str, seed| MemorySource {
        name: name.into(),
        ..MemorySource::new([(path("data"), noise(100_000, seed))].into())
    };
    // Given out of order, and two of one name.
    let sources = [source("shop", 1), source("blog", 2), source("shop", 3)];
    let sources = sources.each_ref().map(|source| source as &dyn restow::source::Exporter);
    let id = back_up(&repository, &sources).unwrap().id.unwrap();
    let contents = restore_to_memory(&repository, id).contents();
    assert_eq!(contents.len(), 3);
    assert!(contents[&path("blog/data")] == noise(100_000, 2));
    assert!(contents[&path("shop/data")] == noise(100_000, 1));
    assert!(contents[&path("shop-2/data")] == noise(100_000, 3));
}

#[test]
fn unchanged_entries_are_not_read() {
    let storage = memory_repository(&default_chunks());
    let mut source = MemorySource::new(
        (0..3000).map(|n| (path(&format!("d{}/f{n}", n % 7)), noise(n, n as u64))).collect(),
    );
    source.tokens = source.files.keys().map(|name| (name.clone(), b"1".to_vec())).collect();
    back_up(&open(storage.clone()), &[&source]).unwrap();
    assert_eq!(source.opened.lock().unwrap().len(), 3000);

    source.opened.lock().unwrap().clear();
    let changed = path("d3/f10");
    source.files.insert(changed.clone(), noise(5000, 99));
    source.tokens.insert(changed.clone(), b"2".to_vec());
    source.files.remove(&path("d0/f0"));
    source.files.insert(path("d0/new"), noise(10, 1));
    let repository = open(storage);
    let report = back_up(&repository, &[&source]).unwrap();
    assert_eq!(*source.opened.lock().unwrap(), [path("d0/new"), changed]);
    assert_eq!(report.manifest.statistics.unchanged, 2998);
    assert!(restore_to_memory(&repository, report.id.unwrap()).contents() == source.files);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_kept() {
    let repository = open(memory_repository(&small_chunks()));
    let mut source = MemorySource::new(
        ["a", "b", "c", "d", "e"].map(|name| (path(name), noise(50_000, 3))).into(),
    );
    source.tokens = source.files.keys().map(|name| (name.clone(), b"1".to_vec())).collect();
    source.troubles.insert(path("a"), Trouble::Unopenable);
    source.troubles.insert(path("b"), Trouble::Unreadable(30_000));
    source.troubles.insert(path("d"), Trouble::Changed);
    source.read_size = 10_000;
    let report = back_up(&repository, &[&source]).unwrap();
    let manifest = &report.manifest;
    assert!(manifest.incomplete);
    assert_eq!(manifest.problem_count, 3);
    let named: Vec<_> = manifest.problems.iter().map(|p| p.path.to_vec()).collect();
    assert_eq!(named, [b"a", b"b", b"d"]);
    let contents = restore_to_memory(&repository, report.id.unwrap()).contents();
    let expected = ["c", "d", "e"].map(|name| (path(name), noise(50_000, 3)));
    assert!(contents == expected.into());

    // What changed while it was read is read again next time, although its token is the same.
    source.opened.lock().unwrap().clear();
    source.troubles.clear();
    back_up(&repository, &[&source]).unwrap();
    assert_eq!(*source.opened.lock().unwrap(), ["a", "b", "d"].map(path));
}

#[test]
fn a_source_that_fails_at_its_end_makes_no_snapshot() {
    let mut options = default_chunks();
    options.pack_target = 8 << 20;
    let repository = open(memory_repository(&options));
    let mut source = MemorySource::new([(path("a"), noise(20 << 20, 1))].into());
    source.fails_at_end = true;
    let error = back_up(&repository, &[&source]).unwrap_err();
    assert!(error.to_string().contains("failed at its end"), "{error}");
    assert!(repository.snapshots().unwrap().0.is_empty());

    // The packs that were full are taken up by the next backup.
    source.fails_at_end = false;
    let report = back_up(&repository, &[&source]).unwrap();
    assert!(report.written.new_bytes < 4 << 20, "{:?}", report.written);
    assert!(restore_to_memory(&repository, report.id.unwrap()).contents() == source.files);
}

#[test]
fn a_dry_run_stores_nothing() {
    let storage = memory_repository(&default_chunks());
    let repository = open(storage.clone());
    let source = MemorySource::new([(path("a"), noise(300_000, 1))].into());
    let options = BackupOptions::default().dry_run(true);
    let before = support_list(&storage);
    let report = backup(&repository, &[&source], &options, &Silent, &Cancel::new()).unwrap();
    assert_eq!(report.id, None);
    assert_eq!(report.manifest.statistics.new_bytes, 300_000);
    assert_eq!(support_list(&storage), before);
    let real = back_up(&repository, &[&source]).unwrap();
    assert_eq!(real.manifest.statistics.new_bytes, 300_000);
}

fn support_list(storage: &dyn restow::storage::Storage) -> Vec<String> {
    let mut keys = Vec::new();
    for folder in ["packs", "index", "snapshots", "active", "beats", "keys", "notes"] {
        let prefix = restow::storage::Key::new(folder).unwrap();
        storage.list(&prefix, &mut |listed| keys.push(listed.key.to_string())).unwrap();
    }
    keys.sort();
    keys
}

#[test]
fn a_finished_backup_leaves_no_actor() {
    let storage = memory_repository(&default_chunks());
    let repository = open(storage.clone());
    back_up(&repository, &[&MemorySource::new(BTreeMap::new())]).unwrap();
    let left: Vec<_> = support_list(&storage)
        .into_iter()
        .filter(|key| key.starts_with("active") || key.starts_with("beats"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_cancelled_backup_is_interrupted_and_leaves_no_snapshot() {
    let repository = open(memory_repository(&default_chunks()));
    let cancel = Cancel::new();
    cancel.cancel();
    let source = MemorySource::new([(path("a"), noise(300_000, 1))].into());
    let error =
        backup(&repository, &[&source], &BackupOptions::default(), &Silent, &cancel).unwrap_err();
    assert_eq!(error.kind(), restow::fault::ErrorKind::Interrupted);
    assert!(repository.snapshots().unwrap().0.is_empty());
}
