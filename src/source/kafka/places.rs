//! Places in the partitions of topics, and how a position says them.
//!
//! A part of the position is a partition: `0` while the source reads one topic, as its producers know it, and `orders-0`
//! when it reads several, as Kafka itself writes it. The log's name is the cluster's, and with one topic also that topic's,
//! so that nobody has to guess what a bare number meant when a source comes to read a second one.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::change::{Notation, Place, Position};

/// What a place keeps besides the offset: what the message at it was, and when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Witness {
    /// A digest of the message at the place, so that another log under the same name is noticed. Nothing when there was
    /// no message that could be seen there.
    pub(super) digest: Option<i64>,
    /// In milliseconds since 1970, when the partition was last read up to there.
    pub(super) read_at_ms: i64,
}

impl Witness {
    fn to_words(self) -> Vec<i64> {
        let mut words = vec![self.read_at_ms];
        words.extend(self.digest);
        words
    }

    fn of_words(words: &[i64]) -> Witness {
        Witness { read_at_ms: words.first().copied().unwrap_or_default(), digest: words.get(1).copied() }
    }
}

/// By topic and partition, the offset of the last message that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// The cluster's id; empty before anything was read.
    pub(super) cluster: String,
    places: BTreeMap<(String, i32), (u64, Witness)>,
}

impl Places {
    /// What a position of this source says.
    pub(super) fn of_position(position: &Position) -> Places {
        let (cluster, only) = match position.log.split_once('/') {
            Some((cluster, topic)) => (cluster, Some(topic)),
            None => (position.log.as_str(), None),
        };
        let part = |(name, place): (&String, &Place)| {
            let (topic, number) = match only {
                Some(topic) => (topic, name.as_str()),
                None => name.rsplit_once('-')?,
            };
            Some(((topic.to_string(), number.parse().ok()?), (place.at, Witness::of_words(&place.witness))))
        };
        Places { cluster: cluster.into(), places: position.parts.iter().filter_map(part).collect() }
    }

    /// The position that says the same, of a source that reads `topics` topics.
    pub(super) fn to_position(&self, topics: usize) -> Position {
        let only = self.places.keys().next().filter(|_| topics == 1).map(|it| it.0.clone());
        let part = |((topic, number), (at, witness)): (&(String, i32), &(u64, Witness))| {
            let name = if only.is_some() { number.to_string() } else { format!("{topic}-{number}") };
            (name, Place { at: *at, witness: witness.to_words() })
        };
        let parts = self.places.iter().map(part).collect();
        let log = match only {
            Some(topic) => format!("{}/{topic}", self.cluster),
            None => self.cluster.clone(),
        };
        Position { log, notation: Notation::Number, parts }
    }

    /// How far a partition was read.
    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<(u64, Witness)> {
        self.places.get(&(topic.to_string(), partition)).copied()
    }

    /// A partition was read up to and including `at`.
    pub(super) fn set(&mut self, topic: &str, partition: i32, at: u64, witness: Witness) {
        self.places.insert((topic.to_string(), partition), (at, witness));
    }

    /// Keeps what is said of these topics only.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.places.retain(|it, _| keep(&it.0));
    }

    /// The partitions of a topic that were read.
    pub(super) fn of_topic(&self, topic: &str) -> impl Iterator<Item = i32> {
        self.places.keys().filter(move |it| it.0 == topic).map(|it| it.1)
    }
}

/// Now, in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(topics: &[&str]) -> Places {
        let mut places = Places { cluster: "c".into(), ..Places::default() };
        for topic in topics {
            places.set(topic, 0, 5, Witness { digest: Some(-7), read_at_ms: 3 });
            places.set(topic, 11, 0, Witness { digest: None, read_at_ms: 4 });
        }
        places
    }

    #[test]
    fn places_come_back_from_the_position_that_says_them() {
        for (topics, text) in
            [(&["shop.orders"][..], "0:5,11:0"), (&["a", "b-1"], "a-0:5,a-11:0,b-1-0:5,b-1-11:0"), (&[], "")]
        {
            let position = places(topics).to_position(topics.len());
            assert_eq!(position.to_string(), text);
            assert_eq!(Places::of_position(&position), places(topics));
        }
    }

    #[test]
    fn a_second_topic_renames_the_parts_and_loses_none() {
        let mut places = Places::of_position(&places(&["orders"]).to_position(1));
        places.set("stock", 0, 9, Witness::default());
        assert_eq!(places.to_position(2).to_string(), "orders-0:5,orders-11:0,stock-0:9");
        places.retain(|it| it == "stock");
        assert_eq!(places.to_position(1).to_string(), "0:9");
    }
}
