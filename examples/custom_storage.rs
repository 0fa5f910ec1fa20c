//! A storage outside the crate: all repositories of this process share one map, and each has a name in it.
//! It is registered as the scheme `shared:NAME`, and used for a backup and a restore.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use restow::storage::{
    Key, Listed, ParsedPlace, Place, Storage, StorageError, StorageKind, StorageKinds,
    StorageOptions,
};
use restow::{
    BackupOptions, CreateOptions, FolderExporter, FolderOptions, Overwrite, Secret, SnapshotManager,
};

struct Object {
    bytes: Vec<u8>,
    stored: SystemTime,
}

/// Objects of all repositories, by the repository's name and the object's key.
type Objects = Arc<RwLock<BTreeMap<(String, Key), Object>>>;

/// One repository's part of the map.
struct Shared {
    name: String,
    objects: Objects,
}

impl Shared {
    /// Calls `act` with the object, if there is one.
    fn with<T>(&self, key: &Key, act: impl FnOnce(&Object) -> T) -> Result<T, StorageError> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let object = objects.get(&(self.name.clone(), key.clone()));
        let missing = || StorageError::Missing { place: self.describe(), key: key.clone() };
        Ok(act(object.ok_or_else(missing)?))
    }
}

fn listed(key: &Key, object: &Object) -> Listed {
    Listed { key: key.clone(), len: object.bytes.len() as u64, stored: object.stored }
}

impl Storage for Shared {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), StorageError> {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        let object = Object { bytes: bytes.to_vec(), stored: SystemTime::now() };
        objects.insert((self.name.clone(), key.clone()), object);
        Ok(())
    }

    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, StorageError> {
        self.with(key, |object| match object.bytes.len() as u64 {
            found if found > limit => Err(StorageError::TooLong { key: key.clone(), limit, found }),
            _ => Ok(object.bytes.clone()),
        })?
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        len: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        buffer.clear();
        self.with(key, |object| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let end = start.saturating_add(len);
            let (expected, found) = (len as u64, object.bytes.len() as u64);
            let short = || StorageError::Short { key: key.clone(), offset, expected, found };
            buffer.extend_from_slice(object.bytes.get(start..end).ok_or_else(short)?);
            Ok(())
        })?
    }

    fn stat(&self, key: &Key) -> Result<Listed, StorageError> {
        self.with(key, |object| listed(key, object))
    }

    fn list(&self, prefix: &Key, each: &mut dyn FnMut(Listed)) -> Result<(), StorageError> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let own =
            objects.iter().filter(|((name, key), _)| *name == self.name && key.is_under(prefix));
        // Collected first: `each` may use this storage.
        let found: Vec<_> = own.map(|((_, key), object)| listed(key, object)).collect();
        drop(objects);
        found.into_iter().for_each(each);
        Ok(())
    }

    fn delete(&self, key: &Key) -> Result<(), StorageError> {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        objects.remove(&(self.name.clone(), key.clone()));
        Ok(())
    }

    fn describe(&self) -> String {
        format!("shared:{}", self.name)
    }
}

/// The kind of storage that `shared:NAME` stands for.
#[derive(Default)]
pub struct SharedKind(Objects);

impl StorageKind for SharedKind {
    fn schemes(&self) -> &[&str] {
        &["shared"]
    }

    fn parse(&self, text: &str) -> Result<ParsedPlace, StorageError> {
        match text.split_once(':') {
            Some((_, name)) if !name.is_empty() => {
                Ok(ParsedPlace { shown: text.to_owned(), folder: None })
            }
            _ => {
                let (place, reason) = (text.to_owned(), "it has no name: shared:NAME".to_owned());
                Err(StorageError::BadPlace { place, reason })
            }
        }
    }

    fn open(&self, place: &Place, _: &StorageOptions) -> Result<Arc<dyn Storage>, StorageError> {
        let name = place.text().trim_start_matches("shared:").to_owned();
        Ok(Arc::new(Shared { name, objects: Arc::clone(&self.0) }))
    }
}

/// Backs up `from` into two repositories of one map, and restores it out of the second into `to`.
pub fn run(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    let mut kinds = StorageKinds::default();
    kinds.register(Arc::new(SharedKind::default()));
    let secret = Secret::Passphrase("correct horse battery staple".into());
    for name in ["shared:first", "shared:second"] {
        let storage = kinds.place(name)?.create(&StorageOptions::default())?;
        SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
        let folder = FolderExporter::new(from, FolderOptions::default())?;
        SnapshotManager::open(storage, &secret)?.create(&[&folder], &BackupOptions::default())?;
    }
    let storage = kinds.place("shared:second")?.open(&StorageOptions::default())?;
    let manager = SnapshotManager::open(storage, &secret)?;
    let snapshot = manager.get("latest")?.ok_or("there is no snapshot")?;
    manager.restore(&snapshot.id, to, Overwrite::Refuse)?;
    Ok(())
}

#[allow(dead_code)]
fn main() -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let (from, to) = (home.path().join("from"), home.path().join("to"));
    std::fs::create_dir(&from)?;
    std::fs::write(from.join("greeting"), "hello")?;
    run(&from, &to)?;
    println!("{}", std::fs::read_to_string(to.join("greeting"))?);
    Ok(())
}
