//! Where a service keeps its rows, as the service itself writes them: a SQLite file, a server of its own that is reached by
//! its command line client, or a file whose every change is published as an event.

mod file;

pub(super) mod session;

#[cfg(not(feature = "kafka"))]
mod no_outlet;
#[cfg(feature = "kafka")]
mod outlet;

pub(super) mod events;

use std::fmt;

use rusqlite::types::Value;

pub(super) use file::File;

/// Why a store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A SQLite file.
    #[error(transparent)]
    File(#[from] rusqlite::Error),
    /// The client of a server could not be run.
    #[error("{program} cannot be run: {error}")]
    Client {
        /// The program.
        program: &'static str,
        /// Why.
        error: std::io::Error,
    },
    /// A server refused a statement, or went away.
    #[error("{program} ended with: {words}; it was asked: {statement}")]
    Refused {
        /// The client.
        program: &'static str,
        /// What it said.
        words: String,
        /// What was asked.
        statement: String,
    },
    /// A server gave an answer that is none.
    #[error("{statement} was answered with {answer:?}")]
    Answer {
        /// What was asked.
        statement: String,
        /// What was said.
        answer: String,
    },
    /// An event was not taken.
    #[error("the event was not published: {0}")]
    Event(String),
}

/// A statement whose parameters are written ?1, ?2, and their values.
pub type Statement<'a> = (&'a str, &'a [Value]);

/// A service's store. Its statements are those that all of the databases have in common.
pub trait Store: Send + fmt::Debug {
    /// Runs the statements in one transaction; how many rows they changed.
    fn run(&mut self, statements: &[Statement<'_>]) -> Result<u64, StoreError>;

    /// The number that a query gives.
    fn number(&mut self, query: &str) -> Result<i64, StoreError>;
}

/// The values of a statement's parameters.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$(rusqlite::types::Value::from($value)),*] };
}
pub(super) use values;
