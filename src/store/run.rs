//! A run: the changed rows of one or several epochs, sorted by relation and key, immutable.
//!
//! An entry holds the relation, the first 20 bytes of the key and the row's place in the arena, so that searching
//! and merging read one array and look at rows only where longer keys agree in those bytes: two numbers, or a number
//! and the beginning of a text, are told apart without. Runs are shared by all epochs that contain them.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::change::{RelationId, Row};

use super::arena::Arena;
use super::filter::Filter;
use super::range::KeyRange;
use std::ops::Bound;

/// A run grows by merging up to this many rows, or eight times the commit's own; then it is left alone until a
/// checkpoint takes it. It bounds the pause a merge can cause in front of a commit to a millisecond or two.
const MERGED_ROWS_MAX: usize = 64 * 1024;

/// How many bytes of a key are in its entry.
const HEAD_BYTES: usize = 20;

/// What entries are searched by: the relation and the first bytes of the key, in their order.
pub(super) type Head = [u64; 3];

/// Where the row or tombstone of one key is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    head: Head,
    /// The key's length, which decides between keys that are all head.
    length: u32,
    place: u32,
}

impl Entry {
    /// The entry of the row with `key` at `place`.
    pub(super) fn new(relation: RelationId, key: &[u8], place: u32) -> Entry {
        Entry { head: head_of(relation, key), length: key.len() as u32, place }
    }

    fn relation(&self) -> RelationId {
        RelationId((self.head[0] >> 32) as u32)
    }

    /// The order by relation and key, where `own` and `key` tell the rest of keys that are more than head.
    #[inline]
    fn order<'k>(
        &self,
        head: Head,
        length: usize,
        own: impl FnOnce() -> &'k [u8],
        key: impl FnOnce() -> &'k [u8],
    ) -> Ordering {
        self.head.cmp(&head).then_with(|| {
            // Heads are filled up with zeros: of two that agree the key that ends first comes first.
            match (self.length as usize).min(length) > HEAD_BYTES {
                true => own()[HEAD_BYTES..].cmp(&key()[HEAD_BYTES..]),
                false => (self.length as usize).cmp(&length),
            }
        })
    }
}

/// An entry with the arena its row is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    arena: &'a Arena,
    entry: Entry,
}

impl<'a> Change<'a> {
    pub(super) fn relation(&self) -> RelationId {
        self.entry.relation()
    }

    /// The row or tombstone.
    pub(super) fn row(&self) -> &'a Row {
        self.arena.row(self.entry.place)
    }

    /// The order of changes: by relation, then by key.
    pub(super) fn order(&self, other: &Change<'_>) -> Ordering {
        let key = || other.row().key();
        self.entry.order(other.entry.head, other.entry.length as usize, || self.row().key(), key)
    }

    /// Whether both are about the same row.
    pub(super) fn same_key(&self, other: &Change<'_>) -> bool {
        self.order(other).is_eq()
    }
}

/// A stretch of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice<'a> {
    arena: &'a Arena,
    entries: &'a [Entry],
}

impl<'a> Slice<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The change at one end; there must be one.
    pub(super) fn peek(&self, reverse: bool) -> Change<'a> {
        let at = if reverse { self.entries.len() - 1 } else { 0 };
        Change { arena: self.arena, entry: self.entries[at] }
    }

    /// What is left without the change at that end.
    pub(super) fn rest(&self, reverse: bool) -> Slice<'a> {
        let entries = if reverse { &self.entries[..self.entries.len() - 1] } else { &self.entries[1..] };
        Slice { entries, ..*self }
    }
}

/// Sorted entries, at most one for each relation and key.
#[derive(Debug)]
pub(super) struct Run {
    arena: Arc<Arena>,
    entries: Vec<Entry>,
    filter: Filter,
}

impl Run {
    /// A run of these entries; of those with the same key the one that was appended last counts.
    pub(super) fn new(arena: Arc<Arena>, mut entries: Vec<Entry>) -> Run {
        let order = |a: &Entry, b: &Entry| {
            let (own, key) = (|| arena.row(a.place).key(), || arena.row(b.place).key());
            a.order(b.head, b.length as usize, own, key)
        };
        // The stable sort is fast where the input consists of sorted pieces.
        entries.sort_by(|a, b| order(a, b).then(b.place.cmp(&a.place)));
        entries.dedup_by(|later, kept| order(later, kept).is_eq());
        let filter = Filter::new(entries.iter().map(|entry| entry.head));
        Run { arena, entries, filter }
    }

    /// All changes in order.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.entries.iter().map(|entry| Change { arena: &self.arena, entry: *entry })
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The row or tombstone of the key whose head is `head`.
    pub(super) fn get(&self, head: Head, key: &[u8]) -> Option<&Row> {
        let (first, last) = (self.entries.first()?, self.entries.last()?);
        if head < first.head || head > last.head || !self.filter.may_hold(head) {
            return None;
        }
        let found = self.entries.binary_search_by(|entry| self.order_to(entry, head, key)).ok()?;
        Some(self.arena.row(self.entries[found].place))
    }

