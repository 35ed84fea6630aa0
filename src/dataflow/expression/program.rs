//! A program that makes rows: filter, outputs and key, prepared once so that plain copies cost next to nothing.

use std::borrow::Cow;

use super::numeric::is_fresh;
use super::scope::{Input, Scope};
use crate::change::{Collation, DataType, Datum, KeyColumn, Row, RowBuilder, Schema, encode_datum};
use crate::plan::{Program, Scalar};

/// Buffers that operators share, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    builder: RowBuilder,
    pub(crate) key: Vec<u8>,
    text: String,
}

/// How one output comes about.
#[derive(Debug, Clone, Copy)]
enum Output {
    /// A column of an input, taken over as bytes.
    Copy { input: usize, column: usize },
    /// The interpreter's result.
    Compute,
}

/// What a row's outputs, all but the key, are when a condition of it cannot be computed.
#[derive(Clone, Copy)]
pub(crate) enum Failed<'s> {
    /// This error.
    Row(&'s str),
    /// What they are over these inputs, in which one is an error.
    Scope(Scope<'s>),
}

/// A [`Program`] whose outputs are the columns of a relation.
#[derive(Debug)]
pub(crate) struct RowProgram {
    outputs: Vec<(Output, DataType)>,
    /// The key's outputs and how they are encoded.
    key: Vec<(usize, KeyColumn, Collation)>,
    /// The input whose encoded key is the output's, byte for byte.
    carry: Option<usize>,
    /// The outputs that are computed even if the filter cannot be.
    is_key: Vec<bool>,
    /// The inputs without whose rows there is no output row.
    required: Vec<bool>,
}

impl RowProgram {
    /// Prepares `program`, whose outputs are the columns of `schema`, over inputs with these schemas; without a row of
    /// those that are not `optional` there is no output row.
    pub(crate) fn new(program: &Program, schema: &Schema, inputs: &[&Schema], optional: &[usize]) -> RowProgram {
        let types = schema.columns.iter().map(|it| it.data_type);
        let outputs: Vec<_> = program.outputs.iter().zip(types).map(|(it, to)| (prepare(it, to), to)).collect();
        let mut is_key = vec![false; outputs.len()];
        schema.key.iter().for_each(|it| is_key[it.column] = true);
        let carry = (0..inputs.len()).find(|input| carries(&outputs, schema, inputs[*input], *input));
        let key = schema.key.iter().map(|it| (it.column, *it, schema.columns[it.column].collation)).collect();
        let required = (0..inputs.len()).map(|it| !optional.contains(&it)).collect();
        RowProgram { outputs, key, carry, is_key, required }
    }

    /// The output row for the inputs in `scope`, or `None` when the filter drops them.
    pub(crate) fn row<'s>(
        &self,
        program: &'s Program,
        scope: Scope<'s>,
        scratch: &mut Scratch,
        failed: Option<Failed<'s>>,
    ) -> Option<Row> {
        scratch.key.clear();
        self.row_under(program, scope, scratch, None, failed)
    }

    /// The same with a key that is known already.
    pub(crate) fn row_with_key<'s>(
        &self,
        program: &'s Program,
        scope: Scope<'s>,
        scratch: &mut Scratch,
        key: &[u8],
        failed: Option<Failed<'s>>,
    ) -> Option<Row> {
        self.row_under(program, scope, scratch, Some(key), failed)
    }

    fn row_under<'s>(
        &self,
        program: &'s Program,
        scope: Scope<'s>,
        scratch: &mut Scratch,
        key: Option<&[u8]>,
        failed: Option<Failed<'s>>,
    ) -> Option<Row> {
        let message;
        let filter = program.filter.as_ref().map(|it| match failed {
            Some(Failed::Scope(other)) => other.eval(it),
            _ => scope.eval(it),
        });
        let failed = match filter {
            None | Some(Datum::Boolean(true)) => failed,
            Some(Datum::Error(it)) => {
                message = explained("WHERE", it);
                Some(Failed::Row(&message))
            }
            Some(_) => return None,
        };
        // Nobody knows whether there is a row that is made of one of which nobody knows that.
        let failed = match failed {
            Some(Failed::Row(_)) => failed,
            other => self.undecided(scope).map(Failed::Row).or(other),
        };
        if let Some(Failed::Row(reason)) = failed {
            scratch.builder.mark_undecided(reason);
        }
        for (at, (output, data_type)) in self.outputs.iter().enumerate() {
            if let Some(failed) = &failed
                && !self.is_key[at]
            {
                let datum = match failed {
                    Failed::Row(message) => Datum::Error(message),
                    Failed::Scope(other) => self.compute(program, *other, at, &mut scratch.text),
                };
                scratch.builder.push(datum, *data_type);
                continue;
            }
            match *output {
                Output::Copy { input, column } => match &scope.inputs[input] {
                    Input::Row(row) => scratch.builder.copy(row, column, *data_type),
                    other => scratch.builder.push(other.cell(column, *data_type), *data_type),
                },
                Output::Compute => {
                    let datum = self.compute(program, scope, at, &mut scratch.text);
                    scratch.builder.push(datum, *data_type);
                }
            }
        }
        let carried = match (&self.key, self.carry.map(|it| &scope.inputs[it])) {
            _ if key.is_some() => key,
            (_, Some(Input::Row(row))) => Some(row.key()),
            (parts, _) => {
                for (column, part, collation) in parts {
                    let datum = self.compute(program, scope, *column, &mut scratch.text);
                    encode_datum(datum, *part, *collation, &mut scratch.key);
                }
                None
            }
        };
        Some(scratch.builder.finish(carried.unwrap_or(&scratch.key)))
    }

    /// The error of the first required input that is undecided.
    fn undecided<'s>(&self, scope: Scope<'s>) -> Option<&'s str> {
        self.required.iter().zip(scope.inputs).find_map(|it| match it {
            (true, Input::Row(row)) => row.undecided(),
            _ => None,
        })
    }

    /// Output `at`; an error that arose in it is told with the output's text, which is put into `text`.
    fn compute<'t>(&self, program: &'t Program, scope: Scope<'t>, at: usize, text: &'t mut String) -> Datum<'t> {
        match scope.eval(&program.outputs[at]) {
            Datum::Error(message) if is_fresh(message) => {
                text.clear();
                text.push_str(program.texts.get(at).map_or("expression", String::as_str));
                text.push_str(": ");
                text.push_str(message);
                Datum::Error(text)
            }
            datum => datum,
        }
    }
}

/// `message`, told with `text` when it does not say yet where it arose.
pub(crate) fn explained<'m>(text: &str, message: &'m str) -> Cow<'m, str> {
    if is_fresh(message) { Cow::Owned(format!("{text}: {message}")) } else { Cow::Borrowed(message) }
}

fn prepare(scalar: &Scalar, to: DataType) -> Output {
    match scalar {
        Scalar::Column(it, from) if *from == to => Output::Copy { input: it.input, column: it.column },
        _ => Output::Compute,
    }
}

/// Whether the encoded key of rows of `schema` is always the encoded key of input number `input`.
fn carries(outputs: &[(Output, DataType)], schema: &Schema, source: &Schema, input: usize) -> bool {
    schema.key.len() == source.key.len()
        && schema.key.iter().zip(source.key.iter()).all(|(ours, theirs)| {
            let same = (ours.descending, ours.nulls_first) == (theirs.descending, theirs.nulls_first);
            let (ours, theirs) = (ours.column, theirs.column);
            let copied = matches!(outputs[ours].0, Output::Copy { input: i, column } if i == input && column == theirs);
            same && copied && schema.columns[ours].collation == source.columns[theirs].collation
        })
}
