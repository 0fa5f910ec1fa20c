//! Where the bytes of a new chunk stood in the old stream: base choice by position (docs/DELTAS.md).
//!
//! Pure: a window of the old recipe and the new cuts in, base ranges out. A wrong answer costs space only:
//! whatever a chunk is coded against, it decodes to itself.

use std::ops::Range;

use crate::cut::CutKind;
use crate::format::ChunkRef;

use super::old_stream::{OldStream, Piece};

/// What the old stream says of a new chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aligned {
    /// The old stream has this very chunk.
    pub is_old: bool,
    /// What it is best coded against if it must be stored, in this order; nothing where the old stream has
    /// nothing there.
    pub base: Vec<Piece>,
}

/// An anchor this near to where it was expected is believed at once; one further off may be another
/// occurrence of the same bytes.
const NEAR: u64 = 16 * 1024;
/// How far a chunk without an anchor may have moved.
const SLACK: i64 = 2 * 1024;
/// For so many chunks another shift stays possible without an anchor that speaks for it.
const DOUBT: u8 = 8;
/// A chunk shorter than this says little about where it is: it may stand anywhere.
const TELLING: u32 = 1024;

/// Follows a stream, chunk by chunk, beside its old self.
pub struct Aligner {
    old: OldStream,
    /// Where the next chunk starts in the new stream.
    at: i64,
    /// New offset less old offset, as far as is known.
    shift: i64,
    /// Whether the last cut confirmed the shift: then the next chunk's old start is exact.
    exact: bool,
    rival: Option<Rival>,
    /// Whether the old stream is what this one was, as far as is known.
    proven: bool,
}

/// Another shift that some anchor speaks for.
#[derive(Clone, Copy)]
struct Rival {
    shift: i64,
    chunks_left: u8,
}

impl Aligner {
    pub fn new(old: OldStream) -> Self {
        Self { old, at: 0, shift: 0, exact: true, rival: None, proven: true }
    }

    /// Likewise, where the old stream may have nothing to do with the new one: it is no base until some anchor
    /// is where it is expected. What is coded in vain takes as long as what is not.
    pub fn unproven(old: OldStream) -> Self {
        Self { proven: false, ..Self::new(old) }
    }

    /// The next chunk of the new stream.
    pub fn next(&mut self, chunk: &ChunkRef) -> Aligned {
        let new = self.at..self.at + i64::from(chunk.len);
        self.at = new.end;
        self.old.show(new.end - self.shift);
        let ends = self.old.ends_of(&chunk.id);
        if let Some(end) = nearest(ends, new.end - self.shift) {
            let is_telling = ends.len() == 1 && chunk.len >= TELLING;
            self.found_again(new.end - end, is_telling);
            self.proven |= is_telling;
            return Aligned { is_old: true, base: Vec::new() };
        }
        let ranges = self.places(chunk, &new);
        self.proven |= self.exact;
        let base = if self.proven { self.old.pieces(&ranges) } else { Vec::new() };
        Aligned { is_old: false, base }
    }

    /// The chunk stands unchanged in the old stream, `shift` away.
    fn found_again(&mut self, shift: i64, is_telling: bool) {
        if is_telling || shift.abs_diff(self.shift) <= NEAR {
            if shift.abs_diff(self.shift) > NEAR {
                self.rival = Some(Rival { shift: self.shift, chunks_left: DOUBT });
            } else {
                self.confirmed();
            }
            self.shift = shift;
            self.exact = true;
        } else {
            self.rival.get_or_insert(Rival { shift, chunks_left: DOUBT });
            self.exact = false;
        }
    }

    /// Old ranges that the bytes of a changed chunk may come from.
    fn places(&mut self, chunk: &ChunkRef, new: &Range<i64>) -> Vec<Range<i64>> {
        let start = match self.exact {
            true => new.start - self.shift,
            false => self.old.snapped(new.start - self.shift, -SLACK),
        };
        let expected = self.until(start, new.end - self.shift);
        let ends = match chunk.cut {
            CutKind::Forced => &[],
            CutKind::Content | CutKind::End => self.old.ends_like(chunk),
        };
        let Some(end) = nearest(ends, new.end - self.shift) else {
            self.exact = false;
            return self.or_rival(expected, new);
        };
        if end.abs_diff(new.end - self.shift) <= NEAR {
            self.confirmed();
            self.shift = new.end - end;
            // Unless the chunk before confirmed the old shift, the new one may have held from its start on.
            let moved = self.up_to(new.start - self.shift, end).start;
            let start = if self.exact && start < end { start } else { start.min(moved) };
            self.exact = true;
            return self.or_rival(start..end, new);
        }
        let len = new.end - new.start;
        let rival = self.rival.and_then(|rival| {
            let place = nearest(ends, new.end - rival.shift)?;
            (place.abs_diff(new.end - rival.shift) <= NEAR).then_some((rival, place))
        });
        match rival {
            // A second anchor for it: it takes over.
            Some((rival, place)) => {
                let there = self.up_to((new.start - rival.shift).min(place - len), place);
                self.rival = Some(Rival { shift: self.shift, chunks_left: DOUBT });
                self.shift = new.end - place;
                self.exact = true;
                vec![expected, there]
            }
            None => {
                self.rival = Some(Rival { shift: new.end - end, chunks_left: DOUBT });
                self.exact = false;
                vec![expected, self.up_to(end - len, end)]
            }
        }
    }

    /// The place expected, and the one the rival expects, while there is one.
    fn or_rival(&mut self, expected: Range<i64>, new: &Range<i64>) -> Vec<Range<i64>> {
        let Some(mut rival) = self.rival.take() else { return vec![expected] };
        if rival.chunks_left > 0 {
            rival.chunks_left -= 1;
            self.rival = Some(rival);
        }
        let start = self.old.snapped(new.start - rival.shift, -SLACK);
        let there = self.until(start, new.end - rival.shift);
        vec![there, expected]
    }

    /// From `start` to about `place`. Not empty: the cut nearest to a place may be that before it.
    fn until(&self, start: i64, place: i64) -> Range<i64> {
        let end = self.old.snapped(place, SLACK);
        start..if start < end { end } else { place + SLACK }
    }

    /// From about `place` to `end`, likewise.
    fn up_to(&self, place: i64, end: i64) -> Range<i64> {
        let start = self.old.snapped(place, -SLACK);
        (if start < end { start } else { place - SLACK })..end
    }

    /// Another anchor for the shift: the rival is less likely.
    fn confirmed(&mut self) {
        self.rival = self.rival.and_then(|rival| {
            let chunks_left = rival.chunks_left.checked_sub(DOUBT / 2)?;
            Some(Rival { chunks_left, ..rival })
        });
    }
}

/// Of places in ascending order.
fn nearest(ends: &[i64], to: i64) -> Option<i64> {
    let (before, after) = ends.split_at_checked(ends.partition_point(|end| *end < to))?;
    let near = before.last().into_iter().chain(after.first());
    near.copied().min_by_key(|end| end.abs_diff(to))
}

#[cfg(test)]
mod places;
#[cfg(test)]
mod tests;
