//! What goes wrong between a cluster and us, and what becomes of it.

use std::io::Read;
use std::net::TcpListener;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use vantage::change::SourceHealth;
use vantage::store::RelationState;

use super::stand::*;

const VIEWS: &str = "CREATE SOURCE shop WITH (connector = 'kafka', properties.bootstrap.server = 'SERVERS', on_gap = 'GAP');\n\
    CREATE TABLE orders (id BIGINT PRIMARY KEY, n INT NOT NULL) FROM shop TABLE 'orders' FORMAT UPSERT ENCODE JSON;\n\
    CREATE TABLE stock (id BIGINT PRIMARY KEY, n INT) FROM shop TABLE 'stock' FORMAT UPSERT ENCODE JSON;\n\
    CREATE MATERIALIZED VIEW o AS SELECT id, n FROM orders;\n\
    CREATE MATERIALIZED VIEW s AS SELECT id, n FROM stock;\n";

fn views(on_gap: &str) -> String {
    VIEWS.replace("GAP", on_gap)
}

fn row(id: i64, n: i64) -> Sent {
    Sent::new(&id.to_string(), &format!("{{\"n\":{n}}}"))
}

fn stand() -> Stand {
    Stand::new(Cluster::new(1, &[("orders", 2), ("stock", 1)]), &views("halt"))
}

#[test]
fn a_broker_that_goes_and_comes_back_costs_nothing() {
    let stand = stand();
    stand.cluster.send("orders", 0, &row(1, 1));
    stand.cluster.flush();
    let engine = stand.ready();
    for round in 2..5 {
        stand.cluster.mock.broker_down(1).expect("down");
        health(&engine, |it| matches!(it, SourceHealth::Retrying { .. }));
        // What was read stays readable.
        assert_eq!(rows(&engine, "o").len(), round as usize - 1);
        stand.cluster.mock.broker_up(1).expect("up");
        stand.cluster.send("orders", 1, &row(round, 1));
        health(&engine, |it| *it == SourceHealth::Streaming);
        catch_up(&stand, &engine, "shop");
        assert_eq!(rows(&engine, "o").len(), round as usize);
    }
    engine.stop().expect("stop");
}

#[test]
fn errors_of_requests_pass() {
    let stand = stand();
    let engine = stand.ready();
    let errors = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN,
    ];
    for key in [RDKafkaApiKey::Fetch, RDKafkaApiKey::Metadata, RDKafkaApiKey::ListOffsets] {
        stand.cluster.mock.request_errors(key, &errors);
    }
    for id in 0..100 {
        stand.cluster.send("orders", (id % 2) as i32, &row(id, id));
    }
    catch_up(&stand, &engine, "shop");
    let expected: Vec<String> = (0..100).map(|id| format!("{id} | {id}")).collect();
    assert_eq!(rows(&engine, "o"), expected);
    engine.stop().expect("stop");
}

#[test]
fn a_slow_broker_is_waited_for() {
    let stand = stand();
    stand.cluster.mock.broker_round_trip_time(1, std::time::Duration::from_millis(150)).expect("delay");
    stand.cluster.send("orders", 0, &row(1, 1));
    let engine = stand.ready();
    catch_up(&stand, &engine, "shop");
    assert_eq!(rows(&engine, "o"), ["1 | 1"]);
    engine.stop().expect("stop");
}

