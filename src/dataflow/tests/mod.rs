//! Every operator against a naive recomputation, after every step of seeded random changes.

mod events;
mod naive;
mod plans;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::Dataflow;
use crate::change::{Datum, Delta, Event, Row, RowBuilder, Schema, TableId};
use crate::plan::{Graph, NodeId, Operator, STATE_VERSION};

/// Rows of a relation by key.
type Rows = BTreeMap<Vec<u8>, Row>;

/// What a row shows: all columns but the accumulators.
fn shown(graph: &Graph, node: usize, row: &Row) -> String {
    let it = &graph.nodes[node];
    let width = it.schema.columns.len() - usize::from(matches!(it.operator, Operator::Aggregate { .. }));
    let cells = (0..width).map(|column| match row.get(column, it.schema.data_type(column)) {
        // Which of several errors is shown is free.
        Datum::Error(_) => "error".to_owned(),
        datum => format!("{datum:?}"),
    });
    cells.collect::<Vec<_>>().join(" ")
}

fn render(graph: &Graph, node: usize, rows: &Rows) -> Vec<(Vec<u8>, String)> {
    rows.iter().map(|(key, row)| (key.clone(), shown(graph, node, row))).collect()
}

fn random_row(schema: &Schema, random: &mut SmallRng) -> Row {
    let mut cells = Vec::new();
    for column in 0..schema.columns.len() {
        let null = column != 0 && random.random_bool(0.15);
        let range = if column == 0 { 14 } else { 5 };
        cells.push(if null { Datum::Null } else { Datum::Int(random.random_range(0..range)) });
    }
    let mut builder = RowBuilder::new();
    (0..cells.len()).for_each(|it| builder.push(cells[it], schema.data_type(it)));
    let mut key = Vec::new();
    schema.encode_key(|it| cells[it], &mut key);
    builder.finish(&key)
}

fn random_events(graph: &Graph, tables: usize, random: &mut SmallRng) -> Vec<Event> {
    let count = random.random_range(1..8);
    let mut event = || {
        let table = random.random_range(0..tables);
        let row = random_row(&graph.nodes[table].schema, random);
        match random.random_range(0..100) {
            0 => Event::emptied(TableId(table)),
            1..36 => Event::gone(TableId(table), row.key()),
            _ => Event::row(TableId(table), row),
        }
    };
    (0..count).map(|_| event()).collect()
}

/// Takes a step's deltas into `state`, checking that each says the truth about what was.
fn absorb(state: &mut [Rows], changes: Vec<(NodeId, Vec<Delta>)>, context: &str) {
    for (node, deltas) in changes {
        assert!(deltas.is_sorted_by(|a, b| a.key() < b.key()), "{context}: node {node:?} is not sorted or not unique");
        for delta in deltas {
            assert_ne!(delta.old, delta.new, "{context}: node {node:?} says nothing");
            let before = state[node.0].get(delta.key()).cloned();
            assert_eq!(before, delta.old, "{context}: node {node:?} is wrong about the old row");
            match &delta.new {
                Some(row) => state[node.0].insert(row.key().to_vec(), row.clone()),
                None => state[node.0].remove(delta.key()),
            };
        }
    }
}

/// Hydrates every stored node of a dataflow whose tables are filled.
fn hydrate(dataflow: &mut Dataflow, graph: &Graph) -> Vec<Rows> {
    let mut state = vec![Rows::new(); graph.nodes.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        match node.operator {
            Operator::Table(_) => dataflow.set_live(NodeId(at)),
            _ if !node.stored => assert!(dataflow.is_live(NodeId(at)), "node {at} has live inputs"),
            _ => {
                let emit = &mut |deltas: Vec<Delta>| {
                    absorb_unsorted(&mut state[at], deltas);
                    Ok::<(), Infallible>(())
                };
                let Ok(()) = dataflow.hydrate(NodeId(at), emit);
                assert!(dataflow.is_live(NodeId(at)));
            }
        }
    }
    state
}

fn absorb_unsorted(rows: &mut Rows, deltas: Vec<Delta>) {
    for delta in deltas {
        let row = delta.new.expect("hydration inserts");
        assert!(rows.insert(row.key().to_vec(), row).is_none(), "hydration emits a key once");
    }
}

