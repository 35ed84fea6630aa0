//! From topics to views while nothing goes wrong.

use super::stand::*;

const VIEWS: &str = "CREATE SOURCE shop WITH (connector = 'kafka', properties.bootstrap.server = 'SERVERS');\n\
    CREATE TABLE products (id BIGINT PRIMARY KEY, name TEXT, price NUMERIC(10,2)) FROM shop TABLE 'products' FORMAT DEBEZIUM ENCODE JSON (decimal.handling.mode = 'string');\n\
    CREATE TABLE stock (id BIGINT PRIMARY KEY, n BIGINT) FROM shop TABLE 'stock' FORMAT UPSERT ENCODE JSON;\n\
    CREATE MATERIALIZED VIEW cards AS SELECT p.id, p.name, p.price, s.n FROM products p LEFT JOIN stock s ON s.id = p.id;\n";

fn product(id: i64, name: &str, price: &str, op: &str) -> Sent {
    let after = format!(r#"{{"id":{id},"name":"{name}","price":"{price}"}}"#);
    Sent::new(&format!("{{\"id\":{id}}}"), &format!(r#"{{"before":null,"after":{after},"op":"{op}","ts_ms":1}}"#))
}

fn gone(id: i64) -> Sent {
    Sent::new(&format!("{{\"id\":{id}}}"), &format!(r#"{{"before":{{"id":{id}}},"after":null,"op":"d","ts_ms":1}}"#))
}

#[test]
fn topics_become_a_view_and_stay_it() {
    let stand = Stand::new(Cluster::new(1, &[("products", 3), ("stock", 2)]), VIEWS);
    for id in 0..30 {
        stand.cluster.send("products", (id % 3) as i32, &product(id, "old", "1.50", "r"));
        stand.cluster.send("stock", (id % 2) as i32, &Sent::new(&id.to_string(), &format!("{{\"n\":{id}}}")));
    }
    stand.cluster.flush();
    let engine = stand.ready();
    assert_eq!(rows(&engine, "cards").len(), 30);
    stand.cluster.send("products", 1, &product(1, "new", "2.25", "u"));
    stand.cluster.send("products", 2, &gone(2));
    stand.cluster.send("products", 2, &Sent::tombstone("{\"id\":2}"));
    stand.cluster.send("stock", 1, &Sent::tombstone("1"));
    catch_up(&stand, &engine, "shop");
    let cards = rows(&engine, "cards");
    assert_eq!(cards.len(), 29);
    assert_eq!(cards[..2], ["0 | old | 150 | 0", "1 | new | 225 | ∅"]);
    // A producer's own answer is a place in the position.
    let epoch = engine.board().epoch();
    let position = &epoch.positions()["shop"];
    for ((topic, partition), offset) in stand.cluster.written() {
        assert_eq!(position.at(&format!("{topic}-{partition}")), Some(offset as u64));
    }
    engine.stop().expect("stop");
}

#[test]
fn a_restart_reads_on_where_it_ended_without_loss_and_without_repeating() {
    let stand = Stand::new(
        Cluster::new(1, &[("clicks", 4)]),
        "CREATE TABLE clicks (n BIGINT) WITH (connector = 'kafka', topic = 'clicks', \
         properties.bootstrap.servers = 'SERVERS') FORMAT PLAIN ENCODE JSON;\n\
         CREATE MATERIALIZED VIEW total AS SELECT count(*) AS c, sum(n) AS s FROM clicks;\n",
    );
    let mut sum = 0;
    for round in 0..4i64 {
        for n in 0..250 {
            sum += n * round;
            let value = format!("{{\"n\":{}}}", n * round);
            stand.cluster.send("clicks", (n % 4) as i32, &Sent { value: Some(value), ..Sent::default() });
        }
        let engine = stand.ready();
        catch_up(&stand, &engine, "clicks");
        assert_eq!(rows(&engine, "total"), [format!("{} | {sum}", (round + 1) * 250)]);
        // What was read is not read again: only the new messages were events.
        let events = engine.board().sources()[0].events.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(events, 250, "round {round}");
        engine.stop().expect("stop");
    }
}

#[test]
fn a_table_that_is_added_is_copied_while_the_others_go_on() {
    let first = VIEWS.lines().take(2).collect::<Vec<_>>().join("\n");
    let stand = Stand::new(Cluster::new(1, &[("products", 1), ("stock", 1)]), &first);
    stand.cluster.send("products", 0, &product(1, "pen", "1", "c"));
    stand.cluster.send("stock", 0, &Sent::new("1", "{\"n\":5}"));
    stand.cluster.flush();
    stand.ready().stop().expect("stop");
    // A second topic, and a second table of the topic that is read already.
    let more = format!(
        "{VIEWS}CREATE TABLE names (id BIGINT PRIMARY KEY, name TEXT) FROM shop TABLE 'products' FORMAT DEBEZIUM ENCODE JSON;\n"
    );
    let stand = stand.rewritten(&more);
    stand.cluster.send("products", 0, &product(2, "ink", "2", "c"));
    stand.cluster.flush();
    let engine = stand.ready();
    wait_rows(&engine, "cards", &["1 | pen | 100 | 5", "2 | ink | 200 | ∅"]);
    wait_rows(&engine, "names", &["1 | pen", "2 | ink"]);
    stand.cluster.send("products", 0, &product(2, "ink!", "2", "u"));
    wait_rows(&engine, "names", &["1 | pen", "2 | ink!"]);
    wait_rows(&engine, "products", &["1 | pen | 100", "2 | ink! | 200"]);
    engine.stop().expect("stop");
}

#[test]
fn cloudevents_and_lines_of_csv_come_the_same_way() {
    let stand = Stand::new(
        Cluster::new(1, &[("reviews", 2), ("rates", 1)]),
        "CREATE SOURCE shop WITH (connector = 'kafka', properties.bootstrap.server = 'SERVERS');\n\
         CREATE TABLE reviews (product BIGINT, stars BIGINT) FROM shop TABLE 'reviews' FORMAT CLOUDEVENTS ENCODE JSON;\n\
         CREATE TABLE rates (day DATE, rate NUMERIC(6,4)) FROM shop TABLE 'rates' FORMAT PLAIN ENCODE CSV;\n\
         CREATE MATERIALIZED VIEW stars AS SELECT product, count(*) AS c, sum(stars) AS s FROM reviews GROUP BY product;\n",
    );
    let header = |name: &str, value: &str| (name.to_string(), value.to_string());
    for id in 0..6 {
        let headers = vec![
            header("ce_specversion", "1.0"),
            header("ce_type", "review.added"),
            header("ce_source", "/reviews"),
            header("ce_id", &id.to_string()),
        ];
        let value = Some(format!("{{\"product\":{},\"stars\":{id}}}", id % 2));
        // Each event is sent twice, the second time to another partition.
        for partition in 0..2 {
            stand.cluster.send(
                "reviews",
                partition,
                &Sent { key: None, value: value.clone(), headers: headers.clone() },
            );
        }
    }
    stand.cluster.send("rates", 0, &Sent { value: Some("1970-01-02,1.0825".into()), ..Sent::default() });
    stand.cluster.flush();
    let engine = stand.ready();
    wait_rows(&engine, "stars", &["0 | 3 | 6", "1 | 3 | 9"]);
    wait_rows(&engine, "rates", &["1 | 10825"]);
    engine.stop().expect("stop");
}
