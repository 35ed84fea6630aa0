//! Protocol Buffers: messages of one type, which a file of descriptors describes (`protoc --descriptor_set_out`).
//!
//! | field | is |
//! |---|---|
//! | one that is not set | NULL where the type tells that from its default (`optional`, `oneof`, messages), else the default |
//! | an enum | the name; in a column of integers the number |
//! | `google.protobuf.Timestamp`, `.Duration` | a point in time, a length of time |
//! | the wrappers of `google.protobuf` | the value in them |
//! | `google.type.Date`, `google.type.Decimal`, `confluent.type.Decimal` | the date, the decimal |
//! | other messages, lists and maps | JSON, with fields by their names |
//!
//! Where a registry is declared, producers put in front of a message the number of its schema and the place of its type in
//! that. The type has to be the declared one; the descriptors are those of the file.

use std::borrow::Cow;
use std::path::Path;

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};

use super::encoding::{Binary, Encoding, Modes, Unit};
use super::schemas::unframed;
use super::shape::Shape;
use super::slots::Slots;
use super::value::{Typed, quoted, write_json};
use crate::catalog::did_you_mean;
use crate::change::DataType;
use crate::change::text::bytes::Alphabet;
use crate::change::text::calendar::SECOND;
use crate::change::text::moment::{Style, write_fraction, write_timestamp};
use crate::change::text::text_of;

/// The type `name` in the file of descriptors at `path`, and else what is wrong with the one or the other.
pub(super) fn descriptor(path: &Path, name: &str) -> Result<MessageDescriptor, Trouble> {
    let bytes =
        std::fs::read(path).map_err(|error| Trouble::File(format!("{} cannot be read: {error}", path.display())))?;
    let pool = DescriptorPool::decode(bytes.as_slice())
        .map_err(|error| Trouble::File(format!("{} holds no descriptors: {error}", path.display())))?;
    pool.get_message_by_name(name).ok_or_else(|| {
        let all: Vec<String> = pool.all_messages().map(|it| it.full_name().to_owned()).collect();
        let hint = did_you_mean(name, all.iter().map(String::as_str));
        let hint = hint.unwrap_or_else(|| format!("it describes {}", all.join(", ")));
        Trouble::Message(format!("{} describes no message \"{name}\"", path.display()), hint)
    })
}

/// What is wrong with a declaration.
#[derive(Debug)]
pub(super) enum Trouble {
    /// With the file.
    File(String),
    /// With the name of the message, and what to do.
    Message(String, String),
}

/// Reads messages of one type.
#[derive(Debug)]
pub(super) struct Protobuf {
    descriptor: MessageDescriptor,
    /// In how many bytes the number of a schema stands in front, if one does.
    id_bytes: Option<usize>,
    columns: Vec<Column>,
    width: usize,
}

/// A field that is a column.
#[derive(Debug)]
struct Column {
    field: FieldDescriptor,
    at: usize,
    encoding: Encoding,
    /// Whether an enum is its number.
    is_number: bool,
}

impl Protobuf {
    /// Of the type `descriptor`, with a place behind the columns that is never filled.
    pub(super) fn new(descriptor: MessageDescriptor, shape: &Shape, modes: Modes, id_bytes: Option<usize>) -> Protobuf {
        let column = |(name, at): (&str, usize)| {
            let data_type = shape.schema.data_type(at);
            let field = descriptor.get_field_by_name(name)?;
            let encoding = encoding(&field, data_type, modes);
            Some(Column { field, at, encoding, is_number: matches!(data_type, DataType::Int32 | DataType::Int64) })
        };
        let columns = shape.fields().filter_map(column).collect();
        Protobuf { descriptor, id_bytes, columns, width: shape.width() + 1 }
    }

