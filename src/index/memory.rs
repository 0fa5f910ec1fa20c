//! The index in memory: where no cache folder can be written, for tests, and without RocksDB.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::format::{BlockRecord, HEADER_LEN, IndexRecord, IndexedPack};
use crate::id::{ChunkId, ObjectId, PackId};

use super::{Base, ChunkIndex, IndexError, IngestedObject, Location, PackEntry};

/// Grows with the repository: about 100 bytes a chunk.
#[derive(Default)]
pub struct MemoryIndex {
    tables: RwLock<Tables>,
}

#[derive(Default)]
struct Tables {
    objects: BTreeMap<ObjectId, IngestedObject>,
    /// How many ingested objects list a pack.
    listed: HashMap<PackId, usize>,
    chunks: HashMap<ChunkId, Vec<Location>>,
    bases: HashMap<(PackId, u32), Vec<Base>>,
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

impl Tables {
    fn add_pack(&mut self, pack: &IndexedPack) {
        let mut offset = HEADER_LEN as u32;
        for (ordinal, block) in (0u32..).zip(&pack.contents.blocks) {
            for (id, location) in locations(pack, ordinal, offset, block) {
                let copies = self.chunks.entry(id).or_default();
                if !copies.contains(&location) {
                    copies.push(location);
                    copies.sort_by_key(|copy| copy.depth);
                }
            }
            if !block.bases.is_empty() {
                let bases = block.bases.iter().filter_map(|base| {
                    let id = *pack.contents.bases.get(base.base as usize)?;
                    Some(Base { id, skip: base.skip, len: base.len })
                });
                self.bases.insert((pack.id, ordinal), bases.collect());
            }
            offset = offset.saturating_add(block.sealed_len);
        }
    }

    fn drop_packs(&mut self, gone: &BTreeSet<PackId>) {
        self.chunks.retain(|_, copies| {
            copies.retain(|copy| !gone.contains(&copy.pack));
            !copies.is_empty()
        });
        self.bases.retain(|(pack, _), _| !gone.contains(pack));
    }
}

/// The chunks of a block and where they lie.
fn locations<'p>(
    pack: &'p IndexedPack,
    ordinal: u32,
    offset: u32,
    block: &'p BlockRecord,
) -> impl Iterator<Item = (ChunkId, Location)> + 'p {
    let mut chunk_offset = 0u32;
    block.chunks.iter().map(move |chunk| {
        let location = Location {
            pack: pack.id,
            pack_kind: pack.kind,
            ordinal,
            offset,
            sealed_len: block.sealed_len,
            raw_len: block.raw_len(),
            codec: block.codec,
            depth: block.depth,
            chunk_offset,
            chunk_len: chunk.len,
        };
        chunk_offset = chunk_offset.saturating_add(chunk.len);
        (chunk.id, location)
    })
}

impl ChunkIndex for MemoryIndex {
    fn ingested(&self) -> BTreeSet<ObjectId> {
        self.read().objects.keys().copied().collect()
    }

    fn ingest(&self, object: ObjectId, record: &IndexRecord) -> Result<(), IndexError> {
        let mut tables = self.write();
        if tables.objects.contains_key(&object) {
            return Ok(());
        }
        for pack in &record.packs {
            tables.add_pack(pack);
            *tables.listed.entry(pack.id).or_default() += 1;
        }
        let entry = |pack: &IndexedPack| PackEntry { id: pack.id, kind: pack.kind, len: pack.len };
        let packs = record.packs.iter().map(entry).collect();
        let ingested = IngestedObject { id: object, writer: record.writer, packs };
        tables.objects.insert(object, ingested);
        Ok(())
    }

    fn forget(&self, objects: &[ObjectId]) -> Result<(), IndexError> {
        let mut tables = self.write();
        let mut gone = BTreeSet::new();
        for object in objects {
            for pack in tables.objects.remove(object).into_iter().flat_map(|o| o.packs) {
                let listed = tables.listed.entry(pack.id).or_default();
                *listed = listed.saturating_sub(1);
                if *listed == 0 {
                    gone.insert(pack.id);
                }
            }
        }
        tables.listed.retain(|_, count| *count > 0);
        if !gone.is_empty() {
            tables.drop_packs(&gone);
        }
        Ok(())
    }

    fn look_up(&self, id: &ChunkId, found: &mut Vec<Location>) -> Result<(), IndexError> {
        found.extend(self.read().chunks.get(id).into_iter().flatten());
        Ok(())
    }

    fn bases(&self, location: &Location) -> Result<Vec<Base>, IndexError> {
        let bases = &self.read().bases;
        Ok(bases.get(&(location.pack, location.ordinal)).cloned().unwrap_or_default())
    }

    fn objects(&self) -> Vec<IngestedObject> {
        self.read().objects.values().cloned().collect()
    }

    fn flush(&self) -> Result<(), IndexError> {
        Ok(())
    }
}
