//! From what the cluster has and what was read of it before: which topics are read now, and from where.

use std::collections::BTreeMap;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Asker, Consumer, ends};
use super::fault::{Fault, Meaning, meaning};
use super::kind::Kafka;
use super::places::Places;
use super::run::Life;
use super::topic::{Fit, Partition, Table, Topic, fit};
use crate::change::TableId;
use crate::source::SourceSpec;

/// What the cluster says of a topic.
pub(super) enum Found {
    /// It has so many partitions.
    Partitions(usize),
    /// There is none of this name.
    Nothing,
    /// Something keeps us from reading it, which concerns no other.
    Refused(String),
}

/// Asks for a topic.
pub(super) fn look(asker: Asker<'_>, name: &str) -> Result<Found, Fault> {
    let doing = format!("asking for topic \"{name}\"");
    let metadata = asker.ask(&doing, |time| asker.consumer.fetch_metadata(Some(name), time))?;
    let Some(topic) = metadata.topics().iter().find(|it| it.name() == name) else { return Ok(Found::Nothing) };
    let Some(error) = topic.error() else {
        return Ok(if topic.partitions().is_empty() {
            Found::Nothing
        } else {
            Found::Partitions(topic.partitions().len())
        });
    };
    let code = RDKafkaErrorCode::from(error);
    match meaning(&KafkaError::MetadataFetch(code)) {
        Meaning::Missing => Ok(Found::Nothing),
        Meaning::Denied => Ok(Found::Refused(format!("topic \"{name}\" may not be read: {code}"))),
        _ => Err(Fault::Retry(format!("{doing}: {code}"))),
    }
}

/// The topics of the source as they are to be read now. What is pending in `life` may grow by tables that are to be copied
/// again.
pub(super) fn topics(kafka: &Kafka, spec: &SourceSpec, asker: Asker<'_>, life: &mut Life) -> Result<Vec<Topic>, Fault> {
    let schemas = kafka.schemas(&asker.link.stop)?;
    let mut by_name: BTreeMap<&str, Vec<Table>> = BTreeMap::new();
    for table in &spec.tables {
        let declared = kafka.table(&table.declaration);
        by_name.entry(&declared.topic).or_default().push(Table {
            id: table.table,
            reader: declared.layout.reader(schemas.as_ref()),
            is_copied: false,
            skips_errors: table.declaration.skips_errors.is_some(),
            given_up: life.given_up.get(&table.table).cloned(),
        });
    }
    enter_cluster(kafka, spec, asker, life)?;
    let mut topics = Vec::new();
    // Where this one ends is asked first: of a transaction whose end is told below that, every event is below the ends of
    // the other topics.
    if let Some(it) = &kafka.transactions {
        topics.push(boundaries(&it.topic, asker, life)?);
    }
    for (name, tables) in by_name {
        let mut topic = Topic { name: name.into(), partitions: Vec::new(), tables, held: None, is_missing: false };
        match look(asker, name)? {
            Found::Partitions(count) => begin(kafka, asker, life, &mut topic, count)?,
            Found::Nothing => {
                let servers = kafka.connection.servers();
                topic.held = Some(format!("there is no topic \"{name}\" at {servers}; it is looked for again"));
                topic.is_missing = true;
            }
            Found::Refused(reason) => (topic.held, topic.is_missing) = (Some(reason), true),
        }
        topics.push(topic);
    }
    Ok(topics)
}

/// The topic that says where transactions end. What is missing of it keeps no table from being followed.
fn boundaries(name: &str, asker: Asker<'_>, life: &Life) -> Result<Topic, Fault> {
    let mut topic =
        Topic { name: name.into(), partitions: Vec::new(), tables: Vec::new(), held: None, is_missing: false };
    match look(asker, name)? {
        Found::Partitions(count) => {
            for number in 0..count as i32 {
                let (low, high) = watermarks(asker, name, number)?;
                let place = life.places.get(name, number);
                let misfit = place.map(|(at, _)| fit(number, at as i64 + 1, low, high));
                let place = match misfit.as_ref().and_then(|it| it.reason(name)) {
                    Some(reason) => {
                        tracing::warn!("{reason}; where transactions end is read from the topic's beginning");
                        None
                    }
                    None => place,
                };
                let mut partition = partition(place, low, high, false);
                if place.is_none() {
                    (partition.next, partition.first, partition.passed, partition.known) = (low, low, low, low);
                }
                partition.target = partition.first.max(high);
                topic.partitions.push(partition);
            }
        }
        Found::Nothing => {
            topic.held = Some(format!("there is no topic \"{name}\"; it is looked for again"));
            topic.is_missing = true;
        }
        Found::Refused(reason) => (topic.held, topic.is_missing) = (Some(reason), true),
    }
    Ok(topic)
}

