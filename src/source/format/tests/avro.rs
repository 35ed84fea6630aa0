//! Avro as Kafka Connect's converter writes it: golden bytes made by the library from schemas of Debezium's.

use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Days, Decimal, Duration, Millis, Months, Schema as Avro, Uuid};

use super::*;

/// A registry: schemas by id, with those that they refer to.
#[derive(Debug, Default, Clone)]
pub(super) struct Double {
    schemas: BTreeMap<i64, (String, Vec<String>)>,
    wide: bool,
    is_away: bool,
}

impl Schemas for Double {
    fn get(&self, id: i64) -> Result<Arc<Registered>, Unread> {
        if self.is_away {
            return Err(Unread::Later("nobody answers".into()));
        }
        let (text, references) = self.schemas.get(&id).ok_or(format!("schema {id} is not known"))?.clone();
        Ok(Arc::new(Registered { text, references }))
    }

    fn id_bytes(&self) -> usize {
        if self.wide { 8 } else { 4 }
    }
}

impl Double {
    pub(super) fn of(schemas: &[&str]) -> Double {
        let schemas = (1..).zip(schemas).map(|(id, text)| (id, ((*text).to_owned(), Vec::new()))).collect();
        Double { schemas, ..Double::default() }
    }

    pub(super) fn table(&self, columns: &str, format: &str) -> Fixture {
        Fixture::of(columns, format, Some(Arc::new(self.clone())))
    }

    /// A value under the schema with this id, as producers frame it.
    pub(super) fn bytes(&self, id: i64, value: Value) -> Vec<u8> {
        let (text, references) = &self.schemas[&id];
        let (schema, others) = Avro::parse_str_with_list(text, references).expect("a schema");
        let builder = GenericDatumWriter::builder(&schema).schemata(others.iter().chain([&schema]).collect());
        let writer = builder.expect("schemas that fit together").build().expect("a writer");
        let id = if self.wide { id.to_be_bytes().to_vec() } else { (id as i32).to_be_bytes().to_vec() };
        let datum = writer.write_value_to_vec(value).expect("a value of the schema");
        [&[0][..], &id, &datum].concat()
    }
}

pub(super) fn record(fields: &[(&str, Value)]) -> Value {
    Value::Record(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

pub(super) fn some(value: Value) -> Value {
    Value::Union(1, Box::new(value))
}

pub(super) fn null() -> Value {
    Value::Union(0, Box::new(Value::Null))
}

pub(super) fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn raw<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Sent<'a> {
    Sent { key, value, headers: &[] }
}

/// The key of the table of orders, as Debezium registers it under the subject `shop.public.orders-key`.
pub(super) const KEY: &str = r#"{"type":"record","name":"Key","namespace":"shop.public.orders","fields":[{"name":"id","type":"long"}],"connect.name":"shop.public.orders.Key"}"#;

/// Its rows.
pub(super) const ROW: &str = r#"{"type":"record","name":"Value","fields":[
   {"name":"id","type":"long"},
   {"name":"customer","type":"string"},
   {"name":"price","type":["null",{"type":"bytes","scale":2,"precision":10,"connect.version":1,"connect.parameters":{"scale":"2","connect.decimal.precision":"10"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}],"default":null},
   {"name":"paid","type":["null","boolean"],"default":null},
   {"name":"placed","type":["null",{"type":"string","connect.version":1,"connect.name":"io.debezium.time.ZonedTimestamp"}],"default":null},
   {"name":"note","type":["null","string"],"default":null},
   {"name":"image","type":["null","bytes"],"default":null}
  ],"connect.name":"shop.public.orders.Value"}"#;

