//! Keyed reads of one view in this process: straight from the published epoch, no request, no plan.

use std::sync::Arc;

use crate::catalog::Relation;
use crate::change::{Datum, Row};
use crate::store::{Board, Epoch, KeyRange, StoreError};

/// One served relation, ready to be read by key.
#[derive(Debug, Clone)]
pub struct Lookup {
    board: Arc<Board>,
    relation: Relation,
}

impl Lookup {
    /// The relation called `name`, if it is served.
    pub fn new(board: &Arc<Board>, name: &str) -> Option<Lookup> {
        let relations = board.relations();
        let (relation, _) = relations.iter().find(|(relation, _)| relation.name == name)?;
        Some(Lookup { board: Arc::clone(board), relation: relation.clone() })
    }

    /// The relation.
    pub fn relation(&self) -> &Relation {
        &self.relation
    }

    /// The row whose key columns have these values, in the newest epoch.
    pub fn get(&self, key: &[Datum<'_>]) -> Result<Option<Row>, StoreError> {
        self.board.epoch().get(self.relation.id, &self.encode(key))
    }

    /// One cell of the row whose key columns have these values.
    pub fn get_int(&self, key: &[Datum<'_>], column: usize) -> Result<Option<i64>, StoreError> {
        let row = self.get(key)?;
        Ok(row.and_then(|row| match row.get(column, self.relation.schema.data_type(column)) {
            Datum::Int(value) => Some(value),
            _ => None,
        }))
    }

    fn encode(&self, key: &[Datum<'_>]) -> Vec<u8> {
        let schema = &self.relation.schema;
        let mut encoded = Vec::with_capacity(9 * key.len());
        let cell = |column| {
            let part = schema.key.iter().position(|part| part.column == column);
            part.and_then(|part| key.get(part)).copied().unwrap_or(Datum::Null)
        };
        schema.encode_key(cell, &mut encoded);
        encoded
    }
}

/// Calls `visit` with every row of `relation` in `epoch`.
pub(super) fn for_each_row(
    epoch: &Epoch,
    relation: &Relation,
    mut visit: impl FnMut(&Row),
) -> Result<(), StoreError> {
    const PAGE: usize = 4096;
    let mut range = KeyRange::all();
    loop {
        let rows = epoch.scan(relation.id, &range, false, PAGE)?;
        rows.iter().for_each(&mut visit);
        let Some(last) = rows.last().filter(|_| rows.len() == PAGE) else { return Ok(()) };
        range.start = std::ops::Bound::Excluded(last.key().to_vec());
    }
}
