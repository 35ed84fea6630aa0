//! What capture costs the owner of an SQLite file, whether it ever refuses a write, and how fast a source copies the
//! file and follows it.
//!
//! Every figure is taken in one run on one machine; the ratio is what compares between machines. Writers run with
//! `synchronous = NORMAL`, the usual setting for WAL files.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use vantage::catalog::Table;
use vantage::change::{Batch, Phase, TableId};
use vantage::source::sqlite::{self, capture};
use vantage::source::{Link, Message, SourceSpec, TableSpec, spawn};

const ROWS: i64 = 200_000;
const ROUNDS: usize = 5;
const TOUCHED: i64 = 10_000;
/// Writes of a program that waits for no lock.
const IMPATIENT: usize = 100_000;
/// How this program is told that it is that writer.
const WRITER: &str = "--impatient-writer";

const TABLE: &str =
    "CREATE TABLE product(id INTEGER PRIMARY KEY, name TEXT NOT NULL, brand INTEGER NOT NULL, price DECIMAL(10,2))";

const FILL: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) \
     INSERT INTO product SELECT i, 'product number ' || i, i % 100, 9.99 FROM n";

/// A named change to the table and one parameterised statement to measure.
const CASES: [(&str, &str, &str); 5] = [
    ("insert, integer key", "", "INSERT INTO product VALUES (?1, 'product number ' || ?1, ?1 % 100, 9.99)"),
    (
        "insert, one more unique index",
        "CREATE UNIQUE INDEX by_name ON product(name)",
        "INSERT INTO product VALUES (?1, 'product number ' || ?1, ?1 % 100, 9.99)",
    ),
    (
        "insert, one more partial index",
        "CREATE UNIQUE INDEX by_name ON product(name) WHERE price > 0",
        "INSERT INTO product VALUES (?1, 'product number ' || ?1, ?1 % 100, 9.99)",
    ),
    (
        "insert, one more on an expression",
        "CREATE UNIQUE INDEX by_name ON product(lower(name))",
        "INSERT INTO product VALUES (?1, 'product number ' || ?1, ?1 % 100, 9.99)",
    ),
    ("update", FILL, "UPDATE product SET price = price + 1 WHERE id = ?1"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, path] = arguments.as_slice()
        && mode == WRITER
    {
        return write_impatiently(Path::new(path));
    }
    println!("{:<33} {:>10} {:>10} {:>7}", "owner's cost of a write", "bare µs", "logged µs", "ratio");
    for (name, prepare, sql) in CASES {
        // The better of some rounds, taken in turns, so that both sides see the same machine.
        let (mut bare, mut logged) = (f64::MAX, f64::MAX);
        for _ in 0..ROUNDS {
            bare = bare.min(write(prepare, sql, false));
            logged = logged.min(write(prepare, sql, true));
        }
        println!("{name:<33} {bare:>10.2} {logged:>10.2} {:>7.2}", logged / bare);
    }
    refusals();
    follow();
}

/// Microseconds a row, in transactions of 1,000.
fn write(prepare: &str, sql: &str, captured: bool) -> f64 {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("owner.db");
    let connection = open(&path);
    connection.execute_batch(TABLE).and_then(|()| connection.execute_batch(prepare)).expect("the table");
    if captured {
        capture::install(&path, &[]).expect("capture");
    }
    let start = Instant::now();
    for block in 0..ROWS / 1000 {
        connection.execute_batch("BEGIN IMMEDIATE").expect("begin");
        let mut statement = connection.prepare_cached(sql).expect("the statement");
        for row in 0..1000 {
            statement.execute([block * 1000 + row + 1]).expect("a write");
        }
        drop(statement);
        connection.execute_batch("COMMIT").expect("commit");
    }
    start.elapsed().as_secs_f64() * 1e6 / ROWS as f64
}

/// A file with the table, all rows in it, captured.
fn captured() -> (tempfile::TempDir, Connection, SourceSpec) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("owner.db");
    let owner = open(&path);
    owner.execute_batch(TABLE).and_then(|()| owner.execute_batch(FILL)).expect("the table");
    capture::install(&path, &[]).expect("capture");
    let declaration = Table { name: "product".into(), upstream: "product".into(), ..Table::default() };
    let schema = sqlite::open_file(&path).describe(&declaration).expect("a schema");
    let tables = vec![TableSpec { table: TableId(0), declaration, schema, copy: true }];
    (directory, owner, SourceSpec { index: 0, name: "owner".into(), tables })
}

