//! Prunes as they really run are traces of the protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use restow::id::SnapshotId;
use restow::ops::{CompactOptions, OpError, PruneOptions, PruneReport, prune};
use restow::progress::{Cancel, Silent};
use restow::repo::{OpenOptions, Repository, WriteSession};
use restow::storage::{Key, Memory, Storage};

use super::accepts::accepts;
use super::events::{Act, BlockTold, Kind, ObjectEvent};
use super::faults::at_each_operation;
use super::real::{self, Recorder, restless};
use crate::deltas::edits::Table;
use crate::support::faulty::Call;
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{
    back_up, default_chunks, identity, memory_repository, open, passphrase, small_chunks,
};

fn take(storage: &Memory, files: &Files) -> SnapshotId {
    back_up(&open(storage.clone()), &[&MemorySource::new(files.clone())]).unwrap().id.unwrap()
}

/// Nights that share half of what they hold; all but the last are deleted.
fn wasteful() -> Memory {
    let storage = memory_repository(&small_chunks());
    let mut ids = Vec::new();
    for night in 0..3 {
        let files: Files =
            [(path("a"), noise(150_000, 1)), (path("b"), noise(400_000, 10 + night))].into();
        ids.push(take(&storage, &files));
    }
    let repository = open(storage.clone());
    ids.iter().take(2).for_each(|id| assert_eq!(repository.delete_snapshot(id).unwrap(), 0));
    storage
}

fn pruned(storage: impl Storage + 'static, options: &PruneOptions) -> Result<PruneReport, OpError> {
    let repository =
        Repository::open(Arc::new(storage), &passphrase(), identity(), OpenOptions::default())?;
    prune(&repository, options, &Silent, &Cancel::new())
}

/// What a prune did, each of its rounds held against the protocol.
fn recorded(
    storage: &Memory,
    before: impl Fn(Call, &Key) + Send + Sync + 'static,
) -> (Result<PruneReport, OpError>, Vec<Vec<ObjectEvent>>) {
    recorded_with(storage, &PruneOptions::default(), before)
}

fn recorded_with(
    storage: &Memory,
    options: &PruneOptions,
    before: impl Fn(Call, &Key) + Send + Sync + 'static,
) -> (Result<PruneReport, OpError>, Vec<Vec<ObjectEvent>>) {
    let recorder = Recorder::default();
    let result = pruned(recorder.record(storage, before), options);
    let traces = recorder.traces(&open(storage.clone()));
    for trace in &traces {
        assert_eq!(accepts(trace), Ok(()));
    }
    (result, traces)
}

fn count(traces: &[Vec<ObjectEvent>], act: Act, kind: Kind) -> usize {
    traces.iter().map(|trace| real::count(trace, act, kind)).sum()
}

#[test]
fn a_prune_that_is_alone_follows_the_protocol() {
    let storage = wasteful();
    let (report, traces) = recorded(&storage, |_, _| {});
    let report = report.unwrap();
    assert!(report.copied.blocks > 0 && traces.len() == 1, "{report:?}");
    assert_eq!(count(&traces, Act::Delete, Kind::Pack) as u64, report.deleted.count);
    assert_eq!(count(&traces, Act::Put, Kind::Condemned), 1);
    // Nothing to do is a trace, too.
    let (report, traces) = recorded(&storage, |_, _| {});
    assert!(report.unwrap().plan.unwrap().is_nothing());
    assert_eq!(count(&traces, Act::Put, Kind::Condemned), 0);
}