#[test]
fn a_message_that_cannot_be_read_halts_its_table_and_no_other() {
    let stand = stand();
    stand.cluster.send("orders", 0, &row(1, 1));
    let engine = stand.ready();
    stand.cluster.send("orders", 0, &Sent::new("2", "{\"n\":\"many\"}"));
    stand.cluster.send("orders", 0, &row(3, 3));
    stand.cluster.send("stock", 0, &row(7, 7));
    stand.cluster.flush();
    let halted = |engine: &vantage::engine::Engine| {
        let reason = trouble(engine, "orders");
        for part in ["topic \"orders\"", "partition 0", "offset 1", "column \"n\"", "many"] {
            assert!(reason.contains(part), "{part}: {reason}");
        }
        wait_rows(engine, "s", &["7 | 7"]);
        // Its rows are as they were before that message, and its place says so.
        assert_eq!(rows(engine, "o"), ["1 | 1"]);
        let epoch = engine.board().epoch();
        assert_eq!(epoch.positions()["shop"].at("orders-0"), Some(0));
    };
    halted(&engine);
    stand.cluster.send("stock", 0, &row(8, 8));
    wait_rows(&engine, "s", &["7 | 7", "8 | 8"]);
    engine.stop().expect("stop");
    // Another start meets it again.
    let engine = stand.start();
    stand.cluster.send("stock", 0, &Sent::tombstone("8"));
    halted(&engine);
    engine.stop().expect("stop");
    // What it is can be declared.
    let stand = stand.rewritten(&views("halt").replace("n INT NOT NULL", "n TEXT"));
    let engine = stand.ready();
    wait_rows(&engine, "o", &["1 | 1", "2 | many", "3 | 3"]);
    engine.stop().expect("stop");
}

#[test]
fn a_copy_that_meets_such_a_message_is_given_up_and_the_rest_goes_on() {
    let stand = stand();
    stand.cluster.send("orders", 1, &Sent::new("2", "no JSON"));
    stand.cluster.send("stock", 0, &row(7, 7));
    stand.cluster.flush();
    let engine = stand.start();
    let reason = trouble(&engine, "orders");
    assert!(reason.contains("partition 1, offset 0") && reason.contains("no JSON"), "{reason}");
    wait_rows(&engine, "s", &["7 | 7"]);
    engine.stop().expect("stop");
}

/// More than the mock keeps of one partition.
fn push_out(stand: &Stand, topic: &str) {
    let filler = "x".repeat(100_000);
    for id in 0..80 {
        stand.cluster.send(topic, 0, &Sent::new(&id.to_string(), &format!("{{\"n\":{id},\"filler\":\"{filler}\"}}")));
        if id % 8 == 0 {
            stand.cluster.flush();
        }
    }
    stand.cluster.flush();
}

/// What has read the first message of `orders`, and was away when those behind it were deleted.
fn stand_with_a_gap() -> Stand {
    let stand = stand();
    stand.cluster.send("orders", 0, &row(1000, 1));
    stand.cluster.flush();
    stand.ready().stop().expect("stop");
    push_out(&stand, "orders");
    stand
}

#[test]
fn messages_deleted_before_they_were_read_are_a_gap_that_is_named() {
    let stand = stand_with_a_gap();
    stand.cluster.send("stock", 0, &row(7, 7));
    stand.cluster.flush();
    let engine = stand.start();
    let reason = trouble(&engine, "orders");
    assert!(reason.starts_with("gap: ") && reason.contains("topic \"orders\" (partition 0, offsets 1 to"), "{reason}");
    assert!(reason.contains("on_gap = 'resync'"), "{reason}");
    wait_rows(&engine, "s", &["7 | 7"]);
    assert_eq!(rows(&engine, "o"), ["1000 | 1"]);
    engine.stop().expect("stop");
    // Who knows that the topic holds every row has it copied again; what is not there any more is gone.
    let stand = stand.rewritten(&views("resync"));
    let engine = stand.ready();
    let copied = rows(&engine, "o");
    assert!(copied.contains(&"79 | 79".to_string()) && !copied.contains(&"1000 | 1".to_string()), "{copied:?}");
    stand.cluster.send("orders", 1, &row(2000, 2));
    catch_up(&stand, &engine, "shop");
    assert!(rows(&engine, "o").contains(&"2000 | 2".to_string()));
    engine.stop().expect("stop");
}

