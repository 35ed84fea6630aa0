//! Transactions applied whole: what a session does so that every batch ends where all transactions in it do.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::fault::Fault;
use super::holding::{Balance, Held, Holding, Part, Released};
use super::kind::Transactions;
use super::run::Life;
use super::session::Session;
use super::topic::Topic;
use crate::change::Event;
use crate::source::format::{Boundary, Message as Envelope, TransactionReader};

/// Where the topic that says where transactions end is among those of the source.
const BOUNDARIES: usize = 0;

/// What is held back, and what tells why.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) holding: Holding,
    reader: TransactionReader,
    wait: Duration,
    look_at: Instant,
    /// Since when all that a copy waits for is the rest of a transaction.
    copied_at: Option<Instant>,
}

impl Whole {
    /// Nothing is held back yet of these topics.
    pub(super) fn new(asked: &Transactions, topics: &[Topic], life: &Life, now: Instant) -> Whole {
        let is_copying = topics.iter().flat_map(|it| &it.tables).any(|it| it.is_copied);
        let is_followed = topics.iter().flat_map(|it| &it.tables).any(|it| !life.pending.contains(&it.id));
        let is_fresh = is_followed && life.places.of_topic(&asked.topic).next().is_none();
        let topic = (BOUNDARIES, asked.topic.as_str());
        let holding = Holding::new(topic, asked.wait, asked.most_bytes, is_copying, is_fresh);
        Whole { holding, reader: TransactionReader::new(), wait: asked.wait, look_at: now, copied_at: None }
    }

    /// How often it is looked whether something was waited for long enough.
    fn interval(&self) -> Duration {
        (self.wait / 10).clamp(Duration::from_millis(10), Duration::from_millis(500))
    }
}

impl Session<'_> {
    /// A message was read. What it makes of the tables, which stands in `events` from `before` on, stays there or is held
    /// back.
    pub(super) fn hand_on(
        &mut self,
        at: usize,
        message: &Envelope<'_>,
        digest: i64,
        events: &mut Vec<Event>,
        before: usize,
    ) {
        let number = message.partition as usize;
        let part = (at, number);
        let topic = &mut self.topics[at];
        let is_copied = topic.tables.iter().any(|it| it.is_copied);
        let tells = topic.tables.iter().any(|it| it.reader.tells_transactions());
        let partition = &mut topic.partitions[number];
        let offset = message.offset;
        partition.next = offset + 1;
        let is_copy = self.copying && is_copied && offset < partition.target;
        let is_known = offset < partition.known && !is_copied;
        let is_old = offset < partition.target;
        let is_off = self.topics.get(BOUNDARIES).is_none_or(|it| it.held.is_some());
        let Some(whole) = self.whole.as_mut().filter(|it| !is_off || !it.holding.is_free(part)) else {
            self.topics[at].partitions[number].pass(offset, Some(digest));
            return;
        };
        let bytes = message.key.map_or(0, <[u8]>::len) + message.value.map_or(0, <[u8]>::len);
        let held = Held { offset, digest, events: events.split_off(before), bytes };
        let Whole { holding, reader, .. } = whole;
        let now = Instant::now();
        let given_back = if at == BOUNDARIES {
            match reader.boundary(message.value) {
                Ok(Boundary::End { id, counts }) if !is_known => {
                    holding.take_end(part, held, (&id, counts), is_old, &self.topics, now)
                }
                Ok(_) => holding.take_other(part, held),
                Err(poison) => {
                    let topic = message.topic;
                    tracing::warn!(topic, number, offset, "no record about a transaction: {poison}");
                    holding.take_other(part, held)
                }
            }
        } else {
            let member = reader.member(message.value.filter(|_| tells));
            if let Some(member) = member.as_ref().filter(|_| is_known) {
                // It was applied before, and tells which topic is whose.
                holding.learn(at, member);
            }
            holding.take(part, held, member.as_ref().filter(|_| !is_known), is_copy, &self.topics, now)
        };
        if let Some(held) = given_back {
            events.extend(held.events);
            self.topics[at].partitions[number].pass(offset, Some(digest));
        }
    }

    /// Appends what need not wait any more.
    pub(super) fn release(&mut self, events: &mut Vec<Event>) -> Result<(), Fault> {
        let Some(whole) = &mut self.whole else { return Ok(()) };
        let now = Instant::now();
        let is_due = now >= whole.look_at;
        if is_due && self.trouble.is_none() {
            whole.look_at = now + whole.interval();
            for complaint in whole.holding.give_up(&self.topics, now) {
                self.life.torn = (self.life.torn.0 + 1, complaint);
            }
        }
        let Released { events: released, passed } = whole.holding.release();
        events.extend(released);
        for ((at, number), (offset, digest)) in passed {
            self.topics[at].partitions[number].pass(offset, Some(digest));
        }
        let Balance { pause, resume } = whole.holding.balance();
        let failed = |error: rdkafka::error::KafkaError| Fault::Retry(error.to_string());
        if !pause.is_empty() {
            self.consumer.pause(&self.list(&pause)).map_err(failed)?;
        }
        if !resume.is_empty() {
            self.consumer.resume(&self.list(&resume)).map_err(failed)?;
        }
        Ok(())
    }

    /// These partitions, but for those of topics that are not read at all.
    fn list(&self, parts: &[Part]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (at, number) in parts.iter().filter(|it| self.topics[it.0].held.is_none()) {
            list.add_partition(&self.topics[*at].name, *number as i32);
        }
        list
    }

    /// Whether a copy that has come to the end it had at its beginning may end here: it shall not have half a transaction.
    pub(super) fn ends_on_transactions(&mut self) -> bool {
        let Some(whole) = &mut self.whole else { return true };
        if whole.holding.splits_copy() {
            let since = *whole.copied_at.get_or_insert_with(Instant::now);
            // Of old transactions the end may have been deleted, so this is nothing to complain of.
            if since.elapsed() < whole.wait {
                return false;
            }
        }
        whole.holding.end_copies();
        true
    }

    /// What is to be said of transactions that were not applied whole.
    pub(super) fn torn(&self) -> Option<String> {
        self.whole.as_ref()?;
        if let Some(reason) = self.topics.get(BOUNDARIES).and_then(|it| it.held.as_ref()) {
            return Some(format!("transactions are not applied whole: {reason}"));
        }
        let (count, last) = &self.life.torn;
        (*count > 0).then(|| {
            let transactions = crate::change::counted(usize::try_from(*count).unwrap_or(usize::MAX), "transaction");
            format!(
                "{transactions} since the start not applied whole: {last}, and what was there went on. See that the \
                 connector has provide.transaction.metadata = true, that neither its topics nor this one lose messages \
                 before they are read, and that transaction.wait is longer than the connector takes"
            )
        })
    }
}
