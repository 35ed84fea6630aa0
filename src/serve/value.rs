//! Values as clients write them: text in paths and filters, JSON in bodies; typed by the column they are for.

use super::hex;
use crate::change::text::decimal::{self, Excess};
use crate::change::text::scan::Written;
use crate::change::text::timestamp::timestamp;
use crate::change::text::{boolean, float, integer};
use crate::change::{DataType, Value};

/// The value `text` stands for in a column of `data_type`, or what is wrong with it. It is read as PostgreSQL reads a
/// literal; digits that the column cannot hold are refused, not rounded: the comparison would be a different one.
pub(crate) fn parse_text(text: &str, data_type: DataType) -> Result<Value, String> {
    let invalid = || format!("invalid input for type {data_type}: \"{}\"", shorten(text));
    let out_of_range = || format!("\"{}\" is out of range for type {data_type}", shorten(text));
    match data_type {
        DataType::Boolean => boolean(text).map(Value::Boolean).ok_or_else(invalid),
        DataType::Int32 | DataType::Int64 => {
            let value = integer(text).ok_or_else(invalid)?;
            let fits = if data_type == DataType::Int32 { i32::try_from(value).is_ok() } else { true };
            i64::try_from(value).ok().filter(|_| fits).map(Value::Int).ok_or_else(out_of_range)
        }
        DataType::Float64 => float(text).map(Value::Float).ok_or_else(invalid),
        DataType::Decimal { precision, scale } => {
            let units = decimal::units(text, scale, Excess::Refused).ok_or_else(invalid)?;
            decimal::fit(units, precision).map(Value::Decimal).ok_or_else(out_of_range)
        }
        DataType::Text => Ok(Value::Text(text.into())),
        DataType::Bytes => parse_bytes(text).map(Value::Bytes).ok_or_else(invalid),
        DataType::Date => timestamp(text).map(|it| Value::Int(it.day)).ok_or_else(invalid),
        DataType::Timestamp => timestamp(text).map(|it| Value::Int(it.clock)).ok_or_else(invalid),
        DataType::TimestampTz => timestamp(text).and_then(Written::instant).map(Value::Int).ok_or_else(invalid),
    }
}

/// The value a JSON value stands for in a column of `data_type`, or what is wrong with it. Numbers are read digit by
/// digit, never through a float, unless the column is one.
pub(crate) fn parse_json(json: &str, data_type: DataType) -> Result<Value, String> {
    let invalid = || format!("invalid input for type {data_type}: {}", shorten(json));
    let numeric = matches!(data_type, DataType::Int32 | DataType::Int64 | DataType::Float64 | DataType::Decimal { .. });
    match json.as_bytes().first() {
        Some(b'n') => Ok(Value::Null),
        Some(b't') if data_type == DataType::Boolean => Ok(Value::Boolean(true)),
        Some(b'f') if data_type == DataType::Boolean => Ok(Value::Boolean(false)),
        Some(b'"') => parse_text(&unquote(json).ok_or_else(invalid)?, data_type),
        Some(b'-' | b'0'..=b'9') if numeric => parse_text(json, data_type),
        _ => Err(invalid()),
    }
}

/// The text of a JSON string literal.
pub(crate) fn unquote(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

fn parse_bytes(text: &str) -> Option<Vec<u8>> {
    hex::read(text.strip_prefix("\\x")?)
}

// An error message must not repeat a megabyte of input.
fn shorten(text: &str) -> String {
    if text.len() <= 80 { text.into() } else { format!("{}…", &text[..text.floor_char_boundary(80)]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONEY: DataType = DataType::Decimal { precision: 10, scale: 2 };

    #[test]
    fn values_are_read_exactly() {
        let cases = [
            ("9223372036854775807", DataType::Int64, Value::Int(i64::MAX)),
            ("1.5", MONEY, Value::Decimal(150)),
            ("-.05", MONEY, Value::Decimal(-5)),
            ("1e3", MONEY, Value::Decimal(100_000)),
            ("1.500", MONEY, Value::Decimal(150)),
            ("0e99999", MONEY, Value::Decimal(0)),
            ("NaN", DataType::Text, Value::Text("NaN".into())),
            ("\\x00fF", DataType::Bytes, Value::Bytes(vec![0, 255])),
            ("1970-01-02", DataType::Date, Value::Int(1)),
            ("t", DataType::Boolean, Value::Boolean(true)),
            ("off", DataType::Boolean, Value::Boolean(false)),
            ("1970-01-02T23:00:00+02:00", DataType::Date, Value::Int(1)),
            ("1970-01-01T00:00:01+02:00", DataType::Timestamp, Value::Int(1_000_000)),
            ("1970-01-01T02:00:01+02:00", DataType::TimestampTz, Value::Int(1_000_000)),
        ];
        for (text, data_type, expected) in cases {
            assert_eq!(parse_text(text, data_type), Ok(expected), "{text}");
        }
        assert_eq!(parse_json("9007199254740993", DataType::Int64), Ok(Value::Int(9_007_199_254_740_993)));
        assert_eq!(parse_json("\"\\u00e9\"", DataType::Text), Ok(Value::Text("é".into())));
        assert_eq!(parse_json("null", DataType::Int64), Ok(Value::Null));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let cases = [
            ("1.5", DataType::Int64),
            ("", DataType::Int64),
            ("9223372036854775808", DataType::Int64),
            ("2147483648", DataType::Int32),
            ("1.555", MONEY),
            ("1e99999999999", MONEY),
            ("1e9999", MONEY),
            ("123456789.00", MONEY),
            (".", MONEY),
            ("x", DataType::Float64),
            ("\\x0", DataType::Bytes),
            ("ff", DataType::Bytes),
            ("yes?", DataType::Boolean),
        ];
        for (text, data_type) in cases {
            assert!(parse_text(text, data_type).is_err(), "{text} {data_type}");
        }
        for json in ["{}", "[1]", "true", "1"] {
            assert!(parse_json(json, DataType::Text).is_err(), "{json}");
        }
        let long = "9".repeat(100_000);
        assert!(parse_text(&long, MONEY).unwrap_err().len() < 200);
    }
}
