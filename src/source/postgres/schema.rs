//! From a table's shape to the schema its rows are given here, and whether it still is the one views were planned with.
//!
//! Key columns that a declaration leaves out stand in hidden columns: what is replicated of a deleted row is its key.

use std::sync::Arc;

use super::shape::{Shape, ShapeColumn};
use super::sql::list;
use crate::catalog::DeclaredColumn;
use crate::change::{Column, DataType, KeyColumn, Schema};

/// What the name of a hidden key column begins with.
const KEY_PREFIX: &str = "_key_";
/// What a person can do about a table that no longer fits.
const ADVICE: &str =
    "put it back as it was, or make the view files fit it and restart (or send SIGHUP) to take it as it is now";

/// The name at the source of column `index`.
pub(super) fn upstream_name(schema: &Schema, index: usize) -> &str {
    let name = schema.columns[index].name.as_str();
    if index < schema.visible { name } else { name.strip_prefix(KEY_PREFIX).unwrap_or(name) }
}

/// The schema of a table of this shape: of the `declared` columns, or of all there are when none is declared. The error
/// says what does not fit.
pub(super) fn schema(shape: &Shape, declared: &[DeclaredColumn]) -> Result<Schema, String> {
    let key = shape.key.as_ref().map_err(String::clone)?;
    let chosen: Vec<(usize, Column)> = if declared.is_empty() {
        shape.columns.iter().map(natural_column).enumerate().collect()
    } else {
        declared.iter().map(|it| declared_column(shape, it)).collect::<Result<_, _>>()?
    };
    refuse_generated(shape, chosen.iter().map(|it| it.0))?;
    check_declared_key(shape, declared, key)?;
    let mut columns: Vec<Column> = chosen.iter().map(|it| it.1.clone()).collect();
    let visible = columns.len();
    let mut parts = Vec::new();
    for at in key {
        let place = chosen.iter().position(|it| it.0 == *at).unwrap_or_else(|| {
            let hidden = natural_column(&shape.columns[*at]);
            columns.push(Column { name: format!("{KEY_PREFIX}{}", hidden.name), ..hidden });
            columns.len() - 1
        });
        columns[place].nullable = false;
        parts.push(KeyColumn::ascending(place));
    }
    Ok(Schema { columns: columns.into(), visible, key: Arc::from(parts) })
}

fn natural_column(column: &ShapeColumn) -> Column {
    Column { nullable: !column.not_null, ..Column::new(column.name.clone(), column.base.natural()) }
}

fn declared_column(shape: &Shape, declared: &DeclaredColumn) -> Result<(usize, Column), String> {
    let name = &declared.name;
    let index = shape.column(name).ok_or_else(|| {
        format!("{} has no column {name:?}; it has {}", shape.name.shown(), list(&shape.columns, |it| it.name.clone()))
    })?;
    let (column, wanted) = (&shape.columns[index], declared.data_type);
    if !column.base.is_readable_as(wanted) {
        let natural = column.base.natural();
        let other = if natural == DataType::Text { String::new() } else { " or text".into() };
        return Err(format!(
            "column {name:?} of {} is of type {}, which is not read as {wanted}; declare it as {natural}{other}",
            shape.name.shown(),
            column.shown
        ));
    }
    let nullable = !declared.not_null && !declared.primary_key;
    Ok((index, Column { nullable, ..Column::new(name.clone(), wanted) }))
}

/// Refuses a column that is computed from others, with what to write instead.
fn refuse_generated(shape: &Shape, mut chosen: impl Iterator<Item = usize>) -> Result<(), String> {
    let Some(at) = chosen.find(|it| shape.columns[*it].is_generated) else { return Ok(()) };
    let others = shape.columns.iter().filter(|it| !it.is_generated);
    Err(format!(
        "column {:?} of {} is generated, and PostgreSQL does not replicate it; declare the columns without it: of {}",
        shape.columns[at].name,
        shape.name.shown(),
        list(others, |it| it.name.clone())
    ))
}

fn check_declared_key(shape: &Shape, declared: &[DeclaredColumn], key: &[usize]) -> Result<(), String> {
    let names: Vec<&str> = declared.iter().filter(|it| it.primary_key).map(|it| it.name.as_str()).collect();
    let mut wanted: Vec<usize> = names.iter().filter_map(|it| shape.column(it)).collect();
    let mut actual = key.to_vec();
    wanted.sort_unstable();
    actual.sort_unstable();
    if names.is_empty() || wanted == actual {
        return Ok(());
    }
    Err(format!(
        "{} is declared with the primary key ({}), but what is replicated tells its rows apart by {}",
        shape.name.shown(),
        names.join(", "),
        shape.words(key)
    ))
}

/// Why rows of a table of `shape` cannot be given the schema `told` that they are promised in; else the columns that were
/// added since and are not followed.
pub(super) fn misfit(told: &Schema, declared: &[DeclaredColumn], shape: &Shape) -> Result<Vec<String>, String> {
    // Missing columns are looked for first: that is what a person would call the fault.
    for index in 0..told.columns.len() {
        let name = upstream_name(told, index);
        if shape.column(name).is_none() {
            return Err(format!("it no longer has the column {name:?}; {ADVICE}"));
        }
    }
    let found = |index: usize| &shape.columns[shape.column(upstream_name(told, index)).expect("looked for above")];
    for (index, column) in told.columns.iter().enumerate() {
        let (now, name) = (found(index), upstream_name(told, index));
        let same = if declared.is_empty() || index >= told.visible {
            now.base.natural() == column.data_type
        } else {
            now.base.is_readable_as(column.data_type)
        };
        if !same {
            let before = column.data_type;
            return Err(format!("its column {name:?} was {before} and is of type {} now; {ADVICE}", now.shown));
        }
        if now.is_generated {
            return Err(format!("its column {name:?} is generated now, and such are not replicated; {ADVICE}"));
        }
        if declared.is_empty() && !column.nullable && !now.not_null {
            return Err(format!("its column {name:?} may be NULL now; {ADVICE}"));
        }
    }
    let key = shape.key.as_ref().map_err(|reason| format!("{reason}; {ADVICE}"))?;
    let told_key = told.key.iter().map(|it| shape.column(upstream_name(told, it.column)));
    if !told_key.eq(key.iter().map(|it| Some(*it))) {
        return Err(format!("its key is another one now: {}; {ADVICE}", shape.words(key)));
    }
    let is_told = |it: &&ShapeColumn| told.visible_columns().iter().any(|told| told.name == it.name);
    let added = shape.columns.iter().filter(|it| !is_told(it)).map(|it| it.name.clone());
    Ok(if declared.is_empty() { added.collect() } else { Vec::new() })
}
