//! Places in the partitions of topics, and how a position says them.
//!
//! A part of the position is a partition: `0` while the source reads one topic, as its producers know it, and `orders-0`
//! when it reads several, as Kafka itself writes it. The log's name is the cluster's, and with one topic also that topic's,
//! so that nobody has to guess what a bare number meant when a source comes to read a second one.

use std::collections::BTreeMap;

use crate::change::{Notation, Place, Position};

/// By topic and partition, the offset of the last message that was read, and a digest of that message, so that another
/// log under the same name is noticed; none when there was no message that could be seen there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// The cluster's id; empty before anything was read.
    pub(super) cluster: String,
    places: BTreeMap<(String, i32), (u64, Option<i64>)>,
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
            Some(((topic.to_string(), number.parse().ok()?), (place.at, place.witness.first().copied())))
        };
        Places { cluster: cluster.into(), places: position.parts.iter().filter_map(part).collect() }
    }

    /// The position that says the same, of a source that reads `topics` topics.
    pub(super) fn to_position(&self, topics: usize) -> Position {
        let only = self.places.keys().next().filter(|_| topics == 1).map(|it| it.0.clone());
        let part = |((topic, number), (at, digest)): (&(String, i32), &(u64, Option<i64>))| {
            (part_name(topic, *number, topics), Place { at: *at, witness: Vec::from_iter(*digest) })
        };
        let parts = self.places.iter().map(part).collect();
        let log = match only {
            Some(topic) => format!("{}/{topic}", self.cluster),
            None => self.cluster.clone(),
        };
        Position { log, notation: Notation::Number, parts }
    }

    /// How far a partition was read.
    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<(u64, Option<i64>)> {
        self.places.get(&(topic.to_string(), partition)).copied()
    }

    /// A partition was read up to and including `at`.
    pub(super) fn set(&mut self, topic: &str, partition: i32, at: u64, digest: Option<i64>) {
        self.places.insert((topic.to_string(), partition), (at, digest));
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

/// The name of a partition, of a source that reads `topics` topics.
pub(super) fn part_name(topic: &str, number: i32, topics: usize) -> String {
    if topics == 1 { number.to_string() } else { format!("{topic}-{number}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(topics: &[&str]) -> Places {
        let mut places = Places { cluster: "c".into(), ..Places::default() };
        for topic in topics {
            places.set(topic, 0, 5, Some(-7));
            places.set(topic, 11, 0, None);
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
        places.set("stock", 0, 9, None);
        assert_eq!(places.to_position(2).to_string(), "orders-0:5,orders-11:0,stock-0:9");
        places.retain(|it| it == "stock");
        assert_eq!(places.to_position(1).to_string(), "0:9");
    }
}
