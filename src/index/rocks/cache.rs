//! One database with its listing in memory: rows in, copies out.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rocksdb::{Cache, WriteBatch};

use crate::format::{IndexRecord, IndexedPack};
use crate::id::{BaseId, ObjectId, RepositoryId, SnapshotId};
use crate::index::listing::{Listing, Numbered, copies, delta_blocks};
use crate::index::{Base, IndexError, IngestedObject, Location};
use crate::limits::MIB;

use super::database::{BASES, CHUNKS, Database, OBJECTS, PACKS};
use super::rows::{self, Marker, SCHEMA};

/// An object's rows are written in batches of about this size, so that a large one needs no more memory.
const BATCH_BYTES: usize = 2 * MIB;
/// With fewer packs than this ever numbered, stale rows are not worth a rebuild.
const REBUILD_FROM: u32 = 64;

/// Why a database is not what it should be. It is thrown away, so nobody needs to tell the cases apart.
pub(super) type Reason = String;

/// A database, and in memory which objects and packs it has.
pub(super) struct IndexCache {
    database: Database,
    path: PathBuf,
    repository: RepositoryId,
    listing: RwLock<Listing>,
    /// How often something was forgotten: what was vouched for before no longer is.
    forgets: AtomicU64,
    /// Held while something is written.
    generation: Mutex<u64>,
}

