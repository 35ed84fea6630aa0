//! Transactions of a database over several topics and partitions: applied whole, whatever arrives first, through restarts,
//! and without waiting for ever for what does not come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use vantage::change::{Datum, Row};
use vantage::engine::Engine;
use vantage::store::{Board, Epoch, KeyRange, RelationState};

use super::stand::*;

const PARENTS: (&str, i32) = ("shop.public.parents", 2);
const CHILDREN: (&str, i32) = ("shop.public.children", 3);
const BOUNDARIES: &str = "shop.transaction";
/// How many children every parent has.
const SIZE: i64 = 3;

/// Every transaction writes a parent and all its children with one version. `torn` has the children whose parent has
/// another one, or is not there.
fn views(options: &str) -> String {
    format!(
        "CREATE SOURCE shop WITH (connector = 'kafka', properties.bootstrap.server = 'SERVERS'{options});\n\
         CREATE TABLE parents (id BIGINT PRIMARY KEY, v BIGINT) FROM shop TABLE 'shop.public.parents' FORMAT DEBEZIUM ENCODE JSON;\n\
         CREATE TABLE children (id BIGINT PRIMARY KEY, parent BIGINT, v BIGINT) FROM shop TABLE 'shop.public.children' FORMAT DEBEZIUM ENCODE JSON;\n\
         CREATE MATERIALIZED VIEW torn AS SELECT c.id FROM children c LEFT JOIN parents p ON p.id = c.parent WHERE p.id IS NULL OR p.v <> c.v;\n\
         CREATE MATERIALIZED VIEW cards AS SELECT p.id, p.v, count(c.id) AS c FROM parents p LEFT JOIN children c ON c.parent = p.id AND c.v = p.v GROUP BY p.id, p.v;\n"
    )
}

const WHOLE: &str = ", transaction.topic = 'shop.transaction'";

fn stand(options: &str) -> Stand {
    Stand::new(Cluster::new(1, &[PARENTS, CHILDREN, (BOUNDARIES, 1)]), &views(options))
}

