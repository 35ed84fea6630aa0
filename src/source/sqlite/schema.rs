//! From a table's shape to the schema its rows are given here.
//!
//! The schema's key is a function of the logged key, and different keys at the source stay different here: a key
//! column whose type would make two source keys one (a timestamp has several spellings) is followed under its
//! stored text, in a hidden column.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::connect::open_to_read;
use super::error::SqliteError;
use super::shape::{NoShape, Part, Shape, ShapeColumn};
use super::types::{keeps_keys_apart, natural_type, stored_type};
use crate::catalog::DeclaredColumn;
use crate::change::{Collation, Column, DataType, KeyColumn, Schema, TIE};

/// The hidden column that holds the rowid.
const ROWID: &str = "_rowid";
/// What the name of a hidden copy of a key column begins with.
const KEY_PREFIX: &str = "_key_";

/// The schema of table `upstream`: of the `declared` columns, or of all there are when none is declared.
pub(super) fn describe(path: &Path, upstream: &str, declared: &[DeclaredColumn]) -> Result<Schema, SqliteError> {
    let connection = open(path)?;
    let shape = shape_of(&connection, path, upstream)?;
    schema(&shape, declared)
}

/// A connection to read a file with that must be there.
pub(super) fn open(path: &Path) -> Result<Connection, SqliteError> {
    if !path.is_file() {
        return Err(SqliteError::NoFile(path.into()));
    }
    // A busy file is asked again later; whoever asks may be told to stop meanwhile.
    open_to_read(path).map_err(|error| SqliteError::Sqlite { path: path.into(), error })
}

/// The shape of the table called `upstream`.
pub(super) fn shape_of(connection: &Connection, path: &Path, upstream: &str) -> Result<Shape, SqliteError> {
    super::shape::shape(connection, upstream).map_err(|it| match it {
        NoShape::Absent => SqliteError::NoTable { path: path.into(), table: upstream.into() },
        NoShape::Refused(reason) => SqliteError::Refused { table: upstream.into(), reason },
        NoShape::Sqlite(error) => SqliteError::Sqlite { path: path.into(), error },
    })
}

/// The name at the source of column `index`; `None` for the rowid, also where it is only a tie.
pub(super) fn upstream_name(schema: &Schema, index: usize) -> Option<&str> {
    let name = schema.columns[index].name.as_str();
    if index < schema.visible { Some(name) } else { name.strip_prefix(KEY_PREFIX) }
}

/// The schema of a table of this shape.
pub(super) fn schema(shape: &Shape, declared: &[DeclaredColumn]) -> Result<Schema, SqliteError> {
    let chosen: Vec<(usize, Column)> = if declared.is_empty() {
        shape.columns.iter().map(natural_column).enumerate().collect()
    } else {
        declared.iter().map(|it| declared_column(shape, it)).collect::<Result<_, _>>()?
    };
    refuse_unreadable(shape, chosen.iter().map(|it| it.0))?;
    check_declared_key(shape, declared)?;
    let mut columns: Vec<Column> = chosen.iter().map(|it| it.1.clone()).collect();
    let visible = columns.len();
    let has_tie = shape.rowid_of_null("").is_some();
    let key_of = |part: &Part, columns: &mut Vec<Column>| {
        let upstream = &shape.columns[part.column];
        let place = chosen.iter().position(|it| it.0 == part.column);
        match place.filter(|it| keeps_keys_apart(columns[*it].data_type, upstream.affinity())) {
            Some(place) => {
                columns[place].collation = collation(part);
                columns[place].nullable &= has_tie;
                place
            }
            None => {
                let name = format!("{KEY_PREFIX}{}", upstream.name);
                let data_type = stored_type(&upstream.declared);
                columns.push(Column { name, data_type, nullable: has_tie, collation: collation(part) });
                columns.len() - 1
            }
        }
    };
    let Some(parts) = shape.key_parts() else {
        let rowid = Column { nullable: false, ..Column::new(ROWID, DataType::Int64) };
        columns.push(rowid);
        let key = Arc::from([KeyColumn::ascending(visible)]);
        return Ok(Schema { columns: columns.into(), visible, key });
    };
    let mut key: Vec<usize> = parts.iter().map(|it| key_of(it, &mut columns)).collect();
    if has_tie {
        key.push(columns.len());
        columns.push(Column::new(TIE, DataType::Int64));
    }
    let key = key.into_iter().map(KeyColumn::ascending).collect();
    Ok(Schema { columns: columns.into(), visible, key })
}

fn natural_column(column: &ShapeColumn) -> Column {
    Column { nullable: !column.not_null, ..Column::new(column.name.clone(), natural_type(&column.declared)) }
}

fn declared_column(shape: &Shape, declared: &DeclaredColumn) -> Result<(usize, Column), SqliteError> {
    let index = shape.column(&declared.name).ok_or_else(|| SqliteError::NoColumn {
        table: shape.name.clone(),
        column: declared.name.clone(),
        has: shape.columns.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", "),
    })?;
    let nullable = !declared.not_null && !declared.primary_key;
    Ok((index, Column { nullable, ..Column::new(declared.name.clone(), declared.data_type) }))
}

/// Refuses a column that cannot be read here, with what to write instead.
fn refuse_unreadable(shape: &Shape, chosen: impl Iterator<Item = usize>) -> Result<(), SqliteError> {
    for column in chosen.map(|it| &shape.columns[it]) {
        if let Some(reason) = &column.unreadable {
            let readable = shape.columns.iter().filter(|it| it.unreadable.is_none()).map(|it| it.name.as_str());
            let reason = format!(
                "column {:?} can only be read by its owner, who computes it at every look ({reason}); \
                 declare the columns without it: of {}",
                column.name,
                readable.collect::<Vec<_>>().join(", ")
            );
            return Err(SqliteError::Refused { table: shape.name.clone(), reason });
        }
    }
    Ok(())
}

fn check_declared_key(shape: &Shape, declared: &[DeclaredColumn]) -> Result<(), SqliteError> {
    let names: Vec<&str> = declared.iter().filter(|it| it.primary_key).map(|it| it.name.as_str()).collect();
    let mut wanted: Vec<_> = names.iter().filter_map(|it| shape.column(it)).collect();
    let mut actual: Vec<_> = shape.key_parts().iter().flatten().map(|it| it.column).collect();
    wanted.sort_unstable();
    actual.sort_unstable();
    if names.is_empty() || wanted == actual {
        return Ok(());
    }
    Err(SqliteError::Key { table: shape.name.clone(), declared: names.join(", "), actual: shape.key_words() })
}

fn collation(part: &Part) -> Collation {
    match part.collation.as_str() {
        "NOCASE" => Collation::NoCase,
        "RTRIM" => Collation::RTrim,
        _ => Collation::Binary,
    }
}
