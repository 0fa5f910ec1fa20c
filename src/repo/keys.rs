//! Key objects: who can open a repository.

use crate::codec::{self, CodecError, KdfCost, MasterKey, Secret};
use crate::format::{self, Bytes, HEADER_LEN, Header, Kdf, KeyRecord, ObjectKind, Time, name};
use crate::id::{ObjectId, RepositoryId};
use crate::limits::{KDF_WORK_MAX, KEYS_MAX, PLAIN_RECORD_MAX};
use crate::storage::{Key, Storage};
use crate::store::verify_name;

use super::objects::list_ids;
use super::{Identity, RepoError};

/// What can be told of a key without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Name of the key object.
    pub id: ObjectId,
    /// Label of the user, or empty.
    pub label: String,
    /// When the key was added.
    pub created: Time,
    /// Host on which it was added.
    pub host: String,
    /// User who added it.
    pub user: String,
    /// A key file opens it, not a passphrase.
    pub is_key_file: bool,
}

/// Wraps the master key for one more secret and stores it.
pub fn add_key(
    storage: &dyn Storage,
    repository: RepositoryId,
    master: &MasterKey,
    secret: &Secret,
    cost: KdfCost,
    label: &str,
    identity: &Identity,
) -> Result<ObjectId, RepoError> {
    let salt: [u8; 32] = codec::random()?;
    let kdf = match secret {
        Secret::Passphrase(_) => {
            let KdfCost { memory_kib, passes, lanes } = cost;
            Kdf::Argon2id { memory_kib, passes, lanes, salt }
        }
        Secret::KeyFile(_) => Kdf::KeyFile { salt },
    };
    let wrapping = codec::derive(secret, cost, &salt)?;
    let wrapped = codec::wrap(&wrapping, repository.as_bytes(), master)?;
    let record = KeyRecord {
        kdf,
        commitment: wrapped.commitment,
        wrapped: Bytes(wrapped.sealed),
        label: label.into(),
        created: identity.now(),
        host: identity.host.clone(),
        user: identity.user.clone(),
        ext: Vec::new(),
    };
    // The header's salt serves no key here; it keeps every object's first bytes alike.
    let header = Header { kind: ObjectKind::Key, salt: codec::random()? };
    let mut bytes = header.encode().to_vec();
    bytes.extend_from_slice(&format::encode(&record).map_err(|e| RepoError::format("key", e))?);
    let id = ObjectId::new(*blake3::hash(&bytes).as_bytes());
    storage.put(&Key::new(name::key(&id))?, &bytes)?;
    Ok(id)
}

/// Finds the key object a secret opens. Cheap ones are tried first: what a hostile host puts beside them
/// cannot stall those who hold a key.
pub(super) fn unlock(
    storage: &dyn Storage,
    repository: RepositoryId,
    secret: &Secret,
) -> Result<(ObjectId, MasterKey), RepoError> {
    let place = storage.describe();
    let (mut records, mut unreadable) = read_keys(storage)?;
    let keys = records.len() + unreadable.len();
    if keys == 0 {
        return Err(RepoError::NoKeys { place });
    }
    let usable = |record: &KeyRecord| {
        let by_file = matches!(record.kdf, Kdf::KeyFile { .. });
        by_file == matches!(secret, Secret::KeyFile(_))
    };
    records.retain(|(_, record)| usable(record));
    records.sort_by_key(|(id, record)| (work(record), *id));
    let mut left = KDF_WORK_MAX;
    for (tried, (id, record)) in records.iter().enumerate() {
        left = match left.checked_sub(work(record)) {
            Some(left) => left,
            None => return Err(RepoError::CostlyKeys { place, tried, keys }),
        };
        match try_key(record, repository, secret) {
            Ok(Some(master)) => return Ok((*id, master)),
            Ok(None) => {}
            // Another key may do; if none does, this is the better answer than "wrong passphrase".
            Err(error) => unreadable.push((*id, error)),
        }
    }
    match unreadable.pop() {
        Some((_, error)) => Err(error),
        None => Err(RepoError::WrongKey { place, keys }),
    }
}

/// What trying a key costs: KiB of memory times passes.
fn work(record: &KeyRecord) -> u64 {
    match record.kdf {
        Kdf::Argon2id { memory_kib, passes, .. } => u64::from(memory_kib) * u64::from(passes),
        Kdf::KeyFile { .. } => 1,
    }
}

/// Things with an id that can be read, and why others cannot.
type Sorted<T> = (Vec<(ObjectId, T)>, Vec<(ObjectId, RepoError)>);

fn read_keys(storage: &dyn Storage) -> Result<Sorted<KeyRecord>, RepoError> {
    let (mut records, mut unreadable) = (Vec::new(), Vec::new());
    for (id, _) in list_ids::<ObjectId>(storage, name::KEYS)?.into_iter().take(KEYS_MAX) {
        match read_key(storage, &id) {
            Ok(record) => records.push((id, record)),
            Err(error) => unreadable.push((id, error)),
        }
    }
    Ok((records, unreadable))
}

pub(super) fn read_key(storage: &dyn Storage, id: &ObjectId) -> Result<KeyRecord, RepoError> {
    let key = Key::new(name::key(id))?;
    let bytes = storage.get(&key, (PLAIN_RECORD_MAX + HEADER_LEN) as u64)?;
    verify_name(key.as_str(), key.name(), &bytes)?;
    let (_, record) =
        Header::decode(ObjectKind::Key, &bytes).map_err(|e| RepoError::format(&key, e))?;
    format::decode(record).map_err(|e| RepoError::format(&key, e))
}

pub(super) fn try_key(
    record: &KeyRecord,
    repository: RepositoryId,
    secret: &Secret,
) -> Result<Option<MasterKey>, RepoError> {
    let wrapping = match (&record.kdf, secret) {
        (Kdf::Argon2id { memory_kib, passes, lanes, salt }, Secret::Passphrase(_)) => {
            let cost = KdfCost { memory_kib: *memory_kib, passes: *passes, lanes: *lanes };
            codec::derive(secret, cost, salt)?
        }
        (Kdf::KeyFile { salt }, Secret::KeyFile(_)) => {
            codec::derive(secret, KdfCost { memory_kib: 8, passes: 1, lanes: 1 }, salt)?
        }
        _ => return Ok(None),
    };
    if !codec::commit_matches(&wrapping, &record.commitment) {
        return Ok(None);
    }
    match codec::unwrap(&wrapping, repository.as_bytes(), &record.wrapped) {
        Ok(master) => Ok(Some(master)),
        // The secret is right, but the key belongs to another repository or was changed.
        Err(error @ CodecError::Forged { .. }) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
}

/// All keys of a repository, oldest first, and those that cannot be read.
pub type KeyListing = (Vec<KeyInfo>, Vec<(ObjectId, RepoError)>);

pub(super) fn list_keys(storage: &dyn Storage) -> Result<KeyListing, RepoError> {
    let (records, unreadable) = read_keys(storage)?;
    let info = |(id, record): (ObjectId, KeyRecord)| KeyInfo {
        id,
        label: record.label,
        created: record.created,
        host: record.host,
        user: record.user,
        is_key_file: matches!(record.kdf, Kdf::KeyFile { .. }),
    };
    let mut keys: Vec<KeyInfo> = records.into_iter().map(info).collect();
    keys.sort_by_key(|key| (key.created, key.id));
    Ok((keys, unreadable))
}