/// The envelope around rows, with the source block cut to a few fields.
pub(super) fn envelope_schema(row: &str) -> String {
    let begin = r#"{"type":"record","name":"Envelope","namespace":"shop.public.orders","fields":[
 {"name":"before","type":["null","#;
    let end = r#"],"default":null},
 {"name":"after","type":["null","Value"],"default":null},
 {"name":"source","type":{"type":"record","name":"Source","namespace":"io.debezium.connector.postgresql","fields":[
   {"name":"version","type":"string"},{"name":"connector","type":"string"},{"name":"ts_ms","type":"long"},
   {"name":"snapshot","type":[{"type":"string","connect.version":1,"connect.parameters":{"allowed":"true,first,last,false"},"connect.default":"false","connect.name":"io.debezium.data.Enum"},"null"],"default":"false"},
   {"name":"lsn","type":["null","long"],"default":null}
  ],"connect.name":"io.debezium.connector.postgresql.Source"}},
 {"name":"transaction","type":["null",{"type":"record","name":"block","namespace":"event","fields":[
   {"name":"id","type":"string"},{"name":"total_order","type":"long"},{"name":"data_collection_order","type":"long"}
  ],"connect.version":1,"connect.name":"event.block"}],"default":null},
 {"name":"op","type":"string"},
 {"name":"ts_ms","type":["null","long"],"default":null}
],"connect.version":2,"connect.name":"shop.public.orders.Envelope"}"#;
    format!("{begin}{row}{end}")
}

pub(super) const ORDERS: &str = "id BIGINT PRIMARY KEY, customer TEXT NOT NULL, price NUMERIC(10,2), paid BOOLEAN, \
                                 placed TIMESTAMPTZ, note TEXT, image BYTEA";

pub(super) fn order(id: i64, customer: &str, note: Value, image: Value) -> Value {
    record(&[
        ("id", Value::Long(id)),
        ("customer", text(customer)),
        ("price", some(Value::Decimal(Decimal::from(9999i16.to_be_bytes())))),
        ("paid", some(Value::Boolean(false))),
        ("placed", some(text("2026-11-22T10:00:00.123456Z"))),
        ("note", note),
        ("image", image),
    ])
}

pub(super) fn envelope(before: Value, after: Value, op: &str) -> Value {
    let source = record(&[
        ("version", text("3.5.0.Final")),
        ("connector", text("postgresql")),
        ("ts_ms", Value::Long(1_763_805_600_123)),
        ("snapshot", Value::Union(0, Box::new(text("false")))),
        ("lsn", some(Value::Long(22_536_408))),
    ]);
    let transaction = record(&[
        ("id", text("727:22536408")),
        ("total_order", Value::Long(1)),
        ("data_collection_order", Value::Long(1)),
    ]);
    record(&[
        ("before", before),
        ("after", after),
        ("source", source),
        ("transaction", some(transaction)),
        ("op", text(op)),
        ("ts_ms", some(Value::Long(1_763_805_600_456))),
    ])
}

fn key(id: i64) -> Value {
    record(&[("id", Value::Long(id))])
}

#[test]
fn debezium_rows_come_change_and_go() {
    let registry = Double::of(&[KEY, &envelope_schema(ROW)]);
    let mut table = registry.table(ORDERS, "FORMAT DEBEZIUM ENCODE AVRO");
    let mut after = |id: i64, value: Option<Value>| {
        let (key, value) = (registry.bytes(1, key(id)), value.map(|it| registry.bytes(2, it)));
        table.after(&raw(Some(&key), value.as_deref()))
    };
    let ada = order(1, "Ada", some(text("long")), some(Value::Bytes(vec![0, 255])));
    let line = "1 | Ada | 9999u | false | 1795341600123456 | long | [00, ff]";
    assert_eq!(after(1, Some(envelope(null(), some(ada.clone()), "c"))), line);
    // What was not sent is as it was.
    let placeholder = "__debezium_unavailable_value";
    let unchanged = order(1, "Eve", some(text(placeholder)), some(Value::Bytes(placeholder.into())));
    let line = line.replace("Ada", "Eve");
    assert_eq!(after(1, Some(envelope(null(), some(unchanged), "u"))), line);
    let bob = order(2, "Bob", null(), null());
    let rows = after(2, Some(envelope(null(), some(bob.clone()), "r")));
    assert_eq!(rows, format!("{line}\n2 | Bob | 9999u | false | 1795341600123456 | ∅ | ∅"));
    // The old row says which one is gone; where it is not sent the message's key does, and so does that of a tombstone.
    assert_eq!(after(1, Some(envelope(some(ada.clone()), null(), "d"))).lines().count(), 1);
    assert_eq!(after(2, Some(envelope(null(), null(), "d"))), "");
    after(1, Some(envelope(null(), some(ada.clone()), "c")));
    assert_eq!(after(1, None), "");
    // A changed key moves the row.
    after(1, Some(envelope(null(), some(ada.clone()), "c")));
    assert!(after(2, Some(envelope(some(ada), some(bob), "u"))).starts_with("2 | Bob"));
    assert_eq!(after(9, Some(envelope(null(), null(), "t"))), "");
}

