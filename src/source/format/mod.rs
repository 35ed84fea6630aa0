//! What events carry, whatever brought them: bytes in, rows out, no transport.
//!
//! | file | concept |
//! |---|---|
//! | `message` | what a carrier hands over, and why it may be unreadable |
//! | `layout` | what is declared of a table of messages |
//! | `shape`, `slots` | what the table wants of each message, and what binary formats have of it |
//! | `json`, `connect`, `key` | members of objects, the schemas of Kafka Connect, the keys of messages |
//! | `avro`, `protobuf`, `schemas` | values in Avro and Protobuf, and the schemas they are written with |
//! | `debezium`, `mongo`, `rows`, `cloudevents`, `outbox`, `csv` | the formats |
//! | `extended` | the values of MongoDB's documents |
//! | `transaction` | which transaction of the database a Debezium event belongs to |
//! | `encoding`, `value` | how a field carries its column's value, once for a column; reading the values |

#![cfg_attr(not(feature = "kafka"), allow(dead_code, unused_imports, reason = "nothing carries messages"))]

mod avro;
mod cloudevents;
mod connect;
mod csv;
mod debezium;
pub(crate) mod encoding;
mod extended;
mod json;
mod key;
mod layout;
mod message;
mod mongo;
mod outbox;
#[cfg(feature = "kafka")]
mod protobuf;
mod rows;
mod schemas;
mod shape;
mod slots;
mod transaction;
pub(crate) mod value;

#[cfg(test)]
mod tests;

pub(in crate::source) use layout::Layout;
pub(in crate::source) use message::{Message, Poison, Unread, beginning};
pub(in crate::source) use schemas::{Registered, Schemas};
pub(in crate::source) use transaction::{Boundary, Member, TransactionReader};

use self::shape::{Metadata, Origin, Shape, Target, Writer};
use crate::change::{Event, TableId};

/// Makes changes of one table of messages, one after the other.
#[derive(Debug)]
pub(in crate::source) struct Reader {
    reads: Reads,
    shape: Shape,
    writer: Writer,
    wants_headers: bool,
}

/// What a format keeps from message to message.
#[derive(Debug)]
enum Reads {
    Debezium(debezium::Debezium),
    Mongo(mongo::Mongo),
    Upsert(rows::Upsert),
    Plain(rows::Plain),
    CloudEvents(cloudevents::CloudEvents),
    Outbox(outbox::Outbox),
    Csv(csv::Csv),
}

impl Reader {
    fn new(reads: Reads, shape: Shape) -> Reader {
        let wants_headers = matches!(reads, Reads::CloudEvents(_))
            || shape.origins.iter().any(|it| matches!(it, Origin::Metadata(Metadata::Header(_))));
        Reader { reads, shape, writer: Writer::default(), wants_headers }
    }

    /// Whether it looks at the headers of messages.
    pub(in crate::source) fn wants_headers(&self) -> bool {
        self.wants_headers
    }

    /// Whether its messages say which transaction of the database they belong to.
    pub(in crate::source) fn tells_transactions(&self) -> bool {
        matches!(self.reads, Reads::Debezium(_))
    }

    /// Appends what the message did to `table`; nothing when it cannot be read.
    pub(in crate::source) fn read(
        &mut self,
        message: &Message<'_>,
        table: TableId,
        events: &mut Vec<Event>,
    ) -> Result<(), Unread> {
        let before = events.len();
        let mut target = Target { table, shape: &self.shape, writer: &mut self.writer, events };
        let outcome = match &mut self.reads {
            Reads::Debezium(it) => it.read(message, &mut target),
            Reads::Mongo(it) => it.read(message, &mut target),
            Reads::Upsert(it) => it.read(message, &mut target),
            Reads::Plain(it) => it.read(message, &mut target),
            Reads::CloudEvents(it) => it.read(message, &mut target),
            Reads::Outbox(it) => it.read(message, &mut target),
            Reads::Csv(it) => it.read(message, &mut target),
        };
        if outcome.is_err() {
            events.truncate(before);
        }
        outcome
    }
}
