//! Random schemas in the manner of real ones: declared types of every kind, keys of every kind, indexes, generated
//! columns, triggers, foreign keys; written to at random while a server follows.
//!
//! Beside each column `c` stands a text column `c_is`, into which the same statement writes the JSON that `c` must
//! become. So whatever constraints, conflicts and triggers make of the statements, every row says what it should be.

use std::collections::BTreeSet;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;

use super::compare::{Reader, Row, quoted};
use super::kinds::{self, DECLARED, Kind, pick};
use crate::support::{Site, text_of, vantage};

/// The ways in which rows are told apart: the columns' definitions, what stands behind them, whether rows can be asked
/// for by key, and the literals of the key columns.
struct KeyStyle {
    columns: &'static [(&'static str, &'static str, Literals)],
    constraint: &'static str,
    options: &'static str,
    key: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum Literals {
    Number,
    NumberOrNull,
    Word,
    WordOrNull,
    /// Words and numbers, in a column that keeps both apart.
    Either,
    Day,
}

const KEYS: &[KeyStyle] = &[
    KeyStyle {
        columns: &[("id", "INTEGER PRIMARY KEY", Literals::NumberOrNull)],
        constraint: "",
        options: "",
        key: &["id"],
    },
    KeyStyle {
        columns: &[("id", "INTEGER PRIMARY KEY AUTOINCREMENT", Literals::Number)],
        constraint: "",
        options: "",
        key: &["id"],
    },
    KeyStyle {
        columns: &[("id", "TEXT PRIMARY KEY", Literals::WordOrNull)],
        constraint: "",
        options: "",
        key: &["id"],
    },
    KeyStyle {
        columns: &[("id", "UUID PRIMARY KEY", Literals::WordOrNull)],
        constraint: "",
        options: "",
        key: &["id"],
    },
    KeyStyle { columns: &[("id", "STRING PRIMARY KEY", Literals::Either)], constraint: "", options: "", key: &["id"] },
    KeyStyle {
        columns: &[("id", "BIGINT PRIMARY KEY", Literals::NumberOrNull)],
        constraint: "",
        options: "",
        key: &["id"],
    },
    KeyStyle {
        columns: &[("id", "VARCHAR(8) NOT NULL PRIMARY KEY COLLATE NOCASE", Literals::Word)],
        constraint: "",
        options: "",
        key: &["id"],
    },
    KeyStyle {
        columns: &[("a", "INT", Literals::NumberOrNull), ("b", "TEXT COLLATE RTRIM", Literals::WordOrNull)],
        constraint: "PRIMARY KEY (b, a)",
        options: "",
        key: &["b", "a"],
    },
    KeyStyle {
        columns: &[("a", "INT", Literals::Number), ("b", "TEXT", Literals::Word)],
        constraint: "PRIMARY KEY (a, b)",
        options: "WITHOUT ROWID",
        key: &["a", "b"],
    },
    KeyStyle {
        columns: &[("code", "TEXT NOT NULL UNIQUE", Literals::Word), ("n", "INT NOT NULL", Literals::Number)],
        constraint: "UNIQUE (n, code)",
        options: "",
        key: &["code"],
    },
    KeyStyle {
        columns: &[("shop", "INT NOT NULL", Literals::Number), ("day", "DATE NOT NULL", Literals::Day)],
        constraint: "PRIMARY KEY (shop, day)",
        options: "",
        key: &["shop", "day"],
    },
    KeyStyle { columns: &[("n", "INT", Literals::NumberOrNull)], constraint: "", options: "", key: &[] },
    KeyStyle { columns: &[("n", "INT", Literals::NumberOrNull)], constraint: "UNIQUE (n)", options: "", key: &[] },
];

struct Table {
    name: String,
    style: &'static KeyStyle,
    /// Name and kind.
    cells: Vec<(String, Kind)>,
    ddl: Vec<String>,
}

fn literal(literals: Literals, rng: &mut SmallRng) -> String {
    let number = |rng: &mut SmallRng| rng.random_range(1..30).to_string();
    let word =
        |rng: &mut SmallRng| format!("'{}{}'", pick(rng, &["a", "B", "b", "é", "x,", "y "]), rng.random_range(0..4));
    match literals {
        Literals::NumberOrNull | Literals::WordOrNull if rng.random_bool(0.2) => "NULL".into(),
        Literals::Number | Literals::NumberOrNull => number(rng),
        Literals::Word | Literals::WordOrNull => word(rng),
        Literals::Either if rng.random_bool(0.5) => word(rng),
        Literals::Either => pick(rng, &["'0042'", "42", "'1.50'", "7", "'x7'"]).into(),
        Literals::Day => format!("'2024-02-{:02}'", rng.random_range(1..30)),
    }
}

impl Table {
    fn random(number: usize, rng: &mut SmallRng) -> Table {
        let name = format!("{}{number}", pick(rng, &["t", "Order Item ", "select", "ünï"]));
        let style = &KEYS[rng.random_range(0..KEYS.len())];
        let mut columns: Vec<String> = style.columns.iter().map(|it| format!("{} {}", it.0, it.1)).collect();
        let mut cells = Vec::new();
        for at in 0..rng.random_range(3..7) {
            let (kind, declared) = DECLARED[rng.random_range(0..DECLARED.len())];
            let cell = format!("{}{at}", pick(rng, &["c", "Value", "from"]));
            columns.push(format!("{} {declared}", quoted(&cell)));
            columns.push(format!("{} TEXT", quoted(&is(&cell))));
            cells.push((cell, kind));
        }
        columns.push("k INT DEFAULT 7 CHECK (k IS NULL OR k < 90)".into());
        columns.push(format!("k2 INT GENERATED ALWAYS AS (k * 2) {}", pick(rng, &["VIRTUAL", "STORED"])));
        columns.push("made DATETIME DEFAULT CURRENT_TIMESTAMP".into());
        if !style.constraint.is_empty() {
            columns.push(style.constraint.into());
        }
        let table = quoted(&name);
        let mut ddl = vec![format!("CREATE TABLE {table} ({}) {}", columns.join(", "), style.options)];
        if rng.random_bool(0.4) {
            ddl.push(format!("CREATE UNIQUE INDEX {} ON {table} (k)", quoted(&format!("u{number}"))));
        }
        if rng.random_bool(0.4) {
            let cell = quoted(&cells[0].0);
            ddl.push(format!("CREATE INDEX {} ON {table} ({cell}, k DESC)", quoted(&format!("i{number}"))));
        }
        if rng.random_bool(0.5) {
            ddl.push(format!(
                "CREATE TRIGGER {} AFTER {} ON {table} BEGIN INSERT INTO audit(what) VALUES ({number}); \
                 UPDATE {table} SET k = k + 1 WHERE k = 3; END",
                quoted(&format!("trg{number}")),
                pick(rng, &["INSERT", "DELETE", "UPDATE OF k"]),
            ));
        }
        Table { name, style, cells, ddl }
    }

