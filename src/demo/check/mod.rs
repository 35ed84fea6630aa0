//! The check: every view equals its query on the owners' data.
//!
//! One SQLite connection attaches all services' files and runs each view's own text; views on views read the results
//! before them. The rows are compared as multisets with those of one published epoch. The services must be quiet and
//! the epoch up to date (see `settle`).

mod cell;
mod oracle;

#[cfg(test)]
mod tests;

use std::ops::Bound;
use std::path::Path;

use crate::catalog::{Catalog, Relation};
use crate::change::Row;
use crate::store::{Board, Epoch, KeyRange, RelationState, StoreError};
use cell::{Cell, compare_rows, equal_rows, readable};
use oracle::Oracle;

/// The file with a copy of what is kept in servers.
pub(super) const COPY: &str = "copy.db";

/// Why the check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// SQLite could not run a view's query.
    #[error("SQLite could not compute {view}: {error}")]
    Sqlite {
        /// The view, or the source it was attached for.
        view: String,
        /// Why.
        error: rusqlite::Error,
    },
    /// The view could not be read.
    #[error("{view} could not be read: {error}")]
    Store {
        /// The view.
        view: String,
        /// Why.
        error: StoreError,
    },
}

/// The check of one view.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ViewCheck {
    /// The view.
    pub view: String,
    /// Rows it serves.
    pub rows: usize,
    /// Rows its query has on the owners' data.
    pub expected: usize,
    /// What differs first; `None` when nothing does.
    pub difference: Option<String>,
}

/// Compares every materialized view with its query on the owners' data.
pub fn check_views(catalog: &Catalog, base: &Path, board: &Board) -> Result<Vec<ViewCheck>, CheckError> {
    let oracle = Oracle::attach(catalog, base)?;
    let (epoch, relations) = (board.epoch(), board.relations());
    let mut checks = Vec::new();
    for view in &catalog.views {
        oracle.define(view)?;
        if !view.materialized {
            continue;
        }
        let served = relations.iter().find(|(relation, _)| relation.name == view.name);
        let Some((relation, state)) = served else {
            let expected = oracle.count(&view.name)?;
            let difference = Some("the view is not served".to_owned());
            checks.push(ViewCheck { view: view.name.clone(), rows: 0, expected, difference });
            continue;
        };
        let state = state.read().unwrap_or_else(|it| it.into_inner()).clone();
        checks.push(check_view(&oracle, &epoch, relation, &state)?);
    }
    Ok(checks)
}

fn check_view(
    oracle: &Oracle,
    epoch: &Epoch,
    relation: &Relation,
    state: &RelationState,
) -> Result<ViewCheck, CheckError> {
    let store_error = |error| CheckError::Store { view: relation.name.clone(), error };
    let mut served = Vec::new();
    for_each_row(epoch, relation, |row| served.push(cells(relation, row))).map_err(store_error)?;
    let (names, mut expected) = oracle.rows(relation)?;
    served.sort_unstable_by(|a, b| compare_rows(a, b));
    expected.sort_unstable_by(|a, b| compare_rows(a, b));
    let columns: Vec<&str> = relation.schema.visible_columns().iter().map(|it| it.name.as_str()).collect();
    let difference = if *state != RelationState::Live {
        Some(format!("the view is not live: {state:?}"))
    } else if columns != names {
        Some(format!("its columns are {columns:?}, the query's {names:?}"))
    } else {
        first_difference(&columns, &served, &expected)
    };
    Ok(ViewCheck { view: relation.name.clone(), rows: served.len(), expected: expected.len(), difference })
}

fn cells(relation: &Relation, row: &Row) -> Vec<Cell> {
    let columns = relation.schema.visible_columns().iter().enumerate();
    columns.map(|(index, column)| Cell::served(row.get(index, column.data_type), column.data_type)).collect()
}

/// Both sides are sorted: the first place where they part names a row that only one side has.
fn first_difference(columns: &[&str], served: &[Vec<Cell>], expected: &[Vec<Cell>]) -> Option<String> {
    let at = served.iter().zip(expected).position(|(a, b)| !equal_rows(a, b));
    let at = at.or_else(|| (served.len() != expected.len()).then(|| served.len().min(expected.len())))?;
    let side = |rows: &[Vec<Cell>]| rows.get(at).map_or("no further row".to_owned(), |row| readable(columns, row));
    Some(format!("served: {}; its query: {}", side(served), side(expected)))
}

/// Calls `visit` with every row of `relation` in `epoch`.
fn for_each_row(epoch: &Epoch, relation: &Relation, mut visit: impl FnMut(&Row)) -> Result<(), StoreError> {
    const PAGE: usize = 4096;
    let mut range = KeyRange::all();
    loop {
        let rows = epoch.scan(relation.id, &range, false, PAGE)?;
        rows.iter().for_each(&mut visit);
        let Some(last) = rows.last().filter(|_| rows.len() == PAGE) else { return Ok(()) };
        range.start = Bound::Excluded(last.key().to_vec());
    }
}
