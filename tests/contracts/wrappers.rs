//! Wrappers keep the contract of what they wrap, and do what they are for.

use std::collections::HashSet;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use restow::fault::ErrorKind;
use restow::progress::Cancel;
use restow::storage::wrap::{Counts, Limit, Requests, Retry, RetryPolicy, Wrapped};
use restow::storage::{
    ByteRange, Cause, Key, Listed, Memory, Operation, Storage, StorageError, StorageOptions,
};
use restow::timing::Backoff;

use super::storage::{keeps_the_contract, key};
use crate::support::clock::ManualClock;

/// Fails each operation on each key once, and does it the next time. Every second failure is one of an operation that
/// was done, but not answered.
struct Flaky {
    inner: Memory,
    cause: Cause,
    failed: Mutex<HashSet<(Operation, Key)>>,
}

impl Flaky {
    fn new(inner: Memory, cause: Cause) -> Self {
        Self { inner, cause, failed: Mutex::default() }
    }

    fn pass<T>(
        &self,
        operation: Operation,
        key: &Key,
        act: impl FnOnce() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let (is_first, number) = {
            let mut failed = self.failed.lock().unwrap();
            (failed.insert((operation, key.clone())), failed.len())
        };
        if !is_first {
            // It may fail again when it is asked for again.
            let result = act();
            self.failed.lock().unwrap().remove(&(operation, key.clone()));
            return result;
        }
        if number % 2 == 0 {
            let _ = act();
        }
        let (path, message) = (key.to_string(), "flaky".to_owned());
        Err(StorageError::Failed { operation, path, cause: self.cause, message })
    }
}