fn run(path: &Path, spec: SourceSpec) -> (JoinHandle<()>, Receiver<Message>, Link) {
    let (sender, receiver) = sync_channel(64);
    let link = Link { sender, durable: Arc::new(Mutex::new(None)), stop: Arc::default() };
    (spawn(sqlite::open_file(path), spec, None, link.clone()), receiver, link)
}

/// How many writes of another process are refused while a source copies and follows the file, and what they take.
fn refusals() {
    let (directory, _owner, spec) = captured();
    let path = directory.path().join("owner.db");
    let alone = impatient_writer(&path);
    let (source, receiver, link) = run(&path, spec);
    let drain = std::thread::spawn(move || receiver.into_iter().for_each(drop));
    let followed = impatient_writer(&path);
    link.stop.store(true, Ordering::Release);
    drop(link);
    source.join().expect("the source's thread");
    drain.join().expect("the receiver's thread");
    println!(
        "{IMPATIENT} commits of a writer that waits for no lock: {alone}; while a source copies and follows: {followed}"
    );
}

/// Runs the writer in a process of its own; what it says.
fn impatient_writer(path: &Path) -> String {
    let program = std::env::current_exe().expect("this program");
    let writer = Command::new(program).arg(WRITER).arg(path).stderr(Stdio::inherit()).output().expect("a writer");
    assert!(writer.status.success(), "the writer failed");
    String::from_utf8_lossy(&writer.stdout).trim().into()
}

fn write_impatiently(path: &Path) {
    let connection = open(path);
    connection.busy_timeout(Duration::ZERO).expect("no timeout");
    let mut update = connection.prepare("UPDATE product SET price = price + 1 WHERE id = ?1").expect("the statement");
    let (start, mut refused) = (Instant::now(), 0);
    for row in 0..IMPATIENT as i64 {
        match update.execute([row % ROWS + 1]) {
            Ok(_) => {}
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    let micros = start.elapsed().as_secs_f64() * 1e6 / IMPATIENT as f64;
    println!("{refused} refused, {micros:.1} µs each");
}

/// The first copy, then steps of changed rows.
fn follow() {
    let (directory, owner, spec) = captured();
    let start = Instant::now();
    let (source, receiver, link) = run(&directory.path().join("owner.db"), spec);
    // The source's end alone holds the channel.
    drop(link);
    let mut rows = 0;
    loop {
        let batch = next(&receiver);
        rows += batch.events.len();
        if batch.phase == Phase::Streaming {
            break;
        }
    }
    println!("first copy: {:.0} K rows/s", rows as f64 / start.elapsed().as_secs_f64() / 1e3);
    let mut decode = Duration::MAX;
    for step in 0..20 {
        owner.execute("UPDATE product SET price = price + 1 WHERE (id + ?1) % 20 = 0", [step]).expect("an update");
        let batch = next(&receiver);
        assert_eq!(batch.events.len() as i64, TOUCHED);
        decode = decode.min(batch.seen_at.elapsed());
    }
    println!("10 K changed keys, log to batch: {:.2} µs a key", decode.as_secs_f64() * 1e6 / TOUCHED as f64);
    let mut fresh: Vec<Duration> = (0..1000)
        .map(|step| {
            owner.execute("UPDATE product SET brand = brand + 1 WHERE id = ?1", [step + 1]).expect("an update");
            let committed = Instant::now();
            next(&receiver);
            committed.elapsed()
        })
        .collect();
    fresh.sort();
    println!("commit to batch: p50 {:?}, p99 {:?}", fresh[500], fresh[990]);
    drop(receiver);
    source.join().expect("the source's thread");
}

fn next(receiver: &Receiver<Message>) -> Batch {
    loop {
        if let Message::Batch(batch) = receiver.recv_timeout(Duration::from_secs(30)).expect("a running source") {
            return batch;
        }
    }
}

fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a database");
    connection.busy_timeout(Duration::from_secs(30)).expect("a timeout");
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL").expect("WAL");
    connection
}
