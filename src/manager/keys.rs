//! The keys that open a repository.

use crate::codec::Secret;
use crate::id::ObjectId;
use crate::ops::OpError;
use crate::repo::{KeyListing, KeyOptions};

use super::SnapshotManager;

impl SnapshotManager {
    /// All keys, oldest first, and those that cannot be read.
    pub fn keys(&self) -> Result<KeyListing, OpError> {
        Ok(self.repository.keys()?)
    }

    /// The key that opened the repository, or the one that [`change_key`](Self::change_key) put in its place.
    pub fn key_in_use(&self) -> ObjectId {
        self.repository.key()
    }

    /// The key with this id, or with an id that begins so (four digits or more).
    pub fn find_key(&self, wanted: &str) -> Result<ObjectId, OpError> {
        Ok(self.repository.find_key(wanted)?)
    }

    /// Adds a key: `secret` opens the repository too from now on.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use restow::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (storage, secret) = (Arc::new(Memory::new()), Secret::Passphrase("correct horse".into()));
    /// # SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
    /// # let manager = SnapshotManager::open(storage.clone(), &secret)?;
    /// let spare = Secret::KeyFile(vec![7; 32]);
    /// let id = manager.add_key(&spare, &KeyOptions::default())?;
    /// assert_eq!(SnapshotManager::open(storage, &spare)?.key_in_use(), id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_key(&self, secret: &Secret, options: &KeyOptions) -> Result<ObjectId, OpError> {
        Ok(self.repository.add_key(secret, options)?)
    }

    /// Removes a key, but never the one in use. Whoever opened the repository with it and kept the master key can
    /// still read.
    pub fn remove_key(&self, id: &ObjectId) -> Result<(), OpError> {
        Ok(self.repository.remove_key(id)?)
    }

    /// Puts a key for `secret` in the place of the key in use. After a crash in between both open the repository.
    pub fn change_key(&self, secret: &Secret, options: &KeyOptions) -> Result<ObjectId, OpError> {
        Ok(self.repository.change_key(secret, options)?)
    }
}
