//! How a field of an event carries the value of its column: said by the schema that comes with it, in JSON or from a
//! registry, or else by the declared type and the options of the table.
//!
//! Kafka Connect has a handful of types; what they mean is the schema's name. Debezium and Connect define:
//!
//! | name of the schema | type | value |
//! |---|---|---|
//! | `org.apache.kafka.connect.data.Decimal` | bytes | unscaled integer, the scale is a parameter of the schema |
//! | `io.debezium.data.VariableScaleDecimal` | struct | `scale` and unscaled `value` |
//! | `io.debezium.time.Date`, `…connect.data.Date` | int32 | days since 1970 |
//! | `io.debezium.time.{Timestamp, MicroTimestamp, NanoTimestamp}`, `…connect.data.Timestamp` | int64 | since 1970 |
//! | `io.debezium.time.{Time, MicroTime, NanoTime}`, `…connect.data.Time` | int32, int64 | since midnight |
//! | `io.debezium.time.{MicroDuration, NanoDuration}` | int64 | a length of time |
//! | `io.debezium.time.{ZonedTimestamp, ZonedTime, IsoDate, IsoTime, IsoTimestamp, Interval}` | string | ISO 8601 |
//! | `io.debezium.time.Year` | int32 | the year |
//! | `io.debezium.data.Bits` | bytes | the lowest byte first, the number of bits is a parameter of the schema |
//! | `io.debezium.data.{Json, Xml, Uuid, Enum, EnumSet}` | string | as it is written |

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::change::DataType;
use crate::change::text::bytes::Alphabet;

/// How a value is carried in JSON. A text where a number is due, and the other way round, is read for what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As JSON, or a text, says the value.
    Plain,
    /// A decimal as base64 of its unscaled integer; without a scale here it is that of the declared type. The scale may
    /// also stand beside it, in an object.
    Unscaled(Option<i32>),
    /// Days since 1970-01-01.
    Days,
    /// A point in time since 1970-01-01T00:00:00, counted in this unit.
    Instant(Unit),
    /// The same in a unit that nobody told: only texts can be read.
    InstantOfUnknownUnit,
    /// A time of day, or a length of time.
    Clock(Unit),
    /// Bytes.
    Bytes(Binary),
    /// At most so many bits, in base64 of bytes of which the lowest comes first.
    Bits(usize),
}

/// What times are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Base64(Alphabet),
    Hex,
}

/// The schema of a field, as Kafka Connect's JSON converter sends it beside the values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Field {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// What values of the type mean here.
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, String>,
    /// The field's own name.
    #[serde(default)]
    pub(crate) field: Option<String>,
}

/// What a table's options say about the connector that writes its events, for fields without a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Modes {
    /// Whether a text in a decimal column is base64 of an unscaled integer; else it is the number.
    pub(crate) unscaled: bool,
    pub(crate) binary: Binary,
    /// What bare numbers in timestamp columns count, where it has been told.
    pub(crate) timestamps: Option<Unit>,
}

/// The options [`Modes`] are made of, with what they may say.
pub(crate) const OPTIONS: [(&str, &[&str]); 4] = [
    ("decimal.handling.mode", &["precise", "double", "string"]),
    ("binary.handling.mode", &["bytes", "base64", "base64-url-safe", "hex"]),
    (
        "time.precision.mode",
        &["adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"],
    ),
    (TIMESTAMP_UNIT, &["seconds", "milliseconds", "microseconds", "nanoseconds"]),
];

/// The option that says what bare numbers in timestamp columns count. Debezium's default counts every column in the unit
/// of its own precision, which only the schema tells.
pub(crate) const TIMESTAMP_UNIT: &str = "timestamp.unit";

impl Modes {
    /// Debezium's defaults.
    pub(crate) const DEBEZIUM: Modes =
        Modes { unscaled: true, binary: Binary::Base64(Alphabet::Standard), timestamps: None };
    /// What other programs write.
    pub(crate) const PLAIN: Modes = Modes { unscaled: false, ..Modes::DEBEZIUM };

    /// Takes an option of the table, in the spelling of the connector's own.
    pub(crate) fn set(&mut self, option: &str, value: &str) -> Result<(), String> {
        let Some((_, allowed)) = OPTIONS.iter().find(|(name, _)| *name == option) else {
            return Err(format!("there is no option {option}"));
        };
        match (option, value) {
            _ if !allowed.contains(&value) => {
                return Err(format!("{option} is one of {}, not '{value}'", allowed.join(", ")));
            }
            ("decimal.handling.mode", _) => self.unscaled = value == "precise",
            (_, "hex") => self.binary = Binary::Hex,
            (_, "base64-url-safe") => self.binary = Binary::Base64(Alphabet::UrlSafe),
            (_, "bytes" | "base64") => self.binary = Binary::Base64(Alphabet::Standard),
            (_, "seconds") => self.timestamps = Some(Unit::Seconds),
            (_, "connect" | "milliseconds") => self.timestamps = Some(Unit::Milliseconds),
            (_, "microseconds") => self.timestamps = Some(Unit::Microseconds),
            (_, "nanoseconds") => self.timestamps = Some(Unit::Nanoseconds),
            // Texts need no unit, and adaptive ones are told by another option.
            (_, "isostring" | "adaptive" | "adaptive_time_microseconds") => {}
            _ => unreachable!("every value that is allowed is one of these"),
        }
        Ok(())
    }
}

