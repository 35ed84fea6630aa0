//! An arena: the rows committed between two checkpoints, appended once and never moved.
//!
//! Runs refer to rows by their place here, so that merging runs copies places and touches no row; the rows of an
//! interval are freed together, off the committing thread. One thread appends while any number of threads read.

use std::sync::{Arc, OnceLock};

use crate::change::{RelationId, Row};

use super::run::{Entry, Run};

/// Rows in the first bucket; each bucket is twice as large as the one before.
const FIRST_BUCKET: u32 = 1024;
const BUCKETS: usize = 23;

type Bucket = Box<[OnceLock<Row>]>;

/// Rows by place.
#[derive(Debug)]
pub(super) struct Arena {
    buckets: [OnceLock<Bucket>; BUCKETS],
    /// What a place nobody filled reads as; there is none that is asked for.
    nothing: Row,
}

impl Arena {
    fn new() -> Arena {
        Arena { buckets: [const { OnceLock::new() }; BUCKETS], nothing: Row::tombstone(&[]) }
    }

    /// The row at `place`.
    #[inline]
    pub(super) fn row(&self, place: u32) -> &Row {
        let (bucket, offset) = split(place);
        let slot = self.buckets[bucket].get().and_then(|it| it.get(offset));
        slot.and_then(OnceLock::get).unwrap_or(&self.nothing)
    }

    fn put(&self, place: u32, row: Row) {
        let (bucket, offset) = split(place);
        let length = (FIRST_BUCKET as usize) << bucket;
        let slots = self.buckets[bucket].get_or_init(|| (0..length).map(|_| OnceLock::new()).collect());
        // Places are handed out once, so the slot is empty.
        let _ = slots[offset].set(row);
    }
}

/// The bucket of a place, and where in it.
fn split(place: u32) -> (usize, usize) {
    let number = place / FIRST_BUCKET + 1;
    let bucket = number.ilog2();
    (bucket as usize, (place - FIRST_BUCKET * ((1 << bucket) - 1)) as usize)
}

/// The one who appends: gathers the rows of an epoch and makes them a run.
#[derive(Debug)]
pub(super) struct Appender {
    arena: Arc<Arena>,
    next: u32,
    gathered: Vec<Entry>,
}

impl Appender {
    pub(super) fn new() -> Appender {
        Appender { arena: Arc::new(Arena::new()), next: 0, gathered: Vec::new() }
    }

    pub(super) fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    pub(super) fn reserve(&mut self, rows: usize) {
        self.gathered.reserve_exact(rows);
    }

    /// How many rows are gathered.
    pub(super) fn len(&self) -> usize {
        self.gathered.len()
    }

    /// Gathers one row; it replaces an earlier one with its key.
    pub(super) fn push(&mut self, relation: RelationId, row: Row) {
        self.gathered.push(Entry::new(relation, row.key(), self.next));
        self.arena.put(self.next, row);
        self.next += 1;
    }

    /// What was gathered since the last run.
    pub(super) fn run(&mut self) -> Run {
        Run::new(self.arena.clone(), std::mem::take(&mut self.gathered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_slot_of_its_own() {
        let mut expected = (0, 0);
        for place in 0..100_000 {
            assert_eq!(split(place), expected, "place {place}");
            expected.1 += 1;
            if expected.1 == (FIRST_BUCKET as usize) << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(split(u32::MAX).0 < BUCKETS);
    }

    #[test]
    fn rows_are_where_they_were_put() {
        let mut appender = Appender::new();
        for number in 0..5_000u32 {
            appender.push(RelationId(1), Row::tombstone(&number.to_be_bytes()));
        }
        for number in [0, 1_023, 1_024, 3_071, 3_072, 4_999u32] {
            assert_eq!(appender.arena().row(number).key(), number.to_be_bytes());
        }
        assert_eq!((appender.len(), appender.run().len(), appender.len()), (5_000, 5_000, 0));
    }
}