    fn statement(&self, rng: &mut SmallRng, clock: &Connection) -> String {
        let table = quoted(&self.name);
        let (_, _, literals) = self.style.columns[0];
        let first = self.style.columns[0].0;
        match rng.random_range(0..10) {
            0..6 => self.insert(rng, clock),
            6 => {
                let (cell, kind) = &self.cells[rng.random_range(0..self.cells.len())];
                let (written, read) = kinds::value(*kind, rng, clock);
                format!(
                    "UPDATE {table} SET {} = {written}, {} = {} WHERE {first} IS {}",
                    quoted(cell),
                    quoted(&is(cell)),
                    text(&read),
                    literal(literals, rng)
                )
            }
            7 => {
                let verb = pick(rng, &["UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE"]);
                let (to, from) = (literal(literals, rng), literal(literals, rng));
                format!("{verb} {table} SET {first} = {to}, k = k + 1 WHERE {first} IS {from}")
            }
            8 => format!("UPDATE {table} SET k = {} WHERE k IS NULL OR k > 80", rng.random_range(0..80)),
            _ => format!("DELETE FROM {table} WHERE {first} IS {}", literal(literals, rng)),
        }
    }

    fn insert(&self, rng: &mut SmallRng, clock: &Connection) -> String {
        let mut names: Vec<String> = self.style.columns.iter().map(|it| it.0.to_string()).collect();
        let mut values: Vec<String> = self.style.columns.iter().map(|it| literal(it.2, rng)).collect();
        for (cell, kind) in &self.cells {
            let (written, read) = kinds::value(*kind, rng, clock);
            names.extend([quoted(cell), quoted(&is(cell))]);
            values.extend([written, text(&read)]);
        }
        names.push("k".into());
        values.push(if rng.random_bool(0.3) { "NULL".into() } else { rng.random_range(0..95).to_string() });
        let verb = pick(rng, &["INSERT", "REPLACE", "INSERT OR IGNORE"]);
        let upsert = if verb == "INSERT" { " ON CONFLICT DO UPDATE SET k = k + 1" } else { "" };
        let table = quoted(&self.name);
        format!("{verb} INTO {table} ({}) VALUES ({}){upsert}", names.join(", "), values.join(", "))
    }

