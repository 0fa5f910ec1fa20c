//! The index in memory: where no cache folder can be written, for tests, and without RocksDB.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::format::{Codec, IndexRecord};
use crate::id::{BaseId, ChunkId, ObjectId, SnapshotId};

use super::listing::{ChunkCopy, Listing, copies, delta_blocks};
use super::{Base, ChunkIndex, IndexError, IngestedObject, Location};

/// Grows with the repository: about 130 bytes a chunk.
#[derive(Default)]
pub struct MemoryIndex {
    tables: RwLock<Tables>,
}

#[derive(Default)]
struct Tables {
    listing: Listing,
    /// By the front half of a chunk's id, with the other half.
    chunks: HashMap<BaseId, Vec<([u8; 16], ChunkCopy)>>,
    /// Bases of delta blocks by pack number and ordinal, with the block's offset.
    bases: HashMap<(u32, u32), (u32, Vec<Base>)>,
    vouched: HashSet<SnapshotId>,
}

impl Tables {
    fn named(&self, name: &BaseId) -> impl Iterator<Item = (&[u8; 16], &ChunkCopy)> {
        self.chunks.get(name).into_iter().flatten().map(|(rest, copy)| (rest, copy))
    }
}

impl MemoryIndex {
    pub fn new() -> Self {
        Self::default()
    }

    // Every change is made under the lock, and a panic between two of them loses a cache only.
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(message: String) -> IndexError {
    IndexError::Cache { path: PathBuf::from("in memory"), message }
}

impl ChunkIndex for MemoryIndex {
    fn ingested(&self) -> BTreeSet<ObjectId> {
        self.read().listing.ids().collect()
    }

    fn ingest(&self, object: ObjectId, record: &IndexRecord) -> Result<(), IndexError> {
        let mut tables = self.write();
        let Tables { listing, chunks, bases, .. } = &mut *tables;
        if listing.contains(&object) {
            return Ok(());
        }
        let numbered =
            listing.number(record).ok_or_else(|| failed("no pack numbers left".to_owned()))?;
        for new in numbered.iter().filter(|pack| !pack.has_rows) {
            let Some(pack) = record.packs.get(new.position) else { continue };
            for (id, copy) in copies(pack, new.number) {
                let (name, rest) = BaseId::split(&id);
                chunks.entry(name).or_default().push((rest, copy));
            }
            for (ordinal, offset, block_bases) in delta_blocks(pack) {
                bases.insert((new.number, ordinal), (offset, block_bases));
            }
        }
        let numbers = numbered.iter().map(|pack| pack.number).collect();
        listing.add(object, record.writer, numbers);
        Ok(())
    }

    fn forget(&self, objects: &[ObjectId]) -> Result<(), IndexError> {
        let mut tables = self.write();
        let gone = tables.listing.remove(objects);
        if !objects.is_empty() {
            tables.vouched.clear();
        }
        if !gone.is_empty() {
            tables.chunks.retain(|_, copies| {
                copies.retain(|(_, copy)| !gone.contains(&copy.pack));
                !copies.is_empty()
            });
            tables.bases.retain(|(number, _), _| !gone.contains(number));
        }
        Ok(())
    }

    fn look_up(&self, id: &ChunkId, found: &mut Vec<Location>) -> Result<(), IndexError> {
        let tables = self.read();
        let start = found.len();
        let (name, rest) = BaseId::split(id);
        for (_, copy) in tables.named(&name).filter(|(other, _)| **other == rest) {
            found.extend(tables.listing.pack(copy.pack).map(|pack| copy.location(pack)));
        }
        super::arrange(found, start);
        Ok(())
    }

    fn look_up_base(
        &self,
        base: &BaseId,
        found: &mut Vec<Location>,
    ) -> Result<Option<ChunkId>, IndexError> {
        let tables = self.read();
        let listed = || {
            tables.named(base).filter_map(|(rest, copy)| {
                tables.listing.pack(copy.pack).map(|pack| (base.with(rest), copy.location(pack)))
            })
        };
        let chunk = super::the_one(base, listed().map(|(chunk, _)| chunk))?;
        let start = found.len();
        found.extend(listed().map(|(_, at)| at));
        super::arrange(found, start);
        Ok(chunk)
    }

    fn bases(&self, location: &Location) -> Result<Vec<Base>, IndexError> {
        if location.codec != Codec::ZstdDelta {
            return Ok(Vec::new());
        }
        let tables = self.read();
        tables
            .listing
            .numbers_of(location.pack, location.pack_kind)
            .into_iter()
            .filter_map(|number| tables.bases.get(&(number, location.ordinal)))
            .find(|(offset, _)| *offset == location.offset)
            .map(|(_, bases)| bases.clone())
            .ok_or_else(|| failed(super::no_such_block(location)))
    }

    fn objects(&self) -> Vec<IngestedObject> {
        self.read().listing.objects().collect()
    }

    fn vouch(&self, snapshot: &SnapshotId) -> Result<(), IndexError> {
        self.write().vouched.insert(*snapshot);
        Ok(())
    }

    fn vouches_for(&self, snapshot: &SnapshotId) -> bool {
        self.read().vouched.contains(snapshot)
    }

    fn flush(&self) -> Result<(), IndexError> {
        Ok(())
    }
}
