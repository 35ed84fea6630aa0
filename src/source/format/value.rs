//! From a value of an event, in JSON or in a binary format, to a typed cell: read by its encoding and the column's
//! declared type, or an error that says what was found and what to do.
//!
//! | type | what is taken |
//! |---|---|
//! | boolean | true, false, 0 and 1; texts that PostgreSQL takes (t, yes, on …); a single bit |
//! | integer, bigint | whole numbers, also as text; the bare number of an encoding in units of time; bits |
//! | double precision | numbers, also as text, NaN and Infinity too; decimals in any encoding |
//! | numeric(p, s) | numbers, also as text, and decimals in any encoding, rounded to s digits; at most p digits |
//! | text | texts as they are, other JSON as it is written; what an encoding says, as PostgreSQL writes it |
//! | bytea | texts in the encoding of bytes; bits |
//! | date, timestamp, timestamptz | texts in the forms of `change::text::timestamp`, a date with Z, numbers by encoding |
//!
//! What carries an offset is its instant in UTC; a point in time is a date by its day. In a key column nothing is rounded
//! or cut off, so that different keys stay different.

mod typed;

pub(crate) use typed::{Typed, quoted, typed_cell, write_json};

use std::borrow::Cow;

use serde::Deserialize;

use super::encoding::{Binary, Encoding, TIMESTAMP_UNIT, Unit};
use crate::change::text::bytes::{Alphabet, read_base64, read_hex};
use crate::change::text::calendar::{FIRST_DAY, SECOND, at, is_date, split};
use crate::change::text::decimal::{self, Excess};
use crate::change::text::json::Json;
use crate::change::text::moment::{Style, write_date, write_fraction, write_time, write_timestamp};
use crate::change::text::number::{double, integer, narrow};
use crate::change::text::unscaled::Unscaled;
use crate::change::text::{self, Fault, Manner, shortened, text_of};
use crate::change::{Column, DataType, Datum, Value};

/// What PostgreSQL's Java driver makes of `infinity` and `-infinity`: sent as it is, or taken for microseconds and sent in
/// another unit or as a text.
const INFINITIES: [(i64, &str); 2] =
    [(9_223_372_036_825_200_000, "infinity"), (-9_223_372_036_832_400_000, "-infinity")];
/// The day of the second one, which is before all of PostgreSQL's.
const NEGATIVE_INFINITY: &str = "-290308-12-21";

/// Longer columns of bits are taken for ones without a limit, whose values are as long as their bytes.
const MAX_BITS: usize = 65_536;

/// A cell: borrowed from the event, or made from it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    Is(Datum<'a>),
    Made(Value),
}

impl Cell<'_> {
    pub(crate) fn datum(&self) -> Datum<'_> {
        match self {
            Cell::Is(datum) => *datum,
            Cell::Made(value) => value.as_datum(),
        }
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Cell::Made(Value::Text(text))
    }
}

/// Why there is no cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The value does not fit the type.
    Fault(Fault),
    /// It is no value in this encoding.
    Encoding,
    /// It is infinite.
    Infinite,
    /// A number of which nobody told the unit.
    Unit,
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Trouble {
        Trouble::Fault(fault)
    }
}

const NO_VALUE: Trouble = Trouble::Fault(Fault::Syntax);

type Outcome<'a> = Result<Cell<'a>, Trouble>;

/// The cell of `column` for `json`, one value as it stands in an event. `is_key`: it is a part of the row's key.
pub(crate) fn cell<'a>(json: &'a str, encoding: Encoding, column: &Column, is_key: bool) -> Result<Cell<'a>, String> {
    let value = Json::of(json).ok_or_else(|| format!("column {:?}: no JSON: {}", column.name, shortened(json)))?;
    if value == Json::Null {
        return match column.nullable {
            true => Ok(Cell::Is(Datum::Null)),
            false => Err(format!("column {:?}: null in a column declared NOT NULL", column.name)),
        };
    }
    let reader = Reader { data_type: column.data_type, excess: if is_key { Excess::Refused } else { Excess::Rounded } };
    reader.read(value, encoding).map_err(|trouble| describe(trouble, json, Some(encoding), column))
}

/// A reader of the values of one column.
#[derive(Clone, Copy)]
struct Reader {
    data_type: DataType,
    excess: Excess,
}

