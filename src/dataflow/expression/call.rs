//! Calls: functions of DataFusion, evaluated over one Arrow batch of all rows an operator has at hand.
//!
//! A batch that fails is halved until only the offending rows are left; they get an error cell, the others a value.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray, new_null_array,
};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType as ArrowType, Field, Schema, TimeUnit};

use super::numeric::{UNSUPPORTED, is_fresh};
use super::scope::{CallResults, Input, Scope};
use crate::change::{DataType, Datum, Value};
use crate::plan::{Call, Program};

/// The results of the program's calls over `inputs`, which holds `width` inputs a row.
pub(crate) fn evaluate_calls(program: &Program, inputs: &[Input<'_>], width: usize) -> CallResults {
    let mut results: CallResults = Vec::with_capacity(program.calls.len());
    let rows = inputs.len().checked_div(width).unwrap_or(0);
    for call in &program.calls {
        let result = evaluate_call(call, inputs, width, rows, &results);
        results.push(result);
    }
    results
}

fn evaluate_call(call: &Call, inputs: &[Input<'_>], width: usize, rows: usize, earlier: &CallResults) -> Vec<Value> {
    let mut errors: Vec<Option<String>> = vec![None; rows];
    let mut arrays = Vec::with_capacity(call.arguments.len());
    for (argument, arrow_type) in call.arguments.iter().zip(&call.argument_types) {
        let mut cells = Vec::with_capacity(rows);
        for (row, inputs) in inputs.chunks_exact(width).enumerate() {
            match (Scope { inputs, calls: earlier, row }).eval(argument) {
                Datum::Error(message) => {
                    errors[row].get_or_insert_with(|| told(&call.text, message));
                    cells.push(Datum::Null);
                }
                datum => cells.push(datum),
            }
        }
        let array = to_array(&cells, argument.data_type());
        match cast_with_options(&array, arrow_type, &STRICT) {
            Ok(array) => arrays.push(array),
            Err(_) => arrays.push(cast_each(&array, arrow_type, &call.text, &mut errors)),
        }
    }
    let fields = arrays.iter().enumerate().map(|(at, it)| Field::new(format!("c{at}"), it.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut run = Run { call, schema, arrays, values: Vec::with_capacity(rows) };
    run.range(0, rows);
    let settled = run.values.into_iter().zip(errors);
    settled.map(|(value, error)| error.map_or(value, Value::Error)).collect()
}

/// Casts row by row, so that only the rows that cannot be cast become errors.
fn cast_each(array: &ArrayRef, to: &ArrowType, text: &str, errors: &mut [Option<String>]) -> ArrayRef {
    for (row, error) in errors.iter_mut().enumerate() {
        if let Err(cause) = cast_with_options(&array.slice(row, 1), to, &STRICT) {
            error.get_or_insert_with(|| format!("{text}: {cause}"));
        }
    }
    let lenient = CastOptions { safe: true, ..CastOptions::default() };
    cast_with_options(array, to, &lenient).unwrap_or_else(|_| new_null_array(to, array.len()))
}

const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: datafusion::arrow::util::display::FormatOptions::new() };

struct Run<'a> {
    call: &'a Call,
    schema: Arc<Schema>,
    arrays: Vec<ArrayRef>,
    values: Vec<Value>,
}

impl Run<'_> {
    fn range(&mut self, start: usize, length: usize) {
        if length == 0 {
            return;
        }
        match self.attempt(start, length) {
            Ok(array) => self.read(&array),
            Err(cause) if length == 1 => self.values.push(Value::Error(format!("{}: {cause}", self.call.text))),
            Err(_) => {
                self.range(start, length / 2);
                self.range(start + length / 2, length - length / 2);
            }
        }
    }

    fn attempt(&self, start: usize, length: usize) -> Result<ArrayRef, String> {
        let columns = self.arrays.iter().map(|it| it.slice(start, length)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(length));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        let batch = batch.map_err(|it| it.to_string())?;
        let value = self.call.expr.evaluate(&batch).map_err(|it| it.strip_backtrace())?;
        let array = value.into_array(length).map_err(|it| it.strip_backtrace())?;
        cast_with_options(&array, &arrow_type(self.call.data_type), &STRICT).map_err(|it| it.to_string())
    }

    fn read(&mut self, array: &ArrayRef) {
        read_values(array, self.call.data_type, &mut self.values);
    }
}

/// An error of an argument, with the call's text when it does not say yet where it comes from.
fn told(text: &str, message: &str) -> String {
    if is_fresh(message) { format!("{text}: {message}") } else { message.into() }
}

/// The Arrow twin of our type.
fn arrow_type(data_type: DataType) -> ArrowType {
    match data_type {
        DataType::Boolean => ArrowType::Boolean,
        DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::Float64 => ArrowType::Float64,
        DataType::Decimal { precision, scale } => ArrowType::Decimal128(precision, scale as i8),
        DataType::Text => ArrowType::Utf8,
        DataType::Bytes => ArrowType::Binary,
        DataType::Date => ArrowType::Date32,
        DataType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        DataType::TimestampTz => ArrowType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
    }
}

fn int(datum: &Datum<'_>) -> Option<i64> {
    if let Datum::Int(it) = datum { Some(*it) } else { None }
}

fn int32(datum: &Datum<'_>) -> Option<i32> {
    int(datum).and_then(|it| i32::try_from(it).ok())
}

fn to_array(cells: &[Datum<'_>], data_type: DataType) -> ArrayRef {
    let cells = cells.iter();
    match data_type {
        DataType::Boolean => {
            let values = cells.map(|it| if let Datum::Boolean(it) = it { Some(*it) } else { None });
            Arc::new(values.collect::<BooleanArray>())
        }
        DataType::Int32 => Arc::new(cells.map(int32).collect::<Int32Array>()),
        DataType::Int64 => Arc::new(cells.map(int).collect::<Int64Array>()),
        DataType::Float64 => {
            let values = cells.map(|it| if let Datum::Float(it) = it { Some(*it) } else { None });
            Arc::new(values.collect::<Float64Array>())
        }
        DataType::Decimal { precision, scale } => {
            let values = cells.map(|it| if let Datum::Decimal(it) = it { Some(*it) } else { None });
            let array = values.collect::<Decimal128Array>();
            match array.with_precision_and_scale(precision, scale as i8) {
                Ok(array) => Arc::new(array),
                Err(_) => Arc::new(Decimal128Array::from(Vec::<Option<i128>>::new())),
            }
        }
        DataType::Text => {
            let values = cells.map(|it| if let Datum::Text(it) = it { Some(*it) } else { None });
            Arc::new(values.collect::<StringArray>())
        }
        DataType::Bytes => {
            let values = cells.map(|it| if let Datum::Bytes(it) = it { Some(*it) } else { None });
            Arc::new(values.collect::<BinaryArray>())
        }
        DataType::Date => Arc::new(cells.map(int32).collect::<Date32Array>()),
        DataType::Timestamp => Arc::new(cells.map(int).collect::<TimestampMicrosecondArray>()),
        DataType::TimestampTz => {
            Arc::new(cells.map(int).collect::<TimestampMicrosecondArray>().with_timezone("+00:00"))
        }
    }
}

/// Appends the values of `array`, which is of our Arrow twin of `data_type`.
fn read_values(array: &ArrayRef, data_type: DataType, out: &mut Vec<Value>) {
    macro_rules! read {
        ($array:ty, $value:expr) => {
            match array.as_any().downcast_ref::<$array>() {
                Some(array) => out.extend(array.iter().map(|it| it.map_or(Value::Null, $value))),
                None => out.extend((0..array.len()).map(|_| Value::Error(UNSUPPORTED.into()))),
            }
        };
    }
    match data_type {
        DataType::Boolean => read!(BooleanArray, Value::Boolean),
        DataType::Int32 => read!(Int32Array, |it| Value::Int(it.into())),
        DataType::Int64 => read!(Int64Array, Value::Int),
        DataType::Float64 => read!(Float64Array, Value::Float),
        DataType::Decimal { .. } => read!(Decimal128Array, Value::Decimal),
        DataType::Text => read!(StringArray, |it| Value::Text(it.into())),
        DataType::Bytes => read!(BinaryArray, |it| Value::Bytes(it.into())),
        DataType::Date => read!(Date32Array, |it| Value::Int(it.into())),
        DataType::Timestamp | DataType::TimestampTz => read!(TimestampMicrosecondArray, Value::Int),
    }
}
