//! How fast messages become rows, without a transport. A measurement, so it is run when asked for:
//! `cargo test --release --lib formats_a_second -- --ignored --nocapture`.

use std::time::Instant;

use apache_avro::Decimal;
use apache_avro::types::Value;

use super::avro::{Double, KEY, envelope, envelope_schema, null, record, some, text};
use super::*;

const COUNT: usize = 20_000;

const COLUMNS: &str = "id BIGINT PRIMARY KEY, customer TEXT, price NUMERIC(10,2), paid BOOLEAN, placed TIMESTAMPTZ";

const SOURCE: &str = r#""source":{"version":"3.5.0.Final","connector":"postgresql","name":"shop","ts_ms":1763805600123,"snapshot":"false","db":"shop","sequence":"[null,\"22536408\"]","ts_us":1763805600123456,"ts_ns":1763805600123456000,"schema":"public","table":"orders","txId":727,"lsn":22536408,"xmin":null},"transaction":null,"op":"c","ts_ms":1763805600456,"ts_us":1763805600456789,"ts_ns":1763805600456789000"#;

/// The same row in Avro.
fn row_schema() -> String {
    let optional = |name: &str, kind: &str| format!(r#"{{"name":"{name}","type":["null",{kind}],"default":null}}"#);
    let decimal = r#"{"type":"bytes","scale":2,"precision":10,"connect.version":1,"connect.parameters":{"scale":"2","connect.decimal.precision":"10"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}"#;
    let zoned = r#"{"type":"string","connect.version":1,"connect.name":"io.debezium.time.ZonedTimestamp"}"#;
    let fields = [
        r#"{"name":"id","type":"long"}"#.to_owned(),
        optional("customer", r#""string""#),
        optional("price", decimal),
        optional("paid", r#""boolean""#),
        optional("placed", zoned),
    ];
    format!(r#"{{"type":"record","name":"Value","namespace":"shop.public.orders","fields":[{}]}}"#, fields.join(","))
}

#[test]
#[ignore = "a measurement"]
fn formats_a_second() {
    let row = |id: usize| {
        format!(
            r#"{{"id":{id},"customer":"customer {id}","price":"Jw8=","paid":false,"placed":"2026-11-22T10:00:00.123456Z"}}"#
        )
    };
    let field = |kind: &str, name: &str| format!(r#"{{"type":"{kind}","optional":true,"field":"{name}"}}"#);
    let decimal = r#"{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"},"field":"price"}"#;
    let fields = [
        field("int64", "id"),
        field("string", "customer"),
        decimal.into(),
        field("boolean", "paid"),
        field("string", "placed"),
    ]
    .join(",");
    let side = |name: &str| format!(r#"{{"type":"struct","fields":[{fields}],"optional":true,"field":"{name}"}}"#);
    let schema = format!(r#"{{"type":"struct","fields":[{},{}]}}"#, side("before"), side("after"));
    let bare = |id: usize| format!(r#"{{"before":null,"after":{},{SOURCE}}}"#, row(id));
    let both = |id: usize| format!(r#"{{"before":{},"after":{},{SOURCE}}}"#, row(id), row(id));
    let wrapped = |id: usize| format!(r#"{{"schema":{schema},"payload":{}}}"#, bare(id));
    let upsert = |id: usize| row(id);
    let csv = |id: usize| format!("{id},customer {id},99.99,false,2026-11-22T10:00:00.123456Z");
    let debezium = "FORMAT DEBEZIUM ENCODE JSON";
    let registry = Double::of(&[KEY, &envelope_schema(&row_schema()), &row_schema()]);
    let avro_row = |id: usize| {
        record(&[
            ("id", Value::Long(id as i64)),
            ("customer", some(text(&format!("customer {id}")))),
            ("price", some(Value::Decimal(Decimal::from(9999i16.to_be_bytes())))),
            ("paid", some(Value::Boolean(false))),
            ("placed", some(text("2026-11-22T10:00:00.123456Z"))),
        ])
    };
    let avro = |id: usize| registry.bytes(2, envelope(null(), some(avro_row(id)), "c"));
    let upsert_avro = |id: usize| registry.bytes(3, avro_row(id));
    let cases: [(&str, &str, &dyn Fn(usize) -> String); 5] = [
        ("Debezium JSON", debezium, &bare),
        ("Debezium JSON with before", debezium, &both),
        ("Debezium JSON with schema", debezium, &wrapped),
        ("upsert JSON", "FORMAT UPSERT ENCODE JSON (decimal.handling.mode = 'precise')", &upsert),
        ("CSV", "FORMAT PLAIN ENCODE CSV", &csv),
    ];
    let mut all: Vec<(&str, Fixture, Vec<(Vec<u8>, Vec<u8>)>)> = Vec::new();
    for (name, format, message) in cases {
        let message = |id: usize| (format!("{{\"id\":{id}}}").into_bytes(), message(id).into_bytes());
        all.push((name, Fixture::new(COLUMNS, format), (0..COUNT).map(message).collect()));
    }
    for (name, format, at) in
        [("Debezium Avro", "FORMAT DEBEZIUM ENCODE AVRO", 0), ("upsert Avro", "FORMAT UPSERT ENCODE AVRO", 1)]
    {
        let key = |id: usize| registry.bytes(1, record(&[("id", Value::Long(id as i64))]));
        let messages = (0..COUNT).map(|id| (key(id), if at == 0 { avro(id) } else { upsert_avro(id) })).collect();
        all.push((name, registry.table(COLUMNS, format), messages));
    }
    for (name, mut table, messages) in all {
        // Beside each other, as a batch of a consumer has them, and not among what making them left behind.
        let messages: Vec<(Box<[u8]>, Box<[u8]>)> =
            messages.iter().map(|(key, value)| (key.as_slice().into(), value.as_slice().into())).collect();
        let bytes: usize = messages.iter().map(|it| it.1.len()).sum();
        let mut best = f64::MAX;
        for _ in 0..5 {
            let begin = Instant::now();
            for (key, value) in &messages {
                table.events(&Sent { key: Some(key), value: Some(value), headers: &[] }).expect("readable");
            }
            best = best.min(begin.elapsed().as_secs_f64());
        }
        let (count, mean) = (messages.len() as f64, bytes / messages.len());
        println!("{name:<28}{:>10.0} messages/s of {mean} bytes, {:.2} µs each", count / best, best / count * 1e6);
    }
}
