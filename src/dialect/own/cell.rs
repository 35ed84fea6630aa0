//! Between Arrow's arrays and the values functions are written over.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder,
    Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder, ListBuilder, StringBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use datafusion::error::{DataFusionError, Result};

use crate::change::ZONE;
use crate::dialect::said;
use crate::dialect::value::interval::Interval;
use crate::dialect::value::{Failure, code_of};

/// The types functions are written over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::dialect) enum Kind {
    Boolean,
    Int32,
    Int64,
    Numeric {
        precision: u8,
        scale: u8,
    },
    Float64,
    Text,
    Bytes,
    Date,
    Timestamp,
    TimestampTz,
    Interval,
    /// An array of texts; only a result.
    Texts,
}

impl Kind {
    /// The kind of an Arrow type; `None` when there is none.
    pub(in crate::dialect) fn of(data_type: &DataType) -> Option<Kind> {
        Some(match data_type {
            DataType::Boolean => Kind::Boolean,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => Kind::Int32,
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Kind::Int64,
            DataType::Decimal128(precision, scale) => {
                Kind::Numeric { precision: *precision, scale: u8::try_from(*scale).ok()? }
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Kind::Float64,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Kind::Bytes
            }
            DataType::Date32 | DataType::Date64 => Kind::Date,
            DataType::Timestamp(_, None) => Kind::Timestamp,
            DataType::Timestamp(_, Some(_)) => Kind::TimestampTz,
            DataType::Interval(_) | DataType::Duration(_) => Kind::Interval,
            _ => return None,
        })
    }

    pub(in crate::dialect) fn arrow(self) -> DataType {
        match self {
            Kind::Boolean => DataType::Boolean,
            Kind::Int32 => DataType::Int32,
            Kind::Int64 => DataType::Int64,
            Kind::Numeric { precision, scale } => DataType::Decimal128(precision, scale as i8),
            Kind::Float64 => DataType::Float64,
            Kind::Text => DataType::Utf8,
            Kind::Bytes => DataType::Binary,
            Kind::Date => DataType::Date32,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some(ZONE.into())),
            Kind::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Kind::Texts => DataType::new_list(DataType::Utf8, true),
        }
    }

    /// PostgreSQL's name.
    pub(in crate::dialect) fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "boolean",
            Kind::Int32 => "integer",
            Kind::Int64 => "bigint",
            Kind::Numeric { .. } => "numeric",
            Kind::Float64 => "double precision",
            Kind::Text => "text",
            Kind::Bytes => "bytea",
            Kind::Date => "date",
            Kind::Timestamp => "timestamp",
            Kind::TimestampTz => "timestamptz",
            Kind::Interval => "interval",
            Kind::Texts => "text[]",
        }
    }
}

/// An argument that is not NULL. Integers, dates (days) and timestamps (microseconds) are `Int`.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect) enum Cell<'a> {
    Boolean(bool),
    Int(i64),
    Numeric(i128),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Interval(Interval),
}

impl<'a> Cell<'a> {
    /// The value of an argument of a kind that is an integer.
    pub(in crate::dialect) fn int(self) -> i64 {
        if let Cell::Int(it) = self { it } else { unreachable!("an argument has the kind its function takes") }
    }

    pub(in crate::dialect) fn float(self) -> f64 {
        if let Cell::Float(it) = self { it } else { unreachable!("an argument has the kind its function takes") }
    }

    pub(in crate::dialect) fn text(self) -> &'a str {
        if let Cell::Text(it) = self { it } else { unreachable!("an argument has the kind its function takes") }
    }

    pub(in crate::dialect) fn bytes(self) -> &'a [u8] {
        if let Cell::Bytes(it) = self { it } else { unreachable!("an argument has the kind its function takes") }
    }

    pub(in crate::dialect) fn boolean(self) -> bool {
        if let Cell::Boolean(it) = self { it } else { unreachable!("an argument has the kind its function takes") }
    }

    pub(in crate::dialect) fn interval(self) -> Interval {
        if let Cell::Interval(it) = self { it } else { unreachable!("an argument has the kind its function takes") }
    }
}

/// A result.
#[derive(Debug, Clone)]
pub(in crate::dialect) enum Output {
    Null,
    Boolean(bool),
    Int(i64),
    Numeric(i128),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Interval(Interval),
    Texts(Vec<Option<String>>),
}

