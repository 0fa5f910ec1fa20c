//! The model's state: the objects of the repository and what each actor knows.

use std::hash::{Hash, Hasher};

use super::objects::{Actors, Chunks, Contents, Pack, Packs};

pub const WRITERS: usize = 2;
/// Those that are explored, and one that runs alone when all is quiet.
pub const PRUNES: usize = 4;
pub const QUIET: usize = PRUNES - 1;
pub const ACTORS: usize = WRITERS + PRUNES;
/// Who wrote what was there at first.
pub const BEFORE: u8 = 7;

/// The manifest of the second snapshot that was there at first: no actor's.
pub const SECOND: u8 = 7;

pub const WRITER_SET: Actors = (1 << WRITERS) - 1;

pub const fn prune_actor(prune: usize) -> u8 {
    (WRITERS + prune) as u8
}

/// An index object. Its name is origin and version: one that a prune puts in the place of others keeps their origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct IndexObject {
    pub origin: u8,
    pub version: u8,
    pub writer: u8,
    pub packs: Packs,
}

impl IndexObject {
    pub fn is(&self, other: &Self) -> bool {
        (self.origin, self.version) == (other.origin, other.version)
    }

    /// Which half of a listing shows it. What replaces something is in the half that is read first: a listing may
    /// then show neither.
    pub fn is_in(&self, part: Part) -> bool {
        let first = self.writer != BEFORE || self.version > 0;
        part.has(first)
    }
}

/// A listing's part. Between the parts of one others put and delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    All,
    First,
    Second,
}

impl Part {
    pub fn has(self, first: bool) -> bool {
        match self {
            Self::All => true,
            Self::First => first,
            Self::Second => !first,
        }
    }
}

const OBJECTS_MAX: usize = 12;

/// Index objects, sorted by name, each in one word.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Index {
    objects: [u32; OBJECTS_MAX],
    len: u8,
}

impl Hash for Index {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u8(self.len);
        self.objects[..usize::from(self.len)].iter().for_each(|object| hasher.write_u32(*object));
    }
}

impl IndexObject {
    fn packed(self) -> u32 {
        let name = u32::from(self.origin) << 4 | u32::from(self.version);
        name << 20 | u32::from(self.writer) << 16 | u32::from(self.packs)
    }

    fn unpacked(word: u32) -> Self {
        Self {
            origin: (word >> 24) as u8,
            version: (word >> 20 & 15) as u8,
            writer: (word >> 16 & 15) as u8,
            packs: word as u16,
        }
    }
}

impl Index {
    pub fn iter(&self) -> impl Iterator<Item = IndexObject> {
        self.objects[..usize::from(self.len)].iter().map(|object| IndexObject::unpacked(*object))
    }

    pub fn put(&mut self, object: IndexObject) {
        let word = object.packed();
        let len = usize::from(self.len);
        let at = self.objects[..len].partition_point(|there| *there < word);
        let same = |there: Option<&u32>| there.is_some_and(|there| there >> 20 == word >> 20);
        if at < len && same(self.objects.get(at)) || at > 0 && same(self.objects.get(at - 1)) {
            assert!(self.objects[..len].contains(&word), "a name stands for one object");
            return;
        }
        self.objects.copy_within(at..len, at + 1);
        self.objects[at] = word;
        self.len += 1;
    }

    pub fn delete(&mut self, object: &IndexObject) {
        let Some(at) = self.iter().position(|there| there.is(object)) else { return };
        let len = usize::from(self.len);
        self.objects.copy_within(at + 1..len, at);
        self.len -= 1;
        self.objects[len - 1] = 0;
    }

    /// All packs listed by objects whose writer is not among these.
    pub fn packs(&self, without: Actors) -> Packs {
        let of = |object: &IndexObject| without & (1u8 << object.writer) == 0;
        self.iter().filter(of).fold(0, |packs, object| packs | object.packs)
    }

