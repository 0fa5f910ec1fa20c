//! The plain model: names to bytes, and ways to make and change such maps.

use std::collections::BTreeMap;

use proptest::prelude::*;
use restow::format::EntryPath;

pub type Files = BTreeMap<EntryPath, Vec<u8>>;

/// Bytes that look like nothing, the same for the same seed.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3_of(seed);
    hasher.fill(&mut bytes);
    bytes
}

fn blake3_of(seed: u64) -> blake3::OutputReader {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof()
}

pub fn path(text: &str) -> EntryPath {
    EntryPath::new(text).unwrap()
}

/// Lengths around every limit of small chunks (64, 256, 1024), blocks (128 KiB) and segments (2 MiB).
fn lengths() -> impl Strategy<Value = usize> {
    let near = |limit: usize| (limit.saturating_sub(2))..(limit + 3);
    prop_oneof![
        4 => 0usize..5,
        4 => near(64),
        4 => near(256),
        4 => near(1024),
        4 => 0usize..20_000,
        2 => near(128 * 1024),
        1 => near(2 * 1024 * 1024),
        1 => Just(2 * 2 * 1024 * 1024),
    ]
}

fn contents() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (lengths(), 0u64..4).prop_map(|(len, seed)| noise(len, seed)),
        2 => lengths().prop_map(|len| vec![0; len]),
        2 => (lengths(), 0u64..3).prop_map(|(len, seed)| {
            noise(97, seed).into_iter().cycle().take(len).collect()
        }),
    ]
}

fn names() -> impl Strategy<Value = EntryPath> {
    let component = prop_oneof![
        5 => "[a-c]{1,2}",
        2 => "[ .\\-_~!#A-Zäß€]{1,6}",
        1 => Just("x".repeat(200)),
    ];
    prop::collection::vec(component, 1..4)
        .prop_filter_map("a good path", |parts| EntryPath::new(parts.join("/").into_bytes()).ok())
}

/// A map of names to bytes. Names may be prefixes of others: the engine does not mind.
pub fn files() -> impl Strategy<Value = Files> {
    prop::collection::btree_map(names(), contents(), 0..12)
}

/// What becomes of a file from one backup to the next.
#[derive(Debug, Clone)]
pub enum Edit {
    Remove(usize),
    Put(EntryPath, Vec<u8>),
    Insert { file: usize, at: usize, bytes: Vec<u8> },
    Truncate { file: usize, at: usize },
    Copy { from: usize, to: EntryPath },
}

pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        any::<usize>().prop_map(Edit::Remove),
        (names(), contents()).prop_map(|(name, bytes)| Edit::Put(name, bytes)),
        (any::<usize>(), any::<usize>(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(file, at, bytes)| Edit::Insert { file, at, bytes }),
        (any::<usize>(), any::<usize>()).prop_map(|(file, at)| Edit::Truncate { file, at }),
        (any::<usize>(), names()).prop_map(|(from, to)| Edit::Copy { from, to }),
    ];
    prop::collection::vec(edit, 0..5)
}

pub fn apply(files: &mut Files, edit: &Edit) {
    let nth = |files: &Files, number: usize| {
        (!files.is_empty()).then(|| files.keys().nth(number % files.len()).unwrap().clone())
    };
    match edit {
        Edit::Remove(number) => {
            if let Some(name) = nth(files, *number) {
                files.remove(&name);
            }
        }
        Edit::Put(name, bytes) => drop(files.insert(name.clone(), bytes.clone())),
        Edit::Insert { file, at, bytes } => {
            if let Some(name) = nth(files, *file) {
                let content = files.get_mut(&name).unwrap();
                let at = at % (content.len() + 1);
                content.splice(at..at, bytes.iter().copied());
            }
        }
        Edit::Truncate { file, at } => {
            if let Some(name) = nth(files, *file) {
                let content = files.get_mut(&name).unwrap();
                content.truncate(at % (content.len() + 1));
            }
        }
        Edit::Copy { from, to } => {
            if let Some(name) = nth(files, *from) {
                let content = files[&name].clone();
                files.insert(to.clone(), content);
            }
        }
    }
}
