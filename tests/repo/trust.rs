//! What a repository says of itself is believed only as far as it was looked at: lost and rotten objects
//! under a warm cache, and what the next backup makes of them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use restow::fault::ErrorKind;
use restow::format::{IndexRecord, Note, NoteFact, ObjectKind, PackKind, name};
use restow::id::ObjectId;
use restow::ops::{CheckOptions, CheckReport, RestoreOptions, cat, check, restore};
use restow::progress::{Cancel, Event, Observer, Phase, Silent};
use restow::repo::{Filter, RepoError, Repository, Selector, Standing, create};
use restow::storage::{Key, Memory, Storage, StorageError};

use crate::support::faulty::Call;
use crate::support::hooked::Hooked;
use crate::support::memory_source::{MemorySource, MemoryTarget, Trouble};
use crate::support::model::{noise, path};
use crate::support::{
    back_up, default_chunks, identity, memory_repository, open, open_with_cache, passphrase,
    restore_to_memory, small_chunks, view,
};

fn keys_of(storage: &Memory, folder: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    storage.list(&Key::new(folder).unwrap(), &mut |listed| keys.push(listed.key)).unwrap();
    keys
}

/// Ten files that say they never change, of several chunks each.
fn settled_files() -> MemorySource {
    let files = (0..10).map(|n| (path(&format!("f{n}")), noise(9000, n)));
    let mut source = MemorySource::new(files.collect());
    source.tokens = source.files.keys().map(|name| (name.clone(), b"1".to_vec())).collect();
    source
}

fn checked(repository: &Repository) -> CheckReport {
    check(repository, &CheckOptions::default(), &Silent, &Cancel::new()).unwrap()
}

/// After `harm`, a backup of what did not change makes a snapshot that a machine without a cache restores.
fn heals(harm: impl Fn(&Memory)) {
    let storage = memory_repository(&small_chunks());
    let cache = tempfile::tempdir().unwrap();
    let source = settled_files();
    back_up(&open_with_cache(&storage, cache.path()), &[&source]).unwrap();
    harm(&storage);
    let report = back_up(&open_with_cache(&storage, cache.path()), &[&source]).unwrap();
    let contents = restore_to_memory(&open(storage.clone()), report.id.unwrap()).contents();
    assert!(contents == source.files);
    // And the one after it believes that again, unread.
    source.opened.lock().unwrap().clear();
    let report = back_up(&open_with_cache(&storage, cache.path()), &[&source]).unwrap();
    assert_eq!(*source.opened.lock().unwrap(), []);
    assert_eq!(report.written.new_chunks, 0);
    assert!(restore_to_memory(&open(storage), report.id.unwrap()).contents() == source.files);
}

fn delete(storage: &Memory, keys: impl IntoIterator<Item = Key>) {
    keys.into_iter().for_each(|key| storage.delete(&key).unwrap());
}

/// Byte 7 of a pack's header is its kind: 3 holds stream bytes, 4 metadata.
fn packs_of_kind(storage: &Memory, kind: u8) -> Vec<Key> {
    let is = |key: &Key| storage.get(key, 1 << 30).unwrap()[7] == kind;
    keys_of(storage, "packs").into_iter().filter(is).collect()
}

#[test]
fn a_lost_index_object_is_made_good_by_the_next_backup() {
    heals(|storage| delete(storage, keys_of(storage, "index")));
}

#[test]
fn lost_packs_are_made_good_by_the_next_backup() {
    for kinds in [&[3][..], &[4], &[3, 4]] {
        heals(|storage| {
            kinds.iter().for_each(|kind| {
                let packs = packs_of_kind(storage, *kind);
                assert!(!packs.is_empty());
                delete(storage, packs);
            });
        });
    }
}

#[test]
fn lost_packs_and_their_index_objects_are_made_good_by_the_next_backup() {
    heals(|storage| {
        delete(storage, keys_of(storage, "index"));
        delete(storage, keys_of(storage, "packs"));
    });
}

#[test]
fn a_pack_cut_short_is_made_good_by_the_next_backup() {
    heals(|storage| {
        for key in keys_of(storage, "packs") {
            let bytes = storage.get(&key, 1 << 30).unwrap();
            storage.put(&key, &bytes[..bytes.len() - 1]).unwrap();
        }
    });
}

