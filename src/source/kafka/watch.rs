//! Looking around while topics are followed: whether the cluster answers, where partitions end, whether topics have come,
//! gone or grown.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;

use super::assignment::{Found, look};
use super::client::{Asker, ends};
use super::fault::{Fault, Meaning, meaning, words};
use super::session::Session;
use super::topic::Progress;
use crate::change::SourceHealth;
use crate::source::breaker::Breaker;

/// How often the topics are looked at: whether there are more partitions, or topics that were missing.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Between two requests for the ends of a partition.
const LEAST_CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// When it is asked again for an end after that has failed.
const CHECK_AGAIN: Duration = Duration::from_secs(1);
/// How long it is waited for an end.
const CHECK_TIMEOUT: Duration = Duration::from_millis(500);
/// How often the progress of a copy is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
/// The first and the longest pause between two attempts to see whether the cluster answers again.
const PROBE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// The cluster does not answer, or not us.
#[derive(Debug)]
pub(super) struct Trouble {
    /// When it is looked whether it answers again.
    breaker: Breaker,
    /// What it says, where nobody has to mend anything.
    reason: Option<String>,
}

impl Session<'_> {
    fn asker(&self) -> Asker<'_> {
        Asker { consumer: &self.consumer, link: self.link, is_reading: true }
    }

    /// What librdkafka says instead of a message.
    pub(super) fn note(&mut self, error: &KafkaError) -> Result<(), Fault> {
        match meaning(error) {
            Meaning::Passing => Ok(()),
            Meaning::Unreachable => {
                let reason = words(error, self.consumer.context().take_heard());
                self.enter_trouble(Fault::Retry(reason))
            }
            Meaning::Denied => {
                let reason = words(error, self.consumer.context().take_heard());
                self.enter_trouble(Fault::Halt(reason))
            }
            // Which partition it is, and whether that is a gap, is seen when everything is looked at anew.
            Meaning::OutOfRange | Meaning::Missing => Err(Fault::Reopen),
            Meaning::Other => Err(Fault::Retry(words(error, self.consumer.context().take_heard()))),
        }
    }

    /// Tells what is wrong with the cluster, and probes it from now on.
    fn enter_trouble(&mut self, fault: Fault) -> Result<(), Fault> {
        let breaker = self.trouble.take().map_or_else(
            || {
                let mut breaker = Breaker::new(PROBE[0], PROBE[1]);
                breaker.open();
                breaker
            },
            |it| it.breaker,
        );
        let (health, reason) = match fault {
            Fault::Retry(reason) => (breaker.retrying(reason.clone()), Some(reason)),
            Fault::Halt(reason) => (SourceHealth::Halted { reason }, None),
            other => return Err(other),
        };
        self.trouble = Some(Trouble { breaker, reason });
        Ok(self.life.told.health(self.spec, self.link, health)?)
    }

    /// The ends of transactions, and messages of those that were given up, have offsets and are no messages.
    pub(super) fn skip_what_is_no_message(&mut self) -> Result<(), Fault> {
        let positions = self.consumer.position().map_err(|error| Fault::Retry(error.to_string()))?;
        for element in positions.elements() {
            let at = self.topics.iter().position(|it| it.name == element.topic() && it.held.is_none());
            let Some(at) = at else { continue };
            let number = element.partition() as usize;
            let partition = self.topics[at].partitions.get_mut(number);
            if let (Some(partition), Offset::Offset(next)) = (partition, element.offset()) {
                let is_free = self.whole.as_ref().is_none_or(|it| it.holding.is_free((at, number)));
                partition.skip_to(next, is_free);
            }
        }
        Ok(())
    }

    /// What is done now and then.
    pub(super) fn look_around(&mut self) -> Result<(), Fault> {
        let now = Instant::now();
        if let Some(trouble) = &self.trouble {
            if now >= trouble.breaker.next() {
                self.probe()?;
            }
            return Ok(());
        }
        if now >= self.told_at + PROGRESS_INTERVAL {
            self.told_at = now;
            self.tell_health()?;
            self.tell_details()?;
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
        let all = read.flat_map(|(at, topic)| (0..topic.partitions.len()).map(move |number| (at, number)));
        // One that is paused does not come, and is not stuck.
        let is_paused = |it: &(usize, usize)| self.whole.as_ref().is_some_and(|whole| whole.holding.is_paused(*it));
        let places: Vec<(usize, usize)> = all.filter(|it| !is_paused(it)).collect();
        let Some((at, number)) = places.get(self.checked % places.len().max(1)).copied() else { return Ok(()) };
        self.checked += 1;
        let topic = &mut self.topics[at];
        let Ok((low, high)) = ends(&self.consumer, &topic.name, number as i32, CHECK_TIMEOUT) else {
            // Its leader may be about to change; what is wrong with the connection is told elsewhere. It is asked again soon,
            // for a partition that is stuck is found by this alone.
            self.check_at = Instant::now() + CHECK_AGAIN;
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
        let trouble = self.trouble.as_mut().expect("only a cluster in trouble is probed");
        trouble.breaker.open();
        match &trouble.reason {
            Some(reason) => {
                let health = trouble.breaker.retrying(reason.clone());
                Ok(self.life.told.health(self.spec, self.link, health)?)
            }
            None => Ok(()),
        }
    }

    /// Whether a topic has come, gone, or grown.
    fn look_at_topics(&mut self) -> Result<(), Fault> {
        for at in 0..self.topics.len() {
            let begin = Instant::now();
            let found = match look(self.asker(), &self.topics[at].name) {
                Ok(found) => found,
                Err(fault) => return self.enter_trouble(fault),
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
}