#[test]
fn what_is_beside_the_rows_changes_nothing_and_what_is_no_event_is_named() {
    let heartbeat = r#"{"type":"record","name":"Heartbeat","fields":[{"name":"ts_ms","type":"long"}]}"#;
    let boundary = r#"{"type":"record","name":"Boundary","fields":[{"name":"status","type":"string"},{"name":"id","type":"string"},{"name":"ts_ms","type":"long"}]}"#;
    let registry = Double::of(&[
        KEY,
        &envelope_schema(ROW),
        heartbeat,
        boundary,
        r#"{"type":"record","name":"a","fields":[]}"#,
        r#""string""#,
    ]);
    let mut table = registry.table(ORDERS, "FORMAT DEBEZIUM ENCODE AVRO");
    let begin = record(&[("status", text("BEGIN")), ("id", text("7:1")), ("ts_ms", Value::Long(1))]);
    for (id, value) in [(3, record(&[("ts_ms", Value::Long(1))])), (4, begin)] {
        assert_eq!(table.after(&raw(None, Some(&registry.bytes(id, value)))), "");
    }
    let row = order(1, "Ada", null(), null());
    for (id, value, expected) in [
        (5, record(&[]), "it has no \"op\""),
        (6, text("x"), "it is no record"),
        (2, envelope(null(), null(), "c"), "no \"after\""),
        (2, envelope(null(), some(row), "x"), "\"op\" is \"x\""),
        (2, envelope(null(), null(), "d"), "does not say id"),
    ] {
        let reason = table.poison(&raw(None, Some(&registry.bytes(id, value))));
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn the_newest_row_of_a_key_holds() {
    let value = r#"{"type":"record","name":"v","fields":[{"name":"name","type":["null","string"]},{"name":"__deleted","type":["null","string"]}]}"#;
    let registry = Double::of(&[KEY, value, r#""long""#]);
    let mut table = registry.table("id BIGINT PRIMARY KEY, name TEXT", "FORMAT UPSERT ENCODE AVRO");
    let row = |name: &str, deleted: &str| record(&[("name", some(text(name))), ("__deleted", some(text(deleted)))]);
    let mut after = |key: &[u8], value: Option<Value>| {
        let value = value.map(|it| registry.bytes(2, it));
        table.after(&raw(Some(key), value.as_deref()))
    };
    // A key is a record, a value, or is written in another format.
    let keys = [registry.bytes(1, key(7)), registry.bytes(3, Value::Long(7)), b"7".to_vec(), b"{\"id\":7}".to_vec()];
    for (number, key) in keys.iter().enumerate() {
        let name = format!("n{number}");
        assert_eq!(after(key, Some(row(&name, "false"))), format!("7 | {name}"));
    }
    assert_eq!(after(&keys[0], None), "");
    after(&keys[1], Some(row("again", "false")));
    assert_eq!(after(&keys[2], Some(row("again", "true"))), "");
    let reason = table.poison(&raw(None, Some(&registry.bytes(2, row("x", "false")))));
    assert!(reason.contains("no key"), "{reason}");
}

/// What a value of a type is in a column.
fn read(kind: &str, value: Value, column: &str) -> String {
    let schema = format!(r#"{{"type":"record","name":"r","fields":[{{"name":"c","type":{kind}}}]}}"#);
    let registry = Double::of(&[&schema]);
    let mut table = registry.table(&format!("c {column}"), "FORMAT PLAIN ENCODE AVRO");
    let bytes = registry.bytes(1, record(&[("c", value)]));
    match table.events(&raw(None, Some(&bytes))) {
        Ok(_) => {
            let line = table.after(&raw(None, Some(&bytes)));
            line.split(" | ").next().expect("a cell").to_owned()
        }
        Err(reason) => format!("!{}", reason.strip_prefix("column \"c\": ").unwrap_or(&reason)),
    }
}

#[test]
fn values_are_what_their_schema_says() {
    let decimal = |scale: i32| format!(r#"{{"type":"bytes","logicalType":"decimal","precision":20,"scale":{scale}}}"#);
    let logical = |kind: &str, name: &str| format!(r#"{{"type":"{kind}","logicalType":"{name}"}}"#);
    let named = |kind: &str, name: &str| format!(r#"{{"type":"{kind}","connect.version":1,"connect.name":"{name}"}}"#);
    let plain = |kind: &str| format!("\"{kind}\"");
    let price = || Value::Decimal(Decimal::from(9999i16.to_be_bytes()));
    let fixed = r#"{"type":"fixed","name":"f","size":4,"logicalType":"decimal","precision":9,"scale":2}"#;
    let uuid = Uuid::from_u128(0x6c84_fb90_12c4_11e1_840d_7b25_c5ee_775a);
    for (kind, value, column, expected) in [
        (plain("boolean"), Value::Boolean(true), "BOOLEAN", "true"),
        (plain("int"), Value::Int(1), "BOOLEAN", "true"),
        (plain("int"), Value::Int(-7), "INT", "-7"),
        (plain("long"), Value::Long(i64::MIN), "BIGINT", "-9223372036854775808"),
        (plain("long"), Value::Long(1 << 40), "INT", "!1099511627776 is out of range for type integer"),
        (plain("long"), Value::Long(3), "NUMERIC(10,2)", "300u"),
        (plain("long"), Value::Long(3), "TEXT", "3"),
        (plain("float"), Value::Float(0.1), "DOUBLE PRECISION", "0.1"),
        (plain("double"), Value::Double(-2.5), "DOUBLE PRECISION", "-2.5"),
        (plain("double"), Value::Double(f64::NAN), "DOUBLE PRECISION", "NaN"),
        (plain("double"), Value::Double(9.99), "NUMERIC(10,2)", "999u"),
        (plain("double"), Value::Double(5.0), "BIGINT", "5"),
        (plain("double"), Value::Double(5.5), "BIGINT", "!5.5 has digits that bigint does not keep"),
        (
            plain("double"),
            Value::Double(f64::INFINITY),
            "NUMERIC(10,2)",
            "!Infinity is infinite or NaN, which numeric(10,2) does not hold here; declare the column text",
        ),
        (plain("string"), text("é"), "TEXT", "é"),
        (plain("string"), text("12"), "BIGINT", "12"),
        (plain("string"), text("AQI="), "BYTEA", "[01, 02]"),
        (plain("string"), text("!"), "BYTEA", "!\"!\" is no bytea"),
        (plain("string"), text("x"), "BIGINT", "!\"x\" is no bigint"),
        (plain("bytes"), Value::Bytes(vec![1, 2]), "BYTEA", "[01, 02]"),
        (plain("bytes"), Value::Bytes(vec![1, 2]), "TEXT", "AQI="),
        (plain("bytes"), Value::Bytes(vec![1, 2]), "INT", "!0x0102 is no integer"),
        (r#"{"type":"fixed","name":"f","size":2}"#.into(), Value::Fixed(2, vec![1, 2]), "BYTEA", "[01, 02]"),
        (r#"{"type":"enum","name":"e","symbols":["S","L"]}"#.into(), Value::Enum(1, "L".into()), "TEXT", "L"),
        (decimal(2), price(), "NUMERIC(10,2)", "9999u"),
        (decimal(3), price(), "NUMERIC(10,2)", "1000u"),
        (decimal(2), price(), "TEXT", "99.99"),
        (decimal(2), price(), "DOUBLE PRECISION", "99.99"),
        (decimal(0), price(), "BIGINT", "9999"),
        (decimal(2), price(), "BOOLEAN", "!0x270f is no boolean"),
        (fixed.into(), Value::Decimal(Decimal::from((-9999i32).to_be_bytes())), "NUMERIC(10,2)", "-9999u"),
        (logical("int", "date"), Value::Date(17702), "DATE", "17702"),
        (logical("int", "date"), Value::Date(17702), "TEXT", "2018-06-20"),
        (logical("int", "time-millis"), Value::TimeMillis(37_801_005), "TEXT", "10:30:01.005"),
        (logical("long", "time-micros"), Value::TimeMicros(9_000_004_000), "TEXT", "02:30:00.004"),
        (logical("long", "timestamp-millis"), Value::TimestampMillis(-1), "TIMESTAMPTZ", "-1000"),
        (logical("long", "timestamp-micros"), Value::TimestampMicros(-1), "TIMESTAMP", "-1"),
        (logical("long", "timestamp-nanos"), Value::TimestampNanos(1500), "TIMESTAMP", "2"),
        (logical("long", "local-timestamp-millis"), Value::LocalTimestampMillis(2), "TIMESTAMP", "2000"),
        (logical("long", "local-timestamp-micros"), Value::LocalTimestampMicros(2), "DATE", "0"),
        (logical("long", "local-timestamp-nanos"), Value::LocalTimestampNanos(2000), "TIMESTAMP", "2"),
        (logical("string", "uuid"), Value::Uuid(uuid), "TEXT", "6c84fb90-12c4-11e1-840d-7b25c5ee775a"),
        (
            r#"{"type":"fixed","name":"u","size":16,"logicalType":"uuid"}"#.into(),
            Value::Uuid(uuid),
            "TEXT",
            "6c84fb90-12c4-11e1-840d-7b25c5ee775a",
        ),
        (
            r#"{"type":"fixed","name":"d","size":12,"logicalType":"duration"}"#.into(),
            Value::Duration(Duration::new(Months::new(14), Days::new(3), Millis::new(4005))),
            "TEXT",
            "P14M3DT4.005S",
        ),
        (named("int", "io.debezium.time.Date"), Value::Int(17702), "DATE", "17702"),
        (named("int", "io.debezium.time.Time"), Value::Int(37_801_000), "TEXT", "10:30:01"),
        (named("long", "io.debezium.time.MicroTime"), Value::Long(9_000_004_000), "BIGINT", "9000004000"),
        (named("long", "io.debezium.time.Timestamp"), Value::Long(1), "TIMESTAMP", "1000"),
        (named("long", "io.debezium.time.MicroTimestamp"), Value::Long(1), "TIMESTAMP", "1"),
        (named("long", "io.debezium.time.NanoTimestamp"), Value::Long(1000), "TIMESTAMP", "1"),
        (named("string", "io.debezium.time.IsoDate"), text("2005-05-12Z"), "DATE", "12915"),
        (named("string", "io.debezium.data.Json"), text(r#"{"a": 1}"#), "TEXT", r#"{"a": 1}"#),
        (named("int", "io.debezium.time.Year"), Value::Int(2018), "INT", "2018"),
        (
            r#"{"type":"bytes","connect.parameters":{"length":"12"},"connect.name":"io.debezium.data.Bits"}"#.into(),
            Value::Bytes(vec![5, 0]),
            "TEXT",
            "000000000101",
        ),
        (
            plain("long"),
            Value::Long(1),
            "TIMESTAMP",
            "!1 counts time in a unit that no schema tells; say it behind ENCODE …, (timestamp.unit = 'microseconds'), \
             or 'milliseconds', 'nanoseconds' or 'seconds'",
        ),
        (r#"["null","long"]"#.into(), null(), "BIGINT NOT NULL", "!null in a column declared NOT NULL"),
        (r#"["null","long"]"#.into(), null(), "BIGINT", "∅"),
        // The branch that is there says how it is read.
        (
            r#"["null",{"type":"long","logicalType":"timestamp-millis"},"string"]"#.into(),
            some(Value::TimestampMillis(1)),
            "TIMESTAMP",
            "1000",
        ),
        (
            r#"["null",{"type":"long","logicalType":"timestamp-millis"},"string"]"#.into(),
            Value::Union(2, Box::new(text("1970-01-01 00:00:01"))),
            "TIMESTAMP",
            "1000000",
        ),
    ] {
        assert_eq!(read(&kind, value, column), expected, "{kind} in {column}");
    }
}

#[test]
fn values_in_values_are_json() {
    let array = r#"{"type":"array","items":["null","string"]}"#;
    let items = Value::Array(vec![some(text("a\"")), null()]);
    assert_eq!(read(array, items.clone(), "TEXT"), r#"["a\"",null]"#);
    assert_eq!(read(array, Value::Array(Vec::new()), "TEXT"), "[]");
    assert_eq!(read(array, items, "BIGINT"), r#"!["a\"",null] is no bigint"#);
    let map = r#"{"type":"map","values":"double"}"#;
    let values = Value::Map([("x".to_owned(), Value::Double(1.5))].into_iter().collect());
    assert_eq!(read(map, values, "TEXT"), r#"{"x":1.5}"#);
    let inner = r#"{"type":"record","name":"i","fields":[
        {"name":"at","type":{"type":"int","logicalType":"date"}},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
        {"name":"raw","type":"bytes"},{"name":"ok","type":"boolean"},{"name":"none","type":"null"}]}"#;
    let value = record(&[
        ("at", Value::Date(17702)),
        ("price", Value::Decimal(Decimal::from(9999i16.to_be_bytes()))),
        ("raw", Value::Bytes(vec![1, 2])),
        ("ok", Value::Boolean(true)),
        ("none", Value::Null),
    ]);
    let expected = r#"{"at":"2018-06-20","price":99.99,"raw":"AQI=","ok":true,"none":null}"#;
    assert_eq!(read(inner, value, "TEXT"), expected);
    let variable = r#"{"type":"record","name":"VariableScaleDecimal","namespace":"io.debezium.data","fields":[
        {"name":"scale","type":"int"},{"name":"value","type":"bytes"}],"connect.name":"io.debezium.data.VariableScaleDecimal"}"#;
    let value = record(&[("scale", Value::Int(2)), ("value", Value::Bytes(vec![0x27, 0x0f]))]);
    assert_eq!(read(variable, value.clone(), "NUMERIC(10,2)"), "9999u");
    assert_eq!(read(variable, value, "TEXT"), "99.99");
}

#[test]
fn schemas_change_and_columns_are_taken_by_name() {
    let schema = |fields: &str| format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#);
    let id = r#"{"name":"id","type":"long"}"#;
    let first = schema(&format!(r#"{id},{{"name":"n","type":"int"}}"#));
    let added = schema(&format!(
        r#"{{"name":"more","type":["null","string"],"default":null}},{id},{{"name":"n","type":["null","long"],"default":null}}"#
    ));
    let removed = schema(id);
    let retyped = schema(&format!(r#"{id},{{"name":"n","type":"string"}}"#));
    let registry = Double::of(&[KEY, &first, &added, &removed, &retyped]);
    let mut table = registry.table("id BIGINT PRIMARY KEY, n INT", "FORMAT UPSERT ENCODE AVRO");
    let key = registry.bytes(1, key(1));
    let id = ("id", Value::Long(1));
    let mut read = |schema: i64, value: &[(&str, Value)]| {
        let value = registry.bytes(schema, record(value));
        table.events(&raw(Some(&key), Some(&value)))?;
        Ok::<String, String>(table.after(&raw(Some(&key), Some(&value))))
    };
    assert_eq!(read(2, &[id.clone(), ("n", Value::Int(5))]), Ok("1 | 5".into()));
    let more = ("more", some(text("x")));
    assert_eq!(read(3, &[more.clone(), id.clone(), ("n", some(Value::Long(6)))]), Ok("1 | 6".into()));
    assert_eq!(read(4, std::slice::from_ref(&id)), Ok("1 | ∅".into()));
    // A producer that was not updated yet writes as before.
    assert_eq!(read(2, &[id.clone(), ("n", Value::Int(7))]), Ok("1 | 7".into()));
    // What changes its type is taken as far as it fits.
    assert_eq!(read(5, &[id.clone(), ("n", text("8"))]), Ok("1 | 8".into()));
    let reason = read(5, &[id.clone(), ("n", text("many"))]).unwrap_err();
    assert_eq!(reason, "column \"n\": \"many\" is no integer");
    assert!(read(3, &[more, id, ("n", some(Value::Long(1 << 40)))]).is_err_and(|it| it.contains("out of range")));
}

#[test]
fn types_may_be_in_other_schemas() {
    let money = r#"{"type":"record","name":"Money","namespace":"shop","fields":[{"name":"cents","type":"long"}]}"#;
    let order = r#"{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"},{"name":"total","type":"Money"}]}"#;
    let mut registry = Double::of(&[order]);
    registry.schemas.get_mut(&1).expect("there").1.push(money.to_owned());
    let mut table = registry.table("id BIGINT PRIMARY KEY, total TEXT", "FORMAT PLAIN ENCODE AVRO");
    let value = record(&[("id", Value::Long(1)), ("total", record(&[("cents", Value::Long(250))]))]);
    assert_eq!(table.after(&raw(None, Some(&registry.bytes(1, value)))), r#"1 | {"cents":250}"#);
}

#[test]
fn messages_name_their_schema_in_four_bytes_or_in_eight() {
    let schema = r#"{"type":"record","name":"r","fields":[{"name":"n","type":"int"}]}"#;
    let broken = r#"{"type":"record","name":"r","fields":[{"name":"n","type":"Other"}]}"#;
    let mut registry = Double::of(&[schema, broken]);
    let value = || record(&[("n", Value::Int(5))]);
    for wide in [false, true] {
        registry.wide = wide;
        let mut table = registry.table("n INT PRIMARY KEY", "FORMAT PLAIN ENCODE AVRO");
        let mut bytes = registry.bytes(1, value());
        assert_eq!(table.after(&raw(None, Some(&bytes))), "5");
        let at = bytes.len() - 2;
        for (id, expected) in [(9, "schema 9 is not known"), (2, "schema 2: the schema uses the type \"Other\"")] {
            bytes[at] = id;
            let reason = table.poison(&raw(None, Some(&bytes)));
            assert!(reason.contains(expected), "{reason}");
        }
        let reason = table.poison(&plain(r#"{"n":5}"#));
        assert!(reason.contains(&format!("a zero and {} bytes", if wide { 8 } else { 4 })), "{reason}");
        // That the registry does not answer is not what is wrong with a message.
        let away = Double { is_away: true, ..registry.clone() };
        let mut table = away.table("n INT PRIMARY KEY", "FORMAT PLAIN ENCODE AVRO");
        let read = table.read(&raw(None, Some(&registry.bytes(1, value()))));
        assert_eq!(read.unwrap_err(), Unread::Later("nobody answers".into()));
    }
}

#[test]
fn broken_bytes_are_named() {
    let schema = r#"{"type":"record","name":"r","fields":[{"name":"n","type":["null","int"]},{"name":"s","type":"string"},
        {"name":"l","type":{"type":"array","items":"null"}},{"name":"next","type":["null","r"]}]}"#;
    let registry = Double::of(&[schema]);
    let mut table = registry.table("n INT, s TEXT, l TEXT", "FORMAT PLAIN ENCODE AVRO");
    let mut poison = |datum: &[u8]| table.poison(&raw(None, Some(&[&[0, 0, 0, 0, 1], datum].concat())));
    let deep = [[0, 0, 0, 2]; 100].concat();
    for (datum, expected) in [
        (&[][..], "ends too early"),
        (&[2], "ends too early"),
        (&[6, 0], "branch 3 of a union of 2"),
        (&[1, 0], "branch -1 of a union of 2"),
        (&[0, 9], "a length of -5"),
        (&[0, 2, 255, 0, 0], "no UTF-8"),
        (&[0, 0, 0, 0, 7], "1 bytes are left behind"),
        (&[2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], "more than 64 bits"),
        // A million nothings cost nothing to send.
        (&[0, 0, 128, 137, 122, 0, 0], "a block of 1000000 items"),
        (&deep, "more than 64 values deep"),
    ] {
        let reason = poison(datum);
        assert!(reason.starts_with("the value: ") && reason.contains(expected), "{datum:?}: {reason}");
    }
}
