//! The memcomparable key codec: the byte order of encoded keys is the SQL order of the values.
//!
//! Each column is a tag byte and a payload. Without options the order is PostgreSQL's ascending one: values, then
//! errors, then NULL (NULLS LAST). A descending column has every byte inverted, which also puts NULL first, as
//! PostgreSQL does. The encoding is stored on disk: the golden test below must only ever be extended.
//!
//! | value | payload |
//! |---|---|
//! | Boolean | one byte |
//! | Int32, Int64, Date, Timestamp | 8 bytes big-endian, sign bit flipped |
//! | Float64 | 8 bytes big-endian; −0.0 is 0.0, NaN is one NaN and the greatest; negative: all bits flipped, else the sign bit |
//! | Decimal | 16 bytes big-endian, sign bit flipped, in units of the column's scale |
//! | Text, Bytes, error text | the bytes with 0x00 escaped as 0x00 0xFF, ended by 0x00 0x01 |

use serde::{Deserialize, Serialize};

use super::data_type::Datum;
use super::schema::Column;

const TAG_NULL_FIRST: u8 = 0x01;
const TAG_VALUE: u8 = 0x02;
const TAG_ERROR: u8 = 0x03;
const TAG_NULL_LAST: u8 = 0x04;

/// How text is compared in keys: SQLite's built-in collations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Collation {
    /// Bytewise.
    #[default]
    Binary,
    /// ASCII letters compare without case.
    NoCase,
    /// Trailing spaces do not count.
    RTrim,
}

/// One column of a key and its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyColumn {
    /// Index of the column in the relation.
    pub column: usize,
    /// Whether greater values come first.
    pub descending: bool,
    /// Whether NULL comes before every value. PostgreSQL's default: only when descending.
    pub nulls_first: bool,
}

impl KeyColumn {
    /// Ascending, NULLs last.
    pub fn ascending(column: usize) -> KeyColumn {
        KeyColumn { column, descending: false, nulls_first: false }
    }

    /// Descending, NULLs first.
    pub fn descending(column: usize) -> KeyColumn {
        KeyColumn { column, descending: true, nulls_first: true }
    }
}

/// Appends the key made of `key`'s columns of the row whose cell `i` is `cell(i)`.
pub fn encode_key<'a>(key: &[KeyColumn], columns: &[Column], cell: impl Fn(usize) -> Datum<'a>, out: &mut Vec<u8>) {
    for part in key {
        encode_datum(cell(part.column), *part, columns[part.column].collation, out);
    }
}

/// Appends one value in the direction of `part`, under `collation` where it is text.
#[inline]
pub fn encode_datum(datum: Datum<'_>, part: KeyColumn, collation: Collation, out: &mut Vec<u8>) {
    let start = out.len();
    match datum {
        // The tag is written so that it still sorts as asked for after the inversion below.
        Datum::Null => out.push(if part.nulls_first != part.descending { TAG_NULL_FIRST } else { TAG_NULL_LAST }),
        Datum::Error(message) => {
            out.push(TAG_ERROR);
            encode_bytes(message.as_bytes(), out);
        }
        Datum::Boolean(it) => out.extend_from_slice(&[TAG_VALUE, u8::from(it)]),
        Datum::Int(it) => {
            out.push(TAG_VALUE);
            out.extend_from_slice(&((it as u64) ^ (1 << 63)).to_be_bytes());
        }
        Datum::Float(it) => {
            out.push(TAG_VALUE);
            out.extend_from_slice(&ordered_bits(it).to_be_bytes());
        }
        Datum::Decimal(it) => {
            out.push(TAG_VALUE);
            out.extend_from_slice(&((it as u128) ^ (1 << 127)).to_be_bytes());
        }
        Datum::Text(it) => {
            out.push(TAG_VALUE);
            match collation {
                Collation::Binary => encode_bytes(it.as_bytes(), out),
                Collation::NoCase => encode_bytes(it.to_ascii_lowercase().as_bytes(), out),
                Collation::RTrim => encode_bytes(it.trim_end_matches(' ').as_bytes(), out),
            }
        }
        Datum::Bytes(it) => {
            out.push(TAG_VALUE);
            encode_bytes(it, out);
        }
    }
    if part.descending {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// The integer of a key that is one ascending integer column, or `None` when it is something else.
pub fn decode_int_key(key: &[u8]) -> Option<i64> {
    match key {
        [TAG_VALUE, rest @ ..] if rest.len() == 8 => {
            Some((u64::from_be_bytes(rest.try_into().ok()?) ^ (1 << 63)) as i64)
        }
        _ => None,
    }
}

/// The least byte string greater than every string that starts with `prefix`; `None` when there is none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < 0xFF {
            *last += 1;
            return Some(end);
        }
        end.pop();
    }
    None
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
    out.extend_from_slice(&[0x00, 0x01]);
}

