//! A stream as the parent snapshot has it: its recipe, a bounded window of it at a time.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use crate::cut::CutKind;
use crate::format::ChunkRef;
use crate::id::ChunkId;
use crate::limits::BLOCK_RAW_MAX;

/// Part of an old chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub id: ChunkId,
    pub skip: u32,
    pub len: u32,
}

/// Where the references come from.
pub trait OldRefs: Send {
    /// The next reference, `None` at the end or where the recipe cannot be read on.
    fn next_old(&mut self) -> Option<ChunkRef>;
}

impl OldRefs for std::vec::IntoIter<ChunkRef> {
    fn next_old(&mut self) -> Option<ChunkRef> {
        Iterator::next(self)
    }
}

/// References looked at together: 2 GiB of stream at the usual chunk size, some 4 MiB of memory.
const WINDOW: usize = 32 * 1024;

/// A window of the old stream's references, found by place, by id and by how they end.
pub struct OldStream {
    refs: Box<dyn OldRefs>,
    window: VecDeque<(i64, ChunkRef)>,
    /// Where the window ends in the old stream.
    end: i64,
    is_read: bool,
    by_id: HashMap<ChunkId, Vec<i64>>,
    by_end: HashMap<([u8; 4], CutKind), Vec<i64>>,
}

impl OldStream {
    pub fn new(refs: Box<dyn OldRefs>) -> Self {
        let (by_id, by_end) = Default::default();
        Self { refs, window: VecDeque::new(), end: 0, is_read: false, by_id, by_end }
    }

    /// Moves the window so that `place` is in it, with as much before as after it, where there is so much.
    pub fn show(&mut self, place: i64) {
        while !self.is_read {
            if self.window.len() < WINDOW {
                self.read();
            } else if self.window.get(WINDOW / 2).is_some_and(|(start, _)| *start < place) {
                self.forget_half();
            } else {
                return;
            }
        }
    }

    fn read(&mut self) {
        let Some(chunk) = self.refs.next_old() else {
            self.is_read = true;
            return;
        };
        self.window.push_back((self.end, chunk));
        self.end += i64::from(chunk.len);
        self.enter(&chunk, self.end);
    }

    fn enter(&mut self, chunk: &ChunkRef, end: i64) {
        self.by_id.entry(chunk.id).or_default().push(end);
        self.by_end.entry((chunk.end, chunk.cut)).or_default().push(end);
    }

    fn forget_half(&mut self) {
        self.window.drain(..WINDOW / 2);
        self.by_id.clear();
        self.by_end.clear();
        for at in 0..self.window.len() {
            if let Some((start, chunk)) = self.window.get(at).copied() {
                self.enter(&chunk, start + i64::from(chunk.len));
            }
        }
    }

    /// Where chunks with this id end.
    pub fn ends_of(&self, id: &ChunkId) -> &[i64] {
        self.by_id.get(id).map_or(&[], Vec::as_slice)
    }

    /// Where chunks end that were cut for the same reason behind the same bytes.
    pub fn ends_like(&self, chunk: &ChunkRef) -> &[i64] {
        self.by_end.get(&(chunk.end, chunk.cut)).map_or(&[], Vec::as_slice)
    }

    /// An end of a range that may be off by `slack`: where a chunk ends, if one does so near, or else with the
    /// slack. Fewer chunks are then touched, and every one is another link to follow.
    pub fn snapped(&self, place: i64, slack: i64) -> i64 {
        let after = self.window.partition_point(|(start, _)| *start < place);
        let starts = after.checked_sub(1).into_iter().chain([after]);
        let starts = starts.filter_map(|at| self.window.get(at).map(|(start, _)| *start));
        let near = starts.chain([self.end]).min_by_key(|start| start.abs_diff(place));
        near.filter(|start| start.abs_diff(place) <= slack.unsigned_abs()).unwrap_or(place + slack)
    }

    /// The chunks that these ranges of the old stream consist of, in their order, without repetition, and not
    /// more than a block may have as base.
    pub fn pieces(&self, ranges: &[Range<i64>]) -> Vec<Piece> {
        let mut room = BLOCK_RAW_MAX as u64;
        let mut pieces: Vec<Piece> = Vec::new();
        for range in apart(ranges) {
            let before = self
                .window
                .partition_point(|(start, chunk)| start + i64::from(chunk.len) <= range.start);
            for (start, chunk) in self.window.iter().skip(before) {
                let (from, to) =
                    (range.start.max(*start), (*start + i64::from(chunk.len)).min(range.end));
                let Ok(len) = u32::try_from(to - from) else { break };
                if len == 0 || u64::from(len) > room {
                    break;
                }
                room -= u64::from(len);
                // Within the chunk, so within 4 MiB.
                let skip = u32::try_from(from - start).unwrap_or(0);
                pieces.push(Piece { id: chunk.id, skip, len });
            }
        }
        pieces
    }
}

