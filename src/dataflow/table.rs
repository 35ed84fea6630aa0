//! Upsert: where events, which say only what is, become deltas against the rows that were.

use crate::change::{Delta, Row};

use super::arrangement::Hashed;

/// Appends the deltas that `rows` (rows or tombstones, the last one of a key wins) make of `base`; empties `rows`.
pub(crate) fn upsert(rows: &mut Vec<Row>, base: &Hashed, out: &mut Vec<Delta>) {
    if rows.len() > 1 {
        // Stable, so that the events of one key stay in their order.
        rows.sort_by(|a, b| a.key().cmp(b.key()));
    }
    let mut rows = rows.drain(..).peekable();
    while let Some(row) = rows.next() {
        if rows.peek().is_some_and(|it| it.key() == row.key()) {
            continue;
        }
        let old = base.get(row.key());
        let new = (!row.is_tombstone()).then_some(row);
        if old != new.as_ref() {
            out.push(Delta { old: old.cloned(), new });
        }
    }
}
