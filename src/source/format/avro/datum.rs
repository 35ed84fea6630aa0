//! Values from bytes, in Avro's binary encoding. They are borrowed from the message where they stand there as they are.

use std::borrow::Cow;

use super::nested;
use super::schema::{Kind, Meaning, Schema};
use crate::change::text::bytes::write_hex;
use crate::change::text::text_of;
use crate::source::format::value::Typed;

/// How deep values may be in each other: a schema that holds itself sets no limit.
const MAX_DEPTH: usize = 64;

/// So many values a message of no bytes may have, as a schema with many fields that are always NULL has.
const VALUES_OF_NONE: usize = 100_000;

/// The rest of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Datum<'a> {
    bytes: &'a [u8],
    /// How many items it may still have: items of no bytes would cost nothing to send and everything to read.
    items: usize,
    /// How many values it may still have, for the same reason: records of records of nothing.
    values: usize,
}

const TOO_SHORT: &str = "the Avro value ends too early";

impl<'a> Datum<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Datum<'a> {
        Datum { bytes, items: bytes.len(), values: VALUES_OF_NONE.saturating_add(bytes.len().saturating_mul(8)) }
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), String> {
        match self.bytes.len() {
            0 => Ok(()),
            more => Err(format!("{more} bytes are left behind the Avro value, so it was written with another schema")),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(TOO_SHORT)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self.take(N)?.try_into().expect("as many bytes as were asked for"))
    }

    fn long(&mut self) -> Result<i64, String> {
        let (mut bits, mut shift) = (0u64, 0);
        loop {
            let (byte, rest) = self.bytes.split_first().ok_or(TOO_SHORT)?;
            self.bytes = rest;
            bits |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
            shift += 7;
            if shift > 63 {
                return Err("an integer of the Avro value has more than 64 bits".into());
            }
        }
    }

    fn length(&mut self) -> Result<usize, String> {
        let length = self.long()?;
        usize::try_from(length).map_err(|_| format!("the Avro value has a length of {length}"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.length()?;
        self.take(length)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(format!("a boolean of the Avro value is {other}")),
        }
    }

    fn text(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a text of the Avro value is no UTF-8".into())
    }

    /// Which branch of a union follows.
    pub(super) fn branch(&mut self, count: usize) -> Result<usize, String> {
        let at = self.long()?;
        let found = usize::try_from(at).ok().filter(|it| *it < count);
        found.ok_or_else(|| format!("the Avro value has branch {at} of a union of {count}"))
    }

    fn symbol<'s>(&mut self, symbols: &'s [String]) -> Result<&'s str, String> {
        let at = self.long()?;
        let found = usize::try_from(at).ok().and_then(|it| symbols.get(it));
        found
            .map(String::as_str)
            .ok_or_else(|| format!("the Avro value has symbol {at} of an enum of {}", symbols.len()))
    }

    /// The next block of an array or a map: how many items it has, none at the end, and in how many bytes, where that is
    /// said.
    fn block(&mut self) -> Result<(usize, Option<usize>), String> {
        let count = self.long()?;
        let size = if count < 0 { Some(self.length()?) } else { None };
        let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        match self.items.checked_sub(count) {
            Some(left) => self.items = left,
            None => return Err(format!("the Avro value has a block of {count} items, more than it has bytes")),
        }
        Ok((count, size))
    }

    /// Calls `item` for each item of an array, or for each key and value of a map.
    pub(super) fn items(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        loop {
            let (count, _) = self.block()?;
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                item(self)?;
            }
        }
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self, schema: &Schema, at: usize) -> Result<(), String> {
        self.skip_within(schema, at, MAX_DEPTH)
    }

    fn skip_within(&mut self, schema: &Schema, at: usize, depth: usize) -> Result<(), String> {
        let depth = self.enter(depth)?;
        match &schema.node(at).kind {
            Kind::Null => {}
            Kind::Boolean => drop(self.take(1)?),
            Kind::Int | Kind::Long | Kind::Enum(_) => drop(self.long()?),
            Kind::Float => drop(self.take(4)?),
            Kind::Double => drop(self.take(8)?),
            Kind::Bytes | Kind::String => drop(self.bytes()?),
            Kind::Fixed(size) => drop(self.take(*size)?),
            Kind::Array(items) | Kind::Map(items) => {
                let is_map = matches!(schema.node(at).kind, Kind::Map(_));
                loop {
                    match self.block()? {
                        (0, _) => return Ok(()),
                        (_, Some(size)) => drop(self.take(size)?),
                        (count, None) => {
                            for _ in 0..count {
                                if is_map {
                                    self.bytes()?;
                                }
                                self.skip_within(schema, *items, depth)?;
                            }
                        }
                    }
                }
            }
            Kind::Union(branches) => {
                let branch = self.branch(branches.len())?;
                self.skip_within(schema, branches[branch], depth)?;
            }
            Kind::Record(fields) => {
                for (_, field) in fields {
                    self.skip_within(schema, *field, depth)?;
                }
            }
        }
        Ok(())
    }

    /// Reads a value of a type that is no union.
    pub(super) fn value(&mut self, schema: &Schema, at: usize) -> Result<Typed<'a>, String> {
        self.value_within(schema, at, MAX_DEPTH)
    }

    pub(super) fn value_within(&mut self, schema: &Schema, at: usize, depth: usize) -> Result<Typed<'a>, String> {
        let depth = self.enter(depth)?;
        let node = schema.node(at);
        Ok(match (&node.kind, node.meaning) {
            (Kind::Null, _) => Typed::Null,
            (Kind::Boolean, _) => Typed::Boolean(self.boolean()?),
            (Kind::Int | Kind::Long, _) => Typed::Int(self.long()?),
            (Kind::Float, _) => Typed::Single(f32::from_le_bytes(self.array()?)),
            (Kind::Double, _) => Typed::Float(f64::from_le_bytes(self.array()?)),
            (Kind::Bytes, Meaning::Uuid) => uuid(self.bytes()?),
            (Kind::Bytes, _) => Typed::Bytes(Cow::Borrowed(self.bytes()?)),
            (Kind::Fixed(size), Meaning::Uuid) => uuid(self.take(*size)?),
            (Kind::Fixed(_), Meaning::Duration) => duration(self.array()?),
            (Kind::Fixed(size), _) => Typed::Bytes(Cow::Borrowed(self.take(*size)?)),
            (Kind::String, _) => Typed::Text(Cow::Borrowed(self.text()?)),
            (Kind::Enum(symbols), _) => Typed::Text(Cow::Owned(self.symbol(symbols)?.to_owned())),
            (Kind::Record(_), Meaning::VariableScale) => {
                let scale = self.long()?;
                let scale = i32::try_from(scale).map_err(|_| format!("the Avro value has a scale of {scale}"))?;
                Typed::Scaled(Cow::Borrowed(self.bytes()?), scale)
            }
            (Kind::Array(_) | Kind::Map(_) | Kind::Record(_), _) => {
                let mut json = String::new();
                nested::write(self, schema, at, depth, &mut json)?;
                Typed::Nested(json)
            }
            (Kind::Union(branches), _) => {
                let branch = self.branch(branches.len())?;
                self.value_within(schema, branches[branch], depth)?
            }
        })
    }

    /// Begins to read or pass over a value that may be this deep; how deep those in it may be.
    fn enter(&mut self, depth: usize) -> Result<usize, String> {
        self.values = self.values.checked_sub(1).ok_or("the Avro value has far more values in it than bytes")?;
        depth.checked_sub(1).ok_or_else(|| format!("the Avro value is more than {MAX_DEPTH} values deep"))
    }

    /// The key of a map's entry.
    pub(super) fn key(&mut self) -> Result<&'a str, String> {
        self.text()
    }
}

/// A UUID as it is written; other bytes as they are.
fn uuid(bytes: &[u8]) -> Typed<'_> {
    if bytes.len() != 16 {
        return Typed::Bytes(Cow::Borrowed(bytes));
    }
    let mut text = text_of(|out| write_hex(bytes, out));
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    Typed::Text(Cow::Owned(text))
}

/// A length of time, as ISO 8601 writes it.
fn duration(bytes: [u8; 12]) -> Typed<'static> {
    let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (months, days, millis) = (number(0), number(4), number(8));
    Typed::Text(Cow::Owned(format!("P{months}M{days}DT{}.{:03}S", millis / 1000, millis % 1000)))
}