    /// Takes in what a part of a listing shows.
    pub fn see(&mut self, there: &Self, part: Part) {
        there.iter().filter(|object| object.is_in(part)).for_each(|object| self.put(object));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriterAt {
    Start,
    ListCondemned,
    ListPacks(Part),
    ListIndex(Part),
    ListVoid,
    ListManifests,
    PutPack,
    PutIndex,
    PutManifest,
    CheckVoid,
    DeleteManifest,
    Retire,
    Ended,
    Crashed,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Writer {
    pub at: WriterAt,
    pub condemned: Packs,
    pub any_condemned: bool,
    pub listed: Packs,
    pub index: Index,
    pub void: Actors,
    /// Packs still to be put, the next one first.
    pub new: [Pack; 2],
    pub put: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PruneAt {
    Start,
    ListActors,
    PutVoid,
    DeleteExpired,
    ListCondemned,
    ListIndex(Part),
    ListIndexAgain(Part),
    ListPacks(Part),
    ListManifests(Part),
    CheckBeforeCopies,
    PutCopies,
    PutCopiesIndex,
    CheckBeforeLate,
    PutLate,
    PutLateIndex,
    CheckBeforeCondemning,
    PutCondemned,
    ListWriters,
    PutNote,
    CheckBeforeRelisting,
    ListOtherCondemned,
    PutRescued,
    PutRescuedIndex,
    CheckBeforeDeleting,
    PutIndex,
    DeleteIndex,
    DeletePack,
    DeleteCondemned,
    Retire,
    Ended,
    Crashed,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prune {
    pub at: PruneAt,
    /// Whether packs, index and manifests are listed for step 6, not for step 2.
    pub relisting: bool,
    /// Packs stored when the oldest live writer, or this prune, began.
    pub old: Packs,
    pub expired: Actors,
    pub waits_for: Actors,
    pub index: Index,
    pub index_again: Index,
    /// Index objects to put at 7, while `index` holds those to delete.
    pub new_index: Index,
    pub listed: Packs,
    pub manifests: u8,
    /// Chunks to copy, at 3 or at 6; those that come in a second pack at 3.
    pub copies: Pack,
    pub late: Pack,
    /// It compacts, and these chunks need not be kept as bases.
    pub wanted: Option<Chunks>,
    pub condemned: Packs,
    /// Whose condemned objects these are, by prune.
    pub owners: u8,
    /// Packs that others condemned.
    pub others: Packs,
    /// Put, but in no index object yet.
    pub unindexed: Packs,
    pub ended_well: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReaderAt {
    Start,
    ListIndex(Part),
    Read,
    Failed,
    Ended,
}

/// Restores one snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reader {
    pub at: ReaderAt,
    pub manifest: u8,
    pub index: Index,
    /// The index it had when it missed a pack.
    pub before: Index,
    pub refreshes: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    pub packs: Packs,
    pub contents: Contents,
    pub index: Index,
    /// Bit 0 is the one that was there at first, bit 1 + w the one of writer w, `SECOND` another that was there.
    pub manifests: u8,
    pub active: Actors,
    pub void: Actors,
    /// By the prune that put it; empty: not there.
    pub condemned: [Packs; PRUNES],
    /// The note beside it: whom it waits for.
    pub noted: [Option<Actors>; PRUNES],
    /// Packs stored when active/<actor> was put.
    pub older: [Packs; ACTORS],
    /// Writers that reported success.
    pub done: Actors,
    pub deletes_left: u8,
    pub writers: [Writer; WRITERS],
    pub prunes: [Prune; PRUNES],
    pub reader: Reader,
    pub crashes_left: u8,
    pub expiries_left: u8,
}

impl Writer {
    pub const NEW: Self = Self {
        at: WriterAt::Start,
        condemned: 0,
        any_condemned: false,
        listed: 0,
        index: EMPTY_INDEX,
        void: 0,
        new: [Pack::EMPTY; 2],
        put: 0,
    };
}

impl Prune {
    pub const NEW: Self = Self {
        at: PruneAt::Start,
        relisting: false,
        old: 0,
        expired: 0,
        waits_for: 0,
        index: EMPTY_INDEX,
        index_again: EMPTY_INDEX,
        new_index: EMPTY_INDEX,
        listed: 0,
        manifests: 0,
        copies: Pack::EMPTY,
        late: Pack::EMPTY,
        wanted: None,
        condemned: 0,
        owners: 0,
        others: 0,
        unindexed: 0,
        ended_well: false,
    };
}

impl Reader {
    pub const NEW: Self = Self {
        at: ReaderAt::Start,
        manifest: 0,
        index: EMPTY_INDEX,
        before: EMPTY_INDEX,
        refreshes: 0,
    };
}

pub const EMPTY_INDEX: Index = Index { objects: [0; OBJECTS_MAX], len: 0 };
