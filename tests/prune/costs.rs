//! What only one snapshot, or only one entry, needs.

use restow::id::SnapshotId;
use restow::ops::{
    OpError, RetentionOptions, RetentionPolicy, costs, entry_costs, plan_prune, plan_retention,
};
use restow::progress::{Cancel, Silent};
use restow::repo::Repository;

use super::{delete, prune_alone, take};
use crate::support::hand_packs::{HandPack, commit, whole};
use crate::support::model::{Files, noise, path};
use crate::support::{default_chunks, memory_repository, open, restore_to_memory};

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
        let names: Vec<String> = entries.iter().map(|entry| entry.path.display()).collect();
        assert!(names.contains(&"own".into()), "{names:?}");
        assert!(!names.contains(&"common".into()) && !names.contains(&"pair".into()), "{names:?}");
        let sum: u64 = entries.iter().map(|entry| entry.bytes).sum();
        assert!(sum <= alone, "{sum} of {alone}");
    }
    // Of the pair only one is left: now it is needed alone.
    delete(&repository, [nights[0]]);
    prune_alone(&repository);
    let found = costs(&repository, &Silent, &Cancel::new()).unwrap();
    assert!(found.alone[&nights[1]] > 1_100_000, "{found:?}");
    assert_eq!(found.alone.len(), 2);
}

/// A chunk's copy that takes the fewest decodes is coded against something that is nowhere, another is not.
pub fn broken_shallow_copy(repository: &Repository) -> (SnapshotId, [Vec<u8>; 3]) {
    let edited = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let first = noise(3000, 1);
    let second = edited(&first, 1000);
    let third = edited(&second, 2000);
    let nowhere = edited(&third, 500);
    let mut broken = HandPack::new(repository);
    broken.delta(&third, 1, &[whole(&nowhere)]);
    broken.put();
    let mut sound = HandPack::new(repository);
    sound.plain(&[&first]);
    sound.delta(&second, 1, &[whole(&first)]);
    sound.delta(&third, 2, &[whole(&second)]);
    sound.put();
    let id = commit(repository, &[("a", &[&third])]);
    (id, [first, second, third])
}

/// Found in review: no costs, and no sizes for retention, though everything restores and a prune is at no loss.
#[test]
fn a_copy_that_cannot_be_decoded_is_passed_over() {
    let storage = memory_repository(&default_chunks());
    let repository = open(storage.clone());
    let (id, [.., third]) = broken_shallow_copy(&repository);
    assert!(restore_to_memory(&repository, id).contents()[&path("a")] == third);
    let found = costs(&repository, &Silent, &Cancel::new()).unwrap();
    assert!((3_000..4_500).contains(&found.alone[&id]), "{found:?}");
    let entries = entry_costs(&repository, &id, &Cancel::new()).unwrap();
    assert!(entries.len() == 1 && (3_000..3_500).contains(&entries[0].bytes), "{entries:?}");
    let policy = RetentionPolicy { max_size: Some(u64::MAX), ..RetentionPolicy::nothing() };
    let options = RetentionOptions::default().policy(policy);
    let plan = plan_retention(&repository, &options, &Cancel::new()).unwrap();
    let sizes: Vec<u64> = plan.budgets.iter().map(|budget| budget.before).collect();
    assert!(sizes.iter().sum::<u64>() > found.alone[&id], "{sizes:?}");
    // What a prune keeps is what was counted.
    prune_alone(&repository);
    let after = costs(&open(storage.clone()), &Silent, &Cancel::new()).unwrap();
    assert_eq!(after.alone[&id], found.alone[&id]);
}

/// Without a copy that can be decoded there is nothing to tell, and the snapshot is named.
#[test]
fn what_no_copy_gives_is_an_error_that_names_the_snapshot() {
    let storage = memory_repository(&default_chunks());
    let repository = open(storage.clone());
    let (id, _) = broken_shallow_copy(&repository);
    for object in repository.index_objects().unwrap() {
        let mut record = repository.index_object(&object).unwrap();
        record.packs.retain(|pack| pack.contents.blocks.len() != 3);
        repository.delete_index_object(&object).unwrap();
        if !record.packs.is_empty() {
            repository.put_index_object(&record).unwrap();
        }
    }
    let error = costs(&open(storage.clone()), &Silent, &Cancel::new()).unwrap_err();
    let names = matches!(&error, OpError::NotWhole { snapshot, .. } if *snapshot == id);
    assert!(names && error.to_string().contains("is in no existing pack"), "{error}");
}
