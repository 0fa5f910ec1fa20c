//! Streams of real bytes, cut as streams are, and what their changed chunks are said to be coded against.

use std::collections::HashMap;

use super::*;
use crate::chunk::{ChunkSizes, Cutter, GEAR_BYTES, chunk_id, end_fingerprint};
use crate::codec::compress_against;

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Chunks of 4 KiB, and where each starts.
fn cut(bytes: &[u8]) -> Vec<(usize, ChunkRef)> {
    let mut gear = [0; GEAR_BYTES];
    gear.copy_from_slice(&noise(GEAR_BYTES, 0));
    let cutter = Cutter::new(ChunkSizes { min: 1024, avg: 4096, max: 16_384 }, &gear).unwrap();
    let (mut chunks, mut start) = (Vec::new(), 0);
    while let Some(found) = cutter.cut(&bytes[start..], true) {
        let raw = &bytes[start..start + found.len];
        let (id, end) = (chunk_id(&[1; 32], raw), end_fingerprint(&[2; 32], raw));
        chunks.push((start, ChunkRef { id, len: found.len as u32, cut: found.kind, end }));
        start += found.len;
    }
    chunks
}

/// A chunk of the new stream, what it was said to be coded against, and what that comes to.
struct Followed {
    new: Range<usize>,
    aligned: Aligned,
    /// Where that stood.
    was: Vec<Range<usize>>,
    base: Vec<u8>,
    coded: usize,
}

impl Followed {
    fn rate(&self) -> f64 {
        self.coded as f64 / self.new.len() as f64
    }
}

fn follow(old: &[u8], new: &[u8]) -> Vec<Followed> {
    let old_chunks = cut(old);
    let places: HashMap<_, _> =
        old_chunks.iter().rev().map(|(start, chunk)| (chunk.id, *start)).collect();
    let refs: Vec<ChunkRef> = old_chunks.iter().map(|(_, chunk)| *chunk).collect();
    let mut aligner = Aligner::new(OldStream::new(Box::new(refs.into_iter())));
    let follow = |(start, chunk): (usize, ChunkRef)| {
        let aligned = aligner.next(&chunk);
        let (mut was, mut base, mut out) = (Vec::new(), Vec::new(), Vec::new());
        for piece in &aligned.base {
            let from = places[&piece.id] + piece.skip as usize;
            was.push(from..from + piece.len as usize);
            base.extend_from_slice(&old[from..from + piece.len as usize]);
        }
        let new_range = start..start + chunk.len as usize;
        compress_against(3, &base, &new[new_range.clone()], &mut out).unwrap();
        assert_eq!(aligned.is_old, places.contains_key(&chunk.id));
        Followed { new: new_range, aligned, was, base, coded: out.len() }
    };
    cut(new).into_iter().map(follow).collect()
}

fn changed(followed: &[Followed]) -> impl Iterator<Item = &Followed> {
    followed.iter().filter(|it| !it.aligned.is_old)
}

/// Coded bytes of what changed, as a part of its raw bytes.
fn rate<'f>(changed: impl Iterator<Item = &'f Followed>) -> f64 {
    let sums = changed.fold((0, 0), |(c, r), it| (c + it.coded, r + it.new.len()));
    sums.0 as f64 / sums.1 as f64
}

/// Four other bytes in every 1500: no chunk stays, most ends do.
fn touched(bytes: &[u8]) -> Vec<u8> {
    let mut touched = bytes.to_vec();
    for (number, part) in touched.chunks_mut(1500).enumerate() {
        let at = part.len() / 2;
        let with = noise(4, number as u64);
        part.iter_mut().skip(at).zip(with).for_each(|(byte, with)| *byte ^= with);
    }
    touched
}

#[test]
fn an_unchanged_stream_is_all_old() {
    for old in [noise(300_000, 1), vec![0; 300_000], Vec::new()] {
        let followed = follow(&old, &old);
        assert!(followed.iter().all(|it| it.aligned.is_old && it.aligned.base.is_empty()));
    }
}

