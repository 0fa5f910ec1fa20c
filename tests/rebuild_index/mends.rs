//! What index objects said that are damaged or lost is found in the packs.

use std::sync::Mutex;

use restow::fault::ErrorKind;
use restow::format::{ObjectKind, name};
use restow::id::ObjectId;
use restow::limits::PACK_LEN_MAX;
use restow::ops::{CheckOptions, OpError, RebuildOptions, check, rebuild_index};
use restow::progress::{Cancel, Event, Observer, Phase, Silent};
use restow::storage::{Key, Operation, Storage, StorageError};

use super::{
    assert_all_listed, assert_nothing_new, flip, lose, lose_the_index, nights, packs, problems,
    rebuild, rebuild_all, try_rebuild,
};
use crate::prune::{assert_tidy, assert_whole, delete, keys, prune_alone, take, try_prune};
use crate::support::faulty::Call;
use crate::support::hooked::Hooked;
use crate::support::memory_source::MemorySource;
use crate::support::{back_up, open, open_with_cache, restore_to_memory};

#[test]
fn an_index_that_is_lost_is_made_of_the_packs() {
    let (storage, there) = nights(4);
    let packs = packs(&storage).len() as u64;
    lose_the_index(&storage);
    let error = try_prune(&open(storage.clone())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damage, "{error}");
    let report = rebuild(&storage);
    assert_eq!((report.packs, report.index_objects, report.packs_read), (packs, 0, packs));
    assert_eq!((report.listed.count, report.objects_put), (packs, 1));
    assert_eq!((report.objects_removed, report.young.count, report.corrected), (0, 0, 0));
    assert!(report.is_whole() && report.mended.is_empty(), "{report:?}");
    assert!(report.bytes_read > 55 * packs, "{report:?}");
    assert_all_listed(&storage, "made anew");
    assert_whole(&storage, &there, "made anew");
    assert_nothing_new(&storage, &there[3].1, "made anew");
    let again = rebuild(&storage);
    assert_eq!((again.packs_read, again.objects_put, again.objects_removed), (0, 0, 0));

    delete(&open(storage.clone()), [there[0].0, there[2].0]);
    assert!(prune_alone(&open(storage.clone())).plan.is_some());
    assert_whole(&storage, &[there[1].clone(), there[3].clone()], "pruned");
    assert_tidy(&storage, "pruned");
}

/// Of trailers only the ends of packs are read.
#[test]
fn packs_are_not_read_whole() {
    let storage = crate::support::memory_repository(&crate::support::default_chunks());
    let files = [(super::path("a"), super::noise(9 << 20, 1))].into();
    let id = take(&storage, &files);
    lose_the_index(&storage);
    let report = rebuild(&storage);
    assert!(report.bytes_read < 200_000, "{report:?}");
    assert_whole(&storage, &[(id, files)], "made anew");
}

#[test]
fn a_flipped_bit_stops_a_prune_and_the_way_out_is_named() {
    for at in 0..4 {
        let (storage, there) = nights(4);
        let damaged = keys(&storage, name::INDEX)[at].clone();
        flip(&storage, &damaged, 0.6);
        delete(&open(storage.clone()), [there[1].0]);
        let error = try_prune(&open(storage.clone())).unwrap_err();
        assert!(matches!(error, OpError::UnreadableIndex { .. }), "{error}");

        let report = rebuild(&storage);
        assert!(report.is_whole() && report.listed.count >= 2, "{report:?}");
        assert_eq!((report.mended.len(), report.objects_removed), (1, 1));
        assert_eq!(report.mended[0].path.to_vec(), damaged.as_str().as_bytes());
        assert!(storage.get(&damaged, 1 << 20).is_err());
        prune_alone(&open(storage.clone()));
        let kept = [there[0].clone(), there[2].clone(), there[3].clone()];
        assert_whole(&storage, &kept, "mended");
        assert_nothing_new(&storage, &there[3].1, "mended");
        assert_tidy(&storage, "mended");
    }
}

