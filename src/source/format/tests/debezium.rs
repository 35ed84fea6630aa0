//! Debezium's events, as Postgres' and MariaDB's connectors send them.

use super::*;

const ORDERS: &str =
    "id BIGINT PRIMARY KEY, customer TEXT NOT NULL, price NUMERIC(10,2), paid BOOLEAN, placed TIMESTAMPTZ";
const FORMAT: &str = "FORMAT DEBEZIUM ENCODE JSON";

/// Sent by Debezium 3.5 for PostgreSQL 15, without schema; a numeric is base64 of its unscaled integer.
const INSERTED: &str = r#"{"before":null,"after":{"id":1,"customer":"Ada","price":"Jw8=","paid":false,"placed":"2026-11-22T10:00:00.123456Z"},"source":{"version":"3.5.0.Final","connector":"postgresql","name":"shop","ts_ms":1763805600123,"snapshot":"false","db":"shop","sequence":"[null,\"22536408\"]","ts_us":1763805600123456,"ts_ns":1763805600123456000,"schema":"public","table":"orders","txId":727,"lsn":22536408,"xmin":null},"transaction":{"id":"727:22536408","total_order":1,"data_collection_order":1},"op":"c","ts_ms":1763805600456,"ts_us":1763805600456789,"ts_ns":1763805600456789000}"#;

