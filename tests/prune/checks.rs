//! Checks beside what moves and deletes things.

use std::sync::{Arc, Mutex};

use restow::format::name;
use restow::ops::{CheckOptions, CheckReport, OpError, check};
use restow::progress::{Cancel, Silent};
use restow::repo::{OpenOptions, RepoError, Repository};
use restow::storage::{Key, Memory, Storage};

use super::waits::{one, puts};
use super::{LONG, assert_tidy, assert_whole, delete, keys, prune_alone, take, try_prune};
use crate::support::faulty::Call;
use crate::support::hooked::Hooked;
use crate::support::memory_source::MemorySource;
use crate::support::{
    back_up, identity, memory_repository, open, open_interrupted, passphrase, small_chunks,
};

fn look(repository: &Repository) -> CheckReport {
    let options = CheckOptions::default().read_data(true);
    check(repository, &options, &Silent, &Cancel::new()).unwrap()
}

/// Opens over a storage that, before each listing of packs, loses one that nobody needs, as a prune takes it away: it is
/// taken off the index first, which the check has read by then.
fn never_at_rest(storage: &Memory) -> Repository {
    let spare: Vec<_> = (0..12).map(|seed| take(storage, &one(5_000, 100 + seed))).collect();
    let going = open(storage.clone()).index_objects().unwrap();
    take(storage, &one(60_000, 1));
    delete(&open(storage.clone()), spare);
    assert!(going.len() >= 12);
    let (there, going) = (storage.clone(), Mutex::new(going));
    let hooked = Hooked::before(storage.clone(), move |call, key| {
        if call == Call::List && key.as_str() == name::PACKS {
            let Some(id) = going.lock().unwrap().pop() else { return Ok(()) };
            let record = open(there.clone()).index_object(&id).unwrap();
            there.delete(&Key::new(name::index(&id)).unwrap()).unwrap();
            for pack in record.packs {
                there.delete(&Key::new(name::pack(&pack.id)).unwrap()).unwrap();
            }
        }
        Ok(())
    });
    let options = OpenOptions::default();
    Repository::open(Arc::new(hooked), &passphrase(), identity(), options).unwrap()
}

/// Found by `concurrency`: a check whose every look met a prune said that packs were missing.
#[test]
fn where_others_never_rest_what_they_take_away_is_no_damage() {
    let storage = memory_repository(&small_chunks());
    let report = look(&never_at_rest(&storage));
    assert!(report.is_clean(), "{report:?}");
}

#[test]
fn where_others_never_rest_damage_is_found() {
    let storage = memory_repository(&small_chunks());
    let repository = never_at_rest(&storage);
    let before = keys(&storage, name::PACKS);
    let kept = take(&storage, &one(40_000, 2));
    let mut needed = keys(&storage, name::PACKS);
    needed.retain(|key| !before.contains(key));
    for key in &needed {
        storage.delete(key).unwrap();
    }
    let report = look(&repository);
    let damaged: Vec<_> = report.snapshots_damaged.iter().map(|damage| damage.id).collect();
    assert_eq!(damaged, [kept], "{report:?}");
    assert_eq!(report.objects_damaged.len(), needed.len(), "{report:?}");
}

/// A backup is taken for dead after it put packs and before it listed them, and a prune takes them for left over. What it
/// lists when it wakes up was promised to nobody.
#[test]
fn packs_that_only_a_void_writer_lists_are_not_missed() {
    let storage = memory_repository(&small_chunks());
    let kept = take(&storage, &one(30_000, 2));
    let there = storage.clone();
    let repository = open_interrupted(&storage, puts(name::INDEX), move || {
        there.advance(LONG);
        let report = try_prune(&open(there.clone())).unwrap();
        let plan = report.plan.as_ref().unwrap();
        assert!(report.expired.len() == 1 && plan.unindexed.count > 0, "{report:?}");
    });
    let error = back_up(&repository, &[&MemorySource::new(one(60_000, 1))]).unwrap_err();
    assert!(matches!(&error, OpError::Repo(RepoError::Expired { .. })), "{error}");
    let report = look(&open(storage.clone()));
    assert!(report.is_clean() && report.packs as usize > keys(&storage, name::PACKS).len());
    prune_alone(&open(storage.clone()));
    assert_whole(&storage, &[(kept, one(30_000, 2))], "pruned");
    assert_tidy(&storage, "pruned");
}
