//! Debezium's events, in JSON with the schema around them or without, or in Avro: what the row was, what it is, and what
//! was done.
//!
//! | op | what it makes |
//! |---|---|
//! | c, r, u | the row is as in `after`; where `before` has another key, no row lies under that one any more |
//! | d, and the tombstone behind it | no row lies under the key |
//! | t | the table is empty |
//! | m | nothing: a message of the database's log is no row |
//!
//! A column whose value Debezium had not got (an unchanged TOAST value) is left out: it is as it was.

use std::sync::Arc;

use super::avro;
use super::connect::{Schemas, Wrapping};
use super::encoding::{Encoding, Modes};
use super::json::{Members, utf8, word};
use super::key::KeyReader;
use super::message::{Message, Unread};
use super::schemas;
use super::shape::{Absence, Field, Fields, Shape, Target};
use super::slots::Slots;
use super::value::Typed;

/// What stands for a value that the connector was not given.
const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// The same in JSON: as text, and as the encodings of bytes have it.
const UNAVAILABLE_JSON: &[&str] = &[
    "\"__debezium_unavailable_value\"",
    "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"",
    "\"5f5f646562657a69756d5f756e617661696c61626c655f76616c7565\"",
    "[\"__debezium_unavailable_value\"]",
];

/// The rows of an envelope.
const SIDES: [&str; 2] = ["before", "after"];

/// What is told beside them.
const TOLD: [&str; 4] = ["op", "status", "ts_ms", "id"];
const OP: usize = 0;
const STATUS: usize = 1;
const TS_MS: usize = 2;
const ID: usize = 3;

/// Reads Debezium's events.
#[derive(Debug)]
pub(super) struct Debezium {
    key: KeyReader,
    written: Written,
}

/// How the events are written.
#[derive(Debug)]
enum Written {
    Json(Json),
    Avro(avro::Events),
}

/// Reads events in JSON.
#[derive(Debug)]
struct Json {
    wrapping: Wrapping,
    envelope: Members,
    row: Members,
    schemas: Schemas,
}

/// An event of a row.
struct Event<'o, S> {
    op: &'o str,
    before: Option<S>,
    after: Option<S>,
}

impl Debezium {
    /// Of events in JSON.
    pub(super) fn json(key: KeyReader, shape: &Shape, modes: Modes) -> Debezium {
        let written = Json {
            wrapping: Wrapping::new(),
            envelope: Members::listed(&[SIDES[0], SIDES[1], TOLD[0], TOLD[1], TOLD[2], TOLD[3]]),
            row: Members::new(shape.fields(), shape.width()),
            schemas: Schemas::new(modes),
        };
        Debezium { key, written: Written::Json(written) }
    }

    /// Of events in Avro.
    pub(super) fn avro(key: KeyReader, shape: &Shape, modes: Modes, schemas: &Arc<dyn schemas::Schemas>) -> Debezium {
        Debezium { key, written: Written::Avro(avro::Events::new(schemas, shape, modes, SIDES, &TOLD)) }
    }

    /// Tells the target what the message did.
    pub(super) fn read(&mut self, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Unread> {
        let Some(bytes) = message.value else { return gone_by_key(&mut self.key, message, target) };
        match &mut self.written {
            Written::Json(json) => json.read(bytes, &mut self.key, message, target),
            Written::Avro(events) => {
                let avro::Event { sides: [before, after], told } = events.read(bytes, target.shape)?;
                let has = |side: &Option<Slots<'_>>| side.is_some();
                let is_beside = is_beside_the_rows(|at| told.has(at), told.text(STATUS), has(&before) || has(&after));
                match told.text(OP) {
                    None if is_beside => Ok(()),
                    None => Err(NO_EVENT.into()),
                    Some(op) => {
                        let event = Event { op, before: before.map(AvroSide), after: after.map(AvroSide) };
                        event.apply(&mut self.key, message, target)
                    }
                }
            }
        }
    }
}

const NO_EVENT: &str = "it is no Debezium event: it has no \"op\"";

impl Json {
    fn read<'a>(
        &mut self,
        bytes: &'a [u8],
        key: &mut KeyReader,
        message: &Message<'a>,
        target: &mut Target<'_>,
    ) -> Result<(), Unread> {
        let (schema, json) = self.wrapping.unwrap(utf8(bytes, "the event")?);
        if json == "null" {
            return gone_by_key(key, message, target);
        }
        let envelope = self.envelope.read(json)?;
        let told = |at: usize| envelope[SIDES.len() + at];
        let Some(op) = told(OP).and_then(word) else {
            let has_rows = envelope[..SIDES.len()].iter().any(Option::is_some);
            if is_beside_the_rows(|at| told(at).is_some(), told(STATUS).and_then(word), has_rows) {
                return Ok(());
            }
            return Err(NO_EVENT.into());
        };
        let mut side = |at: usize, is_wanted: bool| {
            let json = envelope[at].filter(|it| is_wanted && *it != "null");
            json.map(|it| self.row.read(it)).transpose()
        };
        let is_put = matches!(op, "c" | "r" | "u");
        let (before, after) = (side(0, is_put || op == "d")?, side(1, is_put)?);
        let encodings = match schema.filter(|_| before.is_some() || after.is_some()) {
            Some(schema) => Some(self.schemas.encodings(schema, Some(SIDES[1]), target.shape, None)?),
            None => None,
        };
        let side = |members: Option<Vec<Option<&'a str>>>| members.map(|members| JsonSide { members, encodings });
        Event { op, before: side(before), after: side(after) }.apply(key, message, target)
    }
}

