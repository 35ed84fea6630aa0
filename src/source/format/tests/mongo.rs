//! Events of Debezium's connector for MongoDB, as its documentation and its converters have them.

use super::*;

const COLUMNS: &str = "id TEXT PRIMARY KEY, first_name TEXT, age INT, spent NUMERIC(12,2), visits BIGINT, seen TIMESTAMPTZ, \
                       photo BYTEA, city TEXT METADATA FROM 'document.address.city', \
                       second TEXT METADATA FROM 'document.tags.1', address TEXT, whole TEXT METADATA FROM 'document'";
const FORMAT: &str = "FORMAT DEBEZIUM_MONGO ENCODE JSON";
const KEY: &str = r#"{"id":"{\"$oid\": \"596e275826f08b2730779e1f\"}"}"#;

fn event(before: &str, after: &str, op: &str) -> String {
    let side = |document: &str| match document {
        "null" => document.to_owned(),
        document => serde_json::to_string(document).expect("a text"),
    };
    let (before, after) = (side(before), side(after));
    format!(
        r#"{{"before":{before},"after":{after},"updateDescription":null,"source":{{"db":"inventory","collection":"customers"}},"op":"{op}","ts_ms":1}}"#
    )
}

const ANNE: &str = r#"{"_id": {"$oid": "596e275826f08b2730779e1f"},"first_name": "Anne","age": 34,"spent": {"$numberDecimal": "12.5"},"visits": {"$numberLong": "9007199254740993"},"seen": {"$date": 1558965508000},"photo": {"$binary": {"base64": "AP8=","subType": "00"}},"address": {"city": "Oslo"},"tags": ["a","b"]}"#;

#[test]
fn documents_come_change_and_go() {
    let mut table = Fixture::new(COLUMNS, FORMAT);
    let rows = table.after(&sent(KEY, &event("null", ANNE, "c")));
    let id = "596e275826f08b2730779e1f";
    let head = format!("{id} | Anne | 34 | 1250u | 9007199254740993 | 1558965508000000 | [00, ff] | Oslo | b");
    assert_eq!(rows, format!("{head} | {{\"city\": \"Oslo\"}} | {ANNE}"));
    let bare = r#"{"_id": {"$oid": "596e275826f08b2730779e1f"},"first_name": "Eve","age": {"$undefined": true}}"#;
    let rows = table.after(&sent(KEY, &event("null", bare, "u")));
    assert_eq!(rows, format!("{id} | Eve | ∅ | ∅ | ∅ | ∅ | ∅ | ∅ | ∅ | ∅ | {bare}"));
    assert_eq!(table.after(&sent(KEY, &event("null", "null", "d"))), "");
    table.after(&sent(KEY, &event("null", ANNE, "r")));
    assert_eq!(table.after(&tombstone(KEY)), "");
    // The key with its schema, and a delete that has the old document and no key.
    let key = r#"{"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"id"}]},"payload":{"id":"{\"$oid\": \"596e275826f08b2730779e1f\"}"}}"#;
    table.after(&sent(key, &event("null", ANNE, "c")));
    assert_eq!(table.after(&tombstone(key)), "");
    table.after(&sent(key, &event("null", ANNE, "c")));
    assert_eq!(table.after(&plain(&event(ANNE, "null", "d"))), "");
}

