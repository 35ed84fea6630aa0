//! Values as clients write them: text in paths and filters, JSON in bodies; typed by the column they are for.

use crate::change::text::bytes::read_hex;
use crate::change::text::decimal::Excess;
use crate::change::text::json::Json;
use crate::change::text::{self, Fault, Manner, shortened};
use crate::change::{DataType, Datum, Value};

/// A literal is compared with, so that it has to be what the column can hold; an offset does not move a clock that has
/// no zone.
const LITERAL: Manner = Manner { excess: Excess::Refused, moved: false };

/// The value `text` stands for in a column of `data_type`, or what is wrong with it. It is read as PostgreSQL reads a
/// literal; digits that the column cannot hold are refused, not rounded: the comparison would be a different one.
pub(crate) fn parse_text(text: &str, data_type: DataType) -> Result<Value, String> {
    let invalid = || format!("invalid input for type {data_type}: \"{}\"", shortened(text));
    let out_of_range = || format!("\"{}\" is out of range for type {data_type}", shortened(text));
    match data_type {
        DataType::Text => Ok(Value::Text(text.into())),
        DataType::Bytes => parse_bytes(text).map(Value::Bytes).ok_or_else(invalid),
        _ => text::read(text, data_type, LITERAL).map(Datum::to_value).map_err(|fault| match fault {
            Fault::Range => out_of_range(),
            Fault::Syntax | Fault::Excess => invalid(),
        }),
    }
}

/// The value a JSON value stands for in a column of `data_type`, or what is wrong with it. Numbers are read digit by
/// digit, never through a float, unless the column is one.
pub(crate) fn parse_json(json: &str, data_type: DataType) -> Result<Value, String> {
    let invalid = || format!("invalid input for type {data_type}: {}", shortened(json));
    let numeric = matches!(data_type, DataType::Int32 | DataType::Int64 | DataType::Float64 | DataType::Decimal { .. });
    match Json::of(json).ok_or_else(invalid)? {
        Json::Null => Ok(Value::Null),
        Json::Boolean(it) if data_type == DataType::Boolean => Ok(Value::Boolean(it)),
        Json::Number(it) if numeric => parse_text(it, data_type),
        Json::Text(it) => parse_text(&it, data_type),
        Json::Boolean(_) | Json::Number(_) | Json::Nested(_) => Err(invalid()),
    }
}

fn parse_bytes(text: &str) -> Option<Vec<u8>> {
    read_hex(text.strip_prefix("\\x")?).ok()
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
