//! Messages that are broken at random: whatever comes, there are rows or an error, never a panic, and what comes behind it
//! is read as ever.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::avro::{Double, KEY, ORDERS, ROW, envelope, envelope_schema, null, order, some, text};
use super::*;

/// So many broken messages of each format.
const COUNT: usize = 3_000;

/// A message and a table that reads it.
struct Case {
    table: Fixture,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Case {
    fn text(columns: &str, format: &str, key: &str, value: &str) -> Case {
        Case { table: Fixture::new(columns, format), key: key.into(), value: value.into() }
    }

    fn send(&mut self, key: &[u8], value: &[u8]) -> Option<String> {
        let headers = &[("ce_specversion", "1.0"), ("ce_type", "t"), ("ce_source", "s"), ("ce_id", "1"), ("id", "1")];
        let sent = Sent { key: Some(key), value: Some(value), headers };
        self.table.offset = 0;
        // That a registry is asked for an id that it does not know is an error as any other.
        let events = self.table.read(&sent).ok()?;
        Some(format!("{events:?}"))
    }

    fn run(mut self, name: &str) {
        let seed = seed();
        let mut rng = SmallRng::seed_from_u64(seed);
        let (key, value) = (self.key.clone(), self.value.clone());
        let whole = self.send(&key, &value).unwrap_or_else(|| panic!("{name} reads its own message"));
        let mut read = 0;
        for round in 0..COUNT {
            let (mut broken_key, mut broken) = (key.clone(), value.clone());
            for _ in 0..rng.random_range(1..4) {
                if rng.random_range(0..5) == 0 {
                    mutate(&mut broken_key, &mut rng);
                } else {
                    mutate(&mut broken, &mut rng);
                }
            }
            let case = std::panic::AssertUnwindSafe(|| self.send(&broken_key, &broken));
            let outcome = std::panic::catch_unwind(case);
            let Ok(outcome) = outcome else {
                panic!("{name}, VANTAGE_SEED={seed}, round {round}: {broken_key:02x?} {broken:02x?}");
            };
            read += usize::from(outcome.is_some());
            if round % 50 == 0 {
                let again = self.send(&key, &value);
                assert_eq!(again.as_ref(), Some(&whole), "{name}, VANTAGE_SEED={seed}, behind round {round}");
            }
        }
        // Else what is broken is never what a reader has to decide about.
        assert!((1..COUNT).contains(&read), "{name}: {read} of {COUNT} broken messages were read");
    }
}

/// Another one is another walk through the same formats.
fn seed() -> u64 {
    std::env::var("VANTAGE_SEED").map_or(1, |seed| seed.parse().expect("a number"))
}

/// Breaks bytes a little, as networks, disks and programs do.
fn mutate(bytes: &mut Vec<u8>, rng: &mut SmallRng) {
    const TELLING: &[u8] = &[0, 1, 2, 0x7f, 0x80, 0xff, b'"', b'{', b'}', b'[', b'\\', b',', b'-', b'9', b'n'];
    let at = rng.random_range(0..=bytes.len());
    let end = rng.random_range(at..=bytes.len().min(at + 16));
    match rng.random_range(0..6) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.insert(at, TELLING[rng.random_range(0..TELLING.len())]),
        3 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
        4 if at < bytes.len() => bytes[at] = TELLING[rng.random_range(0..TELLING.len())],
        _ => {
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
    }
}

const JSON: &str =
    "id BIGINT PRIMARY KEY, name TEXT, price NUMERIC(10,2), at TIMESTAMPTZ, raw BYTEA, ok BOOLEAN, f DOUBLE PRECISION";
const ROW_OF_JSON: &str =
    r#"{"id":7,"name":"a\"é","price":"12.50","at":"2026-11-22T10:00:00.5Z","raw":"AP8=","ok":true,"f":1.5e3}"#;

#[test]
fn json() {
    Case::text(JSON, "FORMAT UPSERT ENCODE JSON", r#"{"id":7}"#, ROW_OF_JSON).run("upsert JSON");
    Case::text(JSON, "FORMAT PLAIN ENCODE JSON", "", ROW_OF_JSON).run("plain JSON");
    let event = format!(r#"{{"before":null,"after":{ROW_OF_JSON},"source":{{"lsn":1}},"op":"u","ts_ms":1}}"#);
    let format = "FORMAT DEBEZIUM ENCODE JSON (decimal.handling.mode = 'string')";
    Case::text(JSON, format, r#"{"id":7}"#, &event).run("Debezium JSON");
    let field =
        r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"},"field":"price"}"#;
    let schema = format!(
        r#"{{"type":"struct","fields":[{{"type":"struct","field":"after","fields":[{{"type":"int64","field":"id"}},{field}]}}]}}"#
    );
    let event =
        format!(r#"{{"schema":{schema},"payload":{{"before":null,"after":{{"id":7,"price":"Jw8="}},"op":"c"}}}}"#);
    let columns = "id BIGINT PRIMARY KEY, price NUMERIC(10,2)";
    Case::text(columns, "FORMAT DEBEZIUM ENCODE JSON", r#"{"id":7}"#, &event).run("Debezium JSON with schema");
}

#[test]
fn events() {
    Case::text(JSON, "FORMAT CLOUDEVENTS ENCODE JSON", "7", ROW_OF_JSON).run("CloudEvents");
    let payload = serde_json::to_string(ROW_OF_JSON).expect("a text");
    Case::text(JSON, "FORMAT OUTBOX ENCODE JSON", "7", &payload).run("outbox");
    let columns = "id INT PRIMARY KEY, name TEXT, price NUMERIC(10,2)";
    Case::text(columns, "FORMAT PLAIN ENCODE CSV", "", "7,\"pen, \"\"red\"\"\",1.50").run("CSV");
}

#[test]
fn documents() {
    let columns = "_id TEXT PRIMARY KEY, name TEXT, n BIGINT, at TIMESTAMPTZ, raw BYTEA, city TEXT METADATA FROM 'document.a.0.city'";
    let document = r#"{"_id":{"$oid":"596e"},"name":"x","n":{"$numberLong":"5"},"at":{"$date":{"$numberLong":"1"}},"raw":{"$binary":{"base64":"AP8=","subType":"00"}},"a":[{"city":"Oslo"}]}"#;
    let after = serde_json::to_string(document).expect("a text");
    let event = format!(r#"{{"before":null,"after":{after},"op":"c"}}"#);
    let key = r#"{"id":"{\"$oid\":\"596e\"}"}"#;
    Case::text(columns, "FORMAT DEBEZIUM_MONGO ENCODE JSON", key, &event).run("documents");
}

#[test]
fn avro() {
    let registry = Double::of(&[KEY, &envelope_schema(ROW), ROW]);
    let key = registry.bytes(1, super::avro::record(&[("id", apache_avro::types::Value::Long(1))]));
    let row = order(1, "Ada", some(text("long")), null());
    for (format, value) in [
        ("FORMAT DEBEZIUM ENCODE AVRO", registry.bytes(2, envelope(some(row.clone()), some(row.clone()), "u"))),
        ("FORMAT UPSERT ENCODE AVRO", registry.bytes(3, row)),
    ] {
        Case { table: registry.table(ORDERS, format), key: key.clone(), value }.run(format);
    }
}

/// A registry may have any schema: whether it makes sense is seen here.
#[test]
fn schemas_of_avro() {
    let row = order(1, "Ada", some(text("long")), null());
    let whole = Double::of(&[ROW]);
    let value = whole.bytes(1, row);
    let seed = seed();
    let mut rng = SmallRng::seed_from_u64(seed);
    for round in 0..COUNT / 3 {
        let mut schema = ROW.as_bytes().to_vec();
        (0..rng.random_range(1..4)).for_each(|_| mutate(&mut schema, &mut rng));
        let schema = String::from_utf8_lossy(&schema).into_owned();
        let case = || {
            Double::of(&[&schema])
                .table(ORDERS, "FORMAT PLAIN ENCODE AVRO")
                .read(&Sent { value: Some(&value), ..Sent::default() })
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(case));
        assert!(outcome.is_ok(), "VANTAGE_SEED={seed}, round {round}: {schema}");
    }
}

#[cfg(feature = "kafka")]
#[test]
fn protobuf() {
    let (described, order) = super::protobuf::stand();
    let bytes = super::protobuf::message(order);
    let framed = [&[0, 0, 0, 0, 1, 2, 2][..], &bytes].concat();
    for (more, value) in [("", bytes), (", framing = 'confluent'", framed)] {
        let table = Fixture::new(super::protobuf::COLUMNS, &super::protobuf::format("UPSERT", &described, more));
        Case { table, key: b"7".to_vec(), value }.run("Protobuf");
    }
}
