//! Which index objects have been taken in and which packs they list. It is kept in memory: a few dozen bytes
//! a pack.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::{Codec, HEADER_LEN, IndexRecord, IndexedPack, PackContents, PackKind};
use crate::id::{ActorId, ChunkId, ObjectId, PackId};

use super::{IngestedObject, Location, PackEntry};

/// One copy of a chunk, its pack by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkCopy {
    pub depth: u8,
    pub pack: u32,
    pub ordinal: u32,
    pub chunk_offset: u32,
    pub chunk_len: u32,
    pub offset: u32,
    pub sealed_len: u32,
    pub raw_len: u32,
    pub codec: Codec,
}

impl ChunkCopy {
    pub(super) fn location(&self, pack: &PackEntry) -> Location {
        Location {
            pack: pack.id,
            pack_kind: pack.kind,
            ordinal: self.ordinal,
            offset: self.offset,
            sealed_len: self.sealed_len,
            raw_len: self.raw_len,
            codec: self.codec,
            depth: self.depth,
            chunk_offset: self.chunk_offset,
            chunk_len: self.chunk_len,
        }
    }
}

/// The chunks of a pack with their copies, in the order they lie in.
///
/// The record has been validated, so lengths add up within a pack and a block; saturating sums only keep one
/// that was not from panicking.
pub(super) fn copies(
    pack: &IndexedPack,
    number: u32,
) -> impl Iterator<Item = (ChunkId, ChunkCopy)> {
    blocks(&pack.contents).flat_map(move |(ordinal, offset, block)| {
        let mut end = 0u32;
        block.chunks.iter().map(move |chunk| {
            let chunk_offset = end;
            end = end.saturating_add(chunk.len);
            let copy = ChunkCopy {
                depth: block.depth,
                pack: number,
                ordinal,
                chunk_offset,
                chunk_len: chunk.len,
                offset,
                sealed_len: block.sealed_len,
                raw_len: block.raw_len(),
                codec: block.codec,
            };
            (chunk.id, copy)
        })
    })
}

/// The delta blocks of a pack: ordinal, offset and bases.
pub(super) fn delta_blocks(
    pack: &IndexedPack,
) -> impl Iterator<Item = (u32, u32, Vec<super::Base>)> {
    let table = &pack.contents.bases;
    blocks(&pack.contents).filter(|(_, _, block)| !block.bases.is_empty()).map(
        move |(ordinal, offset, block)| {
            let named = block.bases.iter().filter_map(|base| {
                let name = *table.get(base.base as usize)?;
                Some(super::Base { name, skip: base.skip, len: base.len })
            });
            (ordinal, offset, named.collect())
        },
    )
}

fn blocks(
    contents: &PackContents,
) -> impl Iterator<Item = (u32, u32, &crate::format::BlockRecord)> {
    let mut end = HEADER_LEN as u32;
    (0u32..).zip(&contents.blocks).map(move |(ordinal, block)| {
        let offset = end;
        end = end.saturating_add(block.sealed_len);
        (ordinal, offset, block)
    })
}

struct ListedObject {
    writer: ActorId,
    packs: Vec<u32>,
}

struct Pack {
    entry: PackEntry,
    /// How many objects list it.
    objects: u32,
}

/// Ingested objects, and the numbers that stand for packs in the rows of an index.
#[derive(Default)]
pub(super) struct Listing {
    objects: BTreeMap<ObjectId, ListedObject>,
    packs: BTreeMap<u32, Pack>,
    numbers: BTreeMap<PackEntry, u32>,
    /// The next pack's number. None is given twice, so rows of a forgotten pack never come to mean another.
    next: u32,
}

impl Listing {
    /// Takes over a pack that has a number already.
    pub(super) fn restore_pack(&mut self, number: u32, entry: PackEntry) {
        self.packs.insert(number, Pack { entry, objects: 0 });
        self.numbers.insert(entry, number);
    }

