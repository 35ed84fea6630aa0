//! Follows the stream: gathers whole transactions, sends them on, tells the server how far they are safe with us.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::FutureExt;
use pgwire_replication::{Lsn, PgWireError, ReplicationEvent};

use super::fault::Fault;
use super::pulse::{Heard, Pulse};
use super::run::Follower;
use super::session::STOP_POLL;
use super::slot::shown;
use super::stream::Misread;
use crate::change::{Details, Part, Phase, Position, SourceHealth, TableId};
use crate::source::{Link, Message};

/// Transactions are merged up to about so much.
const BATCH_EVENTS: usize = 4096;
const BATCH_BYTES: usize = 1 << 20;
/// What may wait for tables that are being copied, before these are copied along with them.
const WAITING_BYTES: usize = 256 << 20;
/// A place in the log at which nothing has changed is sent on this often at most.
const QUIET: Duration = Duration::from_millis(10);
/// How often all else is looked at while the stream is busy.
const LOOK: Duration = Duration::from_millis(50);
/// How often it is told how the log and the slot are doing.
const DETAILS: Duration = Duration::from_millis(500);
/// A server that says nothing for so long, on either session, is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// When things were done last.
struct Clock {
    sent: Instant,
    looked: Instant,
    heard: Instant,
    told: Instant,
}

