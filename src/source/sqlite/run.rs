//! The life of a running SQLite source: open, verify, copy or resume, follow; and again from the top after a fault.
//!
//! A fault never ends the source: it becomes a health state, and the file is tried again with back-off, so that
//! whatever the owner mends is noticed without a restart. What is wrong with one table halts what is declared from it,
//! and the file's other tables are followed on; when it is mended, it is copied again as a difference.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::connect::open_to_read;
use super::fault::Fault;
use super::layout::Layout;
use super::log::{self, Head};
use super::stream::{self, Found, Reach};
use super::watch::{FileId, Watch, log_of};
use crate::change::{Batch, Event, Phase, Position, RowBuilder, SourceHealth, TableId};
use crate::source::breaker::Breaker;
use crate::source::link::Told;
use crate::source::{Link, Message, SourceSpec, TableSpec};

/// Between two attempts to read the file.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The slow poll, for when file events are lost.
const SAFETY_POLL: Duration = Duration::from_millis(100);
/// How long a table rests whose rows could not be read.
const TABLE_REST: Duration = Duration::from_secs(10);

/// The least time between two looks at a file that changes all the time. SQLite's readers take the lock for writing,
/// for about a microsecond, when they meet a commit in the act of changing the shared memory: looking more seldom is
/// all that can be done about it, and makes it a matter of one in many million writes.
const PACE: Duration = Duration::from_micros(300);
/// So many looks that found something, hardly apart, make a file one that changes all the time.
const HURRIED_LOOKS: u32 = 8;

/// Follows the file at `path` from `from` on, until the link is closed or told to stop.
pub(super) fn run(path: &Path, spec: &SourceSpec, from: Option<Position>, link: &Link) {
    let mut watch = Watch::new(path);
    let mut life = Life::new(spec, from.unwrap_or_default());
    let mut breaker = Breaker::new(SHORTEST_PAUSE, LONGEST_PAUSE);
    while !link.stopped() {
        life.healthy = false;
        let outcome = Follower::open(spec, path, &mut life).and_then(|mut it| {
            let outcome = it.follow(link, &mut watch);
            it.leave();
            outcome
        });
        if life.healthy {
            breaker.close();
        }
        let health = match outcome {
            Err(Fault::Stopped) | Ok(()) => return,
            Err(Fault::Retry(reason)) => {
                breaker.open();
                breaker.retrying(reason)
            }
            Err(Fault::Halt(reason)) => {
                breaker.open();
                SourceHealth::Halted { reason }
            }
            Err(Fault::Table(tables, reason)) => {
                let until = Instant::now() + TABLE_REST;
                life.pending.extend(&tables);
                life.resting.extend(tables.into_iter().map(|it| (it, (reason.clone(), until))));
                continue;
            }
        };
        if life.tell(spec, link, health).is_err() {
            return;
        }
        link.pause_until(breaker.next());
    }
}

/// What outlives a fault.
pub(super) struct Life {
    /// The position of the last consistent batch.
    pub(super) position: Position,
    /// What that position does not speak of: what was never copied, was not followed meanwhile, or was begun to be
    /// copied behind that batch (an attempt that was given up may have copied it in part).
    pub(super) pending: BTreeSet<TableId>,
    /// What the position was last said to speak of.
    covered: BTreeSet<TableId>,
    /// Tables whose rows could not be read: why, and until when they are left alone.
    resting: BTreeMap<TableId, (String, Instant)>,
    told: Told,
    /// Whether the last attempt came as far as following the log.
    healthy: bool,
}

impl Life {
    fn new(spec: &SourceSpec, position: Position) -> Life {
        let needs_copy = |it: &&TableSpec| it.copy || position.is_unread();
        let (pending, covered): (Vec<_>, Vec<_>) = spec.tables.iter().partition(needs_copy);
        let ids = |tables: Vec<&TableSpec>| tables.into_iter().map(|it| it.table).collect();
        Life {
            pending: ids(pending),
            covered: ids(covered),
            position,
            resting: BTreeMap::new(),
            told: Told::default(),
            healthy: false,
        }
    }