/// One that lies under another's name, one without a byte, and one that is not ours.
#[test]
fn whatever_is_no_index_object_goes() {
    let (storage, there) = nights(2);
    let good = keys(&storage, name::INDEX);
    let bytes = storage.get(&good[0], 1 << 20).unwrap();
    for (number, bytes) in [bytes, Vec::new(), b"a note to myself".to_vec()].iter().enumerate() {
        let key = Key::new(format!("index/{}", number.to_string().repeat(64))).unwrap();
        storage.put(&key, bytes).unwrap();
    }
    let report = rebuild(&storage);
    assert_eq!((report.mended.len(), report.packs_read, report.objects_put), (3, 0, 0));
    assert_eq!(keys(&storage, name::INDEX), good);
    assert_whole(&storage, &there, "cleared");
}

#[test]
fn a_pack_whose_end_is_damaged_is_named_and_left() {
    let (storage, there) = nights(2);
    let second: Vec<_> = {
        let (ids, objects) = (open(storage.clone()), keys(&storage, name::INDEX));
        let of = |key: &Key| ids.index_object(&key.name().parse().unwrap()).unwrap();
        let writer = ids.manifest(&there[1].0).unwrap().writer;
        let record = objects.iter().map(of).find(|record| record.writer == writer).unwrap();
        record.packs.iter().map(|pack| Key::new(name::pack(&pack.id)).unwrap()).collect()
    };
    for pack in &second {
        flip(&storage, pack, 0.999);
    }
    // As long as an index object lists them nobody asks their ends, and what is in them is not lost with these.
    let report = rebuild(&storage);
    assert!(report.is_whole() && report.packs_read == 0, "{report:?}");
    let report = rebuild_all(&storage);
    let mut named: Vec<String> = second.iter().map(|key| key.as_str().to_owned()).collect();
    named.sort();
    let mut told = problems(&report);
    told.sort();
    assert_eq!(told, named);
    assert_eq!((report.objects_put, report.objects_removed, report.corrected), (1, 2, 0));
    let contents = restore_to_memory(&open(storage.clone()), there[1].0).contents();
    assert!(contents == there[1].1, "its blocks are whole, and the index still lists them");

    lose_the_index(&storage);
    for _ in 0..2 {
        let report = rebuild(&storage);
        let mut told = problems(&report);
        told.sort();
        assert_eq!(told, named);
        assert!(second.iter().all(|key| storage.get(key, 1 << 30).is_ok()), "left as they are");
        let contents = restore_to_memory(&open(storage.clone()), there[0].0).contents();
        assert!(contents == there[0].1);
        let error = try_prune(&open(storage.clone())).unwrap_err();
        assert!(matches!(error, OpError::NotWhole { .. }), "nothing is freed meanwhile: {error}");
    }
    // What cannot be told is stored again by the next backup of it; then the packs are waste.
    let source = MemorySource::new(there[1].1.clone());
    back_up(&open(storage.clone()), &[&source]).unwrap();
    assert!(prune_alone(&open(storage.clone())).deleted.count >= 2);
    assert_whole(&storage, &there, "stored again");
    assert!(rebuild(&storage).is_whole());
}