impl Reader {
    fn read<'a>(self, value: Json<'a>, encoding: Encoding) -> Outcome<'a> {
        match (encoding, value) {
            (Encoding::Unscaled(scale), Json::Text(text)) => self.unscaled(&base64(&text)?, scale),
            (Encoding::Unscaled(_), Json::Nested(object)) => self.scaled(object),
            (Encoding::Days, Json::Number(number)) => self.count(number, |it| self.days(it)),
            (Encoding::Instant(unit), Json::Number(number)) => self.count(number, |it| self.instant(it, unit)),
            (Encoding::InstantOfUnknownUnit, Json::Number(_)) => Err(Trouble::Unit),
            (Encoding::Clock(unit), Json::Number(number)) => self.count(number, |it| self.clock(it, unit)),
            (Encoding::Bytes(binary), Json::Text(text)) => self.bytes(text, binary),
            (Encoding::Bits(length), Json::Text(text)) => self.bits(Cow::Owned(base64(&text)?), length),
            (_, value) => self.plain(value),
        }
    }

    /// A number of days or of units of time; in a column of numbers it is just a number.
    fn count<'a>(self, number: &str, read: impl FnOnce(i64) -> Outcome<'a>) -> Outcome<'a> {
        match integer(number) {
            Ok(count) => read(count),
            Err(fault) if self.takes_times() => Err(fault.into()),
            Err(_) => self.number(number),
        }
    }

    fn takes_times(self) -> bool {
        matches!(self.data_type, DataType::Date | DataType::Timestamp | DataType::TimestampTz | DataType::Text)
    }

    /// What JSON itself, or a text, says.
    fn plain<'a>(self, value: Json<'a>) -> Outcome<'a> {
        match (self.data_type, value) {
            (DataType::Text, Json::Text(Cow::Borrowed(it)) | Json::Number(it) | Json::Nested(it)) => {
                Ok(Cell::Is(Datum::Text(it)))
            }
            (DataType::Text, Json::Text(Cow::Owned(it))) => Ok(it.into()),
            (DataType::Text, Json::Boolean(it)) => Ok(Cell::Is(Datum::Text(if it { "true" } else { "false" }))),
            (DataType::Boolean, Json::Boolean(it)) => Ok(Cell::Is(Datum::Boolean(it))),
            (DataType::Boolean, Json::Number(it @ ("0" | "1"))) => Ok(Cell::Is(Datum::Boolean(it == "1"))),
            (DataType::Bytes, _) => Err(Trouble::Encoding),
            (_, Json::Number(it)) => self.number(it),
            (_, Json::Text(it)) => self.text(&it),
            (_, Json::Null | Json::Boolean(_) | Json::Nested(_)) => Err(NO_VALUE),
        }
    }

    /// A JSON number in a column of numbers.
    fn number<'a>(self, number: &str) -> Outcome<'a> {
        Ok(Cell::Is(match self.data_type {
            DataType::Int32 | DataType::Int64 => {
                // Also what a program wrote as 5.0 or 5e3.
                let whole = integer(number).or_else(|fault| match fault {
                    Fault::Syntax => decimal::parse(number, 38, 0, Excess::Refused).and_then(to_int),
                    fault => Err(fault),
                });
                self.int(whole?)?
            }
            DataType::Float64 => Datum::Float(double(number)?),
            DataType::Decimal { precision, scale } => {
                Datum::Decimal(decimal::parse(number, precision, scale, self.excess)?)
            }
            _ => return Err(NO_VALUE),
        }))
    }

    /// A text in a column of another type than text and bytes.
    fn text<'a>(self, text: &str) -> Outcome<'a> {
        let manner = Manner { excess: self.excess, moved: true };
        let is_time = matches!(self.data_type, DataType::Date | DataType::Timestamp | DataType::TimestampTz);
        // Debezium's dates in ISO 8601 name their zone.
        let date = text.strip_suffix('Z').filter(|it| is_time && !it.contains(':'));
        match text::read(date.unwrap_or(text), self.data_type, manner) {
            Err(_) if is_infinite(text, self.data_type) => Err(Trouble::Infinite),
            Ok(Datum::Int(it)) if is_time && infinity(it).is_some() => Err(Trouble::Infinite),
            datum => Ok(Cell::Is(datum?)),
        }
    }

    fn int(self, value: i64) -> Result<Datum<'static>, Trouble> {
        Ok(Datum::Int(if self.data_type == DataType::Int32 { narrow(value)? } else { value }))
    }

    /// A whole number in a column of numbers.
    fn whole<'a>(self, number: i64) -> Outcome<'a> {
        Ok(Cell::Is(match self.data_type {
            DataType::Int32 | DataType::Int64 => self.int(number)?,
            DataType::Float64 => Datum::Float(number as f64),
            DataType::Decimal { precision, scale } => Datum::Decimal(decimal::from_integer(number, precision, scale)?),
            _ => return Err(NO_VALUE),
        }))
    }

    /// A decimal from its unscaled integer.
    fn unscaled<'a>(self, bytes: &[u8], scale: Option<i32>) -> Outcome<'a> {
        let declared = if let DataType::Decimal { scale, .. } = self.data_type { i32::from(scale) } else { 0 };
        let unscaled = Unscaled::of_bytes(bytes).map_err(|fault| match fault {
            Fault::Syntax => Trouble::Encoding,
            fault => fault.into(),
        })?;
        self.decimal(&unscaled, scale.unwrap_or(declared))
    }

    /// The same with its own scale.
    fn scaled<'a>(self, object: &str) -> Outcome<'a> {
        #[derive(Deserialize)]
        struct Scaled<'a> {
            scale: i32,
            #[serde(borrow)]
            value: Cow<'a, str>,
        }
        let Scaled { scale, value } = serde_json::from_str(object).map_err(|_| Trouble::Encoding)?;
        self.unscaled(&base64(&value)?, Some(scale))
    }

    fn decimal<'a>(self, unscaled: &Unscaled, scale: i32) -> Outcome<'a> {
        Ok(Cell::Is(match self.data_type {
            DataType::Decimal { precision, scale: to } => {
                Datum::Decimal(unscaled.units(scale, (precision, to), self.excess)?)
            }
            DataType::Float64 => Datum::Float(double(&unscaled.exponential(scale)?)?),
            DataType::Int32 | DataType::Int64 => {
                self.int(unscaled.units(scale, (38, 0), Excess::Refused).and_then(to_int)?)?
            }
            DataType::Text => {
                let mut out = Vec::new();
                unscaled.write(scale, &mut out)?;
                return Ok(String::from_utf8(out).expect("digits are ASCII").into());
            }
            _ => return Err(NO_VALUE),
        }))
    }

    fn days<'a>(self, days: i64) -> Outcome<'a> {
        let day = || if is_date(days) { Ok(days) } else { Err(Fault::Range) };
        Ok(match self.data_type {
            DataType::Date => Cell::Is(Datum::Int(day()?)),
            DataType::Timestamp | DataType::TimestampTz => Cell::Is(Datum::Int(at(day()?, 0).ok_or(Fault::Range)?)),
            DataType::Text => {
                let days = day()?;
                text_of(|out| write_date(days, Style::Postgres, out)).into()
            }
            _ => return self.whole(days),
        })
    }

    fn instant<'a>(self, count: i64, unit: Unit) -> Outcome<'a> {
        if !self.takes_times() {
            return self.whole(count);
        }
        let micros = unit.micros(count);
        if let Some(text) = infinity(count).or_else(|| infinity(micros?)) {
            return if self.data_type == DataType::Text {
                Ok(Cell::Is(Datum::Text(text)))
            } else {
                Err(Trouble::Infinite)
            };
        }
        let micros = micros.filter(|it| split(*it).0 >= FIRST_DAY).ok_or(Fault::Range)?;
        let (day, time) = split(micros);
        Ok(match self.data_type {
            DataType::Date if time != 0 && self.excess == Excess::Refused => return Err(Fault::Excess.into()),
            DataType::Date => Cell::Is(Datum::Int(day)),
            DataType::Text => {
                let (seconds, part) = unit.split(count);
                let suffix = text_of(|out| write_fraction(part, unit.digits(), out));
                let whole = seconds.checked_mul(SECOND).ok_or(Fault::Range)?;
                text_of(|out| write_timestamp(whole, Style::Postgres, &suffix, out)).into()
            }
            _ => Cell::Is(Datum::Int(micros)),
        })
    }

    fn clock<'a>(self, count: i64, unit: Unit) -> Outcome<'a> {
        if self.data_type != DataType::Text {
            return self.whole(count);
        }
        let size = i64::try_from(count.unsigned_abs()).map_err(|_| Fault::Range)?;
        let (seconds, part) = unit.split(size);
        let micros = seconds.checked_mul(SECOND).ok_or(Fault::Range)?.unsigned_abs();
        Ok(text_of(|out| {
            out.extend_from_slice(if count < 0 { b"-" } else { b"" });
            write_time(micros, out);
            write_fraction(part, unit.digits(), out);
        })
        .into())
    }

    fn bytes<'a>(self, text: Cow<'a, str>, binary: Binary) -> Outcome<'a> {
        if self.data_type != DataType::Bytes {
            return self.plain(Json::Text(text));
        }
        let bytes = match binary {
            Binary::Base64(alphabet) => read_base64(&text, alphabet),
            Binary::Hex => read_hex(&text),
        };
        Ok(Cell::Made(Value::Bytes(bytes.map_err(|_| Trouble::Encoding)?)))
    }

    fn bits<'a>(self, bytes: Cow<'a, [u8]>, declared: usize) -> Outcome<'a> {
        // Bytes of zeros at the end are left out. How long bits of varying length are is lost.
        let length = if declared <= MAX_BITS { declared } else { 8 * bytes.len() };
        let bit = |at: usize| bytes.get(at / 8).is_some_and(|it| it >> (at % 8) & 1 == 1);
        match self.data_type {
            DataType::Bytes => Ok(Cell::Made(Value::Bytes(bytes.into_owned()))),
            DataType::Text => {
                Ok((0..length).rev().map(|at| if bit(at) { '1' } else { '0' }).collect::<String>().into())
            }
            DataType::Boolean if length == 1 => Ok(Cell::Is(Datum::Boolean(bit(0)))),
            DataType::Int32 | DataType::Int64 => {
                if (63..length).any(bit) {
                    return Err(Fault::Range.into());
                }
                let value = (0..length.min(63)).fold(0, |sum, at| sum | i64::from(bit(at)) << at);
                self.int(value).map(Cell::Is)
            }
            _ => Err(NO_VALUE),
        }
    }
}

