//! One attempt to follow the topics: messages in, batches out.
//!
//! While tables are copied nothing is consistent: what arrives is sent as parts of a snapshot, also what other tables are
//! told meanwhile, and no position moves. When every partition has come to the end it had at the beginning, the position
//! speaks of all of it at once. From then on each batch ends on a message and carries the place of every partition.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::Offset;

use super::assignment::{Found, assign, look, pause, resync, topics};
use super::client::{Asker, Consumer, consumer};
use super::fault::{Fault, Meaning, meaning, words};
use super::kind::Kafka;
use super::run::Life;
use super::topic::{Fit, Progress, Topic};
use crate::change::{Batch, Event, Phase, SourceHealth, TableId};
use crate::source::digest::Digest;
use crate::source::format::{Message as Envelope, Unread, beginning};
use crate::source::link::jittered;
use crate::source::{Link, Message, SourceSpec};

/// So many messages at most are one batch, so that the engine's queue is bounded.
const BATCH_MESSAGES: usize = 4096;
/// How long we wait for the first message of a batch before we look at everything else.
const IDLE: Duration = Duration::from_millis(20);
/// How often the topics are looked at: whether there are more partitions, or topics that were missing.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Between two requests for the ends of a partition.
const LEAST_CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// How often the progress of a copy is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
/// The first and the longest pause between two attempts to see whether the cluster answers again.
const PROBE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// The cluster does not answer, or not us.
#[derive(Debug)]
struct Trouble {
    pause: Duration,
    probe_at: Instant,
}

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
    kafka: &'a Kafka,
    spec: &'a SourceSpec,
    link: &'a Link,
    life: &'a mut Life,
    /// Shared, because a message borrows from it and is taken while everything else changes.
    consumer: Arc<Consumer>,
    topics: Vec<Topic>,
    /// Whether tables are being copied.
    copying: bool,
    wants_headers: bool,
    trouble: Option<Trouble>,
    /// How long the last request took.
    round_trip: Duration,
    look_at: Instant,
    told_at: Instant,
    /// Which partition's end is asked for next, counted through all topics, and when.
    checked: usize,
    check_at: Instant,
    /// How often nothing was waiting.
    idles: u64,
    /// Whether it has to be seen what the position speaks of.
    is_unsettled: bool,
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
            let Gathered { events, seen_at, is_idle } = self.gather()?;
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

    /// Nothing was waiting at `looked_at`. What was committed later than a request takes may have been on its way.
    fn tell_current(&mut self, looked_at: Instant) -> Result<(), Fault> {
        let Some(instant) = looked_at.checked_sub(self.round_trip) else { return Ok(()) };
        if self.trouble.is_some() || self.copying || !self.topics.iter().all(Topic::is_current) {
            return Ok(());
        }
        Ok(self.link.send(Message::Current(self.spec.index, instant))?)
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

    fn asker(&self) -> Asker<'_> {
        Asker { consumer: &self.consumer, link: self.link, is_reading: true }
    }

    /// Takes what has arrived, at most one batch of it.
    fn gather(&mut self) -> Result<Gathered, Fault> {
        let mut gathered = Gathered::default();
        let consumer = Arc::clone(&self.consumer);
        for _ in 0..BATCH_MESSAGES {
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

    /// Makes events of one message.
    fn take(&mut self, message: &BorrowedMessage<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        self.trouble = None;
        let Some(at) = self.topics.iter().position(|it| it.name == message.topic()) else { return Ok(()) };
        let topic = &mut self.topics[at];
        let (number, offset) = (message.partition() as usize, message.offset());
        let partitions = topic.partitions.len();
        let Some(partition) = topic.partitions.get_mut(number) else { return Err(Fault::Reopen) };
        if topic.held.is_some() || offset < partition.next {
            return Ok(());
        }
        let digest = digest(message);
        if partition.is_other(offset, digest) {
            let evidence =
                format!("partition {number} has another message at offset {offset} than the one that was read");
            return self.misfit(at, &Fit::Other { evidence });
        }
        let headers = if self.wants_headers { headers(message) } else { Vec::new() };
        let envelope = Envelope {
            topic: message.topic(),
            partition: message.partition(),
            offset,
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key(),
            value: message.payload(),
            headers: &headers,
            partitions,
        };
        let before = events.len();
        let is_new = offset >= partition.known;
        let (mut poisoned, mut gave_up) = (None, false);
        for table in topic.tables.iter_mut().filter(|it| it.is_copied || is_new && it.given_up.is_none()) {
            let poison = match table.reader.read(&envelope, table.id, events) {
                Ok(()) => continue,
                Err(Unread::Poison(poison)) => poison,
                Err(unread) => return Err(unread.into()),
            };
            let shown = beginning(message.payload().or(message.key()));
            let name = &topic.name;
            let reason =
                format!("topic \"{name}\", partition {number}, offset {offset}: {poison}; the message begins: {shown}");
            if self.life.pending.contains(&table.id) {
                // It holds nothing yet that would go stale, so the topic's other tables go on without it.
                (table.is_copied, table.given_up, gave_up) = (false, Some(reason.clone()), true);
                self.life.given_up.insert(table.id, reason);
            } else {
                poisoned = Some(reason);
            }
        }
        if poisoned.is_none() {
            partition.read(offset, digest);
        } else {
            // The message has not happened, for no table of the topic: its place is before it.
            events.truncate(before);
        }
        if poisoned.is_none() && gave_up && topic.tables.iter().all(|it| it.given_up.is_some()) {
            poisoned = topic.tables[0].given_up.clone();
        }
        match poisoned {
            Some(reason) => self.hold(at, reason),
            None if gave_up => self.tell_halted(),
            None => Ok(()),
        }
    }

    /// The topic does not go on where it was read up to.
    fn misfit(&mut self, at: usize, misfit: &Fit) -> Result<(), Fault> {
        if resync(self.kafka, self.life, &mut self.topics[at], misfit) {
            return Err(Fault::Reopen);
        }
        let reason = self.topics[at].held.take().expect("a topic that is not copied again is held");
        self.hold(at, reason)
    }

    /// No more is read of a topic; all others go on.
    fn hold(&mut self, at: usize, reason: String) -> Result<(), Fault> {
        self.topics[at].held = Some(reason);
        pause(&self.consumer, &self.topics[at])?;
        self.tell_halted()
    }

    /// Tells which tables are not followed, and why.
    fn tell_halted(&mut self) -> Result<(), Fault> {
        let mut halted = BTreeMap::new();
        for topic in &self.topics {
            for table in &topic.tables {
                let reason = table.given_up.as_ref().or(topic.held.as_ref());
                halted.extend(reason.map(|it| (table.id, it.clone())));
            }
        }
        Ok(self.life.told.halted(self.spec, self.link, &halted)?)
    }

    /// What librdkafka says instead of a message.
    fn note(&mut self, error: &KafkaError) -> Result<(), Fault> {
        match meaning(error) {
            Meaning::Passing => Ok(()),
            Meaning::Unreachable => {
                let reason = words(error, self.consumer.context().take_heard());
                self.enter_trouble(SourceHealth::Retrying { reason })
            }
            Meaning::Denied => {
                let reason = words(error, self.consumer.context().take_heard());
                self.enter_trouble(SourceHealth::Halted { reason })
            }
            // Which partition it is, and whether that is a gap, is seen when everything is looked at anew.
            Meaning::OutOfRange | Meaning::Missing => Err(Fault::Reopen),
            Meaning::Other => Err(Fault::Retry(words(error, self.consumer.context().take_heard()))),
        }
    }

    fn enter_trouble(&mut self, health: SourceHealth) -> Result<(), Fault> {
        let probe_at = Instant::now() + PROBE[0];
        self.trouble.get_or_insert(Trouble { pause: PROBE[0], probe_at });
        Ok(self.life.told.health(self.spec, self.link, health)?)
    }

    /// The ends of transactions, and messages of those that were given up, have offsets and are no messages.
    fn skip_what_is_no_message(&mut self) -> Result<(), Fault> {
        let positions = self.consumer.position().map_err(|error| Fault::Retry(error.to_string()))?;
        for element in positions.elements() {
            let topic = self.topics.iter_mut().find(|it| it.name == element.topic() && it.held.is_none());
            let partition = topic.and_then(|it| it.partitions.get_mut(element.partition() as usize));
            if let (Some(partition), Offset::Offset(next)) = (partition, element.offset()) {
                partition.skip_to(next);
            }
        }
        Ok(())
    }

    /// Sends what was gathered, with the places it goes up to.
    fn send(&mut self, events: Vec<Event>, seen_at: Instant) -> Result<(), Fault> {
        let done = self.copying && self.topics.iter().all(Topic::is_copied);
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
        let is_covered = |topic: &&Topic| topic.tables.iter().any(|it| !pending.contains(&it.id));
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

    /// What is done now and then.
    fn look_around(&mut self) -> Result<(), Fault> {
        let now = Instant::now();
        if let Some(trouble) = &self.trouble {
            if now >= trouble.probe_at {
                self.probe()?;
            }
            return Ok(());
        }
        if now >= self.told_at + PROGRESS_INTERVAL {
            self.told_at = now;
            self.tell_health()?;
        }
        if now >= self.look_at {
            self.look_at = now + LOOK_INTERVAL;
            self.look_at_topics()?;
        }
        if now >= self.check_at { self.check_an_end() } else { Ok(()) }
    }

    /// Asks for the ends of one partition after the other, so that what is current, behind, or stuck is known and not
    /// supposed.
    fn check_an_end(&mut self) -> Result<(), Fault> {
        let read = self.topics.iter().enumerate().filter(|it| it.1.held.is_none());
        let places: Vec<(usize, usize)> =
            read.flat_map(|(at, topic)| (0..topic.partitions.len()).map(move |number| (at, number))).collect();
        let Some((at, number)) = places.get(self.checked % places.len().max(1)).copied() else { return Ok(()) };
        self.checked += 1;
        let topic = &mut self.topics[at];
        let Ok((low, high)) = self.consumer.fetch_watermarks(&topic.name, number as i32, PROBE[0]) else {
            // Its leader may be about to change; what is wrong with the connection is told elsewhere.
            self.check_at = Instant::now() + LOOK_INTERVAL;
            return Ok(());
        };
        self.check_at = Instant::now() + (LOOK_INTERVAL / places.len() as u32).max(LEAST_CHECK_INTERVAL);
        match topic.partitions[number].check(low, high, self.idles) {
            Progress::Fine => Ok(()),
            Progress::Lost => Err(Fault::Reopen),
            Progress::Stuck => {
                tracing::warn!(
                    topic = topic.name,
                    partition = number,
                    "messages are there and do not come; connecting anew"
                );
                Err(Fault::Reopen)
            }
        }
    }

    /// Whether the cluster answers again.
    fn probe(&mut self) -> Result<(), Fault> {
        let name = &self.topics[0].name;
        let answer = self.consumer.fetch_metadata(Some(name), PROBE[0]);
        if answer.is_ok() {
            self.trouble = None;
            return Ok(());
        }
        let pause = self.trouble.as_ref().map_or(PROBE[0], |it| it.pause * 2).min(PROBE[1]);
        self.trouble = Some(Trouble { pause, probe_at: Instant::now() + jittered(pause) });
        Ok(())
    }

    /// Whether a topic has come, gone, or grown.
    fn look_at_topics(&mut self) -> Result<(), Fault> {
        for at in 0..self.topics.len() {
            let begin = Instant::now();
            let found = match look(self.asker(), &self.topics[at].name) {
                Ok(found) => found,
                Err(Fault::Retry(reason)) => return self.enter_trouble(SourceHealth::Retrying { reason }),
                Err(Fault::Halt(reason)) => return self.enter_trouble(SourceHealth::Halted { reason }),
                Err(fault) => return Err(fault),
            };
            self.round_trip = begin.elapsed();
            let count = match found {
                Found::Partitions(count) => count,
                Found::Nothing | Found::Refused(_) => 0,
            };
            let topic = &self.topics[at];
            // What is held for another reason stays so, however many partitions it gets.
            let is_held = topic.held.is_some() && !topic.is_missing;
            if count != topic.partitions.len() && !is_held {
                return Err(Fault::Reopen);
            }
        }
        Ok(())
    }

    fn tell_health(&mut self) -> Result<(), Fault> {
        let health = if self.copying {
            let progress = self.topics.iter().filter(|it| it.held.is_none()).map(Topic::progress);
            let (rows, total) = progress.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
            SourceHealth::Snapshotting { rows, total: Some(total) }
        } else {
            SourceHealth::Streaming
        };
        Ok(self.life.told.health(self.spec, self.link, health)?)
    }
}

fn headers<'m>(message: &'m BorrowedMessage<'_>) -> Vec<(&'m str, Option<&'m [u8]>)> {
    message.headers().into_iter().flat_map(|it| it.iter()).map(|it| (it.key, it.value)).collect()
}

/// How much of each end of a message goes into its digest. Two logs under one name differ in times and keys already.
const DIGESTED: usize = 32;

/// Tells a message from another one at the same offset. It is stored: it must only ever be changed with what reads it.
fn digest(message: &BorrowedMessage<'_>) -> i64 {
    let mut digest = Digest::new();
    digest.add(&message.timestamp().to_millis().unwrap_or(-1).to_le_bytes());
    for bytes in [message.key(), message.payload()] {
        let bytes = bytes.unwrap_or_default();
        digest.add(&(bytes.len() as u64).to_le_bytes());
        digest.add(&bytes[..bytes.len().min(DIGESTED)]);
        digest.add(&bytes[bytes.len() - bytes.len().min(DIGESTED)..]);
    }
    digest.number()
}