/// Nights of a table, of which the first and the last stay: chunks between them are kept only as bases, or not at all.
#[test]
fn a_compaction_of_chains_follows_the_protocol() {
    let storage = memory_repository(&default_chunks());
    let mut table = Table::new(20_000, 1);
    let mut ids = Vec::new();
    for night in 0..6 {
        ids.push(take(&storage, &[(path("table"), table.bytes())].into()));
        table.night(200, night);
    }
    let repository = open(storage.clone());
    ids[1..5].iter().for_each(|id| assert_eq!(repository.delete_snapshot(id).unwrap(), 0));
    let older_than = Duration::from_secs(7 * 86_400);
    storage.advance(older_than * 2);
    let compact = Some(CompactOptions::default().older_than(older_than).level(12));
    let options = PruneOptions::default().compact(compact);
    let beside = storage.clone();
    let begun = AtomicBool::new(false);
    let (report, traces) = recorded_with(&storage, &options, move |call, key| {
        let condemns = call == Call::Put && key.as_str().starts_with("condemned");
        if condemns && !begun.swap(true, Ordering::Relaxed) {
            // The third night once more: what is condemned is hit, and coded against.
            let mut table = Table::new(20_000, 1);
            (0..2).for_each(|night| table.night(200, night));
            table.night(100, 99);
            take(&beside, &[(path("table"), table.bytes())].into());
        }
    });
    let plan = report.unwrap().plan.unwrap();
    assert!(plan.compacted.count > 0 && plan.merged.count > 0, "{plan:?}");
    // Told otherwise, it is found out: deltas of step 3 that are deeper, or coded against what is nowhere.
    type Lie = fn(&mut BlockTold);
    let lies: [Lie; 2] = [|block| block.depth += 64, |block| block.bases = vec!["nowhere".into()]];
    for lie in lies {
        let mut trace = traces[0].clone();
        let put = trace.iter_mut().find(|event| (event.act, event.kind) == (Act::Put, Kind::Index));
        let contents = put.into_iter().flat_map(|event| &mut event.contents);
        let blocks = contents.flat_map(|(_, blocks)| blocks);
        let deltas: Vec<&mut BlockTold> = blocks.filter(|block| block.depth > 0).collect();
        assert!(deltas.len() > 2, "{} deltas were copied", deltas.len());
        deltas.into_iter().for_each(lie);
        assert_eq!(accepts(&trace).unwrap_err().event.kind, Kind::Condemned);
    }
}

#[test]
fn a_prune_that_waits_and_the_one_that_goes_on_follow_the_protocol() {
    let storage = wasteful();
    let writer = open(storage.clone());
    let session = WriteSession::begin(&writer, false).unwrap();
    for _ in 0..2 {
        let (report, traces) = recorded(&storage, |_, _| {});
        assert_eq!(report.unwrap().waits_for.len(), 1);
        assert_eq!(count(&traces, Act::Delete, Kind::Pack), 0);
    }
    session.abandon();
    let (report, traces) = recorded(&storage, |_, _| {});
    let report = report.unwrap();
    assert!(report.went_on && report.deleted.count > 0 && traces.len() == 2, "{report:?}");
}

/// Two prunes at once, and one that is taken for dead.
#[test]
fn prunes_in_each_others_way_follow_the_protocol() {
    let storage = wasteful();
    let there = storage.clone();
    let begun = std::sync::atomic::AtomicUsize::new(0);
    let (result, _) = recorded(&storage, move |call, key| {
        if call != Call::Put || !key.as_str().starts_with("condemned") {
            return;
        }
        if begun.fetch_add(1, Ordering::Relaxed) == 0 {
            let (second, _) = recorded(&there, |_, _| {});
            assert!(matches!(second, Err(OpError::PruneAtWork { .. })), "{second:?}");
            there.advance(std::time::Duration::from_secs(100_000));
            let (third, _) = recorded(&there, |_, _| {});
            let third = third.unwrap();
            assert_eq!(third.expired.len(), 1);
        }
    });
    result.unwrap_err();
    let (last, _) = recorded(&storage, |_, _| {});
    let last = last.unwrap();
    assert!(last.plan.is_some_and(|plan| plan.is_nothing()), "{last:?}");
}

#[test]
fn a_prune_beside_backups_follows_the_protocol_and_so_do_they() {
    let storage = wasteful();
    let there = storage.clone();
    let begun = AtomicBool::new(false);
    let (report, _) = recorded(&storage, move |call, key| {
        let condemns = call == Call::Put && key.as_str().starts_with("condemned");
        if condemns && !begun.swap(true, Ordering::Relaxed) {
            let recorder = Recorder::default();
            let listened = Arc::new(recorder.record(&there, |_, _| {}));
            let repository =
                Repository::open(listened, &passphrase(), restless(), OpenOptions::default());
            let files: Files = [(path("b"), noise(400_000, 10))].into();
            back_up(&repository.unwrap(), &[&MemorySource::new(files)]).unwrap();
            assert_eq!(accepts(&recorder.trace(&open(there.clone()))), Ok(()));
        }
    });
    assert!(report.unwrap().copied.blocks > 0, "what that backup counted on");
}

#[test]
fn prunes_that_meet_faults_follow_the_protocol() {
    let (whole, failing) = at_each_operation(wasteful, |repository| {
        prune(repository, &PruneOptions::default(), &Silent, &Cancel::new()).is_ok()
    });
    assert!(whole.calls > 20, "{}", whole.calls);
    let failed = failing.iter().filter(|run| !run.done).count();
    assert!(failed > 40, "{failed}");
}