/// No frame is taken for whole that is not, and none makes the reader fall over.
#[test]
fn every_changed_byte_of_a_frame_is_noticed() {
    let (storage, _) = nights(1);
    let repository = open(storage.clone());
    for id in packs(&storage) {
        let key = Key::new(name::pack(&id)).unwrap();
        let good = storage.get(&key, 1 << 30).unwrap();
        let len = good.len() as u64;
        let frame = repository.pack_frame(&id, len).unwrap();
        let trailer_at = good.len() - usize::try_from(frame.read - 40).unwrap();
        let blocks_end = usize::try_from(frame.view.contents.blocks_end()).unwrap();
        assert!(trailer_at <= good.len() && blocks_end <= good.len());
        // The header, and from the last block on; of padding nothing is asked.
        let footer = good.len() - 15;
        let sealed_len = u32::from_le_bytes(good[footer + 5..footer + 9].try_into().unwrap());
        let trailer_at = footer - sealed_len as usize;
        for at in (0..40).chain((trailer_at..good.len()).step_by(3)) {
            let mut bad = good.clone();
            bad[at] ^= 4;
            storage.put(&key, &bad).unwrap();
            let error = repository.pack_frame(&id, len).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Damage, "byte {at}: {error}");
        }
        for cut in (0..good.len()).step_by(97) {
            storage.put(&key, &good[..cut]).unwrap();
            let error = repository.pack_frame(&id, cut as u64).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Damage, "cut at {cut}: {error}");
        }
        for lie in [0, 54, 55, len - 1, len + 1, PACK_LEN_MAX + 1, u64::MAX] {
            storage.put(&key, &good).unwrap();
            assert!(repository.pack_frame(&id, lie).is_err(), "{lie}");
        }
    }
}

/// What a newer restow wrote is no damage.
#[test]
fn an_index_object_of_a_newer_restow_ends_it() {
    let (storage, _) = nights(2);
    let old = keys(&storage, name::INDEX)[0].clone();
    let mut bytes = storage.get(&old, 1 << 20).unwrap();
    bytes[6] += 1;
    let newer = ObjectId::new(*blake3::hash(&bytes).as_bytes());
    storage.put(&Key::new(name::index(&newer)).unwrap(), &bytes).unwrap();
    storage.delete(&old).unwrap();
    let before = keys(&storage, name::INDEX);
    let error = try_rebuild(&open(storage.clone())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooNew, "{error}");
    assert_eq!(keys(&storage, name::INDEX), before);
    assert!(keys(&storage, name::ACTIVE).is_empty());
}

/// A disk that cannot read an object at the moment says nothing of what is in it.
#[test]
fn what_cannot_be_read_at_the_moment_stays() {
    let (storage, there) = nights(3);
    let unread = keys(&storage, name::INDEX)[1].clone();
    let hidden = unread.clone();
    let repository = open(Hooked::before(storage.clone(), move |call, key| {
        if call == Call::Get && *key == hidden {
            let (operation, path) = (Operation::Get, key.to_string());
            let source = std::io::Error::other("a bad sector");
            return Err(StorageError::Io { operation, path, source });
        }
        Ok(())
    }));
    let report = try_rebuild(&repository).unwrap();
    assert_eq!(problems(&report), [unread.as_str()]);
    assert!(report.listed.count > 0 && report.objects_removed == 0, "{report:?}");
    assert!(storage.get(&unread, 1 << 20).is_ok());
    assert_whole(&storage, &there, "listed twice");
}

#[test]
fn a_dry_run_changes_nothing() {
    let (storage, there) = nights(3);
    flip(&storage, &keys(&storage, name::INDEX)[0], 0.5);
    lose(&storage, &keys(&storage, name::INDEX)[1..2]);
    let everything = || -> Vec<(Key, Vec<u8>)> {
        let folders = ["packs", "index", "snapshots", "active", "beats", "void", "condemned"];
        let all = folders.iter().flat_map(|folder| keys(&storage, folder));
        all.map(|key| (key.clone(), storage.get(&key, 1 << 30).unwrap())).collect()
    };
    let before = everything();
    for all in [false, true] {
        let options = RebuildOptions::default().dry_run(true).all(all);
        let only_reads = Hooked::before(storage.clone(), |call, key| {
            assert!(!matches!(call, Call::Put | Call::Delete), "{call:?} {key}");
            Ok(())
        });
        let repository = open(only_reads);
        let said = rebuild_index(&repository, &options, &Silent, &Cancel::new()).unwrap();
        assert!(everything() == before);
        let copy = crate::support::copy_of(&storage);
        let done = match all {
            false => rebuild(&copy),
            true => rebuild_all(&copy),
        };
        assert_eq!(
            (said.listed, said.objects_put, said.objects_removed, said.mended.len()),
            (done.listed, done.objects_put, done.objects_removed, done.mended.len())
        );
        assert_whole(&copy, &there, "done");
    }
}

