//! Functions of DataFusion with PostgreSQL's results.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::arguments::over_arrays;
use super::wrapped::{Difference, wrapped};

/// The name of the function that is `%`.
pub(super) const MODULO: &str = "mod";

/// Functions of floats that PostgreSQL refuses to compute where they have no value.
const DEFINED: [&str; 16] = [
    "acos", "acosh", "asin", "atanh", "cos", "cosh", "cot", "exp", "ln", "log", "log10", "power", "sin", "sinh",
    "sqrt", "tan",
];

/// Those of them that may be infinite.
const INFINITE: [&str; 4] = ["atanh", "cosh", "cot", "sinh"];

/// Those that may not be so small that nothing is left.
const NOT_TOO_SMALL: [&str; 2] = ["exp", "power"];

/// `function` with PostgreSQL's results; `None` when it has them already.
pub(super) fn redefined(function: Arc<ScalarUDF>) -> Option<Arc<ScalarUDF>> {
    match function.name() {
        "round" => Some(wrapped(function, HalfToEven)),
        name if DEFINED.contains(&name) => Some(wrapped(function, Defined)),
        _ => None,
    }
}

/// Floats are rounded half to even.
#[derive(Debug, PartialEq, Eq, Hash)]
struct HalfToEven;

impl Difference for HalfToEven {
    fn invoke(&self, inner: &ScalarUDF, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.arg_fields.len() != 1 || !args.return_type().is_floating() {
            return inner.invoke_with_args(args);
        }
        let wanted = args.return_type().clone();
        over_arrays(args, |arrays| {
            let doubles = cast(&arrays[0], &DataType::Float64)?;
            let rounded = doubles.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even);
            Ok(cast(&rounded, &wanted)?)
        })
    }
}

/// Infinite and undefined results are errors.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Defined;

impl Difference for Defined {
    fn invoke(&self, inner: &ScalarUDF, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arguments = args.args.clone();
        let result = inner.invoke_with_args(args)?;
        check_defined(inner.name(), &arguments, &result)?;
        Ok(result)
    }
}

/// Refuses a result that is not a number though all arguments are, or infinite though none is.
fn check_defined(name: &str, arguments: &[ColumnarValue], result: &ColumnarValue) -> Result<()> {
    let rows = if let ColumnarValue::Array(it) = result { it.len() } else { 1 };
    let Some(result) = doubles(&result.to_array(rows)?)? else { return Ok(()) };
    let result = result.as_primitive::<Float64Type>();
    let (may_be_infinite, too_small) = (INFINITE.contains(&name), NOT_TOO_SMALL.contains(&name));
    if result.iter().flatten().all(|it| it.is_finite() && !(too_small && it == 0.0)) {
        return Ok(());
    }
    let arguments = arguments.iter().map(|it| doubles(&it.to_array(rows)?)).collect::<Result<Vec<_>>>()?;
    let floats: Vec<_> = arguments.iter().flatten().map(|it| it.as_primitive::<Float64Type>()).collect();
    for row in (0..rows).filter(|row| result.is_valid(*row)) {
        let value = result.value(row);
        let all = |test: fn(f64) -> bool| floats.iter().all(|it| test(float_at(it, row)));
        let undefined = value.is_nan() && all(|it| !it.is_nan());
        let infinite = value.is_infinite() && !may_be_infinite && all(f64::is_finite);
        let vanished = too_small && value == 0.0 && all(f64::is_finite) && float_at(floats[0], row) != 0.0;
        // A power of minus infinity is a power of a negative number.
        let root = name == "power"
            && float_at(floats[0], row) == f64::NEG_INFINITY
            && float_at(floats[1], row).floor() != float_at(floats[1], row);
        if undefined || infinite || vanished && name == "power" || root {
            return Err(DataFusionError::Execution(format!("{name}: input is out of range")));
        }
        if name == "exp" && value == 0.0 && all(f64::is_finite) {
            return Err(DataFusionError::Execution("exp: value out of range: underflow".into()));
        }
    }
    Ok(())
}

/// Floats of any precision as doubles; `None` when `array` has none.
fn doubles(array: &ArrayRef) -> Result<Option<ArrayRef>> {
    if array.data_type().is_floating() { Ok(Some(cast(array, &DataType::Float64)?)) } else { Ok(None) }
}

fn float_at(array: &datafusion::arrow::array::Float64Array, row: usize) -> f64 {
    if array.is_null(row) { 0.0 } else { array.value(row) }
}

/// `mod(a, b)`, which is replaced by `a % b` before it is called.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Modulo {
    signature: Signature,
}

impl Modulo {
    pub(super) fn new() -> Modulo {
        Modulo { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Modulo {
    fn name(&self) -> &str {
        MODULO
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let [left, right] = arg_types else {
            return Err(DataFusionError::Plan(format!("{MODULO}() takes two arguments")));
        };
        BinaryTypeCoercer::new(left, &Operator::Modulo, right).get_result_type()
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal(format!("{MODULO}() was not replaced by %")))
    }
}
