//! From a table's shape to the schema its rows are given here.
//!
//! The schema's key is a function of the logged key, and different keys at the source stay different here: a key
//! column whose type would make two source keys one (a timestamp has several spellings) is followed under its
//! stored text, in a hidden column.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use super::connect::open_to_read;
use super::shape::{Affinity, NoShape, Part, Shape, ShapeColumn};
use crate::catalog::{Connector, DeclaredColumn};
use crate::change::{Collation, Column, DataType, KeyColumn, Schema};
use crate::source::SourceError;

/// The hidden column that holds the rowid.
const ROWID: &str = "_rowid";
/// What the name of a hidden copy of a key column begins with.
const KEY_PREFIX: &str = "_key_";

/// The schema of table `upstream`: of the `declared` columns, or of all there are when none is declared.
pub(crate) fn describe(
    connector: &Connector,
    upstream: &str,
    declared: &[DeclaredColumn],
) -> Result<Schema, SourceError> {
    let Connector::Sqlite { path } = connector;
    let path = PathBuf::from(path);
    if !path.is_file() {
        return Err(SourceError::NoFile(path));
    }
    // A busy file is asked again later; whoever asks may be told to stop meanwhile.
    let connection = open_to_read(&path).map_err(|error| SourceError::Sqlite { path: path.clone(), error })?;
    let shape = shape_of(&connection, &path, upstream)?;
    schema(&shape, declared)
}

fn shape_of(connection: &Connection, path: &Path, upstream: &str) -> Result<Shape, SourceError> {
    super::shape::shape(connection, upstream).map_err(|it| match it {
        NoShape::Absent => SourceError::NoTable { path: path.into(), table: upstream.into() },
        NoShape::Refused(reason) => SourceError::Refused { table: upstream.into(), reason },
        NoShape::Sqlite(error) => SourceError::Sqlite { path: path.into(), error },
    })
}

/// The name at the source of column `index`; `None` for the rowid.
pub(super) fn upstream_name(schema: &Schema, index: usize) -> Option<&str> {
    let name = schema.columns[index].name.as_str();
    if index < schema.visible { Some(name) } else { name.strip_prefix(KEY_PREFIX) }
}

/// Whether rows of `schema` have the key of `shape`: the same columns under the same collations, in the same order.
pub(super) fn has_key_of(schema: &Schema, shape: &Shape) -> bool {
    let key = schema.key.iter().map(|it| (upstream_name(schema, it.column), schema.columns[it.column].collation));
    let Some(parts) = shape.key_parts() else { return key.eq([(None, Collation::Binary)]) };
    if schema.key.len() != parts.len() {
        return false;
    }
    key.zip(&parts).all(|((name, collated), part)| {
        let upstream = &shape.columns[part.column].name;
        name.is_some_and(|it| it.eq_ignore_ascii_case(upstream)) && collated == collation(part)
    })
}