fn check(graph: &Graph, state: &[Rows], context: &str) {
    let expected = naive::recompute(graph, state);
    for (node, plan) in graph.nodes.iter().enumerate() {
        if plan.stored {
            let (is, should) = (render(graph, node, &state[node]), render(graph, node, &expected[node]));
            assert_eq!(is, should, "{context}: {}", plan.label);
        }
    }
}

fn run(seed: u64) {
    let mut random = SmallRng::seed_from_u64(seed);
    let (graph, tables) = plans::everything();
    let graph = Arc::new(graph);
    let mut dataflow = Dataflow::new(Arc::clone(&graph));
    let early: Vec<_> = (0..random.random_range(0..6)).map(|_| random_events(&graph, tables, &mut random)).collect();
    let mut state = vec![Rows::new(); graph.nodes.len()];
    for events in early {
        let changes = dataflow.step(events);
        assert!(changes.iter().all(|(node, _)| node.0 < tables), "seed {seed}: only tables before hydration");
        absorb(&mut state, changes, &format!("seed {seed}, before hydration"));
    }
    for (node, rows) in hydrate(&mut dataflow, &graph).into_iter().enumerate().skip(tables) {
        state[node] = rows;
    }
    check(&graph, &state, &format!("seed {seed}, hydrated"));
    for step in 0..40 {
        let context = format!("seed {seed}, step {step}");
        let changes = dataflow.step(random_events(&graph, tables, &mut random));
        absorb(&mut state, changes, &context);
        check(&graph, &state, &context);
        if random.random_bool(0.1) {
            dataflow = reload(&graph, &state);
        }
    }
    let mut fresh = reload(&graph, &state[..tables]);
    for (node, rows) in hydrate(&mut fresh, &graph).into_iter().enumerate().skip(tables) {
        assert_eq!(render(&graph, node, &rows), render(&graph, node, &state[node]), "seed {seed}: hydrated at the end");
    }
}

/// A new dataflow from stored rows: those of all nodes, or of the tables only.
fn reload(graph: &Arc<Graph>, state: &[Rows]) -> Dataflow {
    let mut dataflow = Dataflow::new(Arc::clone(graph));
    for (node, rows) in state.iter().enumerate() {
        if dataflow.keeps_rows(NodeId(node)) {
            dataflow.load(NodeId(node), rows.values().cloned());
        }
        if graph.nodes[node].stored {
            dataflow.set_live(NodeId(node));
        }
    }
    dataflow
}

/// What operators store is read again by a later version of the program, which builds anew only what has another
/// [`STATE_VERSION`]: whoever changes what is stored raises that, and puts here what this test says.
#[test]
fn what_is_stored_changes_with_the_version_of_the_state_only() {
    let (graph, tables) = plans::everything();
    let graph = Arc::new(graph);
    let mut dataflow = Dataflow::new(Arc::clone(&graph));
    let mut events = Vec::new();
    for table in 0..tables {
        let schema = &graph.nodes[table].schema;
        for id in 0..14 {
            let cell = |column: usize| match (column, (id * 5 + column) % 7) {
                (0, _) => Datum::Int(id as i64),
                (_, 6) => Datum::Null,
                (_, it) => Datum::Int(it as i64 % 5),
            };
            let mut builder = RowBuilder::new();
            (0..schema.columns.len()).for_each(|it| builder.push(cell(it), schema.data_type(it)));
            let mut key = Vec::new();
            schema.encode_key(cell, &mut key);
            events.push(Event::row(TableId(table), builder.finish(&key)));
        }
    }
    dataflow.step(events);
    let state = hydrate(&mut dataflow, &graph);
    // FNV-1a, of everything in order.
    let bytes = state.iter().flat_map(|rows| rows.values()).flat_map(|row| row.as_bytes().iter().copied());
    let digest = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, it| (sum ^ u64::from(it)).wrapping_mul(0x100_0000_01b3));
    assert_eq!((STATE_VERSION, digest), (3, 10_906_324_207_519_040_799));
}

#[test]
fn every_step_equals_a_recomputation() {
    (0..60).for_each(run);
}
