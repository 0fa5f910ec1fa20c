//! First backup, the same read again, and restore, from an opened repository.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use restow::codec::{KdfCost, Secret};
use restow::id::SnapshotId;
use restow::ops::{BackupOptions, RestoreOptions, backup, restore};
use restow::progress::{Cancel, Silent};
use restow::repo::{CreateOptions, Identity, OpenOptions, Repository, SnapshotView, create};
use restow::source::files::{self, FolderExporter, FolderImporter, FolderOptions};
use restow::source::{Exporter, Importer};
use restow::storage::{Local, Storage};

use super::memory::{Arena, Stream};
use super::nowhere::{Nowhere, restored};

/// What something took.
#[derive(Clone, Copy)]
pub struct Cost {
    pub seconds: f64,
    pub cpu: f64,
}

fn timed<T>(act: impl FnOnce() -> T) -> (Cost, T) {
    let (started, before) = (Instant::now(), super::cpu_seconds());
    let done = act();
    let seconds = started.elapsed().as_secs_f64();
    (Cost { seconds, cpu: super::cpu_seconds() - before }, done)
}

pub struct Costs {
    pub first: Cost,
    pub again: Cost,
    pub restore: Cost,
}

/// One stream of these bytes, from memory into memory, and out again to nowhere.
pub fn in_memory(folder: &Path, bytes: &'static [u8]) -> Costs {
    let storage = Arc::new(Arena::new(bytes.len() + bytes.len() / 8 + (64 << 20)));
    let repository = open(storage, folder);
    let before = restored();
    let costs = measure(&repository, &Stream(bytes), || Box::new(Nowhere));
    assert_eq!(restored() - before, bytes.len() as u64);
    std::fs::remove_dir_all(folder.join("cache")).unwrap();
    costs
}

/// A folder into a repository in a folder, and out again into a third.
pub fn with_files(folder: &Path, source: &Path) -> Costs {
    let storage = Arc::new(Local::create(folder.join("engine")).unwrap());
    let repository = open(storage, folder);
    let exporter = FolderExporter::new(source, FolderOptions::default()).unwrap();
    let target = folder.join("target");
    let importer = || FolderImporter::new(&target, files::RestoreOptions::default()).unwrap();
    let costs = measure(&repository, &exporter, || Box::new(importer()));
    super::assert_same(source, &target);
    for place in [target, folder.join("engine"), folder.join("cache")] {
        std::fs::remove_dir_all(place).unwrap();
    }
    costs
}

fn open(storage: Arc<dyn Storage>, folder: &Path) -> Repository {
    let secret = Secret::Passphrase("bench".into());
    let kdf = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
    let options = CreateOptions::default().kdf(kdf);
    let identity = Identity::of_this_process();
    create(&*storage, &secret, &options, &identity).unwrap();
    let cache = OpenOptions::default().cache(Some(folder.join("cache")));
    Repository::open(storage, &secret, identity, cache).unwrap()
}

fn measure(
    repository: &Repository,
    exporter: &dyn Exporter,
    importer: impl FnOnce() -> Box<dyn Importer>,
) -> Costs {
    let (first, _) = timed(|| take(repository, exporter));
    let (again, id) = timed(|| take(repository, exporter));
    let (restore, ()) = timed(|| bring_back(repository, id, importer()));
    Costs { first, again, restore }
}

fn take(repository: &Repository, exporter: &dyn Exporter) -> SnapshotId {
    let options = BackupOptions::default().force_read(true);
    backup(repository, &[exporter], &options, &Silent, &Cancel::new()).unwrap().id.unwrap()
}

fn bring_back(repository: &Repository, id: SnapshotId, importer: Box<dyn Importer>) {
    let index = repository.load_index().unwrap();
    let manifest = repository.manifest(&id).unwrap();
    let view = SnapshotView::new(id, manifest, repository.reader(&index));
    restore(&view, importer, &RestoreOptions::default(), &Silent, &Cancel::new()).unwrap();
}
