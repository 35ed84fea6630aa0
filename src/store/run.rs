//! A run: the changed rows of one or several epochs, sorted by relation and key, immutable.
//!
//! An entry holds the relation and the first 12 bytes of the key beside the row, so that a binary search reads one
//! array and follows a pointer only where those bytes are equal. Runs are shared by all epochs that contain them.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::change::{RelationId, Row};

use super::range::KeyRange;
use std::ops::Bound;

/// A run grows by merging up to this many rows, or eight times the commit's own; then it is left alone until a
/// checkpoint takes it. It bounds the pause a merge can cause in front of a commit to a few milliseconds.
const MERGED_ROWS_MAX: usize = 64 * 1024;

/// One row or tombstone in a run.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    head: u128,
    row: Row,
}

impl Entry {
    pub(super) fn new(relation: RelationId, row: Row) -> Entry {
        Entry { head: head_of(relation, row.key()), row }
    }

    pub(super) fn relation(&self) -> RelationId {
        RelationId((self.head >> 96) as u32)
    }

    pub(super) fn row(&self) -> &Row {
        &self.row
    }

    /// The order of entries: by relation, then by key.
    pub(super) fn order(&self, other: &Entry) -> Ordering {
        self.order_to(other.head, other.row.key())
    }

    /// Whether both are about the same row.
    pub(super) fn same_key(&self, other: &Entry) -> bool {
        self.head == other.head && self.row.key() == other.row.key()
    }

    fn order_to(&self, head: u128, key: &[u8]) -> Ordering {
        self.head.cmp(&head).then_with(|| self.row.key().cmp(key))
    }
}

/// Sorted entries, at most one for each relation and key.
#[derive(Debug, Default)]
pub(super) struct Run {
    entries: Vec<Entry>,
}

impl Run {
    /// A run of these entries, newest first where two have the same key: the first one counts.
    pub(super) fn new(mut entries: Vec<Entry>) -> Run {
        // The stable sort keeps the newest in front, and is fast where the input consists of sorted pieces.
        entries.sort_by(Entry::order);
        entries.dedup_by(|later, kept| later.same_key(kept));
        Run { entries }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The row or tombstone of the key whose head is `head`.
    pub(super) fn get(&self, head: u128, key: &[u8]) -> Option<&Row> {
        let (first, last) = (self.entries.first()?, self.entries.last()?);
        if head < first.head || head > last.head {
            return None;
        }
        let found = self.entries.binary_search_by(|entry| entry.order_to(head, key)).ok()?;
        Some(&self.entries[found].row)
    }

    /// The entries of `relation` inside `range`.
    pub(super) fn slice(&self, relation: RelationId, range: &KeyRange) -> &[Entry] {
        let before = |key: &[u8], or_equal: bool| {
            let head = head_of(relation, key);
            self.entries.partition_point(|entry| match entry.order_to(head, key) {
                Ordering::Less => true,
                Ordering::Equal => or_equal,
                Ordering::Greater => false,
            })
        };
        let start = match &range.start {
            Bound::Unbounded => before(&[], false),
            Bound::Included(key) => before(key, false),
            Bound::Excluded(key) => before(key, true),
        };
        let end = match &range.end {
            Bound::Unbounded => self.entries.partition_point(|entry| entry.relation() <= relation),
            Bound::Included(key) => before(key, true),
            Bound::Excluded(key) => before(key, false),
        };
        self.entries.get(start..end).unwrap_or(&[])
    }
}

/// What entries are searched by: the relation and the first 12 bytes of the key, in their order.
pub(super) fn head_of(relation: RelationId, key: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&relation.0.to_be_bytes());
    let length = key.len().min(12);
    bytes[4..4 + length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(bytes)
}

/// Appends the newest run and merges it with its older neighbours (never with the first `frozen` runs) while they
/// are less than twice as long, so that a reader finds few runs and a row is copied a logarithmic number of times.
pub(super) fn push_run(runs: &mut Vec<Arc<Run>>, frozen: usize, newest: Run) {
    if newest.entries.is_empty() {
        return;
    }
    let mut total = newest.len();
    let total_max = MERGED_ROWS_MAX.max(8 * total);
    let mut from = runs.len();
    while from > frozen && runs[from - 1].len() < 2 * total && runs[from - 1].len() + total <= total_max {
        from -= 1;
        total += runs[from].len();
    }
    if from == runs.len() {
        runs.push(Arc::new(newest));
        return;
    }
    let mut entries = newest.entries;
    entries.reserve_exact(total - entries.len());
    for run in runs.drain(from..).rev() {
        match Arc::try_unwrap(run) {
            Ok(own) => entries.extend(own.entries),
            Err(shared) => entries.extend_from_slice(&shared.entries),
        }
    }
    runs.push(Arc::new(Run::new(entries)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_finds_few_runs_and_the_newest_rows() {
        let mut runs = Vec::new();
        for number in 0..5_000u32 {
            let key = (number % 1_000).to_be_bytes();
            push_run(&mut runs, 0, Run::new(vec![Entry::new(RelationId(1 + number / 2_500), Row::tombstone(&key))]));
            assert!(runs.len() <= 14, "{} runs", runs.len());
        }
        let rows: usize = runs.iter().map(|run| run.len()).sum();
        assert!((2_000..4_000).contains(&rows), "{rows} rows");
    }

    #[test]
    fn frozen_runs_are_left_alone() {
        let one = |key: u8| Run::new(vec![Entry::new(RelationId(1), Row::tombstone(&[key]))]);
        let mut runs = Vec::new();
        push_run(&mut runs, 0, one(1));
        push_run(&mut runs, 1, one(2));
        assert_eq!(runs.len(), 2);
        push_run(&mut runs, 1, one(3));
        assert_eq!(runs.iter().map(|run| run.len()).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn keys_that_share_a_head_stay_apart() {
        let keys: [&[u8]; 5] = [b"", b"\0", b"0123456789ab", b"0123456789ab\0", b"0123456789abc"];
        let run = Run::new(keys.iter().rev().map(|key| Entry::new(RelationId(7), Row::tombstone(key))).collect());
        assert_eq!(run.len(), keys.len());
        for key in keys {
            assert_eq!(run.get(head_of(RelationId(7), key), key).map(Row::key), Some(key));
        }
        assert!(run.get(head_of(RelationId(8), b""), b"").is_none());
        assert_eq!(run.slice(RelationId(7), &KeyRange::prefix(b"0123456789ab")).len(), 3);
    }
}
