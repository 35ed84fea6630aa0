//! The plain map the store is compared with, and commits that a seed and a number determine.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::super::{Commit, Epoch, KeyRange, Positions, Store};
use super::row;
use crate::change::{Position, RelationId, Row};

const RELATIONS: u32 = 3;

/// What the store should hold.
#[derive(Clone, Default)]
pub(super) struct Model {
    number: u64,
    rows: BTreeMap<(RelationId, Vec<u8>), Row>,
    positions: Positions,
    meta: BTreeMap<String, Vec<u8>>,
}

/// The commit of epoch `number`: always the same for the same seed.
pub(super) fn commit_of(seed: u64, number: u64) -> Commit {
    let mut rng = SmallRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number));
    let mut rows = BTreeMap::new();
    let count = if rng.random_range(0..10) == 0 { 120 } else { rng.random_range(0..12) };
    for _ in 0..count {
        let (relation, key) = (RelationId(rng.random_range(1..=RELATIONS)), key_of(rng.random_range(0..150)));
        let gone = rng.random_range(0..3) == 0;
        let changed = if gone { Row::tombstone(&key) } else { row(&key, number as i64) };
        rows.insert((relation, key), changed);
    }
    let mut rows: Vec<_> = rows.into_iter().map(|((relation, _), row)| (relation, row)).collect();
    rows.shuffle(&mut rng);
    let position = |log: &str| Position::whole(log, number, &[-(number as i64)]);
    let mut positions = vec![("orders".to_owned(), position("a"))];
    if number.is_multiple_of(3) {
        positions.push(("stock".to_owned(), position("b")));
    }
    let mut meta = Vec::new();
    if number.is_multiple_of(4) {
        let value = (number.is_multiple_of(8)).then(|| number.to_be_bytes().to_vec());
        meta.push((format!("note/{}", rng.random_range(0..5)), value));
    }
    Commit { rows, positions, meta }
}

/// Keys of all lengths: short ones, ones that differ behind their first 12 bytes, prefixes of each other.
fn key_of(number: u32) -> Vec<u8> {
    match number % 3 {
        0 => number.to_be_bytes()[2..].to_vec(),
        1 => format!("a long common beginning {number}").into_bytes(),
        _ => vec![number as u8 % 4; number as usize / 8],
    }
}

impl Model {
    pub(super) fn apply(&mut self, commit: &Commit) {
        self.number += 1;
        for (relation, row) in &commit.rows {
            let key = (*relation, row.key().to_vec());
            if row.is_tombstone() {
                self.rows.remove(&key);
            } else {
                self.rows.insert(key, row.clone());
            }
        }
        self.positions.extend(commit.positions.iter().map(|(name, it)| (name.as_str().into(), Arc::new(it.clone()))));
        for (name, value) in &commit.meta {
            match value {
                Some(value) => self.meta.insert(name.clone(), value.clone()),
                None => self.meta.remove(name),
            };
        }
    }

    /// After the first `number` commits of `seed`.
    pub(super) fn after(seed: u64, number: u64) -> Model {
        let mut model = Model::default();
        (1..=number).for_each(|number| model.apply(&commit_of(seed, number)));
        model
    }

    pub(super) fn check_store(&self, store: &Store) {
        assert_eq!(store.meta_with_prefix("note/"), self.meta.clone().into_iter().collect::<Vec<_>>());
        assert_eq!(store.meta("note/1"), self.meta.get("note/1").cloned());
        for relation in (1..=RELATIONS).map(RelationId) {
            let rows: Vec<Row> = store.rows(relation).map(|it| it.expect("reads")).collect();
            assert_eq!(rows, self.range(relation, &KeyRange::all()));
        }
    }

    pub(super) fn check(&self, epoch: &Epoch, rng: &mut SmallRng) {
        assert_eq!((epoch.number(), epoch.positions()), (self.number, &self.positions));
        let mut keys: Vec<Vec<u8>> = (0..150).map(key_of).collect();
        keys.shuffle(rng);
        for relation in (1..=RELATIONS).map(RelationId) {
            let expected: Vec<Option<Row>> =
                keys.iter().map(|key| self.rows.get(&(relation, key.clone())).cloned()).collect();
            assert_eq!(epoch.get_many(relation, &keys).expect("reads"), expected);
            for (key, expected) in keys.iter().zip(&expected).take(40) {
                assert_eq!(epoch.get(relation, key).expect("reads"), *expected, "key {key:02x?}");
            }
            let limit = rng.random_range(0..100);
            for range in [KeyRange::all(), KeyRange::prefix(b"a long"), any_range(rng), any_range(rng)] {
                let mut expected = self.range(relation, &range);
                let found = epoch.scan(relation, &range, false, usize::MAX).expect("scans");
                assert_eq!(found, expected, "{range:?}");
                let found = epoch.scan(relation, &range, false, limit).expect("scans");
                assert_eq!(found, expected[..limit.min(expected.len())], "{range:?} limit {limit}");
                expected.reverse();
                let found = epoch.scan(relation, &range, true, limit).expect("scans");
                assert_eq!(found, expected[..limit.min(expected.len())], "{range:?} reverse, limit {limit}");
            }
        }
    }

    fn range(&self, relation: RelationId, range: &KeyRange) -> Vec<Row> {
        let above = |key: &Vec<u8>| match &range.start {
            Bound::Unbounded => true,
            Bound::Included(start) => key >= start,
            Bound::Excluded(start) => key > start,
        };
        let below = |key: &Vec<u8>| match &range.end {
            Bound::Unbounded => true,
            Bound::Included(end) => key <= end,
            Bound::Excluded(end) => key < end,
        };
        let inside = self.rows.iter().filter(|((id, key), _)| *id == relation && above(key) && below(key));
        inside.map(|(_, row)| row.clone()).collect()
    }
}

/// Any range, also one that ends before it begins.
fn any_range(rng: &mut SmallRng) -> KeyRange {
    let mut bound = || {
        let key = key_of(rng.random_range(0..150));
        match rng.random_range(0..5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Included(key),
            _ => Bound::Excluded(key),
        }
    };
    KeyRange { start: bound(), end: bound() }
}
