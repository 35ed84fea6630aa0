//! The owners: a PostgreSQL and a MariaDB database, what is written to them all the time, and what their own queries say.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::support::PATIENCE;
use super::super::support::postgres::{Answer, Session};
use super::servers::{MariaDb, MariaDbSession};

pub(super) const DATABASE: &str = "shop";

/// `papers` tell their whole old row, the others its key; the values of `body` are not sent again unless they change.
const IN_POSTGRES: &str = "
CREATE FUNCTION large(seed text) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT string_agg(md5(seed || n), '') FROM generate_series(1, 80) n $$;
CREATE TABLE products (id bigint PRIMARY KEY, name text NOT NULL, body text, price numeric(10,2), brand bigint, at timestamptz);
ALTER TABLE products ALTER body SET STORAGE EXTERNAL;
CREATE TABLE brands (id bigint PRIMARY KEY, name text, listed date, approved boolean);
CREATE TABLE papers (id bigint PRIMARY KEY, title text, body text);
ALTER TABLE papers ALTER body SET STORAGE EXTERNAL;
ALTER TABLE papers REPLICA IDENTITY FULL;
CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE postgres_markers (id bigint PRIMARY KEY);
INSERT INTO accounts SELECT n, 100 FROM generate_series(1, 20) n;
INSERT INTO brands SELECT n, 'b' || n, date '2026-01-01' + n::int, n % 2 = 0 FROM generate_series(1, 12) n;
INSERT INTO products SELECT n, 'p' || n, large('x' || n), n * 1.25, n % 12, now() FROM generate_series(1, 100) n;
INSERT INTO papers SELECT n, 't' || n, large('y' || n) FROM generate_series(1, 30) n";

const IN_MARIADB: &str = "
CREATE DATABASE shop;
USE shop;
CREATE TABLE stock (product BIGINT, place VARCHAR(20), n BIGINT NOT NULL, price DECIMAL(10,2), at DATETIME(6), note TEXT,
    PRIMARY KEY (product, place));
CREATE TABLE ratings (id BIGINT PRIMARY KEY, product BIGINT NOT NULL, stars BIGINT NOT NULL, said TEXT);
CREATE TABLE mariadb_markers (id BIGINT PRIMARY KEY);
INSERT INTO stock SELECT seq, 'p1', seq, seq / 4, now(6), 'vorrätig' FROM seq_1_to_100;
INSERT INTO ratings SELECT seq, seq % 100, seq % 5 + 1, concat('Nr. ', seq) FROM seq_1_to_200";

/// The sum over all accounts, in every committed state.
pub(super) const TOTAL: i64 = 2000;

/// Both databases.
pub(super) struct Owners {
    /// The socket of PostgreSQL.
    socket: PathBuf,
    mariadb: MariaDbSession,
}

impl Owners {
    /// Makes the databases and fills them.
    pub(super) fn new(socket: &Path, mariadb: &MariaDb) -> Owners {
        let mut server = Session::connect(socket, "postgres").expect("PostgreSQL");
        server.execute("ALTER ROLE postgres PASSWORD 'secret'");
        server.execute(&format!("CREATE DATABASE {DATABASE}"));
        connect(socket).execute(IN_POSTGRES);
        let mut mariadb = mariadb.session();
        mariadb.run(IN_MARIADB);
        Owners { socket: socket.into(), mariadb }
    }

    /// Writes a row into each database that comes after everything that was written before.
    pub(super) fn mark(&mut self, marker: u64) {
        connect(&self.socket).execute(&format!("INSERT INTO postgres_markers VALUES ({marker})"));
        self.mariadb.run(&format!("INSERT INTO shop.mariadb_markers VALUES ({marker})"));
    }

    /// What the queries say of both databases together: PostgreSQL is given what MariaDB holds.
    pub(super) fn answers(&mut self, queries: &[&str]) -> Vec<Answer> {
        let mut postgres = connect(&self.socket);
        postgres.execute(
            "CREATE TEMP TABLE stock (product bigint, place text, n bigint, price numeric(10,2), at timestamp, note text);
             CREATE TEMP TABLE ratings (id bigint, product bigint, stars bigint, said text);
             CREATE TEMP VIEW direct_accounts AS SELECT * FROM accounts",
        );
        for table in ["stock", "ratings"] {
            let rows = self.mariadb.run(&format!("SELECT * FROM shop.{table}"));
            let cell = |it: &String| if it == "NULL" { it.clone() } else { format!("'{}'", it.replace('\'', "''")) };
            let row = |it: &Vec<String>| format!("({})", it.iter().map(cell).collect::<Vec<_>>().join(", "));
            for rows in rows.chunks(200) {
                let rows: Vec<String> = rows.iter().map(row).collect();
                postgres.execute(&format!("INSERT INTO {table} VALUES {}", rows.join(", ")));
            }
        }
        let answer = |query: &&str| postgres.query(query).unwrap_or_else(|it| panic!("{}: {query}", it.message));
        queries.iter().map(answer).collect()
    }
}

