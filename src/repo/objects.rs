//! Small objects by kind: read, verified, opened; listed by id.

use std::str::FromStr;

use crate::format::{ObjectKind, Record};
use crate::storage::{Key, Listed, Storage};
use crate::store::{Vault, verify_name};

use super::RepoError;

/// Sealing adds a header, a prefix and a tag to a record.
const OVERHEAD: u64 = 64;

/// Reads, verifies the name of, and opens a content-named object.
pub(super) fn read_named<R: Record>(
    storage: &dyn Storage,
    vault: &Vault,
    kind: ObjectKind,
    key: &str,
) -> Result<R, RepoError> {
    let key = Key::new(key)?;
    let bytes = storage.get(&key, R::LIMIT as u64 + OVERHEAD)?;
    verify_name(key.as_str(), key.name(), &bytes)?;
    Ok(vault.open(kind, key.as_str(), &bytes)?)
}

/// Reads and opens an object with a name of its own (config, active, beats, void).
pub(super) fn read_fixed<R: Record>(
    storage: &dyn Storage,
    vault: &Vault,
    kind: ObjectKind,
    key: &str,
) -> Result<R, RepoError> {
    let key = Key::new(key)?;
    let bytes = storage.get(&key, R::LIMIT as u64 + OVERHEAD)?;
    Ok(vault.open(kind, key.as_str(), &bytes)?)
}

/// Deletes objects in any order. All are tried; the first failure is the result. `each` takes the number of every key
/// whose object is gone for good.
pub(super) fn delete_all(
    storage: &dyn Storage,
    keys: &[Key],
    mut each: impl FnMut(usize),
) -> Result<(), RepoError> {
    let mut failure = None;
    storage.delete_many(keys, &mut |number, deleted| match deleted {
        Ok(()) => each(number),
        Err(error) => {
            failure.get_or_insert(error);
        }
    });
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// The objects of a folder whose names are ids; others are not ours.
pub(super) fn list_ids<I: FromStr>(
    storage: &dyn Storage,
    folder: &str,
) -> Result<Vec<(I, Listed)>, RepoError> {
    let mut found = Vec::new();
    storage.list(&Key::new(folder)?, &mut |listed| {
        if let Ok(id) = listed.key.name().parse() {
            found.push((id, listed));
        }
    })?;
    Ok(found)
}
