//! Unique constraints as applications have them: partial indexes, expressions, collations and functions that only the
//! owner knows. Every row that REPLACE deletes by one must be noticed, without the owner's writes becoming slow.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;

use super::harness::{File, Model, Python, Running};
use crate::catalog::{DeclaredColumn, Table};
use crate::change::{DataType, SourceHealth, TableId};
use crate::source::sqlite::capture::{self, TableState};
use crate::source::sqlite::schema::describe;
use crate::source::{SourceSpec, TableSpec};

/// Unique indexes on the table of [`table`]: what they are on, and their condition.
const INDEXES: &[&str] = &[
    "(email) WHERE deleted_at IS NULL",
    "(email COLLATE NOCASE) WHERE t.deleted_at IS NULL AND flag <> 2",
    "(lower(email))",
    "(lower( email ) COLLATE RTRIM DESC, n)",
    "(norm(email))",
    "(norm(email), \"n\") WHERE norm(slug) <> 'x'",
    "(email COLLATE own)",
    "(own_email)",
    "(n, slug COLLATE own) WHERE n > 0",
    "(n, (CASE WHEN flag = 1 THEN 1 END))",
    "((CASE flag WHEN '1' THEN n END))",
    "((n = '1'), email)",
    "(slug)",
    "(coalesce(n, -1), slug) WHERE flag = '1'",
    "(low)",
    "(len, n)",
    "(normed)",
    "(email || \"no column\" || n /* , ) */)",
    "(substr(email, 1, 1), typeof(b), flag)",
    "((b IN (1, '1')), n)",
    "(email, (id || ''))",
    "((1)) WHERE flag = 3",
    "(email) WHERE rowid > 2 OR oid = 1",
    "(email, (id % 2))",
];

/// The owner's table under a random key, in columns that can be read here, and in those that cannot.
fn table(rng: &mut SmallRng) -> String {
    let keys = [
        ("id INTEGER PRIMARY KEY", ""),
        ("id INTEGER PRIMARY KEY", ""),
        ("id TEXT PRIMARY KEY NOT NULL", ""),
        ("id TEXT PRIMARY KEY NOT NULL COLLATE own", ""),
        ("id TEXT PRIMARY KEY COLLATE own", "WITHOUT ROWID"),
        ("id TEXT PRIMARY KEY", ""),
        ("id TEXT UNIQUE NOT NULL", ""),
        ("id TEXT NOT NULL COLLATE NOCASE PRIMARY KEY", "WITHOUT ROWID"),
        ("id INT", ""),
    ];
    let (key, options) = keys.choose(rng).unwrap();
    format!(
        "CREATE TABLE t({key}, email TEXT, slug TEXT NOT NULL DEFAULT 'none', deleted_at TEXT, n INT, b BLOB,
         flag INTEGER NOT NULL DEFAULT 0, own_email TEXT COLLATE own, low TEXT AS (lower(email)) VIRTUAL,
         len INT AS (length(email)) STORED, normed TEXT AS (norm(email)) VIRTUAL,
         kept TEXT AS (norm(slug)) STORED) {options}"
    )
}

/// Columns that are written, with values that often meet.
fn value(rng: &mut SmallRng, column: &str) -> String {
    let texts = ["'a'", "'A'", "' a'", "'b'", "'B '", "'none'", "'1'", "1", "NULL", "x'61'"];
    let numbers = ["0", "1", "1", "2", "'1'", "1.5", "'x'", "NULL", "3"];
    match column {
        "id" if rng.random_range(0..4) == 0 => ["'a'", "'A '", "'b'"].choose(rng).unwrap().to_string(),
        "id" => rng.random_range(1..8).to_string(),
        "n" | "flag" => numbers.choose(rng).unwrap().to_string(),
        "deleted_at" if rng.random_range(0..2) == 0 => "NULL".into(),
        _ => texts.choose(rng).unwrap().to_string(),
    }
}

const WRITTEN: [&str; 8] = ["id", "email", "slug", "deleted_at", "n", "b", "flag", "own_email"];