/// Two ranges as they are, or as one where they overlap.
fn apart(ranges: &[Range<i64>]) -> Vec<Range<i64>> {
    match ranges {
        [a, b] if a.start <= b.end && b.start <= a.end => {
            let both = a.start.min(b.start)..a.end.max(b.end);
            Vec::from([both])
        }
        _ => ranges.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MIB;

    fn chunk(number: usize, len: u32) -> ChunkRef {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        let end = (number as u32).to_le_bytes();
        ChunkRef { id: ChunkId::new(id), len, cut: CutKind::Content, end }
    }

    fn range(start: i64, end: i64) -> Range<i64> {
        start..end
    }

    fn stream(count: usize, len: u32) -> OldStream {
        let refs: Vec<ChunkRef> = (0..count).map(|number| chunk(number, len)).collect();
        OldStream::new(Box::new(refs.into_iter()))
    }

    #[test]
    fn a_window_slides_over_a_recipe_longer_than_it_and_holds_no_more() {
        let (count, len) = (4 * WINDOW + 7, 100);
        let mut old = stream(count, len);
        for number in 0..count {
            let (start, wanted) = ((number as i64) * 100, chunk(number, len));
            old.show(start + 100);
            assert!(old.window.len() <= WINDOW && old.by_id.len() <= WINDOW, "{number}");
            assert_eq!(old.ends_of(&wanted.id), [start + 100], "{number}");
            assert_eq!(old.ends_like(&wanted), [start + 100], "{number}");
            let pieces = old.pieces(&[range(start + 10, start + 90)]);
            assert_eq!(pieces, [Piece { id: wanted.id, skip: 10, len: 80 }], "{number}");
        }
        // What it has left behind is not found, and nothing else in its place.
        assert_eq!(old.ends_of(&chunk(0, len).id), [0; 0]);
        assert_eq!(old.pieces(&[range(0, 1000)]), []);
    }

    #[test]
    fn what_lies_half_a_window_ahead_is_in_sight() {
        let mut old = stream(3 * WINDOW, 100);
        for place in [0, WINDOW, 2 * WINDOW] {
            old.show(place as i64 * 100);
            let ahead = place + WINDOW / 2 - 1;
            assert_eq!(old.ends_of(&chunk(ahead, 100).id), [(ahead as i64 + 1) * 100]);
        }
    }

    #[test]
    fn pieces_are_no_more_than_a_block_may_have_as_base_and_overlap_nowhere() {
        let len = 3 * MIB as u32 + 1;
        let mut old = stream(10, len);
        old.show(0);
        let all = 10 * i64::from(len);
        for ranges in [
            vec![range(0, all)],
            vec![range(-5, all + 5)],
            vec![0..5, 3..all],
            vec![7..i64::from(len) + 7, all - 9..all],
            vec![0..all, 100..200],
            vec![range(200, 100), -50..-20],
            vec![range(all, all + 100)],
        ] {
            let pieces = old.pieces(&ranges);
            let sum: usize = pieces.iter().map(|piece| piece.len as usize).sum();
            assert!(sum <= BLOCK_RAW_MAX, "{ranges:?}");
            assert!(pieces.iter().all(|it| it.len > 0 && it.skip + it.len <= len), "{ranges:?}");
            for (number, a) in pieces.iter().enumerate() {
                let apart =
                    |b: &&Piece| b.id == a.id && b.skip < a.skip + a.len && a.skip < b.skip + b.len;
                assert_eq!(pieces.iter().skip(number + 1).find(apart), None, "{ranges:?}");
            }
        }
        assert_eq!(old.pieces(&[range(200, 100)]), []);
    }

    #[test]
    fn a_place_near_a_cut_is_that_cut() {
        let mut old = stream(10, 1000);
        old.show(0);
        assert_eq!(old.snapped(2950, 100), 3000);
        assert_eq!(old.snapped(3050, -100), 3000);
        assert_eq!(old.snapped(3500, -100), 3400);
        assert_eq!(old.snapped(3500, 100), 3600);
        assert_eq!(old.snapped(10_020, 100), 10_000);
    }
}
