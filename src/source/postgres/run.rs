//! The life of a running PostgreSQL source: connect, verify, copy or resume, follow; and again from the top after a fault.
//!
//! A fault never ends the source: it becomes a health state, and the server is asked again with back-off, so that
//! whatever is mended there is noticed without a restart. What is wrong with one table halts what is declared from it,
//! and the server's other tables are followed on; when it is mended, it is copied again as a difference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fault::{Fault, too_large};
use super::layout::Layout;
use super::pulse::Pulse;
use super::seen::Seen;
use super::session::{Session, Waiter};
use super::settings::Settings;
use super::slot;
use super::stream::Stream;
use crate::change::{Batch, Details, Event, Phase, Position, SourceHealth, TableId};
use crate::source::breaker::Breaker;
use crate::source::link::Told;
use crate::source::{Link, Message, SourceSpec, TableSpec};

/// Between two attempts to reach the server.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a transaction is left alone that was too large.
const TOO_LARGE_PAUSE: Duration = Duration::from_secs(3600);
/// How long a table rests that could not be read.
pub(super) const TABLE_REST: Duration = Duration::from_secs(30);

/// Follows the server from `from` on, until the link is closed or told to stop.
pub(super) fn run(settings: &Settings, spec: &SourceSpec, from: Option<Position>, link: &Link) {
    let mut life = Life::new(spec, from.unwrap_or_default());
    let mut breaker = Breaker::new(SHORTEST_PAUSE, LONGEST_PAUSE);
    while !link.stopped() {
        life.healthy = false;
        let outcome =
            Waiter::new(Arc::clone(&link.stop)).and_then(|waiter| attempt(&waiter, settings, spec, &mut life, link));
        if life.healthy {
            breaker.close();
        }
        let health = match outcome {
            Err(Fault::Stopped) | Ok(()) => return,
            Err(Fault::Again) => {
                if !life.healthy {
                    breaker.open();
                    link.pause_until(breaker.next());
                }
                continue;
            }
            Err(Fault::Retry(reason)) => {
                breaker.open();
                breaker.retrying(reason)
            }
            Err(Fault::Halt(reason)) => {
                breaker.open();
                SourceHealth::Halted { reason }
            }
            // Nothing but another option helps, which takes a restart.
            Err(Fault::TooLarge(number)) => {
                breaker.open_for(TOO_LARGE_PAUSE);
                SourceHealth::Halted { reason: too_large(number, settings) }
            }
            Err(Fault::Table(tables, reason)) => {
                let until = Instant::now() + TABLE_REST;
                life.pending.extend(&tables);
                life.resting.extend(tables.into_iter().map(|it| (it, (reason.clone(), until))));
                continue;
            }
        };
        // What was said of the log holds no more.
        if life.told.details(spec, link, Details::default()).is_err() || life.tell(spec, link, health).is_err() {
            return;
        }
        link.pause_until(breaker.next());
    }
}

fn attempt(waiter: &Waiter, settings: &Settings, spec: &SourceSpec, life: &mut Life, link: &Link) -> Result<(), Fault> {
    Follower::open(waiter, settings, spec, life, link)?.follow(link)
}

/// What outlives a fault.
pub(super) struct Life {
    /// The position of the last consistent batch.
    pub(super) position: Position,
    /// What that position does not speak of: what was never copied, was not followed meanwhile, or was begun to be
    /// copied behind that batch (an attempt that was given up may have copied it in part).
    pub(super) pending: BTreeSet<TableId>,
    /// Tables whose rows could not be read: why, and until when they are left alone.
    resting: BTreeMap<TableId, (String, Instant)>,
    pub(super) told: Told,
    /// Whether the last attempt came as far as following the log.
    pub(super) healthy: bool,
}

impl Life {
    fn new(spec: &SourceSpec, position: Position) -> Life {
        let needs_copy = |it: &&TableSpec| it.copy || position.is_unread();
        Life {
            pending: spec.tables.iter().filter(needs_copy).map(|it| it.table).collect(),
            position,
            resting: BTreeMap::new(),
            told: Told::default(),
            healthy: false,
        }
    }

    /// Whether a table has rested long enough.
    pub(super) fn has_rested(&self) -> bool {
        self.resting.values().any(|(_, until)| Instant::now() >= *until)
    }

    fn tell(&mut self, spec: &SourceSpec, link: &Link, health: SourceHealth) -> Result<(), Fault> {
        Ok(self.told.health(spec, link, health)?)
    }

    /// Tells what of the layout concerns single tables.
    fn tell_tables(&mut self, spec: &SourceSpec, link: &Link, layout: &Layout) -> Result<(), Fault> {
        self.told.added(spec, &layout.added);
        Ok(self.told.halted(spec, link, &layout.halted)?)
    }
}