/// A write; most of them concern the columns `read` by the unique indexes.
fn statement(rng: &mut SmallRng, read: &[&'static str]) -> String {
    let conflict = ["", " OR REPLACE", " OR REPLACE", " OR REPLACE", " OR IGNORE"].choose(rng).unwrap();
    let column = *if rng.random_range(0..4) == 0 { &WRITTEN[..] } else { read }.choose(rng).unwrap();
    let set_as = if column == "id" && rng.random_range(0..3) == 0 { "rowid" } else { column };
    match rng.random_range(0..12) {
        0..5 => {
            let from = usize::from(rng.random_range(0..3) == 0);
            let columns = &WRITTEN[from..];
            let values: Vec<_> = columns.iter().map(|it| value(rng, it)).collect();
            let upsert = match rng.random_range(0..4) {
                0 if conflict.is_empty() => format!(" ON CONFLICT DO UPDATE SET {column} = {}", value(rng, column)),
                _ => String::new(),
            };
            format!("INSERT{conflict} INTO t({}) VALUES ({}){upsert}", columns.join(", "), values.join(", "))
        }
        5..7 => {
            let (set, by) = (value(rng, column), *WRITTEN.choose(rng).unwrap());
            format!("UPDATE{conflict} t SET {set_as} = {set} WHERE {by} IS {}", value(rng, by))
        }
        7..11 => {
            let (set, id) = (value(rng, column), value(rng, "id"));
            format!("UPDATE{conflict} t SET {set_as} = {set} WHERE id = {id}")
        }
        _ => format!("DELETE FROM t WHERE id = {}", value(rng, "id")),
    }
}

/// The written columns that any of the indexes reads, or all.
fn columns_read(indexes: &[String]) -> Vec<&'static str> {
    let generated = [("email", "low"), ("email", "len"), ("email", "normed")];
    let reads = |column: &str| {
        indexes.iter().any(|index| {
            let words: Vec<_> = index.split(|it: char| !it.is_ascii_alphanumeric() && it != '_').collect();
            words.contains(&column) || generated.iter().any(|it| it.0 == column && words.contains(&it.1))
        })
    };
    let read: Vec<_> = WRITTEN.into_iter().filter(|it| reads(it)).collect();
    if read.is_empty() { WRITTEN.to_vec() } else { read }
}

/// A file that its owner made by these statements.
fn owned(statements: &[impl AsRef<str>]) -> (File, Python) {
    let file = File::new("");
    let mut python = Python::open(&file.path);
    statements.iter().for_each(|it| python.execute(it.as_ref()));
    (file, python)
}

/// What follows the columns of `t` that can be read here.
fn readable(file: &File) -> SourceSpec {
    let refused = describe(&file.path, "t", &[]).unwrap_err().to_string();
    assert!(refused.contains("\"normed\" can only be read by its owner") && refused.contains("unknown function: norm"));
    let column = |name: &str, data_type| DeclaredColumn::new(name, data_type);
    let mut declared = vec![column("b", DataType::Bytes), column("n", DataType::Int64), column("len", DataType::Int64)];
    declared.extend(["email", "slug", "deleted_at", "own_email", "low", "kept"].map(|it| column(it, DataType::Text)));
    let mut spec = file.spec(&[]);
    let schema = describe(&file.path, "t", &declared).unwrap();
    let declaration = Table { upstream: "t".into(), ..Table::default() };
    spec.tables.push(TableSpec { table: TableId(0), declaration, schema, copy: true });
    spec
}

/// The owner's connection in this process.
fn owner(file: &File) -> Connection {
    let owner = file.connect();
    let flags = FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_UTF8;
    owner.create_scalar_function("norm", 1, flags, |_| Ok(1)).unwrap();
    owner.create_collation("own", str::cmp).unwrap();
    owner
}

