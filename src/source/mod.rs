//! The outside world in: each source runs on a thread of its own and yields keyed events with positions.
//!
//! A source knows no state of ours. It is told where to resume, yields batches that end on whole transactions, and
//! learns through [`Link::durable`] how far its batches are safe with us, so that it may trim the log behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::catalog::Connector;
use crate::change::{Batch, Position, Schema, SourceHealth, TableId};

/// What a source tells the engine.
#[derive(Debug)]
pub enum Message {
    /// Progress.
    Batch(Batch),
    /// A change of health.
    Health(usize, SourceHealth),
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
    /// Its name at the source.
    pub upstream: String,
    /// The shape its rows are to be given.
    pub schema: Schema,
}