/// Nodes that cannot be read any more are written again, and the snapshots before come back with them.
#[test]
fn damaged_metadata_is_made_good_by_the_next_backup() {
    let storage = memory_repository(&small_chunks());
    let cache = tempfile::tempdir().unwrap();
    let source = settled_files();
    let first = back_up(&open_with_cache(&storage, cache.path()), &[&source]).unwrap();
    for key in packs_of_kind(&storage, 4) {
        let mut bytes = storage.get(&key, 1 << 30).unwrap();
        (50..bytes.len()).step_by(40).for_each(|at| bytes[at] ^= 1);
        storage.put(&key, &bytes).unwrap();
    }
    let report = back_up(&open_with_cache(&storage, cache.path()), &[&source]).unwrap();
    assert_eq!(report.written.new_chunks, 0, "the bytes themselves are whole");
    for id in [first.id.unwrap(), report.id.unwrap()] {
        assert!(restore_to_memory(&open(storage.clone()), id).contents() == source.files);
    }
}

#[test]
fn an_index_object_that_rots_under_a_warm_cache_is_found_by_check_and_then_made_good() {
    let storage = memory_repository(&small_chunks());
    let cache = tempfile::tempdir().unwrap();
    let source = settled_files();
    back_up(&open_with_cache(&storage, cache.path()), &[&source]).unwrap();
    assert!(checked(&open_with_cache(&storage, cache.path())).is_clean());

    let rotten = keys_of(&storage, "index").pop().unwrap();
    let mut bytes = storage.get(&rotten, 1 << 20).unwrap();
    bytes[40] ^= 1;
    storage.put(&rotten, &bytes).unwrap();
    let report = checked(&open_with_cache(&storage, cache.path()));
    let named: Vec<_> = report.objects_damaged.iter().map(|p| p.path.to_vec()).collect();
    assert_eq!(named, [rotten.as_str().as_bytes()]);
    assert_eq!(report.snapshots_damaged.len(), 1, "nobody without this cache restores it");

    let id = back_up(&open_with_cache(&storage, cache.path()), &[&source]).unwrap().id.unwrap();
    assert!(restore_to_memory(&open(storage.clone()), id).contents() == source.files);
    assert!(checked(&open(storage)).snapshots_damaged.is_empty());
}

#[test]
fn latest_is_not_an_older_one_when_the_newest_manifest_cannot_be_read() {
    let storage = memory_repository(&small_chunks());
    let repository = open(storage.clone());
    let source = settled_files();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(back_up(&repository, &[&source]).unwrap().id.unwrap());
        std::thread::sleep(Duration::from_millis(2));
    }
    let key = |number: usize| Key::new(name::snapshot(&ids[number])).unwrap();
    let newest = storage.get(&key(2), 1 << 20).unwrap();
    storage.put(&key(2), b"rotten").unwrap();
    let latest = || repository.find(&Selector::Latest, &Filter::default());
    let error = latest().unwrap_err();
    assert!(matches!(&error, RepoError::LatestUnreadable { id, .. } if *id == ids[2]), "{error}");
    assert_eq!(error.kind(), ErrorKind::Damage);
    // The others answer to their ids; and once it is gone, or whole again, so does `latest`.
    let named = Selector::Named(ids[1].to_hex());
    assert_eq!(repository.find(&named, &Filter::default()).unwrap().id, ids[1]);
    storage.delete(&key(2)).unwrap();
    assert_eq!(latest().unwrap().id, ids[1]);
    storage.put(&key(2), &newest).unwrap();
    assert_eq!(latest().unwrap().id, ids[2]);
}

/// Backs up beside a check, at the moment a phase begins.
struct Meanwhile<'a> {
    storage: &'a Memory,
    at: Phase,
    done: AtomicBool,
}

impl Observer for Meanwhile<'_> {
    fn on(&self, event: Event<'_>) {
        if event == Event::Started(self.at) && !self.done.swap(true, Ordering::Relaxed) {
            let source = MemorySource::new([(path("new"), noise(50_000, 77))].into());
            back_up(&open(self.storage.clone()), &[&source]).unwrap();
        }
    }
}

