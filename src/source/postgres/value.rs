//! From the text of a value, as PostgreSQL writes it, to a cell; where there is no such cell, an error that names it.

use std::borrow::Cow;

use super::types::Form;
use crate::change::text::bytes::read_hex;
use crate::change::text::decimal::Excess;
use crate::change::text::{self, Manner, shortened};
use crate::change::{Column, DataType, Datum};

/// Nothing is rounded away, and there is no clock to move: the sessions run in UTC.
const MANNER: Manner = Manner { excess: Excess::Refused, moved: false };

/// A cell, and what had to be made for it.
#[derive(Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Datum(Datum<'a>),
    Bytes(Vec<u8>),
    Error(String),
}

impl Cell<'_> {
    pub(super) fn as_datum(&self) -> Datum<'_> {
        match self {
            Cell::Datum(it) => *it,
            Cell::Bytes(it) => Datum::Bytes(it),
            Cell::Error(it) => Datum::Error(it),
        }
    }
}

/// The cell of `column` for a value written as `text` in `form`; `is_key` when it is part of the key. An error in a key
/// holds the whole value, so that different keys stay different.
pub(super) fn cell<'a>(text: Option<&'a [u8]>, form: Form, column: &Column, is_key: bool) -> Cell<'a> {
    let Some(bytes) = text else {
        return match column.nullable {
            true => Cell::Datum(Datum::Null),
            false => Cell::Error(format!("column {:?} is NULL, and is declared NOT NULL", column.name)),
        };
    };
    let read = std::str::from_utf8(bytes).ok().and_then(|text| read(text, form, column.data_type));
    read.unwrap_or_else(|| {
        let whole = String::from_utf8_lossy(bytes);
        let shown = if is_key { Cow::Borrowed(&*whole) } else { shortened(&whole) };
        Cell::Error(format!("column {:?}: {shown:?} is no {}", column.name, column.data_type))
    })
}

fn read(text: &str, form: Form, data_type: DataType) -> Option<Cell<'_>> {
    Some(match (form, data_type) {
        (Form::Boolean, DataType::Text) => Cell::Datum(Datum::Text(if text == "t" { "true" } else { "false" })),
        (Form::Bytes, DataType::Bytes) => Cell::Bytes(read_hex(text.strip_prefix("\\x")?).ok()?),
        (Form::Padded, DataType::Text) => Cell::Datum(Datum::Text(text.trim_end_matches(' '))),
        (_, DataType::Text) => Cell::Datum(Datum::Text(text)),
        (_, DataType::Bytes) => return None,
        (Form::Moment, _) if text.ends_with(" BC") => {
            Cell::Datum(text::read(&before_christ(text)?, data_type, MANNER).ok()?)
        }
        _ => Cell::Datum(text::read(text, data_type, MANNER).ok()?),
    })
}

/// A date before the first year, with the year as ISO 8601 counts it: the one before 1 is 0.
fn before_christ(text: &str) -> Option<String> {
    let text = text.strip_suffix(" BC")?;
    let (year, rest) = text.split_once('-')?;
    let year: u32 = year.parse().ok()?;
    Some(format!("-{:06}-{rest}", year.checked_sub(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(text: &str, form: Form, data_type: DataType) -> Datum<'_> {
        match cell(Some(text.as_bytes()), form, &Column::new("c", data_type), false) {
            Cell::Datum(it) => it,
            Cell::Bytes(it) => panic!("bytes {it:?}"),
            Cell::Error(_) => Datum::Error("error"),
        }
    }

    #[test]
    fn values_are_read_as_postgresql_writes_them() {
        const DAY: i64 = 86_400_000_000;
        let decimal = DataType::Decimal { precision: 10, scale: 2 };
        let error = Datum::Error("error");
        for (text, form, data_type, expected) in [
            ("t", Form::Boolean, DataType::Boolean, Datum::Boolean(true)),
            ("f", Form::Boolean, DataType::Text, Datum::Text("false")),
            ("-7", Form::Plain, DataType::Int32, Datum::Int(-7)),
            ("1e+30", Form::Plain, DataType::Float64, Datum::Float(1e30)),
            ("-Infinity", Form::Plain, DataType::Float64, Datum::Float(f64::NEG_INFINITY)),
            ("99.99", Form::Plain, decimal, Datum::Decimal(9999)),
            ("NaN", Form::Plain, decimal, error),
            ("Infinity", Form::Plain, decimal, error),
            ("1.005", Form::Plain, decimal, error),
            ("123456789.00", Form::Plain, decimal, error),
            ("a  ", Form::Padded, DataType::Text, Datum::Text("a")),
            ("a  ", Form::Plain, DataType::Text, Datum::Text("a  ")),
            ("{1,NULL,3}", Form::Plain, DataType::Text, Datum::Text("{1,NULL,3}")),
            ("1970-01-02", Form::Moment, DataType::Date, Datum::Int(1)),
            ("0001-01-01 BC", Form::Moment, DataType::Date, Datum::Int(-719_528)),
            ("1970-01-02 00:00:00.5", Form::Moment, DataType::Timestamp, Datum::Int(DAY + 500_000)),
            ("1970-01-02 00:00:00+00", Form::Moment, DataType::TimestampTz, Datum::Int(DAY)),
            ("0044-03-15 12:00:00+00 BC", Form::Moment, DataType::TimestampTz, Datum::Int(-63_517_780_800_000_000)),
            ("infinity", Form::Moment, DataType::Timestamp, error),
            ("-infinity", Form::Moment, DataType::Date, error),
        ] {
            assert_eq!(read_as(text, form, data_type), expected, "{text}");
        }
        let bytes = cell(Some(b"\\x00ff"), Form::Bytes, &Column::new("c", DataType::Bytes), false);
        assert_eq!(bytes, Cell::Bytes(vec![0, 255]));
    }

    #[test]
    fn what_has_no_cell_is_named() {
        let column = Column::new("price", DataType::Decimal { precision: 4, scale: 2 });
        let Cell::Error(text) = cell(Some(b"NaN"), Form::Plain, &column, false) else { panic!("no error") };
        assert_eq!(text, "column \"price\": \"NaN\" is no numeric(4,2)");
        let long = "9".repeat(100);
        let Cell::Error(shown) = cell(Some(long.as_bytes()), Form::Plain, &column, false) else { panic!("no error") };
        let Cell::Error(whole) = cell(Some(long.as_bytes()), Form::Plain, &column, true) else { panic!("no error") };
        assert!(shown.len() < whole.len() && whole.contains(&long));
        let told = cell(None, Form::Plain, &Column { nullable: false, ..column }, false);
        assert_eq!(told, Cell::Error("column \"price\" is NULL, and is declared NOT NULL".into()));
    }
}