    /// The fields of the message in `bytes`.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<Slots<'static>, String> {
        let datum = match self.id_bytes {
            Some(id_bytes) => self.behind_the_type(unframed(bytes, id_bytes, "the value")?.1)?,
            None => bytes,
        };
        let message = DynamicMessage::decode(self.descriptor.clone(), datum);
        let mut message = message.map_err(|error| format!("it is no {}: {error}", self.descriptor.full_name()))?;
        let mut slots = Slots::absent(self.width);
        for column in &self.columns {
            let value = match message.take_field(&column.field) {
                Some(value) => typed(value, &column.field, column.is_number),
                None if column.field.supports_presence() => Typed::Null,
                None => typed(column.field.default_value(), &column.field, column.is_number),
            };
            slots.put(column.at, value, column.encoding);
        }
        Ok(slots)
    }

    /// What is behind the place of the message's type, which has to be the declared one.
    fn behind_the_type<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], String> {
        const BROKEN: &str = "what stands in front of the message does not say of which type it is";
        let mut rest = bytes;
        let count = zigzag(&mut rest).ok_or(BROKEN)?;
        // The first type of a file is written as a single zero.
        let indexes = match usize::try_from(count).map_err(|_| BROKEN)? {
            0 => vec![0],
            count if count > rest.len() => return Err(BROKEN.into()),
            count => (0..count).map(|_| zigzag(&mut rest)).collect::<Option<Vec<_>>>().ok_or(BROKEN)?,
        };
        let file = self.descriptor.parent_file();
        let mut found: Option<MessageDescriptor> = None;
        for index in &indexes {
            let index = usize::try_from(*index).map_err(|_| BROKEN)?;
            found = match &found {
                None => file.messages().nth(index),
                Some(outer) => outer.child_messages().nth(index),
            };
            if found.is_none() {
                break;
            }
        }
        match found {
            Some(it) if it == self.descriptor => Ok(rest),
            Some(it) => {
                Err(format!("the message is a {}, and the table's are {}", it.full_name(), self.descriptor.full_name()))
            }
            None => Err(format!("the message is of a type that {} does not have", file.name())),
        }
    }
}

/// The number at the front of `bytes`.
fn zigzag(bytes: &mut &[u8]) -> Option<i64> {
    let mut bits = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        bits |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((bits >> 1) as i64 ^ -((bits & 1) as i64));
        }
    }
    None
}

/// How the values of a field are read.
fn encoding(field: &FieldDescriptor, data_type: DataType, modes: Modes) -> Encoding {
    match field.kind() {
        Kind::Message(message) if !field.is_list() && !field.is_map() => match message.full_name() {
            "google.protobuf.Timestamp" => Encoding::Instant(Unit::Nanoseconds),
            "google.protobuf.Duration" => Encoding::Clock(Unit::Nanoseconds),
            "google.protobuf.BytesValue" => BYTES,
            "google.protobuf.Int32Value" | "google.protobuf.Int64Value" => Encoding::of_type(data_type, modes),
            _ => Encoding::Plain,
        },
        Kind::Bytes => BYTES,
        _ => Encoding::of_type(data_type, modes),
    }
}

const BYTES: Encoding = Encoding::Bytes(Binary::Base64(Alphabet::Standard));

/// A value of a field.
fn typed(value: Value, field: &FieldDescriptor, is_number: bool) -> Typed<'static> {
    match value {
        Value::Bool(it) => Typed::Boolean(it),
        Value::I32(it) => Typed::Int(it.into()),
        Value::I64(it) => Typed::Int(it),
        Value::U32(it) => Typed::Int(it.into()),
        Value::U64(it) => i64::try_from(it).map_or(Typed::Unsigned(it), Typed::Int),
        Value::F32(it) => Typed::Single(it),
        Value::F64(it) => Typed::Float(it),
        Value::String(it) => Typed::Text(Cow::Owned(it)),
        Value::Bytes(it) => Typed::Bytes(Cow::Owned(it.to_vec())),
        Value::EnumNumber(number) => match field.kind() {
            Kind::Enum(kind) if !is_number => match kind.get_value(number) {
                Some(named) => Typed::Text(Cow::Owned(named.name().to_owned())),
                None => Typed::Int(number.into()),
            },
            _ => Typed::Int(number.into()),
        },
        Value::Message(message) => of_message(message),
        Value::List(_) | Value::Map(_) => {
            let mut json = String::new();
            write_nested(&value, field, &mut json);
            Typed::Nested(json)
        }
    }
}

