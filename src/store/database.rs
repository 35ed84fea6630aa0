//! RocksDB twice: the checkpointed rows and the journal, and their options.
//!
//! Rows lie under `[relation u32][key]` and are only ever written by ingesting sorted files, so their memtable stays
//! empty. The journal holds one entry an epoch, oldest first. They are databases of their own because taking a file
//! in holds up every writer of its database for an fsync, and a commit must not wait for a checkpoint. Blocks are
//! verified on every read: a damaged one is an error, it is never served.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DataBlockIndexType,
    ErrorKind, FlushOptions, IngestExternalFileOptions, Options, SstFileWriter, WriteOptions,
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
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions {
            checkpoint_rows: 256 * 1024,
            checkpoint_bytes: 64 << 20,
            block_cache_bytes: 64 << 20,
            background_threads: 2,
        }
    }
}

/// The open databases and the directory lock that protects them.
pub(super) struct Database {
    db: DB,
    journal: DB,
    /// How files to be ingested are written.
    fresh: Options,
    ingest: PathBuf,
    /// How many failures of its background work RocksDB got over.
    past_errors: AtomicU64,
    _lock: File,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.db.path()).finish()
    }
}

impl Database {
    /// Opens the rows in `path` and the journal in `journal`; files to be ingested are prepared in `ingest`, on the
    /// same file system.
    pub(super) fn open(
        path: &Path,
        journal: &Path,
        ingest: PathBuf,
        options: &StoreOptions,
        lock: File,
    ) -> Result<Database, StoreError> {
        let cache = Cache::new_hyper_clock_cache(options.block_cache_bytes, 0);
        let rows = rows_options(options, &cache);
        let family = ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, rows.clone());
        let db = DB::open_cf_descriptors(&rows, path, [family])?;
        let journal = DB::open(&journal_options(options)?, journal)?;
        let mut fresh = rows;
        // Such a file is merged before long, and is most of what is read until then.
        fresh.set_compression_type(DBCompressionType::None);
        Ok(Database { db, journal, fresh, ingest, past_errors: AtomicU64::new(0), _lock: lock })
    }

    /// Appends a journal entry; it survives the process at once and a power loss after [`Database::sync`].
    /// Waits while RocksDB holds writes back for its merging to catch up, but not when that is because of an error:
    /// on a full disk it would last until there is space.
    pub(super) fn append(&self, epoch: u64, entry: &[u8]) -> Result<(), StoreError> {
        let mut writing = WriteOptions::default();
        writing.set_no_slowdown(true);
        let errors_before = self.past_errors.load(Ordering::Relaxed);
        let mut held_back = false;
        loop {
            match self.journal.put_opt(epoch.to_be_bytes(), entry, &writing) {
                Ok(()) => break,
                Err(error) if error.kind() != ErrorKind::Incomplete => return Err(error.into()),
                Err(_) if self.background_errors() > errors_before => {
                    return Err(StoreError::Full("RocksDB cannot write out or merge files".to_owned()));
                }
                Err(_) => std::thread::sleep(HELD_BACK_PAUSE),
            }
            held_back = true;
        }
        if held_back {
            // RocksDB took the entry, so it got over whatever failed until now.
            self.past_errors.store(self.background_errors(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Makes everything written so far survive a power loss.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        Ok(self.journal.flush_wal(true)?)
    }

    /// Hands every journal entry to `visit`, oldest first.
    pub(super) fn replay(&self, mut visit: impl FnMut(u64, &[u8]) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut entries = self.journal.raw_iterator();
        entries.seek_to_first();
        while let Some((key, entry)) = entries.item() {
            let epoch = key.try_into().map(u64::from_be_bytes);
            let epoch = epoch.map_err(|_| StoreError::Corrupt(format!("the journal has an entry under {key:02x?}")))?;
            visit(epoch, entry)?;
            entries.next();
        }
        Ok(entries.status()?)
    }

    /// Forgets the journal up to and including `epoch`.
    pub(super) fn trim_journal(&self, epoch: u64) -> Result<(), StoreError> {
        let forgotten = [0u64.to_be_bytes(), epoch.saturating_add(1).to_be_bytes()];
        let mut batch = rocksdb::WriteBatch::default();
        batch.delete_range(forgotten[0], forgotten[1]);
        Ok(self.journal.write(batch)?)
    }

    /// Lets go of the memory and log files of journal entries that were forgotten, some time soon: on a full disk
    /// waiting for it would last until there is space.
    pub(super) fn flush_journal(&self) -> Result<(), StoreError> {
        let waiting = self.journal.property_int_value("rocksdb.num-immutable-mem-table")?;
        if waiting.is_some_and(|memtables| memtables > 0) {
            // An earlier one is still to be written out, and may be waiting for space itself.
            return Ok(());
        }
        let mut options = FlushOptions::default();
        options.set_wait(false);
        Ok(self.journal.flush_opt(&options)?)
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

    fn background_errors(&self) -> u64 {
        self.journal.property_int_value("rocksdb.background-errors").ok().flatten().unwrap_or(0)
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

/// What both databases have in common.
fn database_options(options: &StoreOptions) -> Options {
    let mut db = Options::default();
    db.create_if_missing(true);
    db.set_paranoid_checks(true);
    db.set_max_background_jobs(options.background_threads.max(1));
    // One thread writes, so nothing is gained by letting several insert at once.
    db.set_allow_concurrent_memtable_write(false);
    db.set_enable_write_thread_adaptive_yield(false);
    db.set_keep_log_file_num(2);
    db.set_max_log_file_size(1 << 20);
    db.set_stats_dump_period_sec(0);
    db.set_stats_persist_period_sec(0);
    db.set_compression_type(DBCompressionType::Lz4);
    db
}

fn rows_options(options: &StoreOptions, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(4 << 10);
    table.set_bloom_filter(10.0, false);
    table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    let mut rows = database_options(options);
    rows.set_block_based_table_factory(&table);
    rows.set_write_buffer_size(1 << 20);
    rows.set_level_zero_file_num_compaction_trigger(LEVEL_ZERO_FILES);
    rows.set_max_bytes_for_level_base(512 << 20);
    rows.set_target_file_size_base(64 << 20);
    rows
}

fn journal_options(options: &StoreOptions) -> Result<Options, StoreError> {
    // What is in the log stays there when it is opened: writing it out again would only delay the start.
    let mut journal = database_options(options).get_options_from_string("avoid_flush_during_recovery=true")?;
    journal.set_track_and_verify_wals_in_manifest(true);
    // An interval between checkpoints fits into the memtable, so forgotten entries never reach a file.
    journal.set_write_buffer_size(2 * options.checkpoint_bytes + (8 << 20));
    journal.set_max_write_buffer_number(4);
    // The little that does reach a file is forgotten soon.
    journal.set_compression_type(DBCompressionType::None);
    Ok(journal)
}
