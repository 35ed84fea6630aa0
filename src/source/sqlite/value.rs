//! From a stored value to a typed cell: read by the rules of the column's type, or an error cell that says what to do.
//!
//! SQLite lets any value into almost any column, so a cell takes every stored form that means one value of its type:
//!
//! | type | what is taken |
//! |---|---|
//! | boolean | 0, 1 and -1; as text what PostgreSQL takes (t, true, yes, on, 1 …); a blob of one byte 0 or 1 |
//! | integer, bigint | integers, reals without a fraction, both also as text |
//! | double precision | reals, integers up to 2^53, both also as text |
//! | numeric(p, s) | numbers, also as text, rounded to s digits; at most p digits |
//! | text | text; numbers as JSON writes them, blobs as `\x…` |
//! | bytea | blobs, and the bytes of text |
//! | date, timestamp, timestamptz | text in the forms of `change::text::timestamp`, numbers by `change::text::epoch` |
//!
//! What carries an offset is its instant in UTC, as SQLite's own functions take it. In a key column only the type's
//! own spelling of a value is taken, so that different keys stay different; the text of an error holds the whole value.

use std::fmt::Write;

use rusqlite::types::ValueRef;

use crate::change::text::bytes::write_hex;
use crate::change::text::calendar::split;
use crate::change::text::decimal::{self, Excess};
use crate::change::text::number::{double, integer};
use crate::change::text::timestamp::plain_date;
use crate::change::text::{self, Manner, epoch, text_of};
use crate::change::{Column, DataType, Datum};

/// Error texts of cells outside keys show this much of a value.
const SHOWN: usize = 64;
/// Integers up to here are doubles without loss.
const DENSE: u64 = 1 << 53;

/// Data is rounded to what the column holds, as PostgreSQL does on input; what carries an offset is its instant in UTC, as
/// SQLite's own functions take it.
const STORED: Manner = Manner { excess: Excess::Rounded, moved: true };

/// What a column is for, which decides how much freedom its values have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A column that rows show.
    Shown,
    /// A part of the key that rows show.
    Key,
    /// The same, in a column where SQLite makes a number of every text that is one, so that 1 and '1' never meet.
    KeyOfNumbers,
    /// A part of the key that nobody sees.
    HiddenKey,
}

/// The cell of `column` for a stored value. What has to be written for it, an error's text too, is kept in `scratch`.
pub(super) fn cell<'a>(value: ValueRef<'a>, column: &Column, role: Role, scratch: &'a mut String) -> Datum<'a> {
    let exact = match value {
        ValueRef::Null => column.nullable.then_some(Datum::Null),
        _ => own_spelling(value, column.data_type),
    };
    if let Some(datum) = exact {
        return datum;
    }
    scratch.clear();
    if column.data_type == DataType::Text && write_text(value, role, scratch) {
        return Datum::Text(scratch);
    }
    let read = if role == Role::Shown { read(value, column.data_type) } else { None };
    read.unwrap_or_else(|| {
        describe(value, column, role, scratch);
        Datum::Error(scratch)
    })
}