/// The bytes of a text that an encoding says is base64.
fn base64(text: &str) -> Result<Vec<u8>, Trouble> {
    read_base64(text, Alphabet::Standard).map_err(|_| Trouble::Encoding)
}

/// The infinity that a number of units of time stands for.
fn infinity(count: i64) -> Option<&'static str> {
    INFINITIES.iter().find(|(it, _)| *it == count).map(|(_, text)| *text)
}

fn to_int(value: i128) -> Result<i64, Fault> {
    i64::try_from(value).map_err(|_| Fault::Range)
}

/// Whether `text` is a value that PostgreSQL's type has and ours has not.
fn is_infinite(text: &str, data_type: DataType) -> bool {
    let word = text.trim_start_matches(['-', '+']);
    // Java shows its last and its first year, of nine digits, for infinite times.
    let is_last = word.len() < text.len() && word.bytes().take_while(u8::is_ascii_digit).count() == 9;
    match data_type {
        DataType::Date | DataType::Timestamp | DataType::TimestampTz => {
            word.eq_ignore_ascii_case("infinity") || is_last || text.starts_with(NEGATIVE_INFINITY)
        }
        DataType::Decimal { .. } => ["nan", "infinity"].iter().any(|it| word.eq_ignore_ascii_case(it)),
        _ => false,
    }
}

