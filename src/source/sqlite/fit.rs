//! Whether a table of the file still yields the rows that were planned with.
//!
//! One rule for all that a migration can do: the schema is derived from the table as it is now, as it was when the
//! views were planned, and compared with the one they were planned with.

use super::schema::{schema, upstream_name};
use super::shape::Shape;
use crate::change::{Collation, Column, Schema};
use crate::source::TableSpec;

/// What a person can do about a table that no longer fits.
const ADVICE: &str =
    "put it back as it was, or make the view files fit it and restart (or send SIGHUP) to take it as it is now";

/// Why rows of a table of `shape` cannot be given the schema they are promised in; else the columns that were added
/// since and are not followed.
pub(super) fn misfit(spec: &TableSpec, shape: &Shape) -> Result<Vec<String>, String> {
    let told = &spec.schema;
    // Missing columns are looked for first: that is what a person would call the fault.
    for index in 0..told.columns.len() {
        if let Some(name) = upstream_name(told, index).filter(|it| shape.column(it).is_none()) {
            return Err(format!("it no longer has the column {name:?}; {ADVICE}"));
        }
    }
    let now = schema(shape, &spec.declaration.declared).map_err(|error| format!("{error}; {ADVICE}"))?;
    let same = |a: &Column, b: &Column| a.name.eq_ignore_ascii_case(&b.name);
    for column in told.visible_columns() {
        let Some(found) = now.visible_columns().iter().find(|it| same(it, column)) else {
            return Err(format!("it no longer has the column {:?}; {ADVICE}", column.name));
        };
        if found.data_type != column.data_type {
            let (before, after) = (column.data_type, found.data_type);
            return Err(format!("its column {:?} changed its type from {before} to {after}; {ADVICE}", column.name));
        }
        if found.nullable && !column.nullable {
            return Err(format!("its column {:?} may be NULL now; {ADVICE}", column.name));
        }
    }
    if !key(told).eq(key(&now)) {
        return Err(format!("its key is another one now: {}; {ADVICE}", shape.key_words()));
    }
    let added = now.visible_columns().iter().filter(|it| !told.visible_columns().iter().any(|told| same(told, it)));
    Ok(if spec.declaration.declared.is_empty() { added.map(|it| it.name.clone()).collect() } else { Vec::new() })
}

/// The key by what it is at the source: name, whether it is followed under its stored text, collation.
fn key(schema: &Schema) -> impl Iterator<Item = (Option<String>, bool, Collation)> {
    schema.key.iter().map(|part| {
        let name = upstream_name(schema, part.column).map(str::to_ascii_lowercase);
        (name, part.column < schema.visible, schema.columns[part.column].collation)
    })
}
