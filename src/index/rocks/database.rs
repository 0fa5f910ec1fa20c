//! How RocksDB is set up for an index: bounded memory for any number of chunks, ids that do not compress, and
//! nothing worth a log.

use std::path::Path;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB,
    DBCompressionType, FlushOptions, LogLevel, Options, WriteBatch, WriteOptions,
};

use super::rows;
use crate::limits::{KIB, MIB};

pub(super) const CHUNKS: &str = "chunks";
pub(super) const BASES: &str = "bases";
pub(super) const PACKS: &str = "packs";
pub(super) const OBJECTS: &str = "objects";
const DEFAULT: &str = "default";
const FAMILIES: [&str; 5] = [DEFAULT, CHUNKS, BASES, PACKS, OBJECTS];

/// In every family: how often something was ingested or forgotten. All families must agree on it. A secondary
/// that opens while the primary replaces files could otherwise see families of different moments.
const GENERATION: &[u8] = b"generation";

/// Small: what it does not hold lies in the system's page cache.
const BLOCK_CACHE: usize = 8 * MIB;
const WRITE_BUFFER: usize = 8 * MIB;
/// A third of those that an index of 20 million chunks would have at 8 MiB: the cache of open files is divided by the
/// hash of their numbers, and where a part of it is too small, nearly every look-up opens one.
const TABLE_FILE: u64 = 32 * MIB as u64;
const ALL_WRITE_BUFFERS: usize = 16 * MIB;
/// Of each file a compaction reads: with the 2 MiB of the library it would take more memory than all else.
const COMPACTION_READAHEAD: usize = 128 * KIB;
/// What a process usually may have open is twice that.
const OPEN_FILES: i32 = 512;
/// Of a Bloom filter of this many bits a key, the ribbon filter has the false hits (1 %), in fewer bits.
const FILTER_BITS: f64 = 10.0;

/// An open RocksDB with the families of an index. Its writes go to disk with `flush`, all or none of them.
pub(super) struct Database {
    db: DB,
}

/// The block cache all databases of an index share.
pub(super) fn block_cache() -> Cache {
    Cache::new_lru_cache(BLOCK_CACHE)
}

impl Database {
    /// Opens a database for writing; makes it if `is_new`.
    pub(super) fn open(path: &Path, is_new: bool, cache: &Cache) -> Result<Self, rocksdb::Error> {
        let mut options = options(OPEN_FILES);
        options.create_if_missing(is_new);
        options.create_missing_column_families(is_new);
        DB::open_cf_descriptors(&options, path, families(cache)).map(|db| Self { db })
    }

    /// Opens another process's database as it stands on disk. What that process does later does not show:
    /// all files are open, so it may even delete them.
    pub(super) fn open_secondary(
        path: &Path,
        scratch: &Path,
        cache: &Cache,
    ) -> Result<Self, rocksdb::Error> {
        let db = DB::open_cf_descriptors_as_secondary(&options(-1), path, scratch, families(cache));
        db.map(|db| Self { db })
    }

    /// A family's handle. All families exist from `open` on, so the error is never seen.
    pub(super) fn family(&self, name: &str) -> Result<&ColumnFamily, String> {
        self.db.cf_handle(name).ok_or_else(|| format!("no column family {name}"))
    }

    pub(super) fn get(&self, family: &str, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        self.db.get_cf(self.family(family)?, key).map_err(rocksdb::Error::into_string)
    }

    pub(super) fn marker(&self) -> Result<Option<Vec<u8>>, String> {
        self.get(DEFAULT, rows::Marker::KEY)
    }

    pub(super) fn put_marker(
        &self,
        batch: &mut WriteBatch,
        marker: &rows::Marker,
    ) -> Result<(), String> {
        batch.put_cf(self.family(DEFAULT)?, rows::Marker::KEY, marker.encode());
        Ok(())
    }

    pub(super) fn vouched(&self, snapshot: &[u8]) -> Result<Option<Vec<u8>>, String> {
        self.get(DEFAULT, snapshot)
    }

