//! The key of a message as the key of a row: an object with the key's columns, or the only column's value by itself.
//!
//! Where values are in Avro, keys may be too. They begin with a zero then, as no JSON and no text does.

use super::avro::Keys;
use super::connect::{Schemas, Wrapping};
use super::encoding::{Encoding, Modes};
use super::json::{Members, utf8};
use super::message::{Message, Unread};
use super::shape::{Field, Fields, Shape};
use super::slots::Slots;

/// Reads keys.
#[derive(Debug)]
pub(super) struct KeyReader {
    members: Members,
    wrapping: Wrapping,
    schemas: Schemas,
    /// The column of a key that has no other.
    only: Option<usize>,
    avro: Option<Keys>,
}

/// What the key of a message says of the columns.
#[derive(Debug, Clone)]
pub(super) enum Key<'a> {
    Text(Vec<Field<'a>>, Option<Vec<Option<Encoding>>>),
    Typed(Slots<'a>),
}

impl KeyReader {
    pub(super) fn new(shape: &Shape, modes: Modes) -> KeyReader {
        let mut columns = shape.key_fields().map(|it| it.1);
        let only = columns.next().filter(|_| columns.next().is_none());
        KeyReader {
            members: Members::new(shape.key_fields(), shape.width()),
            wrapping: Wrapping::new(),
            schemas: Schemas::new(modes),
            only,
            avro: None,
        }
    }

    /// The same, of keys that may be in Avro.
    pub(super) fn or_avro(self, keys: Keys) -> KeyReader {
        KeyReader { avro: Some(keys), ..self }
    }

    /// What the message's key says; `None` when it has no key.
    pub(super) fn read<'a>(&mut self, message: &Message<'a>, shape: &Shape) -> Result<Option<Key<'a>>, Unread> {
        let Some(bytes) = message.key else { return Ok(None) };
        if let (Some(avro), Some(0)) = (&mut self.avro, bytes.first()) {
            return Ok(avro.read(bytes, shape)?.map(Key::Typed));
        }
        let text = utf8(bytes, "the message's key")?;
        let (schema, json) = self.wrapping.unwrap(text);
        let encodings = match schema {
            Some(schema) => Some(self.schemas.encodings(schema, None, shape, self.only)?.to_vec()),
            None => None,
        };
        let fields = if json.trim_start().starts_with('{') {
            let members = self.members.read(json).map_err(|error| format!("the message's key: {error}"))?;
            members.into_iter().map(Field::from).collect()
        } else {
            let mut fields = vec![Field::Absent; shape.width()];
            if let Some(only) = self.only {
                fields[only] = scalar(json);
            }
            fields
        };
        Ok(Some(Key::Text(fields, encodings)))
    }
}

/// A key that is one value: JSON, as Connect writes it, or text.
fn scalar(text: &str) -> Field<'_> {
    let is_json =
        text == "null" || text.starts_with('"') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if is_json { Field::Json(text) } else { Field::Text(text) }
}

impl Key<'_> {
    /// Whether it says all columns of the key that are fields.
    pub(super) fn is_whole(&self, shape: &Shape) -> bool {
        shape.key_fields().all(|it| match self {
            Key::Text(fields, _) => fields[it.1] != Field::Absent,
            Key::Typed(slots) => slots.is_there(it.1),
        })
    }
}

impl<'a> Fields<'a> for Key<'a> {
    fn field(&self, at: usize) -> Field<'a> {
        match self {
            Key::Text(fields, _) => fields[at].clone(),
            Key::Typed(slots) => slots.field(at),
        }
    }

    fn encoding(&self, at: usize) -> Option<Encoding> {
        match self {
            Key::Text(_, encodings) => encodings.as_ref()?[at],
            Key::Typed(slots) => slots.encoding(at),
        }
    }
}