impl<S> Event<'_, S> {
    fn apply<'a>(self, key: &mut KeyReader, message: &Message<'a>, target: &mut Target<'_>) -> Result<(), Unread>
    where
        S: Fields<'a>,
    {
        let shape = target.shape;
        let before = self.before.filter(|it| has_key(it, shape));
        match self.op {
            "c" | "r" | "u" => {
                let after = self.after.ok_or("the event has no \"after\"")?;
                let cells = shape.cells(message, Absence::Refused, &after)?;
                if let Some(before) = before {
                    target.gone_unless_same(&shape.key_cells(message, &before)?, &cells);
                }
                target.put(&cells);
                Ok(())
            }
            "d" => match before {
                Some(before) => {
                    target.gone(&shape.key_cells(message, &before)?);
                    Ok(())
                }
                None => gone_by_key(key, message, target),
            },
            "t" if message.partitions > 1 => Err(Unread::from(format!(
                "the table was truncated, and in a topic of {} partitions nothing tells which rows came before that; give \
                 the topic one partition, or have the connector skip it (\"skipped.operations\" = 't')",
                message.partitions
            ))),
            "t" => {
                target.emptied();
                Ok(())
            }
            "m" => Ok(()),
            op => Err(Unread::from(format!("the event's \"op\" is {op:?}, which Debezium does not have"))),
        }
    }
}

/// The row under the message's own key is gone.
fn gone_by_key(key: &mut KeyReader, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Unread> {
    let shape = target.shape;
    let Some(key) = key.read(message, shape)?.filter(|it| it.is_whole(shape)) else {
        let columns: Vec<&str> = shape.key_fields().map(|it| it.0).collect();
        return Err(Unread::from(format!(
            "a row is deleted, and the message's key does not say {}",
            columns.join(", ")
        )));
    };
    target.gone(&shape.key_cells(message, &key)?);
    Ok(())
}

/// Heartbeats, and the beginnings and ends of transactions, where somebody routes them into the topic of a table.
fn is_beside_the_rows(has: impl Fn(usize) -> bool, status: Option<&str>, has_rows: bool) -> bool {
    let is_boundary = has(ID) && matches!(status, Some("BEGIN" | "END"));
    let is_heartbeat = has(TS_MS) && !has_rows && !has(STATUS) && !has(ID);
    is_boundary || is_heartbeat
}

fn has_key<'a>(side: &impl Fields<'a>, shape: &Shape) -> bool {
    let is_there = |field| !matches!(field, Field::Absent | Field::Json("null") | Field::Typed(Typed::Null));
    shape.key_fields().all(|it| is_there(side.field(it.1)))
}

/// One row of an event in JSON.
struct JsonSide<'a, 's> {
    members: Vec<Option<&'a str>>,
    encodings: Option<&'s [Option<Encoding>]>,
}

impl<'a> Fields<'a> for JsonSide<'a, '_> {
    fn field(&self, at: usize) -> Field<'a> {
        match self.members[at] {
            None => Field::Absent,
            Some(json) if UNAVAILABLE_JSON.contains(&json) => Field::LeftOut,
            Some(json) => Field::Json(json),
        }
    }

    fn encoding(&self, at: usize) -> Option<Encoding> {
        self.encodings?[at]
    }
}

/// One row of an event in Avro.
struct AvroSide<'a>(Slots<'a>);

impl<'a> Fields<'a> for AvroSide<'a> {
    fn field(&self, at: usize) -> Field<'a> {
        let field = self.0.field(at);
        let is_left_out = match &field {
            Field::Typed(Typed::Text(text)) => text == UNAVAILABLE,
            Field::Typed(Typed::Bytes(bytes)) => bytes[..] == *UNAVAILABLE.as_bytes(),
            Field::Typed(Typed::Nested(json)) => UNAVAILABLE_JSON.contains(&json.as_str()),
            _ => false,
        };
        if is_left_out { Field::LeftOut } else { field }
    }

    fn encoding(&self, at: usize) -> Option<Encoding> {
        self.0.encoding(at)
    }
}
