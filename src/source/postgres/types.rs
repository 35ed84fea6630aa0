//! From PostgreSQL's types to ours, and which declarations a column takes.
//!
//! | at the source | here |
//! |---|---|
//! | `boolean` | boolean |
//! | `smallint`, `integer`; `bigint`, `oid` | integer; bigint |
//! | `real`, `double precision` | double precision: the number that its owner sees |
//! | `numeric(p, s)` | numeric(p, s), up to 38 digits |
//! | `numeric` | numeric(38, 10) |
//! | `text`, `varchar`, `char(n)` without its padding, `name`, `citext`, `uuid`, `json`, `jsonb`, enums | text |
//! | `bytea` | bytea |
//! | `date`, `timestamp`, `timestamptz` | the same |
//! | everything else: `time`, `interval`, arrays, ranges, composites, `inet` … | text, as PostgreSQL writes it |
//! | a domain | as the type it is made of |
//!
//! A value that its type here has none for (NaN and infinity of `numeric`, the infinities of dates, more digits than
//! are kept) is an error cell that names it.

use crate::change::DataType;

/// Digits of a `numeric` that is declared without any.
const NUMERIC: DataType = DataType::Decimal { precision: 38, scale: 10 };

/// How the text of a value becomes a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `t` or `f`.
    Boolean,
    /// `\x` and hexadecimal digits.
    Bytes,
    /// Text that is padded with blanks, which mean nothing.
    Padded,
    /// Dates and times: with BC behind years before the first, and infinities.
    Moment,
    /// Any other text.
    Plain,
}

/// The type of a column as pg_catalog has it; of a domain, the type under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PgType {
    /// Its number.
    pub(super) oid: u32,
    /// What is said of it: `typmod`.
    pub(super) modifier: i32,
}

impl PgType {
    /// How its values are written.
    pub(super) fn form(&self) -> Form {
        match self.oid {
            16 => Form::Boolean,
            17 => Form::Bytes,
            1042 => Form::Padded,
            1082 | 1114 | 1184 => Form::Moment,
            _ => Form::Plain,
        }
    }

    /// Its type here.
    pub(super) fn natural(&self) -> DataType {
        match self.oid {
            16 => DataType::Boolean,
            17 => DataType::Bytes,
            21 | 23 => DataType::Int32,
            20 | 26 => DataType::Int64,
            700 | 701 => DataType::Float64,
            1082 => DataType::Date,
            1114 => DataType::Timestamp,
            1184 => DataType::TimestampTz,
            1700 => numeric(self.modifier),
            _ => DataType::Text,
        }
    }

    /// Whether its values can be read as `wanted`: as its type here, as text, and numbers as other exact numbers.
    /// Different values never become the same one.
    pub(super) fn is_readable_as(&self, wanted: DataType) -> bool {
        use DataType::{Decimal, Int32, Int64, Text};
        let natural = self.natural();
        natural == wanted
            || wanted == Text
            || matches!((natural, wanted), (Int32 | Int64 | Decimal { .. }, Int32 | Int64 | Decimal { .. }))
    }
}

/// The type of a `numeric` with this modifier.
fn numeric(modifier: i32) -> DataType {
    if modifier < 4 {
        return NUMERIC;
    }
    let packed = modifier - 4;
    let precision = packed >> 16 & 0xFFFF;
    // The scale has 11 bits and a sign.
    let scale = (packed & 0x7FF ^ 0x400) - 0x400;
    // Zeros in front of the point, or between it and the first digit, are digits here.
    let (precision, scale) = if scale < 0 { (precision - scale, 0) } else { (precision.max(scale), scale) };
    match (u8::try_from(precision.min(38)), u8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if scale <= 38 => DataType::Decimal { precision, scale },
        _ => DataType::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(precision: u8, scale: u8) -> DataType {
        DataType::Decimal { precision, scale }
    }

    /// Modifiers as PostgreSQL 15 has them in pg_attribute.
    #[test]
    fn numerics_have_the_digits_they_are_declared_with() {
        let modifier = |precision: i32, scale: i32| (precision << 16 | scale & 0x7FF) + 4;
        for (precision, scale, expected) in [
            (10, 2, decimal(10, 2)),
            (38, 38, decimal(38, 38)),
            (2, 5, decimal(5, 5)),
            (5, -2, decimal(7, 0)),
            (50, 2, decimal(38, 2)),
            (100, 60, DataType::Text),
        ] {
            assert_eq!(numeric(modifier(precision, scale)), expected, "numeric({precision},{scale})");
        }
        assert_eq!(modifier(10, 2), 655_366);
        assert_eq!(numeric(-1), NUMERIC);
    }

    #[test]
    fn columns_are_read_as_their_type_or_as_one_that_keeps_values_apart() {
        let of = |oid| PgType { oid, modifier: -1 };
        assert!(of(23).is_readable_as(DataType::Int64) && of(20).is_readable_as(decimal(20, 0)));
        assert!(of(1184).is_readable_as(DataType::Text) && of(2950).is_readable_as(DataType::Text));
        assert!(!of(23).is_readable_as(DataType::Float64) && !of(1114).is_readable_as(DataType::TimestampTz));
        assert!(!of(25).is_readable_as(DataType::Int32));
    }
}
