//! The outside world in: each source runs on a thread of its own and yields keyed events with positions.
//!
//! A source knows no state of ours. It is told where to resume, yields batches that end on whole transactions, and
//! learns through [`Link::durable`] how far its batches are safe with us, so that it may acknowledge them upstream.

mod error;
mod format;
pub mod sqlite;

pub use error::SourceError;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::catalog::{Connector, DeclaredColumn};
use crate::change::{Batch, DataType, Position, Schema, SourceHealth, TableId};

/// What a source tells the engine.
#[derive(Debug)]
pub enum Message {
    /// Progress.
    Batch(Batch),
    /// A change of health.
    Health(usize, SourceHealth),
    /// The declared tables of a source that are not followed now, each with what is wrong and what to do; the others are.
    Halted(usize, Vec<(TableId, String)>),
    /// Nothing is waiting at the source as of this instant: everything committed before it has been sent.
    Current(usize, Instant),
}

/// The source's end of its connection to the engine.
#[derive(Debug, Clone)]
pub struct Link {
    /// Bounded: a source that is faster than the engine waits here.
    pub sender: SyncSender<Message>,
    /// The newest position that survives a power loss here.
    pub durable: Arc<Mutex<Option<Position>>>,
    /// Set when the source shall end.
    pub stop: Arc<AtomicBool>,
}

impl Link {
    /// Whether the source shall end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// One source to run.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    /// Index of the source in the catalog.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// How to connect.
    pub connector: Connector,
    /// The tables to follow.
    pub tables: Vec<TableSpec>,
}

/// One table of a source.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// Its number in the catalog.
    pub table: TableId,
    /// Its name at the source. Several tables may be declared from one.
    pub upstream: String,
    /// The columns its declaration writes out; empty when it takes those the source has.
    pub declared: Vec<DeclaredColumn>,
    /// The shape its rows are to be given.
    pub schema: Schema,
    /// Whether what is held of it lacks rows or changes, so that it has to be copied before it can be followed.
    pub copy: bool,
}

/// The schema of table `upstream` of a source: of its `declared` columns, or of all there are when none is declared.
pub fn describe(connector: &Connector, upstream: &str, declared: &[DeclaredColumn]) -> Result<Schema, SourceError> {
    match connector {
        Connector::Sqlite { .. } => sqlite::describe(connector, upstream, declared),
    }
}

/// The columns of table `upstream` that its owner does not compare bytewise, as is done here, with the collations.
pub fn collations(connector: &Connector, upstream: &str) -> Result<Vec<(String, String)>, SourceError> {
    match connector {
        Connector::Sqlite { .. } => sqlite::collations(connector, upstream),
    }
}

/// What a sample of a table's rows says of one of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The column.
    pub column: String,
    /// How many rows were looked at.
    pub rows: usize,
    /// How many of them would have an error cell in it.
    pub errors: usize,
    /// What the first of these says.
    pub first: Option<String>,
    /// The type under which all values seen are read, if there is one.
    pub fitting: Option<DataType>,
}

/// Columns of table `upstream` whose declared type does not take all that the table holds, or that have none and hold
/// something better than text, as far as a sample of its rows tells.
pub fn sample(connector: &Connector, upstream: &str, schema: &Schema) -> Result<Vec<Finding>, SourceError> {
    match connector {
        Connector::Sqlite { .. } => sqlite::sample(connector, upstream, schema),
    }
}

/// What keeps tables of a source from being followed as things are there now, in words, with what to do.
pub fn obstacles(connector: &Connector, upstream: &[String]) -> Vec<String> {
    match connector {
        Connector::Sqlite { path } => sqlite::capture::obstacles(path.as_ref(), upstream),
    }
}

/// Runs a source on a thread of its own: a snapshot, or the stream behind `from` with snapshots of the tables that need
/// one. It ends when the link's receiver is dropped or its stop flag is set.
pub fn spawn(spec: SourceSpec, from: Option<Position>, link: Link) -> JoinHandle<()> {
    let name = format!("source {}", spec.name);
    let run = move || {
        let run = || match spec.connector {
            Connector::Sqlite { .. } => sqlite::run(&spec, from, &link),
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            let reason = format!("internal error: {}; it is not followed until a restart", panic_text(&*panic));
            // Without a receiver the engine has ended, and nobody asks any more.
            let _ = link.sender.send(Message::Health(spec.index, SourceHealth::Halted { reason }));
        }
    };
    // Without a thread there is no process to speak of; the standard library's own spawn panics alike.
    thread::Builder::new().name(name).spawn(run).unwrap_or_else(|error| panic!("no thread for a source: {error}"))
}

/// What a thread said when it panicked.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message").into()
}
