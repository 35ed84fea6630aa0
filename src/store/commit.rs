//! The store: takes one commit an epoch, publishes it, and makes checkpoints behind.
//!
//! A commit is one journal entry (it survives the process from then on), then a new immutable run, then a new epoch
//! that shares everything else with the one before. One thread commits; any number of threads read epochs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::change::{RelationId, Row};

use super::arena::{Appender, Arena};
use super::base::Base;
use super::checkpoint::{Checkpointer, Frozen};
use super::database::{Database, StoreOptions};
use super::durability::{Durability, Syncer};
use super::epoch::{Epoch, Positions};
use super::error::StoreError;
use super::journal::{Commit, encode};
use super::log::{Log, frame};
use super::meta::{META, move_positions, note_row};
use super::range::{KeyRange, stored_key};
use super::recovery::recover;
use super::run::{Run, push_run};
use super::stats::StoreStats;
use crate::change::prefix_end;
use std::ops::Bound;

/// How many rows [`Store::rows`] reads at a time.
const ROWS_CHUNK: usize = 4096;

/// The one writer of a data directory.
pub struct Store {
    // Ended first: its thread uses the database.
    checkpointer: Checkpointer,
    options: StoreOptions,
    log: Log,
    database: Arc<Database>,
    durability: Arc<Durability>,
    base: Arc<Base>,
    runs: Vec<Arc<Run>>,
    appender: Appender,
    /// Rows of finished checkpoints that epochs may still refer to; each is freed off this thread.
    retired: Vec<Arc<Arena>>,
    /// How many of the oldest runs the checkpoint under way takes; they are left as they are.
    frozen: usize,
    positions: Arc<Positions>,
    meta: BTreeMap<String, Vec<u8>>,
    epoch: Arc<Epoch>,
    /// Rows (an epoch without any counts as one) and bytes journaled since runs were last frozen.
    since_frozen: (usize, usize),
    entry: Vec<u8>,
    stats: StoreStats,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("database", &self.database).field("epoch", &self.epoch.number()).finish()
    }
}

