//! The contract in the docs of `restow::storage`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use proptest::prelude::*;
use restow::fault::ErrorKind;
use restow::storage::{Key, Listed, Local, Memory, Storage, StorageError};

use crate::support::faulty::Faulty;

pub fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub fn list(storage: &dyn Storage, prefix: &str) -> BTreeMap<String, Listed> {
    let mut found = BTreeMap::new();
    storage
        .list(&key(prefix), &mut |listed| {
            let name = listed.key.to_string();
            assert!(found.insert(name, listed).is_none(), "listed twice");
        })
        .unwrap();
    found
}

/// Everything the contract promises of an empty storage, opened twice.
fn keeps_the_contract(storage: &dyn Storage, other_handle: &dyn Storage) {
    objects_come_back_whole(storage, other_handle);
    ranges_are_exact(storage);
    what_is_not_there_is_missing(storage);
    lists_show_folders_only(storage, other_handle);
    a_put_replaces(storage, other_handle);
    deletes_are_idempotent(storage, other_handle);
    readers_see_whole_objects_only(storage, other_handle);
}

fn objects_come_back_whole(storage: &dyn Storage, other_handle: &dyn Storage) {
    for (name, len) in [("whole/empty", 0), ("whole/one", 1), ("whole/a/b/c/d", 300_000)] {
        let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        storage.put(&key(name), &bytes).unwrap();
        for handle in [storage, other_handle] {
            assert_eq!(handle.get(&key(name), len).unwrap(), bytes);
        }
    }
    let error = storage.get(&key("whole/one"), 0).unwrap_err();
    assert!(matches!(error, StorageError::TooLong { limit: 0, found: 1, .. }), "{error}");
}

fn ranges_are_exact(storage: &dyn Storage) {
    let name = key("ranges/object");
    storage.put(&name, b"0123456789").unwrap();
    let mut buffer = b"what was in it before".to_vec();
    for (offset, len) in [(0, 10), (0, 0), (3, 4), (9, 1), (10, 0)] {
        storage.get_range(&name, offset, len, &mut buffer).unwrap();
        assert_eq!(buffer, b"0123456789"[offset as usize..offset as usize + len]);
    }
    for (offset, len) in [(0, 11), (10, 1), (11, 0), (u64::MAX, 2), (5, usize::MAX)] {
        let error = storage.get_range(&name, offset, len, &mut buffer).unwrap_err();
        assert!(matches!(error, StorageError::Short { found: 10, .. }), "{offset} {len}: {error}");
        assert_eq!(error.kind(), ErrorKind::Damage);
    }
}

fn what_is_not_there_is_missing(storage: &dyn Storage) {
    storage.put(&key("missing/object"), b"object").unwrap();
    // A folder is no object, and nothing lies below an object.
    for name in ["missing/none", "none", "missing", "missing/object/below"] {
        let whole = storage.get(&key(name), 100).unwrap_err();
        let range = storage.get_range(&key(name), 0, 1, &mut Vec::new()).unwrap_err();
        for error in [whole, range] {
            assert!(matches!(error, StorageError::Missing { .. }), "{name}: {error}");
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        storage.delete(&key(name)).unwrap();
    }
    assert_eq!(storage.get(&key("missing/object"), 6).unwrap(), b"object");
}

fn lists_show_folders_only(storage: &dyn Storage, other_handle: &dyn Storage) {
    for name in ["lists/a", "lists/b/c", "lists/b/d/e", "lists-not", "lists/b.not"] {
        storage.put(&key(name), name.as_bytes()).unwrap();
    }
    for handle in [storage, other_handle] {
        let names = |prefix| list(handle, prefix).into_keys().collect::<Vec<_>>();
        assert_eq!(names("lists"), ["lists/a", "lists/b.not", "lists/b/c", "lists/b/d/e"]);
        assert_eq!(names("lists/b"), ["lists/b/c", "lists/b/d/e"]);
        assert_eq!(names("lists/a"), ["lists/a"]);
        for nothing in ["lists/none", "list", "lists/a/below"] {
            assert!(names(nothing).is_empty(), "{nothing}");
        }
        assert!(list(handle, "lists").iter().all(|(name, object)| object.len == name.len() as u64));
    }
    // The storage may be used while it lists.
    let mut read = 0;
    storage
        .list(&key("lists"), &mut |listed| {
            read += storage.get(&listed.key, listed.len).unwrap().len();
            storage.delete(&key("lists/gone-already")).unwrap();
        })
        .unwrap();
    assert_eq!(read, 7 + 9 + 11 + 11);
}

fn a_put_replaces(storage: &dyn Storage, other_handle: &dyn Storage) {
    let name = key("replaced/object");
    storage.put(&name, b"long, the first").unwrap();
    let before = list(storage, "replaced")["replaced/object"].stored;
    other_handle.put(&name, b"second").unwrap();
    assert_eq!(storage.get(&name, 100).unwrap(), b"second");
    let listed = &list(storage, "replaced")["replaced/object"];
    assert_eq!(listed.len, 6);
    assert!(listed.stored >= before);
}

fn deletes_are_idempotent(storage: &dyn Storage, other_handle: &dyn Storage) {
    let name = key("deleted/object");
    storage.put(&name, b"object").unwrap();
    other_handle.delete(&name).unwrap();
    assert!(list(storage, "deleted").is_empty());
    storage.delete(&name).unwrap();
    assert!(matches!(storage.get(&name, 10), Err(StorageError::Missing { .. })));
}

fn readers_see_whole_objects_only(storage: &dyn Storage, other_handle: &dyn Storage) {
    let name = key("raced/object");
    let (old, new) = (vec![b'a'; 50_000], vec![b'b'; 70_000]);
    storage.put(&name, &old).unwrap();
    std::thread::scope(|threads| {
        let writing = threads.spawn(|| {
            for _ in 0..20 {
                storage.put(&name, &new).unwrap();
                storage.put(&name, &old).unwrap();
            }
        });
        while !writing.is_finished() {
            let seen = other_handle.get(&name, 100_000).unwrap();
            assert!(seen == old || seen == new, "{} bytes", seen.len());
            assert_eq!(list(other_handle, "raced").len(), 1);
        }
    });
}

#[test]
fn memory_keeps_the_contract() {
    let storage = Memory::new();
    keeps_the_contract(&storage, &storage.clone());
}

#[test]
fn local_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("made/with/parents");
    let storage = Local::create(&root).unwrap();
    keeps_the_contract(&storage, &Local::open(&root).unwrap());
}

