//! The store against a plain map: whatever is committed, checkpointed, reopened or killed, both say the same.

mod crash;
mod damage;
mod model;

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::change::{DataType, Datum, RelationId, Row, RowBuilder};
use model::{Model, commit_of};

fn small() -> StoreOptions {
    StoreOptions {
        checkpoint_rows: 150,
        checkpoint_bytes: 1 << 20,
        block_cache_bytes: 1 << 20,
        background_threads: 1,
        first_incarnation: 1,
    }
}

/// Checkpoints only when asked for.
fn lazy() -> StoreOptions {
    StoreOptions { checkpoint_rows: usize::MAX / 8, checkpoint_bytes: 64 << 20, ..small() }
}

fn row(key: &[u8], value: i64) -> Row {
    let mut builder = RowBuilder::new();
    builder.push(Datum::Int(value), DataType::Int64);
    builder.finish(key)
}

fn commit_rows(rows: Vec<(RelationId, Row)>) -> Commit {
    Commit { rows, ..Commit::default() }
}

/// Commits, checkpoints and reopens at random; checks every epoch, and held ones again at the end.
fn agrees_with_model(seed: u64) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut rng = SmallRng::seed_from_u64(seed);
    let (mut store, first) = Store::open(dir.path(), small()).expect("opens");
    let mut model = Model::default();
    model.check(&first, &mut rng);
    drop(first);
    let mut held: Vec<(Arc<Epoch>, Model)> = Vec::new();
    for number in 1..=120 {
        let commit = commit_of(seed, number);
        model.apply(&commit);
        let epoch = store.commit(commit).expect("commits");
        assert_eq!(epoch.number(), number);
        match rng.random_range(0..20) {
            0 => store.checkpoint_now().expect("checkpoints"),
            1 => assert_eq!(store.sync().expect("syncs"), number),
            2 | 3 => {
                held.clear();
                let clean = rng.random();
                if clean {
                    store.close().expect("closes")
                } else {
                    drop(store)
                }
                drop(epoch);
                store = Store::open(dir.path(), small()).expect("opens again").0;
                assert_eq!(store.epoch().incarnation(), 1);
            }
            4..7 => held.push((epoch, model.clone())),
            _ => {}
        }
        model.check(&store.epoch(), &mut rng);
        model.check_store(&store);
    }
    for (epoch, model) in &held {
        model.check(epoch, &mut rng);
    }
    assert!(store.stats().checkpoint_epoch > 0, "no checkpoint was made");
}

#[test]
fn agrees_with_a_map() {
    let first = rand::rng().random_range(0..1_000_000);
    for seed in (1..=3).chain(first..first + 1) {
        let outcome = std::panic::catch_unwind(|| agrees_with_model(seed));
        assert!(outcome.is_ok(), "seed {seed} failed: put agrees_with_model({seed}) here to replay it");
    }
}

#[test]
fn a_dropped_relation_stays_gone_and_held_epochs_keep_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, _) = Store::open(dir.path(), lazy()).expect("opens");
    let rows = |value| (1..=3).flat_map(move |id| (0..50u8).map(move |key| (RelationId(id), row(&[key], value))));
    store.commit(commit_rows(rows(1).collect())).expect("commits");
    store.checkpoint_now().expect("checkpoints");
    let held = store.commit(commit_rows(rows(2).collect())).expect("commits");
    store.drop_relation(RelationId(2)).expect("drops");
    store.drop_relation(RelationId(2)).expect("drops again");
    let count = |epoch: &Epoch, id| epoch.scan(RelationId(id), &KeyRange::all(), false, 1000).expect("scans").len();
    assert_eq!([1, 2, 3].map(|id| count(&store.epoch(), id)), [50, 0, 50]);
    assert_eq!([1, 2, 3].map(|id| count(&held, id)), [50, 50, 50]);
    store.commit(commit_rows(vec![(RelationId(2), row(&[9], 3))])).expect("commits");
    drop((store, held));
    let (store, epoch) = Store::open(dir.path(), lazy()).expect("opens again");
    assert_eq!([1, 2, 3].map(|id| count(&epoch, id)), [50, 1, 50]);
    assert_eq!(store.rows(RelationId(1)).map(|it| it.expect("reads")).collect::<Vec<_>>().len(), 50);
    assert!(matches!(Store::open(dir.path(), lazy()).map(|_| ()).unwrap_err(), StoreError::InUse { .. }));
}

#[test]
fn rows_stream_over_chunks_and_keep_their_epoch() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, _) = Store::open(dir.path(), lazy()).expect("opens");
    let all = |value| (0..10_000u32).map(|key| (RelationId(1), row(&key.to_be_bytes(), value))).collect();
    store.commit(commit_rows(all(1))).expect("commits");
    store.checkpoint_now().expect("checkpoints");
    let odd = (0..10_000u32).filter(|key| key % 2 == 1).map(|key| (RelationId(1), Row::tombstone(&key.to_be_bytes())));
    store.commit(commit_rows(odd.collect())).expect("commits");
    let rows = store.rows(RelationId(1));
    store.commit(commit_rows(all(3))).expect("commits");
    let rows: Vec<Row> = rows.map(|it| it.expect("reads")).collect();
    assert_eq!(rows.len(), 5_000);
    assert!(rows.iter().enumerate().all(|(place, it)| *it == row(&(2 * place as u32).to_be_bytes(), 1)));
}

#[test]
fn misuse_is_refused_and_harmless() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut store, _) = Store::open(dir.path(), lazy()).expect("opens");
    let error = store.commit(commit_rows(vec![(RelationId(0), row(b"x", 1))])).unwrap_err();
    assert!(matches!(error, StoreError::Misuse(_)), "{error}");
    assert!(store.drop_relation(RelationId(0)).is_err());
    assert_eq!(store.commit(Commit::default()).expect("commits").number(), 1);
}