fn ordered_bits(value: f64) -> u64 {
    let canonical = if value.is_nan() {
        f64::NAN.abs()
    } else if value == 0.0 {
        0.0
    } else {
        value
    };
    let bits = canonical.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(datum: Datum<'_>, part: KeyColumn) -> Vec<u8> {
        let mut out = Vec::new();
        encode_datum(datum, part, Collation::Binary, &mut out);
        out
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn golden_encodings_never_change() {
        let up = KeyColumn::ascending(0);
        let down = KeyColumn::descending(0);
        let golden = [
            (Datum::Null, up, "04"),
            (Datum::Null, down, "fb"),
            (Datum::Null, KeyColumn { nulls_first: true, ..up }, "01"),
            (Datum::Null, KeyColumn { nulls_first: false, ..down }, "fe"),
            (Datum::Error("x"), up, "03780001"),
            (Datum::Boolean(true), up, "0201"),
            (Datum::Int(0), up, "028000000000000000"),
            (Datum::Int(-1), up, "027fffffffffffffff"),
            (Datum::Int(1), down, "fd7ffffffffffffffe"),
            (Datum::Float(-0.0), up, "028000000000000000"),
            (Datum::Float(1.5), up, "02bff8000000000000"),
            (Datum::Float(-1.5), up, "024007ffffffffffff"),
            (Datum::Float(-f64::NAN), up, "02fff8000000000000"),
            (Datum::Decimal(-1), up, "027fffffffffffffffffffffffffffffff"),
            (Datum::Text("a\0b"), up, "026100ff620001"),
            (Datum::Bytes(&[0xFF]), up, "02ff0001"),
        ];
        for (datum, part, expected) in golden {
            assert_eq!(hex(&encoded(datum, part)), expected, "{datum:?} {part:?}");
        }
    }

    #[test]
    fn byte_order_is_value_order() {
        let texts = ["", "\0", "\0a", "a", "a\0", "ab", "b", "é"];
        let ints = [i64::MIN, -1, 0, 1, i64::MAX];
        let floats = [f64::NEG_INFINITY, -1.0, -f64::MIN_POSITIVE, 0.0, 1e-300, 1.0, f64::INFINITY, f64::NAN];
        let mut rows: Vec<Vec<Datum<'_>>> = vec![texts.iter().map(|it| Datum::Text(it)).collect()];
        rows.push(ints.iter().map(|it| Datum::Int(*it)).collect());
        rows.push(floats.iter().map(|it| Datum::Float(*it)).collect());
        for mut ordered in rows {
            ordered.push(Datum::Null);
            let up: Vec<_> = ordered.iter().map(|it| encoded(*it, KeyColumn::ascending(0))).collect();
            let down: Vec<_> = ordered.iter().map(|it| encoded(*it, KeyColumn::descending(0))).collect();
            assert!(up.is_sorted_by(|a, b| a < b), "{ordered:?}");
            assert!(down.is_sorted_by(|a, b| a > b), "{ordered:?}");
        }
    }

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(prefix_end(&[1, 0xFF]), Some(vec![2]));
        assert_eq!(prefix_end(&[0xFF]), None);
    }
}
