//! Messages whose value is the row itself: each a row of its own, or the newest one under its key.

use std::sync::Arc;

use super::avro;
use super::connect::{Schemas, Wrapping};
use super::encoding::{Encoding, Modes};
use super::json::{Members, utf8, word};
use super::key::{Key, KeyReader};
use super::message::{Message, Unread};
use super::schemas;
use super::shape::{Absence, Field, Fields, Shape, Target};
use super::slots::Slots;
use super::value::Typed;

/// Reads values that are rows in JSON.
#[derive(Debug)]
pub(super) struct Rows {
    wrapping: Wrapping,
    members: Members,
    schemas: Schemas,
    /// Where Debezium's flattened events say that the row was deleted: behind the columns.
    deleted: usize,
}

/// The fields of a value in JSON.
pub(super) struct Row<'a, 's> {
    members: Vec<Option<&'a str>>,
    encodings: Option<&'s [Option<Encoding>]>,
    is_deleted: bool,
}

/// What Debezium's `ExtractNewRecordState` adds when deletes are rewritten.
const DELETED: &str = "__deleted";

impl Rows {
    pub(super) fn new(shape: &Shape, modes: Modes) -> Rows {
        let deleted = shape.width();
        let names = shape.fields().chain([(DELETED, deleted)]);
        Rows {
            wrapping: Wrapping::new(),
            members: Members::new(names, deleted + 1),
            schemas: Schemas::new(modes),
            deleted,
        }
    }

    /// The fields of a value; `None` when it is null.
    pub(super) fn read<'a, 's>(&'s mut self, value: &'a str, shape: &Shape) -> Result<Option<Row<'a, 's>>, String> {
        let (schema, json) = self.wrapping.unwrap(value);
        if json == "null" {
            return Ok(None);
        }
        let encodings = schema.map(|it| self.schemas.encodings(it, None, shape, None)).transpose()?;
        let members = self.members.read(json)?;
        let is_deleted = members[self.deleted].and_then(word) == Some("true") || members[self.deleted] == Some("true");
        Ok(Some(Row { members, encodings, is_deleted }))
    }
}

impl<'a> Fields<'a> for Row<'a, '_> {
    fn field(&self, at: usize) -> Field<'a> {
        self.members[at].into()
    }

    fn encoding(&self, at: usize) -> Option<Encoding> {
        self.encodings?[at]
    }
}

/// Reads the values of messages.
#[derive(Debug)]
pub(super) enum Values {
    Json(Rows),
    Avro(avro::Values),
    #[cfg(feature = "kafka")]
    Protobuf(super::protobuf::Protobuf),
}

/// The fields of a message's value.
enum Value<'a, 's> {
    Json(Row<'a, 's>),
    Typed(Slots<'a>),
}

impl Values {
    pub(super) fn json(shape: &Shape, modes: Modes) -> Values {
        Values::Json(Rows::new(shape, modes))
    }

    pub(super) fn avro(shape: &Shape, modes: Modes, schemas: &Arc<dyn schemas::Schemas>) -> Values {
        Values::Avro(avro::Values::new(schemas, shape, modes, DELETED))
    }

    /// The fields of the message's value; `None` when it has none.
    fn read<'a, 's>(&'s mut self, message: &Message<'a>, shape: &Shape) -> Result<Option<Value<'a, 's>>, Unread> {
        let Some(bytes) = message.value else { return Ok(None) };
        Ok(match self {
            Values::Json(rows) => rows.read(utf8(bytes, "the value")?, shape)?.map(Value::Json),
            Values::Avro(values) => values.read(bytes, shape)?.map(Value::Typed),
            #[cfg(feature = "kafka")]
            Values::Protobuf(values) => Some(Value::Typed(values.read(bytes)?)),
        })
    }
}

impl Value<'_, '_> {
    /// Whether it says that the row was deleted.
    fn is_deleted(&self, shape: &Shape) -> bool {
        match self {
            Value::Json(row) => row.is_deleted,
            Value::Typed(slots) => match slots.field(shape.width()) {
                Field::Typed(Typed::Text(text)) => text == "true",
                field => field == Field::Typed(Typed::Boolean(true)),
            },
        }
    }
}

impl<'a> Fields<'a> for Value<'a, '_> {
    fn field(&self, at: usize) -> Field<'a> {
        match self {
            Value::Json(row) => row.field(at),
            Value::Typed(slots) => slots.field(at),
        }
    }

    fn encoding(&self, at: usize) -> Option<Encoding> {
        match self {
            Value::Json(row) => row.encoding(at),
            Value::Typed(slots) => slots.encoding(at),
        }
    }
}

/// Reads rows of their own: each is one more, or, in a table with a key, the one that lies under it now.
#[derive(Debug)]
pub(super) struct Plain(Values);

impl Plain {
    pub(super) fn new(values: Values) -> Plain {
        Plain(values)
    }

    /// Tells the target what the message did.
    pub(super) fn read(&mut self, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Unread> {
        let Some(row) = self.0.read(message, target.shape)? else {
            return Err("the message has no value; if that deletes a row, the format is UPSERT".into());
        };
        let cells = target.shape.cells(message, Absence::Null, &row)?;
        target.put(&cells);
        Ok(())
    }
}

/// Reads the newest rows of keys: the message's key says which row, its value what it is, and no value that it is gone.
#[derive(Debug)]
pub(super) struct Upsert {
    key: KeyReader,
    values: Values,
}

/// A value with what the key says before it.
struct Keyed<'a, 's> {
    key: &'s Key<'a>,
    value: Value<'a, 's>,
}

impl Upsert {
    pub(super) fn new(key: KeyReader, values: Values) -> Upsert {
        Upsert { key, values }
    }

    /// Tells the target what the message did.
    pub(super) fn read(&mut self, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Unread> {
        let shape = target.shape;
        let Some(key) = self.key.read(message, shape)? else {
            return Err(
                "the message has no key, which says what row it is; if it needs none, the format is PLAIN".into()
            );
        };
        if !key.is_whole(shape) {
            let columns: Vec<&str> = shape.key_fields().map(|it| it.0).collect();
            return Err(Unread::from(format!("the message's key does not say {}", columns.join(", "))));
        }
        match self.values.read(message, shape)?.filter(|it| !it.is_deleted(shape)) {
            Some(value) => target.put(&shape.cells(message, Absence::Null, &Keyed { key: &key, value })?),
            None => target.gone(&shape.key_cells(message, &key)?),
        }
        Ok(())
    }
}

impl<'a> Fields<'a> for Keyed<'a, '_> {
    fn field(&self, at: usize) -> Field<'a> {
        match self.key.field(at) {
            Field::Absent => self.value.field(at),
            field => field,
        }
    }

    fn encoding(&self, at: usize) -> Option<Encoding> {
        match self.key.field(at) {
            Field::Absent => self.value.encoding(at),
            _ => self.key.encoding(at),
        }
    }
}
