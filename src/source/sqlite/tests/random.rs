//! Seeded random writes over nasty schemas, with restarts at random points.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::harness::{File, Model, Running};
use crate::catalog::DeclaredColumn;
use crate::change::{Column, DataType, TableId};

const SCHEMA: &str = "
    CREATE TABLE a(id INTEGER PRIMARY KEY, u TEXT UNIQUE COLLATE NOCASE, v INT, w, UNIQUE (v, w));
    CREATE TABLE b(k1 TEXT NOT NULL, k2, v INT UNIQUE, w TEXT, PRIMARY KEY (k1 COLLATE NOCASE, k2)) WITHOUT ROWID;
    CREATE TABLE c(k TEXT PRIMARY KEY NOT NULL COLLATE RTRIM, u INT UNIQUE, v REAL);
    CREATE TABLE d(x, y);
    CREATE TABLE e(k NUMERIC PRIMARY KEY, g TEXT AS (lower(v)) UNIQUE, v TEXT);
    CREATE TABLE f(id INTEGER PRIMARY KEY, a INT REFERENCES a(id) ON DELETE CASCADE ON UPDATE SET NULL);";
const COLUMNS: [(&str, &[&str]); 6] = [
    ("a", &["id", "u", "v", "w"]),
    ("b", &["k1", "k2", "v", "w"]),
    ("c", &["k", "u", "v", "rowid"]),
    ("d", &["x", "y", "rowid"]),
    ("e", &["k", "v", "rowid"]),
    ("f", &["id", "a"]),
];

fn value(rng: &mut SmallRng) -> String {
    let n = rng.random_range(0..6);
    match rng.random_range(0..12) {
        0 => "NULL".into(),
        1..=5 => n.to_string(),
        6 => format!("{n}.0"),
        7 => format!("'{}'", ["a", "A", "b", "B ", "b", "é"][n]),
        8 => format!("'{}'", ["a ", "A", "", " ", "c", "1"][n]),
        9 => format!("x'{n:02x}'"),
        10 => format!("{n}.5"),
        _ => format!("'{n}'"),
    }
}

fn condition(rng: &mut SmallRng, columns: &[&str]) -> String {
    format!(
        "{} {} {}",
        columns[rng.random_range(0..columns.len())],
        ["=", "<", "IS"][rng.random_range(0..3)],
        value(rng)
    )
}

fn statement(rng: &mut SmallRng) -> String {
    let (table, columns) = COLUMNS[rng.random_range(0..COLUMNS.len())];
    let conflict = ["", "", " OR REPLACE", " OR REPLACE", " OR IGNORE", " OR FAIL"][rng.random_range(0..6)];
    let column = |rng: &mut SmallRng| columns[rng.random_range(0..columns.len())];
    match rng.random_range(0..10) {
        0..=4 => {
            let rows: Vec<_> = (0..rng.random_range(1..4))
                .map(|_| {
                    let values: Vec<_> = columns.iter().map(|_| value(rng)).collect();
                    format!("({})", values.join(", "))
                })
                .collect();
            let upsert = match rng.random_range(0..4) {
                0 if conflict.is_empty() => format!(" ON CONFLICT DO UPDATE SET {} = {}", columns[1], value(rng)),
                _ => String::new(),
            };
            format!("INSERT{conflict} INTO {table}({}) VALUES {}{upsert}", columns.join(", "), rows.join(", "))
        }
        5..=7 => {
            let sets = format!("{} = {}", column(rng), value(rng));
            format!("UPDATE{conflict} {table} SET {sets} WHERE {}", condition(rng, columns))
        }
        8 => format!("DELETE FROM {table} WHERE {}", condition(rng, columns)),
        _ if rng.random_range(0..20) == 0 => format!("DELETE FROM {table}"),
        _ => format!("UPDATE{conflict} {table} SET {0} = {0} + 1", column(rng)),
    }
}

/// The column as a declaration writes it out.
fn declared(column: &Column, as_bytes: bool) -> DeclaredColumn {
    let data_type = if as_bytes { DataType::Bytes } else { column.data_type };
    DeclaredColumn::new(column.name.clone(), data_type)
}

fn run(seed: u64, steps: usize) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let file = File::captured(SCHEMA);
    let tables: Vec<_> = COLUMNS.iter().map(|it| it.0).collect();
    let mut spec = file.spec(&tables);
    // Some are declared once more, with columns of their own and sometimes other types.
    for table in spec.tables.clone() {
        for _ in 0..rng.random_range(0..3) {
            let all = table.schema.visible_columns().iter();
            let mut columns: Vec<DeclaredColumn> = all.map(|it| declared(it, rng.random_range(0..4) == 0)).collect();
            columns.retain(|_| rng.random_range(0..3) > 0);
            spec.tables.push(file.table(TableId(spec.tables.len()), &table.declaration.upstream, &columns));
        }
    }
    let owner = file.connect();
    owner.execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF").unwrap();
    let mut source = Running::start(spec.clone(), Model::default());
    let mut trace = Vec::new();
    for step in 0..steps {
        let many = if rng.random_range(0..4) == 0 { rng.random_range(2..6) } else { 1 };
        let recursive = if rng.random_range(0..2) == 0 { "ON" } else { "OFF" };
        owner.execute_batch(&format!("PRAGMA recursive_triggers = {recursive}")).unwrap();
        let explicit = many > 1;
        if explicit {
            owner.execute_batch("BEGIN").unwrap();
        }
        for _ in 0..many {
            let sql = statement(&mut rng);
            let savepoint = explicit && rng.random_range(0..4) == 0;
            if savepoint {
                owner.execute_batch("SAVEPOINT s").unwrap();
            }
            // Statements that break a constraint fail, and that is part of the test.
            let outcome = owner.execute_batch(&sql);
            trace.push(format!("{sql} → {outcome:?} ({recursive})"));
            if savepoint {
                owner.execute_batch("ROLLBACK TO s; RELEASE s").unwrap();
            }
        }
        if explicit && !owner.is_autocommit() {
            owner.execute_batch(if rng.random_range(0..5) == 0 { "ROLLBACK" } else { "COMMIT" }).unwrap();
        }
        if rng.random_range(0..25) == 0 {
            // Sometimes before the source has seen the last writes, sometimes after.
            source = Running::start(spec.clone(), source.stop());
        }
        let recent = trace.len().saturating_sub(8);
        source.check(&format!("step {step} of seed {seed}: {:#?}", &trace[recent..]));
    }
    assert!(source.snapshots <= 1, "seed {seed}: restarts resume");
}

#[test]
fn random_writes_are_followed_exactly() {
    let seeds = match std::env::var("VANTAGE_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=5).collect(),
    };
    seeds.into_iter().for_each(|seed| run(seed, 500));
}
