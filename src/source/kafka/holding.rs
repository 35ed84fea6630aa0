//! Which messages wait for the rest of their transaction.
//!
//! Each partition is a queue. A place says how far a partition was read, so messages go on in the order of their partition,
//! and one that waits holds back those behind it. What goes on at a time is the longest beginning of all queues together
//! that cuts no transaction in two: then neither the epoch it makes nor the places in it speak of half a transaction, and
//! whatever is held back is read again after a restart.
//!
//! The records that count a transaction's events wait with them, in the queue of the partition they stand in. Nothing waits
//! for ever, and nothing is lost: a transaction whose rest does not come goes on without it, and that is told.

mod transaction;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::mem;
use std::time::{Duration, Instant};

use self::transaction::{End, Missing, Transaction, is_named};
use super::topic::Topic;
use crate::change::Event;
use crate::source::format::Member;

/// A partition: the place of its topic among those of the source, and its number.
pub(super) type Part = (usize, usize);

/// So many transactions that are over are remembered, so that what of them comes later does not wait for what is past.
const REMEMBERED: usize = 4096;
/// While there are copies, so many transactions at most are remembered until they are over: only the last ones can be
/// such that a copy has half of them.
const COPIED: usize = 10_000;
/// What a message that waits takes besides its bytes, roughly.
const OVERHEAD_BYTES: usize = 256;

/// A message that was read: its place, and what it makes of the tables.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) offset: i64,
    pub(super) digest: i64,
    pub(super) events: Vec<Event>,
    /// How long key and value are.
    pub(super) bytes: usize,
}

/// What went on at a time.
#[derive(Debug, Default)]
pub(super) struct Released {
    pub(super) events: Vec<Event>,
    /// By partition, the last message of it: its place and digest.
    pub(super) passed: BTreeMap<Part, (i64, i64)>,
}

/// Which partitions are to be paused, and which are to be read again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Balance {
    pub(super) pause: Vec<Part>,
    pub(super) resume: Vec<Part>,
}

/// The messages that wait.
#[derive(Debug)]
pub(super) struct Holding {
    /// The topic that says where transactions end.
    pub(super) boundaries: usize,
    /// What topics begin with, and what the connector is called; empty when the topic's name does not tell.
    prefix: String,
    wait: Duration,
    most_bytes: usize,
    queues: BTreeMap<Part, VecDeque<(Held, Option<u64>)>>,
    bytes: usize,
    /// In the order in which they were first heard of.
    open: BTreeMap<u64, Transaction>,
    numbers: HashMap<String, u64>,
    next: u64,
    over: VecDeque<String>,
    is_over: HashSet<String>,
    copied: VecDeque<u64>,
    /// By data collection, the topic its events are in.
    topics: HashMap<String, usize>,
    /// Tables whose topic is known: database, schema and name.
    known: Vec<[String; 3]>,
    /// Whether tables are being copied.
    is_copying: bool,
    /// Whether where transactions end was not read before, while topics were.
    is_fresh: bool,
    paused: BTreeSet<Part>,
    /// Whether something may go on since that was last asked.
    is_changed: bool,
}

