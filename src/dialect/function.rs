//! Functions of DataFusion with PostgreSQL's results.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::arguments::over_arrays;

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

/// How a function differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Difference {
    /// Floats are rounded half to even.
    HalfToEven,
    /// Infinite and undefined results are errors.
    Defined,
}

/// `function` with PostgreSQL's results; `None` when it has them already.
pub(super) fn redefined(function: Arc<ScalarUDF>) -> Option<Arc<ScalarUDF>> {
    let difference = match function.name() {
        "round" => Difference::HalfToEven,
        name if DEFINED.contains(&name) => Difference::Defined,
        _ => return None,
    };
    Some(Arc::new(ScalarUDF::new_from_impl(Redefined { inner: function, difference })))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Redefined {
    inner: Arc<ScalarUDF>,
    difference: Difference,
}

impl ScalarUDFImpl for Redefined {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.difference {
            Difference::HalfToEven if args.arg_fields.len() == 1 && args.return_type().is_floating() => {
                let wanted = args.return_type().clone();
                over_arrays(args, |arrays| {
                    let doubles = cast(&arrays[0], &DataType::Float64)?;
                    let rounded = doubles.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even);
                    Ok(cast(&rounded, &wanted)?)
                })
            }
            Difference::HalfToEven => self.inner.invoke_with_args(args),
            Difference::Defined => {
                let arguments = args.args.clone();
                let result = self.inner.invoke_with_args(args)?;
                self.check_defined(&arguments, &result)?;
                Ok(result)
            }
        }
    }
}

impl Redefined {
    /// Refuses a result that is not a number though all arguments are, or infinite though none is.
    fn check_defined(&self, arguments: &[ColumnarValue], result: &ColumnarValue) -> Result<()> {
        let rows = if let ColumnarValue::Array(it) = result { it.len() } else { 1 };
        let Some(result) = doubles(&result.to_array(rows)?)? else { return Ok(()) };
        let result = result.as_primitive::<Float64Type>();
        let (may_be_infinite, too_small) = (INFINITE.contains(&self.name()), NOT_TOO_SMALL.contains(&self.name()));
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
            let root = self.name() == "power"
                && float_at(floats[0], row) == f64::NEG_INFINITY
                && float_at(floats[1], row).floor() != float_at(floats[1], row);
            if undefined || infinite || vanished && self.name() == "power" || root {
                return Err(DataFusionError::Execution(format!("{}: input is out of range", self.name())));
            }
            if self.name() == "exp" && value == 0.0 && all(f64::is_finite) {
                return Err(DataFusionError::Execution("exp: value out of range: underflow".into()));
            }
        }
        Ok(())
    }
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