#[test]
fn faulty_without_a_fault_keeps_the_contract() {
    let storage = Arc::new(Memory::new());
    let handle = || Faulty::counting((*storage).clone());
    keeps_the_contract(&handle(), &handle());
}

#[derive(Debug, Clone)]
enum Act {
    Put(usize, Vec<u8>),
    Delete(usize),
    Get(usize),
    Range(usize, u64, usize),
    List(usize),
}

const NAMES: [&str; 8] =
    ["p/a", "p/b", "p/q/a", "p/q/b", "p.q/a", "config", "packs/00/00ff", "packs/01/01ff"];
const PREFIXES: [&str; 6] = ["p", "p/q", "p.q", "packs", "packs/00", "config"];

fn act() -> impl Strategy<Value = Act> {
    let name = 0..NAMES.len();
    prop_oneof![
        (name.clone(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(n, b)| Act::Put(n, b)),
        name.clone().prop_map(Act::Delete),
        name.clone().prop_map(Act::Get),
        (name, 0..50u64, 0..50usize).prop_map(|(n, offset, len)| Act::Range(n, offset, len)),
        (0..PREFIXES.len()).prop_map(Act::List),
    ]
}

/// The same as a map, whatever is done to it.
fn acts_like_a_map(storage: &dyn Storage, acts: Vec<Act>) {
    let mut model: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut last_stored = SystemTime::UNIX_EPOCH;
    for act in acts {
        match act {
            Act::Put(name, bytes) => {
                storage.put(&key(NAMES[name]), &bytes).unwrap();
                let stored = list(storage, NAMES[name])[NAMES[name]].stored;
                assert!(stored >= last_stored, "later puts are not older");
                last_stored = stored;
                model.insert(NAMES[name], bytes);
            }
            Act::Delete(name) => {
                storage.delete(&key(NAMES[name])).unwrap();
                model.remove(NAMES[name]);
            }
            Act::Get(name) => {
                let found = storage.get(&key(NAMES[name]), 100).ok();
                assert_eq!(found.as_ref(), model.get(NAMES[name]));
            }
            Act::Range(name, offset, len) => {
                let mut buffer = Vec::new();
                let read = storage.get_range(&key(NAMES[name]), offset, len, &mut buffer);
                let start = offset as usize;
                let expected = model.get(NAMES[name]).and_then(|b| b.get(start..start + len));
                assert_eq!(read.ok().map(|()| buffer.as_slice()), expected);
            }
            Act::List(prefix) => {
                let found = list(storage, PREFIXES[prefix]);
                let found: Vec<_> = found.values().map(|l| (l.key.as_str(), l.len)).collect();
                let prefix = key(PREFIXES[prefix]);
                let expected = model.iter().filter(|(name, _)| key(name).is_under(&prefix));
                let expected: Vec<_> =
                    expected.map(|(name, bytes)| (*name, bytes.len() as u64)).collect();
                assert_eq!(found, expected);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn memory_acts_like_a_map(acts in prop::collection::vec(act(), 1..60)) {
        acts_like_a_map(&Memory::new(), acts);
    }

    #[test]
    fn local_acts_like_a_map(acts in prop::collection::vec(act(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        acts_like_a_map(&Local::open(folder.path()).unwrap(), acts);
    }
}