impl Encoding {
    /// That of a field with a schema.
    pub(crate) fn of_field(field: &Field, data_type: DataType, modes: Modes) -> Result<Encoding, String> {
        if let Some(encoding) = field.name.as_deref().and_then(|it| Encoding::of_name(it, &field.parameters)) {
            return encoding.map_err(|error| format!("the schema of {:?} is {error}", field.field));
        }
        Ok(match &*field.kind {
            "bytes" => Encoding::Bytes(Binary::Base64(Alphabet::Standard)),
            // A text is no number in bytes, whatever the connector does with other columns.
            "string" => Encoding::of_type(data_type, Modes { unscaled: false, ..modes }),
            _ => Encoding::of_type(data_type, modes),
        })
    }

    /// That of a schema of this name, if the name says how values are written.
    pub(crate) fn of_name(name: &str, parameters: &BTreeMap<String, String>) -> Option<Result<Encoding, String>> {
        let number = |parameter: &str| parameters.get(parameter)?.parse().ok();
        Some(Ok(match name {
            "org.apache.kafka.connect.data.Decimal" => match number("scale") {
                Some(scale) => Encoding::Unscaled(Some(scale)),
                None => return Some(Err(format!("{name} without a scale"))),
            },
            "io.debezium.data.VariableScaleDecimal" => Encoding::Unscaled(None),
            "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => Encoding::Days,
            "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => {
                Encoding::Instant(Unit::Milliseconds)
            }
            "io.debezium.time.MicroTimestamp" => Encoding::Instant(Unit::Microseconds),
            "io.debezium.time.NanoTimestamp" => Encoding::Instant(Unit::Nanoseconds),
            "io.debezium.time.Time" | "org.apache.kafka.connect.data.Time" => Encoding::Clock(Unit::Milliseconds),
            "io.debezium.time.MicroTime" | "io.debezium.time.MicroDuration" => Encoding::Clock(Unit::Microseconds),
            "io.debezium.time.NanoTime" | "io.debezium.time.NanoDuration" => Encoding::Clock(Unit::Nanoseconds),
            // A year is no number of days.
            "io.debezium.time.Year" => Encoding::Plain,
            "io.debezium.data.Bits" => {
                Encoding::Bits(number("length").and_then(|it| usize::try_from(it).ok()).unwrap_or(usize::MAX))
            }
            _ => return None,
        }))
    }

    /// That of a field without a schema.
    pub(crate) fn of_type(data_type: DataType, modes: Modes) -> Encoding {
        match data_type {
            DataType::Decimal { .. } if modes.unscaled => Encoding::Unscaled(None),
            DataType::Bytes => Encoding::Bytes(modes.binary),
            DataType::Date => Encoding::Days,
            DataType::Timestamp | DataType::TimestampTz => {
                modes.timestamps.map_or(Encoding::InstantOfUnknownUnit, Encoding::Instant)
            }
            _ => Encoding::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: DataType = DataType::Decimal { precision: 10, scale: 2 };
    const BASE64: Encoding = Encoding::Bytes(Binary::Base64(Alphabet::Standard));

    fn field(kind: &str, name: &str, parameters: &[(&str, &str)]) -> Field {
        let parameters = parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let name = (!name.is_empty()).then(|| name.to_owned());
        Field { kind: kind.into(), name, parameters, field: None }
    }

    #[test]
    fn the_name_of_the_schema_decides() {
        for (kind, name, data_type, expected) in [
            ("int32", "io.debezium.time.Date", DataType::Date, Encoding::Days),
            ("int32", "org.apache.kafka.connect.data.Date", DataType::Text, Encoding::Days),
            ("int32", "io.debezium.time.Time", DataType::Text, Encoding::Clock(Unit::Milliseconds)),
            ("int32", "org.apache.kafka.connect.data.Time", DataType::Text, Encoding::Clock(Unit::Milliseconds)),
            ("int64", "io.debezium.time.MicroTime", DataType::Text, Encoding::Clock(Unit::Microseconds)),
            ("int64", "io.debezium.time.NanoTime", DataType::Text, Encoding::Clock(Unit::Nanoseconds)),
            ("int64", "io.debezium.time.MicroDuration", DataType::Text, Encoding::Clock(Unit::Microseconds)),
            ("int64", "io.debezium.time.Timestamp", DataType::Timestamp, Encoding::Instant(Unit::Milliseconds)),
            ("int64", "io.debezium.time.MicroTimestamp", DataType::Timestamp, Encoding::Instant(Unit::Microseconds)),
            ("int64", "io.debezium.time.NanoTimestamp", DataType::Timestamp, Encoding::Instant(Unit::Nanoseconds)),
            ("string", "io.debezium.time.ZonedTimestamp", DataType::Text, Encoding::Plain),
            ("string", "io.debezium.time.Interval", DataType::Text, Encoding::Plain),
            ("string", "io.debezium.data.Uuid", DataType::Text, Encoding::Plain),
            ("int32", "io.debezium.time.Year", DataType::Date, Encoding::Plain),
            ("struct", "io.debezium.data.VariableScaleDecimal", DataType::Text, Encoding::Unscaled(None)),
            ("string", "", PRICE, Encoding::Plain),
            ("double", "", PRICE, Encoding::Unscaled(None)),
            ("int64", "", DataType::Timestamp, Encoding::InstantOfUnknownUnit),
            ("bytes", "", DataType::Bytes, BASE64),
            ("int32", "", DataType::Int32, Encoding::Plain),
        ] {
            let found = Encoding::of_field(&field(kind, name, &[]), data_type, Modes::DEBEZIUM);
            assert_eq!(found, Ok(expected), "{kind} {name} {data_type}");
        }
        let decimal = field("bytes", "org.apache.kafka.connect.data.Decimal", &[("scale", "2")]);
        assert_eq!(Encoding::of_field(&decimal, PRICE, Modes::PLAIN), Ok(Encoding::Unscaled(Some(2))));
        let decimal = Field { parameters: BTreeMap::new(), ..decimal };
        assert!(Encoding::of_field(&decimal, PRICE, Modes::PLAIN).is_err());
        let bits = field("bytes", "io.debezium.data.Bits", &[("length", "12")]);
        assert_eq!(Encoding::of_field(&bits, DataType::Text, Modes::DEBEZIUM), Ok(Encoding::Bits(12)));
    }

    #[test]
    fn a_schema_is_read_as_connect_sends_it() {
        let json = r#"{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,
            "parameters":{"scale":"2","connect.decimal.precision":"10"},"field":"price"}"#;
        let field: Field = serde_json::from_str(json).unwrap();
        assert_eq!((field.kind.as_str(), field.field.as_deref()), ("bytes", Some("price")));
        assert_eq!(Encoding::of_field(&field, PRICE, Modes::DEBEZIUM), Ok(Encoding::Unscaled(Some(2))));
        let field: Field = serde_json::from_str(r#"{"type":"int32","optional":false,"field":"id"}"#).unwrap();
        assert_eq!(Encoding::of_field(&field, DataType::Int32, Modes::DEBEZIUM), Ok(Encoding::Plain));
    }

    #[test]
    fn options_tell_what_the_declared_type_leaves_open() {
        let of = |options: &[(&str, &str)], data_type| {
            let mut modes = Modes::DEBEZIUM;
            options.iter().for_each(|(option, value)| modes.set(option, value).expect("an option"));
            Encoding::of_type(data_type, modes)
        };
        let url_safe = Encoding::Bytes(Binary::Base64(Alphabet::UrlSafe));
        for (option, value, data_type, expected) in [
            ("decimal.handling.mode", "precise", PRICE, Encoding::Unscaled(None)),
            ("decimal.handling.mode", "double", PRICE, Encoding::Plain),
            ("decimal.handling.mode", "string", PRICE, Encoding::Plain),
            ("binary.handling.mode", "bytes", DataType::Bytes, BASE64),
            ("binary.handling.mode", "base64", DataType::Bytes, BASE64),
            ("binary.handling.mode", "base64-url-safe", DataType::Bytes, url_safe),
            ("binary.handling.mode", "hex", DataType::Bytes, Encoding::Bytes(Binary::Hex)),
            ("time.precision.mode", "adaptive", DataType::Timestamp, Encoding::InstantOfUnknownUnit),
            ("time.precision.mode", "isostring", DataType::TimestampTz, Encoding::InstantOfUnknownUnit),
            ("time.precision.mode", "connect", DataType::Timestamp, Encoding::Instant(Unit::Milliseconds)),
            ("time.precision.mode", "nanoseconds", DataType::Timestamp, Encoding::Instant(Unit::Nanoseconds)),
            (TIMESTAMP_UNIT, "microseconds", DataType::TimestampTz, Encoding::Instant(Unit::Microseconds)),
            (TIMESTAMP_UNIT, "seconds", DataType::Timestamp, Encoding::Instant(Unit::Seconds)),
            (TIMESTAMP_UNIT, "seconds", DataType::Date, Encoding::Days),
        ] {
            assert_eq!(of(&[(option, value)], data_type), expected, "{option} {value}");
        }
        let both = [("time.precision.mode", "adaptive"), (TIMESTAMP_UNIT, "milliseconds")];
        for order in [both, [both[1], both[0]]] {
            assert_eq!(of(&order, DataType::Timestamp), Encoding::Instant(Unit::Milliseconds));
        }
        let mut modes = Modes::PLAIN;
        let refused = modes.set("decimal.handling.mode", "exact").unwrap_err();
        assert_eq!(refused, "decimal.handling.mode is one of precise, double, string, not 'exact'");
        assert!(modes.set("interval.handling.mode", "string").is_err());
    }
}
