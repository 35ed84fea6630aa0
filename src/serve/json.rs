//! Values as JSON text, written straight from rows.
//!
//! Integers and decimals are number literals with all their digits, so that 2⁵³ + 1 and 0.10 survive; floats have the
//! fewest digits that read back as the same float; what JSON numbers cannot say (NaN, ±Infinity) is a string.

use crate::change::text::bytes::write_hex;
use crate::change::text::decimal;
use crate::change::text::moment::{Style, write_date, write_timestamp};
use crate::change::{DataType, Datum};

/// Appends one value. An error cell is not written: its message comes back.
pub(crate) fn write_datum<'a>(datum: Datum<'a>, data_type: DataType, out: &mut Vec<u8>) -> Result<(), &'a str> {
    match datum {
        Datum::Null => out.extend_from_slice(b"null"),
        Datum::Error(message) => return Err(message),
        Datum::Boolean(it) => out.extend_from_slice(if it { b"true" } else { b"false" }),
        Datum::Int(it) => match data_type {
            DataType::Date => quoted(out, |out| write_date(it, Style::Iso, out)),
            DataType::Timestamp => quoted(out, |out| write_timestamp(it, Style::Iso, "", out)),
            DataType::TimestampTz => quoted(out, |out| write_timestamp(it, Style::Iso, "Z", out)),
            _ => write_int(it, out),
        },
        Datum::Float(it) => write_float(it, out),
        Datum::Decimal(it) => match data_type {
            DataType::Decimal { scale, .. } => decimal::write(it, scale, out),
            _ => decimal::write(it, 0, out),
        },
        Datum::Text(it) => write_text(it, out),
        Datum::Bytes(it) => write_bytes(it, out),
    }
    Ok(())
}

/// Appends an integer.
pub(crate) fn write_int(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a float.
pub(crate) fn write_float(value: f64, out: &mut Vec<u8>) {
    match not_finite(value) {
        Some(text) => out.extend_from_slice(text),
        // Writing to a Vec cannot fail, and the value is finite.
        None => _ = serde_json::to_writer(out, &value),
    }
}

/// What stands for a value that no JSON number can say.
fn not_finite(value: f64) -> Option<&'static [u8]> {
    match value {
        f64::INFINITY => Some(b"\"Infinity\""),
        f64::NEG_INFINITY => Some(b"\"-Infinity\""),
        it if it.is_nan() => Some(b"\"NaN\""),
        _ => None,
    }
}

/// Appends a string.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    // Most texts need no escapes. To know it of all bytes at once is cheaper than to go from one to the next.
    let is_plain = text.bytes().fold(true, |plain, it| plain & (it >= b' ') & (it != b'"') & (it != b'\\'));
    if is_plain {
        return quoted(out, |out| out.extend_from_slice(text.as_bytes()));
    }
    // Writing to a Vec cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Appends bytes as PostgreSQL's hex form.
pub(crate) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"\\\\x");
    write_hex(bytes, out);
    out.push(b'"');
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(datum: Datum<'_>, data_type: DataType) -> String {
        let mut out = Vec::new();
        write_datum(datum, data_type, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_keep_all_their_digits() {
        let money = DataType::Decimal { precision: 38, scale: 2 };
        let cases = [
            (Datum::Int(9_007_199_254_740_993), DataType::Int64, "9007199254740993"),
            (Datum::Int(i64::MIN), DataType::Int64, "-9223372036854775808"),
            (Datum::Decimal(10), money, "0.10"),
            (Datum::Decimal(-5), money, "-0.05"),
            (Datum::Decimal(0), money, "0.00"),
            (Datum::Decimal(i128::MIN), money, "-1701411834604692317316873037158841057.28"),
            (Datum::Decimal(12345), DataType::Decimal { precision: 9, scale: 0 }, "12345"),
            (
                Datum::Decimal(1),
                DataType::Decimal { precision: 38, scale: 38 },
                "0.00000000000000000000000000000000000001",
            ),
            (Datum::Float(0.1 + 0.2), DataType::Float64, "0.30000000000000004"),
            (Datum::Float(5e-324), DataType::Float64, "5e-324"),
            (Datum::Float(f64::NAN), DataType::Float64, "\"NaN\""),
            (Datum::Float(f64::NEG_INFINITY), DataType::Float64, "\"-Infinity\""),
            (Datum::Text("a\"\\\n\u{1}é\u{2028}"), DataType::Text, "\"a\\\"\\\\\\n\\u0001é\u{2028}\""),
            (Datum::Bytes(&[0, 0xAB]), DataType::Bytes, "\"\\\\x00ab\""),
            (Datum::Int(20_000), DataType::Date, "\"2024-10-04\""),
            (Datum::Int(0), DataType::TimestampTz, "\"1970-01-01T00:00:00Z\""),
            (Datum::Boolean(false), DataType::Boolean, "false"),
            (Datum::Null, DataType::Text, "null"),
        ];
        for (datum, data_type, expected) in cases {
            assert_eq!(json(datum, data_type), expected);
            serde_json::from_str::<serde_json::Value>(expected).unwrap();
        }
    }

    #[test]
    fn an_error_cell_is_no_value() {
        assert_eq!(write_datum(Datum::Error("1 / 0"), DataType::Int64, &mut Vec::new()), Err("1 / 0"));
    }
}
