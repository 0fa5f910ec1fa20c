//! Blocks coded against several others at once.

use proptest::prelude::*;
use restow::fault::ErrorKind;
use restow::id::BaseId;
use restow::index::Base;
use restow::store::StoreError;

use super::deltas_read::{checked, edited, nights, reader, repository, restore_what_can_be};
use crate::support::hand_packs::{HandPack, Part, commit, id_of, whole};
use crate::support::model::{noise, path};
use crate::support::restore_to_memory;

#[test]
fn a_wide_chain_ends_at_the_limit_of_work() {
    let (_, repository) = repository();
    let chunk = |level: usize, number: usize| noise(40, (level * 8 + number) as u64);
    let mut pack = HandPack::new(&repository);
    for level in 0..=64 {
        for number in 0..8 {
            let raw = chunk(level, number);
            let Some(below) = level.checked_sub(1) else {
                pack.plain(&[&raw]);
                continue;
            };
            let bases: Vec<Vec<u8>> = (0..1024).map(|n| chunk(below, n % 8)).collect();
            let parts: Vec<Part<'_>> =
                bases.iter().map(|chunk| Part { chunk, skip: 7, len: 3 }).collect();
            pack.delta(&raw, level as u8, &parts);
        }
    }
    pack.put();
    let top = chunk(64, 0);
    let id = commit(&repository, &[("a", &[&top]), ("b", &[&chunk(1, 0)])]);
    let error = reader(&repository).chunk(&id_of(&repository, &top)).unwrap_err();
    let said = format!("the chain of chunk {} takes more than", id_of(&repository, &top));
    assert!(error.to_string().starts_with(&said), "{error}");
    assert_eq!(error.kind(), ErrorKind::Damage);
    let report = checked(&repository, false);
    assert_eq!(report.snapshots_damaged.iter().map(|d| d.id).collect::<Vec<_>>(), [id]);
    let (target, report) = restore_what_can_be(&repository, id);
    assert_eq!(report.damaged_count, 1);
    assert!(target.contents()[&path("b")] == chunk(1, 0));
}

/// Nodes of recipes whose cuts shifted night by night: each of two, against both of the night before.
#[test]
fn ways_down_that_meet_again_are_gone_once() {
    let (_, repository) = repository();
    let (mut left, mut right) = (noise(3000, 1), noise(3000, 2));
    let mut pack = HandPack::new(&repository);
    pack.plain(&[&left]);
    pack.plain(&[&right]);
    for depth in 1..=40 {
        let below = (left, right);
        let parts = [whole(&below.0), whole(&below.1)];
        (left, right) = (edited(&below.0, depth), edited(&below.1, depth));
        pack.delta(&left, depth as u8, &parts);
        pack.delta(&right, depth as u8, &parts);
    }
    pack.put();
    // 2^40 ways: whoever goes them all is stopped at the limit of work.
    let reader = reader(&repository);
    assert!(reader.chunk(&id_of(&repository, &left)).unwrap() == left);
    assert!(reader.chunk(&id_of(&repository, &right)).unwrap() == right);
}

/// At each level a long base is in hand while the next level is decoded.
#[test]
fn a_chain_that_would_fill_the_memory_ends_at_the_limit() {
    let (_, repository) = repository();
    let long = vec![0; 4 << 20];
    let nights = nights(noise(300, 5), 30);
    let mut pack = HandPack::new(&repository);
    pack.plain(&[&long]);
    pack.plain(&[&nights[0]]);
    for depth in 1..nights.len() {
        pack.delta(&nights[depth], depth as u8, &[whole(&long), whole(&nights[depth - 1])]);
    }
    pack.put();
    let reader = reader(&repository);
    let id = |night: usize| id_of(&repository, &nights[night]);
    assert!(reader.chunk(&id(8)).unwrap() == nights[8]);
    // A new reader knows nothing yet, and goes all the way down.
    let error = self::reader(&repository).chunk(&id(30)).unwrap_err().to_string();
    assert!(error.contains("bytes of memory"), "{error}");
    // Whoever codes against such a chunk would make it worse, whatever is in the cache.
    assert!(reader.chunk(&id(16)).unwrap() == nights[16]);
    let error = reader.chunk_with_depth(&id(16)).map(|(_, depth)| depth).unwrap_err();
    assert!(matches!(error, StoreError::CostlyChain { .. }), "{error}");
    assert_eq!(reader.chunk_with_depth(&id(6)).unwrap().1, 6);
}

