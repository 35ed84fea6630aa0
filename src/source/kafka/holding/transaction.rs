//! A transaction some of which was read, and what of it was not.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use super::Topic;

/// A transaction some of which was read.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) id: String,
    /// Since when nothing more of it was on its way.
    pub(super) since: Instant,
    /// By topic, which of its events were read: their tables and their numbers among those of the table.
    pub(super) seen: BTreeMap<usize, HashSet<(usize, u64)>>,
    pub(super) end: Option<End>,
    /// How many messages of it wait.
    pub(super) held: usize,
    /// Whether a copy may have some of it and not the rest.
    pub(super) is_copied: bool,
    /// Whether it lacks something that is to be waited for.
    pub(super) waits: bool,
    /// Whether it was waited for long enough.
    pub(super) is_given_up: bool,
}

/// What the end of a transaction says.
#[derive(Debug)]
pub(super) struct End {
    /// By data collection, how many events there are.
    pub(super) counts: Vec<(String, u64)>,
    /// Whether it was written before reading began. Of old transactions some may have been compacted away, which is
    /// nothing to complain of.
    pub(super) is_old: bool,
}

/// What of a transaction was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    End,
    Events { topic: usize, seen: u64, count: u64 },
}

impl Transaction {
    /// Nothing of it was read yet.
    pub(super) fn new(id: &str, now: Instant) -> Transaction {
        Transaction {
            id: id.into(),
            since: now,
            seen: BTreeMap::new(),
            end: None,
            held: 0,
            is_copied: false,
            waits: true,
            is_given_up: false,
        }
    }
}

impl Missing {
    /// What is told of transaction `id` when that did not come, as `why` says.
    pub(super) fn told(self, id: &str, why: &str, topics: &[Topic], boundaries: usize) -> String {
        match self {
            Missing::End => {
                format!("of transaction {id} topic \"{}\" has not told the end {why}", topics[boundaries].name)
            }
            Missing::Events { topic, seen, count } => {
                format!("of transaction {id} {seen} of {count} events of topic \"{}\" came {why}", topics[topic].name)
            }
        }
    }
}

/// Whether a topic has the name that Debezium gives it, of characters that Kafka takes.
pub(super) fn is_named(topic: &str, prefix: &str, collection: &str) -> bool {
    let fits = |it: char| if it.is_ascii_alphanumeric() || "._-".contains(it) { it } else { '_' };
    let name: String = collection.chars().map(fits).collect();
    match topic.strip_suffix(&name).and_then(|it| it.strip_suffix('.')) {
        Some(before) => prefix.is_empty() || before == prefix,
        None => topic == name,
    }
}
