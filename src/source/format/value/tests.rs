//! Values as Debezium's documentation and its converters write them, and the ends of every range.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::super::encoding::{Field, Modes};
use super::*;
use crate::change::text::number::double_text;

const PRICE: DataType = DataType::Decimal { precision: 10, scale: 2 };
const WIDE: DataType = DataType::Decimal { precision: 38, scale: 2 };

fn read(json: &str, encoding: Encoding, data_type: DataType, is_key: bool) -> Result<Value, String> {
    cell(json, encoding, &Column::new("c", data_type), is_key).map(|it| it.datum().to_value())
}

/// Of a field whose schema has this type, name and parameter.
fn field(kind: &str, name: &str, parameter: Option<(&str, &str)>, json: &str, data_type: DataType) -> String {
    let parameters = parameter.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    let field = Field { kind: kind.into(), name: (!name.is_empty()).then(|| name.into()), parameters, field: None };
    let encoding = Encoding::of_field(&field, data_type, Modes::DEBEZIUM).expect("an encoding");
    shown(read(json, encoding, data_type, false), data_type)
}

/// Of a field without a schema, under these options.
fn bare(options: &[(&str, &str)], json: &str, data_type: DataType) -> String {
    let mut modes = Modes::DEBEZIUM;
    options.iter().for_each(|(option, value)| modes.set(option, value).expect("an option"));
    shown(read(json, Encoding::of_type(data_type, modes), data_type, false), data_type)
}

/// Values in PostgreSQL's text, errors behind a `!`.
fn shown(value: Result<Value, String>, data_type: DataType) -> String {
    match value {
        Err(message) => format!("!{}", message.strip_prefix("column \"c\": ").expect("the column is named")),
        Ok(Value::Int(it)) => text_of(|out| match data_type {
            DataType::Date => write_date(it, Style::Postgres, out),
            DataType::Timestamp => write_timestamp(it, Style::Postgres, "", out),
            DataType::TimestampTz => write_timestamp(it, Style::Postgres, "+00", out),
            _ => out.extend_from_slice(it.to_string().as_bytes()),
        }),
        Ok(Value::Decimal(it)) => {
            let DataType::Decimal { scale, .. } = data_type else { panic!("{it} is no {data_type}") };
            text_of(|out| decimal::write(it, scale, out))
        }
        Ok(Value::Text(it)) => it,
        Ok(Value::Boolean(it)) => it.to_string(),
        Ok(Value::Float(it)) => double_text(it),
        Ok(other) => format!("{other:?}"),
    }
}

