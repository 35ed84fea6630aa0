//! Arrow to JSON, value by value and without loss: numbers keep all their digits.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float64Type, Int64Type, IntervalMonthDayNanoType,
    IntervalUnit, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType, UInt64Type,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::{DataFusionError, Result};

use crate::change;
use crate::change::text::calendar::SECOND;
use crate::change::text::decimal;
use crate::change::text::moment::write_fraction;
use crate::dialect::{PLAIN_NUMERIC, interval_text};
use crate::serve::json;

/// PostgreSQL's name of the type of a column.
pub(super) fn type_name(column: &Field) -> String {
    match column.data_type() {
        DataType::Decimal128(..) if column.metadata().contains_key(PLAIN_NUMERIC) => "numeric".into(),
        other => sql_name(other),
    }
}

/// PostgreSQL's name of an Arrow type.
pub(super) fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "text".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint".into(),
        DataType::Int32 | DataType::UInt16 => "integer".into(),
        DataType::Int64 | DataType::UInt32 => "bigint".into(),
        DataType::UInt64 => "numeric(20,0)".into(),
        DataType::Float16 | DataType::Float32 => "real".into(),
        DataType::Float64 => "double precision".into(),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => format!("numeric({p},{s})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "bytea".into()
        }
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Timestamp(_, None) => "timestamp".into(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time".into(),
        DataType::Interval(_) | DataType::Duration(_) => "interval".into(),
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            format!("{}[]", sql_name(field.data_type()))
        }
        other => other.to_string().to_lowercase(),
    }
}

/// A column made ready to be written row by row: its many Arrow types are brought down to a few.
#[derive(Debug)]
pub(super) enum Values {
    Boolean(ArrayRef),
    Int(ArrayRef),
    UInt(ArrayRef),
    Float(ArrayRef),
    Decimal(ArrayRef, u8),
    WideDecimal(ArrayRef),
    Text(ArrayRef),
    Bytes(ArrayRef),
    Date(ArrayRef),
    Timestamp(ArrayRef, bool),
    Nanoseconds(ArrayRef, bool),
    Interval(ArrayRef),
    List(Vec<Option<Values>>, Vec<usize>),
    Shown(ArrayRef),
}

