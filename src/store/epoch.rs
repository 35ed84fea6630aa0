//! A published epoch: an immutable sight of all relations.
//!
//! It is the rows of the last checkpoint and the runs of what changed since, newest last. A reader asks the newest
//! run first. Nothing in it ever changes, so readers need no locks, and it lives as long as somebody holds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::change::{Position, RelationId, Row};

use super::arena::Appender;
use super::base::Base;
use super::error::StoreError;
use super::range::KeyRange;
use super::run::{Run, head_of};
use super::scan::scan;

/// By source name, how far it is held. An epoch shares what did not move with the one before.
pub type Positions = BTreeMap<Arc<str>, Arc<Position>>;

/// One epoch as readers see it. Cheap to hold; holding it keeps its rows alive.
#[derive(Debug, Default)]
pub struct Epoch {
    number: u64,
    incarnation: u64,
    positions: Arc<Positions>,
    runs: Vec<Arc<Run>>,
    base: Option<Arc<Base>>,
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
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    /// The row of `relation` with this encoded key.
    pub fn get(&self, relation: RelationId, key: &[u8]) -> Result<Option<Row>, StoreError> {
        match (self.changed(relation, key), &self.base) {
            (Some(row), _) => Ok((!row.is_tombstone()).then(|| row.clone())),
            (None, Some(base)) => base.get(relation, key),
            (None, None) => Ok(None),
        }
    }

    /// The rows of many keys, in the order of the keys.
    pub fn get_many(&self, relation: RelationId, keys: &[Vec<u8>]) -> Result<Vec<Option<Row>>, StoreError> {
        let mut rows = Vec::with_capacity(keys.len());
        let mut missing = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            let changed = self.changed(relation, key);
            if changed.is_none() {
                missing.push(place);
            }
            rows.push(changed.filter(|row| !row.is_tombstone()).cloned());
        }
        if let (Some(base), false) = (&self.base, missing.is_empty()) {
            missing.sort_unstable_by(|a, b| keys[*a].cmp(&keys[*b]));
            let sorted: Vec<&[u8]> = missing.iter().map(|place| keys[*place].as_slice()).collect();
            for (place, row) in missing.into_iter().zip(base.get_sorted(relation, &sorted)?) {
                rows[place] = row;
            }
        }
        Ok(rows)
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
        scan(self, relation, range, reverse, limit)
    }

    /// An epoch made of these rows, for tests of readers.
    pub fn for_tests(number: u64, positions: BTreeMap<String, Position>, rows: Vec<(RelationId, Row)>) -> Epoch {
        let mut appender = Appender::new();
        rows.into_iter().for_each(|(relation, row)| appender.push(relation, row));
        let positions = positions.into_iter().map(|(name, it)| (name.into(), Arc::new(it))).collect();
        Epoch::new(number, 1, Arc::new(positions), vec![Arc::new(appender.run())], None)
    }

    pub(super) fn new(
        number: u64,
        incarnation: u64,
        positions: Arc<Positions>,
        runs: Vec<Arc<Run>>,
        base: Option<Arc<Base>>,
    ) -> Epoch {
        Epoch { number, incarnation, positions, runs, base }
    }

    pub(super) fn runs(&self) -> &[Arc<Run>] {
        &self.runs
    }

    pub(super) fn base(&self) -> Option<&Arc<Base>> {
        self.base.as_ref()
    }

    /// The row or tombstone the runs have for this key.
    fn changed(&self, relation: RelationId, key: &[u8]) -> Option<&Row> {
        let head = head_of(relation, key);
        self.runs.iter().rev().find_map(|run| run.get(head, key))
    }
}
