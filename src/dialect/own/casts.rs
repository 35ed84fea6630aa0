//! Casts that are PostgreSQL's: from text to everything, from everything to text, and those where ranges or rounding
//! differ.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::cell::{Cell, Kind, Output, arrays_of, cell, collect};
use crate::change::text::calendar::{at, split};
use crate::change::text::number::double_text;
use crate::dialect::arguments::over_arrays;
use crate::dialect::value::interval::Interval;
use crate::dialect::value::unit::Unit;
use crate::dialect::value::{Failure, bytes, moment, number};

/// The function that casts from one type to another; `None` where Arrow's cast is PostgreSQL's already.
pub(in crate::dialect) fn converted(from: &DataType, to: &DataType) -> Option<ScalarUDF> {
    let (from, to) = (Kind::of(from)?, Kind::of(to)?);
    let is_own = match (from, to) {
        (Kind::Text, Kind::Text) => false,
        (Kind::Text, _) => true,
        // Whole numbers, and decimals of a fixed scale, are written alike.
        (Kind::Int32 | Kind::Int64 | Kind::Numeric { .. }, Kind::Text) => false,
        (_, Kind::Text) => true,
        (Kind::Date, Kind::Timestamp | Kind::TimestampTz) | (Kind::Timestamp | Kind::TimestampTz, Kind::Date) => true,
        (Kind::Float64, Kind::Numeric { .. }) => true,
        _ => false,
    };
    is_own.then(|| ScalarUDF::new_from_impl(Convert { from, to, signature: Signature::any(1, Volatility::Immutable) }))
}

/// A constant text as a value of another type, which it is read as once and for all.
pub(in crate::dialect) fn constant(text: &str, to: &DataType) -> Result<ScalarValue> {
    let kind = Kind::of(to).ok_or_else(|| DataFusionError::Plan(format!("nothing is read as {to}")))?;
    let array = collect(kind, std::iter::once(read(text, kind)))?;
    ScalarValue::try_from_array(&array, 0)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Convert {
    from: Kind,
    to: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for Convert {
    /// PostgreSQL knows a cast as a call of the type's name, too.
    fn name(&self) -> &str {
        self.to.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            // What is always NULL may have lost its type.
            [it] if Kind::of(it) == Some(self.from) || it.is_null() => Ok(self.to.arrow()),
            _ => Err(DataFusionError::Plan(format!("{}() takes one {}", self.to.name(), self.from.name()))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        over_arrays(args, |arrays| {
            let arrays = arrays_of(arrays, &[self.from])?;
            let [array] = &arrays[..] else {
                return Err(DataFusionError::Internal("a cast takes one value".into()));
            };
            let results = (0..array.len()).map(|row| match cell(array, self.from, row) {
                Some(value) => convert(value, self.from, self.to),
                None => Ok(Output::Null),
            });
            collect(self.to, results)
        })
    }
}

fn convert(value: Cell<'_>, from: Kind, to: Kind) -> std::result::Result<Output, Failure> {
    match (value, to) {
        (Cell::Text(text), _) => read(text, to),
        (value, Kind::Text) => Ok(Output::Text(written(value, from))),
        (Cell::Float(it), Kind::Numeric { precision, scale }) => {
            number::double_to_numeric(it, precision, scale).map(Output::Numeric)
        }
        (Cell::Int(it), Kind::Date) => Ok(Output::Int(split(it).0)),
        (Cell::Int(it), _) => match at(it, 0) {
            Some(it) => Ok(Output::Int(it)),
            None => Err("date out of range for timestamp".into()),
        },
        _ => unreachable!("a cast is made for the kinds it converts"),
    }
}

fn read(text: &str, to: Kind) -> std::result::Result<Output, Failure> {
    Ok(match to {
        Kind::Boolean => Output::Boolean(number::parse_boolean(text)?),
        Kind::Int32 | Kind::Int64 => Output::Int(number::parse_integer(text, to.name())?),
        Kind::Numeric { precision, scale } => Output::Numeric(number::parse_numeric(text, precision, scale)?),
        Kind::Float64 => Output::Float(number::parse_double(text)?),
        Kind::Text => Output::Text(text.into()),
        Kind::Bytes => Output::Bytes(bytes::parse(text)?),
        Kind::Date => Output::Int(moment::parse_date(text)?),
        Kind::Timestamp => Output::Int(moment::parse(text, false)?),
        Kind::TimestampTz => Output::Int(moment::parse(text, true)?),
        Kind::Interval => Output::Interval(Interval::parse(text, Unit::Second)?),
        Kind::Texts => unreachable!("nothing is cast to an array"),
    })
}

fn written(value: Cell<'_>, from: Kind) -> String {
    match value {
        Cell::Boolean(it) => it.to_string(),
        Cell::Float(it) => double_text(it),
        Cell::Bytes(it) => bytes::text(it),
        Cell::Interval(it) => it.text(),
        Cell::Text(it) => it.into(),
        Cell::Int(it) => match from {
            Kind::Date => moment::date_text(it),
            Kind::Timestamp => moment::timestamp_text(it, ""),
            // There is no session that could have another zone.
            Kind::TimestampTz => moment::timestamp_text(it, "+00"),
            _ => it.to_string(),
        },
        Cell::Numeric(it) => it.to_string(),
    }
}
