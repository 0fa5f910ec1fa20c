//! A storage behind a policy.

use std::sync::Arc;

use super::batch::Batch;
use super::policy::{Policy, Request, Tries};
use crate::storage::{
    ByteRange, EachDelete, EachRange, Hints, Key, Listed, Operation, Storage, StorageError,
};

/// A storage whose requests go through a policy.
pub struct Wrapped<P> {
    inner: Arc<dyn Storage>,
    policy: P,
}

impl<P: Policy> Wrapped<P> {
    /// Wraps a storage.
    pub fn new(inner: Arc<dyn Storage>, policy: P) -> Self {
        Self { inner, policy }
    }

    /// Sends one request, again and again while the policy repeats it. `received`: bytes of objects in an answer.
    fn request<T>(
        &self,
        request: &Request<'_>,
        received: impl Fn(&T) -> usize,
        mut send: impl FnMut() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut tries = Tries::default();
        loop {
            self.policy.before(request)?;
            let result = send();
            let outcome = self.policy.after(request, result.as_ref().map(&received));
            match outcome.and(result) {
                Err(error) if self.policy.repeats(&error) => {
                    self.policy.pause(&mut tries, error)?
                }
                result => return result,
            }
        }
    }
}

impl<P: Policy> Storage for Wrapped<P> {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), StorageError> {
        let request = Request { operation: Operation::Put, key, sent: bytes.len() };
        self.request(&request, |()| 0, || self.inner.put(key, bytes))
    }

    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, StorageError> {
        let request = Request { operation: Operation::Get, key, sent: 0 };
        self.request(&request, Vec::len, || self.inner.get(key, limit))
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        len: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        let request = Request { operation: Operation::Get, key, sent: 0 };
        self.request(&request, |()| len, || self.inner.get_range(key, offset, len, buffer))
    }

    fn get_ranges(&self, ranges: &[ByteRange], buffer: &mut Vec<u8>, each: &mut EachRange<'_>) {
        let mut batch = Batch::new(&self.policy, ranges, |range| Request {
            operation: Operation::Get,
            key: &range.key,
            sent: 0,
        });
        while let Some(part) = batch.next(|number, error| each(number, Err(error))) {
            self.inner.get_ranges(&part, buffer, &mut |at, read| {
                let after = batch.after(at, read.as_ref().map(|bytes| bytes.len()));
                batch.settle(at, after.and(read), &mut *each);
            });
        }
    }

    fn stat(&self, key: &Key) -> Result<Listed, StorageError> {
        let request = Request { operation: Operation::Stat, key, sent: 0 };
        self.request(&request, |_| 0, || self.inner.stat(key))
    }

    /// What a list that fails has given is not passed on: a repeated one gives it again.
    fn list(&self, prefix: &Key, each: &mut dyn FnMut(Listed)) -> Result<(), StorageError> {
        let request = Request { operation: Operation::List, key: prefix, sent: 0 };
        let listed = self.request(
            &request,
            |_| 0,
            || {
                let mut listed = Vec::new();
                self.inner.list(prefix, &mut |one| listed.push(one)).map(|()| listed)
            },
        )?;
        listed.into_iter().for_each(each);
        Ok(())
    }

    fn delete(&self, key: &Key) -> Result<(), StorageError> {
        let request = Request { operation: Operation::Delete, key, sent: 0 };
        self.request(&request, |()| 0, || self.inner.delete(key))
    }

    fn delete_many(&self, keys: &[Key], each: &mut EachDelete<'_>) {
        let operation = Operation::Delete;
        let mut batch = Batch::new(&self.policy, keys, |key| Request { operation, key, sent: 0 });
        while let Some(part) = batch.next(|number, error| each(number, Err(error))) {
            self.inner.delete_many(&part, &mut |at, deleted| {
                let after = batch.after(at, deleted.as_ref().map(|()| 0));
                batch.settle(at, after.and(deleted), &mut *each);
            });
        }
    }

    fn sweep_stale(&self) -> Result<usize, StorageError> {
        self.inner.sweep_stale()
    }

    fn hints(&self) -> Hints {
        self.inner.hints()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