/// The cell of `array`, which is of `kind`'s Arrow type, in `row`; `None` is NULL.
pub(in crate::dialect) fn cell(array: &ArrayRef, kind: Kind, row: usize) -> Option<Cell<'_>> {
    if array.is_null(row) {
        return None;
    }
    Some(match kind {
        Kind::Boolean => Cell::Boolean(array.as_boolean().value(row)),
        Kind::Int32 => Cell::Int(array.as_primitive::<Int32Type>().value(row).into()),
        Kind::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(row)),
        Kind::Numeric { .. } => Cell::Numeric(array.as_primitive::<Decimal128Type>().value(row)),
        Kind::Float64 => Cell::Float(array.as_primitive::<Float64Type>().value(row)),
        Kind::Text => Cell::Text(array.as_string::<i32>().value(row)),
        Kind::Bytes => Cell::Bytes(array.as_binary::<i32>().value(row)),
        Kind::Date => Cell::Int(array.as_primitive::<Date32Type>().value(row).into()),
        Kind::Timestamp | Kind::TimestampTz => Cell::Int(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        Kind::Interval => {
            let IntervalMonthDayNano { months, days, nanoseconds } =
                array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            Cell::Interval(Interval { months, days, microseconds: nanoseconds / 1000 })
        }
        Kind::Texts => unreachable!("no function takes an array"),
    })
}

/// Arrays of the kinds' Arrow types.
pub(in crate::dialect) fn arrays_of(arrays: &[ArrayRef], kinds: &[Kind]) -> Result<Vec<ArrayRef>> {
    let exact = |(array, kind): (&ArrayRef, &Kind)| {
        if *array.data_type() == kind.arrow() { Ok(Arc::clone(array)) } else { Ok(cast(array, &kind.arrow())?) }
    };
    arrays.iter().zip(kinds).map(exact).collect()
}

/// A failure on its way through DataFusion.
fn failed(failure: Failure) -> DataFusionError {
    said(code_of(&failure), failure)
}

/// An array of `kind` from results by row.
pub(in crate::dialect) fn collect(
    kind: Kind,
    results: impl Iterator<Item = std::result::Result<Output, Failure>>,
) -> Result<ArrayRef> {
    macro_rules! build {
        ($builder:expr, $($pattern:pat => $value:expr),+) => {{
            let mut builder = $builder;
            for result in results {
                match result.map_err(failed)? {
                    Output::Null => builder.append_null(),
                    $($pattern => builder.append_value($value),)+
                    other => unreachable!("a function gives {kind:?}, not {other:?}"),
                }
            }
            Ok(Arc::new(builder.finish()))
        }};
    }
    match kind {
        Kind::Boolean => build!(BooleanBuilder::new(), Output::Boolean(it) => it),
        Kind::Int32 => {
            let narrow = |it: i64| i32::try_from(it).map_err(|_| failed("integer out of range".into()));
            build!(Int32Builder::new(), Output::Int(it) => narrow(it)?)
        }
        Kind::Int64 => build!(Int64Builder::new(), Output::Int(it) => it),
        Kind::Numeric { .. } => {
            build!(Decimal128Builder::new().with_data_type(kind.arrow()), Output::Numeric(it) => it)
        }
        Kind::Float64 => build!(Float64Builder::new(), Output::Float(it) => it),
        Kind::Text => build!(StringBuilder::new(), Output::Text(it) => it),
        Kind::Bytes => build!(BinaryBuilder::new(), Output::Bytes(it) => it),
        Kind::Date => {
            let narrow = |it: i64| i32::try_from(it).map_err(|_| failed("date out of range".into()));
            build!(Date32Builder::new(), Output::Int(it) => narrow(it)?)
        }
        Kind::Timestamp | Kind::TimestampTz => {
            build!(TimestampMicrosecondBuilder::new().with_data_type(kind.arrow()), Output::Int(it) => it)
        }
        Kind::Interval => {
            let nanoseconds = |it: Interval| {
                let nanoseconds = it.microseconds.checked_mul(1000);
                let nanoseconds = nanoseconds.ok_or_else(|| failed("interval out of range".into()));
                nanoseconds.map(|nanoseconds| IntervalMonthDayNano::new(it.months, it.days, nanoseconds))
            };
            build!(IntervalMonthDayNanoBuilder::new(), Output::Interval(it) => nanoseconds(it)?)
        }
        Kind::Texts => build!(ListBuilder::new(StringBuilder::new()), Output::Texts(it) => it),
    }
}
