//! What may happen to topics at a real broker: partitions added, messages deleted unread, a topic made anew, a transaction
//! that does not end.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Runtime;

use super::super::support::{Server, Site, http};
use super::servers::{Broker, root};

const WAIT: Duration = Duration::from_secs(30);

/// An administrator and a producer of the broker.
struct Owner {
    admin: AdminClient<DefaultClientContext>,
    producer: BaseProducer,
    runtime: Runtime,
    servers: String,
}

impl Owner {
    fn new(broker: &Broker) -> Owner {
        let config = config(&broker.servers());
        let (admin, producer) = (config.create().expect("admin"), config.create().expect("producer"));
        Owner { admin, producer, runtime: Runtime::new().expect("runtime"), servers: broker.servers() }
    }

    fn create(&self, topic: &str) {
        let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
        let made = self.runtime.block_on(self.admin.create_topics([&new], &AdminOptions::new()));
        made.expect("an answer").pop().expect("a topic").expect("it is made");
    }

    fn delete(&self, topic: &str) {
        let gone = self.runtime.block_on(self.admin.delete_topics(&[topic], &AdminOptions::new()));
        gone.expect("an answer").pop().expect("a topic").expect("it is deleted");
    }

    fn add_partitions(&self, topic: &str, count: usize) {
        let more = self
            .runtime
            .block_on(self.admin.create_partitions([&NewPartitions::new(topic, count)], &AdminOptions::new()));
        more.expect("an answer").pop().expect("a topic").expect("they are added");
    }

    /// Deletes the messages of partition 0 before this offset.
    fn delete_before(&self, topic: &str, offset: i64) {
        let mut places = TopicPartitionList::new();
        places.add_partition_offset(topic, 0, Offset::Offset(offset)).expect("a place");
        let gone = self.runtime.block_on(self.admin.delete_records(&places, &AdminOptions::new()));
        gone.expect("they are deleted");
    }

    /// Rows that are their own key.
    fn send(&self, topic: &str, partition: i32, ids: std::ops::Range<i64>) {
        send(&self.producer, topic, partition, ids);
    }
}

fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("topic.metadata.refresh.interval.ms", "200");
    config
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, ids: std::ops::Range<i64>) {
    for id in ids {
        let (key, row) = (format!("{{\"id\":{id}}}"), format!("{{\"id\":{id},\"n\":{}}}", id * 10));
        let mut record = BaseRecord::to(topic).partition(partition).key(&key).payload(&row);
        let deadline = Instant::now() + WAIT;
        // A partition that was added has to be heard of first.
        while let Err((error, again)) = producer.send(record) {
            assert!(Instant::now() < deadline, "{topic}, partition {partition}: {error}");
            producer.poll(Duration::from_millis(20));
            record = again;
        }
    }
    producer.flush(WAIT).expect("everything is written");
}

/// Vantage over the topics, a view over each.
fn serve(site: &Site, servers: &str, topics: &[&str]) -> Server {
    let declare = |topic: &&str| {
        format!(
            "CREATE TABLE t_{topic} (id BIGINT PRIMARY KEY, n BIGINT) FROM shop TABLE '{topic}' FORMAT UPSERT ENCODE JSON;
             CREATE MATERIALIZED VIEW {topic} AS SELECT id, n FROM t_{topic};\n"
        )
    };
    let source =
        format!("CREATE SOURCE shop WITH (connector = 'kafka', properties.bootstrap.servers = '{servers}');\n");
    site.write_views(&(source + &topics.iter().map(declare).collect::<String>()));
    site.serve()
}

/// Waits until a view holds exactly these ids.
fn wait_ids(vantage: &mut Server, view: &str, ids: &[i64]) {
    let rows: Vec<_> = ids.iter().map(|id| serde_json::json!({ "id": id })).collect();
    let path = format!("/v1/views/{view}?select=id&order=id");
    vantage.wait_for(&path, |answer| answer.status == 200 && answer.json() == serde_json::json!(rows));
}

#[test]
#[ignore = "needs real servers: make test-real"]
fn topics_that_change_are_followed_or_named() {
    let root = root();
    let broker = Broker::start(root.path());
    let owner = Owner::new(&broker);
    let topics = ["grown", "trimmed", "remade", "pending"];
    for topic in topics {
        owner.create(topic);
        owner.send(topic, 0, 1..4);
    }
    let site = Site::new();
    let mut vantage = serve(&site, &owner.servers, &topics);
    vantage.wait_ready();
    topics.iter().for_each(|it| wait_ids(&mut vantage, it, &[1, 2, 3]));

    // Partitions that are added are read.
    owner.add_partitions("grown", 3);
    owner.send("grown", 2, 5..7);
    owner.send("grown", 0, 4..5);
    wait_ids(&mut vantage, "grown", &[1, 2, 3, 4, 5, 6]);

    // A transaction that is open holds back what comes after it, and what it wrote is never seen when it is given up.
    let mut settings = config(&owner.servers);
    let held: BaseProducer = settings.set("transactional.id", "held").create().expect("producer");
    held.init_transactions(WAIT).expect("transactions");
    held.begin_transaction().expect("a transaction");
    send(&held, "pending", 0, 100..102);
    owner.send("pending", 0, 4..6);
    // What is behind it in other topics is seen; a place in this one is not promised.
    owner.send("grown", 1, 7..8);
    wait_ids(&mut vantage, "grown", &[1, 2, 3, 4, 5, 6, 7]);
    wait_ids(&mut vantage, "pending", &[1, 2, 3]);
    held.abort_transaction(WAIT).expect("it is given up");
    wait_ids(&mut vantage, "pending", &[1, 2, 3, 4, 5]);

    // What was deleted unread, and a topic of the same name, are gaps; all others go on.
    vantage.kill();
    owner.send("trimmed", 0, 4..10);
    owner.delete_before("trimmed", 6);
    owner.delete("remade");
    owner.create("remade");
    owner.send("remade", 0, 11..20);
    let mut vantage = site.serve();
    for topic in ["trimmed", "remade"] {
        let log = site.path("log");
        let is_named =
            |log: String| log.lines().any(|it| it.contains("gap: ") && it.contains(&format!("\"t_{topic}\"")));
        vantage.wait_for("/livez", |_| std::fs::read_to_string(&log).is_ok_and(is_named));
        let answer = http::get(vantage.address, &format!("/v1/views/{topic}/2"), &[]).expect("answer");
        assert!(answer.status == 200 && answer.body.contains("20"), "{topic}: {}", answer.body);
    }
    owner.send("grown", 0, 8..9);
    wait_ids(&mut vantage, "grown", &[1, 2, 3, 4, 5, 6, 7, 8]);
}
