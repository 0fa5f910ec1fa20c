//! A storage that tells of its calls, and lets who hears of them refuse one.

use restow::storage::{Key, Listed, Memory, Storage, StorageError};

use super::faulty::Call;

type Hook = dyn Fn(Call, &Key) -> Result<(), StorageError> + Send + Sync;

/// Passes everything on to `inner`; `before` and `after` hear of each call.
pub struct Hooked {
    pub inner: Memory,
    before: Box<Hook>,
    after: Box<Hook>,
}

impl Hooked {
    pub fn before(
        inner: Memory,
        hook: impl Fn(Call, &Key) -> Result<(), StorageError> + Send + Sync + 'static,
    ) -> Self {
        Self { inner, before: Box::new(hook), after: Box::new(|_, _| Ok(())) }
    }

    pub fn after(
        inner: Memory,
        hook: impl Fn(Call, &Key) -> Result<(), StorageError> + Send + Sync + 'static,
    ) -> Self {
        Self { inner, before: Box::new(|_, _| Ok(())), after: Box::new(hook) }
    }

    pub fn around(
        inner: Memory,
        before: impl Fn(Call, &Key) -> Result<(), StorageError> + Send + Sync + 'static,
        after: impl Fn(Call, &Key) -> Result<(), StorageError> + Send + Sync + 'static,
    ) -> Self {
        Self { inner, before: Box::new(before), after: Box::new(after) }
    }

    fn pass<T>(
        &self,
        call: Call,
        key: &Key,
        act: impl FnOnce() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        (self.before)(call, key)?;
        let done = act()?;
        (self.after)(call, key)?;
        Ok(done)
    }
}

impl Storage for Hooked {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), StorageError> {
        self.pass(Call::Put, key, || self.inner.put(key, bytes))
    }

    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, StorageError> {
        self.pass(Call::Get, key, || self.inner.get(key, limit))
    }

    fn get_range(&self, k: &Key, at: u64, len: usize, b: &mut Vec<u8>) -> Result<(), StorageError> {
        self.pass(Call::GetRange, k, || self.inner.get_range(k, at, len, b))
    }

    fn stat(&self, key: &Key) -> Result<Listed, StorageError> {
        self.pass(Call::Stat, key, || self.inner.stat(key))
    }

    fn list(&self, prefix: &Key, each: &mut dyn FnMut(Listed)) -> Result<(), StorageError> {
        self.pass(Call::List, prefix, || self.inner.list(prefix, each))
    }

    fn delete(&self, key: &Key) -> Result<(), StorageError> {
        self.pass(Call::Delete, key, || self.inner.delete(key))
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
