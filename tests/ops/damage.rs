//! Damage: found, named, and survived as far as it goes.

use restow::fault::ErrorKind;
use restow::ops::{CheckOptions, CheckReport, RestoreOptions, check, check_names, restore};
use restow::progress::{Cancel, Silent};
use restow::repo::Repository;
use restow::storage::{Key, Memory, Storage};

use crate::support::binary::Bench;
use crate::support::memory_source::{MemorySource, MemoryTarget};
use crate::support::model::{Files, noise, path};
use crate::support::tree::look;
use crate::support::{back_up, memory_repository, open, restore_to_memory, small_chunks, view};

fn keys_of(storage: &Memory, folder: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    storage.list(&Key::new(folder).unwrap(), &mut |listed| keys.push(listed.key)).unwrap();
    keys.sort();
    keys
}

fn checked(repository: &Repository, read_data: bool) -> CheckReport {
    let options = CheckOptions::default().read_data(read_data);
    check(repository, &options, &Silent, &Cancel::new()).unwrap()
}

fn two_files() -> Files {
    [(path("a"), noise(40_000, 1)), (path("b"), noise(40_000, 2))].into()
}

/// The pack that holds stream bytes: its header says so.
fn data_packs(storage: &Memory) -> Vec<(Key, Vec<u8>)> {
    let packs = keys_of(storage, "packs").into_iter();
    let read = packs.map(|key| (key.clone(), storage.get(&key, 1 << 30).unwrap()));
    read.filter(|(_, bytes)| bytes[7] == 3).collect()
}

fn data_pack(storage: &Memory) -> (Key, Vec<u8>) {
    data_packs(storage).remove(0)
}

#[test]
fn every_changed_byte_of_every_object_is_noticed_by_names_and_by_reading() {
    let storage = memory_repository(&small_chunks());
    let files: Files = [(path("a"), noise(1500, 1))].into();
    back_up(&open(storage.clone()), &[&MemorySource::new(files)]).unwrap();
    for folder in ["packs", "index", "snapshots"] {
        for key in keys_of(&storage, folder) {
            let good = storage.get(&key, 1 << 20).unwrap();
            for at in (0..good.len()).step_by(7) {
                let mut bad = good.clone();
                bad[at] ^= 1;
                storage.put(&key, &bad).unwrap();
                let names = check_names(&storage, &Silent, &Cancel::new()).unwrap();
                assert!(!names.is_clean(), "{key} byte {at}");
                assert!(!checked(&open(storage.clone()), true).is_clean(), "{key} byte {at}");
            }
            storage.put(&key, &good).unwrap();
        }
    }
    assert!(checked(&open(storage), true).is_clean());
}

#[test]
fn a_damaged_block_hurts_one_file_and_the_other_comes_back() {
    let storage = memory_repository(&small_chunks());
    let repository = open(storage.clone());
    // Longer than a block, so that the first block is file a's alone.
    let files: Files = [(path("a"), noise(300_000, 1)), (path("b"), noise(300_000, 2))].into();
    let id = back_up(&repository, &[&MemorySource::new(files)]).unwrap().id.unwrap();
    let (key, mut bytes) = data_pack(&storage);
    bytes[1000] ^= 1;
    storage.put(&key, &bytes).unwrap();

    assert!(checked(&repository, false).is_clean(), "unread, it cannot show");
    let report = checked(&repository, true);
    assert_eq!(report.snapshots_damaged.len(), 1);
    let damaged = &report.snapshots_damaged[0];
    assert_eq!((damaged.id, damaged.count), (id, 1));
    assert_eq!(damaged.entries[0].path.to_vec(), b"a");

    let target = MemoryTarget::default();
    let importer = Box::new(target.importer());
    let report = restore(
        &view(&repository, id),
        importer,
        &RestoreOptions::default(),
        &Silent,
        &Cancel::new(),
    )
    .unwrap();
    assert_eq!(report.damaged_count, 1, "once, however many of its chunks are damaged");
    assert_eq!(report.damaged[0].path.to_vec(), b"a");
    assert!(target.contents()[&path("b")] == noise(300_000, 2));
}

