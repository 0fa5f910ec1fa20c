//! Packs whose headers say that a newer restow wrote them: some of them did not.

use restow::fault::ErrorKind;
use restow::format::name;
use restow::id::{PackId, SnapshotId};
use restow::ops::{
    CheckOptions, CheckReport, OpError, PruneOptions, RestoreOptions, check, prune, restore,
};
use restow::progress::{Cancel, Silent};
use restow::repo::Repository;
use restow::storage::{Key, Memory, Storage};

use crate::prune::take;
use crate::rebuild_index::{lose_the_index, nights, packs, problems, rebuild, try_rebuild};
use crate::support::memory_source::MemoryTarget;
use crate::support::model::{Files, noise, path};
use crate::support::{default_chunks, memory_repository, open, restore_to_memory, view};

/// Where a header has its version, outside of all that is sealed.
const VERSION: usize = 6;

fn key(pack: &PackId) -> Key {
    Key::new(name::pack(pack)).unwrap()
}

fn flip_version(storage: &Memory, pack: &PackId) {
    let mut bytes = storage.get(&key(pack), 1 << 30).unwrap();
    bytes[VERSION] ^= 2;
    storage.put(&key(pack), &bytes).unwrap();
}

fn checked(repository: &Repository, read_data: bool) -> Result<CheckReport, OpError> {
    let options = CheckOptions::default().read_data(read_data);
    check(repository, &options, &Silent, &Cancel::new())
}

fn named(report: &CheckReport) -> Vec<String> {
    let objects = report.objects_damaged.iter();
    objects.map(|problem| String::from_utf8_lossy(&problem.path).into()).collect()
}

/// How many entries did not come back.
fn lost(repository: &Repository, id: SnapshotId) -> Result<u64, OpError> {
    let importer = Box::new(MemoryTarget::default().importer());
    let options = RestoreOptions::default();
    let report = restore(&view(repository, id), importer, &options, &Silent, &Cancel::new());
    report.map(|report| report.damaged_count + report.losses.entries)
}

/// Found in review: one flipped bit in one pack ended every `rebuild-index` and `check --read-data`, and restores, with the
/// advice to take a newer restow.
#[test]
fn a_version_that_has_rotted_is_damage_of_one_pack() {
    let (base, there) = nights(3);
    for pack in packs(&base) {
        let storage = crate::support::copy_of(&base);
        flip_version(&storage, &pack);
        let repository = open(storage.clone());
        let object = name::pack(&pack);

        let report = checked(&repository, true).unwrap();
        assert_eq!(named(&report), std::slice::from_ref(&object));
        let message = &report.objects_damaged[0].message;
        assert!(message.contains("its bytes hash to"), "{message}");
        let hurt: Vec<SnapshotId> = report.snapshots_damaged.iter().map(|it| it.id).collect();
        assert!(!hurt.is_empty());
        for (id, files) in &there {
            match hurt.contains(id) {
                true => assert!(lost(&repository, *id).map_or(true, |lost| lost > 0)),
                false => assert!(restore_to_memory(&repository, *id).contents() == *files),
            }
        }
        // Without reading data a pack of nodes is found out, too: they are read.
        let report = checked(&repository, false).unwrap();
        assert!(report.snapshots_damaged.iter().all(|damage| hurt.contains(&damage.id)));

        lose_the_index(&storage);
        let report = rebuild(&storage);
        assert_eq!(problems(&report), [object]);
        assert_eq!(report.listed.count, report.packs - 1, "{report:?}");
        // As it says: a backup of the same stores it again.
        let files = &there[2].1;
        let id = take(&storage, files);
        assert!(restore_to_memory(&open(storage.clone()), id).contents() == *files);
    }
}

/// Its bytes are what its name says: somebody wrote it so.
#[test]
fn a_pack_of_a_newer_restow_still_ends_what_meets_it() {
    let (base, there) = nights(3);
    for pack in packs(&base) {
        let storage = crate::support::copy_of(&base);
        let newer = {
            let mut bytes = storage.get(&key(&pack), 1 << 30).unwrap();
            bytes[VERSION] = 2;
            let newer = PackId::new(*blake3::hash(&bytes).as_bytes());
            storage.put(&key(&newer), &bytes).unwrap();
            storage.delete(&key(&pack)).unwrap();
            newer
        };
        let repository = open(storage.clone());
        for object in repository.index_objects().unwrap() {
            let mut record = repository.index_object(&object).unwrap();
            let mut listed = record.packs.iter_mut().filter(|listed| listed.id == pack);
            listed.by_ref().for_each(|listed| listed.id = newer);
            repository.delete_index_object(&object).unwrap();
            repository.put_index_object(&record).unwrap();
        }
        let too_new = |error: OpError| {
            assert_eq!(error.kind(), ErrorKind::TooNew, "{error}");
            assert!(error.to_string().contains(&newer.to_hex()), "{error}");
        };
        too_new(checked(&open(storage.clone()), true).unwrap_err());
        let ends: Vec<_> =
            there.iter().filter_map(|(id, _)| lost(&open(storage.clone()), *id).err()).collect();
        assert!(!ends.is_empty());
        ends.into_iter().for_each(too_new);
        lose_the_index(&storage);
        too_new(try_rebuild(&open(storage.clone())).unwrap_err());
    }
}

/// More than is read of it at once.
#[test]
fn long_packs_are_told_apart_like_others() {
    let storage = memory_repository(&default_chunks());
    let files: Files = [(path("a"), noise(9 << 20, 1))].into();
    take(&storage, &files);
    let len = |pack: &PackId| storage.get(&key(pack), 1 << 30).unwrap().len();
    let longest = packs(&storage).into_iter().max_by_key(len).unwrap();
    assert!(len(&longest) > 8 << 20);
    let whole = storage.get(&key(&longest), 1 << 30).unwrap();
    // An object that ends where a piece does, too.
    for cut in [whole.len(), 8 << 20, 4 << 20] {
        let mut bytes = whole[..cut].to_vec();
        bytes[VERSION] = 2;
        storage.put(&key(&longest), &bytes).unwrap();
        let error = open(storage.clone()).pack_frame(&longest, cut as u64).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Damage, "{error}");
        let newer = PackId::new(*blake3::hash(&bytes).as_bytes());
        storage.put(&key(&newer), &bytes).unwrap();
        let error = open(storage.clone()).pack_frame(&newer, cut as u64).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::TooNew, "{error}");
        storage.delete(&key(&newer)).unwrap();
    }
    storage.put(&key(&longest), &whole).unwrap();
}

/// A prune leaves it as it is, like any other pack that is damaged where it would be emptied.
#[test]
fn a_prune_goes_on_beside_a_version_that_has_rotted() {
    let storage = memory_repository(&crate::support::small_chunks());
    let old = take(&storage, &[(path("old"), noise(300_000, 90))].into());
    let mut both: Files = [(path("a"), noise(30_000, 1))].into();
    both.insert(path("gone"), noise(900_000, 91));
    let first = take(&storage, &both);
    both.remove(&path("gone"));
    take(&storage, &both);
    crate::prune::delete(&open(storage.clone()), [old, first]);
    let len = |pack: &PackId| storage.get(&key(pack), 1 << 30).unwrap().len();
    let longest = packs(&storage).into_iter().max_by_key(len).unwrap();
    flip_version(&storage, &longest);
    let options = PruneOptions::default();
    let report = prune(&open(storage.clone()), &options, &Silent, &Cancel::new()).unwrap();
    assert!(report.deleted.count > 0, "{report:?}");
    assert!(packs(&storage).contains(&longest));
}
