//! Streams shaped like Debezium's, made at random: repeated events, topics that run ahead of one another, keys that
//! change, values that are left out, restarts in between. At the end every view is the query over the owner's tables.

use std::collections::BTreeMap;

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::stand::*;

const PARTITIONS: i32 = 3;

const VIEWS: &str = "CREATE SOURCE shop WITH (connector = 'kafka', properties.bootstrap.server = 'SERVERS');\n\
    CREATE TABLE parents (id BIGINT PRIMARY KEY, name TEXT, big TEXT) FROM shop TABLE 'parents' FORMAT DEBEZIUM ENCODE JSON;\n\
    CREATE TABLE children (id BIGINT PRIMARY KEY, parent BIGINT, n BIGINT) FROM shop TABLE 'children' FORMAT DEBEZIUM ENCODE JSON;\n\
    CREATE MATERIALIZED VIEW joined AS SELECT c.id, c.n, p.id AS pid, p.name, p.big FROM children c JOIN parents p ON p.id = c.parent;\n\
    CREATE MATERIALIZED VIEW totals AS SELECT p.id, p.name, count(c.id) AS c, sum(c.n) AS s FROM parents p LEFT JOIN children c ON c.parent = p.id GROUP BY p.id, p.name;\n";

/// The owner's tables.
#[derive(Default)]
struct Owner {
    parents: BTreeMap<i64, (String, String)>,
    children: BTreeMap<i64, (i64, i64)>,
}

