//! Counts requests: what a storage asks money for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::policy::{Policy, Request};
use crate::storage::{Operation, StorageError};

/// The requests of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// With those that failed.
    pub count: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Bytes of objects, without what the protocol adds.
    pub sent: u64,
    /// Bytes of objects that were read.
    pub received: u64,
}

/// Requests by class. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Counts(Arc<Mutex<BTreeMap<Operation, Requests>>>);

impl Counts {
    /// What was counted so far; nothing of classes without requests.
    pub fn get(&self) -> BTreeMap<Operation, Requests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Policy for Counts {
    fn after(
        &self,
        request: &Request<'_>,
        received: Result<usize, &StorageError>,
    ) -> Result<(), StorageError> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = counts.entry(request.operation).or_default();
        requests.count += 1;
        requests.failed += u64::from(received.is_err());
        requests.sent += request.sent as u64;
        requests.received += received.unwrap_or(0) as u64;
        Ok(())
    }
}
