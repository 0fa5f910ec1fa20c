//! Prunes where bytes have rotted, and where something is only out of sight.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use restow::fault::ErrorKind;
use restow::format::name;
use restow::id::SnapshotId;
use restow::ops::{CheckOptions, OpError, PruneOptions, check, prune};
use restow::progress::{Cancel, Silent};
use restow::repo::{Filter, Repository, Selector, Standing};
use restow::storage::{Key, Memory, Storage};

use super::compacts::compact;
use super::{assert_tidy, assert_whole, delete, keys, prune_alone, take, try_prune};
use crate::support::faulty::{Call, injected};
use crate::support::hooked::Hooked;
use crate::support::memory_source::MemorySource;
use crate::support::model::{Files, noise, path};
use crate::support::{
    back_up, default_chunks, memory_repository, open, restore_to_memory, small_chunks,
};

fn files() -> Files {
    (0..40).map(|at| (path(&format!("f{at}")), noise(9_000, at))).collect()
}

/// Byte 7 of a pack's header is its kind: 3 holds stream bytes, 4 metadata.
fn packs_of_kind(storage: &Memory, kind: u8) -> Vec<Key> {
    let mut found = keys(storage, name::PACKS);
    found.retain(|key| storage.get(key, 1 << 30).unwrap()[7] == kind);
    found
}

/// Every block is damaged, and the frame is whole.
fn rot(storage: &Memory, key: &Key) {
    let mut bytes = storage.get(key, 1 << 30).unwrap();
    let end = bytes.len() / 3;
    (50..end).step_by(20).for_each(|at| bytes[at] ^= 1);
    storage.put(key, &bytes).unwrap();
}

/// What a backup stored again because it had rotted is not taken for waste: the rotten copy is.
#[test]
fn of_two_copies_the_one_that_can_be_read_stays() {
    // Which of the two has the smaller name is chance.
    for _ in 0..6 {
        let storage = memory_repository(&small_chunks());
        let mut source = MemorySource::new(files());
        let token = |name: &restow::format::EntryPath| (name.clone(), b"1".to_vec());
        source.tokens = source.files.keys().map(token).collect();
        let first = back_up(&open(storage.clone()), &[&source]).unwrap().id.unwrap();
        packs_of_kind(&storage, 4).iter().for_each(|key| rot(&storage, key));
        let second = back_up(&open(storage.clone()), &[&source]).unwrap().id.unwrap();
        let both = [first, second];
        for id in both {
            assert!(restore_to_memory(&open(storage.clone()), id).contents() == files());
        }
        assert!(prune_alone(&open(storage.clone())).deleted.count > 0, "the rotten copies go");
        let whole: Vec<_> = both.iter().map(|id| (*id, files())).collect();
        assert_whole(&storage, &whole, "pruned");
        assert_tidy(&storage, "pruned");
        assert!(prune_alone(&open(storage.clone())).plan.unwrap().is_nothing());
    }
}

/// A pack that should be emptied cannot be read where it is needed: it is left, and the rest is freed.
#[test]
fn a_damaged_pack_is_left_as_it_is() {
    let storage = memory_repository(&small_chunks());
    let old = take(&storage, &[(path("old"), noise(300_000, 90))].into());
    let mut both = files();
    both.insert(path("gone"), noise(900_000, 91));
    let first = take(&storage, &both);
    let second = take(&storage, &files());
    delete(&open(storage.clone()), [old, first]);
    // The blocks of what stays are in front of the pack.
    let data = packs_of_kind(&storage, 3);
    let longest = data.iter().max_by_key(|key| storage.get(key, 1 << 30).unwrap().len()).unwrap();
    let before = storage.get(longest, 1 << 30).unwrap();
    rot(&storage, longest);
    let report = prune_alone(&open(storage.clone()));
    assert!(report.deleted.count > 0, "{report:?}");
    assert!(keys(&storage, name::PACKS).contains(longest), "it may be mended yet");
    storage.put(longest, &before).unwrap();
    assert_whole(&storage, &[(second, files())], "mended");
    assert!(prune_alone(&open(storage.clone())).copied.blocks > 0);
    assert_whole(&storage, &[(second, files())], "mended and pruned");
    assert_tidy(&storage, "mended and pruned");
}

#[test]
fn without_a_snapshot_nothing_is_freed_unless_that_was_said() {
    let storage = memory_repository(&small_chunks());
    let id = take(&storage, &files());
    let manifest = Key::new(name::snapshot(&id)).unwrap();
    let bytes = storage.get(&manifest, 1 << 30).unwrap();
    // Out of sight, as on a disk that is not mounted.
    storage.delete(&manifest).unwrap();
    let options = PruneOptions::default();
    let repository = open(storage.clone());
    let error = prune(&repository, &options, &Silent, &Cancel::new()).unwrap_err();
    assert!(matches!(error, OpError::NoSnapshots { .. }), "{error}");
    assert!(error.to_string().contains("but no snapshot") && error.kind() == ErrorKind::Usage);
    assert!(keys(&storage, name::CONDEMNED).is_empty() && keys(&storage, name::ACTIVE).is_empty());
    storage.put(&manifest, &bytes).unwrap();
    assert_whole(&storage, &[(id, files())], "in sight again");
}