#[test]
fn dates_and_times_by_the_name_of_their_schema() {
    use DataType::{Date, Int32, Int64, Text, Timestamp, TimestampTz};
    for (kind, name, json, data_type, expected) in [
        ("int32", "io.debezium.time.Date", "17702", Date, "2018-06-20"),
        ("int32", "io.debezium.time.Date", "-1", Date, "1969-12-31"),
        ("int32", "io.debezium.time.Date", "19782", Date, "2024-02-29"),
        ("int32", "io.debezium.time.Date", "-2440588", Date, "4714-11-24 BC"),
        ("int32", "io.debezium.time.Date", "-2440589", Date, "!-2440589 is out of range for type date"),
        ("int32", "io.debezium.time.Date", "2145042905", Date, "5874897-12-31"),
        ("int32", "io.debezium.time.Date", "2147483647", Date, "!2147483647 is out of range for type date"),
        ("int32", "io.debezium.time.Date", "17702", Text, "2018-06-20"),
        ("int32", "io.debezium.time.Date", "17702", Timestamp, "2018-06-20 00:00:00"),
        ("int32", "io.debezium.time.Date", "17702", Int32, "17702"),
        ("int32", "io.debezium.time.Date", "1.5", Date, "!1.5 is no date"),
        ("int32", "io.debezium.time.Date", "null", Date, "Null"),
        ("int32", "org.apache.kafka.connect.data.Date", "17702", Date, "2018-06-20"),
        ("string", "io.debezium.time.IsoDate", "\"2005-05-12Z\"", Date, "2005-05-12"),
        ("string", "io.debezium.time.IsoDate", "\"2005-05-12Z\"", Timestamp, "2005-05-12 00:00:00"),
        ("string", "io.debezium.time.IsoDate", "\"-0043-03-15Z\"", Date, "0044-03-15 BC"),
        ("string", "io.debezium.time.IsoDate", "\"2005-05-12Z\"", Text, "2005-05-12Z"),
        ("int64", "io.debezium.time.Timestamp", "1529476623000", Timestamp, "2018-06-20 06:37:03"),
        ("int64", "io.debezium.time.Timestamp", "-1", Timestamp, "1969-12-31 23:59:59.999"),
        ("int64", "io.debezium.time.Timestamp", "1529476623000", Date, "2018-06-20"),
        ("int64", "io.debezium.time.Timestamp", "1529476623120", Text, "2018-06-20 06:37:03.12"),
        ("int64", "io.debezium.time.Timestamp", "1529476623120", Int64, "1529476623120"),
        ("int64", "io.debezium.time.Timestamp", "-9223372036832400", Text, "-infinity"),
        ("int64", "org.apache.kafka.connect.data.Timestamp", "1529476623000", TimestampTz, "2018-06-20 06:37:03+00"),
        ("int64", "io.debezium.time.MicroTimestamp", "1529507596945104", Timestamp, "2018-06-20 15:13:16.945104"),
        ("int64", "io.debezium.time.MicroTimestamp", "-1", Timestamp, "1969-12-31 23:59:59.999999"),
        ("int64", "io.debezium.time.MicroTimestamp", "-210866803200000000", Timestamp, "4714-11-24 00:00:00 BC"),
        ("int64", "io.debezium.time.NanoTimestamp", "1529507596945104500", Timestamp, "2018-06-20 15:13:16.945104"),
        ("int64", "io.debezium.time.NanoTimestamp", "1529507596945105500", Timestamp, "2018-06-20 15:13:16.945106"),
        ("int64", "io.debezium.time.NanoTimestamp", "-1", Text, "1969-12-31 23:59:59.999999999"),
        ("int64", "io.debezium.time.NanoTimestamp", "-1", Timestamp, "1970-01-01 00:00:00"),
        ("int64", "io.debezium.time.NanoTimestamp", "9223372036854775807", Timestamp, "2262-04-11 23:47:16.854776"),
        (
            "string",
            "io.debezium.time.ZonedTimestamp",
            "\"2018-06-20T13:37:03Z\"",
            TimestampTz,
            "2018-06-20 13:37:03+00",
        ),
        (
            "string",
            "io.debezium.time.ZonedTimestamp",
            "\"2011-12-03T10:15:30.030431+01:00\"",
            TimestampTz,
            "2011-12-03 09:15:30.030431+00",
        ),
        ("string", "io.debezium.time.ZonedTimestamp", "\"2018-06-20T13:37:03Z\"", Timestamp, "2018-06-20 13:37:03"),
        ("string", "io.debezium.time.ZonedTimestamp", "\"2018-06-20T13:37:03Z\"", Text, "2018-06-20T13:37:03Z"),
        (
            "string",
            "io.debezium.time.IsoTimestamp",
            "\"2011-01-11T16:40:30.123456789Z\"",
            Timestamp,
            "2011-01-11 16:40:30.123457",
        ),
        ("int32", "io.debezium.time.Time", "37801000", Text, "10:30:01"),
        ("int32", "org.apache.kafka.connect.data.Time", "37801005", Text, "10:30:01.005"),
        ("int64", "io.debezium.time.MicroTime", "9000004000", Text, "02:30:00.004"),
        ("int64", "io.debezium.time.MicroTime", "86400000000", Text, "24:00:00"),
        ("int64", "io.debezium.time.MicroTime", "-3020399000001", Text, "-838:59:59.000001"),
        ("int64", "io.debezium.time.MicroTime", "9000004000", Int64, "9000004000"),
        ("int64", "io.debezium.time.MicroTime", "9000004000", Timestamp, "!9000004000 is no timestamp"),
        ("int64", "io.debezium.time.NanoTime", "9000004000005", Text, "02:30:00.004000005"),
        ("string", "io.debezium.time.ZonedTime", "\"10:15:30Z\"", Text, "10:15:30Z"),
        ("string", "io.debezium.time.IsoTime", "\"10:30:45.123456789Z\"", Text, "10:30:45.123456789Z"),
        ("int64", "io.debezium.time.MicroDuration", "31557600000000", Text, "8766:00:00"),
        ("int64", "io.debezium.time.MicroDuration", "31557600000000", Int64, "31557600000000"),
        ("string", "io.debezium.time.Interval", "\"P1Y2M3DT4H5M6.78S\"", Text, "P1Y2M3DT4H5M6.78S"),
        ("int32", "io.debezium.time.Year", "2018", Int32, "2018"),
        ("int32", "io.debezium.time.Year", "2018", Text, "2018"),
        ("int32", "io.debezium.time.Year", "2018", Date, "!2018 is no date"),
    ] {
        assert_eq!(field(kind, name, None, json, data_type), expected, "{name} {json} {data_type}");
    }
}

