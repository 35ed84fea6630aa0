//! Copies whole tables in chunks along their keys, each read by itself, so that nothing is held open at the server.
//!
//! Why this converges without one snapshot for all: the stream is read from a place before the copy, and a row replaces a
//! row. Of the transactions that the first chunk of a table could not see, every change comes with the stream, in order,
//! and only then is anything called consistent ([`super::slot::mark`] says where). A change that leaves values out as
//! unchanged converges too: such a value was either sent by an earlier one of these transactions, or not changed by any of
//! them, so that the copy has it right. What the first chunk did see is in the copy as it was or later, and passed over in
//! the stream ([`super::seen`]): what an owner does to rows without it being replicated (a type is altered, a partition
//! attached) is never undone by an older change.

use std::time::{Duration, Instant};

use super::fault::{Fault, is_statements, words};
use super::reader::{Reader, Value};
use super::run::Follower;
use super::seen::Seen;
use super::session::Answer;
use super::shape::Shape;
use super::sql::{identifier, list, literal};
use crate::change::{Event, Phase, RowBuilder, SourceHealth, TableId};
use crate::source::Link;

/// Progress is told this often.
const TELL: Duration = Duration::from_millis(200);
/// Rows of a chunk at most, and about how many bytes.
const CHUNK_ROWS: u64 = 10_000;
const CHUNK_BYTES: u64 = 4 << 20;
/// How long the rows of a chunk may take.
const CHUNK_PATIENCE: Duration = Duration::from_secs(600);

impl Follower<'_> {
    /// Copies these tables. Batches carry the position of the last consistent batch, so that a crash in between begins
    /// again.
    pub(super) fn copy(&mut self, link: &Link, tables: &[TableId]) -> Result<(), Fault> {
        let estimate = tables.iter().map(|it| self.layout.find(*it).0.shape.rows).sum::<u64>();
        self.life.pending.extend(tables);
        let mut phase = Phase::SnapshotStart(tables.to_vec());
        let mut rows = 0;
        self.tell(link, SourceHealth::Snapshotting { rows, total: Some(estimate) })?;
        let mut told = Instant::now();
        for table in tables {
            let text = self.session.ask_one("SELECT pg_current_snapshot()")?;
            let seen = Seen::parse(&text).ok_or_else(|| Fault::Retry(format!("{text:?} is no snapshot")))?;
            self.copied.insert(*table, seen);
            let mut chunks = Chunks::new(*table, &self.layout);
            while !chunks.at_end {
                let seen_at = Instant::now();
                let events = chunks.next(self)?;
                rows += events.len() as u64;
                self.send(link, events, self.life.position.clone(), phase, seen_at)?;
                phase = Phase::Snapshot;
                if told.elapsed() > TELL {
                    self.tell(link, SourceHealth::Snapshotting { rows, total: Some(estimate.max(rows)) })?;
                    told = Instant::now();
                }
            }
        }
        Ok(())
    }
}

/// The chunks of one table.
struct Chunks {
    table: TableId,
    /// The key of the last row that was read, as texts.
    after: Option<Vec<String>>,
    at_end: bool,
    /// About how many rows have the bytes of a chunk.
    limit: u64,
    builder: RowBuilder,
    key: Vec<u8>,
}

impl Chunks {
    fn new(table: TableId, layout: &super::layout::Layout) -> Chunks {
        let shape = &layout.find(table).0.shape;
        let row_bytes = shape.bytes / shape.rows.max(1);
        let limit = rows_of(row_bytes);
        Chunks { table, after: None, at_end: false, limit, builder: RowBuilder::new(), key: Vec::new() }
    }

    /// The rows of the next one.
    fn next(&mut self, follower: &mut Follower<'_>) -> Result<Vec<Event>, Fault> {
        let (followed, reader) = follower.layout.find(self.table);
        let sql = chunk_sql(&followed.shape, reader, self.after.as_deref(), self.limit);
        let rows = follower.session.try_ask(&sql, Some(CHUNK_PATIENCE))?.map_err(|error| {
            if is_statements(&error) {
                let reason = format!("its rows cannot be read: {}", words(&error));
                Fault::Table(followed.declared().collect(), reason)
            } else {
                Fault::of(&error, follower.settings)
            }
        })?;
        let mut bytes = 0;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            bytes += row.iter().flatten().map(|it| it.len() as u64).sum::<u64>();
            let value = |index: usize| Value::of(row.get(index).and_then(Option::as_deref));
            events.push(reader.event(value, &mut self.key, &mut self.builder));
        }
        self.at_end = (rows.len() as u64) < self.limit;
        self.after = rows.last().map(|row| key_texts(reader, row));
        self.limit = rows_of(bytes / (rows.len() as u64).max(1));
        Ok(events)
    }
}

fn rows_of(row_bytes: u64) -> u64 {
    (CHUNK_BYTES / row_bytes.max(1)).clamp(16, CHUNK_ROWS)
}

fn key_texts(reader: &Reader, row: &Answer) -> Vec<String> {
    let text =
        |column: usize| row.get(column).and_then(Option::as_ref).map(|it| String::from_utf8_lossy(it).into_owned());
    reader.schema.key.iter().map(|it| text(it.column).unwrap_or_default()).collect()
}

/// The query for at most `limit` rows behind the key `after`.
fn chunk_sql(shape: &Shape, reader: &Reader, after: Option<&[String]>, limit: u64) -> String {
    let column = |name: &str| &shape.columns[shape.column(name).expect("what is read is there")];
    let names: Vec<&str> = reader.names().collect();
    let key: Vec<_> = reader.schema.key.iter().map(|it| column(names[it.column])).collect();
    let columns = list(&names, |it| identifier(&column(it).name));
    let order = list(&key, |it| identifier(&it.name));
    let only = if shape.is_partitioned { "" } else { "ONLY " };
    let after = after.map_or_else(String::new, |after| {
        let values = list(key.iter().zip(after), |(column, text)| format!("{}::{}", literal(text), column.shown));
        format!(" WHERE ({order}) > ({values})")
    });
    format!("SELECT {columns} FROM {only}{}{after} ORDER BY {order} LIMIT {limit}", shape.name.quoted())
}