#[test]
fn ids_have_any_type() {
    for (id, column, expected) in [
        (r#"{"$oid": "596e275826f08b2730779e1f"}"#, "TEXT", "596e275826f08b2730779e1f"),
        ("1004", "BIGINT", "1004"),
        (r#"{"$numberLong": "1004"}"#, "BIGINT", "1004"),
        (r#""a-1""#, "TEXT", "a-1"),
        (r#"{"shop": 1,"n": 2}"#, "TEXT", r#"{"shop": 1,"n": 2}"#),
    ] {
        let mut table = Fixture::new(&format!("_id {column} PRIMARY KEY, n INT"), FORMAT);
        let key = serde_json::json!({ "id": id }).to_string();
        let document = format!(r#"{{"_id": {id},"n": 1}}"#);
        assert_eq!(table.after(&sent(&key, &event("null", &document, "c"))), format!("{expected} | 1"));
        assert_eq!(table.after(&sent(&key, &event("null", "null", "d"))), "", "{id}");
    }
}

#[test]
fn extended_values_are_read_for_what_they_say() {
    for (value, column, expected) in [
        (r#"{"$date": "2019-05-27T13:58:28.5Z"}"#, "TIMESTAMPTZ", "1558965508500000"),
        (r#"{"$date": {"$numberLong": "-1"}}"#, "TIMESTAMPTZ", "-1000"),
        (r#"{"$date": 0}"#, "TEXT", "1970-01-01 00:00:00"),
        (r#"{"$numberDouble": "NaN"}"#, "DOUBLE PRECISION", "NaN"),
        (r#"{"$numberInt": "5"}"#, "INT", "5"),
        (r#"{"$numberDecimal": "1E+3"}"#, "NUMERIC(10,2)", "100000u"),
        (r#"{"$binary": "AP8=","$type": "00"}"#, "BYTEA", "[00, ff]"),
        (r#"{"$uuid": "6c84fb90-12c4-11e1-840d-7b25c5ee775a"}"#, "TEXT", "6c84fb90-12c4-11e1-840d-7b25c5ee775a"),
        (
            r#"{"$regularExpression": {"pattern": "a","options": ""}}"#,
            "TEXT",
            r#"{"$regularExpression": {"pattern": "a","options": ""}}"#,
        ),
        (r#"{"$oid": 5}"#, "TEXT", r#"{"$oid": 5}"#),
        (r#"[{"$oid": "x"}]"#, "TEXT", r#"[{"$oid": "x"}]"#),
        ("null", "TEXT", "∅"),
    ] {
        let mut table = Fixture::new(&format!("_id INT PRIMARY KEY, v {column}"), FORMAT);
        let rows = table.after(&sent(r#"{"id":"1"}"#, &event("null", &format!(r#"{{"_id": 1,"v": {value}}}"#), "c")));
        assert_eq!(rows, format!("1 | {expected}"), "{value}");
    }
}

#[test]
fn an_update_needs_the_document() {
    let update = r#"{"before":null,"after":null,"updateDescription":{"removedFields":null,"updatedFields":"{\"first_name\": \"Eve\"}","truncatedArrays":null},"op":"u","ts_ms":1}"#;
    let mut table = Fixture::new("_id TEXT PRIMARY KEY, first_name TEXT", FORMAT);
    let reason = table.poison(&sent(KEY, update));
    assert!(reason.contains("\"capture.mode\" = 'change_streams_update_full'"), "{reason}");
    // Where documents are looked up, one that is not there any more is deleted by the next event.
    let format = "FORMAT DEBEZIUM_MONGO ENCODE JSON (capture.mode = 'change_streams_update_full')";
    let mut table = Fixture::new("_id TEXT PRIMARY KEY, first_name TEXT", format);
    table.after(&sent(KEY, &event("null", ANNE, "c")));
    assert_eq!(table.after(&sent(KEY, update)), "596e275826f08b2730779e1f | Anne");
    for (message, expected) in [
        (sent(KEY, "[]"), "a JSON object"),
        (sent(KEY, "{}"), "it has no \"op\""),
        (sent(KEY, r#"{"op":"x"}"#), "\"op\" is \"x\""),
        (sent(KEY, r#"{"op":"c","after":5}"#), "neither a text nor an object"),
        (sent(KEY, r#"{"op":"c","after":"[]"}"#), "the document: "),
        (sent(KEY, r#"{"op":"c","after":"{}"}"#), "column \"_id\": null"),
        (tombstone("{}"), "does not say which"),
        (tombstone("x"), "the message's key"),
        (plain(r#"{"op":"d"}"#), "does not say which"),
    ] {
        let reason = table.poison(&message);
        assert!(reason.contains(expected), "{reason}");
    }
}
