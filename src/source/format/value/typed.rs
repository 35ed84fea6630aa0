//! Values of binary formats, which come typed and not as text. What they mean is read as it is of JSON.

use std::borrow::Cow;

use super::*;
use crate::change::text::bytes::{write_base64, write_hex};
use crate::change::text::number::double_text;

/// A value as a binary format carries it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Typed<'a> {
    Null,
    Boolean(bool),
    Int(i64),
    /// Beyond what the one before holds.
    Unsigned(u64),
    Float(f64),
    Single(f32),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    /// An unscaled integer beside its own scale.
    Scaled(Cow<'a, [u8]>, i32),
    /// An array or an object, as JSON.
    Nested(String),
}

/// The cell of `column` for `value`. `is_key`: it is a part of the row's key.
pub(crate) fn typed_cell<'a>(
    value: Typed<'a>,
    encoding: Encoding,
    column: &Column,
    is_key: bool,
) -> Result<Cell<'a>, String> {
    if value == Typed::Null {
        return cell("null", encoding, column, is_key);
    }
    let reader = Reader { data_type: column.data_type, excess: if is_key { Excess::Refused } else { Excess::Rounded } };
    // Errors are rare, and texts and bytes that are taken as they are need no copy to be shown.
    let shown = match (&value, column.data_type) {
        (Typed::Text(_) | Typed::Nested(_), DataType::Text) | (Typed::Bytes(_), DataType::Bytes) => None,
        _ => Some(value.clone()),
    };
    reader.typed(value, encoding).map_err(|trouble| {
        let shown = shown.map_or_else(String::new, |it| it.to_string());
        describe(trouble, &shown, None, column)
    })
}

/// What a value means as a member of a JSON document.
pub(crate) fn write_json(value: Typed<'_>, encoding: Encoding, out: &mut String) {
    match &value {
        Typed::Null => return out.push_str("null"),
        Typed::Boolean(it) => return out.push_str(if *it { "true" } else { "false" }),
        Typed::Nested(it) => return out.push_str(it),
        _ => {}
    }
    let is_number = match &value {
        Typed::Int(_) | Typed::Unsigned(_) => matches!(encoding, Encoding::Plain | Encoding::InstantOfUnknownUnit),
        Typed::Float(it) => it.is_finite(),
        Typed::Single(it) => it.is_finite(),
        Typed::Scaled(..) => true,
        Typed::Bytes(_) => matches!(encoding, Encoding::Unscaled(_)),
        _ => false,
    };
    let shown = value.to_string();
    let reader = Reader { data_type: DataType::Text, excess: Excess::Rounded };
    match reader.typed(value, encoding) {
        Ok(cell) => match cell.datum() {
            Datum::Text(text) if is_number => out.push_str(text),
            Datum::Text(text) => out.push_str(&quoted(text)),
            other => unreachable!("a text was asked for, not {other:?}"),
        },
        // Nobody has declared a type for it that it could fail to fit.
        Err(_) => out.push_str(&quoted(&shown)),
    }
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is always JSON")
}

impl Reader {
    fn typed<'a>(self, value: Typed<'a>, encoding: Encoding) -> Outcome<'a> {
        match (value, encoding) {
            (Typed::Int(it), Encoding::Days) => self.days(it),
            (Typed::Int(it), Encoding::Instant(unit)) => self.instant(it, unit),
            (Typed::Int(it), Encoding::Clock(unit)) => self.clock(it, unit),
            (Typed::Int(_), Encoding::InstantOfUnknownUnit) => Err(Trouble::Unit),
            (Typed::Int(it), _) => match self.data_type {
                DataType::Boolean if it == 0 || it == 1 => Ok(Cell::Is(Datum::Boolean(it == 1))),
                DataType::Text => Ok(it.to_string().into()),
                _ => self.whole(it),
            },
            (Typed::Unsigned(it), _) => self.digits(it.to_string()),
            (Typed::Float(it), _) if self.data_type == DataType::Float64 => Ok(Cell::Is(Datum::Float(it))),
            (Typed::Float(it), _) => self.float(it, double_text),
            // The digits that stand for it, and not those of a double that is as large.
            (Typed::Single(it), _) => self.float(f64::from(it), |_| it.to_string()),
            (Typed::Bytes(it), Encoding::Unscaled(scale)) => self.unscaled(&it, scale),
            (Typed::Bytes(it), Encoding::Bits(length)) => self.bits(it, length),
            (Typed::Bytes(it), _) => self.raw(it),
            (Typed::Scaled(it, scale), _) => self.unscaled(&it, Some(scale)),
            (Typed::Text(it), Encoding::Bytes(binary)) => self.bytes(it, binary),
            (Typed::Text(it), _) => self.plain(Json::Text(it)),
            (Typed::Boolean(it), _) => self.plain(Json::Boolean(it)),
            (Typed::Nested(it), _) if self.data_type == DataType::Text => Ok(it.into()),
            (Typed::Nested(_), _) => Err(NO_VALUE),
            (Typed::Null, _) => unreachable!("a null is read before"),
        }
    }

    fn digits<'a>(self, number: String) -> Outcome<'a> {
        if self.data_type == DataType::Text { Ok(number.into()) } else { self.number(&number) }
    }

    fn float<'a>(self, value: f64, text: impl FnOnce(f64) -> String) -> Outcome<'a> {
        match self.data_type {
            DataType::Text if value.is_finite() => Ok(text(value).into()),
            // As JSON has them: a text.
            _ if !value.is_finite() => self.plain(Json::Text(double_text(value).into())),
            DataType::Boolean => Err(NO_VALUE),
            _ => self.number(&text(value)),
        }
    }

    /// Bytes that no schema calls anything else.
    fn raw<'a>(self, bytes: Cow<'a, [u8]>) -> Outcome<'a> {
        match (self.data_type, bytes) {
            (DataType::Bytes, Cow::Borrowed(it)) => Ok(Cell::Is(Datum::Bytes(it))),
            (DataType::Bytes, Cow::Owned(it)) => Ok(Cell::Made(Value::Bytes(it))),
            (DataType::Text, it) => Ok(text_of(|out| write_base64(&it, usize::MAX, out)).into()),
            _ => Err(NO_VALUE),
        }
    }
}

/// How a value is shown in messages.
impl std::fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex = |bytes: &[u8]| text_of(|out| write_hex(&bytes[..bytes.len().min(SHOWN_BYTES)], out));
        match self {
            Typed::Null => f.write_str("null"),
            Typed::Boolean(it) => it.fmt(f),
            Typed::Int(it) => it.fmt(f),
            Typed::Unsigned(it) => it.fmt(f),
            Typed::Float(it) => f.write_str(&double_text(*it)),
            Typed::Single(it) => it.fmt(f),
            Typed::Text(it) => f.write_str(&quoted(it)),
            Typed::Bytes(it) => write!(f, "0x{}", hex(it)),
            Typed::Scaled(it, scale) => write!(f, "0x{} with scale {scale}", hex(it)),
            Typed::Nested(it) => f.write_str(it),
        }
    }
}

/// More of a value in bytes is not shown.
const SHOWN_BYTES: usize = 32;