impl Follower<'_> {
    /// Streams until something is in the way.
    pub(super) fn follow(mut self, link: &Link) -> Result<(), Fault> {
        self.session.stream()?;
        self.pulse = Some(Pulse::start(self.waiter, self.settings, self.spec));
        let now = Instant::now();
        let mut clock = Clock { sent: now, looked: now, heard: now, told: now };
        self.life.healthy = true;
        loop {
            let event = match self.session.client.recv().now_or_never() {
                Some(event) => Some(event),
                None => {
                    // Nothing more is waiting here.
                    self.flush(link, &mut clock)?;
                    self.look(link, &mut clock)?;
                    self.next_event()?
                }
            };
            if let Some(event) = event {
                clock.heard = Instant::now();
                self.take(event)?;
            }
            let is_full = self.stream.ready.len() >= BATCH_EVENTS || self.stream.ready_bytes >= BATCH_BYTES;
            if is_full {
                self.flush(link, &mut clock)?;
            }
            if clock.heard.duration_since(clock.looked) >= LOOK {
                self.look(link, &mut clock)?;
            }
        }
    }

    /// The next event, if one comes soon.
    fn next_event(&mut self) -> Result<Option<Result<Option<ReplicationEvent>, PgWireError>>, Fault> {
        let Follower { session, waiter, .. } = self;
        waiter.wait(session.client.recv(), Some(STOP_POLL / 2))
    }

    fn take(&mut self, event: Result<Option<ReplicationEvent>, PgWireError>) -> Result<(), Fault> {
        let event = event.map_err(|error| Fault::of(&error, self.settings))?;
        let ended = || Fault::Retry(format!("{} ended the stream", self.settings.place()));
        match event.ok_or_else(ended)? {
            ReplicationEvent::Begin { xid, .. } => self.stream.begin(xid, self.copied.iter()),
            ReplicationEvent::XLogData { data, .. } => {
                self.stream.take(&self.layout, &data).map_err(|misread| match misread {
                    Misread::Fault(fault) => fault,
                    Misread::Misfit(tables) => {
                        let (tables, columns): (Vec<TableId>, Vec<String>) = tables.into_iter().unzip();
                        tracing::info!(
                            ?columns,
                            "tables had other columns when they were written to; copying them again"
                        );
                        self.life.pending.extend(tables);
                        Fault::Again
                    }
                })?;
            }
            ReplicationEvent::Commit { end_lsn, .. } => self.stream.commit(end_lsn.as_u64()),
            ReplicationEvent::KeepAlive { wal_end, .. } => self.stream.alive(wal_end.as_u64()),
            ReplicationEvent::Message { .. } | ReplicationEvent::StoppedAt { .. } => {}
        }
        Ok(())
    }

    /// Sends on what has committed.
    fn flush(&mut self, link: &Link, clock: &mut Clock) -> Result<(), Fault> {
        if self.stream.at < self.fence {
            return self.flush_behind_copy(link);
        }
        let known = if self.life.position.log == self.layout.log { self.life.position.only().at } else { 0 };
        // The first one says what is covered from now on.
        let moved =
            if self.settled { self.stream.at > known && clock.sent.elapsed() >= QUIET } else { self.stream.at > 0 };
        if self.stream.ready.is_empty() && !moved {
            return Ok(());
        }
        let events = std::mem::take(&mut self.stream.ready);
        self.stream.ready_bytes = 0;
        let seen_at = self.stream.seen_at.take().unwrap_or_else(Instant::now);
        let position = self.layout.position(self.stream.at);
        self.life.position = position.clone();
        self.send(link, events, position, Phase::Streaming, seen_at)?;
        clock.sent = Instant::now();
        if !std::mem::replace(&mut self.settled, true) {
            self.life.pending.retain(|it| !self.layout.covers.contains(it));
            // From here on no transaction comes that a copy has seen.
            self.copied.clear();
        }
        self.tell(link, SourceHealth::Streaming)
    }

    /// As long as every table is being copied, nothing has to wait for the end of it.
    fn flush_behind_copy(&mut self, link: &Link) -> Result<(), Fault> {
        let all_copied = self.layout.covers.iter().all(|it| self.life.pending.contains(it));
        if all_copied {
            if !self.stream.ready.is_empty() {
                let events = std::mem::take(&mut self.stream.ready);
                self.stream.ready_bytes = 0;
                self.send(link, events, self.life.position.clone(), Phase::Snapshot, Instant::now())?;
            }
            return Ok(());
        }
        if self.stream.ready_bytes > WAITING_BYTES {
            tracing::warn!(source = self.spec.name, "too much changes while tables are copied; copying all of them");
            self.life.pending.extend(self.layout.covers.iter());
            return Err(Fault::Again);
        }
        Ok(())
    }

    /// Looks at everything but the stream itself.
    fn look(&mut self, link: &Link, clock: &mut Clock) -> Result<(), Fault> {
        clock.looked = Instant::now();
        if link.stopped() {
            return Err(Fault::Stopped);
        }
        self.acknowledge(link);
        let Some(heard) = self.pulse.as_ref().map(Pulse::heard) else { return Ok(()) };
        if heard.digest.as_ref().is_some_and(|it| *it != self.layout.digest) || self.life.has_rested() {
            return Err(Fault::Again);
        }
        if clock.told.elapsed() >= DETAILS {
            clock.told = Instant::now();
            self.tell_details(&heard, link)?;
        }
        if let Some((asked_at, end)) = heard.end {
            let sent = self.life.position.log == self.layout.log && self.life.position.only().at >= end;
            if sent && self.stream.ready.is_empty() && self.stream.is_whole() {
                link.send(Message::Current(self.spec.index, asked_at))?;
            }
        }
        let silent = |since: Instant| since.elapsed() > SILENCE;
        if silent(clock.heard) && heard.answered.is_none_or(silent) {
            return Err(Fault::Retry(format!("{} has not said anything for {SILENCE:?}", self.settings.place())));
        }
        Ok(())
    }

    /// Tells the server up to where it need not keep its log for us.
    fn acknowledge(&self, link: &Link) {
        let durable = link.durable.lock().unwrap_or_else(|it| it.into_inner());
        let own = durable.as_ref().filter(|it| it.log == self.layout.log);
        if let Some(position) = own {
            self.session.client.update_applied_lsn(Lsn(position.only().at));
        }
    }

    /// Tells how far the log goes, and what the server keeps of it for us. A slot that is not read fast enough fills its
    /// owner's disk, or is given up by the server.
    fn tell_details(&mut self, heard: &Heard, link: &Link) -> Result<(), Fault> {
        let state = if self.settled { "streaming" } else { "snapshotting" };
        let mut part = Part { state: state.into(), ..Part::default() };
        if let Some((_, end)) = heard.end {
            let at = if self.life.position.log == self.layout.log { self.life.position.only().at } else { 0 };
            part.numbers.extend([("end", end), ("behind", end.saturating_sub(at))]);
        }
        if let Some(kept) = &heard.kept {
            part.numbers.insert("kept_bytes", kept.bytes);
            part.numbers.extend(kept.left.map(|it| ("left_bytes", it)));
            part.words.extend([("wal_status", kept.status.clone()), ("confirmed", shown(kept.confirmed))]);
        }
        let parts = BTreeMap::from([(Position::WHOLE.to_string(), part)]);
        let warning = heard.kept.as_ref().and_then(|it| it.warning(self.settings.slot_bytes));
        let details = Details { parts, warnings: warning.map(|it| ("slot", it)).into_iter().collect() };
        Ok(self.life.told.details(self.spec, link, details)?)
    }
}
