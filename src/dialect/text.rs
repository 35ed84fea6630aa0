//! Floats and timestamps as PostgreSQL writes them when they are cast to text.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::arrow::temporal_conversions::timestamp_us_to_datetime;
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, cast as cast_expr,
};
use datafusion::optimizer::AnalyzerRule;

use super::arguments::over_arrays;
use super::rewrite::rewrite_plan;

/// From this power of ten on, and below the other, floats are written with an exponent.
const LARGE: i32 = 15;
const SMALL: i32 = -4;

/// The analyzer rule: casts of floats and timestamps to text become calls of [`Text`].
#[derive(Debug)]
pub(super) struct CastToText {
    function: Arc<ScalarUDF>,
}

impl CastToText {
    pub(super) fn new() -> CastToText {
        CastToText { function: Arc::new(ScalarUDF::new_from_impl(Text::new())) }
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let Expr::Cast(it) = expr else { return Ok(Transformed::no(expr)) };
        let target = it.field.data_type().clone();
        if !matches!(target, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
            || !is_written_here(&it.expr.get_type(schema)?)
        {
            return Ok(Transformed::no(Expr::Cast(it)));
        }
        let call = Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&self.function), vec![*it.expr]));
        Ok(Transformed::yes(if target == DataType::Utf8 { call } else { cast_expr(call, target) }))
    }
}

impl AnalyzerRule for CastToText {
    fn name(&self) -> &str {
        "cast_to_text"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_plan(plan, &|expr, schema| self.rewrite(expr, schema))
    }
}

fn is_written_here(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64 | DataType::Timestamp(..))
}

/// `text(value)`, which PostgreSQL knows as another way to write a cast.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Text {
    signature: Signature,
}

impl Text {
    fn new() -> Text {
        Text { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Text {
    fn name(&self) -> &str {
        "text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [it] if is_written_here(it) => Ok(DataType::Utf8),
            _ => Err(DataFusionError::Plan("text() takes a float or a timestamp".into())),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        over_arrays(args, |arrays| match arrays[0].data_type() {
            DataType::Timestamp(_, zone) => written_times(&arrays[0], zone.clone()),
            _ => {
                let floats = cast(&arrays[0], &DataType::Float64)?;
                let texts = floats.as_primitive::<Float64Type>().iter().map(|it| it.map(float_text));
                Ok(Arc::new(texts.collect::<StringArray>()))
            }
        })
    }
}

/// The shortest digits that read back the same.
fn float_text(value: f64) -> String {
    if !value.is_finite() {
        let sign = if value < 0.0 { "-" } else { "" };
        return if value.is_nan() { "NaN".to_owned() } else { format!("{sign}Infinity") };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (SMALL..LARGE).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn written_times(times: &ArrayRef, zone: Option<Arc<str>>) -> Result<ArrayRef> {
    // Whatever zone it is shown in, a time with a zone is written in UTC: there is no session that could have another.
    let suffix = if zone.is_some() { "+00" } else { "" };
    let times = cast(times, &DataType::Timestamp(TimeUnit::Microsecond, zone))?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let mut texts = Vec::with_capacity(times.len());
    for time in times {
        texts.push(match time {
            None => None,
            Some(time) => Some(time_text(time, suffix)?),
        });
    }
    Ok(Arc::new(StringArray::from(texts)))
}

fn time_text(microseconds: i64, suffix: &str) -> Result<String> {
    let out_of_range = || DataFusionError::Execution(format!("timestamp out of range: {microseconds} µs"));
    let time = timestamp_us_to_datetime(microseconds).ok_or_else(out_of_range)?;
    let mut text = String::with_capacity(32);
    write!(text, "{}", time.format("%Y-%m-%d %H:%M:%S%.6f")).map_err(|_| out_of_range())?;
    let kept = text.trim_end_matches('0').trim_end_matches('.').len();
    // Without a fraction the digits are those of the seconds.
    text.truncate(kept.max("0000-00-00 00:00:00".len()));
    text.push_str(suffix);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_postgresql_writes_them() {
        let cases = [
            (0.1, "0.1"),
            (-0.0, "-0"),
            (100.0, "100"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (1_234_567_890_123_456.7, "1.2345678901234568e+15"),
            (0.0001, "0.0001"),
            (0.000_012_3, "1.23e-05"),
            (5e-324, "5e-324"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in cases {
            assert_eq!(float_text(value), text);
        }
    }

    #[test]
    fn times_end_with_their_last_digit() {
        let cases = [
            (0, "1970-01-01 00:00:00"),
            (10_500_000, "1970-01-01 00:00:10.5"),
            (-1, "1969-12-31 23:59:59.999999"),
            (20_000_000, "1970-01-01 00:00:20"),
        ];
        for (time, text) in cases {
            assert_eq!(time_text(time, "").expect("in range"), text);
        }
    }
}
