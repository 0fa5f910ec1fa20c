//! A storage that fails at the n-th operation, in every way a real one may.

use std::io;
use std::sync::{Mutex, PoisonError};

use restow::storage::{Key, Listed, Operation, Storage, StorageError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Put,
    Get,
    GetRange,
    Stat,
    List,
    Delete,
}

impl Call {
    pub const ALL: &'static [Self] =
        &[Self::Put, Self::Get, Self::GetRange, Self::Stat, Self::List, Self::Delete];

    fn operation(self) -> Operation {
        match self {
            Self::Put => Operation::Put,
            Self::Get | Self::GetRange => Operation::Get,
            Self::Stat => Operation::Stat,
            Self::List => Operation::List,
            Self::Delete => Operation::Delete,
        }
    }
}

/// What happens at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// An error, and nothing was done.
    Refused,
    /// An error, though it was done: the answer got lost.
    Unanswered,
    /// A put leaves half of the object, and the storage is dead from then on. That breaks the contract, as
    /// real storages do. Other calls are as with [`Failure::CrashBefore`].
    Torn,
    /// The storage is dead from this call on, which is not done.
    CrashBefore,
    /// The storage is dead after this call, which is done but not answered.
    CrashAfter,
}

impl Failure {
    pub const ALL: [Self; 5] =
        [Self::Refused, Self::Unanswered, Self::Torn, Self::CrashBefore, Self::CrashAfter];

    fn kills(self) -> bool {
        matches!(self, Self::Torn | Self::CrashBefore | Self::CrashAfter)
    }
}

/// Passes everything on to `inner` until the chosen call.
pub struct Faulty<S> {
    inner: S,
    counted: &'static [Call],
    plan: Option<(u64, Failure)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: u64,
    is_dead: bool,
}

impl<S: Storage> Faulty<S> {
    /// Fails nothing, counts all calls.
    pub fn counting(inner: S) -> Self {
        Self { inner, counted: Call::ALL, plan: None, state: Mutex::default() }
    }

    /// Fails at the counted call number `at`, the first being 0.
    pub fn failing(inner: S, at: u64, failure: Failure) -> Self {
        Self { plan: Some((at, failure)), ..Self::counting(inner) }
    }

    /// Counts only these calls.
    pub fn only(self, counted: &'static [Call]) -> Self {
        Self { counted, ..self }
    }

    /// How many counted calls there were.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// What survives the crash.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, and says how it is to fail.
    fn failure(&self, call: Call, key: &Key) -> Result<Option<Failure>, StorageError> {
        let mut state = self.state();
        if state.is_dead {
            return Err(injected(call, key, "the storage is dead"));
        }
        if !self.counted.contains(&call) {
            return Ok(None);
        }
        let number = state.calls;
        state.calls += 1;
        let failure = self.plan.filter(|(at, _)| *at == number).map(|(_, failure)| failure);
        state.is_dead = failure.is_some_and(Failure::kills);
        Ok(failure)
    }

    fn pass<T>(
        &self,
        call: Call,
        key: &Key,
        act: impl FnOnce() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let failure = self.failure(call, key)?;
        match failure {
            None => return act(),
            Some(Failure::Unanswered | Failure::CrashAfter) => drop(act()?),
            Some(Failure::Refused | Failure::Torn | Failure::CrashBefore) => {}
        }
        Err(injected(call, key, "injected failure"))
    }
}

pub fn injected(call: Call, key: &Key, message: &str) -> StorageError {
    StorageError::Io {
        operation: call.operation(),
        path: key.to_string(),
        source: io::Error::other(message),
    }
}

impl<S: Storage> Storage for Faulty<S> {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), StorageError> {
        let failure = self.failure(Call::Put, key)?;
        match failure {
            None => return self.inner.put(key, bytes),
            Some(Failure::Unanswered | Failure::CrashAfter) => self.inner.put(key, bytes)?,
            Some(Failure::Torn) => self.inner.put(key, &bytes[..bytes.len() / 2])?,
            Some(Failure::Refused | Failure::CrashBefore) => {}
        }
        Err(injected(Call::Put, key, "injected failure"))
    }

    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, StorageError> {
        self.pass(Call::Get, key, || self.inner.get(key, limit))
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        len: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        self.pass(Call::GetRange, key, || self.inner.get_range(key, offset, len, buffer))
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
