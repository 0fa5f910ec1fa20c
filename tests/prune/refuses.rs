//! Where it cannot be told what is needed, nothing is freed.

use restow::fault::ErrorKind;
use restow::format::name;
use restow::ops::OpError;
use restow::repo::RepoError;
use restow::storage::{Key, Memory, Storage};

use super::{keys, take, try_prune};
use crate::support::model::{Files, noise, path};
use crate::support::{memory_repository, open, small_chunks};

fn two_nights() -> (Memory, Files) {
    let storage = memory_repository(&small_chunks());
    let files: Files = [(path("a"), noise(60_000, 1))].into();
    take(&storage, &files);
    let id = take(&storage, &[(path("a"), noise(60_000, 2))].into());
    open(storage.clone()).delete_snapshot(&id).unwrap();
    (storage, files)
}

fn damage(storage: &Memory, key: &Key) {
    let mut bytes = storage.get(key, 1 << 30).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    storage.put(key, &bytes).unwrap();
}

fn refused(storage: &Memory) -> OpError {
    let before = (keys(storage, name::PACKS), keys(storage, name::INDEX));
    let error = try_prune(&open(storage.clone())).unwrap_err();
    assert_eq!((keys(storage, name::PACKS), keys(storage, name::INDEX)), before, "{error}");
    assert!(keys(storage, name::CONDEMNED).is_empty() && keys(storage, name::ACTIVE).is_empty());
    assert_eq!(error.kind(), ErrorKind::Damage, "{error}");
    error
}

#[test]
fn a_manifest_that_cannot_be_read() {
    let (storage, _) = two_nights();
    damage(&storage, &keys(&storage, name::SNAPSHOTS)[0]);
    let error = refused(&storage);
    assert!(matches!(error, OpError::Repo(RepoError::UnreadableManifest { .. })), "{error}");
}

#[test]
fn an_index_object_that_cannot_be_read() {
    let (storage, _) = two_nights();
    damage(&storage, &keys(&storage, name::INDEX)[0]);
    let error = refused(&storage);
    assert!(matches!(error, OpError::UnreadableIndex { .. }), "{error}");
}

#[test]
fn a_snapshot_that_misses_a_chunk() {
    let (storage, files) = two_nights();
    let repository = open(storage.clone());
    let (snapshots, _) = repository.snapshots().unwrap();
    let writer = snapshots[0].manifest.writer;
    let object = repository.index_objects().unwrap().into_iter();
    let mut records = object.map(|id| repository.index_object(&id).unwrap());
    let record = records.find(|record| record.writer == writer).unwrap();
    let data = record.packs.iter().max_by_key(|pack| pack.len).unwrap();
    storage.delete(&Key::new(name::pack(&data.id)).unwrap()).unwrap();
    let error = refused(&storage);
    assert!(matches!(error, OpError::NotWhole { .. }), "{error}");
    assert!(error.to_string().contains(&snapshots[0].id.to_hex()), "{error}");
    // The advice is good: a backup of the same stores it again, and the prune goes through.
    take(&storage, &files);
    assert!(try_prune(&open(storage.clone())).unwrap().deleted.count > 0);
    assert!(super::prune_alone(&open(storage)).plan.unwrap().is_nothing());
}