/// The schema of a table of this shape.
pub(super) fn schema(shape: &Shape, declared: &[DeclaredColumn]) -> Result<Schema, SourceError> {
    let chosen: Vec<(usize, Column)> = if declared.is_empty() {
        (0..shape.columns.len()).map(|it| natural_column(shape, it)).collect::<Result<_, _>>()?
    } else {
        declared.iter().map(|it| declared_column(shape, it)).collect::<Result<_, _>>()?
    };
    refuse_unreadable(shape, chosen.iter().map(|it| it.0))?;
    check_declared_key(shape, declared)?;
    let mut columns: Vec<Column> = chosen.iter().map(|it| it.1.clone()).collect();
    let visible = columns.len();
    let key_of = |part: &Part, columns: &mut Vec<Column>| {
        let upstream = &shape.columns[part.column];
        let place = chosen.iter().position(|it| it.0 == part.column);
        match place.filter(|it| keeps_keys_apart(columns[*it].data_type, upstream.affinity())) {
            Some(place) => {
                columns[place].collation = collation(part);
                columns[place].nullable = false;
                place
            }
            None => {
                let name = format!("{KEY_PREFIX}{}", upstream.name);
                columns.push(Column {
                    name,
                    data_type: stored_type(upstream),
                    nullable: false,
                    collation: collation(part),
                });
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
    let key = parts.iter().map(|it| KeyColumn::ascending(key_of(it, &mut columns))).collect();
    Ok(Schema { columns: columns.into(), visible, key })
}

fn natural_column(shape: &Shape, index: usize) -> Result<(usize, Column), SourceError> {
    let column = &shape.columns[index];
    let data_type = natural_type(&column.declared).map_err(|reason| SourceError::Type {
        table: shape.name.clone(),
        column: column.name.clone(),
        reason,
    })?;
    Ok((index, Column { nullable: !column.not_null, ..Column::new(column.name.clone(), data_type) }))
}

fn declared_column(shape: &Shape, declared: &DeclaredColumn) -> Result<(usize, Column), SourceError> {
    let index = shape.column(&declared.name).ok_or_else(|| SourceError::NoColumn {
        table: shape.name.clone(),
        column: declared.name.clone(),
        has: shape.columns.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", "),
    })?;
    let nullable = !declared.not_null && !declared.primary_key;
    Ok((index, Column { nullable, ..Column::new(declared.name.clone(), declared.data_type) }))
}

/// Refuses a column that cannot be read here, with what to write instead.
fn refuse_unreadable(shape: &Shape, chosen: impl Iterator<Item = usize>) -> Result<(), SourceError> {
    for column in chosen.map(|it| &shape.columns[it]) {
        if let Some(reason) = &column.unreadable {
            let readable = shape.columns.iter().filter(|it| it.unreadable.is_none()).map(|it| it.name.as_str());
            let reason = format!(
                "column {:?} can only be read by its owner, who computes it at every look ({reason}); \
                 declare the columns without it: of {}",
                column.name,
                readable.collect::<Vec<_>>().join(", ")
            );
            return Err(SourceError::Refused { table: shape.name.clone(), reason });
        }
    }
    Ok(())
}

fn check_declared_key(shape: &Shape, declared: &[DeclaredColumn]) -> Result<(), SourceError> {
    let names: Vec<&str> = declared.iter().filter(|it| it.primary_key).map(|it| it.name.as_str()).collect();
    let mut wanted: Vec<_> = names.iter().filter_map(|it| shape.column(it)).collect();
    let mut actual: Vec<_> = shape.key_parts().iter().flatten().map(|it| it.column).collect();
    wanted.sort_unstable();
    actual.sort_unstable();
    if names.is_empty() || wanted == actual {
        return Ok(());
    }
    Err(SourceError::Key { table: shape.name.clone(), declared: names.join(", "), actual: shape.key_words() })
}

/// Whether two values that SQLite holds apart in a column of this affinity are always two cells of this type.
fn keeps_keys_apart(data_type: DataType, affinity: Affinity) -> bool {
    match data_type {
        DataType::Timestamp | DataType::TimestampTz => false,
        DataType::Decimal { .. } => matches!(affinity, Affinity::Integer | Affinity::Real | Affinity::Numeric),
        _ => true,
    }
}

/// The type that takes most of what a column of this affinity holds, whatever its declared meaning.
fn stored_type(column: &ShapeColumn) -> DataType {
    match column.affinity() {
        Affinity::Integer => DataType::Int64,
        Affinity::Real => DataType::Float64,
        Affinity::Numeric | Affinity::Text => DataType::Text,
        Affinity::Blob => {
            if column.declared.to_ascii_uppercase().contains("BLOB") {
                DataType::Bytes
            } else {
                DataType::Text
            }
        }
    }
}

fn collation(part: &Part) -> Collation {
    match part.collation.as_str() {
        "NOCASE" => Collation::NoCase,
        "RTRIM" => Collation::RTrim,
        _ => Collation::Binary,
    }
}

/// The type a declared type name stands for.
fn natural_type(declared: &str) -> Result<DataType, String> {
    let upper = declared.to_ascii_uppercase();
    let (name, arguments) = match upper.split_once('(') {
        Some((name, rest)) => (name.trim(), Some(rest.trim_end().trim_end_matches(')'))),
        None => (upper.trim(), None),
    };
    let has = |part: &str| name.contains(part);
    Ok(match name {
        "BOOL" | "BOOLEAN" => DataType::Boolean,
        "DATE" => DataType::Date,
        "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => DataType::TimestampTz,
        "TIMESTAMP" | "DATETIME" | "TIMESTAMP WITHOUT TIME ZONE" => DataType::Timestamp,
        "DECIMAL" | "NUMERIC" => match arguments {
            Some(digits) => decimal(digits)?,
            None => DataType::Float64,
        },
        _ if has("INT") => DataType::Int64,
        _ if has("CHAR") || has("CLOB") || has("TEXT") => DataType::Text,
        _ if has("BLOB") => DataType::Bytes,
        _ if has("REAL") || has("FLOA") || has("DOUB") => DataType::Float64,
        // No type, ANY, and names without a meaning to SQLite (UUID, JSON): text, and what is not text is an error cell.
        _ => DataType::Text,
    })
}

fn decimal(digits: &str) -> Result<DataType, String> {
    let mut parts = digits.split(',').map(|it| it.trim().parse::<u8>());
    let precision = parts.next();
    let scale = parts.next().unwrap_or(Ok(0));
    match (precision, scale, parts.next()) {
        (Some(Ok(precision @ 1..=38)), Ok(scale), None) if scale <= precision => {
            Ok(DataType::Decimal { precision, scale })
        }
        _ => Err(format!(
            "({digits}) is not a precision up to 38 and a scale up to the precision; declare the table's columns in CREATE TABLE"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_have_the_types_their_owners_expect() {
        let decimal = |precision, scale| DataType::Decimal { precision, scale };
        for (declared, expected) in [
            ("INTEGER", DataType::Int64),
            ("unsigned big int", DataType::Int64),
            ("varchar(20)", DataType::Text),
            ("DECIMAL(10, 2)", decimal(10, 2)),
            ("numeric(5)", decimal(5, 0)),
            ("NUMERIC", DataType::Float64),
            ("double precision", DataType::Float64),
            ("bool", DataType::Boolean),
            ("DATETIME", DataType::Timestamp),
            ("date", DataType::Date),
            ("blob", DataType::Bytes),
            ("", DataType::Text),
            ("JSON", DataType::Text),
        ] {
            assert_eq!(natural_type(declared), Ok(expected), "{declared}");
        }
        assert!(natural_type("DECIMAL(40,2)").is_err());
        assert!(natural_type("DECIMAL(4,5)").is_err());
    }
}
