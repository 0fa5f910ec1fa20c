//! The aligner's answers to made-up references, place by place.

use super::*;
use crate::id::ChunkId;

/// Chunks of the old stream: the n-th has the id and the end n, and this length.
const LEN: u32 = 8000;

/// A chunk with that id; its end stands in the old stream if it is one of there.
fn chunk(id: u16, end: u16, len: u32) -> ChunkRef {
    let mut name = [0; 32];
    name[..2].copy_from_slice(&id.to_le_bytes());
    let [a, b] = end.to_le_bytes();
    ChunkRef { id: ChunkId::new(name), len, cut: CutKind::Content, end: [a, b, 0, 0] }
}

fn old(number: u16) -> ChunkRef {
    chunk(number, number, LEN)
}

/// Neither its id nor its end was ever seen; each is another one.
fn unknown(number: u16, len: u32) -> ChunkRef {
    chunk(10_000 + number, 10_000 + number, len)
}

/// Its id is new, its end is that of the old chunk.
fn changed(number: u16, len: u32) -> ChunkRef {
    chunk(20_000 + number, number, len)
}

struct Stream {
    refs: Vec<ChunkRef>,
    aligner: Aligner,
}

fn stream(refs: Vec<ChunkRef>, with: fn(OldStream) -> Aligner) -> Stream {
    let aligner = with(OldStream::new(Box::new(refs.clone().into_iter())));
    Stream { refs, aligner }
}

/// A hundred chunks that are all different.
fn hundred() -> Stream {
    stream((0..100).map(old).collect(), Aligner::new)
}

impl Stream {
    /// Where the base of the next chunk stands in the old stream: pieces side by side are one.
    fn next(&mut self, chunk: ChunkRef) -> Vec<Range<u32>> {
        let aligned = self.aligner.next(&chunk);
        assert_eq!(aligned.is_old, self.refs.iter().any(|old| old.id == chunk.id));
        let mut ranges: Vec<Range<u32>> = Vec::new();
        for piece in aligned.base {
            let before = self.refs.iter().take_while(|old| old.id != piece.id);
            let start = before.map(|old| old.len).sum::<u32>() + piece.skip;
            match ranges.last_mut() {
                Some(last) if last.end == start => last.end += piece.len,
                _ => ranges.push(start..start + piece.len),
            }
        }
        ranges
    }

    fn skip(&mut self, old: impl IntoIterator<Item = u16>) {
        for number in old {
            assert_eq!(self.next(self::old(number)), []);
        }
    }
}

fn piece(start: u32, end: u32) -> Range<u32> {
    start..end
}

fn whole(number: u32) -> Range<u32> {
    piece(number * LEN, (number + 1) * LEN)
}

#[test]
fn between_two_anchors_the_base_is_exact() {
    let mut stream = hundred();
    stream.skip(0..3);
    assert_eq!(stream.next(changed(3, LEN + 100)), [whole(3)]);
    assert_eq!(stream.next(changed(4, LEN - 700)), [whole(4)]);
}

#[test]
fn behind_a_lost_anchor_the_base_begins_at_the_cut_that_is_near() {
    let mut stream = hundred();
    stream.skip(0..3);
    assert_eq!(stream.next(unknown(0, LEN + 100)), [whole(3)]);
    assert_eq!(stream.next(unknown(1, LEN)), [whole(4)]);
    // Far from any cut the slack is taken with it.
    let end = 5 * LEN + LEN / 2 + 100 + 2048;
    assert_eq!(stream.next(unknown(2, LEN / 2)), [piece(5 * LEN, end)]);
}

/// A forced cut says nothing about content: its end is no anchor, not even for another such.
#[test]
fn the_end_of_a_forced_cut_is_no_anchor() {
    let forced = |chunk: ChunkRef| ChunkRef { cut: CutKind::Forced, ..chunk };
    let refs = |all: Range<u16>| all.map(|n| if n == 3 { forced(old(n)) } else { old(n) });
    let mut stream = stream(refs(0..100).collect(), Aligner::new);
    stream.skip(0..3);
    let base = stream.next(forced(changed(3, LEN - 3000)));
    assert_eq!(base, [piece(3 * LEN, 4 * LEN - 3000 + 2048)]);
    let base = stream.next(changed(4, LEN + 3000));
    assert_eq!(base, [piece(4 * LEN - 3000 - 2048, 5 * LEN)]);
}

#[test]
fn an_end_that_stands_far_away_is_one_of_two_places() {
    let mut stream = hundred();
    stream.skip(0..3);
    assert_eq!(stream.next(changed(60, LEN)), [whole(3), whole(60)]);
    // A second one speaks for the other place.
    assert_eq!(stream.next(changed(61, LEN)), [whole(4), whole(61)]);
    assert_eq!(stream.next(changed(62, LEN)).last(), Some(&whole(62)));
}

#[test]
fn after_a_jump_both_places_count_until_anchors_confirm_the_new_one() {
    let mut stream = hundred();
    stream.skip([0, 1, 2, 60]);
    assert_eq!(stream.next(changed(61, LEN)), [whole(4), whole(61)]);
    assert_eq!(stream.next(changed(62, LEN)), [whole(62)]);
}

#[test]
fn where_nothing_confirms_a_jump_both_places_count_for_some_chunks() {
    let mut stream = hundred();
    stream.skip([0, 1, 2, 60]);
    let both: Vec<usize> = (0..12).map(|n| stream.next(unknown(n, LEN)).len()).collect();
    assert_eq!(both, [2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1]);
}

/// A chunk that is short, or that the old stream has twice, says little: it moves nothing, but is kept in mind.
#[test]
fn a_chunk_that_may_stand_anywhere_moves_nothing() {
    let short = |number: u16| chunk(number, number, 500);
    for (refs, jump) in [
        ((0..50).map(old).chain([short(50)]).chain((51..90).map(old)).collect(), short(50)),
        ((0..90).map(|number| old(if number == 70 { 50 } else { number })).collect(), old(50)),
    ] {
        let mut stream = stream(refs, Aligner::new);
        stream.skip(0..3);
        assert_eq!(stream.next(jump), []);
        let base = stream.next(unknown(0, LEN));
        assert_eq!(base.len(), 2, "the place it was expected at, too: {base:?}");
        let expected = 3 * LEN + jump.len;
        assert!(base[1].start <= expected && base[1].end + 500 >= expected + LEN, "{base:?}");
    }
}

#[test]
fn an_old_stream_is_proven_by_a_chunk_that_can_stand_nowhere_else() {
    let refs = || (0..50u16).map(|number| old(if number == 40 { 7 } else { number })).collect();
    let mut proven = stream(refs(), Aligner::unproven);
    proven.skip([0]);
    assert_eq!(proven.next(unknown(0, LEN)), [whole(1)]);
    let mut by_its_end = stream(refs(), Aligner::unproven);
    assert_eq!(by_its_end.next(changed(0, LEN)), [whole(0)]);

    let mut nothing = stream(refs(), Aligner::unproven);
    assert_eq!(nothing.next(unknown(0, LEN)), []);
    let mut twice = stream(refs(), Aligner::unproven);
    assert_eq!(twice.next(unknown(0, 7 * LEN)), []);
    twice.skip([7]);
    assert_eq!(twice.next(unknown(1, LEN)), [], "it is there twice");
    let short = vec![chunk(0, 0, 500), old(1), old(2)];
    let mut short = stream(short, Aligner::unproven);
    assert_eq!(short.next(chunk(0, 0, 500)), []);
    assert_eq!(short.next(unknown(0, LEN)), [], "it is short");
}