#[test]
fn a_backup_that_ends_while_a_check_runs_is_no_damage() {
    for at in [Phase::CheckData, Phase::CheckSnapshots] {
        let storage = memory_repository(&small_chunks());
        let repository = open(storage.clone());
        back_up(&repository, &[&settled_files()]).unwrap();
        let meanwhile = Meanwhile { storage: &storage, at, done: AtomicBool::new(false) };
        let options = CheckOptions::default().read_data(true);
        let report = check(&repository, &options, &meanwhile, &Cancel::new()).unwrap();
        assert!(meanwhile.done.into_inner());
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(repository.snapshots().unwrap().0.len(), 2);
    }
}

#[test]
fn more_problems_than_a_manifest_has_room_for_are_counted() {
    let long = |n: usize| path(&format!("{n:05}/{}", "x/".repeat(1990) + "y"));
    let mut source = MemorySource::new((0..2500).map(|n| (long(n), Vec::new())).collect());
    source.troubles = source.files.keys().map(|p| (p.clone(), Trouble::Unopenable)).collect();
    source.files.insert(path("good"), noise(100, 1));
    let repository = open(memory_repository(&default_chunks()));
    let report = back_up(&repository, &[&source]).unwrap();
    let manifest = repository.manifest(&report.id.unwrap()).unwrap();
    assert_eq!(manifest.problem_count, 2500);
    assert!(manifest.problems.len() > 500 && manifest.problems.len() < 2500);
    let contents = restore_to_memory(&repository, report.id.unwrap()).contents();
    assert!(contents == [(path("good"), noise(100, 1))].into());
}

#[test]
fn a_cache_that_cannot_be_kept_stops_no_backup() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let storage = memory_repository(&small_chunks());
    let source = settled_files();
    let repository = open_with_cache(&storage, &file);
    let id = back_up(&repository, &[&source]).unwrap().id.unwrap();
    assert!(restore_to_memory(&repository, id).contents() == source.files);
}

#[test]
fn a_void_writers_snapshot_shows_again_only_once_it_was_verified_whole() {
    let storage = memory_repository(&small_chunks());
    let repository = open(storage.clone());
    let report = back_up(&repository, &[&settled_files()]).unwrap();
    let (id, writer) = (report.id.unwrap(), report.manifest.writer);
    storage.put(&Key::new(name::void(&writer)).unwrap(), b"void").unwrap();
    let standing = || repository.snapshots().unwrap().0[0].standing;
    assert_eq!(standing(), Standing::Void);
    assert!(repository.find(&Selector::Latest, &Filter::default()).is_err());
    for (complete, expected) in [(false, Standing::Void), (true, Standing::Good)] {
        let fact = NoteFact::Verified { complete };
        let note = Note {
            snapshot: id,
            off: Vec::new(),
            fact,
            time: identity().now(),
            host: String::new(),
            user: String::new(),
            ext: Vec::new(),
        };
        repository.put_note(&note).unwrap();
        assert_eq!(standing(), expected);
    }
}

#[test]
fn of_two_that_make_a_repository_at_once_the_loser_is_told() {
    let inner = Memory::new();
    let there = inner.clone();
    // Somebody else's `init` puts its marker right behind ours.
    let storage = Hooked::after(inner, move |call, key| {
        if call == Call::Put && key.as_str() == restow::format::MARKER_NAME {
            let theirs = memory_repository(&default_chunks());
            there.put(key, &theirs.get(key, 1 << 20)?)?;
        }
        Ok(())
    });
    let error = create(&storage, &passphrase(), &default_chunks(), &identity()).unwrap_err();
    assert!(matches!(error, RepoError::AlreadyThere { .. }), "{error}");
}

