//! The contract in the docs of `restow::storage`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use proptest::prelude::*;
use restow::fault::ErrorKind;
use restow::storage::{ByteRange, Key, Listed, Local, Memory, Storage, StorageError};

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
pub fn keeps_the_contract(storage: &dyn Storage, other_handle: &dyn Storage) {
    objects_come_back_whole(storage, other_handle);
    ranges_are_exact(storage);
    many_ranges_are_each_exact(storage);
    stat_shows_what_list_shows(storage, other_handle);
    what_is_not_there_is_missing(storage);
    lists_show_folders_only(storage, other_handle);
    a_put_replaces(storage, other_handle);
    deletes_are_idempotent(storage, other_handle);
    many_are_deleted(storage, other_handle);
    lists_while_others_put(storage, other_handle);
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

/// What `get_ranges` gives for each range, which must come exactly once.
fn ranges_of(storage: &dyn Storage, ranges: &[ByteRange]) -> Vec<Result<Vec<u8>, StorageError>> {
    let mut found: Vec<_> = ranges.iter().map(|_| None).collect();
    let mut buffer = b"what was in it before".to_vec();
    storage.get_ranges(ranges, &mut buffer, &mut |number, read| {
        // Half of the buffers are taken, the others are lent.
        let bytes = read.map(|bytes| match number % 2 {
            0 => std::mem::take(bytes),
            _ => bytes.clone(),
        });
        assert!(found[number].replace(bytes).is_none(), "range {number} came twice");
    });
    found.into_iter().map(|read| read.expect("a range never came")).collect()
}

fn many_ranges_are_each_exact(storage: &dyn Storage) {
    assert!(ranges_of(storage, &[]).is_empty());
    let digits = b"0123456789";
    storage.put(&key("many/digits"), digits).unwrap();
    storage.put(&key("many/empty"), b"").unwrap();
    let range = |name: &str, offset, len| ByteRange { key: key(name), offset, len };
    let mut ranges = vec![
        range("many/digits", 3, 4),
        // Overlapping, the same again, and zero bytes long.
        range("many/digits", 0, 10),
        range("many/digits", 5, 5),
        range("many/digits", 3, 4),
        range("many/digits", 10, 0),
        range("many/empty", 0, 0),
        // Short, past the end, and missing.
        range("many/digits", 9, 2),
        range("many/digits", 11, 0),
        range("many/none", 0, 1),
        range("many", 0, 0),
    ];
    ranges.extend((0..500).map(|number| range("many/digits", number % 10, 1)));
    for (number, read) in ranges_of(storage, &ranges).into_iter().enumerate() {
        let ByteRange { key, offset, len } = &ranges[number];
        match read {
            Ok(bytes) if key.as_str() == "many/empty" => assert!(bytes.is_empty()),
            Ok(bytes) => assert_eq!(bytes, digits[*offset as usize..][..*len], "range {number}"),
            Err(StorageError::Short { found: 10, .. }) => assert!([6, 7].contains(&number)),
            Err(StorageError::Missing { .. }) => assert!([8, 9].contains(&number)),
            Err(error) => panic!("range {number}: {error}"),
        }
    }
    // The storage may be used while it reads.
    let mut lens = 0;
    storage.get_ranges(&ranges[..2], &mut Vec::new(), &mut |_, _| {
        lens += storage.get(&key("many/digits"), 10).unwrap().len();
    });
    assert_eq!(lens, 20);
}

fn stat_shows_what_list_shows(storage: &dyn Storage, other_handle: &dyn Storage) {
    for (name, len) in [("stat/a", 0), ("stat/b/c", 70_000)] {
        storage.put(&key(name), &vec![1; len]).unwrap();
        for handle in [storage, other_handle] {
            let stat = handle.stat(&key(name)).unwrap();
            assert_eq!(stat, list(handle, "stat")[name]);
            assert_eq!((stat.key.as_str(), stat.len), (name, len as u64));
        }
    }
}

fn many_are_deleted(storage: &dyn Storage, other_handle: &dyn Storage) {
    let names: Vec<String> = (0..40).map(|n| format!("manyfold/{:02x}/{n}", n % 7)).collect();
    for name in &names {
        storage.put(&key(name), name.as_bytes()).unwrap();
    }
    storage.put(&key("manyfold/stays"), b"").unwrap();
    // One twice, some that are missing, and a folder, which is no object.
    let others = ["manyfold/00/0", "manyfold/00/none", "nowhere/none", "manyfold/stays/below"];
    let keys: Vec<Key> = names.iter().map(String::as_str).chain(others).map(key).collect();
    let mut told = vec![0; keys.len()];
    storage.delete_many(&keys, &mut |number, deleted| {
        deleted.unwrap();
        told[number] += 1;
        // It is gone once that is told.
        assert!(other_handle.stat(&keys[number]).is_err());
    });
    assert!(told.iter().all(|count| *count == 1), "{told:?}");
    assert_eq!(list(other_handle, "manyfold").into_keys().collect::<Vec<_>>(), ["manyfold/stays"]);
    storage.delete_many(&[], &mut |_, _| panic!("nothing was to be deleted"));
}

/// What was there before a list began is in it, whatever is put meanwhile.
fn lists_while_others_put(storage: &dyn Storage, other_handle: &dyn Storage) {
    let before: Vec<String> = (0..20).map(|n| format!("listing/{n:02}/before")).collect();
    for name in &before {
        storage.put(&key(name), b"").unwrap();
    }
    std::thread::scope(|threads| {
        let putting = threads.spawn(|| {
            for n in 0..100 {
                storage.put(&key(&format!("listing/{:02}/{n}", n % 30)), b"meanwhile").unwrap();
            }
        });
        loop {
            let is_last = putting.is_finished();
            let found = list(other_handle, "listing");
            assert!(before.iter().all(|name| found.contains_key(name)));
            if is_last {
                assert_eq!(found.len(), 120);
                break;
            }
        }
    });
}

fn what_is_not_there_is_missing(storage: &dyn Storage) {
    storage.put(&key("missing/object"), b"object").unwrap();
    // A folder is no object, and nothing lies below an object.
    for name in ["missing/none", "none", "missing", "missing/object/below"] {
        let whole = storage.get(&key(name), 100).unwrap_err();
        let range = storage.get_range(&key(name), 0, 1, &mut Vec::new()).unwrap_err();
        let stat = storage.stat(&key(name)).unwrap_err();
        for error in [whole, range, stat] {
            assert!(matches!(error, StorageError::Missing { .. }), "{name}: {error}");
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.cause().is_none() && !error.is_transient());
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
