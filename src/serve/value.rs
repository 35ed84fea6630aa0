//! Values as clients write them: text in paths and filters, JSON in bodies; typed by the column they are for.

use super::{calendar, hex};
use crate::change::{DataType, Value, pow10};

/// The value `text` stands for in a column of `data_type`, or what is wrong with it.
pub(crate) fn parse_text(text: &str, data_type: DataType) -> Result<Value, String> {
    let invalid = || format!("invalid input for type {data_type}: \"{}\"", shorten(text));
    let out_of_range = || format!("\"{}\" is out of range for type {data_type}", shorten(text));
    match data_type {
        DataType::Boolean => match text {
            "true" | "t" | "1" => Ok(Value::Boolean(true)),
            "false" | "f" | "0" => Ok(Value::Boolean(false)),
            _ => Err(invalid()),
        },
        DataType::Int32 | DataType::Int64 => {
            let value: i128 = text.parse().map_err(|_| invalid())?;
            let fits = if data_type == DataType::Int32 { i32::try_from(value).is_ok() } else { true };
            i64::try_from(value).ok().filter(|_| fits).map(Value::Int).ok_or_else(out_of_range)
        }
        DataType::Float64 => text.parse().map(Value::Float).map_err(|_| invalid()),
        DataType::Decimal { precision, scale } => {
            let value = parse_decimal(text, scale).ok_or_else(invalid)?;
            let fits = value.unsigned_abs() < pow10(precision).unsigned_abs();
            if fits { Ok(Value::Decimal(value)) } else { Err(out_of_range()) }
        }
        DataType::Text => Ok(Value::Text(text.into())),
        DataType::Bytes => parse_bytes(text).map(Value::Bytes).ok_or_else(invalid),
        DataType::Date => calendar::parse_date(text).map(Value::Int).ok_or_else(invalid),
        DataType::Timestamp | DataType::TimestampTz => {
            calendar::parse_timestamp(text).map(Value::Int).ok_or_else(invalid)
        }
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

/// `text` as a count of 10^-`scale` units; `None` when it is no number, too long, or has more digits than fit.
fn parse_decimal(text: &str, scale: u8) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (&digits[..at], digits[at + 1..].parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = |it: &str| it.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let shift = i64::from(scale) + i64::from(exponent) - fraction.len() as i64;
    if value != 0 {
        for _ in 0..shift.clamp(0, 40) {
            value = value.checked_mul(10)?;
        }
        for _ in 0..(-shift).clamp(0, 40) {
            // Digits that the column cannot hold are refused, not rounded: the comparison would be a different one.
            value = (value % 10 == 0).then_some(value / 10)?;
        }
    }
    Some(if negative { -value } else { value })
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