    /// Verifies the file, except for the tables that rest. From then on the position speaks of no table that is halted,
    /// and one that was halted comes back with a copy only.
    fn verify(&mut self, connection: &Connection, spec: &SourceSpec, path: &Path) -> Result<Layout, Fault> {
        let resting = self.resting.iter().map(|(table, (reason, _))| (*table, reason.clone())).collect();
        let layout = Layout::verify(connection, spec, path, &resting)?;
        self.pending.extend(layout.halted.keys());
        Ok(layout)
    }

    /// Whether a table has rested long enough; then it is tried again.
    fn wake(&mut self) -> bool {
        let resting = self.resting.len();
        self.resting.retain(|_, (_, until)| Instant::now() < *until);
        self.resting.len() < resting
    }

    /// What is followed and has to be copied before a position speaks of it.
    fn to_copy(&self, layout: &Layout) -> BTreeSet<TableId> {
        layout.covers.iter().copied().filter(|it| self.pending.contains(it)).collect()
    }

    fn tell(&mut self, spec: &SourceSpec, link: &Link, health: SourceHealth) -> Result<(), Fault> {
        Ok(self.told.health(spec, link, health)?)
    }

    /// Tells what of the layout concerns single tables.
    fn tell_tables(&mut self, spec: &SourceSpec, link: &Link, layout: &Layout) -> Result<(), Fault> {
        self.told.added(spec, &layout.added);
        Ok(self.told.halted(spec, link, &layout.halted)?)
    }
}

/// One attempt to follow one file.
pub(super) struct Follower<'a> {
    spec: &'a SourceSpec,
    path: &'a Path,
    pub(super) life: &'a mut Life,
    pub(super) connection: Connection,
    /// The file and the log beside it.
    files: [FileId; 2],
    pub(super) layout: Layout,
    /// The end of the log before a table was last copied.
    pub(super) copied: BTreeMap<TableId, i64>,
    pub(super) builder: RowBuilder,
    /// When the last look that found something began, and how many before it were hardly apart.
    found_at: Instant,
    hurried: u32,
}