#[test]
fn a_block_of_several_bases_takes_its_parts_of_each() {
    let (_, repository) = repository();
    let [a, b, c] = [1, 2, 3].map(|seed| noise(2000, seed));
    let part = |chunk, skip, len| Part { chunk, skip, len };
    let whole_of = |parts: &[Part<'_>]| {
        parts.iter().flat_map(|p| &p.chunk[p.skip..p.skip + p.len]).copied().collect::<Vec<u8>>()
    };
    let mut pack = HandPack::new(&repository);
    pack.plain(&[&a, &b]);
    pack.plain(&[&c]);
    // Neighbours in one block; the same block the other way round; of two blocks; and of one twice.
    let lists = [
        vec![part(&a, 500, 1500), part(&b, 0, 700)],
        vec![part(&b, 0, 700), part(&a, 500, 1500)],
        vec![part(&b, 1000, 1000), part(&c, 0, 10), part(&a, 0, 2000)],
        vec![part(&c, 5, 900), part(&c, 5, 900), part(&a, 1999, 1), part(&b, 0, 1)],
    ];
    let raw: Vec<Vec<u8>> = lists.iter().map(|list| edited(&whole_of(list), 5)).collect();
    for (list, raw) in lists.iter().zip(&raw) {
        pack.delta(raw, 1, list);
    }
    // More of a chunk than there is.
    let beyond = [whole(&c), part(&a, 0, 2000), part(&b, 0, 9)].map(|part| part.chunk);
    let mut coded = Vec::new();
    restow::codec::compress_against(3, &beyond.concat(), &noise(70, 9), &mut coded).unwrap();
    let past = Base { name: BaseId::of(&id_of(&repository, &c)), skip: 1, len: 2000 };
    pack.coded(&noise(70, 9), 1, &[past], coded);
    pack.put();
    let reader = reader(&repository);
    for raw in &raw {
        assert!(reader.chunk(&id_of(&repository, raw)).unwrap() == *raw);
    }
    let error = reader.chunk(&id_of(&repository, &noise(70, 9))).unwrap_err();
    assert!(
        matches!(error, StoreError::WrongLength { expected: 2001, found: 2000, .. }),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is coded against whatever lies below it, and however often: it comes back.
    #[test]
    fn any_web_of_bases_restores(
        seed in 0u64..1000,
        limit in 1u8..=64,
        links in prop::collection::vec((any::<u16>(), any::<u16>(), any::<u16>(), 1usize..4), 1..60),
        packs in 1usize..5,
    ) {
        let (_, repository) = repository();
        let mut made: Vec<(Vec<u8>, u8)> = vec![(noise(900, seed), 0), (noise(700, seed + 1), 0)];
        let mut pack = HandPack::new(&repository);
        pack.plain(&[&made[0].0, &made[1].0]);
        for (number, (from, skip, len, bases)) in links.into_iter().enumerate() {
            let mut parts = Vec::new();
            let mut depth = 0;
            for base in 0..bases {
                let (chunk, below) = &made[(from as usize + base * 31) % made.len()];
                if *below >= limit {
                    continue;
                }
                let skip = skip as usize % chunk.len();
                let len = (1 + len as usize % 900).min(chunk.len() - skip);
                depth = depth.max(below + 1);
                parts.push(Part { chunk, skip, len });
            }
            let mut raw: Vec<u8> = parts.iter().flat_map(|p| &p.chunk[p.skip..p.skip + p.len]).copied().collect();
            raw.extend(noise(20, 5000 + number as u64));
            match depth {
                0 => pack.plain(&[&raw]),
                _ => pack.delta(&raw, depth, &parts),
            }
            made.push((raw, depth));
            if number % packs == 0 {
                pack.put();
                pack = HandPack::new(&repository);
                pack.plain(&[&noise(30, 9000 + number as u64)]);
            }
        }
        pack.put();
        let names: Vec<String> = (0..made.len()).map(|number| format!("{number:03}")).collect();
        let chunks: Vec<[&[u8]; 1]> = made.iter().map(|(bytes, _)| [bytes.as_slice()]).collect();
        let files: Vec<(&str, &[&[u8]])> =
            names.iter().zip(&chunks).map(|(name, chunk)| (name.as_str(), chunk.as_slice())).collect();
        let id = commit(&repository, &files);
        let restored = restore_to_memory(&repository, id).contents();
        for (name, (bytes, _)) in names.iter().zip(&made) {
            prop_assert!(restored[&path(name)] == *bytes, "{}", name);
        }
        prop_assert!(checked(&repository, true).is_clean());
    }
}
