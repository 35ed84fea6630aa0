//! The life of a running source: connect, copy or resume, follow; and again from the top after a fault.
//!
//! A fault never ends the source: it becomes a health state, and the cluster is tried again, at first soon and then more
//! and more seldom, at times that chance spreads so that not everybody comes back at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::kind::Kafka;
use super::places::Places;
use super::session::Session;
use crate::change::{Details, Excerpt, Position, Rejected, Rejections, SourceHealth, TableId};
use crate::source::breaker::Breaker;
use crate::source::format::{Message as Envelope, Poison};
use crate::source::link::Told;
use crate::source::{Link, SourceSpec, TableSpec};

/// Between two attempts to reach the cluster.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What a person has to mend is looked at this often: who gives wrong passwords too often is locked out in places.
const HALTED_PAUSE: Duration = Duration::from_secs(30);

/// Follows the source from `from` on, until the link is closed or told to stop.
pub(super) fn run(kafka: &Kafka, spec: &SourceSpec, from: Option<Position>, link: &Link) {
    let mut life = Life::new(spec, from.unwrap_or_default());
    let mut breaker = Breaker::new(SHORTEST_PAUSE, LONGEST_PAUSE);
    while !link.stopped() {
        life.healthy = false;
        let outcome = Session::open(kafka, spec, link, &mut life).and_then(|mut it| it.follow());
        if life.healthy {
            breaker.close();
        }
        let health = match outcome {
            Ok(()) | Err(Fault::Stopped) => return,
            Err(Fault::Reopen) => {
                link.pause_until(Instant::now() + SHORTEST_PAUSE / 2);
                continue;
            }
            Err(Fault::Retry(reason)) => {
                breaker.open();
                breaker.retrying(reason)
            }
            Err(Fault::Halt(reason)) => {
                breaker.open_for(HALTED_PAUSE);
                SourceHealth::Halted { reason }
            }
        };
        // What was said of the parts holds no more.
        if life.told.details(spec, link, Details::default()).is_err() {
            return;
        }
        if life.told.health(spec, link, health).is_err() {
            return;
        }
        link.pause_until(breaker.next());
    }
}

/// What outlives a fault.
#[derive(Debug)]
pub(super) struct Life {
    /// How far the source was read, at the end of the last consistent batch.
    pub(super) places: Places,
    /// The position that was last sent.
    pub(super) position: Position,
    /// Tables that have to be copied before a position speaks of them.
    pub(super) pending: BTreeSet<TableId>,
    /// Of these, the ones whose copy met a message that cannot be read: where, and why.
    pub(super) given_up: BTreeMap<TableId, String>,
    /// What the position was last said to speak of.
    pub(super) covers: Arc<[TableId]>,
    /// Messages that were left out of tables and not told of yet.
    pub(super) rejected: BTreeMap<TableId, Rejections>,
    /// By table and partition, the last message that was left out: one that is read again is not counted again.
    left_out: BTreeMap<(TableId, i32), i64>,
    /// How many transactions were not applied whole, and what was missing of the last one.
    pub(super) torn: (u64, String),
    /// Whether the last attempt came as far as following the topics.
    pub(super) healthy: bool,
    pub(super) told: Told,
}

impl Life {
    fn new(spec: &SourceSpec, position: Position) -> Life {
        let needs_copy = |it: &&TableSpec| it.copy || position.is_unread();
        let (pending, covered): (Vec<_>, Vec<_>) = spec.tables.iter().partition(needs_copy);
        Life {
            places: Places::of_position(&position),
            position,
            pending: pending.into_iter().map(|it| it.table).collect(),
            given_up: BTreeMap::new(),
            covers: covered.into_iter().map(|it| it.table).collect(),
            rejected: BTreeMap::new(),
            left_out: BTreeMap::new(),
            torn: (0, String::new()),
            healthy: false,
            told: Told::default(),
        }
    }

    /// A message is left out of a table.
    pub(super) fn reject(&mut self, table: TableId, message: &Envelope<'_>, poison: Poison) {
        let last = self.left_out.entry((table, message.partition)).or_insert(-1);
        if message.offset <= *last {
            return;
        }
        *last = message.offset;
        self.rejected.entry(table).or_default().add(Rejected {
            topic: message.topic.into(),
            partition: message.partition,
            offset: message.offset,
            reason: poison.0,
            key: message.key.map(Excerpt::of),
            value: message.value.map(Excerpt::of),
        });
    }

    /// The log of these tables is another one: nothing of it was left out yet.
    pub(super) fn forget_left_out(&mut self, tables: &[TableId]) {
        self.left_out.retain(|it, _| !tables.contains(&it.0));
    }
}
