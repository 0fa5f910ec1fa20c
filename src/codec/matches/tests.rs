//! What a search finds, and that it tells the truth.

use proptest::prelude::*;

use super::*;

/// What the sequences say, taken from the base.
fn told(base: &[u8], raw: &[u8], sequences: &[Sequence]) -> Vec<u8> {
    let mut all = base.to_vec();
    for Sequence { literals, length, offset } in sequences {
        let at = all.len() - base.len();
        all.extend_from_slice(&raw[at..at + literals]);
        for _ in 0..*length {
            all.push(all[all.len() - offset]);
        }
    }
    let at = all.len() - base.len();
    all.extend_from_slice(&raw[at..]);
    all.split_off(base.len())
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn rows(count: usize, seed: u64) -> Vec<u8> {
    let draws = noise(8 * count, seed);
    let row = |(number, draw): (usize, &[u8; 8])| {
        format!(
            "({number},'customer {}','paid',{}),\n",
            draw[0],
            u16::from_le_bytes([draw[1], draw[2]])
        )
    };
    draws.as_chunks().0.iter().enumerate().map(row).collect::<String>().into_bytes()
}

#[test]
fn one_change_takes_one_sequence_more() {
    let base = noise(100_000, 1);
    let mut raw = base.clone();
    raw[50_000] ^= 1;
    let mut finder = Finder::default();
    let one = Sequence { literals: 0, length: 50_000, offset: 100_000 };
    let two = Sequence { literals: 1, length: 49_999, offset: 100_000 };
    assert_eq!(finder.find(&base, &raw).unwrap(), [one, two]);
    // A finder knows nothing of what it saw before.
    assert_eq!(finder.find(&base, &raw).unwrap(), [one, two]);
    assert_eq!(finder.find(&noise(100_000, 2), &raw), None);
}

#[test]
fn what_came_in_or_went_costs_no_more_than_itself() {
    let base = noise(100_000, 1);
    let with = [&base[..30_000], &noise(200, 3), &base[30_000..60_000], &base[60_300..]].concat();
    let mut finder = Finder::default();
    let found = finder.find(&base, &with).unwrap();
    let literals: usize = found.iter().map(|it| it.literals).sum();
    assert_eq!((found.len(), literals), (3, 200), "{found:?}");
    assert_eq!(told(&base, &with, found), with);
}

#[test]
fn what_is_too_short_or_strange_is_left_alone() {
    let mut finder = Finder::default();
    let base = noise(1000, 1);
    assert_eq!(finder.find(&base, &[]), None);
    assert_eq!(finder.find(&base, &base[..100]), None);
    assert_eq!(finder.find(&base[..100], &base), None);
    assert_eq!(finder.find(&[], &[]), None);
}

/// Of such bytes a search by steps sees little: what it passes counts, not where it looked.
#[test]
fn what_is_half_strange_is_left_alone() {
    let half = |seed| [noise(64_000, 5), noise(64_000, seed)].concat();
    assert_eq!(Finder::default().find(&half(1), &half(2)), None);
    let little = |seed| [noise(64_000, 5), noise(3000, seed)].concat();
    assert!(Finder::default().find(&little(1), &little(2)).is_some());
}

/// Records that are the same but for a number and a byte, as indexes and tables of versions are. Every fortieth
/// has another number the night after.
fn records(len: usize) -> [Vec<u8>; 2] {
    let (count, mut old, mut new) = (80_000 / len, Vec::new(), Vec::new());
    let kinds = noise(count, 4);
    for (number, kind) in kinds.iter().enumerate() {
        let mut record = vec![0; len];
        [record[0], record[4]] = [4 + kind % 2, 1];
        let last = record.last_chunk_mut().unwrap();
        *last = (number as u32).to_le_bytes();
        old.extend_from_slice(&record);
        if number % 40 == 20 {
            record[len - 4] ^= 0x55;
            record[len - 3] ^= 0xaa;
        }
        new.extend_from_slice(&record);
    }
    [old, new]
}

/// Once another record was taken for the right one, at its shift every record matches, but for a
/// byte or two: that cost a sequence for each of them, to the end of the table.
#[test]
fn records_that_are_nearly_alike_are_told_apart() {
    for len in [8, 12, 13, 16, 20, 24, 40] {
        let [old, new] = records(len);
        let changed = new.len() / len / 40;
        // Also where the base begins and ends somewhere else, by some records or not.
        for (before, behind) in
            [(0, 0), (256 * len, 0), (0, 256 * len), (256 * len, 3000), (5000, 777)]
        {
            let base = [&records(len)[1][..before], &old, &noise(behind, 7)].concat();
            let mut finder = Finder::default();
            let found = finder.find(&base, &new).unwrap();
            assert_eq!(told(&base, &new, found), new);
            let (count, most) = (found.len(), 2 * changed + 20);
            assert!(count < most, "{len} {before} {behind}: {count} for {changed} changes");
        }
    }
}

proptest! {
    #[test]
    fn sequences_tell_what_was_searched(
        kind in 0usize..3,
        len in 128usize..30_000,
        edits in prop::collection::vec((any::<usize>(), any::<usize>(), 0usize..300, 0usize..4), 0..40),
    ) {
        let base = match kind {
            0 => noise(len, 1),
            1 => rows(len / 30, 2),
            _ => vec![7; len],
        };
        let mut raw = base.clone();
        for (at, from, len, what) in edits {
            let at = at % (raw.len() + 1);
            let from = from % (base.len() + 1);
            let piece = base[from..(from + len).min(base.len())].to_vec();
            let end = (at + len).min(raw.len());
            match what {
                0 => drop(raw.drain(at..end)),
                1 => drop(raw.splice(at..at, piece)),
                2 => drop(raw.splice(at..end, noise(len, at as u64))),
                _ => raw[at..end].fill(0),
            }
        }
        let mut finder = Finder::default();
        if let Some(found) = finder.find(&base, &raw) {
            prop_assert_eq!(told(&base, &raw, found), raw.clone());
            let [near, far] = [NEAR_MIN, FAR_MIN];
            prop_assert!(found.iter().all(|it| it.length >= near.min(far) && it.offset > 0));
        }
    }
}
