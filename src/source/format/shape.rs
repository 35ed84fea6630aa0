//! What a table wants of a message: for each column where its value comes from, and the key the row lies under.

use super::encoding::{Encoding, Modes};
use super::json::utf8;
use super::message::{Message, Poison};
use super::value::{Cell, Typed, cell, typed_cell};
use crate::change::text::decimal::Excess;
use crate::change::text::{self, Manner, shortened};
use crate::change::{Column, DataType, Datum, Event, RowBuilder, Schema, TableId};

/// Where a column's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A field of the value, by the column's name.
    Field,
    /// What stands beside the value.
    Metadata(Metadata),
}

/// What a message has besides its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Metadata {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    Header(String),
    /// An attribute of a CloudEvent.
    Attribute(String),
    /// A document, or what is at a path in it.
    Document(Vec<String>),
}

/// A field of a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field<'a> {
    /// As JSON.
    Json(&'a str),
    /// As text.
    Text(&'a str),
    /// As a binary format has it.
    Typed(Typed<'a>),
    /// It is as it was.
    LeftOut,
    /// The value has none of this name.
    Absent,
}

impl<'a> From<Option<&'a str>> for Field<'a> {
    fn from(json: Option<&'a str>) -> Field<'a> {
        json.map_or(Field::Absent, Field::Json)
    }
}

/// The fields of a message, by column.
pub(super) trait Fields<'a> {
    /// The field of column `at`.
    fn field(&self, at: usize) -> Field<'a>;

    /// How it is written, when something beside the declaration says so.
    fn encoding(&self, _at: usize) -> Option<Encoding> {
        None
    }

    /// An attribute of the event.
    fn attribute(&self, _name: &str) -> Field<'a> {
        Field::Absent
    }
}

/// What the absence of a field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// Programs leave out what they have no value for.
    Null,
    /// Every field is always sent, so it is not the table that was declared.
    Refused,
}

/// A column's cell: none is left out.
pub(super) type Cells<'a> = Vec<Option<Cell<'a>>>;

/// What a table wants of a message.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) schema: Schema,
    pub(super) origins: Vec<Origin>,
    /// By column, how its field is written when no schema says so.
    pub(super) encodings: Vec<Encoding>,
    is_key: Vec<bool>,
}

impl Shape {
    /// A shape of these columns.
    pub(super) fn new(schema: Schema, origins: Vec<Origin>, modes: Modes) -> Shape {
        assert_eq!(schema.columns.len(), origins.len(), "every column has an origin");
        let encodings = schema.columns.iter().map(|it| Encoding::of_type(it.data_type, modes)).collect();
        let is_key = (0..origins.len()).map(|it| schema.key.iter().any(|key| key.column == it)).collect();
        Shape { schema, origins, encodings, is_key }
    }

    /// The columns that are fields, by name.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, usize)> {
        let fields = self.schema.columns.iter().zip(&self.origins).enumerate();
        fields.filter(|it| *it.1.1 == Origin::Field).map(|(at, (column, _))| (column.name.as_str(), at))
    }

    /// The columns of the key that are fields, by name.
    pub(super) fn key_fields(&self) -> impl Iterator<Item = (&str, usize)> {
        self.fields().filter(|it| self.is_key[it.1])
    }

    /// The number of columns.
    pub(super) fn width(&self) -> usize {
        self.origins.len()
    }

    /// The cells of a row of `fields`.
    pub(super) fn cells<'a>(
        &self,
        message: &Message<'a>,
        absence: Absence,
        fields: &impl Fields<'a>,
    ) -> Result<Cells<'a>, Poison> {
        (0..self.width())
            .map(|at| self.cell(at, message, absence, fields))
            .collect::<Result<Cells<'a>, String>>()
            .map_err(Poison)
    }

    /// The cells of the key only; all others are left out.
    pub(super) fn key_cells<'a>(&self, message: &Message<'a>, fields: &impl Fields<'a>) -> Result<Cells<'a>, Poison> {
        let of_key = |at: usize| match self.is_key[at] {
            true => self.cell(at, message, Absence::Refused, fields),
            false => Ok(None),
        };
        (0..self.width()).map(of_key).collect::<Result<Cells<'a>, String>>().map_err(Poison)
    }

    fn cell<'a>(
        &self,
        at: usize,
        message: &Message<'a>,
        absence: Absence,
        fields: &impl Fields<'a>,
    ) -> Result<Option<Cell<'a>>, String> {
        let (column, is_key) = (&self.schema.columns[at], self.is_key[at]);
        let (field, absence) = match &self.origins[at] {
            Origin::Field => (fields.field(at), absence),
            Origin::Metadata(Metadata::Attribute(name)) => (fields.attribute(name), Absence::Null),
            Origin::Metadata(Metadata::Document(_)) => (fields.field(at), Absence::Null),
            Origin::Metadata(it) => return it.cell(message, column, is_key).map(Some),
        };
        match field {
            Field::Json(json) => {
                let encoding = fields.encoding(at).unwrap_or(self.encodings[at]);
                cell(json, encoding, column, is_key).map(Some)
            }
            Field::Text(text) => text_cell(text, column, is_key).map(Some),
            Field::Typed(value) => {
                let encoding = fields.encoding(at).unwrap_or(self.encodings[at]);
                typed_cell(value, encoding, column, is_key).map(Some)
            }
            Field::LeftOut if is_key => Err(format!("column {:?}: a part of the key is left out", column.name)),
            Field::LeftOut => Ok(None),
            Field::Absent if absence == Absence::Null => null(column).map(Some),
            Field::Absent => Err(format!("column {:?}: there is no such field in the event", column.name)),
        }
    }
}