impl<'a> Follower<'a> {
    fn open(spec: &'a SourceSpec, path: &'a Path, life: &'a mut Life) -> Result<Follower<'a>, Fault> {
        let file = file_at(path)?;
        let connection = open_to_read(path)?;
        // The file is not mapped: who restores a backup in place shortens it, and reading behind the end of a mapped
        // file ends the process.
        connection.execute_batch("PRAGMA mmap_size = 0")?;
        connection.set_prepared_statement_cache_capacity(64 + 4 * spec.tables.len());
        let transaction = connection.unchecked_transaction()?;
        life.wake();
        let layout = life.verify(&connection, spec, path)?;
        transaction.finish()?;
        // The first read has made sure that there is a log, and SQLite takes none away that somebody has open.
        let files = [file, file_at(&log_of(path))?];
        let copied = BTreeMap::new();
        Ok(Follower {
            spec,
            path,
            life,
            connection,
            files,
            layout,
            copied,
            builder: RowBuilder::new(),
            found_at: Instant::now(),
            hurried: 0,
        })
    }

    fn follow(&mut self, link: &Link, watch: &mut Watch) -> Result<(), Fault> {
        self.life.tell_tables(self.spec, link, &self.layout)?;
        let mut head = self.resume(link)?;
        loop {
            if link.stopped() {
                return Err(Fault::Stopped);
            }
            self.check_files()?;
            let version = self.data_version()?;
            let seen_at = Instant::now();
            let doubtful = self.changed_schema(link)?;
            if !doubtful.is_empty() {
                self.copy(link, &doubtful)?;
                continue;
            }
            match self.look(head)? {
                // It changed since it was verified a moment ago, which says nothing yet about the tables that are read.
                None => {}
                Some(Found::WentBack(reason)) => {
                    head = self.copy_all(link, Some(format!("source-went-back: {reason}")))?;
                }
                Some(Found::Copy(tables)) => self.copy(link, &tables)?,
                Some(Found::TooMany) => head = self.copy_all(link, None)?,
                Some(Found::Slice(events, at)) => {
                    head = at;
                    self.send(link, events, self.life.position.clone(), Phase::Snapshot, seen_at)?;
                }
                Some(Found::Events(events, at)) => {
                    head = at;
                    let found = !events.is_empty();
                    self.send_consistent(link, events, head, seen_at)?;
                    if found {
                        self.keep_pace(seen_at);
                    }
                    self.wait(watch, version)?;
                }
            }
        }
    }

    /// After a look begun at `seen_at` found something: rests, when many looks before it did too.
    fn keep_pace(&mut self, seen_at: Instant) {
        let hurried = seen_at.duration_since(self.found_at) < 2 * PACE;
        self.hurried = if hurried { self.hurried + 1 } else { 0 };
        self.found_at = seen_at;
        if self.hurried > HURRIED_LOOKS {
            thread::sleep(PACE.saturating_sub(seen_at.elapsed()));
        }
    }

    /// Leaves the file as whoever closes it last does, with all writes in the file itself, but without the lock that
    /// keeps others from opening it.
    fn leave(&self) {
        if self.check_files().is_err() {
            // The log that is open would be written into a file that it does not belong to.
            return;
        }
        // Somebody else's checkpoint does as well, and one that fails is made by the next program that uses the file.
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }

    /// One look at the log behind `head`; `None` when the layout is no longer the file's.
    fn look(&mut self, head: Head) -> Result<Option<Found>, Fault> {
        let all_copied = self.layout.covers.iter().all(|it| self.life.pending.contains(it));
        let reach = if all_copied { Reach::Slice } else { Reach::End };
        self.read(|it| {
            if !it.is_schema_current()? {
                return Ok(None);
            }
            let Follower { connection, layout, builder, .. } = it;
            stream::read(connection, layout, head, &it.copied, reach, builder).map(Some)
        })
    }

    /// Sends what a look found up to the end of the log; nothing, when nothing is new.
    fn send_consistent(&mut self, link: &Link, events: Vec<Event>, head: Head, seen_at: Instant) -> Result<(), Fault> {
        let position = self.layout.position(head);
        let covers: BTreeSet<TableId> = self.layout.covers.iter().copied().collect();
        let copied = !self.life.pending.is_disjoint(&covers);
        if !events.is_empty() || position != self.life.position || copied || covers != self.life.covered {
            self.life.position = position.clone();
            self.send(link, events, position, Phase::Streaming, seen_at)?;
            self.life.pending.retain(|it| !covers.contains(it));
            self.life.covered = covers;
        }
        self.life.healthy = true;
        self.tell(link, SourceHealth::Streaming)?;
        let current = Message::Current(self.spec.index, seen_at);
        Ok(link.send(current)?)
    }

    /// Where to read on: at the old position when this is the log it belongs to, else behind a new copy.
    fn resume(&mut self, link: &Link) -> Result<Head, Fault> {
        let position = &self.life.position;
        if position.is_unread() {
            return self.copy_all(link, None);
        }
        if position.log != self.layout.uuid {
            return self.copy_all(link, Some("the change log was created anew".into()));
        }
        let (head, schema_version) = Layout::read_position(position);
        let doubtful = self.layout.doubtful_since(schema_version);
        let copy: BTreeSet<TableId> = self.life.to_copy(&self.layout).into_iter().chain(doubtful).collect();
        if !copy.is_empty() {
            self.copy(link, &Vec::from_iter(copy))?;
        }
        Ok(head)
    }

    /// Copies every table; the log is read from its present end on.
    fn copy_all(&mut self, link: &Link, reason: Option<String>) -> Result<Head, Fault> {
        if let Some(reason) = reason {
            let reason = format!("{reason}; copying all tables again");
            self.tell(link, SourceHealth::Retrying { reason, attempts: 0, next: Instant::now() })?;
        }
        let head = self.read(|it| it.head())?;
        let all = self.layout.covers.to_vec();
        self.copy(link, &all)?;
        Ok(head)
    }

    /// Verifies the layout again when the schema changed or a table has rested, and returns what is to be copied.
    fn changed_schema(&mut self, link: &Link) -> Result<Vec<TableId>, Fault> {
        let rested = self.life.wake();
        let layout = self.read(|it| {
            if !rested && log::schema_version(&it.connection)? == it.layout.schema_version {
                return Ok(None);
            }
            it.life.verify(&it.connection, it.spec, it.path).map(Some)
        })?;
        let Some(layout) = layout else { return Ok(Vec::new()) };
        if layout.uuid != self.layout.uuid {
            return Err(Fault::Retry("the change log was created anew".into()));
        }
        let doubtful = layout.doubtful(&self.layout);
        self.life.tell_tables(self.spec, link, &layout)?;
        let copy = self.life.to_copy(&layout).into_iter().chain(doubtful).collect::<BTreeSet<_>>();
        self.layout = layout;
        Ok(copy.into_iter().collect())
    }

    /// Inside a read transaction: fails when the layout is not the one of this transaction.
    pub(super) fn check_schema(&self) -> Result<(), Fault> {
        match self.is_schema_current()? {
            true => Ok(()),
            false => Err(Fault::Retry("the schema changed while it was read".into())),
        }
    }

    fn is_schema_current(&self) -> Result<bool, Fault> {
        Ok(log::schema_version(&self.connection)? == self.layout.schema_version)
    }

    pub(super) fn head(&self) -> Result<Head, Fault> {
        log::head(&self.connection)?.ok_or_else(|| {
            Fault::Halt(format!("the change log is empty: run `vantage capture install {}`", self.path.display()))
        })
    }

    /// Runs `read` in one read transaction.
    pub(super) fn read<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.connection.prepare_cached("BEGIN")?.execute([])?;
        let result = read(self);
        // Rolling back a transaction that only read is how it ends, whatever came of it.
        let ended = self.connection.prepare_cached("ROLLBACK")?.execute([]);
        let value = result?;
        ended?;
        Ok(value)
    }