impl Values {
    /// Takes a column of a result.
    pub(super) fn new(array: &ArrayRef) -> Result<Values> {
        let to = |data_type: DataType| cast(array, &data_type).map_err(DataFusionError::from);
        Ok(match array.data_type() {
            DataType::Boolean => Values::Boolean(array.clone()),
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Values::Int(to(DataType::Int64)?),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
                Values::UInt(to(DataType::UInt64)?)
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Values::Float(to(DataType::Float64)?),
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale)
                if *scale >= 0 =>
            {
                Values::Decimal(to(DataType::Decimal128(38, *scale))?, scale.unsigned_abs())
            }
            DataType::Decimal256(..) => Values::WideDecimal(array.clone()),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Values::Text(to(DataType::LargeUtf8)?),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Values::Bytes(to(DataType::LargeBinary)?)
            }
            DataType::Date32 | DataType::Date64 => Values::Date(to(DataType::Date32)?),
            DataType::Interval(_) | DataType::Duration(_) => {
                Values::Interval(to(DataType::Interval(IntervalUnit::MonthDayNano))?)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                Values::Nanoseconds(to(DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()))?, zone.is_some())
            }
            DataType::Timestamp(_, zone) => {
                Values::Timestamp(to(DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?, zone.is_some())
            }
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => Values::list(array)?,
            _ => Values::Shown(array.clone()),
        })
    }

    fn list(array: &ArrayRef) -> Result<Values> {
        let item = |at: usize| match array.data_type() {
            _ if array.is_null(at) => None,
            DataType::LargeList(_) => Some(array.as_list::<i64>().value(at)),
            DataType::FixedSizeList(..) => Some(array.as_fixed_size_list().value(at)),
            _ => Some(array.as_list::<i32>().value(at)),
        };
        let items: Vec<Option<ArrayRef>> = (0..array.len()).map(item).collect();
        let lengths = items.iter().map(|it| it.as_ref().map_or(0, |it| it.len())).collect();
        let values = items.iter().map(|it| it.as_ref().map(Values::new).transpose());
        Ok(Values::List(values.collect::<Result<_>>()?, lengths))
    }

    /// Appends the value of row `at`.
    pub(super) fn write(&self, at: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.is_null(at) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        match self {
            Values::Boolean(it) => out.extend_from_slice(if it.as_boolean().value(at) { b"true" } else { b"false" }),
            Values::Int(it) => json::write_int(it.as_primitive::<Int64Type>().value(at), out),
            Values::UInt(it) => json::write_int(it.as_primitive::<UInt64Type>().value(at), out),
            Values::Float(it) => json::write_float(it.as_primitive::<Float64Type>().value(at), out),
            Values::Decimal(it, scale) => decimal::write(it.as_primitive::<Decimal128Type>().value(at), *scale, out),
            Values::WideDecimal(it) => {
                out.extend_from_slice(it.as_primitive::<Decimal256Type>().value_as_string(at).as_bytes());
            }
            Values::Text(it) => json::write_text(it.as_string::<i64>().value(at), out),
            Values::Bytes(it) => json::write_bytes(it.as_binary::<i64>().value(at), out),
            Values::Date(it) => {
                write_int_as(i64::from(it.as_primitive::<Date32Type>().value(at)), change::DataType::Date, out);
            }
            Values::Timestamp(it, zoned) => {
                write_int_as(it.as_primitive::<TimestampMicrosecondType>().value(at), timestamp(*zoned), out);
            }
            Values::Nanoseconds(it, zoned) => {
                write_nanoseconds(it.as_primitive::<TimestampNanosecondType>().value(at), *zoned, out)
            }
            Values::Interval(it) => {
                json::write_text(&interval_text(it.as_primitive::<IntervalMonthDayNanoType>().value(at)), out);
            }
            Values::List(items, lengths) => {
                out.push(b'[');
                for place in 0..lengths[at] {
                    if place > 0 {
                        out.push(b',');
                    }
                    if let Some(values) = &items[at] {
                        values.write(place, out)?;
                    }
                }
                out.push(b']');
            }
            Values::Shown(it) => {
                let formatter = ArrayFormatter::try_new(it, &FormatOptions::default())?;
                json::write_text(&formatter.value(at).to_string(), out);
            }
        }
        Ok(())
    }

    fn is_null(&self, at: usize) -> bool {
        match self {
            Values::Boolean(it)
            | Values::Int(it)
            | Values::UInt(it)
            | Values::Float(it)
            | Values::Decimal(it, _)
            | Values::WideDecimal(it)
            | Values::Text(it)
            | Values::Bytes(it)
            | Values::Date(it)
            | Values::Timestamp(it, _)
            | Values::Nanoseconds(it, _)
            | Values::Interval(it) => it.is_null(at),
            Values::Shown(it) => it.is_null(at) || *it.data_type() == DataType::Null,
            Values::List(items, _) => items[at].is_none(),
        }
    }
}

fn timestamp(zoned: bool) -> change::DataType {
    if zoned { change::DataType::TimestampTz } else { change::DataType::Timestamp }
}

fn write_int_as(value: i64, data_type: change::DataType, out: &mut Vec<u8>) {
    // Only error cells fail to be written.
    let _ = json::write_datum(change::Datum::Int(value), data_type, out);
}

fn write_nanoseconds(value: i64, zoned: bool, out: &mut Vec<u8>) {
    let (seconds, nanoseconds) = (value.div_euclid(1_000_000_000), value.rem_euclid(1_000_000_000));
    write_int_as(seconds * SECOND, change::DataType::Timestamp, out);
    // The fraction and the zone stand before the closing quote.
    out.pop();
    write_fraction(nanoseconds.unsigned_abs(), 9, out);
    out.extend_from_slice(if zoned { b"Z\"" } else { b"\"" });
}