    /// What the owner's rows are, in columns that mean the same to both without any rule.
    fn owner_rows(&self, owner: &Connection) -> Vec<Row> {
        let keys = self.style.columns.iter().map(|it| it.0.to_string());
        let cells = self.cells.iter().map(|it| is(&it.0));
        let names: Vec<String> = keys.chain(cells).chain(["k".into(), "k2".into(), "made".into()]).collect();
        let column = |name: &String| match name.as_str() {
            "made" => "'\"' || replace(made, ' ', 'T') || '\"'".into(),
            "id" if self.style.columns[0].1.starts_with("STRING") => "json_quote(CAST(id AS TEXT))".into(),
            _ => format!("json_quote({})", quoted(name)),
        };
        let columns: Vec<String> = names.iter().map(column).collect();
        let sql = format!("SELECT {} FROM {}", columns.join(", "), quoted(&self.name));
        let mut statement = owner.prepare(&sql).expect("a query");
        let row = |row: &rusqlite::Row<'_>| {
            names.iter().enumerate().map(|(at, name)| Ok((name.clone(), row.get::<_, String>(at)?))).collect()
        };
        let rows = statement.query_map([], row).expect("rows");
        sorted(rows.collect::<rusqlite::Result<_>>().expect("rows"))
    }

    /// The rows as they are served; each must be what it says it should be.
    fn served_rows(&self, reader: &Reader<'_>, context: &str) -> Vec<Row> {
        let rows = reader.rows(&self.name);
        for row in &rows {
            self.assert_row(row, context);
        }
        let keep: BTreeSet<&String> = self.cells.iter().map(|it| &it.0).collect();
        let strip = |row: Row| row.into_iter().filter(|(name, _)| !keep.contains(name)).collect();
        sorted(rows.into_iter().map(strip).collect())
    }

    fn assert_row(&self, row: &Row, context: &str) {
        for (cell, kind) in &self.cells {
            let expected: String = serde_json::from_str(&row[&is(cell)]).unwrap_or_else(|_| "null".into());
            assert_eq!(row[cell], expected, "{cell} ({kind:?}) of {} {context}: {row:?}", self.name);
        }
    }

    /// Rows are found by their keys, but for those that have a NULL in it.
    fn assert_keys(&self, reader: &Reader<'_>, context: &str) {
        let key = reader.key(&self.name);
        let expected: Vec<String> = self.style.key.iter().map(|it| it.to_string()).collect();
        assert_eq!(key.clone().unwrap_or_default(), expected, "{} {context}: {}", self.name, self.ddl[0]);
        let Some(key) = key else { return };
        for row in reader.rows(&self.name).iter().take(8) {
            let values: Vec<&str> = key.iter().map(|it| row[it].as_str()).collect();
            if let Some(found) = reader.by_key(&self.name, &values) {
                assert_eq!(&found, row, "{} by {values:?} {context}", self.name);
            }
        }
    }
}

