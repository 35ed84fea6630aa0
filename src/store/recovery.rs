//! Recovery: opening the database and redoing the journal behind the last checkpoint.
//!
//! Nothing is replayed from a source and nothing is recomputed. A journal that is damaged or has a gap is refused by
//! name. Where epochs may have been lost, the incarnation grows.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::arena::Appender;
use super::base::Base;
use super::database::{Database, StoreOptions};
use super::directory::{Directory, LastUse, boot};
use super::epoch::Positions;
use super::error::StoreError;
use super::journal::{Commit, Entry, decode};
use super::log::{self, Damage, Log};
use super::meta::{self, META, note_row};
use super::run::{Run, push_run};

/// Journal entries are redone in runs of about this many rows.
const REDO_ROWS: usize = 32 * 1024;

/// The state after the newest epoch that survived.
pub(super) struct Recovered {
    pub(super) directory: Directory,
    pub(super) log: Log,
    pub(super) database: Arc<Database>,
    pub(super) base: Arc<Base>,
    pub(super) epoch: u64,
    pub(super) incarnation: u64,
    pub(super) positions: Arc<Positions>,
    pub(super) meta: BTreeMap<String, Vec<u8>>,
    pub(super) runs: Vec<Arc<Run>>,
    pub(super) appender: Appender,
    pub(super) journal_rows: usize,
    pub(super) journal_bytes: usize,
}

/// Opens `dir` and brings it to the newest epoch that survived.
pub(super) fn recover(dir: &Path, options: &StoreOptions) -> Result<Recovered, StoreError> {
    let (directory, lock) = Directory::open(dir)?;
    let last_use = directory.last_use()?;
    let (rows, journal) = (directory.database(), directory.journal());
    if last_use.is_some() {
        check_present(&rows.join("CURRENT"), &rows)?;
        check_present(&journal, &journal)?;
    }
    std::fs::create_dir_all(&journal).map_err(StoreError::at(&journal))?;
    let database = Arc::new(Database::open(&rows, directory.ingest(), options, lock)?);
    let checkpoint = meta::read_checkpoint(&database)?;
    let note = checkpoint.unwrap_or_default();
    let base = Arc::new(Base::new(database.clone(), note.epoch));
    let redo = RefCell::new(Redo::new(note.epoch, meta::read_positions(&database)?, meta::read_notes(&base)?));
    // Within one start of the machine nothing that was written is lost, so damage cannot be explained by that.
    let machine_stopped = last_use.as_ref().is_some_and(|it| !it.clean && !is_this_boot(it));
    let durable = directory.noted_durable().map_or(0, |(_, epoch)| epoch);
    let damage = || match machine_stopped && redo.borrow().epoch >= durable {
        true => Damage::Forgotten,
        false => Damage::Refused,
    };
    log::replay(&journal, |entry| redo.borrow_mut().entry(entry), damage)?;
    let mut redo = redo.into_inner();
    redo.finish_run();
    log::trim(&journal, note.epoch)?;
    let known = note.incarnation.max(redo.incarnation);
    let first = options.first_incarnation;
    let incarnation = next_incarnation(&directory, last_use.as_ref(), known, redo.epoch, first);
    directory.note_use(incarnation, false)?;
    // What is in the journal may never have been fsynced, and all that follows builds on it.
    log::sync_all(&journal)?;
    directory.note_durable(incarnation, redo.epoch)?;
    let log = Log::open(&journal, redo.epoch + 1)?;
    Ok(Recovered {
        directory,
        log,
        database,
        base,
        epoch: redo.epoch,
        incarnation,
        positions: Arc::new(redo.positions),
        meta: redo.meta,
        runs: redo.runs,
        appender: redo.appender,
        journal_rows: redo.rows,
        journal_bytes: redo.bytes,
    })
}

fn check_present(part: &Path, database: &Path) -> Result<(), StoreError> {
    match part.exists() {
        true => Ok(()),
        false => Err(StoreError::Corrupt(format!("{} is missing or incomplete", database.display()))),
    }
}

fn is_this_boot(last_use: &LastUse) -> bool {
    last_use.boot.is_some() && last_use.boot == boot()
}

/// The incarnation of this use: a greater one than before when epochs that were served may be gone.
fn next_incarnation(directory: &Directory, last_use: Option<&LastUse>, known: u64, epoch: u64, first: u64) -> u64 {
    let noted = directory.noted_durable();
    let known = known.max(noted.map_or(0, |(noted, _)| noted));
    let Some(last_use) = last_use else {
        // Either a new directory, or one that does not tell how its last use ended.
        return first.max(known + 1);
    };
    let incarnation = last_use.incarnation.max(known);
    let lost = noted.is_some_and(|(noted, durable)| noted == incarnation && durable > epoch);
    if lost {
        tracing::warn!(epoch, "the journal lost epochs that had been fsynced; their sources are read again from here");
    }
    if lost || (!last_use.clean && !is_this_boot(last_use)) { incarnation + 1 } else { incarnation }
}

/// What redoing the journal has come to.
struct Redo {
    epoch: u64,
    checkpoint: u64,
    incarnation: u64,
    positions: Positions,
    meta: BTreeMap<String, Vec<u8>>,
    runs: Vec<Arc<Run>>,
    /// Gathers the rows of the next run.
    appender: Appender,
    rows: usize,
    bytes: usize,
}

impl Redo {
    fn new(epoch: u64, positions: Positions, meta: BTreeMap<String, Vec<u8>>) -> Redo {
        Redo {
            epoch,
            checkpoint: epoch,
            incarnation: 0,
            positions,
            meta,
            runs: Vec::new(),
            appender: Appender::new(),
            rows: 0,
            bytes: 0,
        }
    }

    fn entry(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let Entry { epoch, incarnation, commit } = decode(self.epoch, bytes)?;
        if epoch <= self.checkpoint {
            return Ok(());
        }
        if epoch != self.epoch + 1 {
            let last = self.epoch;
            return Err(StoreError::Corrupt(format!("the journal goes from epoch {last} to epoch {epoch}")));
        }
        let Commit { rows, positions, meta } = commit;
        self.epoch = epoch;
        self.incarnation = incarnation;
        self.rows += rows.len().max(1);
        self.bytes += bytes.len();
        self.positions.extend(positions.into_iter().map(|(name, it)| (name.into(), Arc::new(it))));
        rows.into_iter().for_each(|(relation, row)| self.appender.push(relation, row));
        for (name, value) in meta {
            self.appender.push(META, note_row(&name, value.as_deref()));
            match value {
                Some(value) => self.meta.insert(name, value),
                None => self.meta.remove(&name),
            };
        }
        if self.appender.len() >= REDO_ROWS {
            self.finish_run();
        }
        Ok(())
    }

    fn finish_run(&mut self) {
        push_run(&mut self.runs, 0, self.appender.run());
    }
}