    pub(super) fn put_vouched(
        &self,
        batch: &mut WriteBatch,
        snapshot: &[u8],
        forgets: u64,
    ) -> Result<(), String> {
        batch.put_cf(self.family(DEFAULT)?, snapshot, forgets.to_be_bytes());
        Ok(())
    }

    /// Every row of a family, in key order.
    pub(super) fn scan(
        &self,
        family: &str,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut rows = self.db.raw_iterator_cf(self.family(family)?);
        rows.seek_to_first();
        while let Some((key, value)) = rows.item() {
            if key != GENERATION {
                each(key, value)?;
            }
            rows.next();
        }
        rows.status().map_err(rocksdb::Error::into_string)
    }

    /// The generation all families agree on.
    pub(super) fn generation(&self) -> Result<u64, String> {
        let mut agreed = None;
        for name in FAMILIES {
            let row = self.get(name, GENERATION)?.unwrap_or_default();
            let found = row.as_slice().try_into().map(u64::from_be_bytes);
            let found = found.map_err(|_| format!("family {name} has no generation"))?;
            if *agreed.get_or_insert(found) != found {
                return Err(format!("family {name} is of another moment than the others"));
            }
        }
        agreed.ok_or_else(|| "no families".to_owned())
    }

    pub(super) fn put_generation(
        &self,
        batch: &mut WriteBatch,
        generation: u64,
    ) -> Result<(), String> {
        for name in FAMILIES {
            batch.put_cf(self.family(name)?, GENERATION, generation.to_be_bytes());
        }
        Ok(())
    }

    pub(super) fn write(&self, batch: WriteBatch) -> Result<(), rocksdb::Error> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options)
    }

    /// Brings all writes so far to disk, those of all families at once.
    pub(super) fn flush(&self) -> Result<(), String> {
        let families: Vec<&ColumnFamily> =
            FAMILIES.iter().map(|name| self.family(name)).collect::<Result<_, _>>()?;
        let families: Vec<_> = families.iter().collect();
        self.db
            .flush_cfs_opt(&families, &FlushOptions::default())
            .map_err(rocksdb::Error::into_string)
    }
}

fn options(open_files: i32) -> Options {
    let mut options = Options::default();
    // Without a log, a crash leaves what was flushed: with this, of all families up to the same write.
    options.set_atomic_flush(true);
    options.set_db_write_buffer_size(ALL_WRITE_BUFFERS);
    options.set_max_open_files(open_files);
    options.set_max_background_jobs(2);
    options.set_compaction_readahead_size(COMPACTION_READAHEAD);
    options.set_log_level(LogLevel::Error);
    options.set_keep_log_file_num(1);
    options.set_max_log_file_size(MIB);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

fn families(cache: &Cache) -> Vec<ColumnFamilyDescriptor> {
    let describe = |name: &str| {
        let mut options = Options::default();
        options.set_write_buffer_size(WRITE_BUFFER);
        options.set_max_write_buffer_number(2);
        options.set_target_file_size_base(TABLE_FILE);
        options.set_compression_type(DBCompressionType::None);
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_optimize_filters_for_hits(true);
        options.set_block_based_table_factory(&table(cache));
        if name == CHUNKS {
            options.set_merge_operator_associative("copies", |_, row, more| {
                rows::unite(row.into_iter().chain(more))
            });
        }
        ColumnFamilyDescriptor::new(name, options)
    };
    FAMILIES.iter().map(|name| describe(name)).collect()
}

fn table(cache: &Cache) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(4 * KIB);
    table.set_ribbon_filter(FILTER_BITS);
    // Filters and indexes in small parts, within the cache's bound, instead of whole and outside of it.
    table.set_partition_filters(true);
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_metadata_block_size(4 * KIB);
    table.set_cache_index_and_filter_blocks(true);
    table.set_cache_index_and_filter_blocks_with_high_priority(true);
    table.set_pin_top_level_index_and_filter(true);
    table
}
