//! What the tests share: a cluster, a producer, an engine over its topics, and what its relations hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _, ProducerContext};
use rdkafka::util::Timeout;
use vantage::change::{Datum, SourceHealth};
use vantage::engine::{Engine, EngineOptions};
use vantage::store::{KeyRange, RelationState};

/// Longest wait for anything that must happen; only a failure takes that long.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster that lives in this process.
pub(super) struct Cluster {
    pub(super) mock: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer<Delivered>,
}

/// Keeps the place of what was written last, by topic and partition: a read token, as any producer is told it.
#[derive(Debug, Clone, Default)]
struct Delivered(Arc<Mutex<BTreeMap<(String, i32), i64>>>);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let message: &BorrowedMessage<'_> = result.as_ref().unwrap_or_else(|(error, _)| panic!("not written: {error}"));
        let place = (message.topic().to_string(), message.partition());
        self.0.lock().expect("lock").insert(place, message.offset());
    }
}

/// A message to be written.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent {
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
    pub(super) headers: Vec<(String, String)>,
}

impl Sent {
    pub(super) fn new(key: &str, value: &str) -> Sent {
        Sent { key: Some(key.into()), value: Some(value.into()), headers: Vec::new() }
    }

    pub(super) fn tombstone(key: &str) -> Sent {
        Sent { key: Some(key.into()), value: None, headers: Vec::new() }
    }
}

impl Cluster {
    /// A cluster with these topics and numbers of partitions.
    pub(super) fn new(brokers: i32, topics: &[(&str, i32)]) -> Cluster {
        let mock = MockCluster::new(brokers).expect("mock cluster");
        for (topic, partitions) in topics {
            mock.create_topic(topic, *partitions, 1).expect("topic");
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", mock.bootstrap_servers()).set("linger.ms", "1");
        let producer = config.create_with_context(Delivered::default()).expect("producer");
        Cluster { mock, producer }
    }

    pub(super) fn servers(&self) -> String {
        self.mock.bootstrap_servers()
    }

    /// Puts a message behind those that are there.
    pub(super) fn send(&self, topic: &str, partition: i32, sent: &Sent) {
        let headers = sent
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value.as_bytes()) }));
        let mut record: BaseRecord<'_, [u8], [u8], ()> = BaseRecord::to(topic).partition(partition).headers(headers);
        if let Some(key) = &sent.key {
            record = record.key(key.as_bytes());
        }
        if let Some(value) = &sent.value {
            record = record.payload(value.as_bytes());
        }
        while let Err((error, again)) = self.producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(rdkafka::types::RDKafkaErrorCode::QueueFull), "{error}");
            self.producer.poll(Duration::from_millis(10));
            record = again;
        }
    }

    /// Puts a message behind those that are there, in the bytes it has.
    pub(super) fn send_bytes(&self, topic: &str, partition: i32, key: &[u8], value: &[u8]) {
        let record: BaseRecord<'_, [u8], [u8], ()> = BaseRecord::to(topic).partition(partition).key(key).payload(value);
        self.producer.send(record).map_err(|it| it.0).expect("room for a message");
    }

    /// Waits until all that was sent is written.
    pub(super) fn flush(&self) {
        self.producer.flush(Timeout::After(PATIENCE)).expect("everything is written");
    }

    /// The offset of the last message of each partition that was written to.
    pub(super) fn written(&self) -> BTreeMap<(String, i32), i64> {
        self.flush();
        self.producer.context().0.lock().expect("lock").clone()
    }
}

/// A directory with view files and state.
pub(super) struct Stand {
    directory: tempfile::TempDir,
    pub(super) cluster: Cluster,
    views: String,
}

impl Stand {
    /// `SERVERS` in the views stands for the cluster's address.
    pub(super) fn new(cluster: Cluster, views: &str) -> Stand {
        let directory = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir_all(directory.path().join("views")).expect("views directory");
        let stand = Stand { directory, cluster, views: String::new() };
        stand.rewritten(views)
    }

    /// The same with other view files.
    pub(super) fn rewritten(mut self, views: &str) -> Stand {
        self.views = views.replace("SERVERS", &self.cluster.servers());
        std::fs::write(self.directory.path().join("views/shop.sql"), &self.views).expect("writable view file");
        self
    }