impl Holding {
    /// Nothing waits yet. `topic` is the name of the topic that says where transactions end; `is_fresh` says that it was
    /// not read before, while others were.
    pub(super) fn new(
        (boundaries, topic): (usize, &str),
        wait: Duration,
        most_bytes: usize,
        is_copying: bool,
        is_fresh: bool,
    ) -> Holding {
        Holding {
            boundaries,
            prefix: topic.strip_suffix(".transaction").unwrap_or_default().into(),
            wait,
            most_bytes,
            queues: BTreeMap::new(),
            bytes: 0,
            open: BTreeMap::new(),
            numbers: HashMap::new(),
            next: 0,
            over: VecDeque::new(),
            is_over: HashSet::new(),
            copied: VecDeque::new(),
            topics: HashMap::new(),
            known: Vec::new(),
            is_copying,
            is_fresh,
            paused: BTreeSet::new(),
            is_changed: false,
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether nothing of this partition waits.
    pub(super) fn is_free(&self, part: Part) -> bool {
        self.queues.get(&part).is_none_or(VecDeque::is_empty)
    }

    /// Whether this partition is not read because too much waits.
    pub(super) fn is_paused(&self, part: Part) -> bool {
        self.paused.contains(&part)
    }

    /// Learns which topic a table's events are in, from any of them; the table's number.
    pub(super) fn learn(&mut self, topic: usize, member: &Member<'_>) -> usize {
        if let Some(at) = self.known.iter().position(|it| it.iter().zip(member.table).all(|(known, it)| known == it)) {
            return at;
        }
        self.known.push(member.table.map(str::to_owned));
        if self.is_ours(member) {
            self.topics.extend(member.collections().into_iter().map(|it| (it, topic)));
        }
        self.known.len() - 1
    }

    /// Whether it was sent by the connector whose transactions these are.
    fn is_ours(&self, member: &Member<'_>) -> bool {
        self.prefix.is_empty() || member.connector.is_empty() || member.connector == self.prefix
    }

    /// Takes a message of a table; gives it back when it need not wait. One that goes along with a copy does not.
    pub(super) fn take(
        &mut self,
        part: Part,
        held: Held,
        member: Option<&Member<'_>>,
        is_copy: bool,
        topics: &[Topic],
        now: Instant,
    ) -> Option<Held> {
        let member = member.filter(|it| self.is_ours(it) && !self.is_over.contains(it.id));
        let number = member.map(|member| {
            let table = self.learn(part.0, member);
            let number = self.number(member.id, now);
            let it = self.open.get_mut(&number).expect("a transaction with a number is open");
            it.seen.entry(part.0).or_default().insert((table, member.order));
            number
        });
        if let Some(number) = number {
            self.judge(number, topics);
            if is_copy {
                self.remember_copied(number);
            }
        }
        if is_copy || number.is_none() && self.is_free(part) {
            return Some(held);
        }
        self.push(part, held, number);
        None
    }

    /// Takes what says that a transaction is over; gives it back when nothing has to wait. `is_old` says that it was
    /// written before reading began.
    pub(super) fn take_end(
        &mut self,
        part: Part,
        held: Held,
        (id, counts): (&str, Vec<(String, u64)>),
        is_old: bool,
        topics: &[Topic],
        now: Instant,
    ) -> Option<Held> {
        for (collection, _) in &counts {
            if !self.topics.contains_key(collection)
                && let Some(topic) = topics.iter().position(|it| is_named(&it.name, &self.prefix, collection))
            {
                self.topics.insert(collection.clone(), topic);
            }
        }
        if self.is_over.contains(id) {
            return self.take_other(part, held);
        }
        let number = self.number(id, now);
        let it = self.open.get_mut(&number).expect("a transaction with a number is open");
        let is_old = is_old && (self.is_copying || self.is_fresh);
        it.end = Some(End { counts, is_old });
        let is_held = it.held > 0;
        self.judge(number, topics);
        if self.is_copying && is_old {
            self.remember_copied(number);
        }
        if !self.open[&number].waits && !is_held && self.is_free(part) {
            self.close(number);
            return Some(held);
        }
        self.push(part, held, Some(number));
        None
    }

    /// Takes a message that belongs to no transaction; gives it back when none before it waits.
    pub(super) fn take_other(&mut self, part: Part, held: Held) -> Option<Held> {
        if self.is_free(part) {
            return Some(held);
        }
        self.push(part, held, None);
        None
    }

    fn push(&mut self, part: Part, held: Held, number: Option<u64>) {
        self.bytes += held.bytes + OVERHEAD_BYTES;
        if let Some(it) = number.and_then(|it| self.open.get_mut(&it)) {
            it.held += 1;
        }
        // What stands behind others lets nothing go on: where it completes a transaction, `judge` has said so.
        self.queues.entry(part).or_default().push_back((held, number));
    }

    fn number(&mut self, id: &str, now: Instant) -> u64 {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        let number = self.next;
        self.next += 1;
        self.numbers.insert(id.into(), number);
        self.open.insert(number, Transaction::new(id, now));
        number
    }

    /// Of transactions that began long ago the end is not there any more: these are forgotten first.
    fn remember_copied(&mut self, number: u64) {
        let it = self.open.get_mut(&number).expect("a transaction with a number is open");
        if !mem::replace(&mut it.is_copied, true) {
            self.copied.push_back(number);
        }
        while self.copied.len() > COPIED {
            let oldest = self.copied.pop_front().expect("more than none");
            self.let_go(oldest);
        }
    }

    /// Nothing more of a transaction is waited for, and that is nothing to tell.
    fn let_go(&mut self, number: u64) {
        match self.open.get_mut(&number) {
            Some(it) if it.held > 0 => (it.waits, it.is_given_up, self.is_changed) = (false, true, true),
            _ => {
                self.forget(number);
            }
        }
    }

    fn forget(&mut self, number: u64) -> Option<Transaction> {
        let it = self.open.remove(&number)?;
        self.numbers.remove(&it.id);
        Some(it)
    }

    /// Nothing of this transaction waits any more.
    fn close(&mut self, number: u64) {
        let Some(it) = self.forget(number) else { return };
        if self.is_over.insert(it.id.clone()) {
            self.over.push_back(it.id);
        }
        if self.over.len() > REMEMBERED {
            let oldest = self.over.pop_front().expect("more than none");
            self.is_over.remove(&oldest);
        }
    }

    /// What a transaction lacks, as far as that is to be waited for.
    fn missing(&self, it: &Transaction, topics: &[Topic]) -> Option<Missing> {
        let is_read = |topic: usize| topics[topic].held.is_none();
        if it.is_given_up {
            return None;
        }
        let Some(end) = &it.end else { return is_read(self.boundaries).then_some(Missing::End) };
        if end.is_old && self.is_fresh {
            return None;
        }
        let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
        for (collection, count) in &end.counts {
            if let Some(topic) = self.topics.get(collection) {
                *counts.entry(*topic).or_default() += count;
            }
        }
        counts.into_iter().filter(|it| is_read(it.0)).find_map(|(topic, count)| {
            let seen = it.seen.get(&topic).map_or(0, |it| it.len() as u64);
            (seen < count).then_some(Missing::Events { topic, seen, count })
        })
    }

    /// Sees whether there is something to wait for.
    fn judge(&mut self, number: u64, topics: &[Topic]) {
        let waits = self.missing(&self.open[&number], topics).is_some();
        let it = self.open.get_mut(&number).expect("a transaction with a number is open");
        it.waits = waits;
        self.is_changed |= !waits;
    }

    /// Takes out what need not wait any more.
    pub(super) fn release(&mut self) -> Released {
        let mut released = Released::default();
        if !mem::take(&mut self.is_changed) {
            return released;
        }
        for (part, count) in self.whole() {
            let queue = self.queues.get_mut(&part).expect("a queue that was counted");
            let gone: Vec<(Held, Option<u64>)> = queue.drain(..count).collect();
            for (held, number) in gone {
                self.bytes -= held.bytes + OVERHEAD_BYTES;
                released.passed.insert(part, (held.offset, held.digest));
                released.events.extend(held.events);
                if let Some(number) = number {
                    let it = self.open.get_mut(&number);
                    let it = it.expect("a transaction stays open while a message of it waits");
                    it.held -= 1;
                    if it.held == 0 {
                        self.close(number);
                    }
                }
            }
        }
        released
    }

    /// How much of each queue may go on: as much as cuts no transaction in two, and none that waits.
    fn whole(&self) -> BTreeMap<Part, usize> {
        let mut stays: HashSet<u64> = self.open.iter().filter(|it| it.1.waits).map(|it| *it.0).collect();
        let mut counts: BTreeMap<Part, usize> = self.queues.iter().map(|it| (*it.0, it.1.len())).collect();
        let mut is_stable = false;
        while !is_stable {
            is_stable = true;
            for (part, queue) in &self.queues {
                let count = counts.get_mut(part).expect("every queue is counted");
                let is_kept = |it: &(Held, Option<u64>)| it.1.is_some_and(|it| stays.contains(&it));
                let Some(first) = queue.iter().take(*count).position(is_kept) else { continue };
                // What stands behind it stays too, and with that the transactions it belongs to.
                stays.extend(queue.range(first..*count).filter_map(|it| it.1));
                *count = first;
                is_stable = false;
            }
        }
        counts
    }

    /// Gives up what was waited for long enough; says of each transaction what was missing.
    pub(super) fn give_up(&mut self, topics: &[Topic], now: Instant) -> Vec<String> {
        let is_full = self.bytes >= self.most_bytes.saturating_mul(2);
        let heads: HashSet<u64> = self.queues.values().filter_map(|it| it.front()?.1).collect();
        let mut complaints = Vec::new();
        let waiting: Vec<u64> = self.open.iter().filter(|it| it.1.held > 0 && it.1.waits).map(|it| *it.0).collect();
        for number in waiting {
            let missing = self.missing(&self.open[&number], topics);
            let is_coming = missing.is_some_and(|it| self.is_coming(it, topics));
            let it = self.open.get_mut(&number).expect("a transaction with a number is open");
            let Some(missing) = missing else {
                (it.waits, self.is_changed) = (false, true);
                continue;
            };
            let is_too_large = is_full && heads.contains(&number);
            if is_coming && !is_too_large {
                it.since = now;
            } else if is_too_large || now.duration_since(it.since) >= self.wait {
                (it.waits, it.is_given_up, self.is_changed) = (false, true, true);
                let why = match is_too_large {
                    true => format!("before {} KiB of messages were held back", self.most_bytes / 1024),
                    false => format!("within {} ms", self.wait.as_millis()),
                };
                if it.end.as_ref().is_none_or(|it| !it.is_old) {
                    complaints.push(missing.told(&it.id, &why, topics, self.boundaries));
                }
            }
        }
        complaints
    }

    /// Whether what is missing may be among what is known to be there and was not read yet.
    fn is_coming(&self, missing: Missing, topics: &[Topic]) -> bool {
        let topic = match missing {
            Missing::End => self.boundaries,
            Missing::Events { topic, .. } => topic,
        };
        let mut partitions = topics[topic].partitions.iter().enumerate();
        partitions.any(|(number, it)| it.next < it.end && !self.paused.contains(&(topic, number)))
    }

    /// Whether a copy that ended now would have some events of a transaction and not others.
    pub(super) fn splits_copy(&self) -> bool {
        self.open.values().any(|it| it.is_copied && !it.seen.is_empty() && (it.waits || it.held > 0))
    }

    /// The copies end here: what is missing of transactions some of which they have is not waited for any more.
    pub(super) fn end_copies(&mut self) {
        self.is_copying = false;
        for number in mem::take(&mut self.copied) {
            match self.open.get_mut(&number) {
                Some(it) if it.seen.is_empty() => it.is_copied = false,
                _ => self.let_go(number),
            }
        }
    }

    /// Whether no more shall wait before something goes on.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= self.most_bytes
    }

    /// When too much waits, whoever is ahead is not read on, and the others are. A partition in which only one
    /// transaction waits may be the one that all others wait for.
    pub(super) fn balance(&mut self) -> Balance {
        let mut balance = Balance::default();
        let (is_full, is_overfull) = (self.is_full(), self.bytes >= self.most_bytes.saturating_mul(2));
        for (part, queue) in &self.queues {
            let mut numbers = queue.iter().filter_map(|it| it.1);
            let first = numbers.next();
            let has_several = numbers.next_back().is_some_and(|it| Some(it) != first);
            let is_ahead = has_several || is_overfull && first.is_some();
            if self.paused.contains(part) {
                // What all others wait for may be the next message of one that is not ahead any more.
                if !is_ahead || self.bytes < self.most_bytes / 2 {
                    self.paused.remove(part);
                    balance.resume.push(*part);
                }
            } else if is_full && is_ahead {
                self.paused.insert(*part);
                balance.pause.push(*part);
            }
        }
        balance
    }
}

#[cfg(test)]
mod tests;
