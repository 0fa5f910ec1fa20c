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
use restow::storage::Local;

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

impl Cost {
    fn better(self, other: Self) -> Self {
        if other.seconds < self.seconds { other } else { self }
    }
}

/// `source` into a repository in `folder` and out again, three times; the best of each.
pub fn measure(folder: &Path, source: &Path) -> Costs {
    let measured = (0..3).map(|_| measure_once(folder, source));
    let better = |a: Costs, b: Costs| Costs {
        first: a.first.better(b.first),
        again: a.again.better(b.again),
        restore: a.restore.better(b.restore),
    };
    measured.reduce(better).unwrap()
}

fn measure_once(folder: &Path, source: &Path) -> Costs {
    let storage = Arc::new(Local::create(folder.join("engine")).unwrap());
    let secret = Secret::Passphrase("bench".into());
    let kdf = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
    let options = CreateOptions { kdf, ..CreateOptions::default() };
    let identity = Identity::of_this_process();
    create(&*storage, &secret, &options, &identity).unwrap();
    let cache = OpenOptions { cache: Some(folder.join("cache")) };
    let repository = Repository::open(storage, &secret, identity, cache).unwrap();
    let (first, _) = timed(|| take(&repository, source));
    let (again, id) = timed(|| take(&repository, source));
    let target = folder.join("target");
    let (restore, ()) = timed(|| bring_back(&repository, id, &target));
    super::assert_same(source, &target);
    for place in [target, folder.join("engine"), folder.join("cache")] {
        std::fs::remove_dir_all(place).unwrap();
    }
    Costs { first, again, restore }
}

fn take(repository: &Repository, source: &Path) -> SnapshotId {
    let exporter = FolderExporter::new(source, FolderOptions::default()).unwrap();
    let options = BackupOptions { force_read: true, ..BackupOptions::default() };
    backup(repository, &[&exporter], &options, &Silent, &Cancel::new()).unwrap().id.unwrap()
}

fn bring_back(repository: &Repository, id: SnapshotId, target: &Path) {
    let index = repository.load_index().unwrap();
    let manifest = repository.manifest(&id).unwrap();
    let view = SnapshotView::new(id, manifest, repository.reader(&index));
    let importer = FolderImporter::new(target, files::RestoreOptions::default()).unwrap();
    let all = RestoreOptions::default();
    restore(&view, Box::new(importer), &all, &Silent, &Cancel::new()).unwrap();
}