    /// The same directory and another cluster; and the one before.
    pub(super) fn moved_to(mut self, cluster: Cluster) -> (Stand, Cluster) {
        let before = std::mem::replace(&mut self.cluster, cluster);
        (self, before)
    }

    pub(super) fn start(&self) -> Engine {
        let path = |name| self.directory.path().join(name);
        Engine::start(EngineOptions::new(path("views"), path("data"))).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What is said of view files with which no engine starts.
    pub(super) fn refused(&self, views: &str) -> String {
        let directory = tempfile::tempdir().expect("temporary directory");
        let views = views.replace("SERVERS", &self.cluster.servers());
        std::fs::write(directory.path().join("shop.sql"), views).expect("writable view file");
        let started = Engine::start(EngineOptions::new(directory.path(), directory.path().join("data")));
        started.map(|_| ()).expect_err("these views have a mistake").to_string()
    }

    /// An engine that has read everything there is.
    pub(super) fn ready(&self) -> Engine {
        let engine = self.start();
        engine.wait_ready(PATIENCE).expect("ready");
        engine
    }
}

/// Waits until `found` finds something.
pub(super) fn wait_for<T>(what: &str, engine: &Engine, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(it) = found() {
            return it;
        }
        if Instant::now() > deadline {
            let sources = engine.board().sources();
            let health: Vec<String> =
                sources.iter().map(|it| format!("{}: {}", it.name, it.health.read().expect("lock"))).collect();
            let positions = engine.board().epoch();
            let relations = engine.board().relations();
            let states = relations.iter().filter_map(|it| it.1.read().expect("lock").complaint(&it.0.name));
            let states: Vec<String> = states.collect();
            panic!("{what} did not come: {health:?}, {states:?}, {:?}", positions.positions());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the source has read everything that was written.
pub(super) fn catch_up(stand: &Stand, engine: &Engine, source: &str) {
    let written = stand.cluster.written();
    wait_for("everything that was written", engine, || {
        let epoch = engine.board().epoch();
        let position = epoch.positions().get(source)?;
        let at = |(topic, partition): &(String, i32)| {
            position.at(&format!("{topic}-{partition}")).or_else(|| position.at(&partition.to_string()))
        };
        written.iter().all(|(place, offset)| at(place).is_some_and(|at| at as i64 >= *offset)).then_some(())
    });
}

/// The health of the first source, once it is as `expected`.
pub(super) fn health(engine: &Engine, expected: impl Fn(&SourceHealth) -> bool) -> SourceHealth {
    wait_for("the expected health", engine, || {
        let health = engine.board().sources()[0].health.read().expect("lock").clone();
        expected(&health).then_some(health)
    })
}

/// Why a relation is not live, once it is not.
pub(super) fn trouble(engine: &Engine, name: &str) -> String {
    wait_for("trouble", engine, || match engine.view(name)?.state() {
        RelationState::Failed { reason } | RelationState::Stale { reason, .. } => Some(reason),
        _ => None,
    })
}

/// The visible cells of all rows of a relation, a line a row, in the order of its key.
pub(super) fn rows(engine: &Engine, name: &str) -> Vec<String> {
    let view = engine.view(name).unwrap_or_else(|| panic!("no relation {name}"));
    let (epoch, relation) = (engine.board().epoch(), view.relation().clone());
    let rows = epoch.scan(relation.id, &KeyRange::all(), false, usize::MAX).expect("readable");
    let cell = |row: &vantage::change::Row, at: usize| match row.get(at, relation.schema.data_type(at)) {
        Datum::Null => "∅".to_string(),
        Datum::Error(reason) => format!("!{reason}"),
        Datum::Boolean(it) => it.to_string(),
        Datum::Int(it) => it.to_string(),
        Datum::Float(it) => it.to_string(),
        Datum::Decimal(it) => it.to_string(),
        Datum::Text(it) => it.to_string(),
        Datum::Bytes(it) => format!("{it:02x?}"),
    };
    let line = |row: &vantage::change::Row| {
        (0..relation.schema.visible).map(|at| cell(row, at)).collect::<Vec<_>>().join(" | ")
    };
    rows.iter().map(line).collect()
}

/// Waits until a relation holds these rows.
pub(super) fn wait_rows(engine: &Engine, name: &str, expected: &[&str]) {
    let mut last = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        last = rows(engine, name);
        if last == expected {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(last, expected, "{name}");
}
