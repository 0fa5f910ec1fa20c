//! Where a made-up repository lies, and how each step opens it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use restow::codec::{KdfCost, Secret};
use restow::repo::{CreateOptions, Identity, OpenOptions, Repository, create};
use restow::storage::Local;
use rustix::fs::{Advice, fadvise, syncfs};

pub struct Home(pub PathBuf);

impl Home {
    pub fn repository(&self) -> PathBuf {
        self.0.join("repository")
    }

    fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    fn secret() -> Secret {
        Secret::Passphrase("bench".into())
    }

    pub fn create(&self) -> Repository {
        let storage = Local::create(self.repository()).unwrap();
        let kdf = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
        let options = CreateOptions::default().kdf(kdf);
        create(&storage, &Self::secret(), &options, &Identity::of_this_process()).unwrap();
        self.open()
    }

    pub fn open(&self) -> Repository {
        let storage = Arc::new(Local::open(self.repository()).unwrap());
        let cache = OpenOptions::default().cache(Some(self.cache()));
        Repository::open(storage, &Self::secret(), Identity::of_this_process(), cache).unwrap()
    }

    pub fn has_index_cache(&self) -> bool {
        self.cache().exists()
    }

    pub fn drop_index_cache(&self) {
        if self.has_index_cache() {
            fs::remove_dir_all(self.cache()).unwrap();
        }
    }

    /// What was written is on the disk: neither does a step wait for that, nor does it keep pages from being dropped.
    pub fn settle(&self) {
        syncfs(fs::File::open(&self.0).unwrap()).unwrap();
    }

    /// The next who reads these objects waits for the disk.
    pub fn drop_pages(&self, folder: &str) {
        drop_pages(&self.repository().join(folder));
    }

    /// Bytes on the disk.
    pub fn bytes(&self) -> u64 {
        bytes_below(&self.repository())
    }
}

fn drop_pages(folder: &Path) {
    for entry in entries(folder) {
        match entry.file_type().unwrap().is_dir() {
            true => drop_pages(&entry.path()),
            false => {
                let file = fs::File::open(entry.path()).unwrap();
                fadvise(&file, 0, None, Advice::DontNeed).unwrap();
            }
        }
    }
}

fn bytes_below(folder: &Path) -> u64 {
    let size = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => bytes_below(&entry.path()),
        false => entry.metadata().unwrap().len(),
    };
    entries(folder).map(size).sum()
}

fn entries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(folder).unwrap().map(Result::unwrap)
}
