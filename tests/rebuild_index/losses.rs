//! What no rebuild brings back.

use restow::format::name;
use restow::id::{ObjectId, PackId, SnapshotId};
use restow::ops::{RebuildOptions, RestoreOptions, rebuild_index, restore};
use restow::progress::{Cancel, Silent};
use restow::repo::Repository;
use restow::storage::{Key, Memory, Storage};

use super::{flip, nights, packs, problems, rebuild};
use crate::prune::take;
use crate::support::memory_source::MemoryTarget;
use crate::support::model::Files;
use crate::support::{open, open_with_cache, restore_to_memory, view};

/// An index object that is damaged, and the end of a pack that it lists: with the object goes the last that knew where the
/// pack's blocks are, for caches, too. What is in it has to be stored again.
#[test]
fn a_damaged_index_object_and_a_damaged_trailer_lose_the_pack() {
    let (storage, there) = nights(3);
    let cache = tempfile::tempdir().unwrap();
    open_with_cache(&storage, cache.path()).load_index().unwrap();
    let repository = open(storage.clone());
    let last = packs(&storage).into_iter().max_by_key(|id| stored(&storage, id)).unwrap();
    let mut objects = repository.index_objects().unwrap();
    let lists_it = |id: &ObjectId| {
        repository.index_object(id).unwrap().packs.iter().any(|pack| pack.id == last)
    };
    objects.retain(lists_it);
    assert_eq!(objects.len(), 1);
    let damaged = Key::new(name::index(&objects[0])).unwrap();
    flip(&storage, &damaged, 0.6);
    let pack = Key::new(name::pack(&last)).unwrap();
    let mut bytes = storage.get(&pack, 1 << 30).unwrap();
    let end = bytes.len();
    bytes[end - 20] ^= 1;
    storage.put(&pack, &bytes).unwrap();
    let comes_back = |repository: &Repository, (id, files): &(SnapshotId, Files)| {
        let importer = Box::new(MemoryTarget::default().importer());
        let options = RestoreOptions::default();
        let view = view(repository, *id);
        let whole = restore(&view, importer, &options, &Silent, &Cancel::new())
            .is_ok_and(|report| report.damaged_count == 0 && report.losses.entries == 0);
        assert!(!whole || restore_to_memory(repository, *id).contents() == *files);
        whole
    };
    assert!(comes_back(&open_with_cache(&storage, cache.path()), &there[2]));

    let options = RebuildOptions::default().dry_run(true);
    let told = rebuild_index(&repository, &options, &Silent, &Cancel::new()).unwrap();
    for report in [told, rebuild(&storage)] {
        assert_eq!(report.mended.len(), 1, "{report:?}");
        assert_eq!(report.mended[0].path.to_vec(), damaged.as_str().as_bytes());
        assert_eq!(problems(&report), [pack.as_str()]);
    }
    for cache in [Some(cache.path()), None] {
        let repository = match cache {
            Some(cache) => open_with_cache(&storage, cache),
            None => open(storage.clone()),
        };
        let whole: Vec<bool> = there.iter().map(|one| comes_back(&repository, one)).collect();
        assert_eq!(whole, [true, true, false]);
    }
    let again = take(&storage, &there[2].1);
    assert!(comes_back(&open(storage.clone()), &(again, there[2].1.clone())));
}

fn stored(storage: &Memory, id: &PackId) -> std::time::SystemTime {
    let (key, mut stored) = (Key::new(name::pack(id)).unwrap(), None);
    storage.list(&key, &mut |listed| stored = Some(listed.stored)).unwrap();
    stored.unwrap()
}
