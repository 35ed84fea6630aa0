//! RocksDB: the checkpointed rows.
//!
//! Rows lie under `[relation u32][key]` and are only ever written by ingesting sorted files, so the memtable stays
//! empty. Blocks are verified on every read: a damaged one is an error, it is never served.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DataBlockIndexType,
    IngestExternalFileOptions, Options, SstFileWriter,
};

use super::error::StoreError;

/// Sorted files of the first level are merged once there are this many; measured as the cheapest for checkpoints.
const LEVEL_ZERO_FILES: i32 = 16;

/// How long to wait before asking again whether RocksDB takes writes.
const HELD_BACK_PAUSE: Duration = Duration::from_millis(1);

/// How large the store may grow its buffers, and when it makes checkpoints.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// A checkpoint is made when this many rows or epochs are in the journal only.
    pub checkpoint_rows: usize,
    /// A checkpoint is made when the journal holds this many bytes.
    pub checkpoint_bytes: usize,
    /// Memory for uncompressed blocks of checkpointed rows.
    pub block_cache_bytes: usize,
    /// Threads that merge checkpointed files.
    pub background_threads: i32,
    /// The incarnation of a new directory's epochs: greater than that of any directory that was in its place before, or
    /// readers would take what they know of an epoch of that one for this one's.
    pub first_incarnation: u64,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions {
            checkpoint_rows: 256 * 1024,
            checkpoint_bytes: 64 << 20,
            block_cache_bytes: 64 << 20,
            background_threads: 2,
            first_incarnation: 1,
        }
    }
}

/// The open database and the directory lock that protects it.
pub(super) struct Database {
    db: DB,
    /// How files to be ingested are written.
    fresh: Options,
    ingest: PathBuf,
    _lock: File,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.db.path()).finish()
    }
}

impl Database {
    /// Opens the rows in `path`; files to be ingested are prepared in `ingest`, on the same file system.
    pub(super) fn open(
        path: &Path,
        ingest: PathBuf,
        options: &StoreOptions,
        lock: File,
    ) -> Result<Database, StoreError> {
        let cache = Cache::new_hyper_clock_cache(options.block_cache_bytes, 0);
        let rows = rows_options(options, &cache);
        let family = ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, rows.clone());
        let db = DB::open_cf_descriptors(&rows, path, [family])?;
        let mut fresh = rows;
        fresh.set_compression_type(DBCompressionType::None);
        Ok(Database { db, fresh, ingest, _lock: lock })
    }

    /// Writes a sorted file with `fill` and takes it in, all or nothing; it survives a power loss when this returns.
    pub(super) fn ingest(
        &self,
        fill: impl FnOnce(&mut SstFileWriter<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        std::fs::create_dir_all(&self.ingest)?;
        let path = self.ingest.join("rows.sst");
        let done = self.write_and_ingest(&path, fill);
        if done.is_err() {
            // Gives the space back at once: the disk may be full. The next start removes what stays behind here.
            let _ = std::fs::remove_file(&path);
        }
        done
    }

    fn write_and_ingest(
        &self,
        path: &Path,
        fill: impl FnOnce(&mut SstFileWriter<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut writer = SstFileWriter::create(&self.fresh);
        writer.open(path)?;
        fill(&mut writer)?;
        writer.finish()?;
        self.wait_for_merging()?;
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        Ok(self.db.ingest_external_file_opts(&options, vec![path])?)
    }

    /// Waits while so many files are to be merged that reads would suffer, but not when merging fails: on a full disk
    /// it would last until there is space.
    fn wait_for_merging(&self) -> Result<(), StoreError> {
        let number = |property| self.db.property_int_value(property).map(Option::unwrap_or_default);
        let errors_before = number("rocksdb.background-errors")?;
        while number("rocksdb.num-files-at-level0")? >= 3 * LEVEL_ZERO_FILES as u64 {
            if number("rocksdb.background-errors")? > errors_before {
                return Err(StoreError::Full("RocksDB cannot merge files".to_owned()));
            }
            std::thread::sleep(HELD_BACK_PAUSE);
        }
        Ok(())
    }

    /// The value under a stored key as of now, outside every epoch.
    pub(super) fn get(&self, stored_key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get(stored_key)?)
    }

    /// Bytes of checkpointed rows on disk.
    pub(super) fn sst_bytes(&self) -> u64 {
        self.db.property_int_value("rocksdb.total-sst-files-size").ok().flatten().unwrap_or(0)
    }

    /// The checkpointed rows.
    pub(super) fn rows(&self) -> &DB {
        &self.db
    }

    /// The only column family of the rows; some calls of the crate exist with a family only.
    pub(super) fn family(&self) -> Result<&ColumnFamily, StoreError> {
        let family = self.db.cf_handle(rocksdb::DEFAULT_COLUMN_FAMILY_NAME);
        family.ok_or_else(|| StoreError::Corrupt("the rows have no column family".to_owned()))
    }
}

fn rows_options(options: &StoreOptions, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(4 << 10);
    table.set_bloom_filter(10.0, false);
    table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    let mut rows = Options::default();
    rows.create_if_missing(true);
    rows.set_paranoid_checks(true);
    rows.set_max_background_jobs(options.background_threads.max(1));
    rows.set_keep_log_file_num(2);
    rows.set_max_log_file_size(1 << 20);
    rows.set_stats_dump_period_sec(0);
    rows.set_stats_persist_period_sec(0);
    rows.set_block_based_table_factory(&table);
    rows.set_write_buffer_size(1 << 20);
    rows.set_level_zero_file_num_compaction_trigger(LEVEL_ZERO_FILES);
    rows.set_max_bytes_for_level_base(512 << 20);
    rows.set_target_file_size_base(64 << 20);
    // The first two levels are rewritten and read most; below them lies what is large and rests.
    rows.set_compression_per_level(&[DBCompressionType::None, DBCompressionType::None, DBCompressionType::Lz4]);
    rows
}