impl Unit {
    /// How many digits of a second it has.
    fn digits(self) -> usize {
        match self {
            Unit::Seconds => 0,
            Unit::Milliseconds => 3,
            Unit::Microseconds => 6,
            Unit::Nanoseconds => 9,
        }
    }

    /// Whole seconds, and the rest in this unit.
    fn split(self, count: i64) -> (i64, u64) {
        let second = 10i64.pow(self.digits() as u32);
        (count.div_euclid(second), count.rem_euclid(second).unsigned_abs())
    }

    /// Microseconds; of nanoseconds the nearest, as of the digits of a text.
    fn micros(self, count: i64) -> Option<i64> {
        match self {
            Unit::Seconds => count.checked_mul(SECOND),
            Unit::Milliseconds => count.checked_mul(1_000),
            Unit::Microseconds => Some(count),
            Unit::Nanoseconds => {
                let (whole, rest) = (count.div_euclid(1_000), count.rem_euclid(1_000));
                Some(whole + i64::from(rest > 500 || rest == 500 && whole % 2 != 0))
            }
        }
    }
}

/// What is wrong with a value, and what can be done. The encoding is one of texts in JSON.
fn describe(trouble: Trouble, value: &str, encoding: Option<Encoding>, column: &Column) -> String {
    let (name, data_type, shown) = (&column.name, column.data_type, shortened(value));
    let said = match trouble {
        Trouble::Fault(Fault::Syntax) => format!("{shown} is no {data_type}"),
        Trouble::Fault(Fault::Range) => format!("{shown} is out of range for type {data_type}"),
        Trouble::Fault(Fault::Excess) => format!("{shown} has digits that {data_type} does not keep"),
        Trouble::Infinite => {
            format!("{shown} is infinite or NaN, which {data_type} does not hold here; declare the column text")
        }
        Trouble::Unit => format!(
            "{shown} counts time in a unit that no schema tells; say it behind ENCODE …, ({TIMESTAMP_UNIT} = 'microseconds'), or \
             'milliseconds', 'nanoseconds' or 'seconds'"
        ),
        Trouble::Encoding => match encoding {
            Some(Encoding::Unscaled(_)) => format!(
                "{shown} is no decimal in base64, as \"decimal.handling.mode\" = 'precise' writes it; if decimals come as \
                 texts, say 'string'"
            ),
            Some(Encoding::Bytes(Binary::Hex)) => {
                format!("{shown} is no hexadecimal bytes; see \"binary.handling.mode\"")
            }
            Some(Encoding::Bytes(_)) => format!("{shown} is no base64; see \"binary.handling.mode\""),
            _ => format!("{shown} is no {data_type}"),
        },
    };
    format!("column {name:?}: {said}")
}

#[cfg(test)]
mod tests;
