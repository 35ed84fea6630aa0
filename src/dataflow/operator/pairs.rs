//! What joins produce on the way: combinations of input rows with a sign, turned into at most one delta a key.

use super::{Context, Input};
use crate::change::{Delta, Row};
use crate::dataflow::expression::{RowProgram, Scope, evaluate_calls};
use crate::plan::Program;

/// Combinations evaluated at a time.
const CHUNK: usize = 4096;

/// Signed combinations of input rows, and the signed rows made of them.
pub(crate) struct Pairs<'r, 'p> {
    context: &'p Context<'r>,
    program: &'p Program,
    rows: &'p RowProgram,
    width: usize,
    inputs: Vec<Input<'r>>,
    signs: Vec<bool>,
    /// Combinations whose condition could not be computed, by place.
    failed: Vec<(usize, String)>,
    produced: Vec<(Row, bool)>,
}

impl<'r, 'p> Pairs<'r, 'p> {
    pub(crate) fn new(context: &'p Context<'r>, program: &'p Program, rows: &'p RowProgram, width: usize) -> Self {
        let (inputs, signs, failed, produced) = Default::default();
        Pairs { context, program, rows, width, inputs, signs, failed, produced }
    }

    /// Adds one combination that appeared (`insert`) or is gone.
    pub(crate) fn push(&mut self, inputs: &[Input<'r>], insert: bool) {
        self.inputs.extend_from_slice(inputs);
        self.signs.push(insert);
        if self.signs.len() >= CHUNK {
            self.evaluate();
        }
    }

    /// The same for one whose columns, but for the key, are an error.
    pub(crate) fn push_failed(&mut self, inputs: &[Input<'r>], insert: bool, message: String) {
        self.failed.push((self.signs.len(), message));
        self.push(inputs, insert);
    }

    fn evaluate(&mut self) {
        let calls = evaluate_calls(self.program, &self.inputs, self.width);
        let mut scratch = self.context.scratch.borrow_mut();
        for (row, (inputs, insert)) in self.inputs.chunks_exact(self.width).zip(&self.signs).enumerate() {
            let scope = Scope { inputs, calls: &calls, row };
            let failed = self.failed.binary_search_by_key(&row, |(at, _)| *at).ok();
            let failed = failed.map(|it| self.failed[it].1.as_str());
            let image = self.rows.row(self.program, scope, &mut scratch, failed);
            self.produced.extend(image.map(|it| (it, *insert)));
        }
        self.inputs.clear();
        self.signs.clear();
        self.failed.clear();
    }

    /// Appends the net deltas.
    pub(crate) fn finish(mut self, out: &mut Vec<Delta>) {
        self.evaluate();
        consolidate(self.produced, out);
    }
}

/// Cancels equal rows of opposite signs; what is left of a key is at most one row gone and one that appeared.
fn consolidate(mut rows: Vec<(Row, bool)>, out: &mut Vec<Delta>) {
    if let [(_, insert)] = &rows[..] {
        let insert = *insert;
        out.extend(rows.pop().map(|(row, _)| match insert {
            true => Delta::insert(row),
            false => Delta { old: Some(row), new: None },
        }));
        return;
    }
    rows.sort_unstable_by(|(a, _), (b, _)| a.key().cmp(b.key()).then_with(|| a.as_bytes().cmp(b.as_bytes())));
    for of_key in rows.chunk_by(|(a, _), (b, _)| a.key() == b.key()) {
        let (mut old, mut new) = (None, None);
        for equal in of_key.chunk_by(|(a, _), (b, _)| a == b) {
            let weight: i64 = equal.iter().map(|(_, insert)| if *insert { 1 } else { -1 }).sum();
            match weight {
                0 => {}
                1.. => new = Some(equal[0].0.clone()),
                _ => old = Some(equal[0].0.clone()),
            }
        }
        if old.is_some() || new.is_some() {
            out.push(Delta { old, new });
        }
    }
}
