//! Access paths: how an operator finds rows of another relation by the values of columns it has at hand.

use std::borrow::Cow;

use super::Context;
use crate::change::{Collation, DataType, Datum, Delta, KeyColumn, Row, encode_datum};
use crate::dataflow::arrangement::Side;
use crate::dataflow::expression::Input;
use crate::plan::{Graph, InputColumn, NodeId};

/// Which arrangement of the relation is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    /// By its unique key.
    Unique,
    /// By this secondary index.
    Index(usize),
}

/// One value of the probed key.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// `None` for a tie of the unique key, which is NULL in every row that an equality can find.
    from: Option<InputColumn>,
    data_type: DataType,
    key: KeyColumn,
    collation: Collation,
}

/// A way into one relation.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    node: NodeId,
    path: Path,
    parts: Vec<Part>,
}

/// What became of a probe's key.
#[derive(Debug)]
pub(crate) enum ProbeKey<'r> {
    /// It is encoded.
    Complete,
    /// A value is NULL: nothing matches.
    Null,
    /// A value is this error.
    Error(Cow<'r, str>),
}

impl Access {
    /// The way to the rows of `node` whose columns have the values of other inputs' columns, pair by pair: its key, or
    /// the index that the plan declares for it.
    pub(crate) fn new(graph: &Graph, node: NodeId, on: &[(usize, InputColumn)], inputs: &[NodeId]) -> Access {
        let schema = &graph.nodes[node.0].schema;
        let source = |column: usize| on.iter().find(|(target, _)| *target == column).map(|(_, from)| *from);
        let covers = |columns: &[usize]| {
            columns.iter().all(|it| source(*it).is_some()) && on.iter().all(|(target, _)| columns.contains(target))
        };
        let key_columns: Vec<usize> = schema.address().map(|it| it.column).collect();
        let (path, key) = if covers(&key_columns) {
            (Path::Unique, schema.key.to_vec())
        } else {
            let declared = graph.nodes[node.0].indexes.iter().enumerate().find(|(_, it)| covers(it));
            let Some((index, columns)) = declared else {
                panic!("the plan declares no index of node {} for {on:?}", node.0);
            };
            (Path::Index(index), columns.iter().map(|it| KeyColumn::ascending(*it)).collect())
        };
        let part = |key: &KeyColumn| {
            let from = source(key.column);
            let data_type = match from {
                Some(from) => graph.nodes[inputs[from.input].0].schema.data_type(from.column),
                None => schema.data_type(key.column),
            };
            Part { from, data_type, key: *key, collation: schema.columns[key.column].collation }
        };
        Access { node, path, parts: key.iter().map(part).collect() }
    }

    /// The input whose key is probed as it is, byte for byte, if there is one.
    pub(crate) fn carried(&self, graph: &Graph, inputs: &[NodeId]) -> Option<usize> {
        let input = self.parts.first()?.from?.input;
        let schema = &graph.nodes[inputs[input].0].schema;
        let same = |(part, key): (&Part, &KeyColumn)| {
            part.from == Some(InputColumn { input, column: key.column })
                && (part.key.descending, part.key.nulls_first) == (key.descending, key.nulls_first)
                && schema.columns[key.column].collation == part.collation
                && !schema.columns[key.column].nullable
        };
        (schema.key.len() == self.parts.len() && self.parts.iter().zip(schema.key.iter()).all(same)).then_some(input)
    }

    /// Whether it leads to at most one row, by the unique key.
    pub(crate) fn is_unique(&self) -> bool {
        self.path == Path::Unique
    }

    /// Appends the probed key, taken from `inputs`, to `out`.
    pub(crate) fn encode<'r>(&self, inputs: &[Input<'r>], out: &mut Vec<u8>) -> ProbeKey<'r> {
        let mut null = false;
        for part in &self.parts {
            let Some(from) = part.from else {
                encode_datum(Datum::Null, part.key, part.collation, out);
                continue;
            };
            let datum = match &inputs[from.input] {
                Input::Row(row) => row.get(from.column, part.data_type),
                Input::Absent => Datum::Null,
                Input::Error(message) => return ProbeKey::Error(message.clone()),
            };
            match datum {
                Datum::Error(message) => return ProbeKey::Error(Cow::Borrowed(message)),
                Datum::Null => null = true,
                datum => encode_datum(datum, part.key, part.collation, out),
            }
        }
        if null { ProbeKey::Null } else { ProbeKey::Complete }
    }

    /// Appends the rows under `key` on one side to `out`.
    pub(crate) fn rows<'r>(&self, context: &Context<'r>, side: Side, key: &[u8], out: &mut Vec<&'r Row>) {
        let relation = &context.relations[self.node.0];
        match self.path {
            Path::Unique => out.extend(relation.hashed.get_side(side, key, &relation.deltas)),
            Path::Index(index) => relation.hashed.rows_by(side, index, key, &relation.deltas, out),
        }
    }

    /// Whether there are rows under `key` on one side.
    pub(crate) fn any(&self, context: &Context<'_>, side: Side, key: &[u8]) -> bool {
        let relation = &context.relations[self.node.0];
        let deltas: &[Delta] = &relation.deltas;
        match self.path {
            Path::Unique => relation.hashed.get_side(side, key, deltas).is_some(),
            Path::Index(index) => relation.hashed.any_by(side, index, key, deltas),
        }
    }

    /// Calls `found` with the slot of each row under `key` now.
    pub(crate) fn slots(&self, context: &Context<'_>, key: &[u8], mut found: impl FnMut(u32)) {
        let hashed = &context.relations[self.node.0].hashed;
        match self.path {
            Path::Unique => {
                let slot = hashed.find(key);
                if hashed.row(slot).is_some() {
                    found(slot);
                }
            }
            Path::Index(index) => hashed.slots_by(index, key).for_each(found),
        }
    }
}
