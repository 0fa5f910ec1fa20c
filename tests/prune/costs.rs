//! What only one snapshot, or only one entry, needs.

use restow::ops::{costs, entry_costs, plan_prune};
use restow::progress::{Cancel, Silent};

use super::{delete, prune_alone, take};
use crate::support::model::{Files, noise, path};
use crate::support::{default_chunks, memory_repository, open};

/// Three nights with something in common, something that two share, and something of their own.
#[test]
fn what_is_needed_alone_is_what_a_deletion_frees() {
    let storage = memory_repository(&default_chunks());
    let common: Files = [(path("common"), noise(1_000_000, 1))].into();
    let mut nights = Vec::new();
    for (own, pair) in [(2u64, true), (3, true), (4, false)] {
        let mut files = common.clone();
        files.insert(path("own"), noise(200_000 * own as usize, own));
        // The same bytes under two names are no entry's alone.
        files.insert(path("own again"), noise(200_000 * own as usize, own)[..150_000].to_vec());
        if pair {
            files.insert(path("pair"), noise(500_000, 9));
        }
        nights.push(take(&storage, &files));
    }
    let repository = open(storage.clone());
    let found = costs(&repository, &Silent, &Cancel::new()).unwrap();
    assert!((1_500_000..1_640_000).contains(&found.shared), "{found:?}");
    for (night, own) in nights.iter().zip([400_000u64, 600_000, 800_000]) {
        let alone = found.alone[night];
        // A block of several small chunks may be everybody's.
        assert!((own - 130_000..own + 170_000).contains(&alone), "{alone} of {own}");
        let plan = plan_prune(&repository, &[*night], &Silent, &Cancel::new()).unwrap();
        // What is too little to be worth the copying is waste.
        let freed = plan.freed() + plan.waste;
        assert!(freed.abs_diff(alone) * 10 < alone, "{freed} would be freed, {alone} alone");
        let entries = entry_costs(&repository, night, &Cancel::new()).unwrap();
        let names: Vec<String> = entries.iter().map(|(path, _)| path.display()).collect();
        assert!(names.contains(&"own".into()), "{names:?}");
        assert!(!names.contains(&"common".into()) && !names.contains(&"pair".into()), "{names:?}");
        let sum: u64 = entries.iter().map(|(_, bytes)| bytes).sum();
        assert!(sum <= alone, "{sum} of {alone}");
    }
    // Of the pair only one is left: now it is needed alone.
    delete(&repository, [nights[0]]);
    prune_alone(&repository);
    let found = costs(&repository, &Silent, &Cancel::new()).unwrap();
    assert!(found.alone[&nights[1]] > 1_100_000, "{found:?}");
    assert_eq!(found.alone.len(), 2);
}
