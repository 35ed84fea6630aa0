//! Reading a view from inside the process: a keyed read is a function call.

use std::sync::Arc;

use crate::catalog::Relation;
use crate::change::{Datum, Row};
use crate::store::{Board, Epoch, RelationState, SharedState};

use super::listing::Listing;
use super::options::EngineError;

/// A table or view to read rows of by key, always from the newest epoch.
#[derive(Debug, Clone)]
pub struct View {
    board: Arc<Board>,
    relation: Relation,
    state: SharedState,
}

impl View {
    /// The relation called `name`, if it is served.
    pub(super) fn find(board: &Arc<Board>, name: &str) -> Option<View> {
        let relations = board.relations();
        let (relation, state) = relations.iter().find(|(relation, _)| relation.name == name)?;
        let (board, relation, state) = (Arc::clone(board), relation.clone(), Arc::clone(state));
        Some(View { board, relation, state })
    }

    /// Refuses to read what is not complete: what is there would be taken for all there is. Asked before an epoch is taken,
    /// so that all rows are in it, and after it was read, so that they were not being replaced meanwhile.
    pub(super) fn check_readable(&self) -> Result<(), EngineError> {
        let state = self.state.read().unwrap_or_else(|it| it.into_inner());
        if state.is_readable() {
            return Ok(());
        }
        let complaint = state.complaint(&format!("\"{}\"", self.relation.name));
        Err(EngineError::Incomplete(complaint.expect("what cannot be read is not live")))
    }

    /// How it is doing: whether what is read is current, or how it was before something went wrong.
    pub fn state(&self) -> RelationState {
        self.state.read().unwrap_or_else(|it| it.into_inner()).clone()
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
    ///
    /// # Errors
    /// [`EngineError::Incomplete`] while the view is being built or cannot be.
    pub fn get(&self, key: &[Datum<'_>]) -> Result<Option<Row>, EngineError> {
        self.check_readable()?;
        let row = self.board.epoch().get(self.relation.id, &self.encode_key(key))?;
        self.check_readable()?;
        Ok(row)
    }

    /// The row with this key as of `epoch`, which must have been published when the view was complete already.
    ///
    /// # Errors
    /// [`EngineError::Incomplete`] while the view is being built or cannot be.
    pub fn get_at(&self, epoch: &Epoch, key: &[Datum<'_>]) -> Result<Option<Row>, EngineError> {
        self.check_readable()?;
        Ok(epoch.get(self.relation.id, &self.encode_key(key))?)
    }

    /// Reads through the index called `index`; `columns` are those that will be read. `None` when there is no such index
    /// or column.
    pub fn listing(&self, index: &str, columns: &[&str]) -> Option<Listing> {
        Listing::new(self, index, columns)
    }

    /// The encoded form of a key.
    pub fn encode_key(&self, key: &[Datum<'_>]) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(16 * key.len());
        self.relation.schema.encode_address(key.iter().copied(), &mut encoded);
        encoded
    }

    /// The cell of `row` in the column called `name`; `None` when there is no such column.
    pub fn cell<'r>(&self, row: &'r Row, name: &str) -> Option<Datum<'r>> {
        let index = self.relation.schema.index_of(name)?;
        Some(row.get(index, self.relation.schema.data_type(index)))
    }
}
