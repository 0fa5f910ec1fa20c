//! Keys added, removed and changed. Whatever crashes or races, some secret opens the repository.

use std::sync::PoisonError;

use crate::codec::{KdfCost, Secret};
use crate::format::name;
use crate::id::ObjectId;
use crate::limits::{ARGON2_MEMORY_KIB, ARGON2_PASSES, KDF_WORK_MAX, PLAIN_RECORD_MAX};
use crate::options::options;
use crate::storage::Key;

use super::keys::{add_key, read_key, try_key};
use super::objects::list_ids;
use super::{RepoError, Repository};

/// Fewer hex digits than this are no prefix of a key's id.
const PREFIX_MIN: usize = 4;

options! {
    /// What else is to be said of a new key.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct KeyOptions {
        /// Label of the key, or empty.
        pub label: String,
        /// What guessing a passphrase shall cost.
        pub cost: KdfCost,
    }
}

impl Default for KeyOptions {
    fn default() -> Self {
        let cost = KdfCost { memory_kib: ARGON2_MEMORY_KIB, passes: ARGON2_PASSES, lanes: 1 };
        Self { label: String::new(), cost }
    }
}

impl Repository {
    /// One more secret that opens this repository. It was tried when this returns.
    pub fn add_key(&self, secret: &Secret, options: &KeyOptions) -> Result<ObjectId, RepoError> {
        check(secret, options.cost)?;
        let (storage, keys) = (&**self.storage(), self.vault().keys());
        let (cost, label) = (options.cost, options.label.as_str());
        let id = add_key(storage, self.id(), keys.master(), secret, cost, label, self.identity())?;
        let opened = try_key(&read_key(storage, &id)?, self.id(), secret)?;
        match opened {
            Some(master) if master.as_bytes() == keys.master().as_bytes() => Ok(id),
            _ => Err(RepoError::WrongKey { place: self.place(), keys: 1 }),
        }
    }

    /// The key a user means: its id, or at least four digits of it.
    pub fn find_key(&self, wanted: &str) -> Result<ObjectId, RepoError> {
        let is_prefix = wanted.len() >= PREFIX_MIN;
        let mut found = self.key_ids()?;
        found.retain(|id| is_prefix && id.to_hex().starts_with(wanted));
        match found.as_slice() {
            [] => Err(RepoError::NoKey { place: self.place(), wanted: wanted.into() }),
            [only] => Ok(*only),
            _ => {
                let candidates = found.iter().map(ObjectId::short).collect();
                Err(RepoError::Ambiguous { wanted: wanted.into(), candidates })
            }
        }
    }

    /// Removes a key, but never the one that opened this repository: so one always remains.
    ///
    /// What a former holder of the key copied of the master key or of the key object opens the repository
    /// still: removing a key keeps out those who never opened it, or kept nothing.
    pub fn remove_key(&self, id: &ObjectId) -> Result<(), RepoError> {
        if *id == self.key() {
            return Err(RepoError::KeyInUse { key: *id });
        }
        let there = self.key_ids()?;
        if !there.contains(id) {
            return Err(RepoError::NoKey { place: self.place(), wanted: id.to_hex() });
        }
        if !there.contains(&self.key()) {
            return Err(RepoError::KeyNeeded { key: *id });
        }
        let key = Key::new(name::key(id))?;
        // One that cannot be read opens nothing; it may go.
        let bytes = self.storage().get(&key, PLAIN_RECORD_MAX as u64 * 2).ok();
        self.storage().delete(&key)?;
        // Two hosts may remove each other's key at once. Each deletes before it looks, so one of them sees it.
        if !self.key_ids()?.contains(&self.key()) {
            if let Some(bytes) = bytes {
                self.storage().put(&key, &bytes)?;
            }
            return Err(RepoError::KeyNeeded { key: *id });
        }
        Ok(())
    }

    /// Another secret instead of the one that opened this repository: the new key first, then the old one
    /// goes. After a crash in between both open it.
    pub fn change_key(&self, secret: &Secret, options: &KeyOptions) -> Result<ObjectId, RepoError> {
        let new = self.add_key(secret, options)?;
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *key, new);
        drop(key);
        self.remove_key(&old)?;
        Ok(new)
    }

    fn key_ids(&self) -> Result<Vec<ObjectId>, RepoError> {
        Ok(list_ids(&**self.storage(), name::KEYS)?.into_iter().map(|(id, _)| id).collect())
    }
}

fn check(secret: &Secret, cost: KdfCost) -> Result<(), RepoError> {
    let wrong = match secret {
        // Nobody would try it: a key that costs more is taken for a hostile one.
        _ if u64::from(cost.memory_kib) * u64::from(cost.passes) > KDF_WORK_MAX => {
            "the key would cost more to try than anybody spends"
        }
        Secret::Passphrase(text) if text.is_empty() => "the passphrase is empty",
        _ => return Ok(()),
    };
    Err(RepoError::Usage(wrong.into()))
}
