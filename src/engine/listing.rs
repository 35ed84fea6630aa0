//! Reading a view through one of its indexes from inside the process: the first rows of an order.
//!
//! Columns are resolved once, when the listing is made, so that reading a row looks nothing up by name.

use std::sync::Arc;

use crate::catalog::ServedIndex;
use crate::change::{DataType, Datum, Row, encode_datum};
use crate::store::{Epoch, KeyRange, StoreError};

use super::options::EngineError;
use super::view::View;

/// An index of a view and the columns that are read through it, in the order they were asked for.
#[derive(Debug, Clone)]
pub struct Listing {
    view: View,
    index: ServedIndex,
    /// Where each column lies: in the index entries if these hold all of them, else in the view's rows.
    cells: Vec<(usize, DataType)>,
    covering: bool,
}

impl Listing {
    /// `None` when there is no such index or column.
    pub(super) fn new(view: &View, index: &str, columns: &[&str]) -> Option<Listing> {
        let relation = view.relation();
        let index = relation.indexes.iter().find(|it| it.name == index)?.clone();
        let columns = columns.iter().map(|name| relation.schema.index_of(name)).collect::<Option<Vec<_>>>()?;
        let of_type = |place: usize, column: usize| (place, relation.schema.data_type(column));
        // Column 0 of an entry is the key of the row it stands for.
        let included =
            |column: &usize| index.include.iter().position(|it| it == column).map(|at| of_type(at + 1, *column));
        let covered: Option<Vec<_>> = columns.iter().map(included).collect();
        let covering = covered.is_some();
        let cells = covered.unwrap_or_else(|| columns.iter().map(|column| of_type(*column, *column)).collect());
        Some(Listing { view: view.clone(), index, cells, covering })
    }

    /// The newest published epoch.
    pub fn epoch(&self) -> Arc<Epoch> {
        self.view.epoch()
    }

    /// At most `limit` rows as of `epoch`, in the index's order, of those whose first index columns are `leading`.
    /// What they hold is read with [`Listing::cell`].
    ///
    /// # Errors
    /// [`EngineError::Incomplete`] while the view or the index is being built.
    pub fn first(&self, epoch: &Epoch, leading: &[Datum<'_>], limit: usize) -> Result<Vec<Row>, EngineError> {
        self.view.check_readable()?;
        let schema = &self.view.relation().schema;
        let mut prefix = Vec::with_capacity(16 * leading.len());
        for (part, datum) in self.index.key.iter().zip(leading) {
            encode_datum(*datum, *part, schema.columns[part.column].collation, &mut prefix);
        }
        let entries = epoch.scan(self.index.id, &KeyRange::prefix(&prefix), false, limit)?;
        if self.covering {
            return Ok(entries);
        }
        let key = |entry: &Row| match entry.get(0, DataType::Bytes) {
            Datum::Bytes(key) => key.to_vec(),
            _ => Vec::new(),
        };
        let keys: Vec<Vec<u8>> = entries.iter().map(key).collect();
        let rows = epoch.get_many(self.view.relation().id, &keys)?;
        let dangling =
            || StoreError::Corrupt(format!("index \"{}\" leads to a row that does not exist", self.index.name));
        rows.into_iter().map(|row| Ok(row.ok_or_else(dangling)?)).collect()
    }

    /// The cell of column `at`, counted as the columns were asked for, in a row of this listing.
    #[inline]
    pub fn cell<'r>(&self, row: &'r Row, at: usize) -> Datum<'r> {
        let (place, data_type) = self.cells[at];
        row.get(place, data_type)
    }
}
