//! What a wrapper does around each request.

use std::time::Instant;

use crate::storage::{Key, Operation, StorageError};

/// A request to a storage.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// What the request does.
    pub operation: Operation,
    /// The object, or the folder of a list.
    pub key: &'r Key,
    /// Bytes of an object that is put.
    pub sent: usize,
}

/// How often one operation was tried so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tries {
    /// Tries after the first.
    pub repeated: u32,
    /// When it failed first, by the policy's own clock.
    pub first_failure: Option<Instant>,
}

/// What a wrapper does around each request. A batch is one request for each of its items.
pub trait Policy: Send + Sync {
    /// Before a request is sent. An error takes the place of the request.
    fn before(&self, _: &Request<'_>) -> Result<(), StorageError> {
        Ok(())
    }

    /// After a request: how many bytes of objects came, or why it failed.
    fn after(&self, _: &Request<'_>, _: Result<usize, &StorageError>) -> Result<(), StorageError> {
        Ok(())
    }

    /// Whether a request that failed like this is to be repeated.
    fn repeats(&self, _: &StorageError) -> bool {
        false
    }

    /// Waits before a repetition. An error gives the operation up.
    fn pause(&self, _: &mut Tries, error: StorageError) -> Result<(), StorageError> {
        Err(error)
    }
}