fn standing(repository: &Repository, id: SnapshotId) -> Standing {
    repository.find(&Selector::new(&id.to_hex()), &Filter::default()).unwrap().standing
}

/// A snapshot of a writer that was taken for dead counts once it was found whole, for prune, too.
#[test]
fn what_was_found_whole_is_needed_like_any_other() {
    let storage = memory_repository(&small_chunks());
    let kept: Files = [(path("kept"), noise(50_000, 77))].into();
    let (kept_id, id) = (take(&storage, &kept), take(&storage, &files()));
    let repository = open(storage.clone());
    let writer = repository.manifest(&id).unwrap().writer;
    storage.put(&Key::new(name::void(&writer)).unwrap(), b"void").unwrap();
    assert_eq!(standing(&repository, id), Standing::Void);
    prune_alone(&repository);
    let options =
        CheckOptions::default().read_data(true).snapshot(Some(Selector::new(&id.to_hex())));
    assert!(check(&repository, &options, &Silent, &Cancel::new()).unwrap().is_clean());
    assert_eq!(standing(&repository, id), Standing::Good);
    let whole = [(kept_id, kept.clone()), (id, files())];
    assert_whole(&storage, &whole, "found whole");

    // Now that it counts, prune stops where it misses something.
    let writers_packs: Vec<Key> = repository
        .index_objects()
        .unwrap()
        .into_iter()
        .map(|object| repository.index_object(&object).unwrap())
        .filter(|record| record.writer == writer)
        .flat_map(|record| record.packs)
        .map(|pack| Key::new(name::pack(&pack.id)).unwrap())
        .collect();
    storage.delete(&writers_packs[0]).unwrap();
    let error = try_prune(&open(storage.clone())).unwrap_err();
    assert!(matches!(error, OpError::NotWhole { .. }), "{error}");
    // One that was not found whole is no reason to stop.
    let notes = keys(&storage, name::NOTES);
    notes.iter().for_each(|key| storage.delete(key).unwrap());
    prune_alone(&open(storage.clone()));
    assert_whole(&storage, &[(kept_id, kept)], "the other");
}

