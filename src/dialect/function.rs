//! Functions of DataFusion with PostgreSQL's results.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::arguments::over_arrays;

/// The name of the function that is `%`.
pub(super) const MODULO: &str = "mod";

/// Functions of floats that PostgreSQL refuses to compute where they have no finite value.
const FINITE: [&str; 13] =
    ["acos", "acosh", "asin", "atanh", "cosh", "cot", "exp", "ln", "log", "log10", "power", "sinh", "sqrt"];

const MICROSECONDS_A_MINUTE: i64 = 60_000_000;

/// How a function differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Difference {
    /// Floats are rounded half to even.
    HalfToEven,
    /// Seconds have a fraction.
    Fraction,
    /// Infinite and undefined results are errors.
    Finite,
}

/// `function` with PostgreSQL's results; `None` when it has them already.
pub(super) fn redefined(function: Arc<ScalarUDF>) -> Option<Arc<ScalarUDF>> {
    let difference = match function.name() {
        "round" => Difference::HalfToEven,
        "date_part" => Difference::Fraction,
        name if FINITE.contains(&name) => Difference::Finite,
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
        let part = args.scalar_arguments.first().copied().flatten();
        match fraction_of(self.difference, part, args.arg_fields.get(1).map(|it| it.data_type())) {
            Some(fraction) => Ok(Arc::new(Field::new(self.name(), fraction.data_type(), true))),
            None => self.inner.return_field_from_args(args),
        }
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
            Difference::Fraction => {
                let part = if let Some(ColumnarValue::Scalar(it)) = args.args.first() { Some(it) } else { None };
                match fraction_of(self.difference, part, args.arg_fields.get(1).map(|it| it.data_type())) {
                    Some(fraction) => over_arrays(args, |arrays| fraction.of(&arrays[1])),
                    None => self.inner.invoke_with_args(args),
                }
            }
            Difference::Finite => {
                let arguments = args.args.clone();
                let result = self.inner.invoke_with_args(args)?;
                self.check_finite(&arguments, &result)?;
                Ok(result)
            }
        }
    }
}

impl Redefined {
    /// Refuses a result that is infinite or not a number though all arguments are.
    fn check_finite(&self, arguments: &[ColumnarValue], result: &ColumnarValue) -> Result<()> {
        let rows = if let ColumnarValue::Array(it) = result { it.len() } else { 1 };
        let Some(result) = doubles(&result.to_array(rows)?)? else { return Ok(()) };
        let result = result.as_primitive::<Float64Type>();
        if result.iter().flatten().all(f64::is_finite) {
            return Ok(());
        }
        let arguments = arguments.iter().map(|it| doubles(&it.to_array(rows)?)).collect::<Result<Vec<_>>>()?;
        let floats: Vec<_> = arguments.iter().flatten().map(|it| it.as_primitive::<Float64Type>()).collect();
        for row in 0..rows {
            let is_finite = |it: &&_| float_at(it, row).is_finite();
            if !float_at(result, row).is_finite() && floats.iter().all(is_finite) {
                return Err(DataFusionError::Execution(format!("{}: input is out of range", self.name())));
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

/// A part of a time that has a fraction: so many decimals of a minute.
#[derive(Debug, Clone, Copy)]
enum FractionOf {
    Seconds,
    Milliseconds,
}

/// The part that is asked for, when it has a fraction and `from` is a point in time.
fn fraction_of(difference: Difference, part: Option<&ScalarValue>, from: Option<&DataType>) -> Option<FractionOf> {
    if difference != Difference::Fraction {
        return None;
    }
    if !matches!(from, Some(DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)) {
        return None;
    }
    let part = part?.try_as_str()??.trim_matches('\'').to_ascii_lowercase();
    match part.as_str() {
        "second" | "seconds" | "sec" | "secs" | "s" => Some(FractionOf::Seconds),
        "millisecond" | "milliseconds" | "msec" | "msecs" | "ms" => Some(FractionOf::Milliseconds),
        _ => None,
    }
}

impl FractionOf {
    fn data_type(self) -> DataType {
        match self {
            FractionOf::Seconds => DataType::Decimal128(8, 6),
            FractionOf::Milliseconds => DataType::Decimal128(8, 3),
        }
    }

    fn of(self, times: &ArrayRef) -> Result<ArrayRef> {
        let zone = if let DataType::Timestamp(_, zone) = times.data_type() { zone.clone() } else { None };
        let times = cast(times, &DataType::Timestamp(TimeUnit::Microsecond, zone))?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        // A microsecond is the last digit of either.
        let digits = times.iter().map(|it| it.map(|it| i128::from(it.rem_euclid(MICROSECONDS_A_MINUTE))));
        Ok(Arc::new(digits.collect::<Decimal128Array>().with_data_type(self.data_type())))
    }
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
