//! One attempt to follow the topics: messages in, batches out.
//!
//! While tables are copied nothing is consistent: what arrives is sent as parts of a snapshot, also what other tables are
//! told meanwhile, and no position moves. When every partition has come to the end it had at the beginning, the position
//! speaks of all of it at once. From then on each batch ends on a message and carries the place of every partition.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::assignment::{assign, topics};
use super::client::{Asker, Consumer, consumer};
use super::fault::Fault;
use super::kind::Kafka;
use super::run::Life;
use super::topic::Topic;
use super::watch::{LOOK_INTERVAL, Trouble};
use super::whole::Whole;
use crate::change::{Batch, Event, Phase, TableId};
use crate::source::{Link, Message, SourceSpec};

/// So many messages at most are one batch, so that the engine's queue is bounded.
const BATCH_MESSAGES: usize = 4096;
/// How long we wait for the first message of a batch before we look at everything else.
const IDLE: Duration = Duration::from_millis(20);
/// What has arrived.
#[derive(Debug, Default)]
struct Gathered {
    events: Vec<Event>,
    /// When the first message was there.
    seen_at: Option<Instant>,
    /// Whether nothing more was there.
    is_idle: bool,
}

/// One attempt.
pub(super) struct Session<'a> {
    pub(super) kafka: &'a Kafka,
    pub(super) spec: &'a SourceSpec,
    pub(super) link: &'a Link,
    pub(super) life: &'a mut Life,
    /// Shared, because a message borrows from it and is taken while everything else changes.
    pub(super) consumer: Arc<Consumer>,
    pub(super) topics: Vec<Topic>,
    /// Whether tables are being copied.
    pub(super) copying: bool,
    pub(super) wants_headers: bool,
    pub(super) trouble: Option<Trouble>,
    /// How long the last request took.
    pub(super) round_trip: Duration,
    pub(super) look_at: Instant,
    pub(super) told_at: Instant,
    /// Which partition's end is asked for next, counted through all topics, and when.
    pub(super) checked: usize,
    pub(super) check_at: Instant,
    /// How often nothing was waiting.
    pub(super) idles: u64,
    /// What waits for the rest of its transaction, where transactions are applied whole.
    pub(super) whole: Option<Whole>,
    /// Whether it has to be seen what the position speaks of.
    pub(super) is_unsettled: bool,
}

