//! Runs that meet faults: whatever operation fails, what is done after it is what the protocol allows.

use std::sync::Arc;

use restow::repo::Repository;
use restow::storage::{Memory, Storage};

use super::accepts::accepts;
use super::events::ObjectEvent;
use super::real::Recorder;
use crate::support::faulty::{Call, Failure, Faulty};
use crate::support::try_open;

/// One run over a storage that is listened to.
pub struct Run {
    /// Where which fault was met.
    pub what: String,
    /// Whether it ended well.
    pub done: bool,
    /// Calls that change something or list.
    pub calls: u64,
    /// What each actor did.
    pub traces: Vec<Vec<ObjectEvent>>,
}

/// Those of which a storage may tell: half an object breaks its contract.
const FAILURES: [Failure; 4] =
    [Failure::Refused, Failure::Unanswered, Failure::CrashBefore, Failure::CrashAfter];

/// A run without a fault, and those with one at each operation, in each way. All are held against the protocol. Each begins
/// with a storage of its own.
pub fn at_each_operation(
    storage: impl Fn() -> Memory,
    run: impl Fn(&Repository) -> bool,
) -> (Run, Vec<Run>) {
    let whole = one(&storage(), None, &run);
    assert!(whole.done, "without a fault");
    let places =
        FAILURES.into_iter().flat_map(|failure| (0..whole.calls).map(move |at| (at, failure)));
    let failing = places.map(|place| one(&storage(), Some(place), &run)).collect();
    (whole, failing)
}

fn one(storage: &Memory, place: Option<(u64, Failure)>, run: &impl Fn(&Repository) -> bool) -> Run {
    let recorder = Recorder::default();
    let listened = recorder.record(storage, |_, _| {});
    let faulty = match place {
        Some((at, failure)) => Faulty::failing(listened, at, failure),
        None => Faulty::counting(listened),
    };
    let faulty = Arc::new(faulty.only(&[Call::Put, Call::Delete, Call::List]));
    let opened = try_open(Arc::clone(&faulty) as Arc<dyn Storage>);
    let done = opened.is_ok_and(|repository| run(&repository));
    let traces = recorder.traces(&crate::support::open(storage.clone()));
    let what = format!("{place:?}");
    for trace in &traces {
        assert_eq!(accepts(trace), Ok(()), "{what}");
    }
    Run { what, done, calls: faulty.calls(), traces }
}
