//! A snapshot of tables that are already served, applied as a difference.
//!
//! While such a snapshot runs, its rows are only compared with what we hold; what differs is kept aside, and all of it
//! becomes one epoch together with the batch that completes the snapshot. Readers never see a half-made copy.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::change::{Event, Row, Schema, TableId};

/// The tables of one source that are being copied; their copies end together.
#[derive(Debug, Default)]
pub(super) struct Resnapshot {
    /// Those that are served already.
    tables: BTreeMap<TableId, Comparison>,
    /// All of them.
    begun: BTreeSet<TableId>,
}

/// One table and what its copy has said so far.
#[derive(Debug)]
struct Comparison {
    /// The keys we hold that the copy has not named yet.
    unseen: HashSet<Vec<u8>>,
    differences: HashMap<Vec<u8>, Row>,
}

impl Comparison {
    fn said<'r>(&'r self, key: &[u8], current: Option<&'r Row>) -> Option<&'r Row> {
        self.differences.get(key).or(current.filter(|_| !self.unseen.contains(key)))
    }
}

impl Resnapshot {
    /// Begins a copy of `table`, which holds `keys`; an earlier copy of it that has not ended is forgotten.
    pub(super) fn begin(&mut self, table: TableId, keys: HashSet<Vec<u8>>) {
        self.tables.insert(table, Comparison { unseen: keys, differences: HashMap::new() });
        self.begun.insert(table);
    }

    /// Begins a copy of `table`, of which nothing is served, so that its rows need not wait.
    pub(super) fn begin_first(&mut self, table: TableId) {
        self.begun.insert(table);
    }

    /// The tables that are compared.
    pub(super) fn into_compared(self) -> impl Iterator<Item = TableId> {
        self.tables.into_keys()
    }

    /// Whether `table` is being copied.
    pub(super) fn has_begun(&self, table: TableId) -> bool {
        self.begun.contains(&table)
    }

    /// Whether events of `table` have to wait for the end of its copy.
    pub(super) fn holds(&self, table: TableId) -> bool {
        self.tables.contains_key(&table)
    }

    /// What the copy of a held table has said last of `key`, under which we hold `current`.
    pub(super) fn said<'r>(&'r self, table: TableId, key: &[u8], current: Option<&'r Row>) -> Option<&'r Row> {
        self.tables.get(&table)?.said(key, current)
    }

    /// Takes a row, partial row or tombstone of a held table; `current` is the row we hold under its key.
    pub(super) fn take(&mut self, table: TableId, row: Row, current: Option<&Row>, schema: &Schema) {
        let Some(comparison) = self.tables.get_mut(&table) else { return };
        let row = if row.is_partial() { row.over(comparison.said(row.key(), current), schema) } else { row };
        comparison.unseen.remove(row.key());
        let same = if row.is_tombstone() { current.is_none() } else { current == Some(&row) };
        if same {
            comparison.differences.remove(row.key());
        } else {
            comparison.differences.insert(row.key().to_vec(), row);
        }
    }

    /// Everything that has to change: the differences, and a deletion for every key that was never named. The copy of a
    /// table that `covers` does not name was given up, and says nothing.
    pub(super) fn finish(self, covers: &[TableId]) -> Vec<Event> {
        let whole = self.tables.into_iter().filter(|it| covers.contains(&it.0));
        let changes = whole.flat_map(|(table, comparison)| {
            let gone = comparison.unseen.into_iter().map(|key| Row::tombstone(&key));
            comparison.differences.into_values().chain(gone).map(move |row| Event::row(table, row))
        });
        changes.collect()
    }
}