/// An insertion, a deletion, a rewrite: the base is exactly what stood between the same two cuts.
#[test]
fn a_changed_chunks_base_is_what_stood_in_its_place() {
    let old = noise(300_000, 1);
    let old_chunks = cut(&old);
    for (gone, come) in [(0, 30), (30, 0), (25, 25), (100, 0), (1, 3)] {
        let (mut all, mut exact) = (Vec::new(), 0);
        for at in (5000..290_000).step_by(9973) {
            let mut new = old.clone();
            drop(new.splice(at..at + gone, noise(come, 2)));
            for it in follow(&old, &new).into_iter().filter(|it| !it.aligned.is_old) {
                let was = it.new.start..it.new.end + gone - come;
                let same = |(start, chunk): &(usize, ChunkRef)| {
                    *start == was.start && start + chunk.len as usize == was.end
                };
                if was.contains(&at) && old_chunks.iter().any(same) {
                    assert!(it.base == old[was], "{at}: {gone} for {come}");
                    exact += 1;
                }
                all.push(it);
            }
        }
        let found = rate(all.iter());
        assert!(exact > 20 && found < 0.05, "{gone} for {come}: {exact} exact, {found}");
    }
}

#[test]
fn a_piece_moved_within_its_chunk_costs_next_to_nothing() {
    let old = noise(300_000, 1);
    let mut whole = 0;
    for (start, chunk) in cut(&old).iter().filter(|(_, chunk)| chunk.len > 3000) {
        let mut new = old.clone();
        let end = start + chunk.len as usize;
        new[start + 200..end - 200].rotate_left(700);
        let followed = follow(&old, &new);
        // Where it was not cut otherwise by that.
        for it in followed.iter().filter(|it| it.new == (*start..end)) {
            assert!(it.base == old[it.new.clone()] && it.rate() < 0.05, "{start}");
            whole += 1;
        }
    }
    assert!(whole > 20, "{whole}");
}

#[test]
fn many_small_edits_everywhere_are_followed() {
    let old = noise(1_000_000, 1);
    let (mut new, mut at) = (Vec::new(), 0);
    for number in 0..400usize {
        let next = at + 2000 + number * 7 % 997;
        new.extend_from_slice(&old[at..next]);
        new.extend(noise(number % 20, number as u64));
        at = next + number * 3 % 25;
    }
    let followed = follow(&old[..at], &new);
    assert!(changed(&followed).count() > 150);
    let found = rate(changed(&followed));
    assert!(found < 0.05, "{found}");
}

/// Another byte before every cut: no chunk ends as one did.
fn blurred(bytes: &[u8]) -> Vec<u8> {
    let mut blurred = bytes.to_vec();
    cut(bytes).iter().skip(1).for_each(|(start, _)| blurred[start - 10] ^= 1);
    blurred
}

/// Chunks that are like some far away, or the same as they, in the place of others: what follows them is
/// found where it was, whether anchors say so or not.
#[test]
fn a_copy_from_far_away_moves_nothing_behind_it() {
    let old = noise(600_000, 1);
    let chunks = cut(&old);
    let nth_from = |place: usize| chunks.iter().position(|(start, _)| *start > place).unwrap();
    let (here, there) = (nth_from(100_000), nth_from(400_000));
    let gone = chunks[here].0..chunks[here + 1].0;
    for (tail, most) in [(touched(&old), 0.25), (blurred(&old), 0.7)] {
        for (count, is_changed) in [(1, false), (1, true), (2, false), (2, true)] {
            let mut copy = old[chunks[there].0..chunks[there + count].0].to_vec();
            let half = copy.len() / 2;
            copy[half] ^= u8::from(is_changed);
            let new = [&old[..gone.start], &copy, &tail[gone.end..]].concat();
            let behind = gone.start + copy.len();
            let followed = follow(&old, &new);
            let next = || changed(&followed).filter(|it| it.new.start >= behind).take(6);
            let found = rate(next());
            assert!(found < most, "{count}, {is_changed}: {found}, {most}");
            let bounded = |it: &Followed| it.base.len() < 2 * (it.new.len() + NEAR as usize);
            assert!(next().all(bounded), "{count}, {is_changed}");
        }
    }
}

#[test]
fn a_jump_stays_believed_where_nothing_speaks_for_it_any_more() {
    let (old, come) = (noise(600_000, 1), noise(100_000, 2));
    let new = [&old[..200_000], &come, &touched(&old)[200_000..260_000], &blurred(&old)[260_000..]];
    let followed = follow(&old, &new.concat());
    let late = changed(&followed).filter(|it| it.new.start >= 360_000).skip(12);
    let late: Vec<_> = late.collect();
    let found = rate(late.iter().copied());
    assert!(late.len() > 30 && found < 0.5, "{} chunks, {found}", late.len());
}

