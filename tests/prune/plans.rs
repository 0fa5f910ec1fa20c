//! What a dry run says is what a prune does, also where it meets others or goes on with their work.

use std::sync::Arc;

use restow::format::name;
use restow::ops::{PruneOptions, PrunePlan, prune};
use restow::progress::{Cancel, Silent};
use restow::repo::{Identity, OpenOptions, Repository, WriteSession};
use restow::storage::Memory;

use super::waits::{one, puts};
use super::{assert_whole, delete, pack_bytes, prune_alone, take, try_prune};
use crate::support::memory_source::MemorySource;
use crate::support::model::{noise, path};
use crate::support::{
    back_up, default_chunks, identity, memory_repository, open, open_interrupted, passphrase,
    small_chunks,
};

fn planned(storage: &Memory) -> PrunePlan {
    let options = PruneOptions::default().dry_run(true);
    prune(&open(storage.clone()), &options, &Silent, &Cancel::new()).unwrap().plan.unwrap()
}

/// Condemned packs were counted twice, as such and as packs that nobody needs; and not at all in what is freed.
#[test]
fn what_is_condemned_is_counted_once() {
    let storage = memory_repository(&default_chunks());
    let old = take(&storage, &one(1_800_000, 1));
    let there = storage.clone();
    let repository = open_interrupted(&storage, puts(name::PACKS), move || {
        let repository = open(there.clone());
        delete(&repository, [old]);
        assert_eq!(try_prune(&repository).unwrap().waits_for.len(), 1);
    });
    // A third of what is condemned is needed again.
    let mut files = one(600_000, 1);
    files.insert(path("b"), noise(500_000, 2));
    let report = back_up(&repository, &[&MemorySource::new(files.clone())]).unwrap();
    let waste = take(&storage, &one(800_000, 3));
    delete(&open(storage.clone()), [waste]);

    let plan = planned(&storage);
    assert!(plan.condemned.count > 0 && plan.dead.count > 0, "{plan:?}");
    assert!((800_000..1_500_000).contains(&plan.dead.bytes), "{plan:?}");
    assert!(plan.rewritten > 300_000, "{plan:?}");
    let before = pack_bytes(&storage);
    let done = prune_alone(&open(storage.clone()));
    assert!(done.went_on && done.copied.blocks > 0, "{done:?}");
    let freed = before - pack_bytes(&storage);
    assert!(plan.freed().abs_diff(freed) <= freed / 20, "{} said, {freed} freed", plan.freed());
    assert_whole(&storage, &[(report.id.unwrap(), files)], "what was needed again");
    assert!(planned(&storage).is_nothing());
}

/// A dry run took what was stored since a killed backup began for too young to go.
#[test]
fn who_would_be_taken_for_dead_keeps_nothing() {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let process = child.id();
    child.wait().unwrap();
    let gone = Identity { process, process_start: 1, ..identity() };
    for (who, is_dead) in [(gone, true), (identity(), false)] {
        let storage = memory_repository(&small_chunks());
        let (there, options) = (Arc::new(storage.clone()), OpenOptions::default());
        let repository = Repository::open(there, &passphrase(), who, options).unwrap();
        std::mem::forget(WriteSession::begin(&repository, false).unwrap());
        storage.advance(std::time::Duration::from_secs(1));
        let kept = take(&storage, &one(50_000, 2));
        let dropped = take(&storage, &one(60_000, 1));
        delete(&open(storage.clone()), [dropped]);
        let plan = planned(&storage);
        assert_eq!((plan.dead.count > 0, plan.young.count == 0), (is_dead, is_dead), "{plan:?}");
        let before = pack_bytes(&storage);
        let report = try_prune(&open(storage.clone())).unwrap();
        assert_eq!(report.expired.len(), usize::from(is_dead));
        let freed = before - pack_bytes(&storage);
        assert!(plan.freed().abs_diff(freed) <= 20_000, "{} said, {freed} freed", plan.freed());
        assert_eq!(freed > 0, is_dead);
        assert_whole(&storage, &[(kept, one(50_000, 2))], "kept");
    }
}
