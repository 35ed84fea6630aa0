//! kill -9 of the real process at random moments, while its services are written and its views are read.
//!
//! Money moves between accounts in transactions, so the sum over all accounts is the same in every committed state:
//! an epoch that split a transaction, lost a change or applied one twice would show another sum. No reader may ever
//! see an older epoch or an older position than one it was served before, also across kills.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;

use super::support::{Server, Site, http};

const KILLS: u64 = 60;
const ACCOUNTS: i64 = 200;
const TOTAL: i64 = ACCOUNTS * 1000;

const VIEWS: &str = "
CREATE SOURCE bank WITH (connector = 'sqlite', path = 'bank.db');
CREATE SOURCE crm WITH (connector = 'sqlite', path = 'crm.db');
CREATE TABLE accounts FROM bank TABLE 'accounts';
CREATE TABLE transfers FROM bank TABLE 'transfers';
CREATE TABLE owners FROM crm TABLE 'owners';
CREATE MATERIALIZED VIEW total AS SELECT sum(balance) AS total, count(*) AS accounts FROM accounts;
CREATE MATERIALIZED VIEW by_owner AS
  SELECT o.id, o.name, count(a.id) AS accounts, sum(a.balance) AS balance
  FROM owners o LEFT JOIN accounts a ON a.owner_id = o.id GROUP BY o.id, o.name;
CREATE MATERIALIZED VIEW movements AS
  SELECT t.from_id, count(*) AS transfers, sum(t.amount) AS amount FROM transfers t GROUP BY t.from_id;
CREATE MATERIALIZED VIEW statement AS
  SELECT a.id, o.name, a.balance, m.transfers FROM accounts a
  JOIN owners o ON o.id = a.owner_id LEFT JOIN movements m ON m.from_id = a.id;
CREATE INDEX statement_by_balance ON statement (balance DESC);
";

const QUERIES: &[(&str, &str)] = &[
    ("total", "SELECT sum(balance) AS total, count(*) AS accounts FROM accounts"),
    (
        "by_owner",
        "SELECT o.id, o.name, count(a.id), sum(a.balance) FROM owners o LEFT JOIN accounts a ON a.owner_id = o.id GROUP BY o.id, o.name",
    ),
    ("movements", "SELECT from_id, count(*), sum(amount) FROM transfers GROUP BY from_id"),
    (
        "statement",
        "SELECT a.id, o.name, a.balance, (SELECT count(*) FROM transfers t WHERE t.from_id = a.id HAVING count(*) > 0) FROM accounts a JOIN owners o ON o.id = a.owner_id",
    ),
];

