//! What sources say, in every form and cut into batches at random, against a model that takes one event after another.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::plans;
use crate::change::{Change, DataType, Datum, Event, RowBuilder, Schema, TableId};
use crate::dataflow::Dataflow;

/// What stands in the two columns beside the key; `None` where nothing was ever sent.
type Cells = [Option<i64>; 2];

fn event(schema: &Schema, key: i64, cells: &[Option<i64>; 2]) -> Event {
    let mut builder = RowBuilder::new();
    builder.push(Datum::Int(key), DataType::Int64);
    for cell in cells {
        match cell {
            Some(it) => builder.push(Datum::Int(*it), DataType::Int64),
            None => builder.leave_out(),
        }
    }
    Event::row(TableId(0), builder.finish(&encoded(schema, key)))
}

fn encoded(schema: &Schema, key: i64) -> Vec<u8> {
    let mut out = Vec::new();
    schema.encode_key(|_| Datum::Int(key), &mut out);
    out
}

/// One random event, which the model takes too.
fn random_event(schema: &Schema, model: &mut BTreeMap<i64, Cells>, random: &mut SmallRng) -> Event {
    let (key, kind) = (random.random_range(0..6), random.random_range(0..100));
    let mut value = |given: bool| given.then(|| random.random_range(0..4));
    match kind {
        0..3 => {
            model.clear();
            Event::emptied(TableId(0))
        }
        3..25 => {
            model.remove(&key);
            Event::gone(TableId(0), &encoded(schema, key))
        }
        25..60 => {
            let cells = [value(true), value(true)];
            model.insert(key, cells);
            event(schema, key, &cells)
        }
        60..75 => {
            // The row gets the key of another one, or of none.
            let to = (key + 1) % 6;
            let cells = [value(true), value(kind % 2 == 0)];
            let was = model.remove(&key).unwrap_or_default();
            model.insert(to, [cells[0], cells[1].or(was[1])]);
            let Change::Row(row) = event(schema, to, &cells).change else { unreachable!("a row") };
            Event::moved(TableId(0), &encoded(schema, key), row)
        }
        _ => {
            let patch = match kind % 3 {
                0 => [value(true), None],
                1 => [None, value(true)],
                _ => [None, None],
            };
            let known = model.entry(key).or_default();
            *known = [patch[0].or(known[0]), patch[1].or(known[1])];
            event(schema, key, &patch)
        }
    }
}

fn held(dataflow: &Dataflow, schema: &Schema, key: i64) -> Option<Cells> {
    let row = dataflow.table_row(TableId(0), &encoded(schema, key))?;
    assert!(!row.is_partial(), "what is kept is whole");
    let cell = |column| match row.get(column, DataType::Int64) {
        Datum::Int(it) => Some(it),
        Datum::Error(message) => {
            assert!(message.contains("no earlier row"), "{message}");
            None
        }
        other => panic!("nobody wrote {other:?}"),
    };
    Some([cell(1), cell(2)])
}

fn run(seed: u64) {
    let mut random = SmallRng::seed_from_u64(seed);
    let graph = Arc::new(plans::everything().0);
    let schema = graph.nodes[0].schema.clone();
    let mut dataflow = Dataflow::new(graph);
    let mut model = BTreeMap::new();
    for step in 0..60 {
        let count = random.random_range(1..12);
        let events = (0..count).map(|_| random_event(&schema, &mut model, &mut random)).collect();
        dataflow.step(events);
        for key in 0..6 {
            let (is, should) = (held(&dataflow, &schema, key), model.get(&key).copied());
            assert_eq!(is, should, "seed {seed}, step {step}, key {key}");
        }
        assert_eq!(dataflow.keys_of(TableId(0)).count(), model.len());
    }
}

#[test]
fn a_batch_is_as_its_events_one_by_one() {
    (0..200).for_each(run);
}
