//! Rebuilds of the index do what prunes may, and nothing else: as they really run.

use std::sync::Arc;

use restow::ops::{RebuildOptions, RebuildReport, rebuild_index};
use restow::progress::{Cancel, Silent};
use restow::repo::WriteSession;
use restow::storage::{Key, Memory, Storage};

use super::accepts::accepts;
use super::events::{Act, Kind, ObjectEvent};
use super::real::{Recorder, names};
use crate::prune::{take, try_prune};
use crate::support::faulty::{Call, Failure, Faulty};
use crate::support::model::noise;
use crate::support::{memory_repository, open, small_chunks, try_open};

/// Three nights, one index object damaged and one lost.
fn damaged() -> Memory {
    let storage = memory_repository(&small_chunks());
    let night = |night| [(crate::support::model::path("a"), noise(90_000, night))].into();
    for number in 0..3 {
        take(&storage, &night(number));
    }
    let index =
        |number: usize| Key::new(format!("index/{}", names(&storage, "index")[number])).unwrap();
    storage.put(&index(0), b"rotten").unwrap();
    storage.delete(&index(1)).unwrap();
    storage
}

fn recorded(storage: &Memory, all: bool) -> (RebuildReport, Vec<ObjectEvent>) {
    let recorder = Recorder::default();
    let repository = open(recorder.record(storage, |_, _| {}));
    let options = RebuildOptions { all, ..RebuildOptions::default() };
    let report = rebuild_index(&repository, &options, &Silent, &Cancel::new()).unwrap();
    let traces = recorder.traces(&open(storage.clone()));
    assert_eq!(traces.len(), 1);
    let trace = traces.into_iter().next().unwrap();
    assert_eq!(accepts(&trace), Ok(()));
    (report, trace)
}

fn count(trace: &[ObjectEvent], act: Act, kind: Kind) -> usize {
    trace.iter().filter(|event| (event.act, event.kind) == (act, kind)).count()
}

#[test]
fn a_rebuild_follows_the_protocol() {
    for all in [false, true] {
        let (report, trace) = recorded(&damaged(), all);
        assert!(report.objects_removed > 0, "{report:?}");
        assert_eq!(count(&trace, Act::Put, Kind::Index) as u64, report.objects_put);
        assert_eq!(count(&trace, Act::Delete, Kind::Index) as u64, report.objects_removed);
        for kind in [Kind::Pack, Kind::Condemned, Kind::Manifest] {
            assert_eq!(count(&trace, Act::Put, kind) + count(&trace, Act::Delete, kind), 0);
        }
    }
}

/// Where packs are condemned it lists none of them: `accepts` would refuse that.
#[test]
fn a_rebuild_beside_what_is_condemned_follows_the_protocol() {
    let storage = damaged();
    // One index object lists the first three nights, another the fourth.
    recorded(&storage, true);
    take(&storage, &[(crate::support::model::path("a"), noise(90_000, 9))].into());
    let repository = open(storage.clone());
    let (snapshots, _) = repository.snapshots().unwrap();
    repository.delete_snapshot(&snapshots[0].id).unwrap();
    let session = WriteSession::begin(&repository, false).unwrap();
    assert_eq!(try_prune(&open(storage.clone())).unwrap().waits_for.len(), 1);
    // One is lost, and that cannot be seen from the other.
    let condemned = repository.condemned().unwrap();
    for id in repository.index_objects().unwrap() {
        let packs = repository.index_object(&id).unwrap().packs;
        if packs.iter().any(|pack| condemned.contains(&pack.id)) {
            repository.delete_index_object(&id).unwrap();
        }
    }
    let (report, _) = recorded(&storage, false);
    assert!(report.condemned.count > 0 && report.listed.count > 0, "{report:?}");
    session.abandon();
}

#[test]
fn rebuilds_that_meet_faults_follow_the_protocol() {
    let run = |at: Option<u64>, failure, all| {
        let storage = damaged();
        let recorder = Recorder::default();
        let listened = recorder.record(&storage, |_, _| {});
        let faulty = match at {
            Some(at) => Faulty::failing(listened, at, failure),
            None => Faulty::counting(listened),
        };
        let faulty = Arc::new(faulty.only(&[Call::Put, Call::Delete, Call::List]));
        let opened = try_open(Arc::clone(&faulty) as Arc<dyn Storage>);
        let options = RebuildOptions { all, ..RebuildOptions::default() };
        let done = opened.is_ok_and(|repository| {
            rebuild_index(&repository, &options, &Silent, &Cancel::new()).is_ok()
        });
        (done, recorder.traces(&open(storage)), faulty.calls())
    };
    for all in [false, true] {
        let (done, _, calls) = run(None, Failure::Refused, all);
        assert!(done && calls > 10, "{calls}");
        for failure in
            [Failure::Refused, Failure::Unanswered, Failure::CrashBefore, Failure::CrashAfter]
        {
            for at in 0..calls {
                let (_, traces, _) = run(Some(at), failure, all);
                for trace in traces {
                    assert_eq!(accepts(&trace), Ok(()), "{failure:?} at {at} of {calls}");
                }
            }
        }
    }
}
