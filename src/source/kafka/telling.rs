//! What a session tells of itself.

use std::collections::BTreeMap;
use std::time::Instant;

use super::fault::Fault;
use super::places::part_name;
use super::session::Session;
use super::topic::Topic;
use crate::change::{Details, Part, SourceHealth};
use crate::source::Message;

impl Session<'_> {
    /// Nothing was waiting at `looked_at`. What was committed later than a request takes may have been on its way.
    pub(super) fn tell_current(&mut self, looked_at: Instant) -> Result<(), Fault> {
        let Some(instant) = looked_at.checked_sub(self.round_trip) else { return Ok(()) };
        let waits = self.whole.as_ref().is_some_and(|it| !it.holding.is_empty());
        if self.trouble.is_some() || self.copying || waits || !self.topics.iter().all(Topic::is_current) {
            return Ok(());
        }
        Ok(self.link.send(Message::Current(self.spec.index, instant))?)
    }

    /// Tells which tables are not followed, and why.
    pub(super) fn tell_halted(&mut self) -> Result<(), Fault> {
        let mut halted = BTreeMap::new();
        for topic in &self.topics {
            for table in &topic.tables {
                let reason = table.given_up.as_ref().or(topic.held.as_ref());
                halted.extend(reason.map(|it| (table.id, it.clone())));
            }
        }
        Ok(self.life.told.halted(self.spec, self.link, &halted)?)
    }

    pub(super) fn tell_health(&mut self) -> Result<(), Fault> {
        let health = if self.copying {
            let progress = self.topics.iter().filter(|it| it.held.is_none()).map(Topic::progress);
            let (rows, total) = progress.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
            SourceHealth::Snapshotting { rows, total: Some(total) }
        } else {
            SourceHealth::Streaming
        };
        Ok(self.life.told.health(self.spec, self.link, health)?)
    }

    /// Tells what there is to say besides.
    pub(super) fn tell_details(&mut self) -> Result<(), Fault> {
        let mut details = Details::default();
        for (at, topic) in self.topics.iter().enumerate() {
            for number in 0..topic.partitions.len() {
                let name = part_name(&topic.name, number as i32, self.topics.len());
                details.parts.insert(name, self.part((at, number)));
            }
        }
        details.warnings.extend(self.torn().map(|it| ("transactions", it)));
        Ok(self.life.told.details(self.spec, self.link, details)?)
    }

    /// Tells which messages were left out of tables.
    pub(super) fn tell_rejected(&mut self) -> Result<(), Fault> {
        if self.life.rejected.is_empty() {
            return Ok(());
        }
        let rejected: Vec<_> = std::mem::take(&mut self.life.rejected).into_iter().collect();
        for (table, rejections) in &rejected {
            let table = self.spec.tables.iter().find(|it| it.table == *table).expect("a table of the source");
            let last = rejections.last.back().expect("what was left out is there");
            tracing::warn!(
                source = self.spec.name,
                table = table.declaration.name,
                count = rejections.count,
                topic = last.topic,
                partition = last.partition,
                offset = last.offset,
                reason = last.reason,
                "messages were left out; this is the last one"
            );
        }
        Ok(self.link.send(Message::Rejected(self.spec.index, rejected))?)
    }

    /// How a partition is doing.
    fn part(&self, (at, number): (usize, usize)) -> Part {
        let topic = &self.topics[at];
        let it = &topic.partitions[number];
        let count = |from: i64, to: i64| u64::try_from(to - from).unwrap_or_default();
        let is_paused = self.whole.as_ref().is_some_and(|whole| whole.holding.is_paused((at, number)));
        let state = match &topic.held {
            Some(reason) if reason.starts_with("gap:") => "gap".into(),
            Some(_) => "halted".into(),
            None if self.copying && it.next < it.target => {
                let percent = count(it.first, it.next) * 100 / count(it.first, it.target).max(1);
                format!("snapshotting {percent} %")
            }
            None if is_paused => "paused (backlog)".into(),
            None => "streaming".into(),
        };
        // What was read is there, whenever the end was last asked for.
        let end = it.end.max(it.next);
        let mut numbers = BTreeMap::from([("behind", count(it.passed.max(it.known), end))]);
        numbers.extend(u64::try_from(end - 1).ok().map(|it| ("end", it)));
        if it.passed < it.next {
            numbers.insert("held_back", count(it.passed, it.next));
        }
        Part { state, numbers, words: BTreeMap::new() }
    }
}