/// A connection to the database, which may be starting.
fn connect(socket: &Path) -> Session {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Session::connect(socket, DATABASE) {
            Ok(mut session) => {
                if session.attempt("SET synchronous_commit = on").is_ok_and(|it| it.is_ok()) {
                    return session;
                }
            }
            Err(error) => assert!(Instant::now() < deadline, "PostgreSQL is away: {error}"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Both databases' clients, which write until they are told to stop.
pub(super) struct Writers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

impl Writers {
    pub(super) fn start(socket: &Path, mariadb: &MariaDb, seed: u64) -> Writers {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, socket) = (Arc::clone(&stop), socket.to_path_buf());
        let postgres = thread::spawn(move || write_postgres(&socket, &stopped, seed));
        let (stopped, session) = (Arc::clone(&stop), mariadb.session());
        let mariadb = thread::spawn(move || write_mariadb(session, &stopped, seed));
        Writers { stop, threads: vec![postgres, mariadb] }
    }

    /// How many transactions each of them has written.
    pub(super) fn stop(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Release);
        self.threads.into_iter().map(|it| it.join().expect("a writer")).collect()
    }
}

fn write_postgres(socket: &Path, stop: &AtomicBool, seed: u64) -> u64 {
    let mut random = SmallRng::seed_from_u64(seed);
    let (mut session, mut count) = (connect(socket), 0);
    while !stop.load(Ordering::Acquire) {
        let mut script = "BEGIN;".to_string();
        (0..random.random_range(1..6)).for_each(|_| script += &format!("{};", in_postgres(&mut random)));
        script += if random.random_bool(0.1) { "ROLLBACK" } else { "COMMIT" };
        match session.attempt(&script) {
            Ok(Ok(_)) => count += 1,
            // The server was killed: whether the transaction is committed is for its log to say.
            Err(_) => session = connect(socket),
            Ok(Err(failure)) if failure.sqlstate.starts_with("57P") => session = connect(socket),
            Ok(Err(failure)) => panic!("{}: {script}", failure.message),
        }
        thread::sleep(Duration::from_micros(random.random_range(0..8000)));
    }
    count
}

fn in_postgres(random: &mut SmallRng) -> String {
    let (id, other) = (random.random_range(1..120), random.random_range(1..120));
    match random.random_range(0..14) {
        0..2 => format!(
            "INSERT INTO products VALUES ({id}, 'n{other}', large('{other}'), {other}.5, {}, now()) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, brand = excluded.brand",
            other % 14
        ),
        2..5 => format!(
            "UPDATE products SET price = price + 0.25, name = 'ü{other}', at = now() WHERE id BETWEEN {id} AND {id} + 4"
        ),
        5 => format!("UPDATE products SET body = large('{other}'), price = NULL WHERE id = {id}"),
        6 => format!("DELETE FROM products WHERE id IN ({id}, {other})"),
        7 => format!("DELETE FROM brands WHERE id = {}", id % 14),
        8 => format!(
            "INSERT INTO brands VALUES ({}, 'again{other}', '2026-02-03', NULL) ON CONFLICT DO NOTHING",
            id % 14
        ),
        9 => format!(
            "UPDATE brands SET id = {0}, approved = NOT approved WHERE id = {1} AND NOT EXISTS (SELECT FROM brands WHERE id = {0})",
            other % 14,
            id % 14
        ),
        10 => format!(
            "UPDATE papers SET id = {other} % 40, title = 'moved' WHERE id = {id} % 40 AND NOT EXISTS (SELECT FROM papers WHERE id = {other} % 40)"
        ),
        11 => format!("UPDATE papers SET title = 'u{other}' WHERE id = {id} % 40"),
        _ => format!(
            "UPDATE accounts SET balance = balance - 5 WHERE id = {}; UPDATE accounts SET balance = balance + 5 WHERE id = {}",
            id % 20 + 1,
            other % 20 + 1
        ),
    }
}

fn write_mariadb(mut session: MariaDbSession, stop: &AtomicBool, seed: u64) -> u64 {
    let mut random = SmallRng::seed_from_u64(seed);
    session.run("USE shop");
    let mut count = 0;
    while !stop.load(Ordering::Acquire) {
        let mut script = "BEGIN;".to_string();
        (0..random.random_range(1..6)).for_each(|_| script += &format!("{};", in_mariadb(&mut random)));
        script += if random.random_bool(0.1) { "ROLLBACK" } else { "COMMIT" };
        session.run(&script);
        count += 1;
        thread::sleep(Duration::from_micros(random.random_range(0..8000)));
    }
    count
}

fn in_mariadb(random: &mut SmallRng) -> String {
    let (id, other) = (random.random_range(1..120), random.random_range(1..120));
    match random.random_range(0..9) {
        0..2 => format!(
            "INSERT INTO stock VALUES ({id}, 'p{}', {other}, {other}.75, now(6), 'neu') ON DUPLICATE KEY UPDATE n = n + 1, note = NULL",
            other % 4
        ),
        2 => format!("UPDATE stock SET n = n + 1, price = price + 0.01 WHERE product BETWEEN {id} AND {id} + 5"),
        // The new key is often another one's: then nothing changes.
        3 => format!("UPDATE IGNORE stock SET place = 'q{}' WHERE product = {id} AND place = 'p1'", other % 3),
        4 => format!("UPDATE IGNORE stock SET product = {other} WHERE product = {id} AND place = 'p{}'", other % 4),
        5 => format!("DELETE FROM stock WHERE product = {id}"),
        6 => format!(
            "INSERT INTO ratings VALUES ({id}, {other}, {}, 'schön') ON DUPLICATE KEY UPDATE stars = VALUES(stars), said = NULL",
            other % 5 + 1
        ),
        7 => format!("UPDATE ratings SET said = concat('Nr. {other} ', product) WHERE product = {id}"),
        _ => format!("DELETE FROM ratings WHERE product = {id} LIMIT 2"),
    }
}
