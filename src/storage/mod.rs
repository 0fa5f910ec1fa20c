//! Where objects live: keys to bytes. A folder, an object store, memory.
//!
//! # The contract every implementation keeps (`tests/contracts/storage.rs` checks it)
//!
//! * An object is written once, whole: a reader sees all of it or nothing, never a part. `put` on a key
//!   that exists replaces the object just as atomically.
//! * When `put` returns `Ok`, the object survives a crash of this process, and on a local disk a power
//!   cut. When it returns an error, the object may or may not be there, but never in part.
//! * Everything is strongly consistent: a finished `put` or `delete` shows in the next `get` and `list`,
//!   from any process.
//! * `list` gives every object under a prefix that was there before it began and was not deleted since,
//!   in no particular order, with the storage's own time of its `put`.
//! * `delete` of what is not there is no error.
//! * Temporary files of unfinished puts are invisible to `list`.

mod error;
mod key;
mod local;
mod memory;

use std::time::SystemTime;

pub use error::{Operation, StorageError};
pub use key::{BadKey, Key};
pub use local::Local;
pub use memory::Memory;

/// An object as `list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub key: Key,
    pub len: u64,
    /// When the storage itself says it was put. Never compare it with a host's clock.
    pub stored: SystemTime,
}

/// The seam to whatever holds the objects. See the module's contract.
pub trait Storage: Send + Sync {
    /// Stores `bytes` under `key`, whole and durable.
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), StorageError>;

    /// All bytes of an object. Refuses one longer than `limit` before reading it.
    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, StorageError>;

    /// Exactly `len` bytes from `offset` on into `buffer`, replacing what it held.
    /// An object that ends before is [`StorageError::Short`].
    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        len: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StorageError>;

    /// Calls `each` for every object whose key is `prefix` or lies in the folder `prefix`.
    fn list(&self, prefix: &Key, each: &mut dyn FnMut(Listed)) -> Result<(), StorageError>;

    /// Removes an object, durably.
    fn delete(&self, key: &Key) -> Result<(), StorageError>;

    /// What a person calls this place, without secrets.
    fn describe(&self) -> String;
}
