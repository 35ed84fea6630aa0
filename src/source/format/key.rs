//! The key of a message as the key of a row: an object with the key's columns, or the only column's value by itself.

use super::connect::{Schemas, Wrapping};
use super::encoding::{Encoding, Modes};
use super::json::{Members, utf8};
use super::message::{Message, Poison};
use super::shape::{Field, Fields, Shape};

/// Reads keys.
#[derive(Debug, Clone)]
pub(super) struct KeyReader {
    members: Members,
    wrapping: Wrapping,
    schemas: Schemas,
    /// The column of a key that has no other.
    only: Option<usize>,
}

/// What the key of a message says of the columns.
#[derive(Debug, Clone)]
pub(super) struct Key<'a> {
    fields: Vec<Field<'a>>,
    encodings: Option<Vec<Option<Encoding>>>,
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
        }
    }

    /// What the message's key says; `None` when it has no key.
    pub(super) fn read<'a>(&mut self, message: &Message<'a>, shape: &Shape) -> Result<Option<Key<'a>>, Poison> {
        let Some(bytes) = message.key else { return Ok(None) };
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
        Ok(Some(Key { fields, encodings }))
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
        shape.key_fields().all(|it| self.fields[it.1] != Field::Absent)
    }
}

impl<'a> Fields<'a> for Key<'a> {
    fn field(&self, at: usize) -> Field<'a> {
        self.fields[at]
    }

    fn encoding(&self, at: usize) -> Option<Encoding> {
        self.encodings.as_ref()?[at]
    }
}
