//! A source's end of its connection to the engine, and what it has told of itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Message, SourceSpec};
use crate::change::{Details, Position, SourceHealth, TableId};

/// How soon a source that pauses notices that it shall end.
const STOP_POLL: Duration = Duration::from_millis(20);

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

/// The engine has ended: nobody listens any more.
#[derive(Debug)]
pub(super) struct Gone;

impl Link {
    /// Whether the source shall end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Tells the engine; waits while it is behind.
    pub(super) fn send(&self, message: Message) -> Result<(), Gone> {
        self.sender.send(message).map_err(|_| Gone)
    }

    /// Waits until then, but not longer than the engine wants the source.
    pub(super) fn pause_until(&self, end: Instant) {
        while !self.stopped() && Instant::now() < end {
            thread::sleep(end.saturating_duration_since(Instant::now()).min(STOP_POLL));
        }
    }
}

/// What a source has told of itself, so that it tells only what is new.
#[derive(Debug, Default)]
pub(super) struct Told {
    health: Option<SourceHealth>,
    /// None before anything was told: a source that begins anew does not know what its forerunner has told.
    halted: Option<BTreeMap<TableId, String>>,
    details: Option<Details>,
    added: BTreeMap<String, Vec<String>>,
}

impl Told {
    /// Tells how the source is doing.
    pub(super) fn health(&mut self, spec: &SourceSpec, link: &Link, health: SourceHealth) -> Result<(), Gone> {
        if self.health.as_ref() == Some(&health) {
            return Ok(());
        }
        self.health = Some(health.clone());
        link.send(Message::Health(spec.index, health))
    }

    /// Tells which declared tables are not followed, and why.
    pub(super) fn halted(
        &mut self,
        spec: &SourceSpec,
        link: &Link,
        halted: &BTreeMap<TableId, String>,
    ) -> Result<(), Gone> {
        if self.halted.as_ref() == Some(halted) {
            return Ok(());
        }
        self.halted = Some(halted.clone());
        link.send(Message::Halted(spec.index, halted.clone().into_iter().collect()))
    }

    /// Tells what there is to say besides.
    #[cfg_attr(
        not(any(feature = "kafka", feature = "postgres")),
        allow(dead_code, reason = "other kinds have health alone")
    )]
    pub(super) fn details(&mut self, spec: &SourceSpec, link: &Link, details: Details) -> Result<(), Gone> {
        if self.details.as_ref() == Some(&details) {
            return Ok(());
        }
        let known = self.details.replace(details.clone()).unwrap_or_default().warnings;
        for (_, warning) in details.warnings.iter().filter(|it| known.get(it.0) != Some(it.1)) {
            tracing::warn!(source = spec.name, "{warning}");
        }
        link.send(Message::Details(spec.index, details))
    }

    /// Says in the log which columns the source's tables got since they were planned with, by table.
    pub(super) fn added(&mut self, spec: &SourceSpec, added: &BTreeMap<String, Vec<String>>) {
        if self.added == *added {
            return;
        }
        self.added.clone_from(added);
        for (table, columns) in added {
            let (source, columns) = (&spec.name, columns.join(", "));
            tracing::warn!(source, table, columns, "new columns are not followed; a restart or SIGHUP takes them");
        }
    }
}
