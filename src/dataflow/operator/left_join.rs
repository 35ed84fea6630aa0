//! The left join whose right side may have several matches.
//!
//! A changed left row takes all its old combinations back and brings all its new ones; a changed right row touches
//! only its own combinations, and the row without a match where the presence of matches changed.

use super::access::{Access, ProbeKey};
use super::pairs::{Failure, Pairs};
use super::{Context, Input};
use crate::change::{Datum, Delta, Row};
use crate::dataflow::arrangement::Side;
use crate::dataflow::expression::{RowProgram, Scope, evaluate_calls, explained};
use crate::plan::{Graph, InputColumn, NodeId, Program, Scalar, has_call};

/// A running left join.
#[derive(Debug)]
pub(crate) struct LeftJoin {
    left: NodeId,
    /// From the left row (input 0) to right rows.
    to_right: Access,
    /// From a right row (input 0) to left rows.
    to_left: Access,
    condition_calls: bool,
    rows: RowProgram,
}

impl LeftJoin {
    pub(crate) fn new(
        graph: &Graph,
        node: NodeId,
        (left, right): (NodeId, NodeId),
        on: &[(usize, usize)],
        (condition, program): (Option<&Scalar>, &Program),
    ) -> LeftJoin {
        let from = |column| InputColumn { input: 0, column };
        let rightward: Vec<_> = on.iter().map(|(left, right)| (*right, from(*left))).collect();
        let leftward: Vec<_> = on.iter().map(|(left, right)| (*left, from(*right))).collect();
        let schemas = [&graph.nodes[left.0].schema, &graph.nodes[right.0].schema];
        LeftJoin {
            left,
            to_right: Access::new(graph, right, &rightward, &[left]),
            to_left: Access::new(graph, left, &leftward, &[right]),
            condition_calls: condition.is_some_and(has_call),
            rows: RowProgram::new(program, &graph.nodes[node.0].schema, &schemas, &[1]),
        }
    }

    /// Appends what the inputs' deltas become.
    pub(crate) fn run(
        &self,
        context: &Context<'_>,
        (condition, program): (Option<&Scalar>, &Program),
        deltas: &[&[Delta]],
        out: &mut Vec<Delta>,
    ) {
        let pairs = Pairs::new(context, program, &self.rows, 2);
        let mut work = Work { join: self, context, condition, program, pairs, key: Vec::new(), found: Vec::new() };
        for delta in deltas[0] {
            for (row, side) in [(&delta.old, Side::Old), (&delta.new, Side::New)] {
                if let Some(row) = row {
                    work.all_of_left(row, side);
                }
            }
        }
        if let Some(deltas) = deltas.get(1).filter(|it| !it.is_empty()) {
            work.right(deltas);
        }
        work.pairs.finish(out);
    }
}

struct Work<'r, 'p> {
    join: &'p LeftJoin,
    context: &'p Context<'r>,
    condition: Option<&'p Scalar>,
    program: &'p Program,
    pairs: Pairs<'r, 'p>,
    key: Vec<u8>,
    found: Vec<&'r Row>,
}

impl<'r> Work<'r, '_> {
    /// Everything a left row stands for on one side.
    fn all_of_left(&mut self, left: &'r Row, side: Side) {
        let insert = side == Side::New;
        let mut inputs = [Input::Row(left), Input::Absent];
        self.key.clear();
        let mut any = false;
        match self.join.to_right.encode(&inputs, &mut self.key) {
            ProbeKey::Complete => {
                self.found.clear();
                self.join.to_right.rows(self.context, side, &self.key, &mut self.found);
                for at in 0..self.found.len() {
                    let right = self.found[at];
                    any |= self.pair(left, right, insert);
                }
            }
            ProbeKey::Null => {}
            ProbeKey::Error(message) => inputs[1] = Input::Error(message),
        }
        if !any {
            self.pairs.push(&inputs, insert);
        }
    }

    /// One combination; whether it is a match.
    fn pair(&mut self, left: &'r Row, right: &'r Row, insert: bool) -> bool {
        let inputs = [Input::Row(left), Input::Row(right)];
        match self.verdict(&inputs) {
            Ok(true) => self.pairs.push(&inputs, insert),
            Ok(false) => return false,
            Err(message) => self.pairs.push_failed(&inputs, insert, Failure::Optional(message)),
        }
        true
    }

    /// Whether the condition is true of a combination. One that cannot be computed is a match, in which the right row's
    /// columns, but for the key, are that error.
    fn verdict(&self, inputs: &[Input<'r>; 2]) -> Result<bool, String> {
        let Some(condition) = self.condition else { return Ok(true) };
        let calls = if self.join.condition_calls { evaluate_calls(self.program, inputs, 2) } else { Vec::new() };
        match (Scope { inputs, calls: &calls, row: 0 }).eval(condition) {
            Datum::Boolean(it) => Ok(it),
            Datum::Error(message) => Err(explained("join condition", message).into_owned()),
            _ => Ok(false),
        }
    }

    /// What changed right rows do to left rows that did not change.
    fn right(&mut self, deltas: &'r [Delta]) {
        let mut touched: Vec<(Vec<u8>, &'r Row, bool)> = Vec::new();
        for delta in deltas {
            for (row, insert) in [(&delta.old, false), (&delta.new, true)] {
                if let Some(row) = row {
                    let mut key = Vec::new();
                    // The left columns' encoding finds left rows; NULL and errors match nothing.
                    if matches!(self.join.to_left.encode(&[Input::Row(row)], &mut key), ProbeKey::Complete) {
                        touched.push((key, row, insert));
                    }
                }
            }
        }
        touched.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        for same in touched.chunk_by(|(a, ..), (b, ..)| a == b) {
            let mut lefts = Vec::new();
            self.join.to_left.rows(self.context, Side::New, &same[0].0, &mut lefts);
            for left in lefts {
                if !self.changed(left) {
                    self.right_of(left, same);
                }
            }
        }
    }

    /// What changed right rows of one key do to one unchanged left row.
    fn right_of(&mut self, left: &'r Row, changes: &[(Vec<u8>, &'r Row, bool)]) {
        let [mut was, mut is] = [false; 2];
        for (_, right, insert) in changes {
            let matches = self.pair(left, right, *insert);
            *(if *insert { &mut is } else { &mut was }) |= matches;
        }
        // Right rows that did not change decide only where the changed ones matched on one side alone. They are looked
        // for on the other side, where no changed row matches.
        if was != is && !self.present(left, if was { Side::New } else { Side::Old }) {
            self.pairs.push(&[Input::Row(left), Input::Absent], was);
        }
    }

    /// Whether a left row has a match on one side.
    fn present(&mut self, left: &'r Row, side: Side) -> bool {
        self.key.clear();
        let inputs: [Input<'_>; 1] = [Input::Row(left)];
        if !matches!(self.join.to_right.encode(&inputs, &mut self.key), ProbeKey::Complete) {
            return false;
        }
        if self.condition.is_none() {
            return self.join.to_right.any(self.context, side, &self.key);
        }
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        self.join.to_right.rows(self.context, side, &self.key, &mut found);
        let any = found.iter().any(|right| self.verdict(&[Input::Row(left), Input::Row(right)]) != Ok(false));
        self.found = found;
        any
    }

    /// Whether this epoch changed a left row.
    fn changed(&self, left: &Row) -> bool {
        let deltas = &self.context.relations[self.join.left.0].deltas;
        deltas.binary_search_by(|it| it.key().cmp(left.key())).is_ok()
    }
}
