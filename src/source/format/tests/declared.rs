//! What may be declared of a table of messages, and how what may not is told.

use super::*;

#[test]
fn mistakes_are_told_where_they_stand() {
    for (columns, format, expected) in [
        ("id INT PRIMARY KEY", "", "does not say how its messages are read"),
        ("id INT PRIMARY KEY", "FORMAT DEBEZIM ENCODE JSON", "[DEBEZIM] there is no format DEBEZIM"),
        ("id INT PRIMARY KEY", "FORMAT DEBEZIUM ENCODE CSV", "[CSV] format DEBEZIUM is not read from CSV"),
        ("id INT", "FORMAT DEBEZIUM ENCODE JSON", "table \"t\" has no primary key"),
        ("id INT", "FORMAT UPSERT ENCODE JSON", "table \"t\" has no primary key"),
        ("at BIGINT METADATA FROM 'offset'", "FORMAT PLAIN ENCODE JSON", "table \"t\" has no columns"),
        ("n INT, o TEXT METADATA FROM 'offset'", "FORMAT PLAIN ENCODE JSON", "offset is not of type text"),
        (
            "n INT, o TEXT METADATA FROM 'ofset'",
            "FORMAT PLAIN ENCODE JSON",
            "['ofset'] a message has no metadata \"ofset\"",
        ),
        ("n INT, o TEXT METADATA FROM 'ce_id'", "FORMAT PLAIN ENCODE JSON", "no metadata \"ce_id\""),
        (
            "a INT, b INT, PRIMARY KEY (a, b)",
            "FORMAT DEBEZIUM_MONGO ENCODE JSON",
            "the key of table \"t\" has 2 columns",
        ),
        (
            "a INT PRIMARY KEY, b INT METADATA FROM 'document.'",
            "FORMAT DEBEZIUM_MONGO ENCODE JSON",
            "['document.'] a message has no metadata",
        ),
        ("n INT, d TEXT METADATA FROM 'document'", "FORMAT PLAIN ENCODE JSON", "no metadata \"document\""),
        ("n INT", "FORMAT PLAIN ENCODE AVRO (decimal.handling.mode = 'string')", "there is no option"),
        ("n INT", "FORMAT OUTBOX ENCODE AVRO", "[AVRO] format OUTBOX is not read from AVRO"),
        ("n INT", "FORMAT PLAIN ENCODE JSON (delimiter = ';')", "there is no option \"delimiter\""),
        ("n INT", "FORMAT PLAIN ENCODE CSV (delimiter = 'x')", "\"x\" is not one of"),
    ] {
        let problems = layout(columns, format).map(|_| ()).expect_err(format);
        assert!(problems.contains(expected), "{problems}");
    }
}

#[test]
fn a_table_without_a_key_has_a_hidden_one() {
    for (format, hidden) in [
        ("FORMAT PLAIN ENCODE JSON", &["_partition", "_offset"][..]),
        ("FORMAT CLOUDEVENTS ENCODE JSON", &["_source", "_id"]),
        ("FORMAT OUTBOX ENCODE JSON", &["_id"]),
    ] {
        let layout = layout("n INT", format).expect(format);
        let schema = layout.schema();
        assert_eq!(schema.visible, 1);
        let names: Vec<&str> = schema.columns[1..].iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, hidden);
        assert!(schema.key.iter().all(|it| it.column >= 1));
    }
}