fn event(before: &str, after: &str, op: &str) -> String {
    format!(r#"{{"before":{before},"after":{after},"source":{{"table":"orders","lsn":1}},"op":"{op}","ts_ms":1}}"#)
}

#[test]
fn rows_come_change_and_go() {
    let mut table = Fixture::new(ORDERS, FORMAT);
    let key = r#"{"id":1}"#;
    assert_eq!(table.after(&sent(key, INSERTED)), "1 | Ada | 9999u | false | 1795341600123456");
    // Under REPLICA IDENTITY DEFAULT nothing is said of before.
    let after = r#"{"id":1,"customer":"Ada","price":"Jw8=","paid":true,"placed":null}"#;
    assert_eq!(table.after(&sent(key, &event("null", after, "u"))), "1 | Ada | 9999u | true | ∅");
    // A snapshot's row, and the same event once more.
    let second = r#"{"id":2,"customer":"Bob","price":null,"paid":null,"placed":null}"#;
    for _ in 0..2 {
        let rows = table.after(&sent(r#"{"id":2}"#, &event("null", second, "r")));
        assert_eq!(rows, "1 | Ada | 9999u | true | ∅\n2 | Bob | ∅ | ∅ | ∅");
    }
    // Of the row that is deleted, only the key is known; the rest is what the columns' types begin with.
    let before = r#"{"id":1,"customer":"","price":null,"paid":null,"placed":null}"#;
    assert_eq!(table.after(&sent(key, &event(before, "null", "d"))), "2 | Bob | ∅ | ∅ | ∅");
    assert_eq!(table.after(&tombstone(key)), "2 | Bob | ∅ | ∅ | ∅");
    assert_eq!(table.after(&sent(r#"{"id":2}"#, &event("null", "null", "d"))), "");
    // A log that was compacted has kept the tombstone and nothing else.
    assert_eq!(table.after(&tombstone(r#"{"id":77}"#)), "");
}

#[test]
fn a_changed_key_moves_the_row() {
    let mut table = Fixture::new("sku TEXT PRIMARY KEY, n INT", FORMAT);
    table.after(&sent(r#"{"id":1}"#, &event("null", r#"{"id":1,"sku":"a","n":1}"#, "c")));
    // The declared key is not the database's, so the connector knows of no change of key.
    let moved = event(r#"{"id":1,"sku":"a","n":1}"#, r#"{"id":1,"sku":"b","n":2}"#, "u");
    assert_eq!(table.after(&sent(r#"{"id":1}"#, &moved)), "b | 2");
    // As the connector itself does it: the old key is deleted, and the new one inserted.
    let mut table = Fixture::new("id BIGINT PRIMARY KEY, n INT", FORMAT);
    table.after(&sent(r#"{"id":1}"#, &event("null", r#"{"id":1,"n":1}"#, "c")));
    table.after(&sent(r#"{"id":1}"#, &event(r#"{"id":1,"n":1}"#, "null", "d")));
    table.after(&tombstone(r#"{"id":1}"#));
    assert_eq!(table.after(&sent(r#"{"id":9}"#, &event("null", r#"{"id":9,"n":1}"#, "c"))), "9 | 1");
}

#[test]
fn a_value_that_was_not_sent_is_as_it_was() {
    let mut table = Fixture::new("id BIGINT PRIMARY KEY, note TEXT, image BYTEA", FORMAT);
    let whole = r#"{"id":1,"note":"long","image":"AP8="}"#;
    assert_eq!(table.after(&sent(r#"{"id":1}"#, &event("null", whole, "c"))), "1 | long | [00, ff]");
    let unchanged =
        r#"{"id":1,"note":"__debezium_unavailable_value","image":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="}"#;
    assert_eq!(table.after(&sent(r#"{"id":1}"#, &event("null", unchanged, "u"))), "1 | long | [00, ff]");
    let note = r#"{"id":1,"note":"short","image":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="}"#;
    assert_eq!(table.after(&sent(r#"{"id":1}"#, &event("null", note, "u"))), "1 | short | [00, ff]");
    // Of a row that nobody has seen, that is an error and not the placeholder.
    let moved = r#"{"id":2,"note":"__debezium_unavailable_value","image":null}"#;
    let rows = table.after(&sent(r#"{"id":2}"#, &event("null", moved, "c")));
    assert!(rows.ends_with("| ∅") && rows.contains("2 | !the source has left this value out"), "{rows}");
}

/// The event of Debezium's own documentation of the PostgreSQL connector, with its schema cut to what the table has.
const WITH_SCHEMA: &str = r#"{"schema":{"type":"struct","fields":[
 {"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"4","connect.decimal.precision":"12"},"field":"price"},{"type":"int64","optional":true,"name":"io.debezium.time.MicroTimestamp","version":1,"field":"placed"},{"type":"int32","optional":true,"name":"io.debezium.time.Date","version":1,"field":"due"}],"optional":true,"name":"PostgreSQL_server.inventory.orders.Value","field":"before"},
 {"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"4","connect.decimal.precision":"12"},"field":"price"},{"type":"int64","optional":true,"name":"io.debezium.time.MicroTimestamp","version":1,"field":"placed"},{"type":"int32","optional":true,"name":"io.debezium.time.Date","version":1,"field":"due"}],"optional":true,"name":"PostgreSQL_server.inventory.orders.Value","field":"after"},
 {"type":"string","optional":false,"field":"op"},{"type":"int64","optional":true,"field":"ts_ms"}],"optional":false,"name":"PostgreSQL_server.inventory.orders.Envelope"},
 "payload":{"before":null,"after":{"id":1,"price":"D0JA","placed":1763805600123456,"due":20779},"source":{"version":"3.5.0.Final","connector":"postgresql","lsn":24023128},"op":"c","ts_ms":1559033904863}}"#;
const KEY_WITH_SCHEMA: &str = r#"{"schema":{"type":"struct","name":"PostgreSQL_server.public.orders.Key","optional":false,"fields":[{"type":"int32","optional":false,"field":"id"}]},"payload":{"id":1}}"#;

#[test]
fn a_schema_says_how_values_are_written() {
    let columns = "id INT PRIMARY KEY, price NUMERIC(12,4), placed TIMESTAMP, due DATE";
    let mut table = Fixture::new(columns, FORMAT);
    for _ in 0..2 {
        assert_eq!(table.after(&sent(KEY_WITH_SCHEMA, WITH_SCHEMA)), "1 | 1000000u | 1763805600123456 | 20779");
    }
    // The schema changes in the middle of the log: now milliseconds are sent.
    let millis = WITH_SCHEMA.replace("MicroTimestamp", "Timestamp").replace("1763805600123456", "1763805600123");
    assert_eq!(table.after(&sent(KEY_WITH_SCHEMA, &millis)), "1 | 1000000u | 1763805600123000 | 20779");
    assert_eq!(table.after(&tombstone(KEY_WITH_SCHEMA)), "");
    // Without one the unit of a number in a timestamp column is not known, unless the table says it.
    let bare = event("null", r#"{"id":1,"price":"D0JA","placed":1763805600123456,"due":20779}"#, "c");
    let reason = table.poison(&sent(r#"{"id":1}"#, &bare));
    assert!(reason.contains("\"placed\"") && reason.contains("timestamp.unit"), "{reason}");
    let mut table = Fixture::new(columns, "FORMAT DEBEZIUM ENCODE JSON (timestamp.unit = 'microseconds')");
    assert_eq!(table.after(&sent(r#"{"id":1}"#, &bare)), "1 | 1000000u | 1763805600123456 | 20779");
}

#[test]
fn what_is_beside_the_rows_changes_nothing() {
    let mut table = Fixture::new("id BIGINT PRIMARY KEY", FORMAT);
    for beside in [
        r#"{"status":"BEGIN","id":"727:22536408","event_count":null,"data_collections":null,"ts_ms":1}"#,
        r#"{"status":"END","id":"727:22536736","event_count":2,"data_collections":[{"data_collection":"public.stock","event_count":1}],"ts_ms":1}"#,
        r#"{"ts_ms":1763805600123}"#,
        r#"{"op":"m","ts_ms":1,"source":{},"message":{"prefix":"p","content":"aGk="}}"#,
    ] {
        assert_eq!(table.after(&plain(beside)), "");
    }
}

#[test]
fn a_truncated_table_is_empty_where_the_order_is_known() {
    let mut table = Fixture::new("id BIGINT PRIMARY KEY", FORMAT);
    table.after(&sent(r#"{"id":1}"#, &event("null", r#"{"id":1}"#, "c")));
    let truncated = r#"{"source":{"table":"orders"},"op":"t","ts_ms":1}"#;
    assert_eq!(table.after(&plain(truncated)), "");
    table.partitions = 2;
    let reason = table.poison(&plain(truncated));
    assert!(reason.contains("2 partitions"), "{reason}");
}

#[test]
fn what_cannot_be_read_is_named() {
    let mut table = Fixture::new(ORDERS, FORMAT);
    let row =
        |field: &str| event("null", &format!(r#"{{"id":1,"customer":"A","paid":true,"placed":null,{field}}}"#), "c");
    for (value, expected) in [
        ("".to_string(), "EOF while parsing"),
        ("{\"before\":".into(), "EOF while parsing"),
        ("[1]".into(), "a JSON object"),
        ("{}".into(), "it has no \"op\""),
        (event("null", "null", "c"), "no \"after\""),
        (event("null", "{}", "x"), "\"op\" is \"x\""),
        (event("null", "{\"id\":1}", "u"), "column \"customer\": there is no such field"),
        (row(r#""price":"9,99""#), "column \"price\""),
        (
            event("null", r#"{"id":null,"customer":"A","price":null,"paid":true,"placed":null}"#, "c"),
            "column \"id\": null",
        ),
        (event("null", r#"{"id":1.5,"customer":"A","price":null,"paid":true,"placed":null}"#, "c"), "column \"id\""),
    ] {
        let reason = table.poison(&sent(r#"{"id":1}"#, &value));
        assert!(reason.contains(expected), "{value}: {reason}");
    }
    let reason = table.poison(&Sent::default());
    assert!(reason.contains("does not say id"), "{reason}");
    let reason = table.poison(&tombstone(r#"{"other":1}"#));
    assert!(reason.contains("does not say id"), "{reason}");
}