impl IndexCache {
    /// Deletes what is at `path` and starts anew.
    pub(super) fn create(
        path: &Path,
        repository: RepositoryId,
        blocks: &Cache,
    ) -> Result<Self, IndexError> {
        let failed = |message: String| IndexError::Cache { path: path.to_owned(), message };
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(format!("cannot delete the old one: {error}")));
            }
            _ => {}
        }
        let database = Database::open(path, true, blocks)
            .map_err(|error| failed(format!("cannot make a new one: {error}")))?;
        let cache = Self {
            database,
            path: path.to_owned(),
            repository,
            listing: RwLock::default(),
            forgets: AtomicU64::new(0),
            generation: Mutex::new(0),
        };
        let mut batch = WriteBatch::default();
        cache.put_marker(&mut batch, 0)?;
        cache.database.put_generation(&mut batch, 0).map_err(failed)?;
        cache.write(batch)?;
        cache.flush()?;
        Ok(cache)
    }

    /// Takes up the one at `path`, unless it is stale, another repository's, or mostly of forgotten packs.
    pub(super) fn open(
        path: &Path,
        repository: RepositoryId,
        blocks: &Cache,
    ) -> Result<Self, Reason> {
        let database = Database::open(path, false, blocks).map_err(rocksdb::Error::into_string)?;
        let cache = Self::load(database, path, repository)?;
        let (listed, numbered) = {
            let listing = cache.listing();
            (listing.listed_packs(), listing.next())
        };
        if numbered >= REBUILD_FROM && listed < (numbered / 2) as usize {
            return Err(format!("of {numbered} packs only {listed} are left"));
        }
        Ok(cache)
    }

    /// Reads the one at `path` while its owner goes on with it.
    pub(super) fn open_secondary(
        path: &Path,
        scratch: &Path,
        repository: RepositoryId,
        blocks: &Cache,
    ) -> Result<Self, Reason> {
        let database =
            Database::open_secondary(path, scratch, blocks).map_err(rocksdb::Error::into_string)?;
        Self::load(database, path, repository)
    }

    fn load(database: Database, path: &Path, repository: RepositoryId) -> Result<Self, Reason> {
        let row = database.marker()?.ok_or("it has no marker")?;
        let marker = Marker::decode(&row).ok_or("its marker is damaged")?;
        if marker.schema != SCHEMA {
            return Err(format!("its schema is {}, expected {SCHEMA}", marker.schema));
        }
        if marker.repository != repository {
            return Err(format!("it is that of repository {}", marker.repository));
        }
        let generation = database.generation()?;
        let mut listing = Listing::starting_at(marker.next);
        database.scan(PACKS, |key, row| {
            let number = rows::decode_number(key).filter(|number| *number < marker.next);
            let number = number.ok_or_else(|| damaged_row(PACKS, key))?;
            let pack = rows::decode_pack(row).ok_or_else(|| damaged_row(PACKS, key))?;
            listing.restore_pack(number, pack);
            Ok(())
        })?;
        database.scan(OBJECTS, |key, row| {
            let object = key.try_into().map(ObjectId::new);
            let object = object.map_err(|_| damaged_row(OBJECTS, key))?;
            let (writer, packs) = rows::decode_object(row)
                .filter(|(_, packs)| packs.iter().all(|number| listing.has_number(*number)))
                .ok_or_else(|| damaged_row(OBJECTS, key))?;
            listing.add(object, writer, packs);
            Ok(())
        })?;
        Ok(Self {
            database,
            path: path.to_owned(),
            repository,
            listing: RwLock::new(listing),
            forgets: AtomicU64::new(marker.forgets),
            generation: Mutex::new(generation),
        })
    }

    // The listing is changed after the rows it tells of are written; a panic in between loses a cache only.
    pub(super) fn listing(&self) -> RwLockReadGuard<'_, Listing> {
        self.listing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn listing_mut(&self) -> RwLockWriteGuard<'_, Listing> {
        self.listing.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn contains(&self, object: &ObjectId) -> bool {
        self.listing().contains(object)
    }

    /// Writes an object's rows, its marker with the last of them. Cut off before, the rows that are there
    /// belong to packs that have a number but that no object lists: nobody sees them.
    pub(super) fn ingest(&self, object: ObjectId, record: &IndexRecord) -> Result<(), IndexError> {
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        if self.contains(&object) {
            return Ok(());
        }
        let (numbered, next) = {
            let mut listing = self.listing_mut();
            let numbered = listing.number(record);
            (numbered, listing.next())
        };
        let numbered = numbered.ok_or_else(|| self.failed("no pack numbers left"))?;
        let mut batch = WriteBatch::default();
        // The numbers first: whatever rows survive a crash, their numbers are known to be taken.
        self.put_marker(&mut batch, next)?;
        let packs = self.family(PACKS)?;
        for new in &numbered {
            batch.put_cf(packs, new.number.to_be_bytes(), rows::encode_pack(&new.entry));
        }
        for new in numbered.iter().filter(|pack| !pack.has_rows) {
            let Some(pack) = record.packs.get(new.position) else { continue };
            self.put_pack(&mut batch, pack, new)?;
        }
        let numbers: Vec<u32> = numbered.iter().map(|pack| pack.number).collect();
        let row = rows::encode_object(&record.writer, &numbers);
        batch.put_cf(self.family(OBJECTS)?, object.as_bytes(), row);
        self.write_generation(batch, &mut generation)?;
        self.listing_mut().add(object, record.writer, numbers);
        Ok(())
    }

    fn put_pack(
        &self,
        batch: &mut WriteBatch,
        pack: &IndexedPack,
        numbered: &Numbered,
    ) -> Result<(), IndexError> {
        let chunks = self.family(CHUNKS)?;
        for (id, copy) in copies(pack, numbered.number) {
            let (name, rest) = BaseId::split(&id);
            let row = rows::encode_copy(&rest, &copy, &pack.id);
            batch.merge_cf(chunks, name.as_bytes(), row);
            if batch.size_in_bytes() > BATCH_BYTES {
                self.write(std::mem::take(batch))?;
            }
        }
        let bases = self.family(BASES)?;
        for (ordinal, offset, named) in delta_blocks(pack) {
            let key = rows::bases_key(numbered.number, ordinal);
            batch.put_cf(bases, key, rows::encode_bases(offset, &named));
            if batch.size_in_bytes() > BATCH_BYTES {
                self.write(std::mem::take(batch))?;
            }
        }
        Ok(())
    }

    /// Drops objects and the packs that no other object lists. Rows of chunks stay until the cache is rebuilt;
    /// no pack gets their numbers again.
    pub(super) fn forget(&self, objects: &[ObjectId]) -> Result<(), IndexError> {
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        self.forgets.fetch_add(1, Ordering::Relaxed);
        let (gone, next) = {
            let mut listing = self.listing_mut();
            (listing.remove(objects), listing.next())
        };
        let mut batch = WriteBatch::default();
        self.put_marker(&mut batch, next)?;
        for object in objects {
            batch.delete_cf(self.family(OBJECTS)?, object.as_bytes());
        }
        for number in gone {
            batch.delete_cf(self.family(PACKS)?, number.to_be_bytes());
        }
        self.write_generation(batch, &mut generation)
    }

    /// Likewise, for this process only.
    pub(super) fn hide(&self, objects: &[ObjectId]) {
        self.forgets.fetch_add(1, Ordering::Relaxed);
        self.listing_mut().remove(objects);
    }

    pub(super) fn vouch(&self, snapshot: &SnapshotId) -> Result<(), IndexError> {
        let _one_writer = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = WriteBatch::default();
        let forgets = self.forgets.load(Ordering::Relaxed);
        self.database
            .put_vouched(&mut batch, snapshot.as_bytes(), forgets)
            .map_err(|error| self.failed(error))?;
        self.write(batch)
    }

    /// A row that cannot be read vouches for nothing.
    pub(super) fn vouches_for(&self, snapshot: &SnapshotId) -> bool {
        let forgets = self.forgets.load(Ordering::Relaxed).to_be_bytes();
        let row = self.database.vouched(snapshot.as_bytes());
        row.is_ok_and(|row| row.is_some_and(|row| row == forgets))
    }

    /// Every copy of every chunk whose id begins so, with the rest of that id.
    pub(super) fn look_up(
        &self,
        name: &BaseId,
        mut each: impl FnMut(&[u8; 16], Location),
    ) -> Result<(), IndexError> {
        let row =
            self.database.get(CHUNKS, name.as_bytes()).map_err(|error| self.damaged(error))?;
        let Some(row) = row else { return Ok(()) };
        let wrong =
            || self.damaged(format!("the row of chunk {name} is none of copies in known packs"));
        let (copies, rest) = row.as_chunks::<{ rows::COPY_LEN }>();
        if !rest.is_empty() {
            return Err(wrong());
        }
        let listing = self.listing();
        for copy in copies {
            let (rest, copy, tag) = rows::decode_copy(copy).ok_or_else(wrong)?;
            if copy.pack >= listing.next() {
                return Err(wrong());
            }
            let Some(pack) = listing.pack(copy.pack) else { continue };
            let end = u64::from(copy.offset) + u64::from(copy.sealed_len);
            if tag != rows::pack_tag(&pack.id) || end > pack.len {
                return Err(wrong());
            }
            each(&rest, copy.location(pack));
        }
        Ok(())
    }

    /// The bases of a delta block, if it is in a listed pack of this cache.
    pub(super) fn bases(&self, location: &Location) -> Result<Option<Vec<Base>>, IndexError> {
        let numbers = self.listing().numbers_of(location.pack, location.pack_kind);
        for number in numbers {
            let key = rows::bases_key(number, location.ordinal);
            let row = self.database.get(BASES, &key).map_err(|error| self.damaged(error))?;
            let Some(row) = row else { continue };
            let (offset, bases) =
                rows::decode_bases(&row).ok_or_else(|| self.damaged(damaged_row(BASES, &key)))?;
            if offset == location.offset {
                return Ok(Some(bases));
            }
        }
        Ok(None)
    }

    pub(super) fn objects(&self) -> Vec<IngestedObject> {
        self.listing().objects().collect()
    }

    pub(super) fn flush(&self) -> Result<(), IndexError> {
        self.database.flush().map_err(|error| self.failed(error))
    }

    fn family(&self, name: &str) -> Result<&rocksdb::ColumnFamily, IndexError> {
        self.database.family(name).map_err(|error| self.failed(error))
    }

    fn put_marker(&self, batch: &mut WriteBatch, next: u32) -> Result<(), IndexError> {
        let forgets = self.forgets.load(Ordering::Relaxed);
        let marker = Marker { schema: SCHEMA, repository: self.repository, next, forgets };
        self.database.put_marker(batch, &marker).map_err(|error| self.failed(error))
    }

    fn write_generation(
        &self,
        mut batch: WriteBatch,
        generation: &mut u64,
    ) -> Result<(), IndexError> {
        let next = generation.wrapping_add(1);
        self.database.put_generation(&mut batch, next).map_err(|error| self.failed(error))?;
        self.write(batch)?;
        *generation = next;
        Ok(())
    }

    fn write(&self, batch: WriteBatch) -> Result<(), IndexError> {
        self.database.write(batch).map_err(|error| match error.kind() {
            rocksdb::ErrorKind::Corruption => self.damaged(error.into_string()),
            _ => self.failed(error),
        })
    }

    fn failed(&self, message: impl ToString) -> IndexError {
        IndexError::Cache { path: self.path.clone(), message: message.to_string() }
    }

    /// Whatever keeps a row from being read, a new cache is the answer.
    fn damaged(&self, message: String) -> IndexError {
        IndexError::Damaged { path: self.path.clone(), message }
    }
}