/// More than 16 KiB come in, go, or change places, and nothing behind them is as it was: from the second
/// anchor on, the new place is believed.
#[test]
fn a_jump_is_followed_after_its_second_anchor() {
    let old = noise(1_000_000, 1);
    let (a, b, c) = (&old[..200_000], &old[200_000..300_000], &old[300_000..]);
    let news = [
        ("insertion", [a, &noise(100_000, 2), &touched(b), &touched(c)].concat(), 300_000),
        ("deletion", [a, &touched(c)].concat(), 200_000),
        ("move back", [a, &touched(c), &touched(b)].concat(), 200_000),
        ("move forth", [&touched(c), a].concat(), 0),
    ];
    for (what, new, jump) in news {
        let followed = follow(&old, &new);
        let moved = followed.iter().filter(|it| it.new.start >= jump).skip(8);
        let moved = moved.filter(|it| !it.aligned.is_old && it.new.end < jump + 600_000);
        let moved: Vec<_> = moved.collect();
        let found = rate(moved.iter().copied());
        assert!(moved.len() > 90 && found < 0.05, "{what}: {} chunks, {found}", moved.len());
    }
}

/// An edit that also takes away the end of its chunk: what comes next, and ends as it did, begins where the new
/// shift says.
#[test]
fn a_chunk_behind_a_lost_anchor_has_its_old_self_as_base() {
    let old = noise(300_000, 1);
    let chunks = cut(&old);
    let mut found = 0;
    for (start, _) in &chunks[2..chunks.len() - 4] {
        for (gone, come) in [(3000, 0), (0, 3000), (9000, 0), (0, 9000)] {
            let (from, to) = (start - 40, start - 40 + gone);
            let new = [&old[..from], &noise(come, 2), &touched(&old[to..])].concat();
            for it in follow(&old, &new).iter().filter(|it| it.new.start > from + come) {
                let true_place = it.new.start + gone - come..it.new.end + gone - come;
                // Where its end was found.
                if it.was.last().is_some_and(|was| was.end == true_place.end) {
                    assert!(it.was[0].start <= true_place.start + SLACK as usize, "{gone} {come}");
                    found += 1;
                }
            }
        }
    }
    assert!(found > 5000, "{found}");
}

/// The cut nearest to where a short chunk should end is the one it begins at.
#[test]
fn a_stream_that_shrinks_to_less_than_the_slack_has_a_base() {
    let old = noise(900, 1);
    for len in [50, 100, 300, 600, 899] {
        let [it] = &follow(&old, &old[..len])[..] else { panic!("{len} bytes in several chunks") };
        assert!(it.base.len() >= len && it.coded < 30, "{len}: {:?}", it.aligned);
    }
}

proptest::proptest! {
    /// References of few ids and few ends, as a hostile parent may have: bounded, and no panic.
    #[test]
    fn any_references_give_bounded_pieces(
        old in proptest::collection::vec((0u8..6, 1u32..200_000, 0u8..3), 0..60),
        new in proptest::collection::vec((0u8..9, 1u32..200_000, 0u8..4), 0..60),
    ) {
        let chunk = |(id, len, end): (u8, u32, u8)| {
            let cut = [CutKind::Content, CutKind::Forced, CutKind::End][usize::from(id) % 3];
            ChunkRef { id: crate::id::ChunkId::new([id; 32]), len, cut, end: [end; 4] }
        };
        let refs: Vec<ChunkRef> = old.into_iter().map(chunk).collect();
        let mut aligner = Aligner::new(OldStream::new(Box::new(refs.clone().into_iter())));
        for new in new.into_iter().map(chunk) {
            let Aligned { is_old, base } = aligner.next(&new);
            assert!(!is_old || base.is_empty());
            let sum: u64 = base.iter().map(|piece| u64::from(piece.len)).sum();
            assert!(sum <= crate::limits::BLOCK_RAW_MAX as u64);
            for piece in base {
                let fits = |of: &ChunkRef| of.id == piece.id && piece.skip + piece.len <= of.len;
                assert!(piece.len > 0 && refs.iter().any(fits));
            }
        }
    }
}