/// The value in the one form in which different stored values are different values of the type.
fn own_spelling(value: ValueRef<'_>, data_type: DataType) -> Option<Datum<'_>> {
    match (data_type, value) {
        (DataType::Int64, ValueRef::Integer(it)) => Some(Datum::Int(it)),
        (DataType::Text, ValueRef::Text(it)) => {
            std::str::from_utf8(it).ok().filter(|it| !is_marked(it)).map(Datum::Text)
        }
        (DataType::Float64, ValueRef::Real(it)) => Some(Datum::Float(it)),
        (DataType::Float64, ValueRef::Integer(it)) => (it.unsigned_abs() <= DENSE).then_some(Datum::Float(it as f64)),
        (DataType::Boolean, ValueRef::Integer(it @ (0 | 1))) => Some(Datum::Boolean(it == 1)),
        (DataType::Int32, ValueRef::Integer(it)) => i32::try_from(it).is_ok().then_some(Datum::Int(it)),
        (DataType::Decimal { precision, scale }, ValueRef::Integer(it)) => {
            decimal::from_integer(it, precision, scale).ok().map(Datum::Decimal)
        }
        (DataType::Decimal { precision, scale }, ValueRef::Real(it)) => {
            decimal::exact_from_float(it, scale).and_then(|it| decimal::fit(it, precision).ok()).map(Datum::Decimal)
        }
        (DataType::Bytes, ValueRef::Blob(it)) => Some(Datum::Bytes(it)),
        (DataType::Date, ValueRef::Text(it)) => std::str::from_utf8(it).ok().and_then(plain_date).map(Datum::Int),
        _ => None,
    }
}

/// The value in any other form that means one value of the type.
fn read(value: ValueRef<'_>, data_type: DataType) -> Option<Datum<'_>> {
    if let ValueRef::Text(bytes) = value {
        return match data_type {
            DataType::Bytes => Some(Datum::Bytes(bytes)),
            _ => read_text(std::str::from_utf8(bytes).ok()?, data_type),
        };
    }
    match (data_type, value) {
        (DataType::Boolean, ValueRef::Integer(-1)) | (DataType::Boolean, ValueRef::Blob([1])) => {
            Some(Datum::Boolean(true))
        }
        (DataType::Boolean, ValueRef::Blob([0])) => Some(Datum::Boolean(false)),
        (DataType::Boolean | DataType::Int32 | DataType::Int64, ValueRef::Real(it)) => {
            let whole = it.fract() == 0.0 && it.abs() <= DENSE as f64;
            whole.then_some(ValueRef::Integer(it as i64)).and_then(|it| own_spelling(it, data_type))
        }
        (DataType::Decimal { precision, scale }, ValueRef::Real(it)) => {
            decimal::from_float(it, precision, scale).ok().map(Datum::Decimal)
        }
        (DataType::Date | DataType::Timestamp | DataType::TimestampTz, ValueRef::Integer(it)) => {
            epoch::from_integer(it).map(|it| instant(it, data_type))
        }
        (DataType::Date | DataType::Timestamp | DataType::TimestampTz, ValueRef::Real(it)) => {
            epoch::from_float(it).map(|it| instant(it, data_type))
        }
        _ => None,
    }
}

fn read_text(text: &str, data_type: DataType) -> Option<Datum<'static>> {
    match (text::read(text, data_type, STORED), data_type) {
        (Ok(datum), _) => Some(datum),
        (Err(_), DataType::Date | DataType::Timestamp | DataType::TimestampTz) => {
            number(text).map(|it| instant(it, data_type))
        }
        (Err(_), _) => None,
    }
}

/// An instant in microseconds as a cell.
fn instant(micros: i64, data_type: DataType) -> Datum<'static> {
    Datum::Int(if data_type == DataType::Date { split(micros).0 } else { micros })
}

/// The instant of a number that a column of text kept as text.
fn number(text: &str) -> Option<i64> {
    if let Ok(integer) = integer(text) {
        return epoch::from_integer(integer);
    }
    let plain = text::trimmed(text).bytes().all(|it| it.is_ascii_digit() || matches!(it, b'.' | b'-' | b'+'));
    double(text).ok().filter(|_| plain).and_then(epoch::from_float)
}

/// Begins the hidden text of a value that is no text.
const MARK: char = '\0';

fn is_marked(text: &str) -> bool {
    text.starts_with(MARK)
}

