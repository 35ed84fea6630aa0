//! The outside world in: each source runs on a thread of its own and yields keyed events with positions.
//!
//! A source knows no state of ours. It is told where to resume, yields batches that end on whole transactions, and
//! learns through [`Link::durable`] how far its batches are safe with us, so that it may acknowledge them upstream.
//!
//! A kind of source is one folder, which alone knows its options, errors and positions. The kinds meet in `KINDS` and
//! nowhere else: whoever uses a source knows it as a [`Connector`].

mod breaker;
mod connect;
#[cfg(any(feature = "kafka", feature = "postgres"))]
mod digest;
mod error;
mod format;
#[cfg(feature = "kafka")]
mod kafka;
mod link;
pub mod options;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "kafka")]
mod registry;
pub mod sqlite;
#[cfg(test)]
mod tests;

pub use connect::{Sources, connect};
pub use error::{ErrorKind, SourceError};
pub use link::Link;

use std::any::Any;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use self::options::Reading;
use crate::catalog::{Source, Table};
use crate::change::{Batch, DataType, Details, Position, Rejections, Schema, SourceHealth, TableId};

/// Every kind of source there is.
const KINDS: &[Kind] = &[
    sqlite::KIND,
    #[cfg(feature = "kafka")]
    kafka::KIND,
    #[cfg(feature = "postgres")]
    postgres::KIND,
    #[cfg(feature = "postgres")]
    postgres::CDC,
];

/// A kind of source.
#[derive(Debug)]
pub struct Kind {
    /// What stands behind `connector =`.
    name: &'static str,
    /// Reads what is declared of a source and of its tables, every option of which is honoured or refused; nothing is
    /// contacted. `None` when the reading has problems.
    connect: fn(&Source, &[&Table], &mut Reading<'_>) -> Option<Arc<dyn Connector>>,
}

/// One declared source, ready to be used.
pub trait Connector: Debug + Send + Sync {
    /// The schema of a table: of its declared columns, or of all there are when none is declared.
    fn describe(&self, table: &Table) -> Result<Schema, SourceError>;

    /// The columns of a table that its owner does not compare bytewise, as is done here, with the collations.
    fn collations(&self, _table: &Table) -> Result<Vec<(String, String)>, SourceError> {
        Ok(Vec::new())
    }

    /// Columns of a table whose declared type does not take all that the table holds, or that have none and hold something
    /// better than text, as far as a sample of its rows tells.
    fn sample(&self, _table: &Table, _schema: &Schema) -> Result<Vec<Finding>, SourceError> {
        Ok(Vec::new())
    }

    /// What keeps tables from being followed as things are there now, in words, with what to do.
    fn obstacles(&self, _tables: &[&Table]) -> Vec<String> {
        Vec::new()
    }

    /// What only one source may use.
    fn claim(&self) -> Option<Claim> {
        None
    }

    /// Whether its tables are made of messages, of which one may not be readable.
    fn has_messages(&self) -> bool {
        false
    }

    /// Follows the source until the link's receiver is dropped or its stop flag is set: a snapshot, or the stream behind
    /// `from` with snapshots of the tables that need one.
    fn run(&self, spec: &SourceSpec, from: Option<Position>, link: &Link);
}

/// Something of the outside that only one source may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What it is, in a word: "file".
    pub what: &'static str,
    /// Which one.
    pub identity: String,
}

/// What a source tells the engine.
#[derive(Debug)]
pub enum Message {
    /// Progress.
    Batch(Batch),
    /// A change of health.
    Health(usize, SourceHealth),
    /// The declared tables of a source that are not followed now, each with what is wrong and what to do; the others are.
    Halted(usize, Vec<(TableId, String)>),
    /// Messages that were left out of tables which say `ON ERROR SKIP`, since this was last told.
    Rejected(usize, Vec<(TableId, Rejections)>),
    /// What there is to say of the source besides.
    Details(usize, Details),
    /// Nothing is waiting at the source as of this instant: everything committed before it has been sent.
    Current(usize, Instant),
}

/// One source to run.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    /// Index of the source in the catalog.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// The tables to follow.
    pub tables: Vec<TableSpec>,
}

/// One table of a source.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// Its number in the catalog.
    pub table: TableId,
    /// What is declared of it. Several may be declared from one table of the source.
    pub declaration: Table,
    /// The shape its rows are to be given.
    pub schema: Schema,
    /// Whether what is held of it lacks rows or changes, so that it has to be copied before it can be followed.
    pub copy: bool,
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

/// Runs a source on a thread of its own, which ends as [`Connector::run`] does.
pub fn spawn(connector: Arc<dyn Connector>, spec: SourceSpec, from: Option<Position>, link: Link) -> JoinHandle<()> {
    let name = format!("source {}", spec.name);
    let run = move || {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| connector.run(&spec, from, &link))) {
            let reason = format!("internal error: {}; it is not followed until a restart", panic_text(&*panic));
            // Without a receiver the engine has ended, and nobody asks any more.
            let _ = link.send(Message::Health(spec.index, SourceHealth::Halted { reason }));
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
