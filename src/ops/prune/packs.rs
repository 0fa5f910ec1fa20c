//! Packs by number, and what is known of their blocks: a bit each.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use crate::format::PackKind;
use crate::id::PackId;
use crate::index::Location;
use crate::repo::Sight;

/// What becomes of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PackPlace {
    /// It is there, and listed by some index object at the length it has.
    Here,
    /// It is there still, but will be deleted by this prune.
    Going,
    /// Likewise, by another.
    Theirs,
    /// Nothing can be read from it: it is gone, or has another length, or no index object lists it.
    Nowhere,
}

#[derive(Debug)]
pub(super) struct Pack {
    pub id: PackId,
    pub kind: PackKind,
    /// As it is stored.
    pub len: u64,
    pub place: PackPlace,
    /// What index objects say is in it: [`crate::format::PackContents::fingerprint`].
    pub contents: [u8; 16],
    /// They do not agree on that: it stays as it is.
    pub is_disputed: bool,
    /// By the storage's time.
    pub stored: SystemTime,
    pub is_listed: bool,
    /// Somebody may be about to refer to it.
    pub is_young: bool,
    /// Blocks that are needed where they are.
    pub live: Bits,
    /// Those of them that hold what a snapshot names: the others are needed as bases only.
    pub direct: Bits,
    /// Blocks that were needed as bases only, and will not be: what is coded against them is coded anew.
    pub merged: Bits,
    /// Blocks of packs that go, or stay with others who let them go, that are needed elsewhere.
    pub rescued: Bits,
    /// Blocks that are a node of a catalog, or of a recipe, below which everything was looked at.
    pub catalogs: Bits,
    pub recipes: Bits,
}

/// All packs that are listed or there.
#[derive(Debug, Default)]
pub(super) struct Packs {
    numbers: HashMap<PackId, u32>,
    all: Vec<Pack>,
}

/// A block: the number of its pack, and its own in it.
pub(super) type Block = (u32, u32);

impl Packs {
    pub fn new(
        sight: &Sight,
        oldest: SystemTime,
        going: &HashSet<PackId>,
        theirs: &HashSet<PackId>,
    ) -> Self {
        let mut packs = Self::default();
        for entry in sight.entries() {
            let there = sight.packs.get(&entry.id);
            let is_there = there.is_some_and(|object| object.len == entry.len);
            let place = match is_there {
                false => PackPlace::Nowhere,
                true if going.contains(&entry.id) => PackPlace::Going,
                true if theirs.contains(&entry.id) => PackPlace::Theirs,
                true => PackPlace::Here,
            };
            let number = packs.number(entry.id, entry.kind);
            if let Some(pack) = packs.all.get_mut(number as usize) {
                pack.is_disputed |= pack.is_listed && pack.contents != entry.contents;
                pack.is_listed = true;
                // Listed twice, at two lengths: one of them is the one it has.
                if pack.place == PackPlace::Nowhere {
                    (pack.place, pack.kind, pack.contents) = (place, entry.kind, entry.contents);
                }
            }
        }
        for (id, object) in &sight.packs {
            let number = packs.number(*id, PackKind::Data);
            if let Some(pack) = packs.all.get_mut(number as usize) {
                (pack.len, pack.stored) = (object.len, object.stored);
                pack.is_young = object.stored > oldest;
            }
        }
        packs
    }

    fn number(&mut self, id: PackId, kind: PackKind) -> u32 {
        let all = &mut self.all;
        *self.numbers.entry(id).or_insert_with(|| {
            let pack = Pack {
                id,
                kind,
                len: 0,
                place: PackPlace::Nowhere,
                contents: [0; 16],
                is_disputed: false,
                is_listed: false,
                stored: SystemTime::UNIX_EPOCH,
                is_young: false,
                live: Bits::default(),
                direct: Bits::default(),
                merged: Bits::default(),
                rescued: Bits::default(),
                catalogs: Bits::default(),
                recipes: Bits::default(),
            };
            all.push(pack);
            // Ids of 32 bytes: memory ends long before numbers do.
            u32::try_from(all.len() - 1).unwrap_or(u32::MAX)
        })
    }

    pub fn find(&self, id: &PackId) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    /// The block of a copy, and where its pack is.
    pub fn block(&self, copy: &Location) -> Option<(Block, &Pack)> {
        let number = self.find(&copy.pack)?;
        Some(((number, copy.ordinal), self.get(number)?))
    }

    pub fn get(&self, number: u32) -> Option<&Pack> {
        self.all.get(number as usize)
    }

    pub fn get_mut(&mut self, number: u32) -> Option<&mut Pack> {
        self.all.get_mut(number as usize)
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pack> {
        self.all.iter_mut()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &Pack)> {
        (0..).zip(&self.all)
    }
}

/// Small numbers, a bit each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub fn has(&self, number: u32) -> bool {
        let word = self.0.get(number as usize / 64);
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// Whether it is new.
    pub fn add(&mut self, number: u32) -> bool {
        let at = number as usize / 64;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        let is_new = !self.has(number);
        if let Some(word) = self.0.get_mut(at) {
            *word |= 1 << (number % 64);
        }
        is_new
    }

    pub fn remove(&mut self, number: u32) {
        if let Some(word) = self.0.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    /// All that are in the other, and then none of them there.
    pub fn take_all(&mut self, other: &mut Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(other.0.drain(..)).for_each(|(here, there)| *here |= there);
    }

    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn bits_are_added_found_counted_and_removed() {
        let mut bits = Bits::default();
        assert!(bits.is_empty() && !bits.has(0) && !bits.has(u32::MAX));
        for number in [0, 63, 64, 1000] {
            assert!(bits.add(number) && !bits.add(number) && bits.has(number));
        }
        assert_eq!(bits.count(), 4);
        assert!(!bits.has(1) && !bits.has(65) && !bits.has(999));
        bits.remove(64);
        bits.remove(70_000);
        assert!(!bits.has(64) && bits.count() == 3);
        [0, 63, 1000].into_iter().for_each(|number| bits.remove(number));
        assert!(bits.is_empty());
    }
}
