//! The consumer: how it is made, and what librdkafka says by itself.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::fault::{Fault, Meaning, fault, meaning};
use super::options::Connection;
use crate::source::Link;

/// How long a request for what the topics are may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one of its attempts may.
const SLICE: Duration = Duration::from_millis(500);

/// What has to be so for what we promise. It cannot be set in a view file.
const FIXED: &[(&str, &str)] = &[
    // Where to read is decided here, and nowhere else.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("allow.auto.create.topics", "false"),
    // What a transaction has not committed is not there.
    ("isolation.level", "read_committed"),
    ("check.crcs", "true"),
    // There is no group to be thrown out of for being slow: a full queue to the engine is how it holds us back.
    ("max.poll.interval.ms", "86400000"),
    ("log_level", "5"),
];

/// What holds unless the view file says otherwise.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "vantage"),
    // Of what was fetched and not taken yet there is no more than this.
    ("queued.max.messages.kbytes", "32768"),
    ("fetch.wait.max.ms", "200"),
    ("reconnect.backoff.ms", "100"),
    ("reconnect.backoff.max.ms", "10000"),
    ("socket.keepalive.enable", "true"),
];

/// The consumer of one source.
pub(super) type Consumer = BaseConsumer<Listener>;

/// Makes the consumer of source `name`.
pub(super) fn consumer(name: &str, connection: &Connection) -> Result<Consumer, Fault> {
    let mut config = ClientConfig::new();
    for (key, value) in DEFAULTS {
        config.set(*key, *value);
    }
    // It is never joined, but without one nothing can be assigned.
    config.set("group.id", format!("vantage-{name}"));
    connection.configure(&mut config);
    for (key, value) in FIXED {
        config.set(*key, *value);
    }
    let listener = Listener { source: name.into(), heard: Mutex::default() };
    config.create_with_context(listener).map_err(|error| match error {
        KafkaError::ClientConfig(_, reason, key, _) => Fault::Halt(format!("properties.{key}: {reason}")),
        error => Fault::Halt(error.to_string()),
    })
}

/// Where the log of a partition begins and ends.
///
/// librdkafka asks for both at once and gives one for the other when only one answer comes, so where they are equal each is
/// asked for alone: an error taken for an empty log would look like a gap, or like a copy that is complete.
pub(super) fn ends(consumer: &Consumer, topic: &str, number: i32, time: Duration) -> KafkaResult<(i64, i64)> {
    let (low, high) = consumer.fetch_watermarks(topic, number, time)?;
    if low != high {
        return Ok((low, high));
    }
    let end = |which: Offset| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, number, which)?;
        let found = consumer.offsets_for_times(list, time)?;
        let found = found.find_partition(topic, number).expect("an answer has what was asked for");
        found.error()?;
        match found.offset() {
            Offset::Offset(it) => Ok(it),
            _ => Err(KafkaError::MetadataFetch(Code::OperationTimedOut)),
        }
    };
    Ok((end(Offset::Beginning)?, end(Offset::End)?))
}

/// Hears what librdkafka says by itself.
#[derive(Debug)]
pub(super) struct Listener {
    source: String,
    /// The last that was said of a connection, until somebody asks.
    heard: Mutex<Option<(Meaning, String)>>,
}

impl Listener {
    fn heard(&self) -> MutexGuard<'_, Option<(Meaning, String)>> {
        self.heard.lock().unwrap_or_else(|it| it.into_inner())
    }

    /// Whether the last that was said is that we are not accepted.
    pub(super) fn is_denied(&self) -> bool {
        self.heard().as_ref().is_some_and(|it| it.0 == Meaning::Denied)
    }

    /// The last that was said of a connection since the last call.
    pub(super) fn take_heard(&self) -> Option<String> {
        self.heard().take().map(|it| it.1)
    }
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // What matters of it comes as an error or as a state of the source, once and not for every attempt.
        tracing::debug!(source = self.source, ?level, facility, "librdkafka: {message}");
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(source = self.source, %error, reason, "librdkafka");
        let meaning = meaning(&error);
        // That none of the brokers is up says less than why the last one is not.
        let is_count = error.rdkafka_error_code() == Some(Code::AllBrokersDown);
        let mut heard = self.heard();
        let denied = heard.as_ref().is_some_and(|it| it.0 == Meaning::Denied);
        let says_less = is_count && heard.is_some() || denied && meaning != Meaning::Denied;
        if !says_less {
            *heard = Some((meaning, one_line(reason)));
        }
    }
}

impl ConsumerContext for Listener {}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Asks the cluster what is not in any message.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) consumer: &'a Consumer,
    pub(super) link: &'a Link,
    /// Whether messages may be waiting, which are not ours to take here.
    pub(super) is_reading: bool,
}

impl Asker<'_> {
    /// Asks in slices, so that a stop is noticed, until there is an answer or [`REQUEST_TIMEOUT`] is over. What librdkafka
    /// says meanwhile tells why there is no answer.
    pub(super) fn ask<T>(&self, doing: &str, request: impl Fn(Duration) -> KafkaResult<T>) -> Result<T, Fault> {
        let begin = Instant::now();
        let listener = self.consumer.context();
        loop {
            let error = match request(SLICE) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if self.link.stopped() {
                return Err(Fault::Stopped);
            }
            // Before anything is assigned nothing comes here but errors, which the listener hears.
            while !self.is_reading && self.consumer.poll(Duration::ZERO).is_some() {}
            let denied = listener.is_denied();
            if denied || meaning(&error) == Meaning::Denied || begin.elapsed() >= REQUEST_TIMEOUT {
                let fault = fault(doing, &error, listener.take_heard());
                return Err(match fault {
                    Fault::Retry(reason) if denied => Fault::Halt(reason),
                    fault => fault,
                });
            }
        }
    }
}
