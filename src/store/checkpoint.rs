//! A checkpoint: frozen runs become one sorted file that the database takes in, on a thread of its own.
//!
//! Order is what makes it safe. The file is taken in all or nothing and survives a power loss before anything of
//! the journal is forgotten; a crash in between leaves journal entries that recovery recognises as contained.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rocksdb::SstFileWriter;

use super::arena::Arena;
use super::base::Base;
use super::database::Database;
use super::epoch::Positions;
use super::error::StoreError;
use super::log;
use super::meta::{CheckpointNote, META, encode_checkpoint, encode_positions};
use super::range::write_stored_key;
use super::run::{Change, Run};

/// How many rows are touched before the first of them is written.
const READ_AHEAD: usize = 64;

/// What is to become a checkpoint: the state after `epoch` as changes to the checkpoint before.
#[derive(Debug)]
pub(super) struct Frozen {
    pub(super) runs: Vec<Arc<Run>>,
    pub(super) epoch: u64,
    pub(super) incarnation: u64,
    pub(super) positions: Arc<Positions>,
}

/// How a checkpoint went.
pub(super) struct Outcome {
    pub(super) base: Result<Base, StoreError>,
    pub(super) took: Duration,
}

/// What the thread is asked for.
enum Job {
    Make(Frozen),
    /// Frees rows nobody refers to any more: it takes long enough to be felt in front of a commit.
    Free(Arc<Arena>),
}

/// The thread that makes checkpoints, one at a time.
pub(super) struct Checkpointer {
    jobs: Option<Sender<Job>>,
    outcomes: Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
    busy: bool,
}

impl Checkpointer {
    pub(super) fn start(database: Arc<Database>, journal: PathBuf) -> Result<Checkpointer, StoreError> {
        let (jobs, todo) = channel();
        let (done, outcomes) = channel();
        let work = move || {
            for job in todo {
                let frozen = match job {
                    Job::Make(frozen) => frozen,
                    Job::Free(rows) => {
                        drop(rows);
                        continue;
                    }
                };
                let began = Instant::now();
                let base = make(&database, &journal, &frozen);
                // Let go of the rows first: who waits for the outcome may want them gone.
                drop(frozen);
                if done.send(Outcome { base, took: began.elapsed() }).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("vantage-checkpoint".to_owned()).spawn(work)?;
        Ok(Checkpointer { jobs: Some(jobs), outcomes, thread: Some(thread), busy: false })
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Starts a checkpoint; there must be none under way.
    pub(super) fn begin(&mut self, frozen: Frozen) -> Result<(), StoreError> {
        self.busy = true;
        let sent = self.jobs.as_ref().map(|jobs| jobs.send(Job::Make(frozen)));
        if matches!(sent, Some(Ok(()))) { Ok(()) } else { Err(thread_is_gone()) }
    }

    /// Frees these rows on the thread.
    pub(super) fn free(&self, rows: Arc<Arena>) {
        // Without the thread they are freed right here.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(Job::Free(rows)));
    }

    /// The outcome of the checkpoint under way: when it is there, or with `wait` as soon as it is.
    pub(super) fn outcome(&mut self, wait: bool) -> Result<Option<Outcome>, StoreError> {
        if !self.busy {
            return Ok(None);
        }
        let outcome = if wait {
            Some(self.outcomes.recv().map_err(|_| thread_is_gone())?)
        } else {
            match self.outcomes.try_recv() {
                Ok(outcome) => Some(outcome),
                Err(std::sync::mpsc::TryRecvError::Empty) => None,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return Err(thread_is_gone()),
            }
        };
        self.busy = outcome.is_none();
        Ok(outcome)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        // The database must not be in use when the directory's lock is released.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn thread_is_gone() -> StoreError {
    StoreError::Storage("the checkpoint thread ended unexpectedly".to_owned())
}

fn make(database: &Arc<Database>, journal: &Path, frozen: &Frozen) -> Result<Base, StoreError> {
    database.ingest(|writer| fill(frozen, writer))?;
    log::trim(journal, frozen.epoch)?;
    Ok(Base::new(database.clone(), frozen.epoch))
}

/// Writes the newest version of every changed key, in key order, with the store's notes at their places.
fn fill(frozen: &Frozen, writer: &mut SstFileWriter<'_>) -> Result<(), StoreError> {
    let note = CheckpointNote { epoch: frozen.epoch, incarnation: frozen.incarnation };
    let (key, value) = encode_checkpoint(note)?;
    writer.put(key, value)?;
    let newest = newest_versions(&frozen.runs);
    let notes = newest.partition_point(|change| change.relation() == META);
    let mut stored_key = Vec::new();
    for (place, change) in newest.iter().enumerate() {
        if place == notes {
            write_positions(frozen, writer)?;
        }
        if place.is_multiple_of(READ_AHEAD) {
            // The rows lie anywhere in memory: read a little of the next ones so that their cache misses overlap.
            let ahead = newest[place..].iter().take(READ_AHEAD);
            std::hint::black_box(ahead.fold(0, |sum, it| sum ^ it.row().as_bytes()[0]));
        }
        let row = change.row();
        write_stored_key(change.relation(), row.key(), &mut stored_key);
        if row.is_tombstone() {
            writer.delete(&stored_key)?;
        } else {
            writer.put(&stored_key, row.as_bytes())?;
        }
    }
    if notes == newest.len() {
        write_positions(frozen, writer)?;
    }
    Ok(())
}

fn write_positions(frozen: &Frozen, writer: &mut SstFileWriter<'_>) -> Result<(), StoreError> {
    let (key, value) = encode_positions(&frozen.positions)?;
    Ok(writer.put(key, value)?)
}

fn newest_versions(runs: &[Arc<Run>]) -> Vec<Change<'_>> {
    let mut changes = Vec::with_capacity(runs.iter().map(|run| run.len()).sum());
    runs.iter().rev().for_each(|run| changes.extend(run.changes()));
    // Stable, so that of one key's versions the newest stays in front.
    changes.sort_by(Change::order);
    changes.dedup_by(|later, kept| later.same_key(kept));
    changes
}
