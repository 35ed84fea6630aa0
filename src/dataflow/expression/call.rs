//! Calls: functions of DataFusion, evaluated over one Arrow batch of all rows an operator has at hand.
//!
//! A batch that fails is halved until only the offending rows are left; they get an error cell, the others a value.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use datafusion::arrow::compute::{CastOptions, cast_with_options, take};
use datafusion::arrow::datatypes::{DataType as ArrowType, Field, Schema};
use datafusion::arrow::error::ArrowError;

use super::numeric::{UNSUPPORTED, is_fresh};
use super::scope::{CallResults, Input, Scope};
use crate::change::{DataType, Datum, Value, ZONE};
use crate::plan::{Call, Program, cell_error};

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

/// The most bytes of text in one batch, but for its last row: Arrow counts them in 32 bits.
const BATCH_BYTES: usize = 64 << 20;

fn evaluate_call(call: &Call, inputs: &[Input<'_>], width: usize, rows: usize, earlier: &CallResults) -> Vec<Value> {
    let mut batch = Batch::new(call, rows);
    let mut values = Vec::with_capacity(rows);
    for (row, inputs) in inputs.chunks_exact(width).enumerate() {
        batch.push(Scope { inputs, calls: earlier, row });
        if batch.bytes >= BATCH_BYTES {
            batch.evaluate(&mut values);
        }
    }
    batch.evaluate(&mut values);
    values
}

/// Arguments of one call for some rows.
struct Batch<'s> {
    call: &'s Call,
    /// By argument, by row.
    cells: Vec<Vec<Datum<'s>>>,
    /// By row, what makes its value an error whatever the call says.
    errors: Vec<Option<String>>,
    bytes: usize,
}