/// What a message means where its type is one of those that everybody has.
fn of_message(mut message: DynamicMessage) -> Typed<'static> {
    let descriptor = message.descriptor();
    let number = |name: &str| match message.get_field_by_name(name).as_deref() {
        Some(Value::I64(it)) => Some(*it),
        Some(Value::I32(it)) => Some(i64::from(*it)),
        Some(Value::U32(it)) => Some(i64::from(*it)),
        _ => None,
    };
    let known = match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let (seconds, nanos) = (number("seconds"), number("nanos"));
            nanoseconds(seconds, nanos).or_else(|| far_away(seconds?, nanos?))
        }
        "google.protobuf.Duration" => nanoseconds(number("seconds"), number("nanos")),
        "google.protobuf.BoolValue"
        | "google.protobuf.Int32Value"
        | "google.protobuf.Int64Value"
        | "google.protobuf.UInt32Value"
        | "google.protobuf.UInt64Value"
        | "google.protobuf.FloatValue"
        | "google.protobuf.DoubleValue"
        | "google.protobuf.StringValue"
        | "google.protobuf.BytesValue"
        | "google.type.Decimal" => descriptor.get_field_by_name("value").map(|field| {
            let value = message.take_field(&field).unwrap_or_else(|| field.default_value());
            typed(value, &field, false)
        }),
        "google.type.Date" => match (number("year"), number("month"), number("day")) {
            (Some(year @ 1..), Some(month), Some(day)) => {
                Some(Typed::Text(Cow::Owned(format!("{year:04}-{month:02}-{day:02}"))))
            }
            _ => None,
        },
        "confluent.type.Decimal" => match (message.get_field_by_name("value").as_deref(), number("scale")) {
            (Some(Value::Bytes(value)), Some(scale)) => {
                i32::try_from(scale).ok().map(|scale| Typed::Scaled(Cow::Owned(value.to_vec()), scale))
            }
            _ => None,
        },
        _ => None,
    };
    known.unwrap_or_else(|| {
        let mut json = String::new();
        write_message(&message, &mut json);
        Typed::Nested(json)
    })
}

/// A time in nanoseconds, as long as these have a place for it.
fn nanoseconds(seconds: Option<i64>, nanos: Option<i64>) -> Option<Typed<'static>> {
    seconds?.checked_mul(1_000_000_000)?.checked_add(nanos?).map(Typed::Int)
}

/// A point in time beyond the years 1677 to 2262, as a text.
fn far_away(seconds: i64, nanos: i64) -> Option<Typed<'static>> {
    let micros = seconds.checked_mul(SECOND)?;
    let part = u64::try_from(nanos).ok()?;
    let suffix = text_of(|out| write_fraction(part, 9, out)) + "Z";
    Some(Typed::Text(Cow::Owned(text_of(|out| write_timestamp(micros, Style::Iso, &suffix, out)))))
}

fn write_message(message: &DynamicMessage, out: &mut String) {
    let descriptor = message.descriptor();
    let inner = |name: &str| descriptor.get_field_by_name(name).filter(|it| message.has_field(it));
    match descriptor.full_name() {
        "google.protobuf.Struct" | "google.protobuf.ListValue" => {
            let is_list = descriptor.name() == "ListValue";
            return match inner(if is_list { "values" } else { "fields" }) {
                Some(field) => write_nested(&message.get_field(&field), &field, out),
                None => out.push_str(if is_list { "[]" } else { "{}" }),
            };
        }
        "google.protobuf.Value" => {
            return match message.fields().next() {
                Some((field, value)) if field.name() != "null_value" => write_nested(value, &field, out),
                _ => out.push_str("null"),
            };
        }
        _ => {}
    }
    out.push('{');
    let mut between = "";
    for (field, value) in message.fields() {
        out.push_str(std::mem::replace(&mut between, ","));
        out.push_str(&quoted(field.name()));
        out.push(':');
        write_nested(value, &field, out);
    }
    out.push('}');
}

fn write_nested(value: &Value, field: &FieldDescriptor, out: &mut String) {
    match value {
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_nested(item, field, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            let Kind::Message(entry) = field.kind() else { unreachable!("a map has entries") };
            let values = entry.map_entry_value_field();
            let mut entries: Vec<(String, &Value)> = entries.iter().map(|(key, it)| (key_text(key), it)).collect();
            // One map is one text.
            entries.sort_by(|one, other| one.0.cmp(&other.0));
            out.push('{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                out.push_str(&quoted(&key));
                out.push(':');
                write_nested(value, &values, out);
            }
            out.push('}');
        }
        value => {
            let encoding = match field.kind() {
                Kind::Message(message) => match message.full_name() {
                    "google.protobuf.Timestamp" => Encoding::Instant(Unit::Nanoseconds),
                    "google.protobuf.Duration" => Encoding::Clock(Unit::Nanoseconds),
                    _ => Encoding::Plain,
                },
                _ => Encoding::Plain,
            };
            write_json(typed(value.clone(), field, false), encoding, out);
        }
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(it) => it.to_string(),
        MapKey::I32(it) => it.to_string(),
        MapKey::I64(it) => it.to_string(),
        MapKey::U32(it) => it.to_string(),
        MapKey::U64(it) => it.to_string(),
        MapKey::String(it) => it.clone(),
    }
}
