//! Looks at some rows of a table for values that its columns' types do not take, and for types that would take them.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::error::SqliteError;
use super::reader::role;
use super::schema::{open, shape_of};
use super::shape::{Shape, quoted};
use super::types::says_what_it_holds;
use super::value::{Role, cell};
use crate::change::{Column, DataType, Datum, Schema};
use crate::source::Finding;

/// How many rows are looked at from either end of a table: old and new rows are often written by other programs.
const ROWS: usize = 5_000;
/// The types that are tried in place of one that does not fit, the most telling first.
const CANDIDATES: [DataType; 5] =
    [DataType::Int64, DataType::Float64, DataType::Timestamp, DataType::Text, DataType::Bytes];

/// What the visible columns of `schema` would make of the values that table `upstream` holds. Columns of which there is
/// nothing to say are left out.
pub(super) fn sample(path: &Path, upstream: &str, schema: &Schema) -> Result<Vec<Finding>, SqliteError> {
    let connection = open(path)?;
    let shape = shape_of(&connection, path, upstream)?;
    let tally = |index: usize| Tally::new(&schema.columns[index], role(schema, index, &shape), &shape);
    let mut tallies: Vec<Tally<'_>> = (0..schema.visible).map(tally).collect();
    count(&connection, &shape, &mut tallies).map_err(|error| SqliteError::Sqlite { path: path.into(), error })?;
    Ok(tallies.into_iter().filter_map(Tally::finding).collect())
}

fn count(connection: &Connection, shape: &Shape, tallies: &mut [Tally<'_>]) -> rusqlite::Result<()> {
    let columns: Vec<String> = tallies.iter().map(|it| quoted(&it.column.name)).collect();
    let (columns, table) = (columns.join(", "), quoted(&shape.name));
    let sql = match shape.rowid_name() {
        Some(rowid) => {
            let end = |order| format!("SELECT {rowid} FROM {table} ORDER BY {rowid} {order} LIMIT {ROWS}");
            let ends = format!("SELECT * FROM ({}) UNION SELECT * FROM ({})", end("ASC"), end("DESC"));
            format!("SELECT {columns} FROM {table} WHERE {rowid} IN ({ends})")
        }
        None => format!("SELECT {columns} FROM {table} LIMIT {}", 2 * ROWS),
    };
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for (index, tally) in tallies.iter_mut().enumerate() {
            tally.add(row.get_ref(index)?);
        }
    }
    Ok(())
}

/// What was seen in one column.
struct Tally<'a> {
    column: &'a Column,
    role: Role,
    /// Whether the owner says what the column holds.
    is_typed: bool,
    rows: usize,
    errors: usize,
    first: Option<String>,
    /// Whether there were texts, which would not be texts under most candidates.
    has_text: bool,
    /// Whether there was any value at all.
    has_value: bool,
    fits: [bool; CANDIDATES.len()],
}

impl<'a> Tally<'a> {
    fn new(column: &'a Column, role: Role, shape: &Shape) -> Tally<'a> {
        let declared = shape.column(&column.name).map_or("", |it| shape.columns[it].declared.as_str());
        let is_typed = says_what_it_holds(declared);
        let fits = [true; CANDIDATES.len()];
        Tally { column, role, is_typed, rows: 0, errors: 0, first: None, has_text: false, has_value: false, fits }
    }

    fn add(&mut self, value: ValueRef<'_>) {
        let mut scratch = String::new();
        self.rows += 1;
        if let Datum::Error(message) = cell(value, self.column, self.role, &mut scratch) {
            self.errors += 1;
            self.first.get_or_insert_with(|| message.to_string());
        }
        self.has_value |= !matches!(value, ValueRef::Null);
        self.has_text |= matches!(value, ValueRef::Text(_));
        for (fits, data_type) in self.fits.iter_mut().zip(CANDIDATES).filter(|it| *it.0) {
            let column = Column::new("", data_type);
            *fits = !matches!(cell(value, &column, self.role, &mut scratch), Datum::Error(_));
        }
    }

    fn finding(self) -> Option<Finding> {
        let mut fitting = CANDIDATES.into_iter().zip(self.fits).filter(|it| it.1).map(|it| it.0);
        let column = self.column.name.clone();
        if self.errors > 0 {
            let fitting = fitting.next();
            return Some(Finding { column, rows: self.rows, errors: self.errors, first: self.first, fitting });
        }
        let fitting = fitting.find(|it| !matches!(it, DataType::Timestamp))?;
        let unclear = !self.is_typed && self.has_value && !self.has_text && self.column.data_type == DataType::Text;
        (unclear && fitting != DataType::Text).then_some(Finding {
            column,
            rows: self.rows,
            errors: 0,
            first: None,
            fitting: Some(fitting),
        })
    }
}
