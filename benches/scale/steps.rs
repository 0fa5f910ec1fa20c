//! What is measured. Each step runs in a process of its own.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use restow::chunk::chunk_id;
use restow::id::ChunkId;
use restow::index::ChunkIndex;
use restow::ops::{
    CheckOptions, Period, Reach, RebuildOptions, RetentionOptions, RetentionPolicy, check,
    plan_prune, plan_retention, rebuild_index,
};
use restow::progress::{Cancel, Silent};
use restow::repo::{IndexState, Repository, WriteSession};
use restow::store::Known;

use super::home::Home;
use super::shape::{Shape, content};

/// What has to be so before a step begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Before {
    NoIndexCache,
    IndexCache,
    /// Nobody has read the manifests and notes since they were written.
    ColdSnapshots,
}

#[derive(Clone, Copy)]
pub enum Bound {
    None,
    /// Seconds, for all.
    Within(f64),
    /// So many a second, or more.
    Rate(f64),
}

pub struct Step {
    pub name: &'static str,
    pub unit: &'static str,
    pub before: Before,
    pub run: fn(&Home, &Shape) -> Done,
    pub bound: Bound,
    /// With more chunks than this it would take hours.
    pub chunks_max: u64,
}

/// How long what took. Opening the repository counts where it is what is measured.
pub struct Done {
    pub seconds: f64,
    pub count: u64,
}

const ALWAYS: u64 = u64::MAX;

#[rustfmt::skip]
pub const STEPS: &[Step] = &[
    Step { name: "open, no index cache", unit: "chunks", before: Before::NoIndexCache, run: open, bound: Bound::Rate(100_000.0), chunks_max: ALWAYS },
    Step { name: "open", unit: "chunks", before: Before::IndexCache, run: open, bound: Bound::None, chunks_max: ALWAYS },
    Step { name: "begin a backup", unit: "chunks", before: Before::IndexCache, run: begin, bound: Bound::None, chunks_max: ALWAYS },
    Step { name: "list, cold", unit: "snapshots", before: Before::ColdSnapshots, run: list, bound: Bound::None, chunks_max: ALWAYS },
    Step { name: "list", unit: "snapshots", before: Before::IndexCache, run: list, bound: Bound::Within(1.0), chunks_max: ALWAYS },
    Step { name: "look-ups that hit", unit: "chunks", before: Before::IndexCache, run: hits, bound: Bound::None, chunks_max: ALWAYS },
    Step { name: "look-ups that miss", unit: "chunks", before: Before::IndexCache, run: misses, bound: Bound::None, chunks_max: ALWAYS },
    Step { name: "hits followed to their bases", unit: "chunks", before: Before::IndexCache, run: known, bound: Bound::None, chunks_max: ALWAYS },
    Step { name: "cleanup, planned", unit: "snapshots", before: Before::IndexCache, run: plan, bound: Bound::None, chunks_max: ALWAYS },
    Step { name: "prune, planned", unit: "chunks", before: Before::IndexCache, run: mark, bound: Bound::Within(600.0), chunks_max: ALWAYS },
    Step { name: "index rebuild", unit: "chunks", before: Before::IndexCache, run: rebuild, bound: Bound::None, chunks_max: ALWAYS },
    Step { name: "cleanup with a budget, planned", unit: "chunks", before: Before::IndexCache, run: plan_budget, bound: Bound::None, chunks_max: 2_000_000 },
];

/// Every byte of a small repository made in the same way: what is measured is one.
pub const CHECK: Step = Step {
    name: "check",
    unit: "chunks",
    before: Before::NoIndexCache,
    run: check_all,
    bound: Bound::None,
    chunks_max: ALWAYS,
};

fn loaded(repository: &Repository) -> IndexState {
    let state = repository.load_index().unwrap();
    assert!(state.unreadable.is_empty(), "{:?}", state.unreadable);
    state
}

fn done(started: Instant, count: u64) -> Done {
    Done { seconds: started.elapsed().as_secs_f64(), count }
}

fn open(home: &Home, shape: &Shape) -> Done {
    let started = Instant::now();
    let state = loaded(&home.open());
    let done = done(started, shape.chunks());
    assert!(state.index.ingested().len() as u64 >= shape.snapshots);
    done
}

/// What a backup does before it reads anything, but for announcing itself.
fn begin(home: &Home, shape: &Shape) -> Done {
    let started = Instant::now();
    let repository = home.open();
    let session = WriteSession::begin(&repository, true).unwrap();
    let done = done(started, shape.chunks());
    session.abandon();
    done
}

