//! The n-way inner delta join: one term an input, over shared arrangements, without intermediate results.
//!
//! Term i joins the deltas of input i with the *new* rows of the inputs before it and the *old* rows of those behind
//! it, so that every combination is counted once, also when one relation occurs several times.

use super::access::{Access, Indexes, ProbeKey};
use super::pairs::Pairs;
use super::{Context, Input};
use crate::change::{Collation, KeyColumn};
use crate::change::{DataType, Datum, Delta, Row, encode_datum};
use crate::dataflow::arrangement::Side;
use crate::dataflow::expression::RowProgram;
use crate::plan::{Graph, InputColumn, JoinCondition, NodeId, Probe, Program};

/// A running inner join.
#[derive(Debug)]
pub(crate) struct Join {
    width: usize,
    terms: Vec<Term>,
    rows: RowProgram,
}

#[derive(Debug)]
struct Term {
    probes: Vec<(usize, Access)>,
    /// Equalities no probe takes care of.
    checks: Vec<(InputColumn, InputColumn, DataType)>,
}

impl Join {
    pub(crate) fn new(
        graph: &Graph,
        indexes: &mut Indexes,
        node: NodeId,
        inputs: &[NodeId],
        (conditions, terms): (&[JoinCondition], &[Vec<Probe>]),
        program: &Program,
    ) -> Join {
        let schemas: Vec<_> = inputs.iter().map(|it| &graph.nodes[it.0].schema).collect();
        let mut term = |probes: &Vec<Probe>| {
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
            let probes =
                probes.iter().map(|it| (it.input, Access::new(graph, indexes, inputs[it.input], &it.on, inputs)));
            Term { probes: probes.collect(), checks }
        };
        let terms = terms.iter().map(&mut term).collect();
        let rows = RowProgram::new(program, &graph.nodes[node.0].schema, &schemas);
        Join { width: inputs.len(), terms, rows }
    }

    /// Appends what the inputs' deltas become.
    pub(crate) fn run(&self, context: &Context<'_>, program: &Program, deltas: &[&[Delta]], out: &mut Vec<Delta>) {
        let pairs = Pairs::new(context, program, &self.rows, self.width);
        let mut walk =
            Walk { context, inputs: vec![Input::Absent; self.width], found: Vec::new(), key: Vec::new(), pairs };
        for (input, deltas) in deltas.iter().enumerate() {
            for delta in *deltas {
                for (side, insert) in [(&delta.old, false), (&delta.new, true)] {
                    if let Some(row) = side {
                        walk.inputs[input] = Input::Row(row);
                        walk.extend(&self.terms[input], input, 0, insert);
                    }
                }
            }
        }
        walk.pairs.finish(out);
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

impl Walk<'_, '_> {
    /// Probes number `depth` and on, for the rows fixed so far.
    fn extend(&mut self, term: &Term, changed: usize, depth: usize, insert: bool) {
        let Some((input, access)) = term.probes.get(depth) else {
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
            self.inputs[*input] = Input::Row(self.found[at]);
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
