//! Writers at work at the same time, who store each other's chunks as deltas.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use restow::id::SnapshotId;
use restow::storage::Memory;

use crate::support::faulty::Call;
use crate::support::hooked::Hooked;
use crate::support::memory_source::MemorySource;
use crate::support::{back_up, default_chunks, memory_repository, open};

use super::edits::{Change, Edit, Table, apply, edits};
use super::property::repositories;
use super::{Chains, Series, assert_clean, assert_restores, chains, source, stream};

/// Where a writer waits to be let on: before it looks for its parent (by then it has read the index), before
/// its first pack, before its index object, before its commit.
const GATES: [(Call, &str); 4] = [
    (Call::List, "snapshots"),
    (Call::Put, "packs"),
    (Call::Put, "index"),
    (Call::Put, "snapshots"),
];

fn gated(inner: Memory, arrives: Sender<()>, opens: Receiver<()>) -> Hooked {
    let gates = Mutex::new((opens, BTreeSet::new()));
    Hooked::before(inner, move |call, key| {
        let folder = key.as_str().split('/').next().unwrap_or_default();
        let Some(gate) = GATES.iter().position(|gate| *gate == (call, folder)) else {
            return Ok(());
        };
        let (opens, passed) = &mut *gates.lock().unwrap();
        if passed.insert(gate) {
            arrives.send(()).unwrap();
            opens.recv().unwrap();
        }
        Ok(())
    })
}

/// Backs up all at once, each through a handle and an index of its own; `turns` says who goes on next.
pub fn at_once(
    storage: &Memory,
    sources: Vec<MemorySource>,
    turns: &mut impl Iterator<Item = usize>,
) -> Vec<SnapshotId> {
    std::thread::scope(|scope| {
        let (mut waiting, mut backups) = (Vec::new(), Vec::new());
        for source in sources {
            let (arrives, arrived) = channel();
            let (open_gate, opens) = channel();
            let storage = storage.clone();
            backups.push(scope.spawn(move || {
                opens.recv().unwrap();
                let repository = open(gated(storage, arrives, opens));
                back_up(&repository, &[&source]).unwrap().id.unwrap()
            }));
            waiting.push((open_gate, arrived));
        }
        while !waiting.is_empty() {
            let turn = turns.next().unwrap_or(0) % waiting.len();
            let (open_gate, arrived) = &waiting[turn];
            // One that hung up is through, well or not.
            if open_gate.send(()).is_err() || arrived.recv().is_err() {
                drop(waiting.remove(turn));
            }
        }
        backups.into_iter().map(|backup| backup.join().unwrap()).collect()
    })
}

#[test]
fn any_schedule_of_writers_leaves_no_cycle_and_nothing_too_deep() {
    let first = (10usize..3000, any::<u64>()).prop_map(|(rows, seed)| Table::new(rows, seed));
    let scatter = (400usize..5000, any::<u64>())
        .prop_map(|(every, seed)| -> Edit { (0, Change::Scatter { every, seed }) });
    let versions = (first, prop::collection::vec((scatter, edits(3)), 4));
    // Which of two sources is backed up, and which version of the stream it has.
    let round = prop::collection::vec((0usize..2, 0usize..5), 2..4);
    let rounds = prop::collection::vec(round, 2..5);
    let turns = prop::collection::vec(any::<usize>(), 60);
    let all = Cell::new(Chains::default());
    let config = ProptestConfig { cases: 48, source_file: Some(file!()), ..Default::default() };
    TestRunner::new(config)
        .run(&(repositories(), versions, rounds, turns), |case| {
            let (options, (first, scripts), rounds, turns) = case;
            let mut versions = vec![stream(first.bytes())];
            for (scatter, script) in &scripts {
                let mut next = versions[versions.len() - 1].clone();
                apply(&mut next, scatter);
                script.iter().for_each(|edit| apply(&mut next, edit));
                versions.push(next);
            }
            let storage = memory_repository(&options);
            let mut series = Series::new();
            let mut turns = turns.into_iter();
            for round in &rounds {
                let files = round.iter().map(|(_, version)| versions[*version].clone());
                let names = round.iter().map(|(name, _)| ["here", "there"][*name]);
                let sources = names.zip(files.clone()).map(|(name, it)| source(name, &it));
                series.extend(files.zip(at_once(&storage, sources.collect(), &mut turns)));
            }
            let repository = open(storage);
            let found = chains(&repository, options.delta_depth);
            all.set(all.get().and(found));
            assert_restores(&repository, &series);
            assert_clean(&repository);
            Ok(())
        })
        .unwrap();
    // How deep chance goes is nothing to rely on: see the schedule below.
    assert!(all.get().deltas > 0);
}

#[test]
fn writers_in_turns_build_on_each_others_deltas_up_to_the_limit() {
    let options = default_chunks().delta_depth(3);
    let storage = memory_repository(&options);
    let mut table = Table::new(3000, 7);
    let mut series = Series::new();
    for night in 0..6 {
        let files = stream(table.bytes());
        // One is through before the other looks for its parent.
        let sources = vec![source("here", &files), source("there", &files)];
        let turns = [0, 0, 1, 1, 0, 0, 0, 1].map(|turn| turn + night % 2);
        let ids = at_once(&storage, sources, &mut turns.into_iter());
        series.extend([files.clone(), files].into_iter().zip(ids));
        table.night(40, night as u64);
    }
    let repository = open(storage);
    let Chains { deltas, deepest } = chains(&repository, options.delta_depth);
    assert_eq!(deepest, options.delta_depth, "of {deltas} deltas");
    assert_restores(&repository, &series);
    assert_clean(&repository);
}
