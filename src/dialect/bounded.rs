//! Functions that can make much out of little, held to a length.
//!
//! What a query sorts, groups and joins is counted against its memory; what a function returns is not. Nested in each
//! other, or along a chain of WITH queries that each name the one before twice, a few calls of these could ask for more
//! than there is. An analyzer rule puts wrappers in their place that look at the lengths of the arguments first.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::concat_elements::concat_elements_dyn;
use datafusion::arrow::compute::kernels::length::length;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::arguments::over_arrays;
use super::rewrite::rewrite_plan;
use super::wrapped::{Difference, wrapped};

/// The longest text a call may return. A join may repeat it a batch of rows long.
const MAX_VALUE_BYTES: usize = 1 << 20;
/// UTF-8 takes at most this many bytes for a character.
const MAX_CHARACTER_BYTES: usize = 4;
/// The most that one call may return for a batch of rows.
const MAX_BATCH_BYTES: usize = 64 << 20;

/// The problem of a result that would be too long.
#[derive(Debug, thiserror::Error)]
#[error("{function}: the result would have more than {limit} bytes")]
pub(crate) struct TooLong {
    function: String,
    limit: usize,
}

/// The analyzer rule.
#[derive(Debug)]
pub(super) struct BoundLengths {
    concatenate: Arc<ScalarUDF>,
}

impl BoundLengths {
    pub(super) fn new() -> BoundLengths {
        let concatenate = Arc::new(ScalarUDF::new_from_impl(Concatenate::new()));
        BoundLengths { concatenate: bounded(concatenate, Growth::Sum) }
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        match expr {
            Expr::ScalarFunction(mut call) => match Growth::of_call(&call) {
                Some(growth) => {
                    call.func = bounded(call.func, growth);
                    Ok(Transformed::yes(Expr::ScalarFunction(call)))
                }
                None => Ok(Transformed::no(Expr::ScalarFunction(call))),
            },
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right })
                if left.get_type(schema)? == right.get_type(schema)? =>
            {
                let function = Arc::clone(&self.concatenate);
                Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![*left, *right]))))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

impl AnalyzerRule for BoundLengths {
    fn name(&self) -> &str {
        "bound_lengths"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_plan(plan, &|expr, schema| self.rewrite(expr, schema))
    }
}

/// How long a result may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// All arguments one after another.
    Sum,
    /// The same in an array, where only the sum of a batch counts.
    Gathered,
    /// Two digits a byte.
    Twice,
    /// A backslash and three digits a byte.
    Escaped,
    /// The first argument between the others.
    Separated,
    /// The third argument wherever the second is found in the first.
    Replaced,
    /// The same where the second may match nothing, which is everywhere.
    ReplacedAnywhere,
    /// The second argument, and perhaps the third, for each element of the first.
    Joined,
    /// As many characters as the second argument says.
    Padded,
    /// The first argument as often as the second says.
    Repeated,
}

impl Growth {
    fn of_call(call: &ScalarFunction) -> Option<Growth> {
        match (call.name(), call.args.get(1)) {
            ("encode", Some(Expr::Literal(form, _)))
                if ["hex", "base64"].map(Some).contains(&form.try_as_str().flatten()) =>
            {
                Some(Growth::Twice)
            }
            (name, _) => Growth::of_function(name),
        }
    }

    fn of_function(name: &str) -> Option<Growth> {
        Some(match name {
            "concat" | "overlay" => Growth::Sum,
            "array_append" | "array_concat" | "make_array" => Growth::Gathered,
            "encode" => Growth::Escaped,
            "concat_ws" => Growth::Separated,
            "replace" => Growth::Replaced,
            "regexp_replace" => Growth::ReplacedAnywhere,
            "array_to_string" => Growth::Joined,
            "lpad" | "rpad" => Growth::Padded,
            "repeat" => Growth::Repeated,
            _ => return None,
        })
    }

    /// The most bytes the result for a row may have whose arguments have these lengths.
    fn of(self, lengths: &[usize]) -> usize {
        let length = |at: usize| lengths.get(at).copied().unwrap_or(0);
        let sum: usize = lengths.iter().sum();
        match self {
            Growth::Sum | Growth::Gathered => sum,
            Growth::Twice => 2 * length(0),
            Growth::Escaped => 4 * length(0),
            Growth::Separated => sum + length(0) * lengths.len(),
            Growth::Replaced => length(0).saturating_add((length(0) / length(1).max(1) + 1).saturating_mul(length(2))),
            Growth::ReplacedAnywhere => length(0).saturating_add((length(0) + 1).saturating_mul(length(2))),
            Growth::Joined => length(0).saturating_mul(length(1) + length(2)),
            Growth::Padded => length(1).saturating_mul(MAX_CHARACTER_BYTES),
            Growth::Repeated => length(0).saturating_mul(length(1)),
        }
    }

    /// Whether it is the number in this place that counts and not a length.
    fn is_number(self, place: usize) -> bool {
        place == 1 && matches!(self, Growth::Padded | Growth::Repeated)
    }
}

/// `function`, held to a length wherever it is called when a mere number makes its result long.
pub(super) fn held(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match Growth::of_function(function.name()) {
        Some(growth @ (Growth::Padded | Growth::Repeated)) => bounded(function, growth),
        _ => function,
    }
}