/// One attempt to follow one server.
pub(super) struct Follower<'a> {
    pub(super) waiter: &'a Waiter,
    pub(super) settings: &'a Settings,
    pub(super) spec: &'a SourceSpec,
    pub(super) life: &'a mut Life,
    pub(super) session: Session<'a>,
    pub(super) layout: Layout,
    /// What the copies made in this attempt have seen.
    pub(super) copied: BTreeMap<TableId, Seen>,
    /// Nothing is consistent before the stream has come here.
    pub(super) fence: u64,
    pub(super) stream: Stream,
    /// Whether this attempt has come to something consistent.
    pub(super) settled: bool,
    pub(super) pulse: Option<Pulse>,
}

impl<'a> Follower<'a> {
    /// Verifies everything, and copies what has to be copied.
    fn open(
        waiter: &'a Waiter,
        settings: &'a Settings,
        spec: &'a SourceSpec,
        life: &'a mut Life,
        link: &Link,
    ) -> Result<Follower<'a>, Fault> {
        let own_slot = |it: &&Position| it.log.rsplit_once('/').is_some_and(|it| it.1 == settings.slot);
        let start = Some(&life.position).filter(own_slot).map_or(0, |it| it.only().at);
        let mut session = Session::open(waiter, settings, start, 0)?;
        life.resting.retain(|_, (_, until)| Instant::now() < *until);
        let resting = life.resting.iter().map(|(table, (reason, _))| (*table, reason.clone())).collect();
        let layout = Layout::verify(&mut session, settings, spec, &resting)?;
        life.pending.extend(layout.halted.keys());
        life.tell_tables(spec, link, &layout)?;
        let copied = BTreeMap::new();
        let stream = Stream::new(start, settings.transaction_bytes);
        let mut follower = Follower {
            waiter,
            settings,
            spec,
            life,
            session,
            layout,
            copied,
            fence: 0,
            stream,
            settled: false,
            pulse: None,
        };
        follower.resume(link)?;
        Ok(follower)
    }

    /// Makes sure that the log is the one that was read, and copies what has to be copied.
    fn resume(&mut self, link: &Link) -> Result<(), Fault> {
        let Follower { life, layout, session, settings, .. } = self;
        let slot_of = |log: &str| log.rsplit_once('/').map(|it| it.1.to_string());
        let read = (!life.position.is_unread() && slot_of(&life.position.log) == slot_of(&layout.log))
            .then(|| life.position.clone());
        if let Some(read) = &read {
            if read.log != layout.log {
                return Err(Fault::Halt(format!(
                    "another-server: {} has other data than the server that was read before; {}",
                    settings.place(),
                    super::fault::begin_anew(&settings.slot)
                )));
            }
            let timeline = Layout::timeline_of(read);
            if !layout.server.continues(session, timeline, read.only().at)? {
                return Err(Fault::Halt(format!(
                    "source-went-back: {} is on timeline {} now, and does not have all that was read on timeline \
                     {timeline}: a copy of it took over too early, or a backup was restored; {}",
                    settings.place(),
                    layout.server.timeline,
                    super::fault::begin_anew(&settings.slot)
                )));
            }
        }
        slot::ensure(session, settings, read.as_ref().map(|it| it.only().at))?;
        let mut copy: BTreeSet<TableId> = match &read {
            Some(read) => layout.doubtful_since(read),
            None => layout.covers.iter().copied().collect(),
        };
        copy.extend(layout.covers.iter().copied().filter(|it| life.pending.contains(it)));
        if copy.is_empty() {
            return Ok(());
        }
        self.copy(link, &Vec::from_iter(copy))?;
        self.fence = slot::mark(&mut self.session)?;
        // What a change of the tables meanwhile has done to their rows is in no chunk, or only in the later ones.
        if super::layout::digest(&mut self.session, self.settings, self.spec)? != self.layout.digest {
            return Err(Fault::Again);
        }
        Ok(())
    }

    pub(super) fn tell(&mut self, link: &Link, health: SourceHealth) -> Result<(), Fault> {
        self.life.tell(self.spec, link, health)
    }

    pub(super) fn send(
        &self,
        link: &Link,
        events: Vec<Event>,
        position: Position,
        phase: Phase,
        seen_at: Instant,
    ) -> Result<(), Fault> {
        if link.stopped() {
            return Err(Fault::Stopped);
        }
        let covers = if phase == Phase::Streaming { Arc::clone(&self.layout.covers) } else { Arc::default() };
        let batch = Batch { source: self.spec.index, events, position, phase, covers, seen_at };
        Ok(link.send(Message::Batch(batch))?)
    }
}