#[test]
fn a_gap_is_mended_by_a_copy_that_is_asked_for() {
    let stand = stand_with_a_gap();
    let engine = stand.start();
    assert!(trouble(&engine, "orders").starts_with("gap: "));
    engine.board().sources()[0].ask_resync(["orders".to_string()]);
    engine.wait_ready(PATIENCE).expect("what was halted is followed again");
    let copied = rows(&engine, "o");
    assert!(copied.contains(&"79 | 79".to_string()) && !copied.contains(&"1000 | 1".to_string()), "{copied:?}");
    stand.cluster.send("orders", 1, &row(2000, 2));
    catch_up(&stand, &engine, "shop");
    assert!(rows(&engine, "o").contains(&"2000 | 2".to_string()));
    engine.stop().expect("stop");
}

#[test]
fn another_cluster_is_noticed() {
    let stand = stand();
    stand.cluster.send("orders", 0, &row(1, 1));
    stand.cluster.flush();
    stand.ready().stop().expect("stop");
    let other = Cluster::new(1, &[("orders", 2), ("stock", 1)]);
    other.send("orders", 0, &row(2, 2));
    other.flush();
    // Both go on, so that the second one has its own address.
    let (stand, _first) = stand.moved_to(other);
    let stand = stand.rewritten(&views("halt"));
    let engine = stand.start();
    let halted = health(&engine, |it| matches!(it, SourceHealth::Halted { .. }));
    assert!(halted.to_string().contains("what is held was read from cluster"), "{halted}");
    assert_eq!(rows(&engine, "o"), ["1 | 1"]);
    engine.stop().expect("stop");
    let stand = stand.rewritten(&views("resync"));
    let engine = stand.ready();
    wait_rows(&engine, "o", &["2 | 2"]);
    engine.stop().expect("stop");
}

#[test]
fn a_topic_that_is_not_there_is_named_and_found_when_it_comes() {
    let stand = Stand::new(Cluster::new(1, &[("stock", 1)]), &views("halt"));
    stand.cluster.send("stock", 0, &row(7, 7));
    stand.cluster.flush();
    let engine = stand.start();
    let reason = trouble(&engine, "orders");
    assert!(reason.contains("there is no topic \"orders\" at"), "{reason}");
    wait_rows(&engine, "s", &["7 | 7"]);
    stand.cluster.mock.create_topic("orders", 3, 1).expect("topic");
    stand.cluster.send("orders", 2, &row(1, 1));
    wait_rows(&engine, "o", &["1 | 1"]);
    engine.wait_ready(PATIENCE).expect("ready");
    engine.stop().expect("stop");
}

#[test]
fn what_is_no_broker_is_told_in_one_line() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("free port");
        listener.local_addr().expect("address").to_string()
    };
    // Something that takes connections, reads what comes and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("free port");
    let address = silent.local_addr().expect("address").to_string();
    std::thread::spawn(move || {
        for connection in silent.incoming().flatten() {
            std::thread::spawn(move || {
                let mut connection = connection;
                let mut buffer = [0; 1024];
                while connection.read(&mut buffer).is_ok_and(|it| it > 0) {}
            });
        }
    });
    for servers in [nobody, address] {
        let stand = stand();
        let text = views("halt").replace("SERVERS", &servers);
        let stand = stand.rewritten(&text);
        let engine = stand.start();
        let health = health(&engine, |it| matches!(it, SourceHealth::Retrying { .. }));
        let line = health.to_string();
        assert!(line.contains(&servers) && !line.contains('\n'), "{line}");
        engine.stop().expect("stop");
    }
}

