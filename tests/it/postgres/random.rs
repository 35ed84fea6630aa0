//! Random changes of many kinds while either side is killed: at the end every view is what its owner's query gives.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::support::postgres::Server as Postgres;
use super::{Shop, wait_for};

const SCHEMA: &str = "
CREATE FUNCTION large(seed text) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT string_agg(md5(seed || n), '') FROM generate_series(1, 100) n $$;
CREATE TABLE products (id int PRIMARY KEY, name text, price numeric(10,2), body text, brand int);
ALTER TABLE products ALTER body SET STORAGE EXTERNAL;
CREATE TABLE brands (id int PRIMARY KEY, name text);
CREATE TABLE stock (product int, place text, quantity int NOT NULL, at timestamptz, PRIMARY KEY (product, place));
ALTER TABLE stock REPLICA IDENTITY FULL;
CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL);
INSERT INTO accounts SELECT n, 100 FROM generate_series(1, 20) n;
INSERT INTO brands SELECT n, 'b' || n FROM generate_series(1, 10) n;
INSERT INTO products SELECT n, 'p' || n, n, large('x' || n), n % 12 FROM generate_series(1, 200) n;";

const DECLARED: &str = "
CREATE TABLE products FROM shop TABLE 'products';
CREATE TABLE brands FROM shop TABLE 'brands';
CREATE TABLE stock FROM shop TABLE 'stock';
CREATE TABLE accounts FROM shop TABLE 'accounts';
CREATE MATERIALIZED VIEW card AS
  SELECT p.id, p.name, p.price, p.body, b.name AS brand FROM products p LEFT JOIN brands b ON b.id = p.brand;
CREATE MATERIALIZED VIEW worth AS
  SELECT s.place, sum(s.quantity) AS quantity, count(*) AS n FROM stock s JOIN products p ON p.id = s.product GROUP BY s.place;
CREATE MATERIALIZED VIEW places AS SELECT product, place, quantity, at FROM stock;
CREATE MATERIALIZED VIEW total AS SELECT sum(balance) AS total FROM accounts;";

const VIEWS: &[(&str, &str)] = &[
    (
        "card",
        "SELECT p.id, p.name, p.price, p.body, b.name AS brand FROM products p LEFT JOIN brands b ON b.id = p.brand",
    ),
    (
        "worth",
        "SELECT s.place, sum(s.quantity) AS quantity, count(*) AS n FROM stock s JOIN products p ON p.id = s.product GROUP BY s.place",
    ),
    ("places", "SELECT product, place, quantity, at FROM stock"),
    ("total", "SELECT sum(balance) AS total FROM accounts"),
];

/// One statement.
fn statement(random: &mut SmallRng) -> String {
    let id = random.random_range(1..220);
    let other = random.random_range(1..220);
    match random.random_range(0..18) {
        0..3 => format!(
            "INSERT INTO products VALUES ({id}, 'n{other}', {other}.5, large('{other}'), {}) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, brand = excluded.brand",
            other % 12
        ),
        3..6 => format!("UPDATE products SET price = price + 1, name = 'u{other}' WHERE id BETWEEN {id} AND {id} + 5"),
        6 => format!("UPDATE products SET body = large('{other}') WHERE id = {id}"),
        7 => format!(
            "UPDATE products SET id = id + 1000 WHERE id = {id} AND NOT EXISTS (SELECT FROM products WHERE id = {id} + 1000)"
        ),
        8 => format!(
            "UPDATE products SET id = id - 1000 WHERE id = {id} + 1000 AND NOT EXISTS (SELECT FROM products WHERE id = {id})"
        ),
        9 => format!("DELETE FROM products WHERE id IN ({id}, {other})"),
        10 => format!("DELETE FROM brands WHERE id = {}", id % 12),
        11 => format!("INSERT INTO brands VALUES ({}, 'again{other}') ON CONFLICT DO NOTHING", id % 12),
        12..14 => format!(
            "INSERT INTO stock VALUES ({id}, 'p{}', {other}, now()) ON CONFLICT (product, place) DO UPDATE SET quantity = stock.quantity + 1",
            other % 4
        ),
        14 => format!("UPDATE stock SET place = 'q' || product WHERE product = {id} AND place = 'p1'"),
        15 => format!("DELETE FROM stock WHERE product = {id}"),
        16 if random.random_bool(0.1) => "TRUNCATE stock".into(),
        _ => {
            let (from, to) = (id % 20 + 1, other % 20 + 1);
            format!(
                "UPDATE accounts SET balance = balance - 5 WHERE id = {from}; UPDATE accounts SET balance = balance + 5 WHERE id = {to}"
            )
        }
    }
}