/// Writes the text of a value that is no plain text. In a hidden key it is marked, so that 1 and '1' stay two keys.
fn write_text(value: ValueRef<'_>, role: Role, out: &mut String) -> bool {
    let is_taken = match (role, value) {
        (Role::Shown | Role::HiddenKey, _) | (Role::Key | Role::KeyOfNumbers, ValueRef::Text(_)) => true,
        (Role::KeyOfNumbers, ValueRef::Integer(_)) => true,
        (Role::KeyOfNumbers, ValueRef::Real(it)) => it.is_finite(),
        _ => false,
    };
    if !is_taken {
        return false;
    }
    if role == Role::HiddenKey {
        out.push(MARK);
    }
    // Writing to a string cannot fail.
    let _ = match value {
        ValueRef::Null => return false,
        ValueRef::Integer(it) => write!(out, "{it}"),
        ValueRef::Real(it) if it.is_infinite() => out.write_str(if it > 0.0 { "Infinity" } else { "-Infinity" }),
        ValueRef::Real(it) => write!(out, "{it:?}"),
        ValueRef::Text(it) => match std::str::from_utf8(it) {
            Ok(text) => out.write_str(text),
            Err(_) => return false,
        },
        ValueRef::Blob(it) => out.write_str("\\x").map(|()| hex(it, usize::MAX, out)),
    };
    true
}

/// What is taken, in words, of which [`read`] and [`own_spelling`] are the rules.
fn taken(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "0, 1, true, false, t, f, yes, no, y, n, on and off",
        DataType::Int32 => "integers from -2147483648 to 2147483647, also as text",
        DataType::Int64 => "integers, also as text",
        DataType::Float64 => "reals and integers up to 2^53, also as text",
        DataType::Decimal { .. } => "numbers whose digits before the point fit, also as text",
        DataType::Text => "text in UTF-8",
        DataType::Bytes => "blobs and text",
        DataType::Date | DataType::Timestamp | DataType::TimestampTz => {
            "2026-11-22, 2026-11-22 21:26:35.123456, the same with T, Z, UTC or +02:00, \
             and seconds, milliseconds, microseconds or nanoseconds since 1970"
        }
    }
}

fn describe(value: ValueRef<'_>, column: &Column, role: Role, out: &mut String) {
    let limit = if role == Role::Shown { SHOWN } else { usize::MAX };
    out.clear();
    // Writing to a string cannot fail.
    let _ = write!(out, "column {:?}: ", column.name);
    let _ = match value {
        ValueRef::Null => {
            let _ = write!(out, "NULL in a column declared NOT NULL; leave NOT NULL out of its CREATE TABLE");
            return;
        }
        ValueRef::Integer(it) => write!(out, "integer {it}"),
        ValueRef::Real(it) => write!(out, "real {it:?}"),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => quote(text, limit, out),
            Err(_) => {
                write!(out, "text that is not UTF-8, x'").map(|()| hex(bytes, limit, out)).map(|()| out.push('\''))
            }
        },
        ValueRef::Blob(bytes) => write!(out, "blob x'").map(|()| hex(bytes, limit, out)).map(|()| out.push('\'')),
    };
    let _ = write!(out, " is no {}", column.data_type);
    let _ = match role {
        Role::Shown => write!(out, " (taken are {})", taken(column.data_type)),
        Role::Key | Role::KeyOfNumbers | Role::HiddenKey => {
            write!(out, " as a key, of which only the plainest form is taken")
        }
    };
    let other = if column.data_type == DataType::Text { "bytea" } else { "text" };
    let name = &column.name;
    let _ = write!(out, "; correct it at its source, or declare it: CREATE TABLE … (…, {name} {other}, …) FROM …");
}

fn quote(text: &str, limit: usize, out: &mut String) -> std::fmt::Result {
    match text.char_indices().nth(limit) {
        None => write!(out, "text {text:?}"),
        Some((end, _)) => write!(out, "text {:?}… ({} bytes)", &text[..end], text.len()),
    }
}