impl<'s> Batch<'s> {
    fn new(call: &'s Call, rows: usize) -> Batch<'s> {
        let cells = call.arguments.iter().map(|_| Vec::with_capacity(rows)).collect();
        Batch { call, cells, errors: Vec::with_capacity(rows), bytes: 0 }
    }

    /// Adds one row.
    fn push(&mut self, scope: Scope<'s>) {
        let mut error = None;
        for (argument, cells) in self.call.arguments.iter().zip(&mut self.cells) {
            let datum = match scope.eval(argument) {
                Datum::Error(message) => {
                    error.get_or_insert_with(|| told(&self.call.text, message));
                    Datum::Null
                }
                datum => datum,
            };
            self.bytes += match datum {
                Datum::Text(it) => it.len(),
                Datum::Bytes(it) => it.len(),
                _ => 0,
            };
            cells.push(datum);
        }
        self.errors.push(error);
    }

    /// Appends the values of all rows to `values` and empties the batch.
    fn evaluate(&mut self, values: &mut Vec<Value>) {
        let mut errors = std::mem::take(&mut self.errors);
        let mut arrays = Vec::with_capacity(self.cells.len());
        for ((argument, arrow_type), cells) in
            self.call.arguments.iter().zip(&self.call.argument_types).zip(&mut self.cells)
        {
            let array = to_array(cells, argument.data_type());
            cells.clear();
            match cast_with_options(&array, arrow_type, &STRICT) {
                Ok(array) => arrays.push(array),
                Err(_) => arrays.push(cast_each(&array, arrow_type, &self.call.text, &mut errors)),
            }
        }
        self.bytes = 0;
        let fields =
            arrays.iter().enumerate().map(|(at, it)| Field::new(format!("c{at}"), it.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let start = values.len();
        let mut run = Run { call: self.call, schema, arrays, values };
        run.range(0, errors.len());
        for (value, error) in values[start..].iter_mut().zip(errors) {
            if let Some(error) = error {
                *value = Value::Error(error);
            }
        }
    }
}

/// Casts row by row, so that only the rows that cannot be cast become errors.
fn cast_each(array: &ArrayRef, to: &ArrowType, text: &str, errors: &mut [Option<String>]) -> ArrayRef {
    for (row, error) in errors.iter_mut().enumerate() {
        if let Err(cause) = rows_of(array, row, 1).and_then(|it| cast_with_options(&it, to, &STRICT)) {
            error.get_or_insert_with(|| format!("{text}: {cause}"));
        }
    }
    let lenient = CastOptions { safe: true, ..CastOptions::default() };
    cast_with_options(array, to, &lenient).unwrap_or_else(|_| new_null_array(to, array.len()))
}

/// Some rows of `array` and nothing of the others. A slice is not enough: it keeps the bytes of all rows, and kernels
/// that check texts check them all, so that one bad row would fail every part of the batch.
fn rows_of(array: &ArrayRef, start: usize, length: usize) -> Result<ArrayRef, ArrowError> {
    if length == array.len() {
        return Ok(Arc::clone(array));
    }
    let rows = UInt32Array::from_iter_values(start as u32..(start + length) as u32);
    take(array, &rows, None)
}

const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: datafusion::arrow::util::display::FormatOptions::new() };

struct Run<'a> {
    call: &'a Call,
    schema: Arc<Schema>,
    arrays: Vec<ArrayRef>,
    values: &'a mut Vec<Value>,
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

    /// The values of some rows. A function that panics fails like any other, since every restart would meet it again.
    fn attempt(&self, start: usize, length: usize) -> Result<ArrayRef, String> {
        let evaluation = std::panic::catch_unwind(AssertUnwindSafe(|| self.evaluate(start, length)));
        evaluation.unwrap_or_else(|_| Err("the function failed unexpectedly".into()))
    }

    fn evaluate(&self, start: usize, length: usize) -> Result<ArrayRef, String> {
        let columns = self.arrays.iter().map(|it| rows_of(it, start, length)).collect::<Result<Vec<_>, _>>();
        let options = RecordBatchOptions::new().with_row_count(Some(length));
        let batch = columns.and_then(|it| RecordBatch::try_new_with_options(Arc::clone(&self.schema), it, &options));
        let batch = batch.map_err(|it| it.to_string())?;
        let value = self.call.expr.evaluate(&batch).map_err(|it| cell_error(&it))?;
        let array = value.into_array(length).map_err(|it| cell_error(&it))?;
        cast_with_options(&array, &self.call.data_type.to_arrow(), &STRICT).map_err(|it| it.to_string())
    }

    fn read(&mut self, array: &ArrayRef) {
        read_values(array, self.call.data_type, self.values);
    }
}

/// An error of an argument, with the call's text when it does not say yet where it comes from.
fn told(text: &str, message: &str) -> String {
    if is_fresh(message) { format!("{text}: {message}") } else { message.into() }
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
        DataType::TimestampTz => Arc::new(cells.map(int).collect::<TimestampMicrosecondArray>().with_timezone(ZONE)),
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

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
    use datafusion::physical_expr::expressions::Column;
    use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

    use super::*;
    use crate::change::{Row, RowBuilder};
    use crate::plan::{InputColumn, Scalar};

    /// A call of a function that tells how many rows it is given at once, and panics when one of them is "bad".
    fn fragile() -> Call {
        let function = |arguments: &[ColumnarValue]| {
            let array = arguments[0].to_array(1)?;
            let texts = array.as_any().downcast_ref::<StringArray>().unwrap();
            assert!(texts.iter().all(|it| it != Some("bad")));
            let count: ArrayRef = Arc::new(Int64Array::from(vec![texts.len() as i64; texts.len()]));
            Ok(ColumnarValue::Array(count))
        };
        let types = (vec![ArrowType::Utf8], ArrowType::Int64);
        let function = create_udf("fragile", types.0, types.1, Volatility::Immutable, Arc::new(function));
        let schema = Schema::new(vec![Field::new("a0", ArrowType::Utf8, true)]);
        let arguments: Vec<Arc<dyn PhysicalExpr>> = vec![Arc::new(Column::new("a0", 0))];
        let expr = ScalarFunctionExpr::try_new(Arc::new(function), arguments, &schema, Arc::default()).unwrap();
        Call {
            text: "fragile(s)".into(),
            arguments: vec![Scalar::Column(InputColumn { input: 0, column: 0 }, DataType::Text)],
            argument_types: vec![ArrowType::Utf8],
            expr: Arc::new(expr),
            data_type: DataType::Int64,
        }
    }

    fn evaluated(texts: &[&str]) -> Vec<Value> {
        let row = |text: &&str| {
            let mut builder = RowBuilder::new();
            builder.push(Datum::Text(text), DataType::Text);
            builder.finish(&[])
        };
        let rows: Vec<Row> = texts.iter().map(row).collect();
        let inputs: Vec<Input<'_>> = rows.iter().map(Input::Row).collect();
        let program = Program { calls: vec![fragile()], ..Program::default() };
        evaluate_calls(&program, &inputs, 1).remove(0)
    }

    #[test]
    fn a_panic_costs_only_the_row_it_arose_in() {
        let error = Value::Error("fragile(s): the function failed unexpectedly".into());
        assert_eq!(evaluated(&["a", "bad", "c"]), [Value::Int(1), error, Value::Int(1)]);
    }

    #[test]
    fn rows_of_much_text_are_evaluated_in_several_batches() {
        let large = "x".repeat(BATCH_BYTES / 2);
        let sizes = [2, 2, 3, 3, 3].map(Value::Int);
        assert_eq!(evaluated(&[&large, &large, &large, "b", "c"]), sizes);
    }
}
