//! A published epoch: an immutable sight of all relations.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::change::{Position, RelationId, Row};

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// RocksDB or the file system failed.
    #[error("the store failed: {0}")]
    Storage(String),
    /// Stored bytes are not what was written.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
}

/// A range of encoded keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// Where it begins.
    pub start: Bound<Vec<u8>>,
    /// Where it ends.
    pub end: Bound<Vec<u8>>,
}

impl KeyRange {
    /// All keys.
    pub fn all() -> KeyRange {
        KeyRange { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// All keys that start with `prefix`.
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        let end = crate::change::prefix_end(prefix).map_or(Bound::Unbounded, Bound::Excluded);
        KeyRange { start: Bound::Included(prefix.to_vec()), end }
    }
}

/// One epoch as readers see it. Cheap to hold; holding it keeps its rows alive.
#[derive(Debug, Default)]
pub struct Epoch {
    number: u64,
    incarnation: u64,
    positions: BTreeMap<String, Position>,
    rows: BTreeMap<(RelationId, Vec<u8>), Row>,
}

impl Epoch {
    /// The epoch's number; it grows by one with each commit.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Grows when epochs may have been lost (power loss), so that no token or ETag of a lost epoch is honoured.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// By source name, how far it is included.
    pub fn positions(&self) -> &BTreeMap<String, Position> {
        &self.positions
    }

    /// The row of `relation` with this encoded key.
    pub fn get(&self, relation: RelationId, key: &[u8]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows.get(&(relation, key.to_vec())).cloned())
    }

    /// The rows of many keys, in the order of the keys.
    pub fn get_many(&self, relation: RelationId, keys: &[Vec<u8>]) -> Result<Vec<Option<Row>>, StoreError> {
        keys.iter().map(|key| self.get(relation, key)).collect()
    }

    /// At most `limit` rows of `range` in key order, or in reverse key order. To go on, ask again with the range
    /// beginning (reverse: ending) behind the last row's key.
    pub fn scan(
        &self,
        relation: RelationId,
        range: &KeyRange,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let inside = |key: &[u8]| {
            std::ops::RangeBounds::contains(&(range.start.clone(), range.end.clone()), &key.to_vec())
        };
        let rows = self.rows.iter().filter(|((id, key), _)| *id == relation && inside(key)).map(|(_, row)| row.clone());
        Ok(if reverse { rows.rev().take(limit).collect() } else { rows.take(limit).collect() })
    }

    /// An epoch made of these rows, for tests of readers.
    pub fn for_tests(number: u64, positions: BTreeMap<String, Position>, rows: Vec<(RelationId, Row)>) -> Epoch {
        let rows = rows.into_iter().map(|(relation, row)| ((relation, row.key().to_vec()), row)).collect();
        Epoch { number, incarnation: 1, positions, rows }
    }
}
