//! The n-way inner delta join: one term an input, over shared arrangements, without intermediate results.
//!
//! Term i joins the deltas of input i with the *new* rows of the inputs before it and the *old* rows of those behind
//! it, so that every combination is counted once, also when one relation occurs several times. A row with an error in a
//! column that is compared joins nothing and appears once by itself.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::access::{Access, ProbeKey};
use super::pairs::{Failure, Pairs};
use super::{Context, Input, describe};
use crate::change::{Collation, KeyColumn};
use crate::change::{DataType, Datum, Delta, Row, encode_datum};
use crate::dataflow::arrangement::Side;
use crate::dataflow::expression::RowProgram;
use crate::plan::{Graph, InputColumn, JoinCondition, NodeId, Probe, Program};

/// A running inner join.
#[derive(Debug)]
pub(crate) struct Join {
    inputs: Vec<NodeId>,
    /// By input, the columns that conditions compare, in order.
    compared: Vec<Vec<(usize, DataType)>>,
    terms: Vec<Term>,
    rows: RowProgram,
}

#[derive(Debug)]
struct Term {
    steps: Vec<Step>,
    /// Equalities no probe takes care of.
    checks: Vec<(InputColumn, InputColumn, DataType)>,
}

#[derive(Debug)]
struct Step {
    input: usize,
    access: Access,
    /// Compared columns the probe does not look at: rows with an error there join nothing.
    unseen: Vec<(usize, DataType)>,
}

impl Join {
    pub(crate) fn new(
        graph: &Graph,
        node: NodeId,
        inputs: &[NodeId],
        (conditions, terms): (&[JoinCondition], &[Vec<Probe>]),
        program: &Program,
    ) -> Join {
        let schemas: Vec<_> = inputs.iter().map(|it| &graph.nodes[it.0].schema).collect();
        let compared: Vec<Vec<_>> = (0..inputs.len())
            .map(|input| {
                let sides = conditions.iter().flat_map(|it| [it.left, it.right]).filter(|it| it.input == input);
                let columns: BTreeSet<usize> = sides.map(|it| it.column).collect();
                columns.into_iter().map(|it| (it, schemas[input].data_type(it))).collect()
            })
            .collect();
        let term = |probes: &Vec<Probe>| {
            let covered = |it: &&JoinCondition| {
                !probes.iter().any(|probe| {
                    probe.on.iter().any(|(column, from)| {
                        let to = InputColumn { input: probe.input, column: *column };
                        (it.left, it.right) == (to, *from) || (it.right, it.left) == (to, *from)
                    })
                })
            };
            let check = |it: &JoinCondition| (it.left, it.right, schemas[it.left.input].data_type(it.left.column));
            let checks = conditions.iter().filter(covered).map(check).collect();
            let step = |it: &Probe| {
                let is_unseen = |column: &&(usize, DataType)| it.on.iter().all(|(seen, _)| *seen != column.0);
                Step {
                    input: it.input,
                    access: Access::new(graph, inputs[it.input], &it.on, inputs),
                    unseen: compared[it.input].iter().filter(is_unseen).copied().collect(),
                }
            };
            Term { steps: probes.iter().map(step).collect(), checks }
        };
        let terms = terms.iter().map(term).collect();
        let rows = RowProgram::new(program, &graph.nodes[node.0].schema, &schemas, &[]);
        Join { inputs: inputs.to_vec(), compared, terms, rows }
    }

    /// Appends what the inputs' deltas become.
    pub(crate) fn run(&self, context: &Context<'_>, program: &Program, deltas: &[&[Delta]], out: &mut Vec<Delta>) {
        let width = self.inputs.len();
        let pairs = Pairs::new(context, program, &self.rows, width);
        let mut walk = Walk { context, inputs: vec![Input::Absent; width], found: Vec::new(), key: Vec::new(), pairs };
        for (input, deltas) in deltas.iter().enumerate() {
            for delta in *deltas {
                for (side, insert) in [(&delta.old, false), (&delta.new, true)] {
                    let Some(row) = side else { continue };
                    if let Some(message) = self.error(input, row) {
                        let name = describe(row, &context.graph.nodes[self.inputs[input].0].schema);
                        let message = format!("{message} (row {name} of input {})", input + 1);
                        walk.alone(input, row, insert, message);
                        continue;
                    }
                    walk.inputs[input] = Input::Row(row);
                    walk.extend(&self.terms[input], input, 0, insert);
                }
            }
        }
        walk.pairs.finish(out);
    }

    /// The error in a compared column of `row`, for which nobody knows what it joins. Such a row joins nothing and is
    /// carried once, as a row of errors.
    pub(crate) fn error<'r>(&self, input: usize, row: &'r Row) -> Option<&'r str> {
        if row.has_errors() { first_error(&self.compared[input], row) } else { None }
    }
}

struct Walk<'r, 'p> {
    context: &'p Context<'r>,
    inputs: Vec<Input<'r>>,
    /// Matches of all probes under way, the deepest last.
    found: Vec<&'r Row>,
    key: Vec<u8>,
    pairs: Pairs<'r, 'p>,
}

impl<'r> Walk<'r, '_> {
    /// Carries a row that joins nothing. The message names it: where the output's key takes its part from a column of
    /// another input, the message is what tells such rows apart.
    fn alone(&mut self, input: usize, row: &'r Row, insert: bool, message: String) {
        let mut inputs = vec![Input::Error(Cow::Owned(message.clone())); self.inputs.len()];
        inputs[input] = Input::Row(row);
        self.pairs.push_failed(&inputs, insert, Failure::Row(message));
    }

    /// Probes number `depth` and on, for the rows fixed so far.
    fn extend(&mut self, term: &Term, changed: usize, depth: usize, insert: bool) {
        let Some(Step { input, access, unseen }) = term.steps.get(depth) else {
            if term.checks.iter().all(|it| self.holds(it)) {
                self.pairs.push(&self.inputs, insert);
            }
            return;
        };
        self.key.clear();
        if !matches!(access.encode(&self.inputs, &mut self.key), ProbeKey::Complete) {
            return;
        }
        let side = if *input < changed { Side::New } else { Side::Old };
        let start = self.found.len();
        access.rows(self.context, side, &self.key, &mut self.found);
        for at in start..self.found.len() {
            let row = self.found[at];
            if !unseen.is_empty() && row.has_errors() && first_error(unseen, row).is_some() {
                continue;
            }
            self.inputs[*input] = Input::Row(row);
            self.extend(term, changed, depth + 1, insert);
        }
        self.found.truncate(start);
    }

    fn holds(&mut self, (left, right, data_type): &(InputColumn, InputColumn, DataType)) -> bool {
        self.key.clear();
        let mut split = 0;
        for it in [left, right] {
            split = self.key.len();
            match self.inputs[it.input].cell(it.column, *data_type) {
                Datum::Null | Datum::Error(_) => return false,
                datum => encode_datum(datum, KeyColumn::ascending(0), Collation::Binary, &mut self.key),
            }
        }
        self.key[..split] == self.key[split..]
    }
}

fn first_error<'r>(columns: &[(usize, DataType)], row: &'r Row) -> Option<&'r str> {
    columns.iter().find_map(|(column, data_type)| match row.get(*column, *data_type) {
        Datum::Error(message) => Some(message),
        _ => None,
    })
}
