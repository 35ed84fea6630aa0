//! Upsert: where events, which say only what is, become deltas against the rows that were.

use crate::change::{Delta, Row, Schema};

use super::arrangement::{Hashed, PROBES};
use super::order::sort_by_key;

/// Appends the deltas that `rows` (rows, partial rows or tombstones, the last one of a key wins) make of `base`; empties
/// `rows`.
pub(crate) fn upsert(rows: &mut Vec<Row>, base: &Hashed, schema: &Schema, out: &mut Vec<Delta>) {
    // The events of one key stay in their order: the last one wins, and a partial one is laid over those before it.
    sort_by_key(rows, Row::key);
    rows.dedup_by(|later, kept| {
        let same = later.key() == kept.key();
        if same && later.is_partial() {
            *kept = later.over(Some(kept), schema);
        } else if same {
            std::mem::swap(later, kept);
        }
        same
    });
    let mut slots = Vec::with_capacity(rows.len());
    for rows in rows.chunks(PROBES) {
        base.find_all(rows.iter().map(Row::key), &mut slots);
    }
    for (row, slot) in rows.drain(..).zip(slots) {
        let old = base.row(slot);
        let row = if row.is_partial() { row.over(old, schema) } else { row };
        let new = (!row.is_tombstone()).then_some(row);
        if old != new.as_ref() {
            out.push(Delta { old: old.cloned(), new });
        }
    }
}
