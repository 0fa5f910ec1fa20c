use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use restow::id::SnapshotId;

use super::compacts::compact;
use super::{assert_tidy, assert_whole, listed, prune_alone};
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, apply, edits, files};
use crate::support::{
    back_up, default_chunks, memory_repository, open, open_with_cache, small_chunks,
};

#[derive(Debug, Clone)]
enum Act {
    BackUp(Vec<crate::support::model::Edit>),
    Delete(usize),
    Prune,
    Compact,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => edits().prop_map(Act::BackUp),
        3 => any::<usize>().prop_map(Act::Delete),
        2 => Just(Act::Prune),
        2 => Just(Act::Compact),
    ];
    prop::collection::vec(act, 1..14)
}

fn run(first: Files, acts: &[Act], tiny: bool, cache: &Path) {
    let storage = memory_repository(&if tiny { small_chunks() } else { default_chunks() });
    let mut current = first;
    let mut there: Vec<(SnapshotId, Files)> = Vec::new();
    for (number, act) in acts.iter().chain(&[Act::Prune]).enumerate() {
        // One host keeps a cache, the other never did: neither may be misled.
        let repository = match number % 2 {
            0 => open_with_cache(&storage, cache),
            _ => open(storage.clone()),
        };
        match act {
            Act::BackUp(script) => {
                script.iter().for_each(|edit| apply(&mut current, edit));
                let source = MemorySource::new(current.clone());
                let id = back_up(&repository, &[&source]).unwrap().id.unwrap();
                there.push((id, current.clone()));
            }
            Act::Delete(_) if there.is_empty() => {}
            Act::Delete(which) => {
                let (id, _) = there.remove(which % there.len());
                repository.delete_snapshot(&id).unwrap();
            }
            Act::Compact if there.is_empty() => {}
            Act::Compact => {
                storage.advance(Duration::from_secs(14 * 86_400));
                compact(&storage, 6);
                assert_tidy(&storage, "compacted");
                let (chunks, _) = listed(&repository);
                assert!(chunks.values().all(|copies| *copies == 1), "compacted twice");
            }
            Act::Prune => {
                prune_alone(&repository);
                assert_tidy(&storage, "pruned");
                let second = prune_alone(&repository);
                assert!(second.plan.is_some_and(|plan| plan.is_nothing()), "{second:?}");
                let (chunks, _) = listed(&repository);
                assert!(chunks.values().all(|copies| *copies == 1), "copied twice");
            }
        }
    }
    assert_whole(&storage, &there, "in the end");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Backups, deletions, prunes and compactions in any order: what was not deleted comes back, and each prune leaves nothing to
    /// the next.
    #[test]
    fn any_order_of_backups_deletions_and_prunes(
        first in files(),
        acts in acts(),
        tiny in any::<bool>(),
    ) {
        let cache = tempfile::tempdir().unwrap();
        run(first, &acts, tiny, cache.path());
    }
}