impl Store {
    /// Opens or creates the data directory `dir` and returns its newest epoch too.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<(Store, Arc<Epoch>), StoreError> {
        let recovered = recover(dir, &options)?;
        let checkpointer = Checkpointer::start(recovered.database.clone(), recovered.directory.journal())?;
        let durability = Durability::new(recovered.directory, recovered.incarnation, recovered.epoch);
        let epoch = Arc::new(Epoch::new(
            recovered.epoch,
            recovered.incarnation,
            recovered.positions.clone(),
            recovered.runs.clone(),
            Some(recovered.base.clone()),
        ));
        let store = Store {
            checkpointer,
            log: recovered.log,
            options,
            database: recovered.database,
            durability: Arc::new(durability),
            base: recovered.base,
            runs: recovered.runs,
            appender: recovered.appender,
            retired: Vec::new(),
            frozen: 0,
            positions: recovered.positions,
            meta: recovered.meta,
            epoch: epoch.clone(),
            since_frozen: (recovered.journal_rows, recovered.journal_bytes),
            entry: Vec::new(),
            stats: StoreStats { redone_rows: recovered.journal_rows as u64, ..StoreStats::default() },
        };
        Ok((store, epoch))
    }

    /// Applies `commit` as the next epoch and returns it. From then on it survives the end of the process, and after
    /// [`Store::sync`] a power loss.
    pub fn commit(&mut self, mut commit: Commit) -> Result<Arc<Epoch>, StoreError> {
        self.try_commit(&mut commit)
    }

    /// As [`Store::commit`], but leaves `commit` as it is unless it was applied. After [`StoreError::Full`] nothing was
    /// applied and the same commit may be tried again. Any other error is final.
    pub fn try_commit(&mut self, commit: &mut Commit) -> Result<Arc<Epoch>, StoreError> {
        self.durability.check()?;
        let adopted = self.adopt(self.must_wait());
        self.durability.clone().guard(adopted)?;
        self.free_retired();
        if commit.rows.iter().any(|(relation, _)| *relation == META) {
            return Err(StoreError::Misuse("relation 0 belongs to the store; use meta".to_owned()));
        }
        let began = Instant::now();
        let number = self.epoch.number() + 1;
        encode(number, self.epoch.incarnation(), commit, &mut self.entry);
        frame(&mut self.entry);
        self.durability.guard(self.log.append(&self.entry))?;
        self.durability.note_committed(number);
        let journaled = Instant::now();
        let rows = commit.rows.len();
        self.apply(std::mem::take(commit));
        self.publish(number);
        self.since_frozen.0 += rows.max(1);
        self.since_frozen.1 += self.entry.len();
        self.stats.rows += rows as u64;
        self.stats.journal_seconds += (journaled - began).as_secs_f64();
        self.stats.publish_seconds += journaled.elapsed().as_secs_f64();
        if !self.checkpointer.is_busy() && self.is_checkpoint_due(1) {
            self.durability.clone().guard(self.freeze())?;
        }
        Ok(self.epoch.clone())
    }

    /// Fsyncs the log and returns the newest epoch that survives a power loss. After an error no commit is taken.
    pub fn sync(&mut self) -> Result<u64, StoreError> {
        self.syncer().sync()
    }

    /// A handle to [`Store::sync`] for another thread, so that commits need not wait for the disk.
    pub fn syncer(&self) -> Syncer {
        Syncer { unsynced: self.log.unsynced(), durability: self.durability.clone() }
    }

    /// The newest epoch.
    pub fn epoch(&self) -> Arc<Epoch> {
        self.epoch.clone()
    }

    /// The engine's note called `key`, as of the newest epoch.
    pub fn meta(&self, key: &str) -> Option<Vec<u8>> {
        self.meta.get(key).cloned()
    }

    /// The engine's notes whose names start with `prefix`, in order.
    pub fn meta_with_prefix(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let from = self.meta.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.take_while(|(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// All rows of `relation` as of the newest epoch, in key order. Later commits do not show up in it.
    pub fn rows(&self, relation: RelationId) -> impl Iterator<Item = Result<Row, StoreError>> + Send + use<> {
        Rows { epoch: self.epoch(), relation, range: KeyRange::all(), chunk: Vec::new().into_iter(), done: false }
    }

    /// Removes all rows of `relation`, which no open commit may still write. Epochs that are held keep theirs. When
    /// it is interrupted all rows, or none, are gone, and it may be repeated.
    pub fn drop_relation(&mut self, relation: RelationId) -> Result<(), StoreError> {
        if relation == META {
            return Err(StoreError::Misuse("relation 0 belongs to the store".to_owned()));
        }
        // Then neither the runs nor the journal hold anything of it that could come back.
        self.checkpoint_now()?;
        let begin = stored_key(relation, &[]);
        let Some(end) = prefix_end(&begin) else {
            return Err(StoreError::Misuse("the greatest relation id is not used".to_owned()));
        };
        let dropped = self.database.ingest(|writer| Ok(writer.delete_range(&begin, &end)?));
        self.durability.guard(dropped)?;
        self.base = Arc::new(Base::new(self.database.clone(), self.epoch.number()));
        self.publish(self.epoch.number());
        Ok(())
    }

    /// Makes a checkpoint of the newest epoch and waits for it; [`Store::epoch`] then rests on it.
    pub fn checkpoint_now(&mut self) -> Result<(), StoreError> {
        self.durability.check()?;
        let result = self.checkpoint_and_wait();
        self.durability.clone().guard(result)
    }

    /// Makes a last checkpoint, fsyncs, and notes that nothing was left undone.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.checkpoint_now()?;
        self.sync()?;
        self.durability.directory().note_use(self.epoch.incarnation(), true)
    }

    /// What the store holds and what it has done since it was opened.
    pub fn stats(&self) -> StoreStats {
        StoreStats {
            epoch: self.epoch.number(),
            durable_epoch: self.durability.durable(),
            checkpoint_epoch: self.base.epoch(),
            runs: self.runs.len(),
            run_rows: self.runs.iter().map(|run| run.len() as u64).sum(),
            sst_bytes: self.database.sst_bytes(),
            journal_bytes: self.since_frozen.1 as u64,
            ..self.stats.clone()
        }
    }

    fn apply(&mut self, commit: Commit) {
        self.appender.reserve(commit.rows.len() + commit.meta.len());
        commit.rows.into_iter().for_each(|(relation, row)| self.appender.push(relation, row));
        for (name, value) in commit.meta {
            self.appender.push(META, note_row(&name, value.as_deref()));
            match value {
                Some(value) => self.meta.insert(name, value),
                None => self.meta.remove(&name),
            };
        }
        push_run(&mut self.runs, self.frozen, self.appender.run());
        move_positions(&mut self.positions, commit.positions);
    }

    fn publish(&mut self, number: u64) {
        let (runs, base) = (self.runs.clone(), Some(self.base.clone()));
        self.epoch = Arc::new(Epoch::new(number, self.epoch.incarnation(), self.positions.clone(), runs, base));
    }

    fn is_checkpoint_due(&self, times: usize) -> bool {
        let (rows, bytes) = self.since_frozen;
        rows >= times * self.options.checkpoint_rows || bytes >= times * self.options.checkpoint_bytes
    }

    /// Whether so much gathered behind the checkpoint under way that memory would grow without bound.
    fn must_wait(&self) -> bool {
        self.checkpointer.is_busy() && self.is_checkpoint_due(2)
    }

    fn freeze(&mut self) -> Result<(), StoreError> {
        self.frozen = self.runs.len();
        self.since_frozen = (0, 0);
        let full = std::mem::replace(&mut self.appender, Appender::new());
        self.retired.push(full.arena().clone());
        match self.log.rotate(self.epoch.number() + 1) {
            // The segment goes on and is removed with a later checkpoint.
            Err(error) if error.is_passing() => tracing::warn!(%error, "the journal could not begin another file"),
            rotated => rotated?,
        }
        self.checkpointer.begin(Frozen {
            runs: self.runs.clone(),
            epoch: self.epoch.number(),
            incarnation: self.epoch.incarnation(),
            positions: self.positions.clone(),
        })
    }

    /// Hands over the rows that no epoch refers to any more. The handle kept here is the last one then.
    fn free_retired(&mut self) {
        for rows in self.retired.extract_if(.., |it| Arc::strong_count(it) == 1) {
            self.checkpointer.free(rows);
        }
    }

    /// Takes over a finished checkpoint: what it contains is no longer needed as runs.
    fn adopt(&mut self, wait: bool) -> Result<(), StoreError> {
        let Some(outcome) = self.checkpointer.outcome(wait)? else { return Ok(()) };
        let frozen = std::mem::take(&mut self.frozen);
        self.stats.checkpoint_seconds += outcome.took.as_secs_f64();
        match outcome.base {
            Ok(base) => {
                self.runs.drain(..frozen);
                self.base = Arc::new(base);
                self.stats.checkpoints += 1;
                Ok(())
            }
            // The runs and the journal still hold everything; the next interval's checkpoint takes them along.
            Err(error @ StoreError::Full(_)) => {
                tracing::warn!("no checkpoint was made: {error}");
                self.stats.failed_checkpoints += 1;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn checkpoint_and_wait(&mut self) -> Result<(), StoreError> {
        self.adopt(true)?;
        if self.base.epoch() < self.epoch.number() {
            self.freeze()?;
            self.adopt(true)?;
            if self.base.epoch() < self.epoch.number() {
                return Err(StoreError::Full("the checkpoint could not be written".to_owned()));
            }
        }
        self.publish(self.epoch.number());
        Ok(())
    }
}

/// The rows of a relation, a chunk at a time.
struct Rows {
    epoch: Arc<Epoch>,
    relation: RelationId,
    range: KeyRange,
    chunk: std::vec::IntoIter<Row>,
    done: bool,
}

impl Iterator for Rows {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.chunk.next() {
            return Some(Ok(row));
        }
        if self.done {
            return None;
        }
        match self.epoch.scan(self.relation, &self.range, false, ROWS_CHUNK) {
            Ok(rows) => {
                self.done = rows.len() < ROWS_CHUNK;
                if let Some(last) = rows.last() {
                    self.range.start = Bound::Excluded(last.key().to_vec());
                }
                self.chunk = rows.into_iter();
                self.chunk.next().map(Ok)
            }
            Err(error) => {
                self.done = true;
                Some(Err(error))
            }
        }
    }
}