/// Chunks are fetched some thousands at a time: damage in several of these lots is still one file's.
#[test]
fn a_long_file_without_any_of_its_bytes_is_damaged_once() {
    let storage = memory_repository(&small_chunks());
    let repository = open(storage.clone());
    let files: Files = [(path("a"), noise(8 << 20, 1)), (path("b"), noise(10, 2))].into();
    let id = back_up(&repository, &[&MemorySource::new(files)]).unwrap().id.unwrap();
    for (key, _) in data_packs(&storage) {
        storage.delete(&key).unwrap();
    }
    let importer = Box::new(MemoryTarget::default().importer());
    let (view, all) = (view(&repository, id), RestoreOptions::default());
    let report = restore(&view, importer, &all, &Silent, &Cancel::new()).unwrap();
    let named: Vec<_> = report.damaged.iter().map(|problem| problem.path.to_vec()).collect();
    assert_eq!(named, [b"a", b"b"]);
    assert_eq!(report.damaged_count, 2);
}

#[test]
fn a_missing_pack_is_named_with_what_it_takes_along() {
    let storage = memory_repository(&small_chunks());
    let repository = open(storage.clone());
    let before: Files = [(path("z"), noise(5000, 9))].into();
    let whole = back_up(&repository, &[&MemorySource::new(before.clone())]).unwrap().id.unwrap();
    let first: Vec<Key> = keys_of(&storage, "packs");
    let id = back_up(&repository, &[&MemorySource::new(two_files())]).unwrap().id.unwrap();
    for key in keys_of(&storage, "packs").iter().filter(|key| !first.contains(key)) {
        if storage.get(key, 1 << 30).unwrap()[7] == 3 {
            storage.delete(key).unwrap();
        }
    }
    let report = checked(&repository, false);
    assert_eq!(report.objects_damaged.len(), 1);
    assert_eq!(report.snapshots_damaged.iter().map(|d| d.id).collect::<Vec<_>>(), [id]);
    assert_eq!(report.snapshots_damaged[0].count, 2);
    assert!(restore_to_memory(&repository, whole).contents() == before);

    // The next backup stores again what is gone, and the snapshot is whole again with it.
    back_up(&repository, &[&MemorySource::new(two_files())]).unwrap();
    assert!(restore_to_memory(&repository, id).contents() == two_files());
}

#[test]
fn an_unreadable_manifest_hides_no_other() {
    let storage = memory_repository(&small_chunks());
    let repository = open(storage.clone());
    let good = back_up(&repository, &[&MemorySource::new(two_files())]).unwrap().id.unwrap();
    let bad = back_up(&repository, &[&MemorySource::new(two_files())]).unwrap().id.unwrap();
    let key = Key::new(format!("snapshots/{bad}")).unwrap();
    storage.put(&key, b"not a manifest").unwrap();
    let (snapshots, unreadable) = repository.snapshots().unwrap();
    assert_eq!(snapshots.iter().map(|s| s.id).collect::<Vec<_>>(), [good]);
    assert_eq!(unreadable[0].0, bad);
    assert_eq!(unreadable[0].1.kind(), ErrorKind::Damage);
    assert!(!checked(&repository, false).is_clean());
}

#[test]
fn damaged_files_are_named_and_those_beyond_a_hundred_counted() {
    let bench = Bench::with_repository();
    let tree = bench.path("tree");
    std::fs::create_dir(&tree).unwrap();
    for number in 0..120 {
        std::fs::write(tree.join(format!("file-{number:03}")), noise(2000, number)).unwrap();
    }
    let id = bench.back_up(&["tree"]);
    for (name, seen) in look(&bench.path("repository/packs")) {
        if seen.kind == "file" && seen.bytes[7] == 3 {
            std::fs::remove_file(bench.path("repository/packs").join(name)).unwrap();
        }
    }
    let error = bench.fails(4, &["restore", &id, "--to", "out"]);
    let named = error.lines().filter(|line| line.starts_with("damaged: file-")).count();
    assert_eq!(named, 100, "{error}");
    assert!(error.contains("damaged: and 20 more"), "{error}");
    let output = bench.run(&["restore", &id, "--to", "out", "--json", "--overwrite"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["damaged_count"], 120);
    assert_eq!(report["damaged"].as_array().unwrap().len(), 120);
}