fn hex(bytes: &[u8], limit: usize, out: &mut String) {
    out.push_str(&text_of(|out| write_hex(&bytes[..bytes.len().min(limit)], out)));
    out.push_str(if bytes.len() > limit { "…" } else { "" });
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: DataType = DataType::Decimal { precision: 10, scale: 2 };

    fn shown(value: ValueRef<'_>, data_type: DataType, role: Role) -> String {
        let mut scratch = String::new();
        match cell(value, &Column::new("c", data_type), role, &mut scratch) {
            Datum::Error(_) => "error".into(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_form_that_means_one_value_is_taken() {
        let noon = "Int(1714564800000000)";
        for (data_type, value, expected) in [
            (DataType::Boolean, ValueRef::Integer(1), "Boolean(true)"),
            (DataType::Boolean, ValueRef::Integer(-1), "Boolean(true)"),
            (DataType::Boolean, ValueRef::Integer(2), "error"),
            (DataType::Boolean, ValueRef::Real(0.0), "Boolean(false)"),
            (DataType::Boolean, ValueRef::Text(b"t"), "Boolean(true)"),
            (DataType::Boolean, ValueRef::Text(b"False"), "Boolean(false)"),
            (DataType::Boolean, ValueRef::Text(b"maybe"), "error"),
            (DataType::Boolean, ValueRef::Blob(b"\x01"), "Boolean(true)"),
            (DataType::Int64, ValueRef::Integer(1 << 40), "Int(1099511627776)"),
            (DataType::Int64, ValueRef::Real(5.0), "Int(5)"),
            (DataType::Int64, ValueRef::Real(5.5), "error"),
            (DataType::Int64, ValueRef::Text(b" 42 "), "Int(42)"),
            (DataType::Int64, ValueRef::Text(b""), "error"),
            (DataType::Int32, ValueRef::Integer(1 << 40), "error"),
            (DataType::Float64, ValueRef::Text(b"1.5e3"), "Float(1500.0)"),
            (DataType::Float64, ValueRef::Integer((1 << 53) + 1), "error"),
            (PRICE, ValueRef::Real(19.99), "Decimal(1999)"),
            (PRICE, ValueRef::Real(0.1 + 0.2), "Decimal(30)"),
            (PRICE, ValueRef::Real(1.005), "Decimal(101)"),
            (PRICE, ValueRef::Integer(7), "Decimal(700)"),
            (PRICE, ValueRef::Text(b"1.2345"), "Decimal(123)"),
            (PRICE, ValueRef::Text(b"1,50"), "error"),
            (PRICE, ValueRef::Real(123_456_789.0), "error"),
            (DataType::Text, ValueRef::Integer(42), "Text(\"42\")"),
            (DataType::Text, ValueRef::Real(100.0), "Text(\"100.0\")"),
            (DataType::Text, ValueRef::Blob(b"ab"), "Text(\"\\\\x6162\")"),
            (DataType::Text, ValueRef::Text(b"\0a"), "Text(\"\\0a\")"),
            (DataType::Text, ValueRef::Text(b"\xff"), "error"),
            (DataType::Bytes, ValueRef::Text(b"\xff"), "Bytes([255])"),
            (DataType::Bytes, ValueRef::Integer(1), "error"),
            (DataType::Date, ValueRef::Text(b"2024-05-01"), "Int(19844)"),
            (DataType::Date, ValueRef::Text(b"2024-05-01 23:00:00-02:00"), "Int(19844)"),
            (DataType::Date, ValueRef::Integer(20_240_501), "Int(19844)"),
            (DataType::Date, ValueRef::Integer(1_714_564_800_000), "Int(19844)"),
            (DataType::Date, ValueRef::Integer(2024), "error"),
            (DataType::Timestamp, ValueRef::Text(b"2024-05-01T14:00:00+02:00"), noon),
            (DataType::Timestamp, ValueRef::Integer(1_714_564_800), noon),
            (DataType::TimestampTz, ValueRef::Integer(1_714_564_800_000), noon),
            (DataType::TimestampTz, ValueRef::Real(1_714_564_800.5), "Int(1714564800500000)"),
            (DataType::TimestampTz, ValueRef::Text(b"1714564800"), noon),
            (DataType::TimestampTz, ValueRef::Text(b"1714564800.0"), noon),
            (DataType::TimestampTz, ValueRef::Text(b"2024-05-01 12:00:00"), noon),
            (DataType::TimestampTz, ValueRef::Text(b"2024"), "error"),
            (DataType::TimestampTz, ValueRef::Blob(b"2024-05-01"), "error"),
            (DataType::Text, ValueRef::Null, "Null"),
        ] {
            assert_eq!(shown(value, data_type, Role::Shown), expected, "{value:?} as {data_type}");
        }
    }

    /// Values that SQLite holds apart in one column, of which some would be one cell outside a key.
    #[test]
    fn different_keys_stay_different() {
        let groups: [(DataType, &[ValueRef<'_>]); 4] = [
            (
                DataType::Text,
                &[
                    ValueRef::Text(b"1"),
                    ValueRef::Integer(1),
                    ValueRef::Blob(b"1"),
                    ValueRef::Text(b"\x001"),
                    ValueRef::Text(b"\0\x001"),
                    ValueRef::Text(b"\\x31"),
                    ValueRef::Text(b"\xff"),
                ],
            ),
            (
                DataType::Date,
                &[ValueRef::Text(b"2024-05-01"), ValueRef::Text(b"2024-5-1"), ValueRef::Integer(20_240_501)],
            ),
            (
                DataType::Boolean,
                &[ValueRef::Integer(1), ValueRef::Text(b"t"), ValueRef::Text(b"true"), ValueRef::Integer(-1)],
            ),
            (PRICE, &[ValueRef::Real(1.5), ValueRef::Real(1.501), ValueRef::Real(1.502), ValueRef::Text(b"x")]),
        ];
        for (data_type, values) in groups {
            for role in [Role::Key, Role::HiddenKey] {
                let mut seen = std::collections::HashSet::new();
                for value in values {
                    let mut scratch = String::new();
                    let datum = cell(*value, &Column::new("c", data_type), role, &mut scratch);
                    assert!(seen.insert(format!("{datum:?}")), "{value:?} as {data_type} {role:?}: {datum:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_keys_as_text_where_no_text_is_a_number() {
        for (value, expected) in [
            (ValueRef::Integer(42), "Text(\"42\")"),
            (ValueRef::Real(1.5), "Text(\"1.5\")"),
            (ValueRef::Text(b"x"), "Text(\"x\")"),
            (ValueRef::Real(f64::INFINITY), "error"),
            (ValueRef::Blob(b"x"), "error"),
        ] {
            assert_eq!(shown(value, DataType::Text, Role::KeyOfNumbers), expected);
        }
        assert_eq!(shown(ValueRef::Integer(42), DataType::Text, Role::Key), "error");
    }

    #[test]
    fn an_error_says_what_was_found_what_is_taken_and_what_to_do() {
        let mut scratch = String::new();
        let at = Column::new("at", DataType::TimestampTz);
        let Datum::Error(text) = cell(ValueRef::Text(b"soon"), &at, Role::Shown, &mut scratch) else { panic!() };
        expect_test::expect![[r#"column "at": text "soon" is no timestamptz (taken are 2026-11-22, 2026-11-22 21:26:35.123456, the same with T, Z, UTC or +02:00, and seconds, milliseconds, microseconds or nanoseconds since 1970); correct it at its source, or declare it: CREATE TABLE … (…, at text, …) FROM …"#]]
            .assert_eq(text);
        let long = "é".repeat(1000);
        let Datum::Error(text) = cell(ValueRef::Text(long.as_bytes()), &at, Role::Shown, &mut scratch) else {
            panic!()
        };
        assert!(text.len() < 600, "{text}");
    }
}
