//! How fast a backlog of Debezium's events becomes a durable join of three tables, and which threads work for how long.
//! A measurement, so it is run when asked for:
//! `cargo test --release --features kafka --test it kafka::speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::super::support::spent::cpu;
use super::stand::*;

const PARTITIONS: i32 = 8;
/// The mock keeps 5 MB of a partition.
const EVENTS_OF_PARTITION: i64 = 6_500;
const TOPICS: [&str; 3] = ["products", "prices", "stock"];

const VIEWS: &str = "CREATE SOURCE shop WITH (connector = 'kafka', properties.bootstrap.server = 'SERVERS');\n\
    CREATE TABLE products (id BIGINT PRIMARY KEY, name TEXT, n BIGINT) FROM shop TABLE 'products' FORMAT DEBEZIUM ENCODE JSON;\n\
    CREATE TABLE prices (id BIGINT PRIMARY KEY, name TEXT, n BIGINT) FROM shop TABLE 'prices' FORMAT DEBEZIUM ENCODE JSON;\n\
    CREATE TABLE stock (id BIGINT PRIMARY KEY, name TEXT, n BIGINT) FROM shop TABLE 'stock' FORMAT DEBEZIUM ENCODE JSON;\n\
    CREATE MATERIALIZED VIEW cards AS SELECT p.id, p.name, c.n AS price, s.n AS stock FROM products p JOIN prices c ON c.id = p.id JOIN stock s ON s.id = p.id;\n";

fn send_all(stand: &Stand, round: i64) -> u64 {
    let source = r#""source":{"version":"3.5.0.Final","connector":"postgresql","name":"shop","ts_ms":1763805600123,"snapshot":"false","db":"shop","sequence":"[null,\"22536408\"]","schema":"public","table":"t","txId":727,"lsn":22536408,"xmin":null},"transaction":null"#;
    let mut count = 0;
    for topic in TOPICS {
        for partition in 0..PARTITIONS {
            for at in 0..EVENTS_OF_PARTITION {
                let id = at * i64::from(PARTITIONS) + i64::from(partition);
                let after = format!(r#"{{"id":{id},"name":"{topic} number {id}","n":{}}}"#, id + round);
                let value = format!(r#"{{"before":null,"after":{after},{source},"op":"u","ts_ms":1763805600456}}"#);
                stand.cluster.send(topic, partition, &Sent::new(&format!("{{\"id\":{id}}}"), &value));
                count += 1;
            }
            stand.cluster.flush();
        }
    }
    count
}

#[test]
#[ignore = "a measurement"]
fn a_backlog_becomes_a_join() {
    let topics = TOPICS.map(|it| (it, PARTITIONS));
    let stand = Stand::new(Cluster::new(1, &topics), VIEWS);
    let first = send_all(&stand, 0);
    let begin = Instant::now();
    let engine = stand.ready();
    println!("copy: {:.0} events/s of {first}", first as f64 / begin.elapsed().as_secs_f64());
    engine.stop().expect("stop");
    let count = send_all(&stand, 1);

    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", stand.cluster.servers()).set("group.id", "g").set("check.crcs", "true");
    let consumer: BaseConsumer = config.create().expect("consumer");
    let mut list = TopicPartitionList::new();
    for ((topic, partition), last) in stand.cluster.written() {
        let from = Offset::Offset(last + 1 - EVENTS_OF_PARTITION);
        list.add_partition_offset(&topic, partition, from).expect("partition");
    }
    let (begin, mut taken) = (Instant::now(), 0);
    consumer.assign(&list).expect("assigned");
    while taken < count {
        if let Some(message) = consumer.poll(Duration::from_secs(1)) {
            message.expect("a message");
            taken += 1;
        }
    }
    println!("consume alone: {:.0} events/s", count as f64 / begin.elapsed().as_secs_f64());
    drop(consumer);

    let (before, begin) = (cpu(), Instant::now());
    let engine = stand.start();
    catch_up(&stand, &engine, "shop");
    let wall = begin.elapsed();
    println!("backlog to a committed three-table join: {:.0} events/s of {count}", count as f64 / wall.as_secs_f64());
    for (name, time) in cpu() {
        let spent = time.saturating_sub(before.get(&name).copied().unwrap_or_default());
        if spent > wall / 50 {
            println!("  {name:<16} {:.2} µs an event", spent.as_secs_f64() * 1e6 / count as f64);
        }
    }
    assert_eq!(rows(&engine, "cards").len(), (EVENTS_OF_PARTITION * i64::from(PARTITIONS)) as usize);
    engine.stop().expect("stop");
}
