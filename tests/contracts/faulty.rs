//! The failing storage fails as it says: other tests rest on it.

use restow::storage::{Memory, Storage};

use super::storage::key;
use crate::support::faulty::{Call, Failure, Faulty};

#[test]
fn each_failure_leaves_what_it_says() {
    for failure in Failure::ALL {
        let storage = Faulty::failing(Memory::new(), 1, failure).only(&[Call::Put]);
        storage.put(&key("a"), b"first").unwrap();
        assert!(storage.get(&key("a"), 10).is_ok(), "gets are not counted");
        storage.put(&key("b"), b"second").unwrap_err();
        let held = storage.inner().get(&key("b"), 10).ok();
        let expected: Option<&[u8]> = match failure {
            Failure::Refused | Failure::CrashBefore => None,
            Failure::Unanswered | Failure::CrashAfter => Some(b"second"),
            Failure::Torn => Some(b"sec"),
        };
        assert_eq!(held.as_deref(), expected, "{failure:?}");
        let is_dead = !matches!(failure, Failure::Refused | Failure::Unanswered);
        assert_eq!(storage.put(&key("c"), b"third").is_err(), is_dead, "{failure:?}");
        assert_eq!(storage.list(&key("a"), &mut |_| {}).is_err(), is_dead, "{failure:?}");
        assert_eq!(storage.calls(), if is_dead { 2 } else { 3 });
    }
}

#[test]
fn every_call_can_fail() {
    let run = |storage: &Faulty<Memory>| -> Result<(), restow::storage::StorageError> {
        storage.put(&key("a"), b"a")?;
        storage.get(&key("a"), 1)?;
        storage.get_range(&key("a"), 0, 1, &mut Vec::new())?;
        storage.stat(&key("a"))?;
        storage.list(&key("a"), &mut |_| {})?;
        storage.delete(&key("a"))
    };
    let counting = Faulty::counting(Memory::new());
    run(&counting).unwrap();
    assert_eq!(counting.calls(), 6);
    for failure in Failure::ALL {
        for at in 0..counting.calls() {
            let storage = Faulty::failing(Memory::new(), at, failure);
            run(&storage).unwrap_err();
            assert_eq!(storage.calls(), at + 1);
        }
    }
}