/// One transaction, of which parts or all may be rolled back.
fn transaction(random: &mut SmallRng) -> String {
    let mut script = "BEGIN;".to_string();
    for _ in 0..random.random_range(1..6) {
        match random.random_range(0..6) {
            0 => script += &format!("SAVEPOINT s; {}; ROLLBACK TO s;", statement(random)),
            1 => script += &format!("SAVEPOINT s; {}; RELEASE s;", statement(random)),
            _ => script += &format!("{};", statement(random)),
        }
    }
    script + if random.random_bool(0.1) { "ROLLBACK" } else { "COMMIT" }
}

fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(7);
    println!("replay: SEED={seed} cargo test --release --test it postgres::random");
    seed
}

#[test]
fn views_are_what_the_owner_says_after_random_changes() {
    let mut random = SmallRng::seed_from_u64(seed());
    let mut shop = Shop::new("random", SCHEMA);
    let mut server = shop.serve(DECLARED);
    for round in 0..12 {
        for _ in 0..random.random_range(1..60) {
            let script = transaction(&mut random);
            shop.owner.execute(&script);
        }
        if round % 3 == 2 {
            server.kill();
            for _ in 0..random.random_range(0..20) {
                let script = transaction(&mut random);
                shop.owner.execute(&script);
            }
            server = shop.site.serve();
            // Some kills come while it starts.
            if random.random_bool(0.5) {
                std::thread::sleep(Duration::from_millis(random.random_range(0..300)));
                server.kill();
                server = shop.site.serve();
            }
            server.wait_ready();
        }
        shop.compare(&server, VIEWS);
    }
}

#[test]
fn nothing_is_lost_when_either_side_is_killed() {
    let mut random = SmallRng::seed_from_u64(seed() + 1);
    let mut postgres = Postgres::own(&["wal_level=logical", "log_min_messages=warning"]);
    let mut shop = Shop::of(&postgres, "killed", SCHEMA);
    let mut server = shop.serve(DECLARED);
    for round in 0..10 {
        let until = Instant::now() + Duration::from_millis(random.random_range(20..200));
        while Instant::now() < until {
            let script = transaction(&mut random);
            shop.owner.execute(&script);
        }
        if random.random_bool(0.7) {
            if random.random_bool(0.7) {
                postgres.kill()
            } else {
                postgres.stop()
            }
            postgres.restart();
            shop.owner = postgres.session(&shop.name);
        }
        if random.random_bool(0.5) {
            server.kill();
            server = shop.site.serve();
        }
        if round % 2 == 1 {
            server.wait_ready();
            shop.compare(&server, VIEWS);
        }
    }
    server.wait_ready();
    let token = shop.token();
    wait_for(&server, "total", &token);
    shop.compare(&server, VIEWS);
}

/// Rows change while tables are copied, and copies are given up and begun again.
#[test]
fn copies_converge_while_rows_change() {
    let mut random = SmallRng::seed_from_u64(seed() + 2);
    let mut shop = Shop::new("copying", SCHEMA);
    shop.owner.execute(
        "INSERT INTO products SELECT n, 'p' || n, n, large('x' || n), n % 12 FROM generate_series(300, 2000) n;
         INSERT INTO stock SELECT n % 3000, 'r' || n, n, now() FROM generate_series(1, 8000) n;",
    );
    shop.declare(DECLARED);
    let mut server = shop.site.serve();
    for _ in 0..3 {
        let until = Instant::now() + Duration::from_millis(random.random_range(50..700));
        while Instant::now() < until {
            let script = transaction(&mut random);
            shop.owner.execute(&script);
        }
        server.kill();
        server = shop.site.serve();
    }
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        let script = transaction(&mut random);
        shop.owner.execute(&script);
    }
    server.wait_ready();
    shop.compare(&server, VIEWS);
}