/// What is listed and gone, or of another length, is told; the length that it has is listed.
#[test]
fn packs_that_are_not_as_they_are_listed() {
    let (storage, there) = nights(2);
    let repository = open(storage.clone());
    let objects = repository.index_objects().unwrap();
    for object in &objects {
        let mut record = repository.index_object(object).unwrap();
        record.packs[0].len += 1;
        repository.delete_index_object(object).unwrap();
        repository.put_index_object(&record).unwrap();
    }
    let report = rebuild(&storage);
    assert_eq!((report.listed.count, report.problems.len()), (2, 2), "{report:?}");
    assert!(report.problems[0].message.contains("an index object says"), "{report:?}");
    let report = rebuild_all(&storage);
    assert_eq!((report.corrected, report.problems.len()), (2, 0), "{report:?}");
    assert_whole(&storage, &there, "as they are");

    let gone = packs(&storage).into_iter().next().unwrap();
    storage.delete(&Key::new(name::pack(&gone)).unwrap()).unwrap();
    for report in [rebuild(&storage), rebuild_all(&storage)] {
        assert_eq!(problems(&report), [name::pack(&gone)]);
        assert!(report.problems[0].message.contains("does not exist"), "{report:?}");
    }
}

/// Another host's cache takes in what is new and forgets what is gone.
#[test]
fn caches_of_others_converge() {
    let cache = tempfile::tempdir().unwrap();
    let (storage, there) = nights(3);
    let known = open_with_cache(&storage, cache.path()).load_index().unwrap();
    assert_eq!(known.index.ingested().len(), 3);
    drop(known);
    flip(&storage, &keys(&storage, name::INDEX)[1], 0.5);
    rebuild(&storage);
    for _ in 0..2 {
        let other = open_with_cache(&storage, cache.path());
        let index = other.load_index().unwrap().index;
        let named: Vec<_> = index.ingested().into_iter().collect();
        assert_eq!(named, other.index_objects().unwrap());
        drop(index);
        for (id, files) in &there {
            assert!(restore_to_memory(&other, *id).contents() == *files);
        }
        let source = MemorySource::new(there[2].1.clone());
        let again = back_up(&other, &[&source]).unwrap();
        assert_eq!(again.written.new_chunks, 0, "{:?}", again.written);
        rebuild_all(&storage);
    }
}

/// Stopped at any pack, nothing is lost, and the next run goes on.
#[test]
fn an_interrupt_loses_nothing() {
    struct StopsAt(u64, Mutex<u64>, Cancel);
    impl Observer for StopsAt {
        fn on(&self, event: Event<'_>) {
            let counts = matches!(event, Event::Items(_) | Event::Finished(Phase::ReadTrailers));
            let mut seen = self.1.lock().unwrap();
            *seen += u64::from(counts);
            if *seen == self.0 {
                self.2.cancel();
            }
        }
    }
    let (base, there) = nights(9);
    flip(&base, &keys(&base, name::INDEX)[0], 0.5);
    lose(&base, &keys(&base, name::INDEX)[1..]);
    let packs = packs(&base).len() as u64;
    for stop in [1, 9, 17, packs + 1] {
        let storage = crate::support::copy_of(&base);
        let cancel = Cancel::new();
        let observer = StopsAt(stop, Mutex::new(0), cancel.clone());
        let repository = open(storage.clone());
        let options = RebuildOptions::default();
        let error = rebuild_index(&repository, &options, &observer, &cancel).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "at {stop}: {error}");
        assert!(keys(&storage, name::ACTIVE).is_empty());
        let report = rebuild(&storage);
        assert!(report.is_whole() && report.objects_removed == 1, "at {stop}: {report:?}");
        assert_whole(&storage, &there, "gone on");
        assert_all_listed(&storage, "gone on");
    }
}

