//! What of some bytes stands in a base that is nearly the same. zstd finds that too, but it enters every third
//! place of the base into its tables first; here most is found by walking both side by side.

/// Some bytes as they are, then bytes that stand `offset` further back in base and raw bytes, one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    pub literals: usize,
    pub length: usize,
    pub offset: usize,
}

/// Keeps its memory from one search to the next.
#[derive(Default)]
pub(super) struct Finder {
    /// By hash of six bytes: the last place that was entered, and one.
    table: Vec<u32>,
    /// Which pages of the base are entered, byte by byte.
    pages: Vec<bool>,
    sequences: Vec<Sequence>,
}

/// 128 KiB: with a base and what is coded it stays in a core's cache.
const TABLE_BITS: u32 = 15;
/// Of the base every eighth place is entered, of a long one fewer: what is longer is found nearly always.
const STEP: usize = 8;
/// Of so many each stands a byte further on: of records as long as a step it would always be the same byte.
const UNEVEN: usize = 7;
/// Where both differ, the base is entered byte by byte from there on: what was inserted or deleted there is short.
const PAGE: usize = 64;
const PAGES_AHEAD: usize = 9;
/// The shortest match at the shift that stands: its offset takes a bit or two.
const NEAR_MIN: usize = 4;
/// The shortest match elsewhere: its offset takes some 17 bits, about what five bytes take in rows.
const FAR_MIN: usize = 8;
/// A match this long is taken without looking for a better one, and moves the shift.
const LONG: usize = 16;
/// A match this long is where it belongs. A shorter one may be what all records of a table have in common: at a shift
/// that is wrong by some records each of them has one, and the right shift would never be looked for.
const SURE: usize = 64;
/// Shifts that held before and are looked at then.
const FORMER: usize = 3;
/// Where more than this part of the bytes is nowhere at hand, the base is not nearly the same, and zstd, which knows
/// every third place of it, finds more.
const STRANGE: usize = 16;
/// What is kept of memory that few searches need, in sequences.
const KEPT_MAX: usize = 1 << 16;

impl Finder {
    /// `None`: the bytes differ too much, or are too few.
    pub fn find(&mut self, base: &[u8], raw: &[u8]) -> Option<&[Sequence]> {
        let all = u32::try_from(base.len() + raw.len()).ok()?;
        if raw.len() < 2 * PAGE || base.len() < 2 * PAGE || all == u32::MAX {
            return None;
        }
        self.table.clear();
        self.table.resize(1 << TABLE_BITS, 0);
        self.pages.clear();
        self.pages.resize(base.len() / PAGE + 1, false);
        self.sequences.clear();
        self.sequences.shrink_to(KEPT_MAX);
        // They begin or end at the same place, mostly at both.
        let former = [raw.len(); FORMER];
        let mut search = Search {
            base,
            raw,
            at: 0,
            anchor: 0,
            shift: base.len(),
            former,
            strange: 0,
            finder: self,
        };
        search.enter_some();
        let found = search.walk();
        (found && !self.sequences.is_empty()).then_some(&self.sequences)
    }
}

struct Search<'a> {
    base: &'a [u8],
    raw: &'a [u8],
    at: usize,
    /// The end of the last match.
    anchor: usize,
    /// How far back in the base what comes next is expected.
    shift: usize,
    /// The last shifts before it.
    former: [usize; FORMER],
    /// Bytes that were passed because nothing like them was found.
    strange: usize,
    finder: &'a mut Finder,
}

/// A match at `at` or before.
struct Found {
    length: usize,
    /// Its place in base and raw bytes, one behind the other.
    place: usize,
}

