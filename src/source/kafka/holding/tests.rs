//! What waits and what goes on, for logs made at random and for those from which something is missing.

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::super::topic::Partition;
use super::*;
use crate::change::TableId;

const TABLES: [&str; 2] = ["parents", "children"];
const WAIT: Duration = Duration::from_secs(10);

/// What stands in a partition.
#[derive(Debug, Clone)]
enum Record {
    /// Of a transaction, which of its events of the table it is.
    Event(usize, u64),
    /// Of no transaction.
    Free,
    End(usize, [u64; 2]),
}

/// A database's log in topics, and how far each partition was read and handed on.
struct Log {
    records: BTreeMap<Part, Vec<Record>>,
    topics: Vec<Topic>,
    holding: Holding,
    now: Instant,
    /// By transaction, how many of its events went on.
    released: BTreeMap<usize, u64>,
}

fn partition() -> Partition {
    Partition {
        next: 0,
        known: 0,
        target: 0,
        end: 0,
        first: 0,
        passed: 0,
        digest: None,
        expected: None,
        is_moved: false,
        behind: None,
    }
}

fn holding(most_bytes: usize) -> Holding {
    Holding::new((0, "shop.transaction"), WAIT, most_bytes, false, false)
}

impl Log {
    fn new(partitions: [usize; 2], most_bytes: usize) -> Log {
        let topic = |name: &str, count: usize| Topic {
            name: name.into(),
            partitions: (0..count).map(|_| partition()).collect(),
            tables: Vec::new(),
            held: None,
            is_missing: false,
        };
        let topics = vec![
            topic("shop.transaction", 1),
            topic("shop.public.parents", partitions[0]),
            topic("shop.public.children", partitions[1]),
        ];
        let holding = holding(most_bytes);
        Log { records: BTreeMap::new(), topics, holding, now: Instant::now(), released: BTreeMap::new() }
    }

    fn write(&mut self, part: Part, record: Record) {
        self.records.entry(part).or_default().push(record);
        self.topics[part.0].partitions[part.1].end += 1;
    }

    /// Reads the next record of a partition, if there is one and it is not paused.
    fn read(&mut self, part: Part) -> bool {
        let offset = self.topics[part.0].partitions[part.1].next;
        let record = self.records.get(&part).and_then(|it| it.get(offset as usize)).cloned();
        let Some(record) = record.filter(|_| !self.holding.is_paused(part)) else { return false };
        self.topics[part.0].partitions[part.1].next += 1;
        let events = match &record {
            // The event says which transaction it is of, so that it is seen what went on.
            Record::Event(transaction, _) => vec![Event::gone(TableId(*transaction), b"")],
            _ => Vec::new(),
        };
        let held = Held { offset, digest: offset, events, bytes: 100 };
        let given_back = match record {
            Record::Event(transaction, order) => {
                let id = transaction.to_string();
                let table = ["shop", "public", TABLES[part.0 - 1]];
                let member = Member { id: &id, order, connector: "shop", table };
                self.holding.take(part, held, Some(&member), false, &self.topics, self.now)
            }
            Record::Free => self.holding.take_other(part, held),
            Record::End(transaction, counts) => {
                let names = TABLES.map(|it| format!("public.{it}"));
                let counts = names.into_iter().zip(counts).chain([("public.others".to_string(), 3)]).collect();
                let id = transaction.to_string();
                self.holding.take_end(part, held, (&id, counts), false, &self.topics, self.now)
            }
        };
        if let Some(held) = given_back {
            self.pass(part, held.offset);
            self.count(&held.events);
        }
        true
    }

    fn release(&mut self) {
        let released = self.holding.release();
        self.count(&released.events);
        for (part, (offset, _)) in released.passed {
            self.pass(part, offset);
        }
        self.holding.balance();
    }

    fn count(&mut self, events: &[Event]) {
        events.iter().for_each(|it| *self.released.entry(it.table.0).or_default() += 1);
    }

    fn pass(&mut self, part: Part, offset: i64) {
        let partition = &mut self.topics[part.0].partitions[part.1];
        assert!(offset >= partition.passed, "what was handed on is handed on again");
        partition.passed = offset + 1;
    }

    /// The process ends, and reads on from its places.
    fn restart(&mut self, most_bytes: usize) {
        self.holding = holding(most_bytes);
        for partition in self.topics.iter_mut().flat_map(|it| &mut it.partitions) {
            partition.next = partition.passed;
        }
    }

    fn parts(&self) -> Vec<Part> {
        let topics = self.topics.iter().enumerate();
        topics.flat_map(|(at, it)| (0..it.partitions.len()).map(move |number| (at, number))).collect()
    }

    fn is_done(&self) -> bool {
        self.topics.iter().flat_map(|it| &it.partitions).all(|it| it.passed == it.end)
    }
}

fn random_log(rng: &mut SmallRng, most_bytes: usize) -> (Log, Vec<[u64; 2]>) {
    let partitions = [rng.random_range(1..4), rng.random_range(1..4)];
    let mut log = Log::new(partitions, most_bytes);
    let mut sizes = Vec::new();
    for transaction in 0..rng.random_range(1..40) {
        let counts = [rng.random_range(0..4), rng.random_range(0..4)];
        for table in 0..2 {
            for order in 0..counts[table] {
                log.write((table + 1, rng.random_range(0..partitions[table])), Record::Event(transaction, order));
            }
        }
        if rng.random_bool(0.2) {
            log.write((1, rng.random_range(0..partitions[0])), Record::Free);
        }
        log.write((0, 0), Record::End(transaction, counts));
        sizes.push(counts);
    }
    (log, sizes)
}

