//! Rows in JSON, keyed by the message or by nothing, and lines of CSV.

use super::*;

#[test]
fn the_newest_row_of_a_key_holds() {
    let mut table = Fixture::new("id BIGINT PRIMARY KEY, name TEXT, price NUMERIC(10,2)", "FORMAT UPSERT ENCODE JSON");
    for key in ["1", r#"{"id":1}"#, r#"{"schema":{"type":"int64","optional":false},"payload":1}"#] {
        let rows = table.after(&sent(key, r#"{"name":"pen","price":1.5,"id":1,"more":[1]}"#));
        assert_eq!(rows, "1 | pen | 150u", "{key}");
    }
    // What is not sent has no value.
    assert_eq!(table.after(&sent("1", r#"{"price":"2.25"}"#)), "1 | ∅ | 225u");
    assert_eq!(table.after(&sent("2", "{}")), "1 | ∅ | 225u\n2 | ∅ | ∅");
    assert_eq!(table.after(&tombstone("1")), "2 | ∅ | ∅");
    assert_eq!(table.after(&sent("2", "null")), "");
    // As Debezium flattens its events.
    table.after(&sent("3", r#"{"id":3,"name":"x","__deleted":"false"}"#));
    assert_eq!(table.after(&sent("3", r#"{"id":3,"name":"x","__deleted":"true"}"#)), "");
    for (message, expected) in [
        (plain("{}"), "no key"),
        (sent(r#"{"other":1}"#, "{}"), "does not say id"),
        (sent("x", "{}"), "column \"id\""),
        (sent("1", "[]"), "a JSON object"),
    ] {
        let reason = table.poison(&message);
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn a_key_may_be_text_and_have_several_columns() {
    let mut table = Fixture::new("sku TEXT PRIMARY KEY, n INT", "FORMAT UPSERT ENCODE JSON");
    for key in ["a-1", "\"a-1\"", r#"{"sku":"a-1"}"#] {
        assert_eq!(table.after(&sent(key, r#"{"n":1}"#)), "a-1 | 1", "{key}");
    }
    let mut table = Fixture::new("a INT, b TEXT, n INT, PRIMARY KEY (a, b)", "FORMAT UPSERT ENCODE JSON");
    table.after(&sent(r#"{"b":"x","a":1}"#, r#"{"n":1}"#));
    assert_eq!(table.after(&sent(r#"{"a":2,"b":"x"}"#, r#"{"n":2}"#)), "1 | x | 1\n2 | x | 2");
    assert_eq!(table.after(&tombstone(r#"{"a":1,"b":"x"}"#)), "2 | x | 2");
}

#[test]
fn without_a_key_each_message_is_a_row() {
    let columns = "what TEXT, at TIMESTAMPTZ METADATA FROM 'timestamp', who TEXT METADATA FROM 'key', \
                   trace TEXT METADATA FROM 'headers.trace'";
    let mut table = Fixture::new(columns, "FORMAT PLAIN ENCODE JSON");
    table.after(&sent("u1", r#"{"what":"click"}"#));
    let headers = &[("trace", "t-1")];
    let rows = table.after(&Sent { headers, ..plain(r#"{"what":"click"}"#) });
    let at = "1700000000123000";
    assert_eq!(rows, format!("click | {at} | u1 | ∅ | 0 | 0\nclick | {at} | ∅ | t-1 | 0 | 1"));
    assert!(table.poison(&tombstone("u1")).contains("UPSERT"));
    // With a key that the value has, the newest row holds.
    let mut table = Fixture::new("id INT PRIMARY KEY, n INT", "FORMAT PLAIN ENCODE JSON");
    table.after(&plain(r#"{"id":1,"n":1}"#));
    assert_eq!(table.after(&plain(r#"{"id":1,"n":2}"#)), "1 | 2");
    assert!(table.poison(&plain(r#"{"n":2}"#)).contains("column \"id\": null"));
}

#[test]
fn a_line_of_csv_is_a_row() {
    let columns = "id INT, name TEXT, price NUMERIC(10,2), day DATE";
    let mut table = Fixture::new(columns, "FORMAT PLAIN ENCODE CSV");
    assert_eq!(table.after(&plain("1,\"pen, red\",1.50,1970-01-02")), "1 | pen, red | 150u | 1 | 0 | 0");
    assert_eq!(table.after(&plain(",\"\",,\n")).lines().nth(1), Some("∅ |  | ∅ | ∅ | 0 | 1"));
    assert!(table.poison(&plain("1,2")).contains("has 2 fields, and 4 are declared"));
    assert!(table.poison(&plain("x,,,")).contains("column \"id\""));
    let mut table = Fixture::new(columns, "FORMAT PLAIN ENCODE CSV (delimiter = ';', without_header = 'true')");
    assert_eq!(table.after(&plain("1;a;2;")), "1 | a | 200u | ∅ | 0 | 0");
}