impl<'a> Session<'a> {
    /// Connects, looks at the topics and begins to read.
    pub(super) fn open(
        kafka: &'a Kafka,
        spec: &'a SourceSpec,
        link: &'a Link,
        life: &'a mut Life,
    ) -> Result<Session<'a>, Fault> {
        let consumer = consumer(&spec.name, &kafka.connection)?;
        let asker = Asker { consumer: &consumer, link, is_reading: false };
        let topics = topics(kafka, spec, asker, life)?;
        assign(&consumer, &topics)?;
        let wants_headers = topics.iter().flat_map(|it| &it.tables).any(|it| it.reader.wants_headers());
        let now = Instant::now();
        let whole = kafka.transactions.as_ref().map(|it| Whole::new(it, &topics, life, now));
        Ok(Session {
            kafka,
            spec,
            link,
            life,
            consumer: Arc::new(consumer),
            topics,
            copying: false,
            wants_headers,
            trouble: None,
            round_trip: Duration::ZERO,
            look_at: now,
            told_at: now,
            checked: 0,
            check_at: now + LOOK_INTERVAL,
            idles: 0,
            whole,
            is_unsettled: true,
        })
    }

    /// Reads until there is a fault.
    pub(super) fn follow(&mut self) -> Result<(), Fault> {
        self.tell_halted()?;
        self.begin_copies()?;
        self.life.healthy = true;
        self.tell_health()?;
        loop {
            if self.link.stopped() {
                return Err(Fault::Stopped);
            }
            let looked_at = Instant::now();
            let Gathered { mut events, seen_at, is_idle } = self.gather()?;
            self.release(&mut events)?;
            if is_idle {
                self.idles += 1;
                self.skip_what_is_no_message()?;
            }
            self.send(events, seen_at.unwrap_or(looked_at))?;
            if is_idle {
                self.tell_current(looked_at)?;
            }
            self.look_around()?;
        }
    }

    /// The tables that can be copied now begin to be.
    fn begin_copies(&mut self) -> Result<(), Fault> {
        let readable = self.topics.iter().filter(|it| it.held.is_none()).flat_map(|it| &it.tables);
        let tables: Vec<TableId> = readable.filter(|it| it.is_copied).map(|it| it.id).collect();
        self.copying = !tables.is_empty();
        if self.copying {
            self.send_batch(Vec::new(), Phase::SnapshotStart(tables), Instant::now())?;
        }
        Ok(())
    }

    /// Takes what has arrived, at most one batch of it.
    fn gather(&mut self) -> Result<Gathered, Fault> {
        let mut gathered = Gathered::default();
        let consumer = Arc::clone(&self.consumer);
        for _ in 0..BATCH_MESSAGES {
            if gathered.seen_at.is_some() && self.whole.as_ref().is_some_and(|it| it.holding.is_full()) {
                break;
            }
            let wait = if gathered.seen_at.is_some() { Duration::ZERO } else { IDLE };
            match consumer.poll(wait) {
                None => {
                    gathered.is_idle = true;
                    break;
                }
                Some(Ok(message)) => {
                    gathered.seen_at.get_or_insert_with(Instant::now);
                    self.take(&message, &mut gathered.events)?;
                }
                Some(Err(error)) => self.note(&error)?,
            }
        }
        Ok(gathered)
    }

    /// Sends what was gathered, with the places it goes up to.
    fn send(&mut self, events: Vec<Event>, seen_at: Instant) -> Result<(), Fault> {
        self.tell_rejected()?;
        let done = self.copying && self.topics.iter().all(Topic::is_copied) && self.ends_on_transactions();
        if self.copying && !done {
            return match events.is_empty() {
                true => Ok(()),
                false => self.send_batch(events, Phase::Snapshot, seen_at),
            };
        }
        let mut is_moved = false;
        for topic in &mut self.topics {
            for (number, partition) in topic.partitions.iter_mut().enumerate() {
                if std::mem::take(&mut partition.is_moved)
                    && let Some(place) = partition.place()
                {
                    self.life.places.set(&topic.name, number as i32, place, partition.digest);
                    is_moved = true;
                }
            }
        }
        if done {
            self.end_copies();
        }
        let is_new = std::mem::take(&mut self.is_unsettled) && self.settle();
        if !events.is_empty() || is_moved || done || is_new {
            self.life.position = self.life.places.to_position(self.topics.len());
            self.send_batch(events, Phase::Streaming, seen_at)?;
        }
        if done { self.tell_health() } else { Ok(()) }
    }

    /// What was copied is followed from now on.
    fn end_copies(&mut self) {
        (self.copying, self.is_unsettled) = (false, true);
        for topic in self.topics.iter_mut().filter(|it| it.held.is_none()) {
            for table in topic.tables.iter_mut().filter(|it| it.is_copied) {
                table.is_copied = false;
                self.life.pending.remove(&table.id);
            }
        }
    }

    /// What the position speaks of: every table but those that are still to be copied. Whether that is new.
    fn settle(&mut self) -> bool {
        let pending = &self.life.pending;
        // Where transactions end was read for all that is covered.
        let is_covered =
            |topic: &&Topic| topic.tables.is_empty() || topic.tables.iter().any(|it| !pending.contains(&it.id));
        let covered: Vec<&str> = self.topics.iter().filter(is_covered).map(|it| it.name.as_str()).collect();
        self.life.places.retain(|it| covered.contains(&it));
        let tables = self.spec.tables.iter().map(|it| it.table);
        let covers: Vec<TableId> = tables.filter(|it| !pending.contains(it)).collect();
        let is_new = *self.life.covers != covers[..];
        if is_new {
            self.life.covers = covers.into();
        }
        is_new
    }

    fn send_batch(&mut self, events: Vec<Event>, phase: Phase, seen_at: Instant) -> Result<(), Fault> {
        let covers = if phase == Phase::Streaming { Arc::clone(&self.life.covers) } else { Arc::default() };
        let position = self.life.position.clone();
        let batch = Batch { source: self.spec.index, events, position, phase, covers, seen_at };
        Ok(self.link.send(Message::Batch(batch))?)
    }
}
