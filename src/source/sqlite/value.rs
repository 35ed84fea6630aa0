//! From a stored value to a typed cell: exact, or an error cell that names the column and the value.
//!
//! SQLite lets any value into almost any column. A value that is not exactly one of the declared type costs its own
//! cell only. In key columns the error text holds the whole value, so that different keys stay different.

use std::fmt::Write;

use rusqlite::types::ValueRef;

use super::{decimal, temporal};
use crate::change::{Column, DataType, Datum};

/// Error texts of cells outside keys show this much of a value.
const SHOWN: usize = 64;

/// The cell of `column` for a stored value; an error's text is kept in `error`.
pub(super) fn cell<'a>(value: ValueRef<'a>, column: &Column, in_key: bool, error: &'a mut String) -> Datum<'a> {
    match typed(value, column) {
        Some(datum) => datum,
        None => {
            describe(value, column, in_key, error);
            Datum::Error(error)
        }
    }
}

fn typed<'a>(value: ValueRef<'a>, column: &Column) -> Option<Datum<'a>> {
    match (column.data_type, value) {
        (_, ValueRef::Null) => column.nullable.then_some(Datum::Null),
        (DataType::Boolean, ValueRef::Integer(it @ (0 | 1))) => Some(Datum::Boolean(it == 1)),
        (DataType::Int64, ValueRef::Integer(it)) => Some(Datum::Int(it)),
        (DataType::Int32, ValueRef::Integer(it)) => i32::try_from(it).is_ok().then_some(Datum::Int(it)),
        (DataType::Float64, ValueRef::Real(it)) => Some(Datum::Float(it)),
        (DataType::Float64, ValueRef::Integer(it)) => (it.unsigned_abs() <= 1 << 53).then_some(Datum::Float(it as f64)),
        (DataType::Decimal { precision, scale }, ValueRef::Integer(it)) => {
            decimal::from_integer(i128::from(it), precision, scale).map(Datum::Decimal)
        }
        (DataType::Decimal { precision, scale }, ValueRef::Real(it)) => {
            decimal::from_real(it, precision, scale).map(Datum::Decimal)
        }
        (DataType::Bytes, ValueRef::Blob(it)) => Some(Datum::Bytes(it)),
        (data_type, ValueRef::Text(bytes)) => {
            let text = std::str::from_utf8(bytes).ok()?;
            match data_type {
                DataType::Text => Some(Datum::Text(text)),
                DataType::Date => temporal::date(text).map(Datum::Int),
                DataType::Timestamp => temporal::timestamp(text).map(Datum::Int),
                DataType::TimestampTz => temporal::timestamp_tz(text).map(Datum::Int),
                DataType::Decimal { precision, scale } => {
                    decimal::from_text(text, precision, scale).map(Datum::Decimal)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn describe(value: ValueRef<'_>, column: &Column, in_key: bool, out: &mut String) {
    let limit = if in_key { usize::MAX } else { SHOWN };
    out.clear();
    // Writing to a string cannot fail.
    let _ = write!(out, "column {:?}: ", column.name);
    let _ = match value {
        ValueRef::Null => write!(out, "NULL in a column declared NOT NULL"),
        ValueRef::Integer(it) => write!(out, "integer {it}"),
        ValueRef::Real(it) => write!(out, "real {it:?}"),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => quote(text, limit, out),
            Err(_) => write!(out, "text that is not UTF-8, x'").map(|()| hex(bytes, limit, out)),
        },
        ValueRef::Blob(bytes) => write!(out, "blob x'").map(|()| hex(bytes, limit, out)),
    };
    if !matches!(value, ValueRef::Null) {
        let _ = write!(out, " is not exactly one {}", column.data_type);
    }
}

fn quote(text: &str, limit: usize, out: &mut String) -> std::fmt::Result {
    match text.char_indices().nth(limit) {
        None => write!(out, "text {text:?}"),
        Some((end, _)) => write!(out, "text {:?}… ({} bytes)", &text[..end], text.len()),
    }
}

fn hex(bytes: &[u8], limit: usize, out: &mut String) {
    for byte in bytes.iter().take(limit) {
        let _ = write!(out, "{byte:02x}");
    }
    out.push_str(if bytes.len() > limit { "…'" } else { "'" });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: ValueRef<'_>, data_type: DataType) -> String {
        let mut error = String::new();
        format!("{:?}", cell(value, &Column::new("c", data_type), false, &mut error))
    }

    #[test]
    fn only_exact_values_are_taken() {
        let price = DataType::Decimal { precision: 10, scale: 2 };
        for (value, data_type, expected) in [
            (ValueRef::Integer(1), DataType::Boolean, "Boolean(true)"),
            (
                ValueRef::Integer(2),
                DataType::Boolean,
                "Error(\"column \\\"c\\\": integer 2 is not exactly one boolean\")",
            ),
            (ValueRef::Integer(1 << 40), DataType::Int64, "Int(1099511627776)"),
            (
                ValueRef::Integer((1 << 53) + 1),
                DataType::Float64,
                "Error(\"column \\\"c\\\": integer 9007199254740993 is not exactly one double precision\")",
            ),
            (ValueRef::Real(19.99), price, "Decimal(1999)"),
            (ValueRef::Text(b"1.5"), price, "Decimal(150)"),
            (ValueRef::Text(b"2024-01-01"), DataType::Date, "Int(19723)"),
            (
                ValueRef::Blob(b"ab"),
                DataType::Text,
                "Error(\"column \\\"c\\\": blob x'6162' is not exactly one text\")",
            ),
            (
                ValueRef::Text(b"\xff"),
                DataType::Text,
                "Error(\"column \\\"c\\\": text that is not UTF-8, x'ff' is not exactly one text\")",
            ),
            (ValueRef::Null, DataType::Text, "Null"),
        ] {
            assert_eq!(shown(value, data_type), expected);
        }
        let long = "é".repeat(1000);
        assert!(shown(ValueRef::Text(long.as_bytes()), DataType::Int64).len() < 300);
    }
}
