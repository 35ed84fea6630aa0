//! Golden cases: messages as servers really send them, and the rows they make.

mod avro;
mod debezium;
mod declared;
mod events;
mod mongo;
#[cfg(feature = "kafka")]
mod protobuf;
mod robust;
mod rows;
mod speed;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Layout, Message, Reader, Registered, Schemas, Unread, beginning};
use crate::catalog::{File, read_files};
use crate::change::{Change, Datum, Event, Row, Schema, TableId};
use crate::source::options::Reading;

/// A table of messages, and what it holds.
struct Fixture {
    reader: Reader,
    schema: Schema,
    rows: BTreeMap<Vec<u8>, Row>,
    offset: i64,
    partitions: usize,
}

/// What is sent.
#[derive(Clone, Copy, Default)]
struct Sent<'a> {
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [(&'a str, &'a str)],
}

fn sent<'a>(key: &'a str, value: &'a str) -> Sent<'a> {
    Sent { key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] }
}

fn tombstone(key: &str) -> Sent<'_> {
    Sent { key: Some(key.as_bytes()), value: None, headers: &[] }
}

fn plain(value: &str) -> Sent<'_> {
    Sent { key: None, value: Some(value.as_bytes()), headers: &[] }
}

/// The layout of a table with these columns and this format, or what is wrong with it.
fn layout(columns: &str, format: &str) -> Result<Layout, String> {
    let text = format!("CREATE TABLE t ({columns}) WITH (connector = 'kafka') {format};");
    let files = vec![File { path: "views.sql".into(), text: text.clone() }];
    let shown = |problems: &[crate::catalog::Problem]| {
        let one = |it: &crate::catalog::Problem| {
            let at = it.span.map_or("", |span| &text[span.start..span.end]);
            let hint = it.hint.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
            format!("[{at}] {}{hint}", it.message)
        };
        problems.iter().map(one).collect::<Vec<_>>().join("\n")
    };
    let catalog = read_files(files, Vec::new()).map_err(|(_, problems)| shown(&problems))?;
    let mut reading = Reading::new(Path::new("."));
    let layout = Layout::of(&catalog.tables[0], &mut reading);
    layout.ok_or_else(|| shown(&reading.problems))
}

impl Fixture {
    fn new(columns: &str, format: &str) -> Fixture {
        Fixture::of(columns, format, None)
    }

    fn of(columns: &str, format: &str, schemas: Option<Arc<dyn Schemas>>) -> Fixture {
        let layout = layout(columns, format).unwrap_or_else(|problems| panic!("{problems}"));
        let (reader, schema) = (layout.reader(schemas.as_ref()), layout.schema().clone());
        Fixture { reader, schema, rows: BTreeMap::new(), offset: 0, partitions: 1 }
    }

    fn events(&mut self, sent: &Sent<'_>) -> Result<Vec<Event>, String> {
        match self.read(sent) {
            Ok(events) => Ok(events),
            Err(Unread::Poison(poison)) => Err(poison.to_string()),
            Err(other) => panic!("nothing is wrong with the message: {other:?}"),
        }
    }

    fn read(&mut self, sent: &Sent<'_>) -> Result<Vec<Event>, Unread> {
        let headers: Vec<(&str, Option<&[u8]>)> =
            sent.headers.iter().map(|(name, value)| (*name, Some(value.as_bytes()))).collect();
        let message = Message {
            topic: "shop.orders",
            partition: 0,
            offset: self.offset,
            timestamp_ms: Some(1_700_000_000_123),
            key: sent.key,
            value: sent.value,
            headers: &headers,
            partitions: self.partitions,
        };
        self.offset += 1;
        let mut events = Vec::new();
        match self.reader.read(&message, TableId(7), &mut events) {
            Ok(()) => Ok(events),
            Err(unread) => {
                assert!(events.is_empty(), "of a message that cannot be read nothing is left");
                Err(unread)
            }
        }
    }

    /// What is wrong with a message.
    fn poison(&mut self, sent: &Sent<'_>) -> String {
        match self.events(sent) {
            Err(reason) => reason,
            Ok(events) => panic!("{} was read: {events:?}", beginning(sent.value)),
        }
    }

    /// The table after the message, a line a row, in the order of the keys.
    fn after(&mut self, sent: &Sent<'_>) -> String {
        for event in self.events(sent).unwrap_or_else(|reason| panic!("{reason}")) {
            assert_eq!(event.table, TableId(7));
            match event.change {
                Change::Emptied => self.rows.clear(),
                Change::Moved(moved) => {
                    let before = self.rows.remove(&moved.from);
                    let row = moved.row.over(before.as_ref(), &self.schema);
                    self.rows.insert(row.key().to_vec(), row);
                }
                Change::Row(row) if row.is_tombstone() => {
                    self.rows.remove(row.key());
                }
                Change::Row(row) => {
                    let row = if row.is_partial() { row.over(self.rows.get(row.key()), &self.schema) } else { row };
                    self.rows.insert(row.key().to_vec(), row);
                }
            }
        }
        self.rows.values().map(|it| self.line(it)).collect::<Vec<_>>().join("\n")
    }

    fn line(&self, row: &Row) -> String {
        let cell = |(at, column): (usize, &crate::change::Column)| match row.get(at, column.data_type) {
            Datum::Null => "∅".into(),
            Datum::Error(reason) => format!("!{reason}"),
            Datum::Boolean(it) => it.to_string(),
            Datum::Int(it) => it.to_string(),
            Datum::Float(it) => it.to_string(),
            Datum::Decimal(it) => format!("{it}u"),
            Datum::Text(it) => it.into(),
            Datum::Bytes(it) => format!("{it:02x?}"),
        };
        self.schema.columns.iter().enumerate().map(cell).collect::<Vec<_>>().join(" | ")
    }
}