    /// The numbers of a record's packs, each once, in its order, and for each whether its rows are in already.
    /// `None` when there are no numbers left.
    pub(super) fn number(&mut self, record: &IndexRecord) -> Option<Vec<Numbered>> {
        let mut seen = BTreeSet::new();
        let mut numbered = Vec::new();
        for (position, pack) in record.packs.iter().enumerate() {
            let entry = PackEntry::of(pack);
            if !seen.insert(entry) {
                continue;
            }
            let number = match self.numbers.get(&entry) {
                Some(number) => *number,
                None => {
                    let number = self.next;
                    self.next = number.checked_add(1)?;
                    self.restore_pack(number, entry);
                    number
                }
            };
            let has_rows = self.packs.get(&number).is_some_and(|pack| pack.objects > 0);
            numbered.push(Numbered { position, number, entry, has_rows });
        }
        Some(numbered)
    }

    pub(super) fn contains(&self, object: &ObjectId) -> bool {
        self.objects.contains_key(object)
    }

    pub(super) fn add(&mut self, object: ObjectId, writer: ActorId, packs: Vec<u32>) {
        for number in &packs {
            if let Some(pack) = self.packs.get_mut(number) {
                pack.objects = pack.objects.saturating_add(1);
            }
        }
        self.objects.insert(object, ListedObject { writer, packs });
    }

    /// Drops objects, and gives the numbers of the packs that no object lists any more.
    pub(super) fn remove(&mut self, objects: &[ObjectId]) -> BTreeSet<u32> {
        let mut gone = BTreeSet::new();
        for number in
            objects.iter().filter_map(|id| self.objects.remove(id)).flat_map(|object| object.packs)
        {
            let Some(pack) = self.packs.get_mut(&number) else { continue };
            pack.objects = pack.objects.saturating_sub(1);
            if pack.objects == 0 {
                gone.insert(number);
            }
        }
        for pack in gone.iter().filter_map(|number| self.packs.remove(number)) {
            self.numbers.remove(&pack.entry);
        }
        gone
    }

    /// The pack of that number, if some object lists it.
    pub(super) fn pack(&self, number: u32) -> Option<&PackEntry> {
        self.packs.get(&number).filter(|pack| pack.objects > 0).map(|pack| &pack.entry)
    }

    /// The numbers some object lists a pack under.
    pub(super) fn numbers_of(&self, id: PackId, kind: PackKind) -> Vec<u32> {
        let first = |len, contents| PackEntry { id, kind, len, contents };
        self.numbers
            .range(first(0, [0; 16])..=first(u64::MAX, [0xff; 16]))
            .map(|(_, number)| *number)
            .filter(|number| self.pack(*number).is_some())
            .collect()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ObjectId> {
        self.objects.keys().copied()
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = IngestedObject> {
        self.objects.iter().map(|(id, object)| IngestedObject {
            id: *id,
            writer: object.writer,
            packs: object.packs.iter().filter_map(|number| self.pack(*number)).copied().collect(),
        })
    }
}

// What only a listing that is also on disk needs.
#[cfg(feature = "rocksdb")]
impl Listing {
    pub(super) fn starting_at(next: u32) -> Self {
        Self { next, ..Self::default() }
    }

    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Packs that some object lists.
    pub(super) fn listed_packs(&self) -> usize {
        self.packs.values().filter(|pack| pack.objects > 0).count()
    }

    pub(super) fn has_number(&self, number: u32) -> bool {
        self.packs.contains_key(&number)
    }
}

/// A pack of a record under its number.
pub(super) struct Numbered {
    /// Its place among the record's packs.
    pub position: usize,
    pub number: u32,
    #[cfg_attr(not(feature = "rocksdb"), expect(dead_code))]
    pub entry: PackEntry,
    /// Whether another object lists it already, so that its rows need not be written again.
    pub has_rows: bool,
}
