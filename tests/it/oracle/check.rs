//! Comparing served rows with the answer of the owner's store, as multisets of printed rows.

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use vantage::catalog::Relation;
use vantage::change::{DataType, Datum, pow10};
use vantage::store::{Epoch, KeyRange};

use super::owner::date;

/// The relation's rows as of `epoch`, printed and sorted; if asked for with the word on it, also those of which nobody
/// knows whether they are there.
pub(super) fn served(epoch: &Epoch, relation: &Relation, marks: bool) -> Vec<String> {
    let rows = epoch.scan(relation.id, &KeyRange::all(), false, usize::MAX).expect("readable epoch");
    let print = |index: usize, row: &vantage::change::Row| match row.get(index, relation.schema.data_type(index)) {
        Datum::Null => "NULL".to_string(),
        Datum::Boolean(it) => i64::from(it).to_string(),
        Datum::Int(it) if relation.schema.data_type(index) == DataType::Date => {
            format!("'{}'", date(it))
        }
        Datum::Int(it) => it.to_string(),
        Datum::Float(it) => float(it),
        Datum::Text(it) => format!("'{it}'"),
        // A literal such as 4.50 is a decimal here and a float to SQLite; the domain's decimals are exact floats.
        Datum::Decimal(it) => match relation.schema.data_type(index) {
            DataType::Decimal { scale, .. } => float(it as f64 / pow10(scale) as f64),
            other => panic!("a decimal in a column of type {other}"),
        },
        // SQLite has no such cells; what stands for them in its queries is this word.
        Datum::Error(_) => "'error'".to_string(),
        Datum::Bytes(it) => format!("{it:?}"),
    };
    let line = |row: &vantage::change::Row| {
        let mark = row.undecided().filter(|_| marks).map(|_| "undecided".to_string());
        let cells = (0..relation.schema.visible).map(|index| print(index, row));
        cells.chain(mark).collect::<Vec<_>>().join(" | ")
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    for index in &relation.indexes {
        let entries = epoch.scan(index.id, &KeyRange::all(), false, usize::MAX).expect("readable index");
        assert_eq!(entries.len(), rows.len(), "index {} has another number of entries", index.name);
        for entry in entries {
            let Datum::Bytes(key) = entry.get(0, DataType::Bytes) else { panic!("no key in entry") };
            assert!(epoch.get(relation.id, key).expect("readable").is_some(), "index {} points nowhere", index.name);
        }
    }
    lines.sort();
    lines
}

/// The query's answer, printed and sorted.
pub(super) fn recomputed(connection: &Connection, query: &str) -> Vec<String> {
    let mut statement = connection.prepare(query).unwrap_or_else(|error| panic!("{error}: {query}"));
    let width = statement.column_count();
    let mut cursor = statement.query([]).expect("query");
    let mut lines = Vec::new();
    while let Some(row) = cursor.next().unwrap_or_else(|error| panic!("{error}: {query}")) {
        let cells = (0..width).map(|index| match row.get_ref(index).expect("cell") {
            ValueRef::Null => "NULL".to_string(),
            ValueRef::Integer(it) => it.to_string(),
            ValueRef::Real(it) => float(it),
            ValueRef::Text(it) => format!("'{}'", String::from_utf8_lossy(it)),
            ValueRef::Blob(it) => format!("{it:?}"),
        });
        lines.push(cells.collect::<Vec<_>>().join(" | "));
    }
    lines.sort();
    lines
}

/// Integral floats print as integers, for SQLite stores them so; others to twelve digits.
fn float(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e15 { format!("{}", value as i64) } else { format!("{value:.12e}") }
}