fn damaged_row(family: &str, key: &[u8]) -> String {
    format!("a row of {family} is no such row: {}", key.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Codec, PackContents, PackKind};
    use crate::id::{ActorId, PackId};
    use crate::index::listing::ChunkCopy;

    const REPOSITORY: RepositoryId = RepositoryId::new([1; 16]);
    const CHUNK: BaseId = BaseId::new([2; 16]);
    const REST: [u8; 16] = [7; 16];

    /// A cache with one empty pack, number 0, of 1000 bytes.
    fn with_one_pack(path: &Path) -> IndexCache {
        let cache = IndexCache::create(path, REPOSITORY, &super::super::database::block_cache());
        let cache = cache.unwrap();
        let (id, kind) = (PackId::new([3; 32]), PackKind::Data);
        let packs = vec![IndexedPack { id, kind, len: 1000, contents: PackContents::default() }];
        let writer = ActorId::new([4; 16]);
        let record = IndexRecord { writer, packs, replaces: Vec::new(), ext: Vec::new() };
        cache.ingest(ObjectId::new([5; 32]), &record).unwrap();
        cache
    }

    #[test]
    fn families_of_different_moments_are_no_cache() {
        let folder = tempfile::tempdir().unwrap();
        let cache = with_one_pack(folder.path());
        let mut batch = WriteBatch::default();
        batch.put_cf(cache.family(CHUNKS).unwrap(), b"generation", 7u64.to_be_bytes());
        cache.write(batch).unwrap();
        let reason = IndexCache::load(cache.database, folder.path(), REPOSITORY).err().unwrap();
        assert!(reason.contains("of another moment"), "{reason}");
    }

    #[test]
    fn a_row_that_cannot_be_is_damage_not_a_hit() {
        let folder = tempfile::tempdir().unwrap();
        let cache = with_one_pack(folder.path());
        let good = ChunkCopy {
            depth: 0,
            pack: 0,
            ordinal: 0,
            chunk_offset: 0,
            chunk_len: 10,
            offset: 100,
            sealed_len: 900,
            raw_len: 10,
            codec: Codec::Zstd,
        };
        let tag = PackId::new([3; 32]);
        let look_up = |row: &[u8]| {
            let mut batch = WriteBatch::default();
            batch.put_cf(cache.family(CHUNKS).unwrap(), CHUNK.as_bytes(), row);
            cache.write(batch).unwrap();
            let mut found = 0;
            cache.look_up(&CHUNK, |rest, _| found += usize::from(*rest == REST)).map(|()| found)
        };
        assert_eq!(look_up(&rows::encode_copy(&REST, &good, &tag)).unwrap(), 1);
        let wrong = [
            rows::encode_copy(&REST, &good, &PackId::new([9; 32])),
            rows::encode_copy(&REST, &ChunkCopy { pack: 1, ..good }, &tag),
            rows::encode_copy(&REST, &ChunkCopy { sealed_len: 901, ..good }, &tag),
            rows::encode_copy(&REST, &ChunkCopy { chunk_offset: 1, ..good }, &tag),
            rows::encode_copy(&REST, &ChunkCopy { chunk_offset: u32::MAX, ..good }, &tag),
            rows::encode_copy(&REST, &ChunkCopy { depth: 1, ..good }, &tag),
            rows::encode_copy(&REST, &ChunkCopy { codec: Codec::ZstdDelta, ..good }, &tag),
        ];
        for row in wrong {
            let error = look_up(&row).unwrap_err();
            assert!(matches!(error, IndexError::Damaged { .. }), "{error}");
        }
        assert!(look_up(b"short").is_err());
    }
}
