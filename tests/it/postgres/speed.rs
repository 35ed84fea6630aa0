//! How fast a table is copied and followed, how soon a commit can be read, and what a large transaction takes.
//! Measurements, so they are run when asked for:
//! `cargo test --release --test it postgres::speed -- --ignored --nocapture --test-threads 1`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use vantage::change::Datum;
use vantage::demo::latency::Latencies;
use vantage::engine::{Engine, EngineOptions};

use super::super::support::postgres::Server as Postgres;
use super::super::support::spent::{cpu, forget_peak, memory};
use super::Shop;

const ROWS: i64 = 1_000_000;
const TABLE: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL, name text NOT NULL,
    price numeric(10,2) NOT NULL, at timestamptz NOT NULL, n bigint NOT NULL);";
const DECLARED: &str = "CREATE TABLE orders FROM shop TABLE 'orders';
CREATE MATERIALIZED VIEW v AS SELECT id, name, price, n FROM orders;";

fn server() -> Postgres {
    Postgres::own(&["wal_level=logical", "max_wal_size=8GB", "checkpoint_timeout=1h"])
}

/// A database with so many orders.
fn shop(postgres: &Postgres, rows: i64) -> Shop {
    let fill = format!(
        "INSERT INTO orders SELECT n, n % 5000, 'order number ' || n, n % 1000 + 0.99, now(), 0 FROM generate_series(1, {rows}) n"
    );
    let shop = Shop::of(postgres, "speed", &format!("{TABLE} {fill}; ANALYZE orders;"));
    shop.declare(DECLARED);
    shop
}

fn start(shop: &Shop) -> Engine {
    Engine::start(EngineOptions::new(shop.site.path("views"), shop.site.path("data"))).expect("an engine")
}

/// Waits until everything is read that was committed at the owner before.
fn catch_up(shop: &mut Shop, engine: &Engine) {
    let place = shop.owner.query("SELECT pg_current_wal_insert_lsn() - '0/0'").expect("a place").rows[0][0].clone();
    let place: u64 = place.and_then(|it| it.parse().ok()).expect("a number");
    let deadline = Instant::now() + Duration::from_secs(300);
    while engine.board().epoch().positions().get("shop").is_none_or(|it| it.only().at < place) {
        assert!(Instant::now() < deadline, "not read up to {place}: {:?}", engine.board().epoch().positions());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Says how fast it was, and which of our threads worked for how long.
fn report(what: &str, rows: i64, wall: Duration, before: &BTreeMap<String, Duration>) {
    let spent: BTreeMap<String, Duration> = cpu()
        .into_iter()
        .map(|(name, time)| (name.clone(), time.saturating_sub(before.get(&name).copied().unwrap_or_default())))
        .collect();
    let all = spent.values().sum::<Duration>();
    println!(
        "{what}: {:.0} rows/s of {rows}, {:.0} rows per second of our processor time",
        rows as f64 / wall.as_secs_f64(),
        rows as f64 / all.as_secs_f64()
    );
    for (name, time) in spent.iter().filter(|it| *it.1 > all / 50) {
        println!("  {name:<16} {:.2} µs a row", time.as_secs_f64() * 1e6 / rows as f64);
    }
}

#[test]
#[ignore = "a measurement"]
fn a_table_is_copied_and_a_backlog_followed() {
    let postgres = server();
    let mut shop = shop(&postgres, ROWS);
    let (before, begin) = (cpu(), Instant::now());
    let engine = start(&shop);
    engine.wait_ready(Duration::from_secs(300)).expect("ready");
    report("copy", ROWS, begin.elapsed(), &before);
    engine.stop().expect("stop");
    for (what, many) in [("stream, 1,000 rows a transaction", 1000), ("stream, 10 rows a transaction", 10)] {
        let rows = if many == 10 { ROWS / 5 } else { ROWS };
        shop.owner.execute(&format!(
            "DO $$ BEGIN FOR batch IN 0..{} LOOP
               UPDATE orders SET n = n + 1, price = price + 1 WHERE id > batch * {many} AND id <= (batch + 1) * {many};
               COMMIT; END LOOP; END $$",
            rows / many - 1
        ));
        let (before, begin) = (cpu(), Instant::now());
        let engine = start(&shop);
        catch_up(&mut shop, &engine);
        report(what, rows, begin.elapsed(), &before);
        engine.stop().expect("stop");
    }
}

#[test]
#[ignore = "a measurement"]
fn a_commit_is_visible_soon() {
    const RATE: u64 = 2_000;
    const SECONDS: u64 = 10;
    let postgres = server();
    let mut shop = shop(&postgres, 100_000);
    let engine = start(&shop);
    engine.wait_ready(Duration::from_secs(300)).expect("ready");
    let view = engine.view("v").expect("the view");
    let (committed, done) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let latencies = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut latencies, mut seen) = (Latencies::new(), 0_usize);
            while !done.load(Ordering::Acquire) {
                let row = view.get(&[Datum::Int(1)]).expect("readable").expect("the row");
                let Some(Datum::Int(visible)) = view.cell(&row, "n") else { panic!("a number") };
                let now = Instant::now();
                let known = committed.lock().expect("not poisoned");
                let upto = known.len().min(visible as usize);
                for at in &known[seen.min(upto)..upto] {
                    latencies.push(now.saturating_duration_since(*at));
                }
                seen = seen.max(upto);
                drop(known);
                std::thread::sleep(Duration::from_micros(50));
            }
            latencies
        });
        let begin = Instant::now();
        for number in 0..RATE * SECONDS {
            // Every tenth change is one of the row that is watched.
            let id = if number % 10 == 0 { 1 } else { number % 90_000 + 2 };
            let due = begin + Duration::from_secs(number) / RATE as u32;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            shop.owner.execute(&format!("UPDATE orders SET n = n + 1 WHERE id = {id}"));
            if id == 1 {
                committed.lock().expect("not poisoned").push(Instant::now());
            }
        }
        println!("{:.0} changes/s", (RATE * SECONDS) as f64 / begin.elapsed().as_secs_f64());
        catch_up(&mut shop, &engine);
        std::thread::sleep(Duration::from_millis(100));
        done.store(true, Ordering::Release);
        watcher.join().expect("the watcher")
    });
    let count = latencies.len();
    println!("commit → visible, {count} samples: {:?}", latencies.quantiles().expect("samples"));
    engine.stop().expect("stop");
}

#[test]
#[ignore = "a measurement"]
fn a_large_transaction_takes_memory() {
    let postgres = server();
    let mut shop = shop(&postgres, 2 * ROWS);
    let engine = start(&shop);
    engine.wait_ready(Duration::from_secs(300)).expect("ready");
    engine.stop().expect("stop");
    for (what, statement) in [
        ("2 M rows updated", "UPDATE orders SET n = n + 1".to_string()),
        ("2 M rows deleted", "DELETE FROM orders".to_string()),
        ("rolled back", "BEGIN; DELETE FROM orders; ROLLBACK".to_string()),
    ] {
        let engine = start(&shop);
        catch_up(&mut shop, &engine);
        engine.wait_ready(Duration::from_secs(60)).expect("ready");
        forget_peak();
        let (before, begin) = (memory().0, Instant::now());
        shop.owner.execute(&statement);
        let committed = begin.elapsed();
        catch_up(&mut shop, &engine);
        println!(
            "{what}: {} MiB before, {} MiB at most, {} MiB after; committed in {committed:.1?}, visible {:.1?} later",
            before,
            memory().1,
            memory().0,
            begin.elapsed() - committed
        );
        engine.stop().expect("stop");
    }
}
