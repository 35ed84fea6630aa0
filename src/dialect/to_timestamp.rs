//! `to_timestamp(seconds)`: the point in time so many seconds after 1970.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Float64Type, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::arguments::over_arrays;
use super::said;
use crate::change::ZONE;

const MICROSECONDS: f64 = 1e6;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToTimestamp {
    signature: Signature,
}

impl ToTimestamp {
    pub(super) fn new() -> ToTimestamp {
        ToTimestamp { signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToTimestamp {
    fn name(&self) -> &str {
        "to_timestamp"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, Some(ZONE.into())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        over_arrays(args, |arrays| {
            let times = arrays[0].as_primitive::<Float64Type>().iter().map(|it| it.map(time).transpose());
            let times = times.collect::<Result<TimestampMicrosecondArray>>()?;
            Ok(Arc::new(times.with_timezone(ZONE)))
        })
    }
}

fn time(seconds: f64) -> Result<i64> {
    if seconds.is_infinite() {
        return Err(said("0A000", "an infinite timestamp is not supported"));
    }
    let microseconds = (seconds * MICROSECONDS).round_ties_even();
    if microseconds.is_nan() || microseconds.abs() >= i64::MAX as f64 {
        return Err(said("22008", format!("timestamp out of range: {seconds}")));
    }
    Ok(microseconds as i64)
}
