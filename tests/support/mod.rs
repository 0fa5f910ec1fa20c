//! Helpers: repositories in memory, sources and targets in memory, a plain model to compare with.

pub mod arango;
pub mod binary;
pub mod clock;
pub mod faulty;
pub mod hand_packs;
pub mod hooked;
pub mod index_records;
pub mod memory_source;
pub mod model;
pub mod mounts;
pub mod qdrant;
pub mod rights;
pub mod skips;
pub mod tls;
pub mod tree;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use restow::codec::{KdfCost, MasterKey, Secret};
use restow::id::SnapshotId;
use restow::ops::{BackupOptions, BackupReport, OpError, RestoreOptions, backup, restore};
use restow::progress::{Cancel, Silent};
use restow::repo::{
    CreateOptions, Filter, Identity, OpenOptions, RepoError, Repository, Selector, SnapshotView,
    create_with_key,
};
use restow::source::Exporter;
use restow::storage::{Key, Memory, Storage};

use self::faulty::Call;
use self::hooked::Hooked;
use self::memory_source::MemoryTarget;
use self::model::noise;

pub fn passphrase() -> Secret {
    Secret::Passphrase("correct horse battery staple".into())
}

pub fn identity() -> Identity {
    Identity { beat_every: Duration::from_secs(3600), ..Identity::of_this_process() }
}

/// A repository whose key is derived in no time and whose chunks are tiny.
pub fn small_chunks() -> CreateOptions {
    default_chunks().chunk_min(64).chunk_avg(256).chunk_max(1024)
}

pub fn default_chunks() -> CreateOptions {
    let kdf = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
    CreateOptions::default().kdf(kdf)
}

/// A new repository in memory. Its chunks are cut alike in every run.
pub fn memory_repository(options: &CreateOptions) -> Memory {
    memory_repository_of(master_key(), options)
}

pub fn memory_repository_of(master: MasterKey, options: &CreateOptions) -> Memory {
    let storage = Memory::new();
    create_with_key(&storage, &passphrase(), options, &identity(), master).unwrap();
    storage
}

/// The master key of the tests' repositories: from a seed that `RESTOW_TEST_SEED` may set to any number.
pub fn master_key() -> MasterKey {
    let seed = std::env::var("RESTOW_TEST_SEED").map_or(1, |text| text.parse().unwrap());
    // Shown where the test fails.
    println!("a repository of RESTOW_TEST_SEED={seed}");
    MasterKey::from_bytes(noise(32, seed).try_into().unwrap())
}

pub fn open(storage: impl Storage + 'static) -> Repository {
    try_open(Arc::new(storage)).unwrap()
}

/// With an index that is kept from one opening to the next.
pub fn open_with_cache(storage: &Memory, cache: &Path) -> Repository {
    let options = OpenOptions::default().cache(Some(cache.to_owned()));
    Repository::open(Arc::new(storage.clone()), &passphrase(), identity(), options).unwrap()
}

pub fn try_open(storage: Arc<dyn Storage>) -> Result<Repository, RepoError> {
    Repository::open(storage, &passphrase(), identity(), OpenOptions::default())
}

/// Opens over a storage where `what` happens once, before the first operation that `when` is true of.
pub fn open_interrupted(
    storage: &Memory,
    when: impl Fn(Call, &Key) -> bool + Send + Sync + 'static,
    what: impl FnOnce() + Send + 'static,
) -> Repository {
    let (what, begun) = (Mutex::new(Some(what)), AtomicBool::new(false));
    open(Hooked::before(storage.clone(), move |call, key| {
        if when(call, key) && !begun.swap(true, Ordering::Relaxed) {
            let what = what.lock().unwrap().take();
            if let Some(what) = what {
                what();
            }
        }
        Ok(())
    }))
}

const FOLDERS: [&str; 11] = [
    "restow.json",
    "config",
    "keys",
    "packs",
    "index",
    "snapshots",
    "notes",
    "active",
    "beats",
    "void",
    "condemned",
];

/// Another storage with the same objects, in the order in which they were put.
pub fn copy_of(storage: &Memory) -> Memory {
    let copy = Memory::new();
    copy_into(storage, &copy);
    copy
}

pub fn copy_into(storage: &Memory, copy: &dyn Storage) {
    let mut all = Vec::new();
    for folder in FOLDERS {
        storage.list(&Key::new(folder).unwrap(), &mut |listed| all.push(listed)).unwrap();
    }
    all.sort_by_key(|listed| listed.stored);
    for listed in all {
        copy.put(&listed.key, &storage.get(&listed.key, 1 << 30).unwrap()).unwrap();
    }
}

pub fn back_up(
    repository: &Repository,
    sources: &[&dyn Exporter],
) -> Result<BackupReport, OpError> {
    back_up_as(repository, sources, "")
}

pub fn back_up_as(
    repository: &Repository,
    sources: &[&dyn Exporter],
    description: &str,
) -> Result<BackupReport, OpError> {
    let options = BackupOptions::default().description(description.into());
    backup(repository, sources, &options, &Silent, &Cancel::new())
}

pub fn view(repository: &Repository, id: SnapshotId) -> SnapshotView {
    let snapshot = repository.find(&Selector::Named(id.to_hex()), &Filter::default()).unwrap();
    let index = repository.load_index().unwrap();
    SnapshotView::new(id, snapshot.manifest, repository.reader(&index))
}

/// Everything a snapshot holds, restored into memory.
pub fn restore_to_memory(repository: &Repository, id: SnapshotId) -> MemoryTarget {
    let target = MemoryTarget::default();
    let options = RestoreOptions::default();
    let importer = Box::new(target.importer());
    let view = view(repository, id);
    let report = restore(&view, importer, &options, &Silent, &Cancel::new()).unwrap();
    assert_eq!(report.damaged_count, 0, "{:?}", report.damaged);
    target
}
