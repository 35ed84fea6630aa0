//! Debezium's events in JSON, with the schema around them or without: what the row was, what it is, and what was done.
//!
//! | op | what it makes |
//! |---|---|
//! | c, r, u | the row is as in `after`; where `before` has another key, no row lies under that one any more |
//! | d, and the tombstone behind it | no row lies under the key |
//! | t | the table is empty |
//! | m | nothing: a message of the database's log is no row |
//!
//! A column whose value Debezium had not got (an unchanged TOAST value) is left out: it is as it was.

use super::connect::{Schemas, Wrapping};
use super::encoding::{Encoding, Modes};
use super::json::{Members, utf8, word};
use super::key::KeyReader;
use super::message::{Message, Poison};
use super::shape::{Absence, Field, Fields, Shape, Target};

/// What stands for a value that the connector was not given: as text, and as the encodings of bytes have it.
const UNAVAILABLE: &[&str] = &[
    "\"__debezium_unavailable_value\"",
    "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"",
    "\"5f5f646562657a69756d5f756e617661696c61626c655f76616c7565\"",
    "[\"__debezium_unavailable_value\"]",
];

const MEMBERS: &[&str] = &["before", "after", "op", "status", "ts_ms", "id"];
const BEFORE: usize = 0;
const AFTER: usize = 1;
const OP: usize = 2;
const STATUS: usize = 3;
const TS_MS: usize = 4;
const ID: usize = 5;

/// Reads Debezium's events.
#[derive(Debug)]
pub(super) struct Debezium {
    wrapping: Wrapping,
    envelope: Members,
    row: Members,
    key: KeyReader,
    schemas: Schemas,
}

/// One side of an event.
struct Side<'a, 's> {
    members: Vec<Option<&'a str>>,
    encodings: Option<&'s [Option<Encoding>]>,
}

impl Debezium {
    pub(super) fn new(shape: &Shape, modes: Modes) -> Debezium {
        Debezium {
            wrapping: Wrapping::new(),
            envelope: Members::listed(MEMBERS),
            row: Members::new(shape.fields(), shape.width()),
            key: KeyReader::new(shape, modes),
            schemas: Schemas::new(modes),
        }
    }

    /// Tells the target what the message did.
    pub(super) fn read(&mut self, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Poison> {
        let Some(bytes) = message.value else { return self.gone_by_key(message, target) };
        let (schema, json) = self.wrapping.unwrap(utf8(bytes, "the event")?);
        if json == "null" {
            return self.gone_by_key(message, target);
        }
        let envelope = self.envelope.read(json)?;
        let side = |at: usize| envelope[at].filter(|it| *it != "null");
        let Some(op) = envelope[OP].and_then(word) else {
            if is_beside_the_rows(&envelope) {
                return Ok(());
            }
            return Err("it is no Debezium event: it has no \"op\"".into());
        };
        match op {
            "c" | "r" | "u" => {
                let after = side(AFTER).ok_or("the event has no \"after\"")?;
                self.put(message, target, schema, side(BEFORE), after)
            }
            "d" => self.gone(message, target, schema, side(BEFORE)),
            "t" if message.partitions > 1 => Err(Poison(format!(
                "the table was truncated, and in a topic of {} partitions nothing tells which rows came before that; give \
                 the topic one partition, or have the connector skip it (\"skipped.operations\" = 't')",
                message.partitions
            ))),
            "t" => {
                target.emptied();
                Ok(())
            }
            "m" => Ok(()),
            op => Err(Poison(format!("the event's \"op\" is {op:?}, which Debezium does not have"))),
        }
    }

    fn put<'a>(
        &mut self,
        message: &Message<'a>,
        target: &mut Target<'_>,
        schema: Option<&str>,
        before: Option<&'a str>,
        after: &'a str,
    ) -> Result<(), Poison> {
        let shape = target.shape;
        let encodings = schema.map(|it| self.schemas.encodings(it, Some("after"), shape, None)).transpose()?;
        let after = Side { members: self.row.read(after)?, encodings };
        let cells = shape.cells(message, Absence::Refused, &after)?;
        if let Some(before) = before {
            let before = Side { members: self.row.read(before)?, encodings };
            if before.has_key(shape) {
                target.gone_unless_same(&shape.key_cells(message, &before)?, &cells);
            }
        }
        target.put(&cells);
        Ok(())
    }

    fn gone<'a>(
        &mut self,
        message: &Message<'a>,
        target: &mut Target<'_>,
        schema: Option<&str>,
        before: Option<&'a str>,
    ) -> Result<(), Poison> {
        let Some(before) = before else { return self.gone_by_key(message, target) };
        let shape = target.shape;
        let encodings = schema.map(|it| self.schemas.encodings(it, Some("after"), shape, None)).transpose()?;
        let before = Side { members: self.row.read(before)?, encodings };
        if !before.has_key(shape) {
            return self.gone_by_key(message, target);
        }
        target.gone(&shape.key_cells(message, &before)?);
        Ok(())
    }

    /// The row under the message's own key is gone.
    fn gone_by_key(&mut self, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Poison> {
        let shape = target.shape;
        let Some(key) = self.key.read(message, shape)?.filter(|it| it.is_whole(shape)) else {
            let columns: Vec<&str> = shape.key_fields().map(|it| it.0).collect();
            return Err(Poison(format!("a row is deleted, and the message's key does not say {}", columns.join(", "))));
        };
        target.gone(&shape.key_cells(message, &key)?);
        Ok(())
    }
}

/// Heartbeats, and the beginnings and ends of transactions, where somebody routes them into the topic of a table.
fn is_beside_the_rows(envelope: &[Option<&str>]) -> bool {
    let has = |at: usize| envelope[at].is_some();
    let is_boundary = has(ID) && matches!(envelope[STATUS].and_then(word), Some("BEGIN" | "END"));
    let is_heartbeat = has(TS_MS) && ![BEFORE, AFTER, STATUS, ID].into_iter().any(has);
    is_boundary || is_heartbeat
}

impl Side<'_, '_> {
    fn has_key(&self, shape: &Shape) -> bool {
        shape.key_fields().all(|it| self.members[it.1].is_some_and(|it| it != "null"))
    }
}

impl<'a> Fields<'a> for Side<'a, '_> {
    fn field(&self, at: usize) -> Field<'a> {
        match self.members[at] {
            None => Field::Absent,
            Some(json) if UNAVAILABLE.contains(&json) => Field::LeftOut,
            Some(json) => Field::Json(json),
        }
    }

    fn encoding(&self, at: usize) -> Option<Encoding> {
        self.encodings?[at]
    }
}