#[test]
fn kill_9_loses_nothing_and_repeats_nothing() {
    let seed = std::env::var("SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(7);
    println!("replay: SEED={seed} cargo test --release --test it crash");
    let mut rng = SmallRng::seed_from_u64(seed);
    let site = Site::new();
    site.write_views(VIEWS);
    make_services(&site);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = spawn_writer(&site, Arc::clone(&stop), seed);
    let mut newest = Seen::default();
    for _ in 0..KILLS {
        let mut server = site.serve();
        // Some kills come while the process is still starting.
        if rng.random_bool(0.85) {
            server.wait_ready();
            let until = Instant::now() + Duration::from_millis(rng.random_range(1..120));
            while Instant::now() < until {
                newest.read(&server);
            }
        } else {
            std::thread::sleep(Duration::from_millis(rng.random_range(0..60)));
        }
        server.kill();
    }
    let mut server = site.serve();
    server.wait_ready();
    newest.read(&server);
    stop.store(true, Ordering::Release);
    let transfers = writer.join().expect("writer");
    compare(&site, &server);
    println!("{KILLS} kills, {transfers} transfers, {} reads, newest {newest:?}", newest.reads);
    assert!(newest.reads > KILLS, "the readers hardly read");
    assert_eq!(server.terminate(), Some(0));
}

/// The newest state a reader was served.
#[derive(Debug, Default)]
struct Seen {
    epoch: (u64, u64),
    position: u64,
    reads: u64,
}

impl Seen {
    fn read(&mut self, server: &Server) {
        let answer = http::sql(server.address, "SELECT total, accounts FROM total").expect("answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let json = answer.json();
        assert_eq!(json["rows"], serde_json::json!([[TOTAL, ACCOUNTS]]), "a transaction was split: {}", answer.body);
        let epoch = answer.epoch().expect("epoch header");
        assert!(epoch >= self.epoch, "epoch went back from {:?} to {epoch:?}", self.epoch);
        let positions = answer.header("vantage-positions").expect("positions header");
        let bank = positions.split(',').find_map(|it| it.trim().strip_prefix("bank@")).expect("bank's position");
        let position = bank.parse().expect("number");
        assert!(position >= self.position, "position went back from {} to {position}", self.position);
        *self = Seen { epoch, position, reads: self.reads + 1 };
    }
}

fn make_services(site: &Site) {
    let bank = site.service("bank.db");
    bank.execute_batch(
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL, balance INTEGER NOT NULL);
         CREATE TABLE transfers (from_id INTEGER NOT NULL, to_id INTEGER NOT NULL, amount INTEGER NOT NULL);",
    )
    .expect("bank");
    for id in 1..=ACCOUNTS {
        bank.execute("INSERT INTO accounts VALUES (?1, ?2, 1000)", [id, id % 20 + 1]).expect("account");
    }
    let crm = site.service("crm.db");
    crm.execute_batch("CREATE TABLE owners (id INTEGER PRIMARY KEY, name TEXT NOT NULL)").expect("crm");
    for id in 1..=20 {
        crm.execute("INSERT INTO owners VALUES (?1, 'owner ' || ?1)", [id]).expect("owner");
    }
    site.install_capture("bank.db");
    site.install_capture("crm.db");
}

/// Moves money until told to stop; the number of transfers.
fn spawn_writer(site: &Site, stop: Arc<AtomicBool>, seed: u64) -> std::thread::JoinHandle<u64> {
    let (mut bank, crm) = (site.service("bank.db"), site.service("crm.db"));
    std::thread::spawn(move || {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut transfers = 0;
        while !stop.load(Ordering::Acquire) {
            let (from, to) = (rng.random_range(1..=ACCOUNTS), rng.random_range(1..=ACCOUNTS));
            transfer(&mut bank, from, to, rng.random_range(1..50));
            transfers += 1;
            if transfers % 16 == 0 {
                let (id, name) = (rng.random_range(1..=20), transfers);
                crm.execute("UPDATE owners SET name = 'owner ' || ?2 WHERE id = ?1", [id, name]).expect("rename");
            }
            // An open loop of a few thousand statements a second leaves room for the process under test.
            std::thread::sleep(Duration::from_micros(500));
        }
        transfers as u64
    })
}

fn transfer(bank: &mut Connection, from: i64, to: i64, amount: i64) {
    let transaction = bank.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).expect("begin");
    let update = "UPDATE accounts SET balance = balance + ?2 WHERE id = ?1";
    transaction.execute(update, [from, -amount]).expect("take");
    transaction.execute(update, [to, amount]).expect("give");
    transaction.execute("INSERT INTO transfers VALUES (?1, ?2, ?3)", [from, to, amount]).expect("note");
    transaction.commit().expect("commit");
}

/// Every view against its query on the owners' data, once the view includes the owners' last change.
fn compare(site: &Site, server: &Server) {
    let owners = site.service("bank.db");
    owners.execute("ATTACH ?1 AS crm", [site.path("crm.db").to_string_lossy()]).expect("attach");
    let newest = |schema: &str| -> i64 {
        let query = format!("SELECT max(id) FROM {schema}._vantage_changes");
        owners.query_row(&query, [], |row| row.get(0)).expect("position")
    };
    let after = format!("bank@{},crm@{}", newest("main"), newest("crm"));
    for (view, query) in QUERIES {
        let body = serde_json::json!({ "sql": format!("SELECT * FROM {view}") }).to_string();
        let headers =
            [("content-type", "application/json"), ("vantage-after", &*after), ("vantage-timeout-ms", "30000")];
        let answer = http::request(server.address, "POST", "/v1/sql", &headers, &body).expect("answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let print = |row: &serde_json::Value| row.to_string();
        let mut actual: Vec<String> = answer.json()["rows"].as_array().expect("rows").iter().map(print).collect();
        actual.sort();
        assert_eq!(actual, answer_of(&owners, query), "{view}");
    }
}

fn answer_of(owners: &Connection, query: &str) -> Vec<String> {
    let mut statement = owners.prepare(query).expect("query");
    let width = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cell = |index| -> rusqlite::Result<serde_json::Value> {
            Ok(match row.get::<_, rusqlite::types::Value>(index)? {
                rusqlite::types::Value::Integer(it) => it.into(),
                rusqlite::types::Value::Text(it) => it.into(),
                _ => serde_json::Value::Null,
            })
        };
        Ok(serde_json::Value::Array((0..width).map(cell).collect::<rusqlite::Result<_>>()?).to_string())
    });
    let mut rows: Vec<String> = rows.expect("rows").collect::<rusqlite::Result<_>>().expect("rows");
    rows.sort();
    rows
}
