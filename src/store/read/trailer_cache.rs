//! What lies where in packs that chains lead to again and again, as their trailers say. The index would tell, too,
//! but is asked for one chunk at a time; a night's deltas and what they are coded against lie side by side.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::format::{Codec, HEADER_LEN, PackContents, PackKind};
use crate::id::{BaseId, ChunkId, PackId};
use crate::index::{Base, Location};

/// All that is kept of trailers comes to no more than this.
const BYTES_MAX: usize = 24 * 1024 * 1024;
/// A trailer is read when the index was asked so often for what it says.
const ASKED_FIRST: u32 = 32;
/// One that had to go is read again when the index was asked for this part of its chunks.
const ASKED_AGAIN: u32 = 8;
/// Packs of which it is known how often they were asked for, or where the bases of their blocks were.
const PACKS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// Where a base may be read.
#[derive(Clone)]
pub(in crate::store) struct Copies {
    pub chunk: ChunkId,
    pub copies: Vec<Location>,
    /// Whether the index was asked: there are no others. If not, it is a guess.
    pub all: bool,
}

/// Shared by all threads.
pub(in crate::store) struct Contents {
    state: Mutex<State>,
    /// Held by the one who reads a trailer: what that takes is not wanted more than once at a time.
    pub reading: Mutex<()>,
}

struct State {
    packs: LruCache<PackId, Arc<Listing>>,
    bytes: usize,
    asked: LruCache<PackId, Asked>,
    /// The packs in which bases of a pack's blocks were found, the last first.
    followed: LruCache<PackId, [PackId; 3]>,
}

struct Asked {
    times: u32,
    /// When the trailer is read. Never, if it cannot be.
    enough: u32,
}

/// One pack's trailer.
pub(in crate::store) struct Listing {
    pack: PackId,
    kind: PackKind,
    /// By id.
    chunks: Vec<Chunk>,
    blocks: Vec<ListedBlock>,
    bases: Vec<Base>,
    blocks_end: u32,
}

struct Chunk {
    id: ChunkId,
    len: u32,
    /// Where it starts in the block.
    start: u32,
    block: u32,
}

struct ListedBlock {
    offset: u32,
    sealed_len: u32,
    raw_len: u32,
    codec: Codec,
    depth: u8,
    /// Its bases end there, and start where those of the block before end.
    bases_end: u32,
}

impl ListedBlock {
    fn is_at(&self, at: &Location) -> bool {
        (self.offset, self.sealed_len, self.raw_len, self.codec, self.depth)
            == (at.offset, at.sealed_len, at.raw_len, at.codec, at.depth)
    }
}