fn case(seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    // Sometimes so little may wait that partitions are paused nearly all the time.
    let most_bytes = if rng.random_bool(0.5) { 20_000 } else { usize::MAX };
    let (mut log, sizes) = random_log(&mut rng, most_bytes);
    let parts = log.parts();
    let mut rounds = 0;
    while !log.is_done() {
        rounds += 1;
        assert!(rounds < 100_000, "seed {seed}: it does not come to its end");
        let part = parts[rng.random_range(0..parts.len())];
        for _ in 0..rng.random_range(1..6) {
            log.read(part);
        }
        log.release();
        for (transaction, count) in &log.released {
            let size: u64 = sizes[*transaction].iter().sum();
            assert_eq!(*count, size, "seed {seed}: half of transaction {transaction}");
        }
        if rng.random_bool(0.02) {
            log.restart(most_bytes);
        }
        assert_eq!(log.holding.give_up(&log.topics, log.now), Vec::<String>::new(), "seed {seed}");
    }
    let expected: u64 = sizes.iter().flatten().sum();
    assert_eq!(log.released.values().sum::<u64>(), expected, "seed {seed}: every event goes on once");
    assert!(log.holding.is_empty() && log.holding.open.is_empty(), "seed {seed}: nothing is left");
}

#[test]
fn no_interleaving_and_no_restart_shows_half_a_transaction() {
    (0..500).for_each(case);
}

fn read_all(log: &mut Log) {
    for part in log.parts() {
        while log.read(part) {}
    }
    log.release();
}

#[test]
fn what_does_not_come_is_waited_for_and_then_told() {
    let mut log = Log::new([1, 1], usize::MAX);
    log.write((1, 0), Record::Event(7, 0));
    log.write((2, 0), Record::Event(7, 0));
    // Of the next transaction the end is there, and an event is not.
    log.write((1, 0), Record::Event(8, 0));
    log.write((0, 0), Record::End(8, [1, 1]));
    read_all(&mut log);
    assert_eq!(log.holding.give_up(&log.topics, log.now), Vec::<String>::new());
    log.now += WAIT - Duration::from_millis(1);
    assert_eq!(log.holding.give_up(&log.topics, log.now), Vec::<String>::new());
    log.release();
    assert!(log.released.is_empty());
    log.now += Duration::from_millis(1);
    let complaints = log.holding.give_up(&log.topics, log.now);
    assert_eq!(
        complaints,
        [
            "of transaction 8 0 of 1 events of topic \"shop.public.children\" came within 10000 ms",
            "of transaction 7 topic \"shop.transaction\" has not told the end within 10000 ms"
        ]
    );
    log.release();
    assert!(log.is_done());
    // What comes late does not wait: the rest is past.
    log.write((2, 0), Record::Event(8, 0));
    log.write((0, 0), Record::End(7, [1, 1]));
    read_all(&mut log);
    assert!(log.is_done() && log.holding.is_empty());
}

#[test]
fn what_is_known_to_be_on_its_way_is_waited_for_longer() {
    let mut log = Log::new([1, 1], usize::MAX);
    log.write((1, 0), Record::Event(7, 0));
    log.write((0, 0), Record::End(7, [1, 1]));
    log.write((2, 0), Record::Event(7, 0));
    log.read((1, 0));
    log.read((0, 0));
    log.now += WAIT * 2;
    assert_eq!(log.holding.give_up(&log.topics, log.now), Vec::<String>::new());
    log.read((2, 0));
    log.release();
    assert!(log.is_done());
}

#[test]
fn a_transaction_larger_than_what_may_wait_goes_on_in_pieces_and_is_told() {
    let mut log = Log::new([1, 1], 4_000);
    for order in 0..100 {
        log.write((1, 0), Record::Event(7, order));
    }
    log.write((0, 0), Record::End(7, [100, 0]));
    let mut complaints = Vec::new();
    for _ in 0..1_000 {
        for part in log.parts() {
            log.read(part);
        }
        log.release();
        complaints.extend(log.holding.give_up(&log.topics, log.now));
    }
    assert!(log.is_done(), "{:?}", log.topics);
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].contains("before 3 KiB of messages were held back"), "{complaints:?}");
}

#[test]
fn a_topic_that_is_not_read_is_not_waited_for() {
    let mut log = Log::new([1, 1], usize::MAX);
    log.write((1, 0), Record::Event(7, 0));
    log.write((0, 0), Record::End(7, [1, 1]));
    read_all(&mut log);
    assert!(log.released.is_empty());
    log.topics[2].held = Some("a message that cannot be read".into());
    assert_eq!(log.holding.give_up(&log.topics, log.now), Vec::<String>::new());
    log.release();
    assert!(log.is_done());
}

#[test]
fn topics_are_known_by_their_names_and_renamed_ones_by_their_events() {
    assert!(is_named("shop.public.stock", "shop", "public.stock"));
    assert!(is_named("shop.public.my_table", "shop", "public.my table"));
    assert!(is_named("any.public.stock", "", "public.stock"));
    assert!(!is_named("other.public.stock", "shop", "public.stock"));
    assert!(!is_named("shop.republic.stock", "shop", "public.stock"));
    let mut holding = holding(usize::MAX);
    let member = Member { id: "1", order: 1, connector: "shop", table: ["shop", "public", "stock"] };
    assert_eq!(holding.learn(2, &member), holding.learn(2, &member));
    assert_eq!(holding.topics.get("public.stock"), Some(&2));
    // Another connector's transactions end elsewhere.
    let other = Member { id: "2", connector: "bank", ..member };
    let held = Held { offset: 0, digest: 0, events: Vec::new(), bytes: 1 };
    assert!(holding.take((2, 0), held, Some(&other), false, &[], Instant::now()).is_some());
}