/// What SQLite plans for an insert, its triggers included.
fn plan_of_insert(file: &File) -> Vec<String> {
    let owner = owner(file);
    owner.set_db_config(DbConfig::SQLITE_DBCONFIG_TRIGGER_EQP, true).unwrap();
    let mut plan = owner.prepare("EXPLAIN QUERY PLAN INSERT INTO t(email) VALUES ('a')").unwrap();
    plan.query_map([], |row| row.get(3)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

fn follow(seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut schema = vec![table(&mut rng)];
    let (file, mut python) = owned(&schema);
    for (place, index) in INDEXES.iter().enumerate() {
        if rng.random_range(0..10) != 0 && place != seed as usize % INDEXES.len() {
            continue;
        }
        let index = format!("CREATE UNIQUE INDEX i{place} ON t{index}");
        // Not every table has a rowid.
        if !python.run(&index).starts_with("\"error") {
            schema.push(index);
        }
    }
    let read = columns_read(&schema[1..]);
    let report = capture::install(&file.path, &[]).unwrap();
    assert!(matches!(report.tables[0].state, TableState::Captured { .. }), "{report} of {schema:#?}");
    assert!(report.to_string().contains("\"normed\""), "{report}");
    assert!(capture::status(&file.path, &[]).unwrap().is_complete());
    let plan = plan_of_insert(&file);
    // Where an index has nothing but a condition, all its rows are looked at, and these are few.
    let scans = |it: &&String| it.contains("SCAN _vantage_equal") && !it.contains("INDEX i21");
    assert_eq!(plan.iter().find(scans), None, "{plan:#?} of {schema:#?}");
    let mut source = Running::start(readable(&file), Model::default());
    let mut trace = Vec::new();
    for step in 0..60 {
        python.execute(&format!("PRAGMA recursive_triggers = {}", rng.random_range(0..2)));
        for _ in 0..rng.random_range(1..4) {
            let sql = statement(&mut rng, &read);
            trace.push(format!("{} ← {sql}", python.run(&sql)));
        }
        let recent = trace.len().saturating_sub(6);
        source.check(&format!("step {step} of seed {seed}: {:#?} in {schema:#?}", &trace[recent..]));
    }
}

#[test]
fn random_constraints_are_followed_exactly() {
    let seeds = match std::env::var("VANTAGE_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..INDEXES.len() as u64).collect(),
    };
    seeds.into_iter().for_each(follow);
}

#[test]
fn the_owner_may_do_what_needs_none_of_its_own_functions() {
    let table = "CREATE TABLE t(id INTEGER PRIMARY KEY, email TEXT COLLATE own, x INT, UNIQUE (email))";
    let (file, mut python) = owned(&[table, "INSERT INTO t(x) VALUES (1), (2)"]);
    capture::install(&file.path, &[]).unwrap();
    let mut source = Running::start(file.spec(&["t"]), Model::default());
    source.check("the start");
    let stranger = file.connect();
    stranger.execute_batch("UPDATE t SET x = 5 WHERE id = 1").unwrap();
    source.check("an update by a program without the collation");
    assert!(stranger.execute_batch("UPDATE t SET email = 'a'").is_err(), "SQLite itself needs the collation for this");
    for statement in ["ALTER TABLE t ADD COLUMN y INT", "UPDATE t SET y = 1", "ALTER TABLE t DROP COLUMN y"] {
        python.execute(statement);
        source.check(statement);
    }
    assert!(source.health.iter().all(|it| !matches!(it, SourceHealth::Halted { .. })), "{:?}", source.health);
}

#[test]
fn what_cannot_be_captured_is_refused_with_the_reason() {
    for (table, words) in [
        ("CREATE TABLE t(rowid INT, _rowid_ INT, oid INT)", "it has no usable key"),
        ("CREATE TABLE t(id INTEGER PRIMARY KEY); CREATE UNIQUE INDEX i ON t(-id)", "computes with the rowid only"),
    ] {
        let (file, _) = owned(&Vec::from_iter(table.split("; ")));
        let report = capture::install(&file.path, &[]).unwrap();
        assert!(
            matches!(&report.tables[0].state, TableState::Refused { reason } if reason.contains(words)),
            "{report}"
        );
        let described = describe(&file.path, "t", &[]);
        assert!(described.unwrap_err().to_string().contains(words), "{table}");
    }
}

#[test]
fn status_tells_what_a_write_costs() {
    let file = File::captured(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, email TEXT, gone INT); CREATE TABLE plain(id INTEGER PRIMARY KEY);
         CREATE UNIQUE INDEX i ON t(lower(email)) WHERE gone IS NULL;
         CREATE TABLE named(name TEXT NOT NULL PRIMARY KEY); CREATE TABLE both(name TEXT NOT NULL PRIMARY KEY, code TEXT UNIQUE);",
    );
    let status = capture::status(&file.path, &[]).unwrap().to_string();
    assert!(
        status.contains("plain  captured by primary key (id); a write costs its owner a line of the log\n"),
        "{status}"
    );
    assert!(status.contains("a look-up by each of (lower(email)) WHERE gone IS NULL\n"), "{status}");
    // Nobody sets the rowid, and an insert may take one that is there.
    let rowid = "a line of the log, and an insert a look whether its rowid is taken\n";
    assert!(status.contains(rowid), "{status}");
    let both = "an insert a look whether its rowid is taken, and what sets them a look-up by each of (code)";
    assert!(status.contains(both), "{status}");
}
