//! Column types and single values.

use std::fmt;

use datafusion::arrow::datatypes::{DataType as Arrow, TimeUnit};
use serde::{Deserialize, Serialize};

/// The zone of every timestamp that has one, as Arrow writes it.
pub(crate) const ZONE: &str = "+00:00";

/// The type of a column. Every type has one in-memory representation ([`Datum`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DataType {
    /// `true` or `false`.
    Boolean,
    /// 32-bit signed integer; kept in a 64-bit slot, range-checked when written.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// IEEE 754 double.
    Float64,
    /// Exact decimal: an `i128` count of 10^-scale units with at most `precision` digits (≤ 38).
    Decimal {
        /// Number of digits in all, 1 to 38.
        precision: u8,
        /// Number of digits behind the point, 0 to `precision`.
        scale: u8,
    },
    /// UTF-8 text, compared bytewise (the "C" collation) unless the column says otherwise.
    Text,
    /// Raw bytes.
    Bytes,
    /// Days since 1970-01-01.
    Date,
    /// Microseconds since 1970-01-01T00:00:00, without a time zone.
    Timestamp,
    /// Microseconds since 1970-01-01T00:00:00Z.
    TimestampTz,
}

impl DataType {
    /// Whether a value lives in the row's tail rather than in its 8-byte slot.
    pub fn is_variable(self) -> bool {
        match self {
            DataType::Text | DataType::Bytes => true,
            DataType::Decimal { precision, .. } => precision > 18,
            _ => false,
        }
    }

    /// The Arrow type of its values, in expressions and in queries.
    pub fn to_arrow(self) -> Arrow {
        match self {
            DataType::Boolean => Arrow::Boolean,
            DataType::Int32 => Arrow::Int32,
            DataType::Int64 => Arrow::Int64,
            DataType::Float64 => Arrow::Float64,
            DataType::Decimal { precision, scale } => Arrow::Decimal128(precision, scale as i8),
            DataType::Text => Arrow::Utf8,
            DataType::Bytes => Arrow::Binary,
            DataType::Date => Arrow::Date32,
            DataType::Timestamp => Arrow::Timestamp(TimeUnit::Microsecond, None),
            DataType::TimestampTz => Arrow::Timestamp(TimeUnit::Microsecond, Some(ZONE.into())),
        }
    }

    /// The name PostgreSQL gives the type.
    pub fn sql_name(self) -> String {
        match self {
            DataType::Boolean => "boolean".into(),
            DataType::Int32 => "integer".into(),
            DataType::Int64 => "bigint".into(),
            DataType::Float64 => "double precision".into(),
            DataType::Decimal { precision, scale } => format!("numeric({precision},{scale})"),
            DataType::Text => "text".into(),
            DataType::Bytes => "bytea".into(),
            DataType::Date => "date".into(),
            DataType::Timestamp => "timestamp".into(),
            DataType::TimestampTz => "timestamptz".into(),
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql_name())
    }
}

/// One value, borrowed from a row. `Boolean` is its own variant; integers, dates and timestamps are `Int`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Datum<'a> {
    /// SQL NULL.
    Null,
    /// The value could not be computed; the text says which expression or column, and why.
    Error(&'a str),
    /// A truth value.
    Boolean(bool),
    /// Int32, Int64, Date (days), Timestamp and TimestampTz (microseconds).
    Int(i64),
    /// A double.
    Float(f64),
    /// A decimal in units of 10^-scale; the scale is the column type's.
    Decimal(i128),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl Datum<'_> {
    /// An owned copy.
    pub fn to_value(self) -> Value {
        match self {
            Datum::Null => Value::Null,
            Datum::Error(message) => Value::Error(message.into()),
            Datum::Boolean(it) => Value::Boolean(it),
            Datum::Int(it) => Value::Int(it),
            Datum::Float(it) => Value::Float(it),
            Datum::Decimal(it) => Value::Decimal(it),
            Datum::Text(it) => Value::Text(it.into()),
            Datum::Bytes(it) => Value::Bytes(it.into()),
        }
    }
}

/// One owned value: the twin of [`Datum`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// The value could not be computed; the text says why.
    Error(String),
    /// A truth value.
    Boolean(bool),
    /// Int32, Int64, Date (days), Timestamp and TimestampTz (microseconds).
    Int(i64),
    /// A double.
    Float(f64),
    /// A decimal in units of 10^-scale.
    Decimal(i128),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Value {
    /// The borrowed form.
    pub fn as_datum(&self) -> Datum<'_> {
        match self {
            Value::Null => Datum::Null,
            Value::Error(message) => Datum::Error(message),
            Value::Boolean(it) => Datum::Boolean(*it),
            Value::Int(it) => Datum::Int(*it),
            Value::Float(it) => Datum::Float(*it),
            Value::Decimal(it) => Datum::Decimal(*it),
            Value::Text(it) => Datum::Text(it),
            Value::Bytes(it) => Datum::Bytes(it),
        }
    }
}

/// 10^`exponent` for `exponent` ≤ 38.
pub fn pow10(exponent: u8) -> i128 {
    10i128.pow(u32::from(exponent))
}