impl Contents {
    pub fn new() -> Self {
        let (packs, asked) = (LruCache::unbounded(), LruCache::new(PACKS));
        let state = State { packs, bytes: 0, asked, followed: LruCache::new(PACKS) };
        Self { state: Mutex::new(state), reading: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn listing(&self, pack: &PackId) -> Option<Arc<Listing>> {
        self.lock().packs.get(pack).cloned()
    }

    /// A copy that a block of this depth in `from` may be coded against.
    pub fn find(&self, base: &BaseId, depth: u8, from: &PackId) -> Option<Copies> {
        let likely = *self.lock().followed.get(from)?;
        let found = |pack| self.listing(pack)?.find(base, depth);
        let (chunk, at) = likely.iter().find_map(found)?;
        Some(Copies { chunk, copies: vec![at], all: false })
    }

    /// Notes that the index was asked for what lies in a pack. `true`: its trailer is worth reading.
    pub fn ask(&self, pack: &PackId) -> bool {
        let mut state = self.lock();
        if state.packs.contains(pack) {
            return false;
        }
        let never = || Asked { times: 0, enough: ASKED_FIRST };
        let asked = state.asked.get_or_insert_mut(*pack, never);
        asked.times = asked.times.saturating_add(1);
        asked.times >= asked.enough
    }

    /// A trailer that cannot be read, or is too long, is not asked for again.
    pub fn give_up(&self, pack: &PackId) {
        self.lock().asked.put(*pack, Asked { times: 0, enough: u32::MAX });
    }

    /// Notes that a base of a block of the one pack was found in the other.
    pub fn follow(&self, from: &PackId, to: &PackId) {
        let mut state = self.lock();
        let [a, b, c] = state.followed.get_or_insert_mut(*from, || [*to; 3]);
        if to != a {
            if to != b {
                *c = *b;
            }
            (*b, *a) = (*a, *to);
        }
    }

    pub fn keep(&self, listing: Listing) {
        let (pack, bytes) = (listing.pack, listing.bytes());
        if bytes > BYTES_MAX {
            return self.give_up(&pack);
        }
        let again = u32::try_from(listing.chunks.len()).unwrap_or(u32::MAX) / ASKED_AGAIN;
        let mut state = self.lock();
        let asked = Asked { times: 0, enough: again.max(ASKED_FIRST) };
        state.asked.put(pack, asked);
        state.bytes += bytes;
        let same = state.packs.put(pack, Arc::new(listing));
        state.bytes -= same.map_or(0, |same| same.bytes());
        while state.bytes > BYTES_MAX {
            let Some((_, gone)) = state.packs.pop_lru() else { break };
            state.bytes -= gone.bytes();
        }
    }

    /// Where the blocks of a pack end, if its trailer was read.
    pub fn blocks_end(&self, pack: &PackId) -> Option<u32> {
        Some(self.listing(pack)?.blocks_end)
    }
}

impl Listing {
    pub fn new(pack: PackId, kind: PackKind, contents: &PackContents) -> Self {
        let (mut chunks, mut blocks, mut bases) = (Vec::new(), Vec::new(), Vec::new());
        let mut offset = HEADER_LEN as u32;
        // Checked when the trailer was decoded: all fits into 32 bits.
        for (block, record) in (0u32..).zip(&contents.blocks) {
            let named = record.bases.iter().filter_map(|base| {
                let name = *contents.bases.get(base.base as usize)?;
                Some(Base { name, skip: base.skip, len: base.len })
            });
            bases.extend(named);
            let mut start = 0u32;
            for chunk in &record.chunks {
                chunks.push(Chunk { id: chunk.id, len: chunk.len, start, block });
                start = start.saturating_add(chunk.len);
            }
            blocks.push(ListedBlock {
                offset,
                sealed_len: record.sealed_len,
                raw_len: start,
                codec: record.codec,
                depth: record.depth,
                bases_end: u32::try_from(bases.len()).unwrap_or(u32::MAX),
            });
            offset = offset.saturating_add(record.sealed_len);
        }
        chunks.sort_unstable_by_key(|chunk| chunk.id);
        chunks.shrink_to_fit();
        blocks.shrink_to_fit();
        bases.shrink_to_fit();
        Self { pack, kind, chunks, blocks, bases, blocks_end: offset }
    }

    fn bytes(&self) -> usize {
        size_of_val(self.chunks.as_slice())
            + size_of_val(self.blocks.as_slice())
            + size_of_val(self.bases.as_slice())
            + size_of::<Self>()
    }

    /// `None`, too, where a name stands for several chunks.
    fn find(&self, base: &BaseId, depth: u8) -> Option<(ChunkId, Location)> {
        let first = self.chunks.partition_point(|chunk| BaseId::of(&chunk.id) < *base);
        let mut named = self.chunks.get(first..)?.iter().take_while(|chunk| base.names(&chunk.id));
        let chunk = named.next()?;
        if named.next().is_some() {
            return None;
        }
        let block = self.blocks.get(chunk.block as usize)?;
        let at = Location {
            pack: self.pack,
            pack_kind: self.kind,
            ordinal: chunk.block,
            offset: block.offset,
            sealed_len: block.sealed_len,
            raw_len: block.raw_len,
            codec: block.codec,
            depth: block.depth,
            chunk_offset: chunk.start,
            chunk_len: chunk.len,
        };
        (at.depth < depth).then_some((chunk.id, at))
    }

    pub fn bases(&self, at: &Location) -> Option<&[Base]> {
        let number = at.ordinal as usize;
        let block = self.blocks.get(number).filter(|block| block.is_at(at))?;
        let before = number.checked_sub(1).and_then(|before| self.blocks.get(before));
        let start = before.map_or(0, |before| before.bases_end);
        self.bases.get(start as usize..block.bases_end as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{BaseRef, BlockRecord, ChunkRecord};

    fn id(front: u8, rest: u8) -> ChunkId {
        let mut id = [front; 32];
        id[16..].fill(rest);
        ChunkId::new(id)
    }

    fn pack(number: u32) -> PackId {
        PackId::new(*blake3::hash(&number.to_le_bytes()).as_bytes())
    }

    /// Two chunks in a plain block, one in a delta against a part of both, and two of one name.
    fn listing(number: u32) -> Listing {
        let record = |id, len| ChunkRecord { id, len };
        let block = |codec, depth, bases, chunks| BlockRecord {
            sealed_len: 100,
            codec,
            depth,
            bases,
            chunks,
        };
        let base = |base, skip, len| BaseRef { base, skip, len };
        let contents = PackContents {
            bases: vec![BaseId::of(&id(9, 0)), BaseId::of(&id(8, 0))],
            blocks: vec![
                block(Codec::Zstd, 0, vec![], vec![record(id(7, 1), 30), record(id(3, 2), 50)]),
                block(
                    Codec::ZstdDelta,
                    4,
                    vec![base(1, 5, 0), base(0, 0, 6)],
                    vec![record(id(5, 1), 90)],
                ),
                block(Codec::Zstd, 0, vec![], vec![record(id(1, 1), 8), record(id(1, 2), 8)]),
            ],
        };
        Listing::new(pack(number), PackKind::Data, &contents)
    }

    #[test]
    fn a_listing_tells_what_the_index_would() {
        let listing = listing(1);
        let (chunk, at) = listing.find(&BaseId::of(&id(3, 2)), 1).unwrap();
        assert_eq!(chunk, id(3, 2));
        assert_eq!((at.offset, at.sealed_len, at.raw_len), (HEADER_LEN as u32, 100, 80));
        assert_eq!((at.ordinal, at.chunk_offset, at.chunk_len), (0, 30, 50));
        assert_eq!(listing.bases(&at), Some(&[][..]));
        let name = BaseId::of(&id(5, 1));
        assert!(listing.find(&name, 4).is_none(), "not below its own depth");
        let (_, delta) = listing.find(&name, 5).unwrap();
        assert_eq!((delta.ordinal, delta.offset), (1, HEADER_LEN as u32 + 100));
        let named = listing.bases(&delta).unwrap();
        let part = |base, skip, len| Base { name: BaseId::of(&base), skip, len };
        assert_eq!(named, [part(id(8, 0), 5, 0), part(id(9, 0), 0, 6)]);
        for other in [Location { offset: 1, ..delta }, Location { sealed_len: 99, ..delta }] {
            assert!(listing.bases(&other).is_none(), "of another pack");
        }
        assert!(listing.find(&BaseId::of(&id(1, 1)), 9).is_none(), "it means two chunks");
        assert!(listing.find(&BaseId::of(&id(2, 0)), 9).is_none());
        assert_eq!(listing.blocks_end, HEADER_LEN as u32 + 300);
    }

    #[test]
    fn packs_are_followed_and_read_when_that_pays() {
        let contents = Contents::new();
        assert!((1..ASKED_FIRST).all(|_| !contents.ask(&pack(1))));
        assert!(contents.ask(&pack(1)) && contents.ask(&pack(1)), "until somebody has read it");
        contents.give_up(&pack(1));
        assert!((1..3 * ASKED_FIRST).all(|_| !contents.ask(&pack(1))), "it could not be read");
        contents.keep(listing(1));
        assert!((1..=3 * ASKED_FIRST).all(|_| !contents.ask(&pack(1))), "it is there");

        let name = BaseId::of(&id(7, 1));
        assert!(contents.find(&name, 1, &pack(0)).is_none(), "nobody came from there");
        [1, 2, 3, 2].iter().for_each(|to| contents.follow(&pack(0), &pack(*to)));
        let found = contents.find(&name, 1, &pack(0)).unwrap();
        assert_eq!((found.chunk, found.all), (id(7, 1), false));
        assert_eq!(found.copies[0].pack, pack(1));
        [3, 4].iter().for_each(|to| contents.follow(&pack(0), &pack(*to)));
        assert!(contents.find(&name, 1, &pack(0)).is_none(), "it led elsewhere since");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let contents = Contents::new();
        let each = listing(0).bytes();
        let fit = BYTES_MAX / each;
        let count = u32::try_from(fit).unwrap() + 3;
        (0..count).for_each(|number| contents.keep(listing(number)));
        contents.keep(listing(count - 1));
        assert_eq!(contents.lock().packs.len(), fit);
        assert_eq!(contents.lock().bytes, fit * each);
        assert!(contents.blocks_end(&pack(0)).is_none());
        assert!(contents.blocks_end(&pack(count - 1)).is_some());
    }
}