impl Search<'_> {
    fn walk(&mut self) -> bool {
        let end = self.raw.len().saturating_sub(8);
        while self.at < end {
            if let Some(found) = self.near() {
                self.take(&found);
                continue;
            }
            self.enter_ahead();
            let place = self.swap(self.at);
            let found = place.and_then(|place| self.far(self.at, place));
            match found.map(|found| self.longest(found, None)) {
                Some(found) if found.length >= LONG || !self.is_better_next(&found) => {
                    self.take(&found);
                }
                _ => {
                    // Ever larger steps: noise has no matches.
                    let step = 1 + ((self.at - self.anchor) >> 7);
                    self.at += step;
                    self.strange += step;
                    if self.strange > self.raw.len() / STRANGE {
                        return false;
                    }
                }
            }
        }
        true
    }

    fn expected(&self, at: usize) -> usize {
        at + self.base.len() - self.shift
    }

    /// The match where it is expected, or one that is worth its offset.
    fn near(&self) -> Option<Found> {
        let here = self.shifted(self.shift)?;
        if here.length >= SURE {
            return Some(here);
        }
        // Looked up is what stands around its end, for there it differs from all that are like it so far.
        let ahead = here.length - NEAR_MIN + 1;
        let place = self.peek(self.at + ahead).and_then(|place| place.checked_sub(ahead));
        let far = place.and_then(|place| self.far(self.at, place));
        Some(self.longest(here, far))
    }

    /// A match, or another or one at a former shift, if that is so much longer that it is worth its offset.
    fn longest(&self, found: Found, other: Option<Found>) -> Found {
        let former = self.former.iter().filter_map(|shift| self.shifted(*shift));
        let longer = former.chain(other).filter(|other| other.length >= found.length + FAR_MIN);
        longer.max_by_key(|found| found.length).unwrap_or(found)
    }

    /// A match at that shift.
    fn shifted(&self, shift: usize) -> Option<Found> {
        let place = (self.at + self.base.len()).checked_sub(shift)?;
        let [new, old] = [self.raw.get(self.at..)?, self.base.get(place..)?];
        if new.first_chunk::<NEAR_MIN>()? != old.first_chunk::<NEAR_MIN>()? {
            return None;
        }
        Some(Found { length: common(new, old), place })
    }

    /// A match with what stands there.
    fn far(&self, at: usize, place: usize) -> Option<Found> {
        let new = self.raw.get(at..)?;
        let old = self.behind(place)?;
        let length = common(new, old);
        (length >= FAR_MIN).then_some(Found { length, place })
    }

    /// The bytes from a place on, as far as base or raw bytes go.
    fn behind(&self, place: usize) -> Option<&[u8]> {
        match place.checked_sub(self.base.len()) {
            None => self.base.get(place..),
            Some(place) => self.raw.get(place..),
        }
    }

    /// Whether the next bytes begin a better match than a short one here.
    fn is_better_next(&self, found: &Found) -> bool {
        // No more is compared than it takes to say: what is found here is not taken, and met again.
        let is_as_long = |at: usize, place: usize, length: usize| {
            let new = self.raw.get(at..at + length);
            new.is_some() && new == self.behind(place).and_then(|old| old.get(..length))
        };
        let near = |ahead| {
            let at = self.at + ahead;
            is_as_long(at, self.expected(at), NEAR_MIN.max(found.length - 2))
        };
        let next = self.at + 1;
        let far = || self.peek(next).is_some_and(|place| is_as_long(next, place, found.length + 2));
        near(1) || near(2) || far()
    }

    /// Takes a match at the place that is looked at, and what before it is the same.
    fn take(&mut self, found: &Found) {
        let Found { mut length, mut place } = *found;
        let is_old = place < self.base.len();
        let (old, end) = match place.checked_sub(self.base.len()) {
            None => (self.base, place),
            Some(place) => (self.raw, place),
        };
        let literals = self.raw.get(self.anchor..self.at).unwrap_or_default();
        let before = old.get(..end).unwrap_or_default();
        let back = literals.iter().rev().zip(before.iter().rev());
        let back = back.take_while(|(new, old)| new == old).count();
        (length, place) = (length + back, place - back);
        let start = self.at - back;
        let offset = start + self.base.len() - place;
        self.finder.sequences.push(Sequence { literals: start - self.anchor, length, offset });
        self.at = start + length;
        self.anchor = self.at;
        if is_old && length >= LONG && offset != self.shift {
            let mut before = std::mem::replace(&mut self.shift, offset);
            for former in &mut self.former {
                std::mem::swap(former, &mut before);
                if before == offset {
                    break;
                }
            }
        }
    }

    /// Enters places of the whole base, thinly.
    fn enter_some(&mut self) {
        let step = STEP.max(self.base.len() >> TABLE_BITS);
        for first in (0..self.base.len()).step_by(UNEVEN * step) {
            for number in 0..UNEVEN {
                self.enter(first + number * (step + 1));
            }
        }
    }

    /// Enters every place of the base from where the next bytes are expected on.
    fn enter_ahead(&mut self) {
        let first = self.expected(self.at) / PAGE;
        for page in first..first + PAGES_AHEAD {
            match self.finder.pages.get_mut(page) {
                Some(entered) if !*entered => *entered = true,
                _ => continue,
            }
            for place in page * PAGE..(page + 1) * PAGE {
                self.enter(place);
            }
        }
    }

    fn enter(&mut self, place: usize) {
        let Some(slot) = self.base.get(place..).and_then(slot) else { return };
        if let Some(entry) = self.finder.table.get_mut(slot) {
            // `find` has seen that places fit.
            *entry = place as u32 + 1;
        }
    }

    /// The place entered last that may begin with the same bytes.
    fn peek(&self, at: usize) -> Option<usize> {
        let slot = self.raw.get(at..).and_then(slot)?;
        self.finder.table.get(slot)?.checked_sub(1).map(|place| place as usize)
    }

    /// The same, and enters this place instead.
    fn swap(&mut self, at: usize) -> Option<usize> {
        let slot = self.raw.get(at..).and_then(slot)?;
        let entry = self.finder.table.get_mut(slot)?;
        let place = std::mem::replace(entry, (self.base.len() + at) as u32 + 1);
        place.checked_sub(1).map(|place| place as usize)
    }
}

/// A hash of the first six bytes; `None` at the very end.
fn slot(bytes: &[u8]) -> Option<usize> {
    const GOLDEN: u64 = 0x9e37_79b1_85eb_ca87;
    let first = u64::from_le_bytes(*bytes.first_chunk()?);
    Some(((first << 16).wrapping_mul(GOLDEN) >> (u64::BITS - TABLE_BITS)) as usize)
}

/// How many bytes at the beginning are the same.
fn common(a: &[u8], b: &[u8]) -> usize {
    let (a_blocks, _) = a.as_chunks::<64>();
    let (b_blocks, _) = b.as_chunks::<64>();
    let blocks = a_blocks.iter().zip(b_blocks).take_while(|(a, b)| a == b).count();
    let from = 64 * blocks;
    let [a, b] = [a, b].map(|it| it.get(from..).unwrap_or_default());
    let (a_words, _) = a.as_chunks::<8>();
    let (b_words, _) = b.as_chunks::<8>();
    let mut same = 0;
    for (a, b) in a_words.iter().zip(b_words) {
        let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differ != 0 {
            return from + same + differ.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    let [a, b] = [a, b].map(|it| it.get(same..).unwrap_or_default());
    from + same + a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