#[test]
fn a_mistake_in_the_options_stops_the_start() {
    let stand = stand();
    for (from, to, expected) in [
        ("properties.bootstrap.server", "properties.bootstrap.srever", "there is no option"),
        ("on_gap = 'halt'", "on_gap = 'ignore'", "is not one of halt, resync"),
        ("on_gap = 'halt'", "properties.sasl.password = 'secret'", "is a secret and may not stand in a view file"),
        ("on_gap = 'halt'", "properties.enable.auto.commit = 'true'", "there is no option"),
        ("TABLE 'orders'", "TABLE 'or ders'", "no topic can be called"),
    ] {
        let text = views("halt").replace(from, to);
        let error = stand.refused(&text);
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("'secret'"), "{error}");
    }
}

#[test]
fn what_cannot_be_read_is_left_out_where_that_was_asked_for() {
    let text =
        views("halt").replace("'orders' FORMAT UPSERT ENCODE JSON", "'orders' FORMAT UPSERT ENCODE JSON ON ERROR SKIP");
    let stand = stand().rewritten(&text);
    let broken = |id: i64, n: &str| Sent::new(&id.to_string(), &format!("{{\"n\":{n}}}"));
    stand.cluster.send("orders", 0, &row(1, 1));
    stand.cluster.send("orders", 0, &broken(2, "{many}"));
    stand.cluster.flush();
    let engine = stand.ready();
    let rejected = || engine.board().sources()[0].rejected();
    assert_eq!(rejected()["orders"].count, 1);
    // Also while it is followed; what is behind it is read.
    for id in 0..150 {
        stand.cluster.send("orders", 0, &broken(2, &format!("{{{id}}}")));
    }
    stand.cluster.send("orders", 0, &row(3, 3));
    catch_up(&stand, &engine, "shop");
    wait_rows(&engine, "o", &["1 | 1", "3 | 3"]);
    let orders = rejected().remove("orders").expect("messages were left out");
    assert_eq!((orders.count, orders.last.len()), (151, 100));
    let last = orders.last.back().expect("a message");
    assert_eq!((last.topic.as_str(), last.partition, last.offset), ("orders", 0, 151));
    assert_eq!(last.value.as_ref().expect("a value").bytes, b"{\"n\":{149}}");
    assert!(!last.reason.is_empty());
    engine.stop().expect("stop");
    // The places are behind them.
    let engine = stand.ready();
    assert_eq!(engine.board().sources()[0].rejected().len(), 0);
    engine.stop().expect("stop");
}

#[test]
fn a_table_is_copied_again_as_a_difference_when_that_is_asked_for() {
    let stand = stand();
    stand.cluster.send("orders", 0, &row(1000, 1));
    stand.cluster.send("stock", 0, &row(7, 7));
    let engine = stand.ready();
    push_out(&stand, "orders");
    catch_up(&stand, &engine, "shop");
    assert_eq!(rows(&engine, "o").last().map(String::as_str), Some("1000 | 1"));
    let kept = rows(&engine, "o").len();
    let source = &engine.board().sources()[0];
    let state = engine.view("s").expect("a view");
    let before = source.events.load(std::sync::atomic::Ordering::Relaxed);
    source.ask_resync(["orders".to_string()]);
    // The row whose message is gone from the topic is gone, others are as they were; nothing was emptied in between.
    let gone = wait_for("the difference", &engine, || {
        let now = rows(&engine, "o");
        assert!(now.len() >= kept / 4, "{now:?}");
        (!now.contains(&"1000 | 1".to_string())).then_some(now)
    });
    assert!(gone.contains(&"79 | 79".to_string()), "{gone:?}");
    assert!(source.events.load(std::sync::atomic::Ordering::Relaxed) > before);
    engine.wait_ready(PATIENCE).expect("it is followed again");
    assert_eq!(state.state(), RelationState::Live);
    assert_eq!(rows(&engine, "s"), ["7 | 7"]);
    // It is followed on.
    stand.cluster.send("orders", 1, &row(2000, 2));
    catch_up(&stand, &engine, "shop");
    assert_eq!(rows(&engine, "o").last().map(String::as_str), Some("2000 | 2"));
    engine.stop().expect("stop");
}