#[test]
fn infinite_times_are_told() {
    const TOLD: &str = " is infinite or NaN, which timestamp does not hold here; declare the column text";
    for (kind, name, json) in [
        ("int64", "io.debezium.time.MicroTimestamp", "9223372036825200000"),
        ("int64", "io.debezium.time.MicroTimestamp", "-9223372036832400000"),
        ("int64", "io.debezium.time.Timestamp", "9223372036825200000"),
        ("int64", "io.debezium.time.Timestamp", "9223372036825200"),
        ("string", "io.debezium.time.IsoTimestamp", "\"+294247-01-10T04:00:25.2Z\""),
        ("string", "io.debezium.time.IsoTimestamp", "\"-290308-12-21T19:59:27.6Z\""),
        ("string", "io.debezium.time.ZonedTimestamp", "\"infinity\""),
        ("string", "io.debezium.time.ZonedTimestamp", "\"-infinity\""),
        ("string", "io.debezium.time.ZonedTimestamp", "\"+292278994-08-16T23:00:00Z\""),
    ] {
        assert_eq!(field(kind, name, None, json, DataType::Timestamp), format!("!{json}{TOLD}"));
    }
    let late = field("int64", "io.debezium.time.Timestamp", None, "9223372036854775807", DataType::Timestamp);
    assert_eq!(late, "!9223372036854775807 is out of range for type timestamp");
}