/// A database and its connector: what is written to each partition, in order.
#[derive(Default)]
struct Owner {
    waiting: BTreeMap<(&'static str, i32), Vec<Sent>>,
    parents: BTreeMap<i64, i64>,
    transactions: u64,
    /// Whether nobody asks where they end.
    is_untold: bool,
}

fn event(table: &str, id: i64, fields: &str, op: &str, transaction: Option<(u64, u64)>) -> Sent {
    let block = match transaction {
        Some((id, order)) => {
            format!(r#"{{"id":"{id}:22536408","total_order":{order},"data_collection_order":{order}}}"#)
        }
        None => "null".into(),
    };
    let source =
        format!(r#"{{"connector":"postgresql","name":"shop","db":"shop","schema":"public","table":"{table}"}}"#);
    let value = format!(
        r#"{{"before":null,"after":{{"id":{id},{fields}}},"source":{source},"op":"{op}","ts_ms":1,"transaction":{block}}}"#
    );
    Sent::new(&format!("{{\"id\":{id}}}"), &value)
}

fn end(id: u64, parents: u64, children: u64) -> Sent {
    let count = |name: &str, count: u64| format!(r#"{{"data_collection":"public.{name}","event_count":{count}}}"#);
    let value = format!(
        r#"{{"status":"END","id":"{id}:22536736","event_count":{},"data_collections":[{},{}],"ts_ms":1}}"#,
        parents + children,
        count("parents", parents),
        count("children", children)
    );
    Sent { value: Some(value), ..Sent::default() }
}

impl Owner {
    fn put(&mut self, topic: (&'static str, i32), id: i64, sent: Sent) {
        self.waiting.entry((topic.0, id.rem_euclid(i64::from(topic.1)) as i32)).or_default().push(sent);
    }

    /// A parent and its children get their next version, in one transaction.
    fn change(&mut self, rng: &mut SmallRng) {
        let id = rng.random_range(0..8);
        let version = *self.parents.entry(id).and_modify(|it| *it += 1).or_insert(0);
        self.transactions += 1;
        let transaction = self.transactions;
        let op = if version == 0 { "c" } else { "u" };
        self.put(PARENTS, id, event("parents", id, &format!("\"v\":{version}"), op, Some((transaction, 1))));
        for child in 0..SIZE {
            let fields = format!("\"parent\":{id},\"v\":{version}");
            let sent = event("children", id * 10 + child, &fields, op, Some((transaction, 1 + child as u64)));
            self.put(CHILDREN, id * 10 + child, sent);
        }
        let begin = format!(r#"{{"status":"BEGIN","id":"{transaction}:22536408","event_count":null}}"#);
        self.put((BOUNDARIES, 1), 0, Sent { value: Some(begin), ..Sent::default() });
        self.put((BOUNDARIES, 1), 0, end(transaction, 1, SIZE as u64));
    }

    /// Each partition runs ahead or behind as chance has it; a little at a time, so that it is seen.
    fn write(&mut self, stand: &Stand, rng: &mut SmallRng, all: bool) {
        self.waiting.retain(|it, _| !self.is_untold || it.0 != BOUNDARIES);
        for _ in 0..rng.random_range(1..12) {
            for ((topic, partition), waiting) in &mut self.waiting {
                let count = rng.random_range(0..=waiting.len());
                waiting.drain(..count).for_each(|it| stand.cluster.send(topic, *partition, &it));
            }
            stand.cluster.flush();
        }
        for ((topic, partition), waiting) in self.waiting.iter_mut().filter(|_| all) {
            waiting.drain(..).for_each(|it| stand.cluster.send(topic, *partition, &it));
        }
        stand.cluster.flush();
    }

    fn cards(&self) -> Vec<String> {
        self.parents.iter().map(|(id, version)| format!("{id} | {version} | {SIZE}")).collect()
    }
}

/// What was seen of all epochs that were looked at.
#[derive(Debug, Default)]
struct Seen {
    epochs: u64,
    torn_epochs: u64,
    torn: Vec<String>,
}

fn torn(board: &Board, epoch: &Epoch) -> Option<Vec<i64>> {
    let relations = board.relations();
    let (relation, state) = relations.iter().find(|it| it.0.name == "torn")?;
    // What is being built is not read.
    if *state.read().expect("lock") != RelationState::Live {
        return None;
    }
    let rows = epoch.scan(relation.id, &KeyRange::all(), false, usize::MAX).expect("readable");
    let id = |it: &Row| match it.get(0, relation.schema.data_type(0)) {
        Datum::Int(id) => id,
        other => panic!("no id: {other:?}"),
    };
    Some(rows.iter().map(id).collect())
}

/// Looks at every epoch that is published while `work` goes on, as far as one thread can.
fn watched(engine: &Engine, work: impl FnOnce()) -> Seen {
    let (board, done) = (Arc::clone(engine.board()), Arc::new(AtomicBool::new(false)));
    let ended = Arc::clone(&done);
    let watcher = std::thread::spawn(move || {
        let (mut seen, mut last) = (Seen::default(), None);
        loop {
            let is_last = ended.load(Ordering::Acquire);
            let epoch = board.epoch();
            if last != Some(epoch.number())
                && let Some(torn) = torn(&board, &epoch)
            {
                last = Some(epoch.number());
                seen.epochs += 1;
                if !torn.is_empty() {
                    seen.torn_epochs += 1;
                    seen.torn.push(format!("epoch {}: children {torn:?}", epoch.number()));
                }
            }
            if is_last {
                return seen;
            }
            std::thread::park_timeout(std::time::Duration::from_micros(100));
        }
    });
    work();
    done.store(true, Ordering::Release);
    watcher.join().expect("the watcher ends")
}

fn case(seed: u64, options: &str) -> Seen {
    let mut rng = SmallRng::seed_from_u64(seed);
    let stand = stand(options);
    let mut owner = Owner { is_untold: options.is_empty(), ..Owner::default() };
    let mut all = Seen::default();
    for _ in 0..rng.random_range(2..4) {
        // What is there at the start is copied, or read on from places in the middle of transactions.
        (0..rng.random_range(0..10)).for_each(|_| owner.change(&mut rng));
        owner.write(&stand, &mut rng, false);
        let engine = stand.start();
        let seen = watched(&engine, || {
            for _ in 0..rng.random_range(1..5) {
                (0..rng.random_range(0..20)).for_each(|_| owner.change(&mut rng));
                let all = rng.random_bool(0.3);
                owner.write(&stand, &mut rng, all);
                if all {
                    catch_up(&stand, &engine, "shop");
                    wait_rows(&engine, "cards", &owner.cards().iter().map(String::as_str).collect::<Vec<_>>());
                }
            }
        });
        all.epochs += seen.epochs;
        all.torn_epochs += seen.torn_epochs;
        all.torn.extend(seen.torn);
        assert_eq!(engine.board().sources()[0].details().warnings, BTreeMap::new(), "seed {seed}");
        // Half of the transactions that are under way are held back now.
        engine.stop().expect("stop");
    }
    let engine = stand.start();
    owner.write(&stand, &mut rng, true);
    catch_up(&stand, &engine, "shop");
    engine.wait_ready(PATIENCE).expect("ready");
    assert_eq!(rows(&engine, "cards"), owner.cards(), "seed {seed}");
    engine.stop().expect("stop");
    all
}

fn cases() -> impl Iterator<Item = u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let first = number("SEED").unwrap_or(1);
    first..first + number("CASES").unwrap_or(6)
}

/// Nothing is given up here because a machine is slow.
const PATIENT: &str = ", transaction.wait = '1h'";

#[test]
fn no_epoch_shows_half_a_transaction() {
    let mut epochs = 0;
    for seed in cases() {
        // Sometimes so little may wait that partitions are paused nearly all the time.
        let bound = if seed % 2 == 0 { ", transaction.held.kbytes = '16'" } else { "" };
        let seen = case(seed, &format!("{WHOLE}{PATIENT}{bound}"));
        assert_eq!(seen.torn, Vec::<String>::new(), "seed {seed}");
        epochs += seen.epochs;
    }
    assert!(epochs > 0, "nothing was looked at");
}

/// `cargo test --release --test it kafka::transactions -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn without_it_children_are_seen_before_their_parents() {
    for (name, options) in [("apart", String::new()), ("whole", format!("{WHOLE}{PATIENT}"))] {
        let (mut epochs, mut torn) = (0, 0);
        for seed in cases() {
            let seen = case(seed, &options);
            (epochs, torn) = (epochs + seen.epochs, torn + seen.torn_epochs);
        }
        println!("{name}: {torn} of {epochs} epochs show part of a transaction");
    }
}

fn warning(engine: &Engine) -> String {
    wait_for("a warning", engine, || engine.board().sources()[0].details().warnings.get("transactions").cloned())
}

fn one(stand: &Stand, id: i64, child: bool, transaction: Option<u64>) {
    let (topic, table, fields, key) = match child {
        true => (CHILDREN, "children", format!("\"parent\":{id},\"v\":0"), id * 10),
        false => (PARENTS, "parents", "\"v\":0".into(), id),
    };
    let sent = event(table, key, &fields, if transaction.is_some() { "c" } else { "r" }, transaction.map(|it| (it, 1)));
    stand.cluster.send(topic.0, (key % i64::from(topic.1)) as i32, &sent);
    stand.cluster.flush();
}

#[test]
fn what_belongs_to_no_transaction_does_not_wait_and_the_rest_waits_for_its_end() {
    let stand = stand(&format!("{WHOLE}{PATIENT}"));
    let engine = stand.ready();
    one(&stand, 1, true, Some(5));
    one(&stand, 2, false, None);
    wait_rows(&engine, "parents", &["2 | 0"]);
    assert_eq!(rows(&engine, "children"), Vec::<String>::new());
    one(&stand, 1, false, Some(5));
    stand.cluster.send(BOUNDARIES, 0, &end(5, 1, 1));
    catch_up(&stand, &engine, "shop");
    assert_eq!(rows(&engine, "children"), ["10 | 1 | 0"]);
    assert_eq!(rows(&engine, "torn"), Vec::<String>::new());
    engine.stop().expect("stop");
}

#[test]
fn without_its_end_a_transaction_goes_on_after_a_while_and_that_is_told() {
    let stand = stand(&format!("{WHOLE}, transaction.wait = '200ms'"));
    let engine = stand.ready();
    one(&stand, 1, true, Some(5));
    wait_rows(&engine, "children", &["10 | 1 | 0"]);
    let told = warning(&engine);
    assert!(told.contains("of transaction 5 topic \"shop.transaction\" has not told the end within 200 ms"), "{told}");
    // What of it comes later is past waiting for, and nothing is lost.
    one(&stand, 1, false, Some(5));
    stand.cluster.send(BOUNDARIES, 0, &end(5, 1, 1));
    catch_up(&stand, &engine, "shop");
    assert_eq!(rows(&engine, "cards"), ["1 | 0 | 1"]);
    engine.stop().expect("stop");
}

#[test]
fn an_event_that_does_not_come_is_named_and_the_others_go_on() {
    let stand = stand(&format!("{WHOLE}, transaction.wait = '200ms'"));
    let engine = stand.ready();
    one(&stand, 1, true, Some(5));
    stand.cluster.send(BOUNDARIES, 0, &end(5, 1, 1));
    stand.cluster.flush();
    wait_rows(&engine, "children", &["10 | 1 | 0"]);
    let told = warning(&engine);
    assert!(told.contains("0 of 1 events of topic \"shop.public.parents\" came within 200 ms"), "{told}");
    engine.stop().expect("stop");
    // After a restart the rest is there, without an end that comes again.
    let engine = stand.ready();
    one(&stand, 1, false, Some(5));
    wait_rows(&engine, "cards", &["1 | 0 | 1"]);
    engine.stop().expect("stop");
}

#[test]
fn without_the_topic_of_transactions_events_go_on_and_that_is_told() {
    let stand = Stand::new(Cluster::new(1, &[PARENTS, CHILDREN]), &views(WHOLE));
    let engine = stand.ready();
    one(&stand, 1, true, Some(5));
    wait_rows(&engine, "children", &["10 | 1 | 0"]);
    let told = warning(&engine);
    assert!(told.contains("there is no topic \"shop.transaction\""), "{told}");
    engine.stop().expect("stop");
}

#[test]
fn a_topic_of_transactions_is_no_table() {
    let stand = stand("");
    let refused = stand.refused(&views(", transaction.topic = 'shop.public.parents'"));
    assert!(refused.contains("says where transactions end"), "{refused}");
    let refused = stand.refused(&views(", transaction.topic = 'no topic'"));
    assert!(refused.contains("no topic can be called"), "{refused}");
}