/// The column that says what column `cell` is.
fn is(cell: &str) -> String {
    format!("{cell}_is")
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn sorted(rows: Vec<Row>) -> Vec<Row> {
    // What two writers of JSON may spell differently: é as itself or as an escape.
    let same = |it: String| serde_json::from_str::<serde_json::Value>(&it).map_or(it, |it| it.to_string());
    let row = |row: Row| row.into_iter().map(|(name, it)| (name, same(it))).collect();
    let mut rows: Vec<Row> = rows.into_iter().map(row).collect();
    rows.sort();
    rows
}

/// What constraints say to a statement, and the rowid to NULL.
fn illegal(code: rusqlite::ErrorCode) -> bool {
    matches!(code, rusqlite::ErrorCode::ConstraintViolation | rusqlite::ErrorCode::TypeMismatch)
}

fn run(seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let site = Site::new();
    let owner = site.service("app.db");
    owner.execute_batch("CREATE TABLE audit (id INTEGER PRIMARY KEY, what INT)").expect("audit");
    let tables: Vec<Table> = (0..8).map(|number| Table::random(number, &mut rng)).collect();
    let mut history = Vec::new();
    for statement in tables.iter().flat_map(|it| &it.ddl) {
        owner.execute_batch(statement).unwrap_or_else(|error| panic!("seed {seed}: {error}: {statement}"));
        history.push(statement.clone());
    }
    let clock = Connection::open_in_memory().expect("a clock");
    let mut write = |owner: &Connection, rng: &mut SmallRng, count: usize| {
        let mut done = 0;
        for _ in 0..count {
            let statement = tables[rng.random_range(0..tables.len())].statement(rng, &clock);
            match owner.execute_batch(&statement) {
                Ok(()) => {
                    done += 1;
                    history.push(statement);
                }
                Err(rusqlite::Error::SqliteFailure(error, _)) if illegal(error.code) => {}
                Err(error) => panic!("seed {seed}: {error}: {statement}"),
            }
        }
        assert!(done > count / 3, "seed {seed}: only {done} of {count} statements were legal");
    };
    write(&owner, &mut rng, 150);
    let install = vantage().args(["capture", "install"]).arg(site.path("app.db")).output().expect("capture");
    assert!(install.status.success() && !text_of(&install).contains("refused"), "seed {seed}: {}", text_of(&install));
    let mut views = "CREATE SOURCE app WITH (connector = 'sqlite', path = 'app.db');\n".to_string();
    for table in tables.iter().map(|it| it.name.as_str()).chain(["audit"]) {
        views += &format!("CREATE TABLE {} FROM app TABLE '{table}';\n", quoted(table));
    }
    site.write_views(&views);
    let check = vantage().current_dir(site.root()).args(["check", "--views", "views"]).output().expect("check");
    assert!(check.status.success() && !text_of(&check).contains("error cell"), "seed {seed}: {}", text_of(&check));
    let mut server = site.serve();
    server.wait_ready();
    let reader = Reader { server: &server, sources: vec![("app".into(), &owner)] };
    for round in 0..5 {
        let context = format!("in round {round} of seed {seed}");
        for table in &tables {
            let served = table.served_rows(&reader, &context);
            assert_eq!(served, table.owner_rows(&owner), "{} {context}: {}", table.name, table.ddl.join("; "));
            table.assert_keys(&reader, &context);
        }
        let audit: i64 = owner.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).expect("a count");
        assert_eq!(reader.rows("audit").len() as i64, audit, "{context}");
        owner.execute_batch("BEGIN").expect("begin");
        write(&owner, &mut rng, 60);
        owner.execute_batch(if round == 2 { "ROLLBACK" } else { "COMMIT" }).expect("an end");
        if round == 3 {
            owner.execute_batch("VACUUM").expect("vacuum");
        }
    }
}

/// `SEED=…` replays one.
#[test]
fn random_schemas_are_served_as_their_owner_has_them() {
    match std::env::var("SEED").ok().and_then(|it| it.parse().ok()) {
        Some(seed) => run(seed),
        None => (1..=6).for_each(run),
    }
}