/// A block whose base is nowhere is listed with its pack, and no backup counts on it.
#[test]
fn what_cannot_be_decoded_is_not_counted_on() {
    let storage = crate::support::memory_repository(&crate::support::small_chunks());
    let repository = open(storage.clone());
    let (lost, file) = (super::noise(900, 1), super::noise(60, 2));
    let mut pack = crate::support::hand_packs::HandPack::new(&repository);
    pack.delta(&file, 1, &[crate::support::hand_packs::whole(&lost)]);
    pack.put();
    lose_the_index(&storage);
    assert_eq!(rebuild(&storage).listed.count, 1);
    let files = [(super::path("f"), file)].into();
    let source = MemorySource::new(files);
    let report = back_up(&open(storage.clone()), &[&source]).unwrap();
    assert_eq!(report.written.new_chunks, 1, "{:?}", report.written);
    let options = CheckOptions::default();
    let found = check(&open(storage.clone()), &options, &Silent, &Cancel::new()).unwrap();
    assert!(found.is_clean(), "{found:?}");
    assert_whole(&storage, &[(report.id.unwrap(), source.files)], "stored again");
}

/// Which kind of pack it is stands in its header alone.
#[test]
fn both_kinds_of_packs_are_told_apart() {
    let (storage, _) = nights(1);
    let repository = open(storage.clone());
    let mut kinds = Vec::new();
    for id in packs(&storage) {
        let bytes = storage.get(&Key::new(name::pack(&id)).unwrap(), 1 << 30).unwrap();
        let frame = repository.pack_frame(&id, bytes.len() as u64).unwrap();
        assert_eq!(bytes[7], frame.kind.object() as u8);
        kinds.push(frame.kind.object());
    }
    kinds.sort();
    assert_eq!(kinds, [ObjectKind::DataPack, ObjectKind::MetadataPack]);
}

/// Found in review: the damaged object went, though a pack that it may have listed could not be read just then.
#[test]
fn a_damaged_index_object_stays_until_every_pack_was_read() {
    let (storage, there) = nights(3);
    let damaged = keys(&storage, name::INDEX)[1].clone();
    flip(&storage, &damaged, 0.6);
    let mut unlucky = None;
    let unread = move |call, key: &Key| {
        let reads =
            matches!(call, Call::Get | Call::GetRange) && key.as_str().starts_with(name::PACKS);
        // One pack's reads fail, whichever is read first.
        if reads && unlucky_is(&mut unlucky, key) {
            return Err(crate::support::faulty::injected(call, key, "not just now"));
        }
        Ok(())
    };
    let unread = Mutex::new(unread);
    let hooked =
        Hooked::before(storage.clone(), move |call, key| (unread.lock().unwrap())(call, key));
    let report = try_rebuild(&open(hooked)).unwrap();
    assert!(report.mended.is_empty() && report.objects_removed == 0, "{report:?}");
    assert_eq!(report.problems.len(), 2, "{report:?}");
    assert!(keys(&storage, name::INDEX).contains(&damaged));

    let report = rebuild(&storage);
    assert!(report.is_whole() && report.mended.len() == 1, "{report:?}");
    assert_whole(&storage, &there, "read");
}

fn unlucky_is(unlucky: &mut Option<Key>, key: &Key) -> bool {
    unlucky.get_or_insert_with(|| key.clone()) == key
}

/// Found in review: copies of index objects in a folder below made every command look for them for ever, once the
/// originals were gone.
#[test]
fn copies_of_index_objects_in_a_folder_below_are_none() {
    let (storage, there) = nights(3);
    for key in keys(&storage, name::INDEX) {
        let bytes = storage.get(&key, 1 << 20).unwrap();
        storage.put(&Key::new(format!("index/kept/{}", key.name())).unwrap(), &bytes).unwrap();
    }
    assert!(rebuild_all(&storage).objects_removed > 0);
    assert_whole(&storage, &there, "beside copies");
    prune_alone(&open(storage.clone()));
    assert_whole(&storage, &there, "beside copies, pruned");
}