fn list(home: &Home, shape: &Shape) -> Done {
    let started = Instant::now();
    let (snapshots, unreadable) = home.open().snapshots().unwrap();
    assert!(unreadable.is_empty(), "{unreadable:?}");
    assert_eq!(snapshots.len() as u64, shape.snapshots);
    assert!(snapshots.iter().any(|snapshot| snapshot.tags.contains(&"release".to_owned())));
    done(started, shape.snapshots)
}

const LOOK_UPS: u64 = 300_000;

/// Numbers all over the place, always the same ones.
fn scattered(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(|number| {
        let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
    })
}

fn ids(repository: &Repository, numbers: impl Iterator<Item = u64>) -> Vec<ChunkId> {
    let key = repository.vault().keys().chunk_id();
    numbers.map(|number| chunk_id(key, &content(number))).collect()
}

fn look_up(index: &dyn ChunkIndex, ids: &[ChunkId], copies: usize) -> Done {
    let started = Instant::now();
    let mut found = Vec::new();
    for id in ids {
        found.clear();
        index.look_up(id, &mut found).unwrap();
        assert_eq!(found.len(), copies);
    }
    done(started, ids.len() as u64)
}

fn hits(home: &Home, shape: &Shape) -> Done {
    let repository = home.open();
    let ids = ids(&repository, scattered(LOOK_UPS).map(|number| number % shape.chunks()));
    look_up(&*loaded(&repository).index, &ids, 1)
}

fn misses(home: &Home, shape: &Shape) -> Done {
    let repository = home.open();
    let ids = ids(&repository, scattered(LOOK_UPS).map(|number| number + shape.chunks()));
    look_up(&*loaded(&repository).index, &ids, 0)
}

/// The first of a folder's chunks and so on, as a backup would come by them whose parent its cache does not vouch for.
fn known(home: &Home, shape: &Shape) -> Done {
    const RUNS: u64 = 20;
    let repository = home.open();
    let state = loaded(&repository);
    let reader = repository.reader(&state);
    let packs: HashSet<_> = state.packs().into_iter().map(|pack| pack.id).collect();
    let known = Known::new(Arc::clone(&state.index), (packs, true), reader);
    let versions = scattered(RUNS).map(|number| number % shape.versions());
    let chunks = versions.flat_map(|version| shape.chunks_of(version).take(2_000));
    let ids = ids(&repository, chunks);
    let started = Instant::now();
    assert!(ids.iter().all(|id| known.is_stored(id).unwrap()));
    done(started, ids.len() as u64)
}

fn policy() -> RetentionPolicy {
    let periods = [
        (Period::Day, Reach::Count(30)),
        (Period::Week, Reach::Count(26)),
        (Period::Month, Reach::Count(60)),
        (Period::Year, Reach::Count(20)),
    ];
    RetentionPolicy { last: Some(10), periods: periods.into(), ..RetentionPolicy::nothing() }
}

fn plan(home: &Home, shape: &Shape) -> Done {
    planned(home, policy(), shape.snapshots)
}

fn plan_budget(home: &Home, shape: &Shape) -> Done {
    planned(home, RetentionPolicy { max_size: Some(1 << 20), ..policy() }, shape.chunks())
}

fn planned(home: &Home, policy: RetentionPolicy, count: u64) -> Done {
    let started = Instant::now();
    let options = RetentionOptions::default().policy(policy);
    let plan = plan_retention(&home.open(), &options, &Cancel::new()).unwrap();
    let done = done(started, count);
    assert!(plan.dropped().count() > 0);
    done
}

/// The mark, and what follows from it: that nothing goes.
fn mark(home: &Home, shape: &Shape) -> Done {
    let started = Instant::now();
    let plan = plan_prune(&home.open(), &[], &Silent, &Cancel::new()).unwrap();
    let done = done(started, shape.chunks());
    assert!(plan.is_nothing() && plan.waste == 0, "{plan:?}");
    assert_eq!(plan.snapshots, shape.snapshots);
    done
}

/// Every trailer, and the index objects that it would put: the repository stays as it is.
fn rebuild(home: &Home, shape: &Shape) -> Done {
    let started = Instant::now();
    let options = RebuildOptions::default().all(true).dry_run(true);
    let report = rebuild_index(&home.open(), &options, &Silent, &Cancel::new()).unwrap();
    let done = done(started, shape.chunks());
    assert!(report.is_whole() && report.corrected == 0, "{report:?}");
    assert_eq!(report.packs_read, report.packs);
    done
}

fn check_all(home: &Home, shape: &Shape) -> Done {
    let started = Instant::now();
    let options = CheckOptions::default().read_data(true);
    let report = check(&home.open(), &options, &Silent, &Cancel::new()).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.snapshots, report.unindexed_packs), (shape.snapshots, 0));
    assert!(report.chunks_read > shape.chunks());
    done(started, report.chunks_read)
}
