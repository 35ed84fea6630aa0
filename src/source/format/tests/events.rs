//! CloudEvents and the events of an outbox.

use super::*;

const STRUCTURED: &[(&str, &str)] = &[("content-type", "application/cloudevents+json; charset=UTF-8")];

#[test]
fn both_modes_of_cloudevents_make_the_same_rows() {
    let columns = "product INT, stars INT, kind TEXT METADATA FROM 'ce_type', at TIMESTAMPTZ METADATA FROM 'ce_time'";
    let format = "FORMAT CLOUDEVENTS ENCODE JSON";
    let expected = "7 | 5 | review.added | 1795341600000000 | /reviews | e-1";
    let structured = r#"{"specversion":"1.0","type":"review.added","source":"/reviews","id":"e-1","time":"2026-11-22T10:00:00Z","datacontenttype":"application/json","data":{"product":7,"stars":5}}"#;
    let message = Sent { headers: STRUCTURED, ..plain(structured) };
    let mut table = Fixture::new(columns, format);
    assert_eq!(table.after(&message), expected);
    let headers = &[
        ("ce_specversion", "1.0"),
        ("ce_type", "review.added"),
        ("ce_source", "/reviews"),
        ("ce_id", "e-1"),
        ("ce_time", "2026-11-22T10:00:00Z"),
        ("content-type", "application/json"),
    ];
    // Sent again, in the other mode, it is the same event.
    assert_eq!(table.after(&Sent { headers, ..plain(r#"{"product":7,"stars":5}"#) }), expected);
    for (message, expected) in [
        (Sent { headers: STRUCTURED, ..plain("{}") }, "specversion"),
        (Sent { headers: STRUCTURED, ..Sent::default() }, "no value"),
        (plain("{}"), "specversion"),
        (Sent { headers: STRUCTURED, ..plain(r#"{"specversion":"0.3"}"#) }, "version \"0.3\""),
        (
            Sent { headers: STRUCTURED, ..plain(r#"{"specversion":"1.0","source":"s","data":{}}"#) },
            "column \"_id\": null",
        ),
        (Sent { headers: STRUCTURED, ..plain(r#"{"specversion":"1.0","data_base64":"AA=="}"#) }, "binary"),
    ] {
        let reason = table.poison(&message);
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn the_type_of_an_event_says_what_it_does_to_a_keyed_table() {
    let mut table = Fixture::new(
        "id TEXT PRIMARY KEY METADATA FROM 'ce_subject', stars INT",
        "FORMAT CLOUDEVENTS ENCODE JSON (types = 'review.added, review.changed', delete.types = 'review.removed')",
    );
    let event = |kind: &str, subject: &str, data: &str| {
        format!(r#"{{"specversion":"1.0","type":"{kind}","source":"s","id":"1","subject":"{subject}","data":{data}}}"#)
    };
    let mut after = |text: &str| table.after(&Sent { headers: STRUCTURED, ..plain(text) });
    after(&event("review.added", "a", r#"{"stars":1}"#));
    after(&event("review.added", "b", r#"{"stars":2}"#));
    assert_eq!(after(&event("review.changed", "a", r#"{"stars":3}"#)), "a | 3\nb | 2");
    assert_eq!(after(&event("product.added", "c", r#"{"stars":9}"#)), "a | 3\nb | 2");
    assert_eq!(after(&event("review.removed", "a", "null")), "b | 2");
    // In binary mode, an event without data is a tombstone.
    let mut table = Fixture::new("id TEXT PRIMARY KEY, stars INT", "FORMAT CLOUDEVENTS ENCODE JSON");
    let headers = &[("ce_specversion", "1.0"), ("ce_type", "t"), ("ce_source", "s"), ("ce_id", "1")];
    assert_eq!(table.after(&Sent { headers, ..sent("a", r#"{"id":"a","stars":1}"#) }), "a | 1");
    assert_eq!(table.after(&tombstone("a")), "");
}

#[test]
fn the_payload_of_an_outbox_event_is_a_row_however_it_is_wrapped() {
    let columns = "total NUMERIC(10,2), order_id BIGINT METADATA FROM 'key', event TEXT METADATA FROM 'headers.id'";
    let mut table = Fixture::new(columns, "FORMAT OUTBOX ENCODE JSON");
    let headers = &[("id", "4d47e190-0402-4048-bc2c-89dd54343cdc")];
    let expected = format!("1250u | 17 | {0} | {0}", headers[0].1);
    for payload in [
        r#"{"total":12.5}"#,
        r#""{\"total\": 12.5}""#,
        r#"{"schema":{"type":"string","optional":true},"payload":"{\"total\": \"12.50\"}"}"#,
        r#"{"schema":{"type":"struct","fields":[{"type":"double","optional":true,"field":"total"}]},"payload":{"total":12.5}}"#,
    ] {
        // One that the router sends again is the same event.
        assert_eq!(table.after(&Sent { headers, ..sent("17", payload) }), expected, "{payload}");
    }
    assert!(table.poison(&sent("17", r#"{"total":1}"#)).contains("column \"_id\": null"));
    assert!(table.poison(&Sent { headers, ..tombstone("17") }).contains("no value"));
}
