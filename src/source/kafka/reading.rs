//! From one message to what it makes of the tables, or to why it cannot be read.

use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use super::assignment::{pause, resync};
use super::fault::Fault;
use super::session::Session;
use super::topic::Fit;
use crate::change::Event;
use crate::source::digest::Digest;
use crate::source::format::{Message as Envelope, Unread, beginning};

impl Session<'_> {
    /// Makes events of one message.
    pub(super) fn take(&mut self, message: &BorrowedMessage<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
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
        match self.read(at, &envelope, events)? {
            Ok(gave_up) => {
                self.hand_on(at, &envelope, digest, events, before);
                if gave_up { self.tell_halted() } else { Ok(()) }
            }
            Err(reason) => {
                // The message has not happened, for no table of the topic: its place is before it.
                events.truncate(before);
                self.hold(at, reason)
            }
        }
    }

    /// Appends what a message makes of the tables of its topic; whether the copy of one of them was given up over it. The
    /// inner error is why the topic cannot be read on.
    fn read(
        &mut self,
        at: usize,
        message: &Envelope<'_>,
        events: &mut Vec<Event>,
    ) -> Result<Result<bool, String>, Fault> {
        let topic = &mut self.topics[at];
        let is_new = message.offset >= topic.partitions[message.partition as usize].known;
        let mut gave_up = false;
        for table in topic.tables.iter_mut().filter(|it| it.is_copied || is_new && it.given_up.is_none()) {
            let poison = match table.reader.read(message, table.id, events) {
                Ok(()) => continue,
                Err(Unread::Poison(poison)) => poison,
                Err(unread) => return Err(unread.into()),
            };
            if table.skips_errors {
                self.life.reject(table.id, message, poison);
                continue;
            }
            let Envelope { topic, partition, offset, .. } = message;
            let shown = beginning(message.value.or(message.key));
            let reason = format!(
                "topic \"{topic}\", partition {partition}, offset {offset}: {poison}; the message begins: {shown}"
            );
            if !self.life.pending.contains(&table.id) {
                return Ok(Err(reason));
            }
            // It holds nothing yet that would go stale, so the topic's other tables go on without it.
            (table.is_copied, table.given_up, gave_up) = (false, Some(reason.clone()), true);
            self.life.given_up.insert(table.id, reason);
        }
        Ok(match topic.tables.first().filter(|_| gave_up).and_then(|it| it.given_up.clone()) {
            Some(reason) if topic.tables.iter().all(|it| it.given_up.is_some()) => Err(reason),
            _ => Ok(gave_up),
        })
    }

    /// The topic does not go on where it was read up to.
    fn misfit(&mut self, at: usize, misfit: &Fit) -> Result<(), Fault> {
        if self.topics[at].tables.is_empty() {
            // Where transactions end is read from the beginning of the log that is there now.
            let name = self.topics[at].name.clone();
            self.life.places.retain(|it| it != name);
            return Err(Fault::Reopen);
        }
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