/// Learns which cluster this is. Offsets of another one say nothing here.
fn enter_cluster(kafka: &Kafka, spec: &SourceSpec, asker: Asker<'_>, life: &mut Life) -> Result<(), Fault> {
    let servers = kafka.connection.servers();
    let asked = |time| {
        let nothing = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
        asker.consumer.client().fetch_cluster_id(time).ok_or(nothing)
    };
    let cluster = asker.ask(&format!("connecting to {servers}"), asked)?;
    let known = &life.places.cluster;
    if !known.is_empty() && *known != cluster {
        let reason = format!("cluster {cluster} answers at {servers}, and what is held was read from cluster {known}");
        if !kafka.resync {
            let cure = "if that is meant, on_gap = 'resync' has all tables copied again as a difference";
            return Err(Fault::Halt(format!("{reason}; {cure}")));
        }
        tracing::warn!(source = spec.name, "{reason}: copying again");
        life.pending = spec.tables.iter().map(|it| it.table).collect();
        life.places = Places::default();
        life.given_up.clear();
        life.forget_left_out(&Vec::from_iter(life.pending.iter().copied()));
    }
    life.places.cluster = cluster;
    Ok(())
}

/// Where each partition of the topic is read from; or why the topic is not read.
fn begin(kafka: &Kafka, asker: Asker<'_>, life: &mut Life, topic: &mut Topic, count: usize) -> Result<(), Fault> {
    if topic.tables.iter().all(|it| it.given_up.is_some()) {
        topic.held = topic.tables.first().and_then(|it| it.given_up.clone());
        return Ok(());
    }
    let ends: Vec<_> = (0..count).map(|it| watermarks(asker, &topic.name, it as i32)).collect::<Result<_, _>>()?;
    let pending = |life: &Life, table: &Table| life.pending.contains(&table.id);
    let has_followed = topic.tables.iter().any(|it| !pending(life, it));
    if has_followed {
        let gone = life.places.of_topic(&topic.name).find(|it| *it >= count as i32);
        let fits = ends.iter().enumerate().map(|(number, (low, high))| {
            let next = life.places.get(&topic.name, number as i32).map_or(0, |(at, _)| at as i64 + 1);
            fit(number as i32, next, *low, *high)
        });
        let shrunk = gone.map(|it| Fit::Other { evidence: format!("it had a partition {it}, and has {count} now") });
        let misfit = shrunk.into_iter().chain(fits).find(|it| *it != Fit::Continues);
        if let Some(misfit) = misfit
            && !resync(kafka, life, topic, &misfit)
        {
            return Ok(());
        }
    }
    let mut is_copied = false;
    for table in &mut topic.tables {
        table.is_copied = life.pending.contains(&table.id) && table.given_up.is_none();
        is_copied |= table.is_copied;
    }
    let has_followed = topic.tables.iter().any(|it| !pending(life, it));
    topic.partitions = ends
        .into_iter()
        .enumerate()
        .map(|(number, (low, high))| {
            let place = life.places.get(&topic.name, number as i32).filter(|_| has_followed);
            partition(place, low, high, is_copied)
        })
        .collect();
    Ok(())
}

/// What does not go on where it was read up to is copied again, where that was asked for; else it is held, and this says
/// no.
pub(super) fn resync(kafka: &Kafka, life: &mut Life, topic: &mut Topic, misfit: &Fit) -> bool {
    let reason = misfit.reason(&topic.name).expect("what fits is not held");
    if !kafka.resync {
        topic.held = Some(reason);
        return false;
    }
    tracing::warn!("{reason}: copying again");
    let tables: Vec<TableId> = topic.tables.iter().map(|it| it.id).collect();
    life.forget_left_out(&tables);
    life.pending.extend(tables);
    true
}

fn partition(place: Option<(u64, Option<i64>)>, low: i64, high: i64, is_copied: bool) -> Partition {
    let known = place.map_or(0, |(at, _)| at as i64 + 1);
    let digest = place.and_then(|it| it.1);
    // The last message that was read is read once more, if it is still there, to see that it is the same one.
    let resumed = if digest.is_some() { (known - 1).max(low) } else { known };
    let first = if is_copied { low } else { resumed };
    let expected = digest.filter(|_| first < known);
    let target = if is_copied { high.max(known) } else { first };
    // What was deleted before anybody could read it has been read, as far as it can be.
    let known = if place.is_none() && is_copied { low } else { known };
    Partition {
        next: first,
        known,
        target,
        end: high,
        first,
        passed: first,
        digest,
        expected,
        is_moved: is_copied,
        behind: None,
    }
}

/// Where the log of a partition begins and ends.
pub(super) fn watermarks(asker: Asker<'_>, topic: &str, number: i32) -> Result<(i64, i64), Fault> {
    let doing = format!("asking where partition {number} of topic \"{topic}\" begins and ends");
    asker.ask(&doing, |time| ends(asker.consumer, topic, number, time))
}

/// Begins to read.
pub(super) fn assign(consumer: &Consumer, topics: &[Topic]) -> Result<(), Fault> {
    let mut list = TopicPartitionList::new();
    for topic in topics.iter().filter(|it| it.held.is_none()) {
        for (number, partition) in topic.partitions.iter().enumerate() {
            let added = list.add_partition_offset(&topic.name, number as i32, Offset::Offset(partition.next));
            added.map_err(|error| Fault::Retry(error.to_string()))?;
        }
    }
    consumer.assign(&list).map_err(|error| Fault::Retry(error.to_string()))
}

/// Reads no more of this topic.
pub(super) fn pause(consumer: &Consumer, topic: &Topic) -> Result<(), Fault> {
    if topic.partitions.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_range(&topic.name, 0, topic.partitions.len() as i32 - 1);
    consumer.pause(&list).map_err(|error| Fault::Retry(error.to_string()))
}
