//! Reading a view from inside the process: a keyed read is a function call.

use std::sync::Arc;

use crate::catalog::Relation;
use crate::change::{Collation, Datum, Row, encode_datum};
use crate::store::{Board, Epoch, StoreError};

use super::listing::Listing;

/// A table or view to read rows of by key, always from the newest epoch.
#[derive(Debug, Clone)]
pub struct View {
    board: Arc<Board>,
    relation: Relation,
}

impl View {
    pub(super) fn new(board: Arc<Board>, relation: Relation) -> View {
        View { board, relation }
    }

    /// Name, schema and indexes.
    pub fn relation(&self) -> &Relation {
        &self.relation
    }

    /// The newest published epoch; hold it to read several rows, also of other views, as of one instant.
    pub fn epoch(&self) -> Arc<Epoch> {
        self.board.epoch()
    }

    /// The row with this key, one value per key column in key order.
    pub fn get(&self, key: &[Datum<'_>]) -> Result<Option<Row>, StoreError> {
        self.get_at(&self.board.epoch(), key)
    }

    /// The row with this key as of `epoch`.
    pub fn get_at(&self, epoch: &Epoch, key: &[Datum<'_>]) -> Result<Option<Row>, StoreError> {
        epoch.get(self.relation.id, &self.encode_key(key))
    }

    /// Reads through the index called `index`; `columns` are those that will be read. `None` when there is no such index
    /// or column.
    pub fn listing(&self, index: &str, columns: &[&str]) -> Option<Listing> {
        Listing::new(self, index, columns)
    }

    /// The encoded form of a key.
    pub fn encode_key(&self, key: &[Datum<'_>]) -> Vec<u8> {
        let schema = &self.relation.schema;
        let mut encoded = Vec::with_capacity(16 * key.len());
        for (part, datum) in schema.key.iter().zip(key) {
            let collation: Collation = schema.columns[part.column].collation;
            encode_datum(*datum, *part, collation, &mut encoded);
        }
        encoded
    }

    /// The cell of `row` in the column called `name`; `None` when there is no such column.
    pub fn cell<'r>(&self, row: &'r Row, name: &str) -> Option<Datum<'r>> {
        let index = self.relation.schema.index_of(name)?;
        Some(row.get(index, self.relation.schema.data_type(index)))
    }
}