#[test]
fn decimals_by_the_name_of_their_schema() {
    use DataType::{Boolean, Float64, Int32, Int64, Text};
    const NAME: &str = "org.apache.kafka.connect.data.Decimal";
    for (scale, json, data_type, expected) in [
        ("2", "\"Jw8=\"", PRICE, "99.99"),
        ("2", "\"2PE=\"", PRICE, "-99.99"),
        ("2", "\"AA==\"", PRICE, "0.00"),
        ("2", "\"/w==\"", PRICE, "-0.01"),
        ("2", "\"AIA=\"", PRICE, "1.28"),
        ("0", "\"Jw8=\"", PRICE, "9999.00"),
        ("3", "\"Jw8=\"", PRICE, "10.00"),
        ("-2", "\"Jw8=\"", PRICE, "999900.00"),
        ("2", "\"Jw8=\"", Text, "99.99"),
        ("-2", "\"Jw8=\"", Text, "999900"),
        ("2", "\"Jw8=\"", Float64, "99.99"),
        ("2", "\"Jw8=\"", Int64, "!\"Jw8=\" has digits that bigint does not keep"),
        ("0", "\"Jw8=\"", Int64, "9999"),
        ("0", "\"AQAAAAA=\"", Int32, "!\"AQAAAAA=\" is out of range for type integer"),
        ("2", "\"Jw8=\"", Boolean, "!\"Jw8=\" is no boolean"),
        ("2", "99.99", PRICE, "99.99"),
        // The ends of what a type holds, and 2^128, which none does.
        ("2", "\"SztMqFqGxHoJiiI//////w==\"", WIDE, "999999999999999999999999999999999999.99"),
        ("2", "\"tMSzV6V5O4X2dd3AAAAAAQ==\"", WIDE, "-999999999999999999999999999999999999.99"),
        (
            "2",
            "\"SztMqFqGxHoJiiJAAAAAAA==\"",
            WIDE,
            "!\"SztMqFqGxHoJiiJAAAAAAA==\" is out of range for type numeric(38,2)",
        ),
        (
            "2",
            "\"SztMqFqGxHoJiiI//////w==\"",
            PRICE,
            "!\"SztMqFqGxHoJiiI//////w==\" is out of range for type numeric(10,2)",
        ),
        ("40", "\"AQAAAAAAAAAAAAAAAAAAAAA=\"", WIDE, "0.03"),
        (
            "2",
            "\"AQAAAAAAAAAAAAAAAAAAAAA=\"",
            WIDE,
            "!\"AQAAAAAAAAAAAAAAAAAAAAA=\" is out of range for type numeric(38,2)",
        ),
        ("2", "\"AQAAAAAAAAAAAAAAAAAAAAA=\"", Text, "3402823669209384634633746074317682114.56"),
    ] {
        assert_eq!(field("bytes", NAME, Some(("scale", scale)), json, data_type), expected, "{json} {data_type}");
    }
    const VARIABLE: &str = "io.debezium.data.VariableScaleDecimal";
    for (json, data_type, expected) in [
        (r#"{"scale":2,"value":"Jw8="}"#, PRICE, "99.99"),
        (r#"{"scale":0,"value":"Jw8="}"#, Text, "9999"),
        (r#"{"value":"AQ==","scale":20}"#, Float64, "1e-20"),
        (r#"{"scale":5,"value":"Jw8="}"#, PRICE, "0.10"),
    ] {
        assert_eq!(field("struct", VARIABLE, None, json, data_type), expected, "{json} {data_type}");
    }
    let broken = field("struct", VARIABLE, None, r#"{"value":"AQ=="}"#, PRICE);
    assert!(broken.starts_with("!{\"value\":\"AQ==\"} is no decimal in base64"), "{broken}");
}

#[test]
fn other_values_by_the_name_of_their_schema() {
    use DataType::{Boolean, Bytes, Int32, Int64, Text};
    for (kind, name, json, data_type, expected) in [
        ("string", "io.debezium.data.Json", r#""{\"a\": [1, 2.50]}""#, Text, "{\"a\": [1, 2.50]}"),
        ("string", "io.debezium.data.Xml", "\"<a/>\"", Text, "<a/>"),
        (
            "string",
            "io.debezium.data.Uuid",
            "\"6c84fb90-12c4-11e1-840d-7b25c5ee775a\"",
            Text,
            "6c84fb90-12c4-11e1-840d-7b25c5ee775a",
        ),
        ("string", "io.debezium.data.Enum", "\"large\"", Text, "large"),
        ("string", "io.debezium.data.EnumSet", "\"a,b\"", Text, "a,b"),
        ("array", "", "[\"a\", null]", Text, "[\"a\", null]"),
        ("boolean", "", "true", Boolean, "true"),
        ("int16", "", "1", Boolean, "true"),
        ("int16", "", "2", Boolean, "!2 is no boolean"),
        ("bytes", "", "\"AAEC/w==\"", Bytes, "Bytes([0, 1, 2, 255])"),
        ("bytes", "", "\"00ff\"", Bytes, "Bytes([211, 71, 223])"),
        ("bytes", "", "1", Bytes, "!1 is no base64; see \"binary.handling.mode\""),
        ("float", "", "\"NaN\"", DataType::Float64, "NaN"),
        ("double", "", "\"-Infinity\"", DataType::Float64, "-Infinity"),
        ("double", "", "1.0E10", DataType::Float64, "10000000000"),
    ] {
        assert_eq!(field(kind, name, None, json, data_type), expected, "{name} {json} {data_type}");
    }
    // B'000000000101' and B'1' of the manual: the lowest byte comes first.
    for (length, json, data_type, expected) in [
        ("12", "\"BQA=\"", Text, "000000000101"),
        ("12", "\"BQA=\"", Int32, "5"),
        ("12", "\"AAg=\"", Int64, "2048"),
        ("1", "\"AQ==\"", Boolean, "true"),
        ("12", "\"BQ==\"", Text, "000000000101"),
        ("12", "\"\"", Text, "000000000000"),
        ("1", "\"\"", Boolean, "false"),
        ("2147483647", "\"BQ==\"", Text, "00000101"),
        ("64", "\"AAAAAAAAAIA=\"", Int64, "!\"AAAAAAAAAIA=\" is out of range for type bigint"),
        ("63", "\"/////////38=\"", Int64, "9223372036854775807"),
        ("12", "\"BQA=\"", Bytes, "Bytes([5, 0])"),
        ("12", "\"BQA\"", Text, "!\"BQA\" is no text"),
    ] {
        let found = field("bytes", "io.debezium.data.Bits", Some(("length", length)), json, data_type);
        assert_eq!(found, expected, "{json} {data_type}");
    }
}

#[test]
fn without_a_schema_the_declared_type_and_the_options_decide() {
    use DataType::{Bytes, Date, Float64, Int32, Int64, Text, Timestamp, TimestampTz};
    let decimals = |mode| [("decimal.handling.mode", mode)];
    assert_eq!(bare(&[], "\"Jw8=\"", PRICE), "99.99");
    assert_eq!(bare(&[], "99.994", PRICE), "99.99");
    assert_eq!(bare(&[], r#"{"scale":1,"value":"Jw8="}"#, PRICE), "999.90");
    assert_eq!(
        bare(&[], "\"99.99\"", PRICE),
        "!\"99.99\" is no decimal in base64, as \"decimal.handling.mode\" = 'precise' writes it; if decimals come as \
         texts, say 'string'"
    );
    assert_eq!(bare(&decimals("string"), "\"0012.3400\"", PRICE), "12.34");
    assert_eq!(bare(&decimals("string"), "\"1234\"", PRICE), "1234.00");
    assert_eq!(bare(&decimals("precise"), "\"1234\"", PRICE), "-26588.24");
    assert_eq!(bare(&decimals("double"), "0.30000000000000004", PRICE), "0.30");
    for (mode, json) in [("string", "\"NAN\""), ("double", "\"NaN\""), ("string", "\"-Infinity\"")] {
        let told =
            format!("!{json} is infinite or NaN, which numeric(10,2) does not hold here; declare the column text");
        assert_eq!(bare(&decimals(mode), json, PRICE), told);
    }
    for (mode, json) in
        [("bytes", "\"+/8=\""), ("base64", "\"+/8=\""), ("base64-url-safe", "\"-_8=\""), ("hex", "\"fbff\"")]
    {
        assert_eq!(bare(&[("binary.handling.mode", mode)], json, Bytes), "Bytes([251, 255])");
    }
    assert_eq!(
        bare(&[("binary.handling.mode", "hex")], "\"+/8=\"", Bytes),
        "!\"+/8=\" is no hexadecimal bytes; see \"binary.handling.mode\""
    );
    for (options, json, data_type, expected) in [
        (&[][..], "17702", Date, "2018-06-20"),
        (&[][..], "\"2018-06-20\"", Date, "2018-06-20"),
        (&[][..], "\"2018-06-20T13:37:03.123Z\"", TimestampTz, "2018-06-20 13:37:03.123+00"),
        (&[("time.precision.mode", "connect")][..], "1529476623000", Timestamp, "2018-06-20 06:37:03"),
        (&[("time.precision.mode", "isostring")][..], "\"2018-06-20T06:37:03Z\"", Timestamp, "2018-06-20 06:37:03"),
        (&[("timestamp.unit", "microseconds")][..], "1529476623000000", Timestamp, "2018-06-20 06:37:03"),
        (&[("timestamp.unit", "nanoseconds")][..], "1529476623000000000", Timestamp, "2018-06-20 06:37:03"),
        (&[("timestamp.unit", "seconds")][..], "1529476623", Timestamp, "2018-06-20 06:37:03"),
        (&[][..], "42", Int32, "42"),
        (&[][..], "42.0", Int64, "42"),
        (&[][..], "4.2e1", Int64, "42"),
        (&[][..], "\"42\"", Int64, "42"),
        (&[][..], "42.5", Int64, "!42.5 has digits that bigint does not keep"),
        (&[][..], "2147483648", Int32, "!2147483648 is out of range for type integer"),
        (&[][..], "9007199254740993", Int64, "9007199254740993"),
        (&[][..], "9007199254740993", DataType::Decimal { precision: 20, scale: 0 }, "9007199254740993"),
        (&[][..], "1e400", Float64, "!1e400 is out of range for type double precision"),
        (&[][..], "1.50", Text, "1.50"),
        (&[][..], "true", Text, "true"),
        (&[][..], r#"{"a": 1}"#, Text, r#"{"a": 1}"#),
        (&[][..], "{}", Int64, "!{} is no bigint"),
        (&[][..], "\"soon\"", Timestamp, "!\"soon\" is no timestamp"),
    ] {
        assert_eq!(bare(options, json, data_type), expected, "{json} {data_type}");
    }
    let told = bare(&[("time.precision.mode", "adaptive")], "1529476623000", Timestamp);
    assert_eq!(
        told,
        "!1529476623000 counts time in a unit that no schema tells; say it behind ENCODE …, (timestamp.unit = 'microseconds'), \
         or 'milliseconds', 'nanoseconds' or 'seconds'"
    );
}

#[test]
fn keys_lose_nothing() {
    for (json, encoding, data_type, expected) in [
        ("1.50", Encoding::Plain, PRICE, Ok(Value::Decimal(150))),
        ("1.505", Encoding::Plain, PRICE, Err("1.505 has digits that numeric(10,2) does not keep")),
        ("\"Jw8=\"", Encoding::Unscaled(Some(3)), PRICE, Err("\"Jw8=\" has digits that numeric(10,2) does not keep")),
        ("86400000", Encoding::Instant(Unit::Milliseconds), DataType::Date, Ok(Value::Int(1))),
        (
            "86400001",
            Encoding::Instant(Unit::Milliseconds),
            DataType::Date,
            Err("86400001 has digits that date does not keep"),
        ),
    ] {
        let expected = expected.map_err(|it| format!("column \"c\": {it}"));
        assert_eq!(read(json, encoding, data_type, true), expected, "{json}");
    }
}

#[test]
fn nulls_belong_in_columns_that_take_them() {
    let strict = Column { nullable: false, ..Column::new("c", DataType::Date) };
    let found = cell("null", Encoding::Days, &strict, false);
    assert_eq!(found, Err("column \"c\": null in a column declared NOT NULL".into()));
    assert_eq!(read("null", Encoding::Unscaled(None), PRICE, false), Ok(Value::Null));
}

#[test]
fn texts_are_borrowed_and_messages_short() {
    let column = Column::new("c", DataType::Text);
    assert_eq!(cell("\"plain\"", Encoding::Plain, &column, false), Ok(Cell::Is(Datum::Text("plain"))));
    assert_eq!(cell("\"a\\nb\"", Encoding::Plain, &column, false), Ok(Cell::Made(Value::Text("a\nb".into()))));
    let long = format!("\"{}\"", "é".repeat(1000));
    assert!(read(&long, Encoding::Plain, DataType::Date, false).unwrap_err().len() < 150);
}

/// One table of a real PostgreSQL as the connector of Debezium 3.5 sent its rows, in four of its modes. What is lost was
/// lost there: a NaN that is precise is NULL, 24:00 in ISO 8601 is 00:00, and nanoseconds beyond 1677 and 2262 are others.
#[test]
fn rows_recorded_from_a_real_connector() {
    #[derive(Deserialize)]
    struct Recording<'a> {
        options: BTreeMap<String, String>,
        fields: Option<Vec<Field>>,
        #[serde(borrow)]
        rows: Vec<BTreeMap<&'a str, &'a RawValue>>,
    }
    let numeric = |precision, scale| DataType::Decimal { precision, scale };
    let columns = [
        ("b", DataType::Boolean),
        ("i2", DataType::Int32),
        ("i8", DataType::Int64),
        ("f4", DataType::Float64),
        ("f8", DataType::Float64),
        ("n", numeric(10, 2)),
        ("nn", numeric(38, 10)),
        ("by", DataType::Bytes),
        ("d", DataType::Date),
        ("ts", DataType::Timestamp),
        ("ts3", DataType::Timestamp),
        ("tz", DataType::TimestampTz),
        ("ti", DataType::Text),
        ("ti3", DataType::Text),
        ("tiz", DataType::Text),
        ("iv", DataType::Text),
        ("u", DataType::Text),
        ("j", DataType::Text),
        ("x", DataType::Text),
        ("e", DataType::Text),
        ("bi", DataType::Text),
        ("bi1", DataType::Boolean),
        ("vb", DataType::Text),
        ("arr", DataType::Text),
        ("m", numeric(12, 2)),
    ];
    let recordings: Vec<Recording<'_>> = serde_json::from_str(include_str!("recorded.json")).expect("recordings");
    let mut found = String::new();
    for Recording { options, fields, rows } in &recordings {
        let mut modes = Modes::DEBEZIUM;
        options.iter().for_each(|(option, value)| modes.set(option, value).expect("an option"));
        found += &format!("{options:?}{}\n", if fields.is_some() { ", with schema" } else { "" });
        for (name, data_type) in columns {
            let field = fields.iter().flatten().find(|it| it.field.as_deref() == Some(name));
            let encoding = match field {
                Some(field) => Encoding::of_field(field, data_type, modes).expect("an encoding"),
                None => Encoding::of_type(data_type, modes),
            };
            let cells = rows.iter().map(|row| shown(read(row[name].get(), encoding, data_type, false), data_type));
            found += &format!("  {name}: {}\n", cells.collect::<Vec<_>>().join(" | "));
        }
    }
    expect_test::expect_file!["recorded.txt"].assert_eq(&found);
}