    /// The entries of `relation` inside `range`.
    pub(super) fn slice(&self, relation: RelationId, range: &KeyRange) -> Slice<'_> {
        let before = |key: &[u8], or_equal: bool| {
            let head = head_of(relation, key);
            self.entries.partition_point(|entry| match self.order_to(entry, head, key) {
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
        Slice { arena: &self.arena, entries: self.entries.get(start..end).unwrap_or(&[]) }
    }

    fn order_to(&self, entry: &Entry, head: Head, key: &[u8]) -> Ordering {
        entry.order(head, key.len(), || self.arena.row(entry.place).key(), || key)
    }
}

/// What entries with this key are searched by.
#[inline]
pub(super) fn head_of(relation: RelationId, key: &[u8]) -> Head {
    let mut bytes = [0; 4 + HEAD_BYTES];
    bytes[..4].copy_from_slice(&relation.0.to_be_bytes());
    let length = key.len().min(HEAD_BYTES);
    bytes[4..4 + length].copy_from_slice(&key[..length]);
    let word = |at: usize| bytes[at..at + 8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    [word(0), word(8), word(16)]
}

/// Appends the newest run and merges it with its older neighbours (never with the first `frozen` runs) while they
/// are less than twice as long, so that a reader finds few runs and an entry is copied a logarithmic number of times.
pub(super) fn push_run(runs: &mut Vec<Arc<Run>>, frozen: usize, newest: Run) {
    if newest.entries.is_empty() {
        return;
    }
    let mut total = newest.len();
    let total_max = MERGED_ROWS_MAX.max(8 * total);
    let mut from = runs.len();
    while from > frozen
        && Arc::ptr_eq(&runs[from - 1].arena, &newest.arena)
        && runs[from - 1].len() < 2 * total
        && runs[from - 1].len() + total <= total_max
    {
        from -= 1;
        total += runs[from].len();
    }
    if from == runs.len() {
        runs.push(Arc::new(newest));
        return;
    }
    let mut entries = Vec::with_capacity(total);
    runs.drain(from..).for_each(|run| entries.extend_from_slice(&run.entries));
    entries.extend_from_slice(&newest.entries);
    runs.push(Arc::new(Run::new(newest.arena, entries)));
}

#[cfg(test)]
mod tests {
    use super::super::arena::Appender;
    use super::*;

    fn run_of(appender: &mut Appender, relation: u32, keys: &[&[u8]]) -> Run {
        keys.iter().for_each(|key| appender.push(RelationId(relation), Row::tombstone(key)));
        appender.run()
    }

    #[test]
    fn a_reader_finds_few_runs_and_the_newest_rows() {
        let (mut runs, mut appender) = (Vec::new(), Appender::new());
        for number in 0..5_000u32 {
            let key = (number % 1_000).to_be_bytes();
            push_run(&mut runs, 0, run_of(&mut appender, 1 + number / 2_500, &[&key]));
            assert!(runs.len() <= 14, "{} runs", runs.len());
        }
        let rows: usize = runs.iter().map(|run| run.len()).sum();
        assert!((2_000..4_000).contains(&rows), "{rows} rows");
    }

    #[test]
    fn frozen_runs_are_left_alone() {
        let mut appender = Appender::new();
        let mut one = |key: u8| run_of(&mut appender, 1, &[&[key]]);
        let mut runs = Vec::new();
        push_run(&mut runs, 0, one(1));
        push_run(&mut runs, 1, one(2));
        assert_eq!(runs.len(), 2);
        push_run(&mut runs, 1, one(3));
        assert_eq!(runs.iter().map(|run| run.len()).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn keys_that_share_a_head_stay_apart() {
        let head = b"0123456789abcdefghij";
        let longer = |last: u8| [&head[..], &[last]].concat();
        let keys: [&[u8]; 5] = [b"", b"\0", head, &longer(0), &longer(b'k')];
        let reversed: Vec<&[u8]> = keys.iter().rev().copied().collect();
        let run = run_of(&mut Appender::new(), 7, &reversed);
        assert!(run.changes().map(|it| it.row().key()).eq(keys));
        assert_eq!(run.len(), keys.len());
        for key in keys {
            assert_eq!(run.get(head_of(RelationId(7), key), key).map(Row::key), Some(key));
        }
        assert!(run.get(head_of(RelationId(8), b""), b"").is_none());
        assert_eq!(run.slice(RelationId(7), &KeyRange::prefix(head)).entries.len(), 3);
    }

    #[test]
    fn the_row_appended_last_counts() {
        let (mut appender, mut runs) = (Appender::new(), Vec::new());
        for key in [&b"short"[..], b"a key that is longer than its head"] {
            for value in 0..3 {
                let mut builder = crate::change::RowBuilder::new();
                builder.push(crate::change::Datum::Int(value), crate::change::DataType::Int64);
                appender.push(RelationId(1), builder.finish(key));
                push_run(&mut runs, 0, appender.run());
                let found = runs.iter().rev().find_map(|run: &Arc<Run>| run.get(head_of(RelationId(1), key), key));
                let found = found.map(|row| row.get(0, crate::change::DataType::Int64));
                assert_eq!(found, Some(crate::change::Datum::Int(value)), "{key:?}");
            }
        }
    }

    #[test]
    fn runs_of_two_arenas_are_not_merged() {
        let mut runs = Vec::new();
        push_run(&mut runs, 0, run_of(&mut Appender::new(), 1, &[b"a"]));
        push_run(&mut runs, 0, run_of(&mut Appender::new(), 1, &[b"b"]));
        assert_eq!(runs.len(), 2);
    }
}
