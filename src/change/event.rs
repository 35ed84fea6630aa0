//! What a source says: rows that are, keys that are gone, and how far it was read.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use serde::Serializer;

use super::counted;
use super::position::Position;
use super::row::Row;

/// The number of a table in the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub usize);

/// One fact about a table. A source knows no state, so it does not say what was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The table.
    pub table: TableId,
    /// What happened to it.
    pub change: Change,
}

/// What an event says of its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Under the row's key there is now this row, in the table's schema; or none, when it is a tombstone. A partial row
    /// ([`Row::is_partial`]) leaves the columns as they are of which it holds nothing. A row of a log without keys has the
    /// place in the log for its key, in hidden columns.
    Row(Row),
    /// The row that was under `from` is this one now, under another key: what it leaves out is as it was there.
    Moved(Box<Moved>),
    /// The table is empty now.
    Emptied,
}

/// A row that got another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The key it had.
    pub from: Vec<u8>,
    /// The row, or the partial one.
    pub row: Row,
}

impl Event {
    /// The row under its key is now `row`: a row, a partial one, or a tombstone.
    pub fn row(table: TableId, row: Row) -> Event {
        Event { table, change: Change::Row(row) }
    }

    /// There is no row under `key` any more.
    pub fn gone(table: TableId, key: &[u8]) -> Event {
        Event::row(table, Row::tombstone(key))
    }

    /// The row that was under the key `from` is now `row`, under another key.
    pub fn moved(table: TableId, from: &[u8], row: Row) -> Event {
        Event { table, change: Change::Moved(Box::new(Moved { from: from.into(), row })) }
    }

    /// The table has no rows any more.
    pub fn emptied(table: TableId) -> Event {
        Event { table, change: Change::Emptied }
    }
}

/// Whole source transactions, as one step of progress of one source.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Index of the source in the catalog.
    pub source: usize,
    /// The facts, in the order in which they happened: a later one about a key replaces an earlier one, or completes it.
    pub events: Vec<Event>,
    /// How far the source is read once these events are applied.
    pub position: Position,
    /// Whether it is part of a snapshot or of the stream.
    pub phase: Phase,
    /// With [`Phase::Streaming`], the tables the position speaks of: every change of these up to it has been sent. What
    /// is held of the source's other tables is older, and one of them is only named again behind a snapshot of it.
    pub covers: Arc<[TableId]>,
    /// When the newest transaction in this batch became known to the source reader.
    pub seen_at: Instant,
}

/// Where a batch stands in the life of its source: part of a snapshot, or of the stream behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The first batch of a snapshot of these tables: every key of them not named until the next `Streaming` batch is
    /// gone. Begun again for a table before that, it replaces what was said of the table; a snapshot of other tables that
    /// has not ended goes on, and one that was given up has to be begun again.
    SnapshotStart(Vec<TableId>),
    /// More of the snapshot; not consistent yet.
    Snapshot,
    /// The snapshot, if one was under way, is complete, and the position ends on a transaction.
    Streaming,
}

/// How a source is doing, as a user should read it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SourceHealth {
    /// Not reached yet.
    Connecting,
    /// The first copy, or one after drift, is being made.
    Snapshotting {
        /// Rows copied so far.
        rows: u64,
        /// Rows expected, when known.
        total: Option<u64>,
    },
    /// Following the log.
    Streaming,
    /// Something is in the way that may go by itself (file missing, locked…); it is tried again, and not before its time.
    Retrying {
        /// What is in the way.
        reason: String,
        /// How often it has been tried in vain since it last went well.
        attempts: u32,
        /// When it is tried again; an attempt is under way once that has passed.
        #[serde(rename = "retry_in_ms", serialize_with = "milliseconds_until")]
        next: Instant,
    },
    /// Something only a person can mend (a corrupt log, no capture…); what was read so far stays served. What is wrong
    /// with one table only is told of that table, and the source's other tables are followed on.
    Halted {
        /// What is wrong and what to do.
        reason: String,
    },
}

impl SourceHealth {
    /// The state in a word.
    pub fn word(&self) -> &'static str {
        match self {
            SourceHealth::Connecting => "connecting",
            SourceHealth::Snapshotting { .. } => "snapshotting",
            SourceHealth::Streaming => "streaming",
            SourceHealth::Retrying { .. } => "retrying",
            SourceHealth::Halted { .. } => "halted",
        }
    }
}

fn milliseconds_until<S: Serializer>(instant: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(instant.saturating_duration_since(Instant::now()).as_millis() as u64)
}

impl fmt::Display for SourceHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceHealth::Connecting => f.write_str("connecting"),
            SourceHealth::Snapshotting { rows, total: Some(total) } => {
                let percent = u128::from(*rows) * 100 / u128::from(*total).max(1);
                write!(f, "being copied: {percent} % of {}", counted(*total as usize, "row"))
            }
            SourceHealth::Snapshotting { rows, total: None } => {
                write!(f, "being copied: {} so far", counted(*rows as usize, "row"))
            }
            SourceHealth::Streaming => f.write_str("being followed"),
            SourceHealth::Retrying { reason, .. } => {
                write!(f, "waited for, and asked again from time to time: {reason}")
            }
            SourceHealth::Halted { reason } => write!(f, "halted: {reason}"),
        }
    }
}
