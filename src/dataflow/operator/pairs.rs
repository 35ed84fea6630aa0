//! What joins produce on the way: combinations of input rows with a sign, turned into at most one delta a key.

use std::borrow::Cow;

use super::{Context, Input};
use crate::change::{Delta, Row};
use crate::dataflow::expression::{Failed, RowProgram, Scope, Scratch, evaluate_calls};
use crate::plan::Program;

/// Combinations evaluated at a time.
const CHUNK: usize = 4096;

/// What a condition that cannot be computed makes of a combination. The key stays as it is.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody knows whether the row exists: all of it is this error.
    Row(String),
    /// The row exists, but what the last, optional input has to say in it is this error.
    Optional(String),
}

/// Signed combinations of input rows, and the signed rows made of them.
pub(crate) struct Pairs<'r, 'p> {
    context: &'p Context<'r>,
    program: &'p Program,
    rows: &'p RowProgram,
    width: usize,
    inputs: Vec<Input<'r>>,
    signs: Vec<bool>,
    /// Combinations whose condition could not be computed, by place.
    failed: Vec<(usize, Failure)>,
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

    /// The same for one whose condition cannot be computed.
    pub(crate) fn push_failed(&mut self, inputs: &[Input<'r>], insert: bool, failure: Failure) {
        self.failed.push((self.signs.len(), failure));
        self.push(inputs, insert);
    }

    fn evaluate(&mut self) {
        let calls = evaluate_calls(self.program, &self.inputs, self.width);
        let mut scratch = self.context.scratch.borrow_mut();
        for (row, (inputs, insert)) in self.inputs.chunks_exact(self.width).zip(&self.signs).enumerate() {
            let scope = Scope { inputs, calls: &calls, row };
            let image = match self.failed.binary_search_by_key(&row, |(at, _)| *at) {
                Err(_) => self.rows.row(self.program, scope, &mut scratch, None),
                Ok(at) => failed_row(self.program, self.rows, scope, &mut scratch, &self.failed[at].1),
            };
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

fn failed_row(
    program: &Program,
    rows: &RowProgram,
    scope: Scope<'_>,
    scratch: &mut Scratch,
    failure: &Failure,
) -> Option<Row> {
    let message = match failure {
        Failure::Row(message) => return rows.row(program, scope, scratch, Some(Failed::Row(message))),
        Failure::Optional(message) => message,
    };
    let mut inputs = scope.inputs.to_vec();
    if let Some(optional) = inputs.last_mut() {
        *optional = Input::Error(Cow::Borrowed(message));
    }
    let calls = evaluate_calls(program, &inputs, inputs.len());
    rows.row(program, scope, scratch, Some(Failed::Scope(Scope { inputs: &inputs, calls: &calls, row: 0 })))
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
