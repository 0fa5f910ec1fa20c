use proptest::prelude::*;
use restow::format::name;
use restow::storage::{Key, Storage};

use super::{assert_all_listed, assert_nothing_new, flip, nights, packs, rebuild, rebuild_all};
use crate::prune::{assert_tidy, assert_whole, delete, keys, prune_alone};
use crate::support::open;

#[derive(Debug, Clone)]
enum Harm {
    None,
    Lost,
    Flipped(f64),
    Cut(f64),
    Longer,
    /// A second object with the same bytes under another name.
    Twice,
    /// The bytes of the next one under its name.
    Exchanged,
}

fn harms() -> impl Strategy<Value = Vec<Harm>> {
    let harm = prop_oneof![
        2 => Just(Harm::None),
        2 => Just(Harm::Lost),
        2 => (0.0..1.0f64).prop_map(Harm::Flipped),
        1 => (0.0..1.0f64).prop_map(Harm::Cut),
        1 => Just(Harm::Longer),
        1 => Just(Harm::Twice),
        1 => Just(Harm::Exchanged),
    ];
    prop::collection::vec(harm, 5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever becomes of whichever index objects: as long as the packs are whole everything comes back, and nothing is
    /// stored twice.
    #[test]
    fn any_harm_to_any_index_objects(harms in harms(), all in any::<bool>(), gone in 0usize..5) {
        let (storage, mut there) = nights(5);
        let objects = keys(&storage, name::INDEX);
        for (number, (key, harm)) in objects.iter().zip(&harms).enumerate() {
            let Ok(bytes) = storage.get(key, 1 << 20) else { continue };
            // The version's byte says that a newer restow wrote it; but no name would be right then.
            match harm {
                Harm::None => {}
                Harm::Lost => storage.delete(key).unwrap(),
                Harm::Flipped(part) => flip(&storage, key, *part),
                Harm::Cut(part) => {
                    let len = (bytes.len() as f64 * part) as usize;
                    storage.put(key, &bytes[..len]).unwrap();
                }
                Harm::Longer => storage.put(key, &[&bytes[..], b"!"].concat()).unwrap(),
                Harm::Twice => {
                    let other = Key::new(format!("index/{}", number.to_string().repeat(64)));
                    storage.put(&other.unwrap(), &bytes).unwrap();
                }
                Harm::Exchanged => {
                    let next = &objects[(number + 1) % objects.len()];
                    let others = storage.get(next, 1 << 20).unwrap_or_default();
                    storage.put(key, &others).unwrap();
                }
            }
        }
        let before = packs(&storage);
        let report = if all { rebuild_all(&storage) } else { rebuild(&storage) };
        prop_assert!(report.is_whole(), "{report:?}");
        prop_assert_eq!(&before, &packs(&storage));
        assert_all_listed(&storage, "rebuilt");
        assert_whole(&storage, &there, "rebuilt");
        assert_nothing_new(&storage, &there[4].1, "rebuilt");
        let (id, _) = there.remove(gone);
        delete(&open(storage.clone()), [id]);
        prune_alone(&open(storage.clone()));
        assert_whole(&storage, &there, "pruned");
        assert_tidy(&storage, "pruned");
    }
}