impl Storage for Flaky {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), StorageError> {
        self.pass(Operation::Put, key, || self.inner.put(key, bytes))
    }

    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, StorageError> {
        self.pass(Operation::Get, key, || self.inner.get(key, limit))
    }

    fn get_range(&self, k: &Key, at: u64, len: usize, b: &mut Vec<u8>) -> Result<(), StorageError> {
        self.pass(Operation::Get, k, || self.inner.get_range(k, at, len, b))
    }

    fn stat(&self, key: &Key) -> Result<Listed, StorageError> {
        self.pass(Operation::Stat, key, || self.inner.stat(key))
    }

    fn list(&self, prefix: &Key, each: &mut dyn FnMut(Listed)) -> Result<(), StorageError> {
        self.pass(Operation::List, prefix, || self.inner.list(prefix, each))
    }

    fn delete(&self, key: &Key) -> Result<(), StorageError> {
        self.pass(Operation::Delete, key, || self.inner.delete(key))
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn policy(budget: Duration) -> RetryPolicy {
    RetryPolicy { backoff: Backoff { first: SECOND, max: 8 * SECOND }, budget }
}

fn retrying(inner: impl Storage + 'static, clock: &Arc<ManualClock>) -> Wrapped<Retry> {
    let policy = policy(Duration::from_secs(1 << 40));
    let retry = Retry::with_clock(policy, Cancel::new(), Arc::clone(clock) as _);
    Wrapped::new(Arc::new(inner), retry)
}

#[test]
fn retry_hides_failures_that_pass() {
    let causes = [Cause::Unreachable, Cause::Temporary, Cause::Throttled { after: None }];
    for cause in causes {
        let (memory, clock) = (Memory::new(), Arc::new(ManualClock::new()));
        // Several threads use one handle: an operation may fail more than once in a row.
        let handle = || retrying(Flaky::new(memory.clone(), cause), &clock);
        keeps_the_contract(&handle(), &handle());
        assert!(clock.waited() > 100 * SECOND / 2, "{:?}", clock.waited());
    }
}

#[test]
fn counting_limiting_and_all_together_keep_the_contract() {
    let memory = || Arc::new(Memory::new());
    let counted = Wrapped::new(memory(), Counts::default());
    keeps_the_contract(&counted, &counted);

    let (clock, rate) = (Arc::new(ManualClock::new()), NonZeroU64::new(1000));
    let limit = Limit::with_clock(rate, rate, Cancel::new(), clock);
    let limited = Wrapped::new(memory(), limit);
    keeps_the_contract(&limited, &limited);

    let counted = Wrapped::new(memory(), Counts::default());
    let stacked = retrying(counted, &Arc::new(ManualClock::new()));
    keeps_the_contract(&stacked, &stacked);
}

/// Fails everything in the same way.
struct Broken(fn() -> StorageError);

impl Storage for Broken {
    fn put(&self, _: &Key, _: &[u8]) -> Result<(), StorageError> {
        Err(self.0())
    }

    fn get(&self, _: &Key, _: u64) -> Result<Vec<u8>, StorageError> {
        Err(self.0())
    }

    fn get_range(&self, _: &Key, _: u64, _: usize, _: &mut Vec<u8>) -> Result<(), StorageError> {
        Err(self.0())
    }

    fn stat(&self, _: &Key) -> Result<Listed, StorageError> {
        Err(self.0())
    }

    fn list(&self, _: &Key, _: &mut dyn FnMut(Listed)) -> Result<(), StorageError> {
        Err(self.0())
    }

    fn delete(&self, _: &Key) -> Result<(), StorageError> {
        Err(self.0())
    }

    fn describe(&self) -> String {
        "broken".into()
    }
}

fn failed(cause: Cause) -> StorageError {
    let (path, message) = ("broken".to_owned(), "always".to_owned());
    StorageError::Failed { operation: Operation::Get, path, cause, message }
}

#[test]
fn what_stays_is_not_repeated() {
    let refused = || failed(Cause::Refused);
    let skewed = || failed(Cause::ClockSkew);
    let permanent = || failed(Cause::Permanent);
    let missing = || StorageError::Missing { place: "broken".into(), key: key("a") };
    for error in [refused as fn() -> StorageError, skewed, permanent, missing] {
        let clock = Arc::new(ManualClock::new());
        let storage = retrying(Broken(error), &clock);
        storage.get(&key("a"), 1).unwrap_err();
        storage.delete_many(&[key("a"), key("b")], &mut |_, deleted| drop(deleted.unwrap_err()));
        assert_eq!(clock.waited(), Duration::ZERO, "{}", error());
    }
}

#[test]
fn patience_ends() {
    let unreachable = || failed(Cause::Unreachable);
    let clock = Arc::new(ManualClock::new());
    let with = |cancel: &Cancel, error: fn() -> StorageError| {
        let retry = Retry::with_clock(policy(60 * SECOND), cancel.clone(), Arc::clone(&clock) as _);
        Wrapped::new(Arc::new(Broken(error)), retry)
    };
    let cancel = Cancel::new();
    let storage = with(&cancel, unreachable);
    assert_eq!(storage.get(&key("a"), 1).unwrap_err().kind(), ErrorKind::Unreachable);
    let waited = clock.waited();
    assert!((50 * SECOND..=60 * SECOND).contains(&waited), "{waited:?}");
    // A batch has one budget, and every item its result.
    let ranges: Vec<_> =
        ["a", "b", "c"].map(|name| ByteRange { key: key(name), offset: 0, len: 1 }).into();
    let mut told = Vec::new();
    storage.get_ranges(&ranges, &mut Vec::new(), &mut |number, read| {
        assert_eq!(read.unwrap_err().cause(), Some(Cause::Unreachable));
        told.push(number);
    });
    assert_eq!(told, [0, 1, 2]);
    assert!(clock.waited() <= waited + 60 * SECOND);
    // Who is told to come back in an hour gives up at once.
    let waited = clock.waited();
    let throttled = || failed(Cause::Throttled { after: Some(3600 * SECOND) });
    with(&cancel, throttled).put(&key("a"), b"").unwrap_err();
    assert_eq!(clock.waited(), waited);
    // And who is told to stop, stops.
    cancel.cancel();
    let error = storage.stat(&key("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(clock.waited(), waited);
}

#[test]
fn retry_after_is_kept_to() {
    let clock = Arc::new(ManualClock::new());
    let cause = Cause::Throttled { after: Some(100 * SECOND) };
    let storage = retrying(Flaky::new(Memory::new(), cause), &clock);
    storage.put(&key("a"), b"bytes").unwrap();
    assert_eq!(clock.waited(), 100 * SECOND);
}

#[test]
fn limits_keep_both_directions_apart() {
    let clock = Arc::new(ManualClock::new());
    let (up, down) = (NonZeroU64::new(100), NonZeroU64::new(1000));
    let limit = Limit::with_clock(up, down, Cancel::new(), Arc::clone(&clock) as _);
    let storage = Wrapped::new(Arc::new(Memory::new()), limit);
    storage.put(&key("a"), &[0; 500]).unwrap();
    assert_eq!(clock.waited(), 5 * SECOND);
    storage.get(&key("a"), 500).unwrap();
    assert_eq!(clock.waited(), 5 * SECOND + SECOND / 2);
    let range = ByteRange { key: key("a"), offset: 0, len: 250 };
    storage.get_ranges(&[range.clone(), range], &mut Vec::new(), &mut |_, read| {
        assert_eq!(read.unwrap().len(), 250);
    });
    assert_eq!(clock.waited(), 6 * SECOND);
    storage.list(&key("a"), &mut |_| {}).unwrap();
    storage.delete(&key("a")).unwrap();
    assert_eq!(clock.waited(), 6 * SECOND);
}

#[test]
fn requests_are_counted_by_class() {
    let counts = Counts::default();
    let storage = Wrapped::new(Arc::new(Memory::new()), counts.clone());
    storage.put(&key("a"), &[0; 500]).unwrap();
    storage.get(&key("a"), 500).unwrap();
    storage.get(&key("b"), 500).unwrap_err();
    let range = ByteRange { key: key("a"), offset: 0, len: 20 };
    storage.get_ranges(&[range.clone(), range], &mut Vec::new(), &mut |_, _| {});
    storage.list(&key("a"), &mut |_| {}).unwrap();
    storage.delete_many(&[key("a"), key("b"), key("c")], &mut |_, _| {});
    let expected = [
        (Operation::Put, Requests { count: 1, failed: 0, sent: 500, received: 0 }),
        (Operation::Get, Requests { count: 4, failed: 1, sent: 0, received: 540 }),
        (Operation::List, Requests { count: 1, ..Requests::default() }),
        (Operation::Delete, Requests { count: 3, ..Requests::default() }),
    ];
    assert_eq!(counts.get(), expected.into());
}

#[test]
fn only_what_is_asked_for_is_wrapped() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let mut options = StorageOptions::default();
    restow::storage::open(place, &options).unwrap().put(&key("a"), b"bytes").unwrap();
    let counts = Counts::default();
    options.counts = Some(counts.clone());
    options.retry = Some(RetryPolicy::default());
    let storage = restow::storage::open(&format!("file:{place}"), &options).unwrap();
    assert_eq!(storage.get(&key("a"), 10).unwrap(), b"bytes");
    assert_eq!(counts.get()[&Operation::Get].count, 1);
}