/// What a writer that was taken for dead left may be gone; what is only out of reach is not.
#[test]
fn what_cannot_be_read_just_now_stops_a_prune_whoever_needs_it() {
    let storage = memory_repository(&small_chunks());
    let kept: Files = [(path("kept"), noise(50_000, 77))].into();
    let (kept_id, id) = (take(&storage, &kept), take(&storage, &files()));
    let repository = open(storage.clone());
    let writer = repository.manifest(&id).unwrap().writer;
    storage.put(&Key::new(name::void(&writer)).unwrap(), b"void").unwrap();
    let records = repository.index_objects().unwrap().into_iter();
    let records = records.map(|object| repository.index_object(&object).unwrap());
    let its = records.filter(|record| record.writer == writer).flat_map(|record| record.packs);
    let its: Vec<Key> = its.map(|pack| Key::new(name::pack(&pack.id)).unwrap()).collect();
    assert_eq!(its.len(), 2);
    let before = keys(&storage, name::PACKS);
    // One read fails: with it goes all that its catalog says.
    let has_failed = AtomicBool::new(false);
    let hooked = Hooked::before(storage.clone(), move |call, key| {
        let reads = matches!(call, Call::Get | Call::GetRange) && its.contains(key);
        match reads && !has_failed.swap(true, Ordering::Relaxed) {
            true => Err(injected(call, key, "not just now")),
            false => Ok(()),
        }
    });
    let error = try_prune(&open(hooked)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
    assert!(error.to_string().contains("not just now"), "{error}");
    assert_eq!(keys(&storage, name::PACKS), before);
    assert!(keys(&storage, name::CONDEMNED).is_empty() && keys(&storage, name::ACTIVE).is_empty());
    assert!(prune_alone(&open(storage.clone())).plan.unwrap().is_nothing());
    for (id, files) in [(kept_id, kept), (id, files())] {
        assert!(restore_to_memory(&open(storage.clone()), id).contents() == files);
    }
}

/// What is condemned cannot be read: nothing is taken for stored, and a prune says what to do.
#[test]
fn a_backup_goes_on_where_what_is_condemned_cannot_be_read() {
    let storage = memory_repository(&small_chunks());
    let more: Files = [(path("more"), noise(9_000, 400))].into();
    let (old, kept) = (take(&storage, &files()), take(&storage, &more));
    let repository = open(storage.clone());
    delete(&repository, [old]);
    let session = restow::repo::WriteSession::begin(&repository, false).unwrap();
    assert_eq!(try_prune(&open(storage.clone())).unwrap().waits_for.len(), 1);
    session.abandon();
    for key in keys(&storage, name::CONDEMNED) {
        let mut bytes = storage.get(&key, 1 << 20).unwrap();
        bytes[40] ^= 1;
        storage.put(&key, &bytes).unwrap();
    }
    let report = back_up(&open(storage.clone()), &[&MemorySource::new(files())]).unwrap();
    assert_eq!(report.written.new_bytes, 360_000, "nothing was taken for stored");
    let whole = [(kept, more), (report.id.unwrap(), files())];
    assert_whole(&storage, &whole, "beside what cannot be read");
    let error = try_prune(&open(storage.clone())).unwrap_err();
    assert!(error.to_string().contains("lists condemned packs, cannot be read"), "{error}");
    keys(&storage, name::CONDEMNED).iter().for_each(|key| storage.delete(key).unwrap());
    prune_alone(&open(storage.clone()));
    assert_whole(&storage, &whole, "removed");
}

/// While something is condemned it may be that what is read now goes in a moment.
#[test]
fn nothing_is_found_whole_while_a_prune_is_unfinished() {
    let storage = memory_repository(&small_chunks());
    let (old, id) =
        (take(&storage, &[(path("old"), noise(50_000, 1))].into()), take(&storage, &files()));
    let repository = open(storage.clone());
    delete(&repository, [old]);
    let session = restow::repo::WriteSession::begin(&repository, false).unwrap();
    assert_eq!(try_prune(&open(storage.clone())).unwrap().waits_for.len(), 1);
    session.abandon();
    let writer = repository.manifest(&id).unwrap().writer;
    storage.put(&Key::new(name::void(&writer)).unwrap(), b"void").unwrap();
    let options =
        CheckOptions::default().read_data(true).snapshot(Some(Selector::new(&id.to_hex())));
    let look = || check(&open(storage.clone()), &options, &Silent, &Cancel::new()).unwrap();
    assert!(look().is_clean());
    assert_eq!(standing(&repository, id), Standing::Void);
    prune_alone(&open(storage.clone()));
    assert!(look().is_clean());
    assert_eq!(standing(&repository, id), Standing::Good);
}

/// A rotten copy of a small chunk lay in a block that was needed for another chunk's sake. Deltas on the chunk's good copy were
/// written by a compaction as if they were on the rotten one, which is less deep, and could not be read any more.
#[test]
fn no_delta_counts_on_a_copy_that_has_rotted() {
    let storage = memory_repository(&default_chunks());
    let text = |night: usize| {
        let mut text = noise(20_000, 1);
        (0..night).for_each(|at| text[at * 3_000..][..40].copy_from_slice(&noise(40, at as u64)));
        text
    };
    let files = |night| -> Files { [(path("a"), text(night))].into() };
    let mut there = vec![(take(&storage, &files(0)), files(0))];
    // Somebody who is taken for dead stored what the next night brings, beside something else, in one block.
    let both: Files = [(path("x"), text(1)), (path("y"), noise(20_000, 9))].into();
    let other = MemorySource { name: "other".into(), ..MemorySource::new(both) };
    let before = packs_of_kind(&storage, 3);
    let void = back_up(&open(storage.clone()), &[&other]).unwrap().id.unwrap();
    let writer = open(storage.clone()).manifest(&void).unwrap().writer;
    storage.put(&Key::new(name::void(&writer)).unwrap(), b"void").unwrap();
    let mut its = packs_of_kind(&storage, 3);
    its.retain(|key| !before.contains(key));
    for night in 1..4 {
        there.push((take(&storage, &files(night)), files(night)));
    }
    assert_eq!(its.len(), 1);
    rot(&storage, &its[0]);
    storage.advance(Duration::from_secs(14 * 86_400));
    let report = compact(&storage, 9);
    assert!(report.deleted.count > 3 && report.copied.blocks > 3, "{report:?}");
    for (id, files) in &there {
        assert!(restore_to_memory(&open(storage.clone()), *id).contents() == *files);
    }
    let repository = open(storage.clone());
    let packs = |object| repository.index_object(object).unwrap().packs;
    let objects = repository.index_objects().unwrap();
    let blocks = objects.iter().flat_map(packs).flat_map(|pack| pack.contents.blocks);
    let depths: Vec<u8> = blocks.map(|block| block.depth).collect();
    assert!((1..4).all(|depth| depths.contains(&depth)), "{depths:?}");
}
