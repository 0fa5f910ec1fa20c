//! The blocks that a chunk takes: that of its shallowest copy that can be decoded, and of all that is coded against.

use std::collections::HashSet;
use std::sync::Arc;

use crate::id::{ChunkId, PackId};
use crate::index::{IndexError, Location};
use crate::store::{StoreError, StoreReader};

/// Follows chains of bases down.
pub(super) struct Blocks {
    reader: Arc<StoreReader>,
    /// Delta blocks of which some base is nowhere.
    broken: HashSet<(PackId, u32)>,
    /// What the chunk in hand takes, bases first, and where that lies.
    found: Vec<(ChunkId, Location)>,
    places: HashSet<(PackId, u32)>,
    /// What was missing first.
    why: Option<StoreError>,
}

impl Blocks {
    pub fn new(reader: Arc<StoreReader>) -> Self {
        let (broken, places) = (HashSet::new(), HashSet::new());
        Self { reader, broken, found: Vec::new(), places, why: None }
    }

    pub fn reader(&self) -> &Arc<StoreReader> {
        &self.reader
    }

    /// The blocks, each with a chunk for the sake of which it is taken; without those that `has` says are known, with all
    /// they are coded against.
    pub fn of(
        &mut self,
        id: &ChunkId,
        has: &dyn Fn(&Location) -> bool,
    ) -> Result<Vec<(ChunkId, Location)>, StoreError> {
        let copies = self.reader.locator().locate(id)?;
        self.found.clear();
        self.places.clear();
        self.why = None;
        if self.first(id, &copies, u8::MAX, has)? {
            return Ok(std::mem::take(&mut self.found));
        }
        let depth = copies.last().map_or(0, |copy| copy.depth);
        Err(self.why.take().unwrap_or(StoreError::NoShallowerCopy { chunk: *id, depth }))
    }

    /// Finds a copy of fewer decodes than `below`. The recursion is bounded: depths fall, and none is over 64.
    fn first(
        &mut self,
        id: &ChunkId,
        copies: &[Location],
        below: u8,
        has: &dyn Fn(&Location) -> bool,
    ) -> Result<bool, StoreError> {
        for copy in copies.iter().filter(|copy| copy.depth < below) {
            let place = (copy.pack, copy.ordinal);
            if self.places.contains(&place) || has(copy) {
                return Ok(true);
            }
            if self.broken.contains(&place) {
                continue;
            }
            let start = self.found.len();
            if copy.depth == 0 || self.all_bases(copy, has)? {
                self.found.push((*id, *copy));
                self.places.insert(place);
                return Ok(true);
            }
            for (_, copy) in self.found.drain(start..) {
                self.places.remove(&(copy.pack, copy.ordinal));
            }
            self.broken.insert(place);
        }
        Ok(false)
    }

    fn all_bases(
        &mut self,
        copy: &Location,
        has: &dyn Fn(&Location) -> bool,
    ) -> Result<bool, StoreError> {
        for base in self.reader.locator().bases(copy)? {
            let missing = match self.reader.locator().locate_base(&base.name) {
                Ok((chunk, copies)) => {
                    if self.first(&chunk, &copies, copy.depth, has)? {
                        continue;
                    }
                    StoreError::NoShallowerCopy { chunk, depth: copy.depth }
                }
                Err(error) if error.is_absence() => error,
                Err(error @ StoreError::Index(IndexError::AmbiguousBase { .. })) => error,
                Err(error) => return Err(error),
            };
            self.why.get_or_insert(missing);
            return Ok(false);
        }
        Ok(true)
    }
}
