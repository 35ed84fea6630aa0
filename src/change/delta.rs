//! A delta: what one epoch did to one key.

use super::row::Row;

/// The row of one key before and after an epoch. At least one side is present, both have the same key, and they
/// differ: a batch of deltas holds at most one for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// The row before, if there was one.
    pub old: Option<Row>,
    /// The row after, if there is one.
    pub new: Option<Row>,
}

impl Delta {
    /// The delta from `old` to `new`, or `None` when nothing changed.
    pub fn between(old: Option<Row>, new: Option<Row>) -> Option<Delta> {
        (old != new).then_some(Delta { old, new })
    }

    /// A new row.
    pub fn insert(row: Row) -> Delta {
        Delta { old: None, new: Some(row) }
    }

    /// The key both sides share.
    pub fn key(&self) -> &[u8] {
        match (&self.new, &self.old) {
            (Some(row), _) | (None, Some(row)) => row.key(),
            (None, None) => &[],
        }
    }

    /// What a store must write: the new row, or the tombstone of the old one.
    pub fn outcome(&self) -> Row {
        match (&self.new, &self.old) {
            (Some(row), _) => row.clone(),
            (None, old) => Row::tombstone(old.as_ref().map_or(&[], |row| row.key())),
        }
    }
}