#[test]
fn an_index_object_that_lists_other_than_the_packs_hold_is_found_by_reading() {
    let storage = memory_repository(&small_chunks());
    let repository = open(storage.clone());
    let id = back_up(&repository, &[&settled_files()]).unwrap().id.unwrap();
    let key = keys_of(&storage, "index").pop().unwrap();
    let bytes = storage.get(&key, 1 << 20).unwrap();
    let mut record: IndexRecord =
        repository.vault().open(ObjectKind::Index, key.name(), &bytes).unwrap();
    let data = record.packs.iter_mut().find(|pack| pack.kind == PackKind::Data).unwrap();
    let block = data.contents.blocks.iter_mut().find(|block| block.chunks.len() > 1).unwrap();
    block.chunks.reverse();
    let pack = data.id;
    storage.delete(&key).unwrap();
    let sealed = repository.vault().seal(ObjectKind::Index, &record).unwrap();
    let key = Key::new(name::index(&ObjectId::new(sealed.name))).unwrap();
    storage.put(&key, &sealed.bytes).unwrap();

    let repository = open(storage);
    let options = CheckOptions::default().read_data(true);
    let report = check(&repository, &options, &Silent, &Cancel::new()).unwrap();
    assert_eq!(report.objects_damaged.len(), 1, "{report:?}");
    assert_eq!(report.objects_damaged[0].path.to_vec(), name::pack(&pack).as_bytes());
    assert_eq!(report.snapshots_damaged[0].id, id);
}

#[test]
fn what_a_newer_restow_wrote_is_not_called_damage() {
    for folder in ["index", "snapshots"] {
        let storage = memory_repository(&small_chunks());
        back_up(&open(storage.clone()), &[&settled_files()]).unwrap();
        let mut newer = storage.get(&keys_of(&storage, folder)[0], 1 << 20).unwrap();
        // The header's format version.
        newer[6] = 2;
        let key = Key::new(format!("{folder}/{}", blake3::hash(&newer).to_hex())).unwrap();
        storage.put(&key, &newer).unwrap();
        let options = CheckOptions::default();
        let error = check(&open(storage), &options, &Silent, &Cancel::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooNew, "{error}");
    }
}

/// A disk that is unmounted while it is read: its objects are missing, which is no damage.
fn unmounted(inner: &Memory, after: usize) -> Hooked {
    let reads = AtomicUsize::new(0);
    Hooked::before(inner.clone(), move |call, key| {
        if call == Call::GetRange {
            reads.fetch_add(1, Ordering::Relaxed);
        }
        let is_gone = reads.load(Ordering::Relaxed) > after;
        match matches!(call, Call::Get | Call::GetRange) && is_gone {
            true => Err(StorageError::Missing { place: "a disk".into(), key: key.clone() }),
            false => Ok(()),
        }
    })
}

#[test]
fn a_repository_that_goes_away_ends_a_restore_and_a_check_and_is_not_called_damaged() {
    let storage = memory_repository(&small_chunks());
    let id = back_up(&open(storage.clone()), &[&settled_files()]).unwrap().id.unwrap();
    let mut ended = 0;
    for after in 0..40 {
        let repository = open(unmounted(&storage, after));
        let target = MemoryTarget::default();
        let view = view(&repository, id);
        let (options, importer) = (RestoreOptions::default(), Box::new(target.importer()));
        match restore(&view, importer, &options, &Silent, &Cancel::new()) {
            Ok(report) => assert!(!report.is_damaged(), "{after}: {report:?}"),
            Err(error) => {
                ended += 1;
                assert_eq!(error.kind(), ErrorKind::Unreachable, "{after}: {error}");
                assert!(error.to_string().contains("has disappeared"), "{error}");
            }
        }
        let mut out = Vec::new();
        let read = crate::support::view(&open(unmounted(&storage, after)), id);
        match cat(&read, &path("f7"), &mut out, &Silent, &Cancel::new()) {
            Ok(_) => assert!(out == noise(9000, 7)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unreachable, "{after}: {error}"),
        }
        let options = CheckOptions::default();
        match check(&open(unmounted(&storage, after)), &options, &Silent, &Cancel::new()) {
            Ok(report) => assert!(report.is_clean(), "{after}: {report:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unreachable, "{after}: {error}"),
        }
    }
    assert!((3..40).contains(&ended), "{ended}");
}

#[test]
fn a_pack_in_the_wrong_folder_is_missing() {
    heals(|storage| {
        for key in keys_of(storage, "packs") {
            let bytes = storage.get(&key, 1 << 30).unwrap();
            storage.put(&Key::new(format!("packs/zz/{}", key.name())).unwrap(), &bytes).unwrap();
            storage.delete(&key).unwrap();
        }
        let report = checked(&open(storage.clone()));
        assert_eq!(report.objects_damaged.len(), 2, "{report:?}");
    });
}
