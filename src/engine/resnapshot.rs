//! A snapshot of tables that are already served, applied as a difference.
//!
//! While such a snapshot runs, its rows are only compared with what we hold; what differs is kept aside, and all of it
//! becomes one epoch together with the batch that completes the snapshot. Readers never see a half-made copy.

use std::collections::{HashMap, HashSet};

use crate::change::{Event, Row, TableId};

/// The differences found so far by the snapshot of one source.
#[derive(Debug, Default)]
pub(super) struct Resnapshot {
    /// Per table that is already served: its keys that the snapshot has not named yet.
    unseen: HashMap<TableId, HashSet<Vec<u8>>>,
    differences: HashMap<(TableId, Vec<u8>), Row>,
}

impl Resnapshot {
    /// Begins, for tables that are served, with the keys each of them holds.
    pub(super) fn begin(tables: impl Iterator<Item = (TableId, HashSet<Vec<u8>>)>) -> Resnapshot {
        Resnapshot { unseen: tables.collect(), differences: HashMap::new() }
    }

    /// Whether events of `table` have to wait for the end of the snapshot.
    pub(super) fn holds(&self, table: TableId) -> bool {
        self.unseen.contains_key(&table)
    }

    /// Takes an event of a held table; `current` is the row we hold under its key.
    pub(super) fn take(&mut self, event: Event, current: Option<&Row>) {
        let key = event.row.key().to_vec();
        if let Some(unseen) = self.unseen.get_mut(&event.table) {
            unseen.remove(&key);
        }
        let same = if event.row.is_tombstone() { current.is_none() } else { current == Some(&event.row) };
        if same {
            self.differences.remove(&(event.table, key));
        } else {
            self.differences.insert((event.table, key), event.row);
        }
    }

    /// Everything that has to change: the differences, and a deletion for every key that was never named.
    pub(super) fn finish(self) -> Vec<Event> {
        let gone = self
            .unseen
            .into_iter()
            .flat_map(|(table, keys)| keys.into_iter().map(move |key| Event { table, row: Row::tombstone(&key) }));
        let changed = self.differences.into_iter().map(|((table, _), row)| Event { table, row });
        changed.chain(gone).collect()
    }
}
