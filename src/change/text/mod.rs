//! Values as text and as bare numbers: the one place where they are read, rounded, held against their limits and written.
//!
//! Pure functions that know no source, no protocol and no query: rows of sources, filters, parameters and casts are
//! read by the same code. Its rules are those of PostgreSQL's input functions; where the programs that own the data
//! write more than PostgreSQL takes, a reader is told so by [`Rules`]. A form that could mean two things is never
//! guessed. What a caller decides (whether digits may be rounded away, whether an offset moves the clock) it says in a
//! [`Manner`]; what it answers where there is no value is its own, out of a [`Fault`].
//!
//! | file | values |
//! |---|---|
//! | `calendar` | days of the calendar, and the units of time |
//! | `scan` | dates, clocks and offsets from the front of a text |
//! | `timestamp`, `worded` | whole texts of dates and times, with the month as a number or a word |
//! | `epoch` | dates and times from numbers |
//! | `moment` | dates and times back to text |
//! | `number` | truth values, integers and doubles, from text and back |
//! | `decimal`, `unscaled` | decimals, from text, numbers and integers of any size, and back |
//! | `bytes` | bytes as hexadecimal digits and base64, both ways |
//! | `json` | the pieces of JSON that values are made of |

pub(crate) mod bytes;
pub(crate) mod calendar;
pub(crate) mod decimal;
pub(crate) mod epoch;
pub(crate) mod json;
pub(crate) mod moment;
pub(crate) mod number;
pub(crate) mod scan;
pub(crate) mod timestamp;
pub(crate) mod unscaled;
mod worded;

use std::borrow::Cow;

use crate::change::{DataType, Datum};
use decimal::Excess;

/// Why a text is no value of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not read as one.
    Syntax,
    /// It reads as one, but there is none so large or so small, or no such day.
    Range,
    /// It is one but for digits that the type does not keep.
    Excess,
}

/// Whose texts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Literals: what PostgreSQL takes.
    Postgres,
    /// Data: what programs write.
    Programs,
}

/// What a reader of texts decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// What becomes of digits behind a decimal's scale.
    pub(crate) excess: Excess,
    /// Whether an offset moves the clock of a timestamp without a zone to UTC; PostgreSQL passes over it.
    pub(crate) moved: bool,
}

/// The value `text` stands for in a column of `data_type`, which is neither text nor bytes, as programs write it.
pub(crate) fn read(text: &str, data_type: DataType, manner: Manner) -> Result<Datum<'static>, Fault> {
    let written = || timestamp::timestamp(text).ok_or(Fault::Syntax);
    Ok(match data_type {
        DataType::Boolean => Datum::Boolean(number::boolean(text)?),
        DataType::Int32 => Datum::Int(number::narrow(number::integer(text)?)?),
        DataType::Int64 => Datum::Int(number::integer(text)?),
        DataType::Float64 => Datum::Float(number::double(text)?),
        DataType::Decimal { precision, scale } => {
            Datum::Decimal(decimal::parse(text, precision, scale, manner.excess)?)
        }
        // A day is the one its writer saw on the calendar.
        DataType::Date => Datum::Int(timestamp::date(text).ok_or(Fault::Syntax)?),
        DataType::Timestamp if !manner.moved => Datum::Int(written()?.clock),
        DataType::Timestamp | DataType::TimestampTz => Datum::Int(written()?.instant().ok_or(Fault::Range)?),
        DataType::Text | DataType::Bytes => unreachable!("texts and bytes are taken as they are"),
    })
}

/// Without the white space around it.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(|it: char| u8::try_from(it).is_ok_and(is_space))
}

/// C's white space, which PostgreSQL passes over.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The beginning of `text`: a message must not repeat a megabyte of input.
pub(crate) fn shortened(text: &str) -> Cow<'_, str> {
    const SHOWN: usize = 80;
    if text.len() <= SHOWN { text.into() } else { format!("{}…", &text[..text.floor_char_boundary(SHOWN)]).into() }
}

/// What `write` appends, as a text of its own.
pub(crate) fn text_of(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).expect("values are written as UTF-8")
}
