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

use pgwire_replication::PgWireError;

use super::fault::{Fault, is_statements, words};
use super::layout::{Followed, Layout};
use super::reader::{Reader, Value};
use super::run::Follower;
use super::seen::Seen;
use super::session::Answer;
use super::settings::Settings;
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
            let mut seen_at = Instant::now();
            let mut arrived = Some(chunks.first(self)?);
            while let Some(chunk) = arrived {
                let asked_at = Instant::now();
                let (events, next) = chunks.turn(&chunk, self)?;
                rows += events.len() as u64;
                self.send(link, events, self.life.position.clone(), phase, seen_at)?;
                (phase, arrived, seen_at) = (Phase::Snapshot, next, asked_at);
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
    /// About how many rows have the bytes of a chunk.
    limit: u64,
    builder: RowBuilder,
    key: Vec<u8>,
}

impl Chunks {
    fn new(table: TableId, layout: &Layout) -> Chunks {
        let shape = &layout.find(table).0.shape;
        let row_bytes = shape.bytes / shape.rows.max(1);
        let limit = rows_of(row_bytes);
        Chunks { table, after: None, limit, builder: RowBuilder::new(), key: Vec::new() }
    }

    /// The rows of the first one.
    fn first(&mut self, follower: &mut Follower<'_>) -> Result<Vec<Answer>, Fault> {
        let (followed, reader) = follower.layout.find(self.table);
        let sql = chunk_sql(&followed.shape, reader, None, self.limit);
        let answer = follower.session.try_ask(&sql, CHUNK_PATIENCE)?;
        answer.map_err(|error| unreadable(&error, followed, follower.settings))
    }

    /// What the rows of one chunk say, and the rows of the next one, which the server reads meanwhile.
    fn turn(
        &mut self,
        rows: &[Answer],
        follower: &mut Follower<'_>,
    ) -> Result<(Vec<Event>, Option<Vec<Answer>>), Fault> {
        let (followed, reader) = follower.layout.find(self.table);
        let is_last = (rows.len() as u64) < self.limit;
        if is_last {
            return Ok((self.events(rows, reader), None));
        }
        let bytes = rows.iter().flatten().flatten().map(|it| it.len() as u64).sum::<u64>();
        self.after = rows.last().map(|row| key_texts(reader, row));
        self.limit = rows_of(bytes / (rows.len() as u64).max(1));
        let sql = chunk_sql(&followed.shape, reader, self.after.as_deref(), self.limit);
        let (answer, events) = follower.session.ask_beside(&sql, CHUNK_PATIENCE, || self.events(rows, reader))?;
        let next = answer.map_err(|error| unreadable(&error, followed, follower.settings))?;
        Ok((events, Some(next)))
    }

    fn events(&mut self, rows: &[Answer], reader: &Reader) -> Vec<Event> {
        let event = |row: &Answer| {
            let value = |index: usize| Value::of(row.get(index).and_then(Option::as_deref));
            reader.event(value, &mut self.key, &mut self.builder)
        };
        rows.iter().map(event).collect()
    }
}

/// Why the rows of a table could not be read: that may concern this table alone.
fn unreadable(error: &PgWireError, followed: &Followed, settings: &Settings) -> Fault {
    if is_statements(error) {
        Fault::Table(followed.declared().collect(), format!("its rows cannot be read: {}", words(error)))
    } else {
        Fault::of(error, settings)
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
