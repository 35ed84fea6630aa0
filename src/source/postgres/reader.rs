//! From the values of a row at the source, in the order of some columns there, to rows and keys here.

use super::schema::upstream_name;
use super::shape::Shape;
use super::types::Form;
use super::value::{Cell, cell};
use crate::change::{Event, Row, RowBuilder, Schema, TableId, encode_datum};
use crate::source::TableSpec;

/// What makes rows of one declared table.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) table: TableId,
    pub(super) schema: Schema,
    /// By column of the schema, how its values are written and the number of its type at the source.
    columns: Vec<(Form, u32)>,
    is_key: Vec<bool>,
}

/// A value as it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Text(&'a [u8]),
    /// It is as it was, and was too large to be sent again.
    Unchanged,
}

impl<'a> Value<'a> {
    /// A value of an answer.
    pub(super) fn of(cell: Option<&'a [u8]>) -> Value<'a> {
        cell.map_or(Value::Null, Value::Text)
    }

    fn text(self) -> Option<&'a [u8]> {
        if let Value::Text(it) = self { Some(it) } else { None }
    }
}

impl Reader {
    /// For a table of this shape, which fits.
    pub(super) fn new(spec: &TableSpec, shape: &Shape) -> Reader {
        let column = |index| {
            let at = shape.column(upstream_name(&spec.schema, index)).expect("a shape that fits has the column");
            let column = &shape.columns[at];
            (column.base.form(), column.type_oid)
        };
        let width = spec.schema.columns.len();
        Reader {
            table: spec.table,
            columns: (0..width).map(column).collect(),
            is_key: (0..width).map(|index| spec.schema.key.iter().any(|it| it.column == index)).collect(),
            schema: spec.schema.clone(),
        }
    }

    /// The names at the source of the columns of the schema.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.columns.len()).map(|index| upstream_name(&self.schema, index))
    }

    /// By column of the schema, its place among columns with these names and types; the error names one that is not
    /// there or of another type.
    pub(super) fn places<'c>(
        &self,
        columns: impl Iterator<Item = (&'c str, u32)> + Clone,
    ) -> Result<Vec<usize>, String> {
        let place = |(index, name): (usize, &str)| {
            let exact = columns.clone().position(|it| it.0 == name);
            let found = exact.or_else(|| columns.clone().position(|it| it.0.eq_ignore_ascii_case(name)));
            let is_same = |at: &usize| columns.clone().nth(*at).is_some_and(|it| it.1 == self.columns[index].1);
            found.filter(is_same).ok_or_else(|| name.to_string())
        };
        self.names().enumerate().map(place).collect()
    }

    /// The key of the row of which column `index` of the schema is `value(index)`.
    pub(super) fn key<'a>(&self, value: impl Fn(usize) -> Value<'a>, out: &mut Vec<u8>) {
        out.clear();
        for part in self.schema.key.iter() {
            let cell = self.cell(part.column, value(part.column));
            encode_datum(cell.as_datum(), *part, self.schema.columns[part.column].collation, out);
        }
    }

    /// The row under `key`; partial, when values are as they were.
    pub(super) fn row<'a>(&self, value: impl Fn(usize) -> Value<'a>, key: &[u8], builder: &mut RowBuilder) -> Row {
        for (index, column) in self.schema.columns.iter().enumerate() {
            match value(index) {
                Value::Unchanged => builder.leave_out(),
                value => builder.push(self.cell(index, value).as_datum(), column.data_type),
            }
        }
        builder.finish(key)
    }

    /// The row that is there now, whatever was before.
    pub(super) fn event<'a>(
        &self,
        value: impl Fn(usize) -> Value<'a> + Copy,
        key: &mut Vec<u8>,
        builder: &mut RowBuilder,
    ) -> Event {
        self.key(value, key);
        Event::row(self.table, self.row(value, key, builder))
    }

    fn cell<'a>(&self, index: usize, value: Value<'a>) -> Cell<'a> {
        cell(value.text(), self.columns[index].0, &self.schema.columns[index], self.is_key[index])
    }
}