impl Metadata {
    fn cell<'a>(&self, message: &Message<'a>, column: &Column, is_key: bool) -> Result<Cell<'a>, String> {
        match self {
            Metadata::Topic => text_cell(message.topic, column, is_key),
            Metadata::Partition => Ok(Cell::Is(Datum::Int(message.partition.into()))),
            Metadata::Offset => Ok(Cell::Is(Datum::Int(message.offset))),
            Metadata::Timestamp => match (message.timestamp_ms, column.data_type) {
                (None, _) => null(column),
                (Some(millis), DataType::Int64) => Ok(Cell::Is(Datum::Int(millis))),
                (Some(millis), _) => {
                    let micros = millis.checked_mul(1_000);
                    micros.map(|it| Cell::Is(Datum::Int(it))).ok_or_else(|| out_of_range(millis, column))
                }
            },
            Metadata::Key => bytes_cell(message.key, column, is_key),
            Metadata::Header(name) => bytes_cell(message.header(name), column, is_key),
            Metadata::Attribute(_) | Metadata::Document(_) => unreachable!("read by the format that has them"),
        }
    }
}

fn out_of_range(millis: i64, column: &Column) -> String {
    format!("column {:?}: {millis} ms is out of range for type {}", column.name, column.data_type)
}

fn null(column: &Column) -> Result<Cell<'static>, String> {
    cell("null", Encoding::Plain, column, false)
}

/// The cell of bytes that stand for themselves, or for their text.
fn bytes_cell<'a>(bytes: Option<&'a [u8]>, column: &Column, is_key: bool) -> Result<Cell<'a>, String> {
    match bytes {
        None => null(column),
        Some(bytes) if column.data_type == DataType::Bytes => Ok(Cell::Is(Datum::Bytes(bytes))),
        Some(bytes) => {
            text_cell(utf8(bytes, &format!("column {:?}: what it is read from", column.name))?, column, is_key)
        }
    }
}

/// The cell of a text.
pub(super) fn text_cell<'a>(text: &'a str, column: &Column, is_key: bool) -> Result<Cell<'a>, String> {
    match column.data_type {
        DataType::Text => Ok(Cell::Is(Datum::Text(text))),
        DataType::Bytes => Ok(Cell::Is(Datum::Bytes(text.as_bytes()))),
        data_type => {
            let excess = if is_key { Excess::Refused } else { Excess::Rounded };
            let read = text::read(text, data_type, Manner { excess, moved: true });
            read.map(Cell::Is).map_err(|_| format!("column {:?}: {} is no {data_type}", column.name, shortened(text)))
        }
    }
}

/// Makes rows and keys of cells, reusing its buffers.
#[derive(Debug, Default)]
pub(super) struct Writer {
    builder: RowBuilder,
    key: Vec<u8>,
}

impl Writer {
    fn encode(&mut self, shape: &Shape, cells: &Cells<'_>) {
        self.key.clear();
        let cell = |at: usize| cells[at].as_ref().expect("the cells of a key are never left out").datum();
        shape.schema.encode_key(cell, &mut self.key);
    }
}

/// Where what a message did to a table is put.
#[derive(Debug)]
pub(super) struct Target<'t> {
    pub(super) table: TableId,
    pub(super) shape: &'t Shape,
    pub(super) writer: &'t mut Writer,
    pub(super) events: &'t mut Vec<Event>,
}

impl Target<'_> {
    /// The row under the key of these cells is now this one; a partial one when some are left out.
    pub(super) fn put(&mut self, cells: &Cells<'_>) {
        for (cell, column) in cells.iter().zip(self.shape.schema.columns.iter()) {
            match cell {
                Some(cell) => self.writer.builder.push(cell.datum(), column.data_type),
                None => self.writer.builder.leave_out(),
            }
        }
        self.writer.encode(self.shape, cells);
        let row = self.writer.builder.finish(&self.writer.key);
        self.events.push(Event::row(self.table, row));
    }

    /// There is no row under the key of these cells any more.
    pub(super) fn gone(&mut self, cells: &Cells<'_>) {
        self.writer.encode(self.shape, cells);
        self.events.push(Event::gone(self.table, &self.writer.key));
    }

    /// There is none under the key of the cells of `old`, if that is another key than that of `new`.
    pub(super) fn gone_unless_same(&mut self, old: &Cells<'_>, new: &Cells<'_>) {
        self.writer.encode(self.shape, old);
        let key = std::mem::take(&mut self.writer.key);
        self.writer.encode(self.shape, new);
        if key != self.writer.key {
            self.events.push(Event::gone(self.table, &key));
        }
    }

    /// The table has no rows any more.
    pub(super) fn emptied(&mut self) {
        self.events.push(Event::emptied(self.table));
    }
}
