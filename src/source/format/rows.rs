//! Messages whose value is the row itself, in JSON: each a row of its own, or the newest one under its key.

use super::connect::{Schemas, Wrapping};
use super::encoding::{Encoding, Modes};
use super::json::{Members, utf8, word};
use super::key::{Key, KeyReader};
use super::message::{Message, Poison};
use super::shape::{Absence, Field, Fields, Shape, Target};

/// Reads values that are rows.
#[derive(Debug)]
pub(super) struct Rows {
    wrapping: Wrapping,
    members: Members,
    schemas: Schemas,
    /// Where Debezium's flattened events say that the row was deleted: behind the columns.
    deleted: usize,
}

/// The fields of a value.
pub(super) struct Row<'a, 's> {
    members: Vec<Option<&'a str>>,
    encodings: Option<&'s [Option<Encoding>]>,
    /// Of the columns that the message's key has.
    key: Option<&'s Key<'a>>,
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

    /// The value is a row of its own, or, in a table with a key, the one that lies under it now.
    pub(super) fn read_plain(&mut self, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Poison> {
        let Some(row) = self.read(message, target.shape, None)? else {
            return Err("the message has no value; if that deletes a row, the format is UPSERT".into());
        };
        let cells = target.shape.cells(message, Absence::Null, &row)?;
        target.put(&cells);
        Ok(())
    }

    /// The fields of the message's value; `None` when it has none. What `key` says of a column goes before it.
    pub(super) fn read<'a, 's>(
        &'s mut self,
        message: &Message<'a>,
        shape: &Shape,
        key: Option<&'s Key<'a>>,
    ) -> Result<Option<Row<'a, 's>>, Poison> {
        let Some(bytes) = message.value else { return Ok(None) };
        self.read_text(utf8(bytes, "the value")?, shape, key)
    }

    /// The fields of a value that was found in a message.
    pub(super) fn read_text<'a, 's>(
        &'s mut self,
        value: &'a str,
        shape: &Shape,
        key: Option<&'s Key<'a>>,
    ) -> Result<Option<Row<'a, 's>>, Poison> {
        let (schema, json) = self.wrapping.unwrap(value);
        if json == "null" {
            return Ok(None);
        }
        let encodings = schema.map(|it| self.schemas.encodings(it, None, shape, None)).transpose()?;
        let members = self.members.read(json)?;
        let is_deleted = members[self.deleted].and_then(word) == Some("true") || members[self.deleted] == Some("true");
        // Only a table of newest rows has a key to delete by.
        if is_deleted && key.is_some() {
            return Ok(None);
        }
        Ok(Some(Row { members, encodings, key }))
    }
}

impl<'a> Fields<'a> for Row<'a, '_> {
    fn field(&self, at: usize) -> Field<'a> {
        match self.key.map_or(Field::Absent, |it| it.field(at)) {
            Field::Absent => self.members[at].into(),
            field => field,
        }
    }

    fn encoding(&self, at: usize) -> Option<Encoding> {
        match self.key {
            Some(key) if key.field(at) != Field::Absent => key.encoding(at),
            _ => self.encodings?[at],
        }
    }
}

/// Reads the newest rows of keys: the message's key says which row, its value what it is, and no value that it is gone.
#[derive(Debug)]
pub(super) struct Upsert {
    key: KeyReader,
    rows: Rows,
}

impl Upsert {
    pub(super) fn new(shape: &Shape, modes: Modes) -> Upsert {
        Upsert { key: KeyReader::new(shape, modes), rows: Rows::new(shape, modes) }
    }

    /// Tells the target what the message did.
    pub(super) fn read(&mut self, message: &Message<'_>, target: &mut Target<'_>) -> Result<(), Poison> {
        let shape = target.shape;
        let Some(key) = self.key.read(message, shape)? else {
            return Err(
                "the message has no key, which says what row it is; if it needs none, the format is PLAIN".into()
            );
        };
        if !key.is_whole(shape) {
            let columns: Vec<&str> = shape.key_fields().map(|it| it.0).collect();
            return Err(Poison(format!("the message's key does not say {}", columns.join(", "))));
        }
        match self.rows.read(message, shape, Some(&key))? {
            Some(row) => target.put(&shape.cells(message, Absence::Null, &row)?),
            None => target.gone(&shape.key_cells(message, &key)?),
        }
        Ok(())
    }
}
