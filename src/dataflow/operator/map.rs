//! Map: filter and project, delta by delta; union all is one map an input.

use super::{Context, Input};
use crate::change::{Delta, Row, Schema};
use crate::dataflow::expression::{CallResults, RowProgram, Scope, Scratch, evaluate_calls};
use crate::plan::Program;

/// A running filter and projection of one input.
#[derive(Debug)]
pub(crate) struct Map {
    rows: RowProgram,
}

impl Map {
    pub(crate) fn new(program: &Program, schema: &Schema, input: &Schema) -> Map {
        Map { rows: RowProgram::new(program, schema, &[input], &[]) }
    }

    /// Appends what `deltas` become.
    pub(crate) fn run(&self, context: &Context<'_>, program: &Program, deltas: &[Delta], out: &mut Vec<Delta>) {
        let calls = if program.calls.is_empty() {
            CallResults::new()
        } else {
            evaluate_calls(program, &sides(deltas).map(Input::Row).collect::<Vec<_>>(), 1)
        };
        let mut scratch = context.scratch.borrow_mut();
        let mut row = 0;
        let mut image = |side: &Option<Row>, scratch: &mut Scratch| {
            let side = side.as_ref()?;
            let inputs = [Input::Row(side)];
            let image = self.rows.row(program, Scope { inputs: &inputs, calls: &calls, row }, scratch, None);
            row += 1;
            image
        };
        for delta in deltas {
            let old = image(&delta.old, &mut scratch);
            let new = image(&delta.new, &mut scratch);
            match (&old, &new) {
                // Order columns are part of an ordered relation's key, so a row may move.
                (Some(from), Some(to)) if from.key() != to.key() => {
                    out.push(Delta { old, new: None });
                    out.extend(new.map(Delta::insert));
                }
                _ => out.extend(Delta::between(old, new)),
            }
        }
    }
}

/// The rows of `deltas` in the order in which maps evaluate them.
pub(crate) fn sides(deltas: &[Delta]) -> impl Iterator<Item = &Row> {
    deltas.iter().flat_map(|it| it.old.iter().chain(&it.new))
}
