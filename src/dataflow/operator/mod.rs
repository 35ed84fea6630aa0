//! Operators at run time: each turns the deltas of its inputs into the deltas of its output.
//!
//! An operator reads other relations through the [`Context`] and its own rows through `own`; it changes nothing but
//! its buffers, so an epoch's order of operators is the only order there is.

mod access;
mod accumulator;
mod aggregate;
mod assemble;
mod exact_sum;
mod join;
mod left_join;
mod map;
mod pairs;
mod top_n;

use std::cell::RefCell;

use super::arrangement::{Hashed, Ordered};
use super::expression::{Input, Scratch};
use crate::change::{Datum, Delta, KeyColumn, Row, Schema};
use crate::plan::{Graph, NodeId, Operator};

/// The output of one node: its rows where they are kept in memory, and this epoch's deltas, sorted by key.
#[derive(Debug, Default)]
pub(crate) struct Relation {
    pub(crate) hashed: Hashed,
    pub(crate) ordered: Ordered,
    pub(crate) deltas: Vec<Delta>,
}

/// What an operator may look at.
pub(crate) struct Context<'r> {
    pub(crate) graph: &'r Graph,
    pub(crate) relations: &'r [Relation],
    pub(crate) scratch: &'r RefCell<Scratch>,
}

/// The running twin of a plan operator.
#[derive(Debug, Default)]
pub(crate) enum Running {
    /// Tables and arrangements: the deltas pass as they are.
    #[default]
    Pass,
    Map(map::Map),
    Assemble(assemble::Assemble),
    Join(join::Join),
    LeftJoin(left_join::LeftJoin),
    Aggregate(aggregate::Aggregate),
    TopN(top_n::TopN),
    Union(Vec<map::Map>),
}

impl Running {
    /// The running twin of node `id`.
    pub(crate) fn new(graph: &Graph, id: NodeId) -> Running {
        let schema = |it: NodeId| &graph.nodes[it.0].schema;
        match &graph.nodes[id.0].operator {
            Operator::Table(_) | Operator::Arrange { .. } => Running::Pass,
            Operator::Map { input, program } | Operator::Order { input, program } => {
                Running::Map(map::Map::new(program, schema(id), schema(*input)))
            }
            Operator::Assemble { driver, lookups, program } => {
                Running::Assemble(assemble::Assemble::new(graph, id, *driver, lookups, program))
            }
            Operator::Join { inputs, conditions, terms, program } => {
                Running::Join(join::Join::new(graph, id, inputs, (conditions, terms), program))
            }
            Operator::LeftJoin { left, right, on, condition, program } => {
                let filter = (condition.as_ref(), program);
                Running::LeftJoin(left_join::LeftJoin::new(graph, id, (*left, *right), on, filter))
            }
            Operator::Aggregate { input, groups, aggregates, .. } => {
                Running::Aggregate(aggregate::Aggregate::new(graph, id, *input, *groups, aggregates))
            }
            Operator::TopN { input, groups, offset, limit, outputs } => {
                Running::TopN(top_n::TopN::new(graph, id, *input, *groups, (*offset, *limit), outputs))
            }
            Operator::UnionAll { inputs } => {
                let map = |(input, program): &(NodeId, _)| map::Map::new(program, schema(id), schema(*input));
                Running::Union(inputs.iter().map(map).collect())
            }
        }
    }

    /// Appends what `deltas`, one slice an input of `operator`, become.
    pub(crate) fn run(
        &mut self,
        context: &Context<'_>,
        operator: &Operator,
        own: &Hashed,
        deltas: &[&[Delta]],
        out: &mut Vec<Delta>,
    ) {
        match (self, operator) {
            (Running::Pass, _) => out.extend_from_slice(deltas[0]),
            (Running::Map(map), Operator::Map { program, .. } | Operator::Order { program, .. }) => {
                map.run(context, program, deltas[0], out);
            }
            (Running::Assemble(assemble), Operator::Assemble { lookups, program, .. }) => {
                assemble.run(context, lookups, program, own, deltas, out);
            }
            (Running::Join(join), Operator::Join { program, .. }) => join.run(context, program, deltas, out),
            (Running::LeftJoin(join), Operator::LeftJoin { condition, program, .. }) => {
                join.run(context, (condition.as_ref(), program), deltas, out);
            }
            (Running::Aggregate(aggregate), Operator::Aggregate { program, aggregates, .. }) => {
                aggregate.run(context, (program, aggregates), own, deltas[0], out);
            }
            (Running::TopN(top_n), _) => top_n.run(context, deltas[0], out),
            (Running::Union(maps), Operator::UnionAll { inputs }) => {
                for ((map, (_, program)), deltas) in maps.iter().zip(inputs).zip(deltas) {
                    map.run(context, program, deltas, out);
                }
            }
            _ => {}
        }
    }

    /// Whether hydration must see this row of input number `input`: of the later inputs of a join, which are looked up,
    /// only rows that join nothing.
    pub(crate) fn streams(&self, input: usize, row: &Row) -> bool {
        match self {
            Running::Join(join) => input == 0 || join.error(input, row).is_some(),
            _ => true,
        }
    }

    /// The one row of a global aggregate over nothing.
    pub(crate) fn empty(&mut self, context: &Context<'_>, operator: &Operator) -> Option<Row> {
        match (self, operator) {
            (Running::Aggregate(it), Operator::Aggregate { aggregates, .. }) => it.empty(context, aggregates),
            _ => None,
        }
    }
}

/// The key of a row, for people; different keys are told differently.
pub(crate) fn describe(row: &Row, schema: &Schema) -> String {
    let cell = |it: &KeyColumn| match row.get(it.column, schema.data_type(it.column)) {
        Datum::Int(it) => it.to_string(),
        Datum::Text(it) => format!("'{}'", it.replace('\'', "''")),
        other => format!("{other:?}"),
    };
    schema.key.iter().map(cell).collect::<Vec<_>>().join(", ")
}
