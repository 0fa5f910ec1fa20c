//! Where objects live: keys to bytes. A folder, an object store, memory.
//!
//! # The contract every implementation keeps (`tests/contracts/storage.rs` checks it)
//!
//! * An object is written once, whole: a reader sees all of it or nothing, never a part. `put` on a key
//!   that exists replaces the object just as atomically.
//! * When `put` returns `Ok`, the object survives a crash of this process, and on a local disk a power
//!   cut. When it returns an error, the object may or may not be there, but never in part.
//! * Everything is strongly consistent: a finished `put` or `delete` shows in the next `get`, `stat` and
//!   `list`, from any process.
//! * `list` gives every object under a prefix that was there before it began and was not deleted since,
//!   in no particular order, with the storage's own time of its `put`. Objects that are put meanwhile may be
//!   in it.
//! * `delete` of an object that does not exist succeeds.
//! * Every operation is idempotent: after an error it may be repeated.
//! * Temporary files of unfinished puts are invisible to `list`.
//! * Callbacks may use the storage.
//!
//! A [`StorageError`] tells a missing object from a refusal, an unreachable server, throttling, a wrong clock
//! and failures that may pass ([`Cause`]).

mod error;
mod hints;
mod key;
mod local;
mod memory;
mod registry;
pub mod wrap;

use std::time::SystemTime;

pub use error::{Cause, Operation, StorageError};
pub use hints::Hints;
pub use key::{BadKey, Key};
pub use local::Local;
pub use memory::Memory;
pub use registry::{
    Environment, ParsedPlace, Place, StorageKind, StorageKinds, StorageOptions, open,
};

/// An object as `list` and `stat` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The object.
    pub key: Key,
    /// Its length in bytes.
    pub len: u64,
    /// When the storage itself says it was put. Never compare it with a host's clock.
    pub stored: SystemTime,
}

/// A part of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRange {
    /// The object.
    pub key: Key,
    /// Where the range begins.
    pub offset: u64,
    /// Bytes of the range.
    pub len: usize,
}

/// Takes the result for the range of this number. The buffer may be taken; what is left in it is forgotten.
pub type EachRange<'e> = dyn FnMut(usize, Result<&mut Vec<u8>, StorageError>) + 'e;

/// Takes the result for the key of this number.
pub type EachDelete<'e> = dyn FnMut(usize, Result<(), StorageError>) + 'e;

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

    /// Reads many ranges, each as [`Self::get_range`] does. Calls `each` once for every range, in any order, on
    /// the calling thread, as results come. A storage with latency keeps several requests in flight; one without
    /// reads into `buffer`, so that no memory is allocated for each range.
    fn get_ranges(&self, ranges: &[ByteRange], buffer: &mut Vec<u8>, each: &mut EachRange<'_>) {
        for (number, ByteRange { key, offset, len }) in ranges.iter().enumerate() {
            let read = self.get_range(key, *offset, *len, buffer);
            each(number, read.map(|()| &mut *buffer));
        }
    }

    /// An object as `list` shows it, without its bytes. [`StorageError::Missing`] where there is none.
    fn stat(&self, key: &Key) -> Result<Listed, StorageError>;

    /// Calls `each` for every object whose key is `prefix` or lies in the folder `prefix`.
    fn list(&self, prefix: &Key, each: &mut dyn FnMut(Listed)) -> Result<(), StorageError>;

    /// Removes an object, durably.
    fn delete(&self, key: &Key) -> Result<(), StorageError>;

    /// Removes many objects in any order, each as [`Self::delete`] does. Calls `each` once for every key, on the
    /// calling thread, when its object is gone for good or could not be removed. Failures do not stop it.
    fn delete_many(&self, keys: &[Key], each: &mut EachDelete<'_>) {
        for (number, key) in keys.iter().enumerate() {
            each(number, self.delete(key));
        }
    }

    /// Removes what puts that were cut off long ago left behind, and says how many files that were. For a writer, at
    /// its start; what cannot be removed is left for the next one.
    fn sweep_stale(&self) -> Result<usize, StorageError> {
        Ok(0)
    }

    /// How this storage likes to be used.
    fn hints(&self) -> Hints {
        Hints::DISK
    }

    /// What a person calls this place, without secrets.
    fn describe(&self) -> String;
}