    pub(super) fn tell(&mut self, link: &Link, health: SourceHealth) -> Result<(), Fault> {
        self.life.tell(self.spec, link, health)
    }

    pub(super) fn send(
        &self,
        link: &Link,
        events: Vec<Event>,
        position: Position,
        phase: Phase,
        seen_at: Instant,
    ) -> Result<(), Fault> {
        if link.stopped() {
            return Err(Fault::Stopped);
        }
        let covers = if phase == Phase::Streaming { Arc::clone(&self.layout.covers) } else { Arc::default() };
        let batch = Batch { source: self.spec.index, events, position, phase, covers, seen_at };
        Ok(link.send(Message::Batch(batch))?)
    }

    fn data_version(&self) -> Result<i64, Fault> {
        Ok(self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
    }

    /// Fails when other files lie at the path than those that are open: who restores a copy by hand replaces the file, or
    /// writes over it and takes its log away, and then nothing that others write is seen through what is open.
    fn check_files(&self) -> Result<(), Fault> {
        let log = log_of(self.path);
        for (path, open) in [self.path, &log].into_iter().zip(self.files) {
            if file_at(path)? != open {
                return Err(Fault::Retry(format!("{} was replaced by another file; opening it", path.display())));
            }
        }
        Ok(())
    }

    /// Returns when the file has moved on from `version`, or after a while.
    fn wait(&mut self, watch: &mut Watch, version: i64) -> Result<(), Fault> {
        if self.data_version()? == version && watch.wait(SAFETY_POLL) {
            watch.look_closely(|| Ok::<_, Fault>(self.data_version()? != version))?;
        }
        Ok(())
    }
}

fn file_at(path: &Path) -> Result<FileId, Fault> {
    FileId::of(path).map_err(|error| Fault::Retry(format!("{}: {error}", path.display())))
}