/// What the connector has still to write, by topic and partition, in order.
#[derive(Default)]
struct Connector {
    waiting: BTreeMap<(&'static str, i32), Vec<Sent>>,
}

fn partition(id: i64) -> i32 {
    (id.rem_euclid(i64::from(PARTITIONS))) as i32
}

fn key(id: i64) -> String {
    format!("{{\"id\":{id}}}")
}

fn event(before: &str, after: &str, op: &str) -> String {
    format!(r#"{{"before":{before},"after":{after},"source":{{"lsn":1}},"op":"{op}","ts_ms":1,"transaction":null}}"#)
}

fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

impl Connector {
    fn put(&mut self, topic: &'static str, id: i64, sent: Sent) {
        self.waiting.entry((topic, partition(id))).or_default().push(sent);
    }

    fn row(&mut self, topic: &'static str, id: i64, fields: &str, op: &str) {
        let after = format!("{{\"id\":{id},{fields}}}");
        self.put(topic, id, Sent::new(&key(id), &event("null", &after, op)));
    }

    fn gone(&mut self, topic: &'static str, id: i64, rng: &mut SmallRng) {
        let before = if rng.random_bool(0.5) { format!("{{\"id\":{id}}}") } else { "null".into() };
        self.put(topic, id, Sent::new(&key(id), &event(&before, "null", "d")));
        self.put(topic, id, Sent::tombstone(&key(id)));
    }

    /// Writes some of what waits; each partition runs ahead or behind as chance has it. A connector that starts again
    /// writes what it has written before once more.
    fn write(&mut self, stand: &Stand, rng: &mut SmallRng, all: bool) {
        for ((topic, partition), waiting) in &mut self.waiting {
            let count = if all { waiting.len() } else { rng.random_range(0..=waiting.len()) };
            let written: Vec<Sent> = waiting.drain(..count).collect();
            written.iter().for_each(|it| stand.cluster.send(topic, *partition, it));
            if rng.random_bool(0.3) {
                let from = rng.random_range(0..=written.len());
                written[from..].iter().for_each(|it| stand.cluster.send(topic, *partition, it));
            }
        }
        stand.cluster.flush();
    }
}

impl Owner {
    fn change(&mut self, connector: &mut Connector, rng: &mut SmallRng) {
        let id = rng.random_range(0..12);
        match rng.random_range(0..7) {
            0..=2 => self.change_parent(id, connector, rng),
            3 if self.parents.contains_key(&id) => self.rekey_parent(id, connector, rng),
            4 => {
                if self.children.remove(&id).is_some() {
                    connector.gone("children", id, rng);
                }
            }
            _ => {
                let child = (rng.random_range(0..12), rng.random_range(-5..50));
                let op = if self.children.insert(id, child).is_some() { "u" } else { "c" };
                connector.row("children", id, &format!("\"parent\":{},\"n\":{}", child.0, child.1), op);
            }
        }
    }

    fn change_parent(&mut self, id: i64, connector: &mut Connector, rng: &mut SmallRng) {
        let name = format!("name \"{}\"", rng.random_range(0..5));
        match self.parents.get_mut(&id) {
            Some(_) if rng.random_bool(0.3) => {
                self.parents.remove(&id);
                connector.gone("parents", id, rng);
            }
            // The large value did not change, so the connector has not got it.
            Some(parent) if rng.random_bool(0.6) => {
                parent.0.clone_from(&name);
                let fields = format!("\"name\":{},\"big\":\"__debezium_unavailable_value\"", text(&name));
                connector.row("parents", id, &fields, "u");
            }
            known => {
                let op = if known.is_some() { "u" } else { "c" };
                let big = format!("big {}", rng.random_range(0..1000));
                connector.row("parents", id, &format!("\"name\":{},\"big\":{}", text(&name), text(&big)), op);
                self.parents.insert(id, (name, big));
            }
        }
    }

    /// The connector tells it as a delete and an insert.
    fn rekey_parent(&mut self, id: i64, connector: &mut Connector, rng: &mut SmallRng) {
        let to = rng.random_range(100..112);
        if self.parents.contains_key(&to) {
            return;
        }
        let (name, big) = self.parents.remove(&id).expect("a parent");
        connector.gone("parents", id, rng);
        connector.row("parents", to, &format!("\"name\":{},\"big\":{}", text(&name), text(&big)), "c");
        self.parents.insert(to, (name, big));
    }

    fn joined(&self) -> Vec<String> {
        let row = |(id, (parent, n)): (&i64, &(i64, i64))| {
            let (name, big) = self.parents.get(parent)?;
            Some(format!("{id} | {n} | {parent} | {name} | {big}"))
        };
        self.children.iter().filter_map(row).collect()
    }

    fn totals(&self) -> Vec<String> {
        let row = |(id, (name, _)): (&i64, &(String, String))| {
            let of_parent: Vec<i64> = self.children.values().filter(|it| it.0 == *id).map(|it| it.1).collect();
            let sum = if of_parent.is_empty() { "∅".to_string() } else { of_parent.iter().sum::<i64>().to_string() };
            format!("{id} | {name} | {} | {sum}", of_parent.len())
        };
        self.parents.iter().map(row).collect()
    }
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

fn case(seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let stand = Stand::new(Cluster::new(1, &[("parents", PARTITIONS), ("children", PARTITIONS)]), VIEWS);
    let (mut owner, mut connector) = (Owner::default(), Connector::default());
    for _ in 0..rng.random_range(1..4) {
        (0..rng.random_range(0..40)).for_each(|_| owner.change(&mut connector, &mut rng));
        connector.write(&stand, &mut rng, false);
        let engine = stand.ready();
        for _ in 0..rng.random_range(1..4) {
            (0..rng.random_range(0..30)).for_each(|_| owner.change(&mut connector, &mut rng));
            let all = rng.random_bool(0.5);
            connector.write(&stand, &mut rng, all);
            if all {
                catch_up(&stand, &engine, "shop");
                assert_eq!(sorted(rows(&engine, "joined")), sorted(owner.joined()), "seed {seed}");
                assert_eq!(sorted(rows(&engine, "totals")), sorted(owner.totals()), "seed {seed}");
            }
        }
        engine.stop().expect("stop");
    }
}

#[test]
fn views_over_random_streams_are_the_queries_over_the_owners_tables() {
    let cases = std::env::var("CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(12);
    let first: u64 = std::env::var("SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(1);
    (first..first + cases).for_each(case);
}
