//! Rebuilds of the index do what prunes may, and nothing else: as they really run.

use std::collections::BTreeSet;

use restow::format::name;
use restow::id::ObjectId;
use restow::ops::{RebuildOptions, RebuildReport, rebuild_index};
use restow::progress::{Cancel, Silent};
use restow::repo::{Repository, WriteSession};
use restow::storage::{Key, Memory, Storage};

use super::accepts::accepts;
use super::events::{Act, Kind, ObjectEvent};
use super::faults::at_each_operation;
use super::real::{Recorder, count, names};
use crate::prune::{take, try_prune};
use crate::support::model::noise;
use crate::support::{memory_repository, open, small_chunks};

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
    let options = RebuildOptions::default().all(all);
    let report = rebuild_index(&repository, &options, &Silent, &Cancel::new()).unwrap();
    let traces = recorder.traces(&open(storage.clone()));
    assert_eq!(traces.len(), 1);
    let trace = traces.into_iter().next().unwrap();
    assert_eq!(accepts(&trace), Ok(()));
    (report, trace)
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

/// Four nights of which the first three are in one index object. One is deleted and its packs are condemned, while a
/// backup is at work; gives also the index object that lists them.
fn condemned_beside_a_writer<'r>(
    storage: &Memory,
    writer: &'r Repository,
) -> (WriteSession<'r>, ObjectId) {
    // One index object lists the first three nights, another the fourth.
    recorded(storage, true);
    take(storage, &[(crate::support::model::path("a"), noise(90_000, 9))].into());
    let (snapshots, _) = writer.snapshots().unwrap();
    writer.delete_snapshot(&snapshots[0].id).unwrap();
    let session = WriteSession::begin(writer, false).unwrap();
    assert_eq!(try_prune(&open(storage.clone())).unwrap().waits_for.len(), 1);
    let condemned = writer.condemned().unwrap();
    let lists_them = |id: &ObjectId| {
        let packs = writer.index_object(id).unwrap().packs;
        packs.iter().any(|pack| condemned.contains(&pack.id))
    };
    let objects = writer.index_objects().unwrap();
    let objects: Vec<_> = objects.into_iter().filter(lists_them).collect();
    assert_eq!(objects.len(), 1);
    (session, objects[0])
}

/// Packs that this trace puts in index objects.
fn listed(trace: &[ObjectEvent]) -> BTreeSet<String> {
    let puts = trace.iter().filter(|event| (event.act, event.kind) == (Act::Put, Kind::Index));
    puts.flat_map(|event| event.packs.iter().cloned()).collect()
}

fn condemned(storage: &Memory) -> BTreeSet<String> {
    let condemned = open(storage.clone()).condemned().unwrap();
    condemned.iter().map(|id| id.to_hex()).collect()
}

/// That one of two index objects is lost cannot be seen from the other: what is condemned is left, unless all are replaced.
#[test]
fn a_rebuild_beside_what_is_condemned_follows_the_protocol() {
    for writer_ends in [false, true] {
        let storage = damaged();
        let writer = open(storage.clone());
        let (session, lists_them) = condemned_beside_a_writer(&storage, &writer);
        writer.delete_index_object(&lists_them).unwrap();
        let session = match writer_ends {
            true => {
                session.abandon();
                None
            }
            false => Some(session),
        };
        let (report, trace) = recorded(&storage, false);
        assert!(report.condemned.count > 0 && report.listed.count > 0, "{report:?}");
        assert!(listed(&trace).is_disjoint(&condemned(&storage)));
        let (report, trace) = recorded(&storage, true);
        assert!(report.condemned.count == 0 && report.listed.count > 0, "{report:?}");
        assert!(listed(&trace).is_superset(&condemned(&storage)));
        session.into_iter().for_each(WriteSession::abandon);
    }
}

/// What is condemned is listed anew where an index object is damaged that may have listed it, and taken over where it is
/// listed.
#[test]
fn a_rebuild_that_lists_what_is_condemned_follows_the_protocol() {
    for (is_damaged, all, writer_ends) in [
        (true, false, false),
        (true, false, true),
        (true, true, false),
        (true, true, true),
        (false, true, false),
        (false, true, true),
    ] {
        let storage = damaged();
        let writer = open(storage.clone());
        let (session, lists_them) = condemned_beside_a_writer(&storage, &writer);
        if is_damaged {
            storage.put(&Key::new(name::index(&lists_them)).unwrap(), b"rotten").unwrap();
        }
        // It is older than any backup at work: the damaged one may go.
        session.abandon();
        let later = (!writer_ends).then(|| WriteSession::begin(&writer, false).unwrap());
        let (report, trace) = recorded(&storage, all);
        let what = format!("{is_damaged} {all} {writer_ends}: {report:?}");
        assert!(report.condemned.count == 0 && report.objects_removed > 0, "{what}");
        assert_eq!(report.listed.count > 0, is_damaged, "{what}");
        assert!(listed(&trace).is_superset(&condemned(&storage)), "{what}");
        later.into_iter().for_each(WriteSession::abandon);
    }
}

#[test]
fn rebuilds_that_meet_faults_follow_the_protocol() {
    for all in [false, true] {
        let options = RebuildOptions::default().all(all);
        let (whole, failing) = at_each_operation(damaged, |repository| {
            rebuild_index(repository, &options, &Silent, &Cancel::new()).is_ok()
        });
        assert!(whole.calls > 10, "{}", whole.calls);
        let failed = failing.iter().filter(|run| !run.done).count();
        assert!(failed > 20, "{failed}");
    }
}