fn bounded(inner: Arc<ScalarUDF>, growth: Growth) -> Arc<ScalarUDF> {
    wrapped(inner, Bounded { growth })
}

/// A function that refuses to return too much.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    growth: Growth,
}

impl Bounded {
    fn check(&self, name: &str, args: &[ColumnarValue], rows: usize) -> Result<()> {
        let total: usize = args.iter().map(|it| bytes(it, rows)).sum::<Result<_>>()?;
        // Most batches are so small that not even all their values together are too long.
        let most = match self.growth {
            Growth::Sum | Growth::Gathered | Growth::Twice => 2 * total,
            Growth::Escaped => 4 * total,
            Growth::Separated => total.saturating_mul(args.len()),
            _ => usize::MAX,
        };
        if most <= MAX_VALUE_BYTES {
            return Ok(());
        }
        if self.growth == Growth::Gathered {
            return if total <= MAX_BATCH_BYTES { Ok(()) } else { Err(too_long(name, MAX_BATCH_BYTES)) };
        }
        let lengths = args.iter().enumerate().map(|(place, it)| Lengths::of(it, self.growth.is_number(place)));
        let lengths = lengths.collect::<Result<Vec<_>>>()?;
        let mut of_row = vec![0; lengths.len()];
        let mut grown = 0;
        for row in 0..rows {
            of_row.iter_mut().zip(&lengths).for_each(|(length, it)| *length = it.of_row(row));
            let one = self.growth.of(&of_row);
            if one > MAX_VALUE_BYTES {
                return Err(too_long(name, MAX_VALUE_BYTES));
            }
            grown += one;
            if grown > MAX_BATCH_BYTES {
                return Err(too_long(name, MAX_BATCH_BYTES));
            }
        }
        Ok(())
    }
}

fn too_long(function: &str, limit: usize) -> DataFusionError {
    DataFusionError::External(Box::new(TooLong { function: function.into(), limit }))
}

impl Difference for Bounded {
    fn invoke(&self, inner: &ScalarUDF, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|it| matches!(it, ColumnarValue::Scalar(_)));
        self.check(inner.name(), &args.args, if constant { 1 } else { args.number_rows })?;
        inner.invoke_with_args(args)
    }
}

/// About how many bytes an argument has for so many rows.
fn bytes(argument: &ColumnarValue, rows: usize) -> Result<usize> {
    Ok(match argument {
        ColumnarValue::Array(array) => array.to_data().get_slice_memory_size()?,
        ColumnarValue::Scalar(value) => value.to_array()?.to_data().get_slice_memory_size()?.saturating_mul(rows),
    })
}

/// The lengths of an argument: bytes of a text, elements of an array, nothing of anything else; or its numbers.
enum Lengths {
    Same(usize),
    /// By row, as integers.
    Each(ArrayRef),
}

impl Lengths {
    fn of(argument: &ColumnarValue, is_number: bool) -> Result<Lengths> {
        let of_array = |array: &dyn Array| -> Result<Option<ArrayRef>> {
            if is_number {
                return Ok(Some(cast(array, &DataType::Int64)?));
            }
            let has_length =
                array.data_type().is_string() || array.data_type().is_binary() || is_list(array.data_type());
            if has_length { Ok(Some(cast(&length(array)?, &DataType::Int64)?)) } else { Ok(None) }
        };
        Ok(match argument {
            ColumnarValue::Array(array) => of_array(array)?.map_or(Lengths::Same(0), Lengths::Each),
            ColumnarValue::Scalar(value) => {
                Lengths::Same(of_array(&value.to_array()?)?.map_or(0, |it| Lengths::Each(it).of_row(0)))
            }
        })
    }

    fn of_row(&self, row: usize) -> usize {
        match self {
            Lengths::Same(length) => *length,
            Lengths::Each(lengths) if lengths.is_null(row) => 0,
            Lengths::Each(lengths) => usize::try_from(lengths.as_primitive::<Int64Type>().value(row)).unwrap_or(0),
        }
    }
}

fn is_list(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

/// What `||` of texts is: NULL where either is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Concatenate {
    signature: Signature,
}

impl Concatenate {
    fn new() -> Concatenate {
        Concatenate { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Concatenate {
    fn name(&self) -> &str {
        "||"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let first = arg_types.first().cloned();
        first.ok_or_else(|| DataFusionError::Internal("|| takes two arguments".into()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        over_arrays(args, |arrays| match arrays {
            [left, right] => Ok(concat_elements_dyn(left, right)?),
            _ => Err(DataFusionError::Internal("|| takes two arguments".into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_known_beforehand() {
        let cases = [
            (Growth::Sum, vec![3, 4], 7),
            (Growth::Twice, vec![3], 6),
            (Growth::Escaped, vec![3, 6], 12),
            (Growth::Separated, vec![2, 5, 5], 18),
            (Growth::Replaced, vec![10, 5, 100], 310),
            (Growth::Replaced, vec![10, 0, 1], 21),
            (Growth::ReplacedAnywhere, vec![10, 5, 100], 1110),
            (Growth::Joined, vec![10, 3], 30),
            (Growth::Replaced, vec![usize::MAX, 1, usize::MAX], usize::MAX),
        ];
        for (growth, lengths, most) in cases {
            assert_eq!(growth.of(&lengths), most, "{growth:?} {lengths:?}");
        }
    }
}
