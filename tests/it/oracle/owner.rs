//! The owning store: an SQLite database in memory that is changed at random, and what a source would say about it.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::SmallRng;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use vantage::change::{Datum, Event, Row, RowBuilder, Schema, TableId};

use super::expression::{DATES, condition, literal};
use super::pick;
use super::schema::{Field, Kind, Table};

/// What a source that errs cannot read.
const UNREADABLE: i64 = 5;

/// Dates that SQLite has no order for, the first and the last that PostgreSQL knows.
const EXTREMES: [(&str, i64); 2] = [("-4713-11-24", -2_440_588), ("5874897-12-31", 2_145_042_905)];

/// The store and the rows it was last seen with.
pub(super) struct Owner {
    pub(super) connection: Connection,
    tables: Vec<(Table, Schema)>,
    seen: Vec<BTreeMap<Vec<u8>, Row>>,
    next_id: i64,
    /// Whether the source cannot read every value: some cells are errors then.
    pub(super) erring: bool,
    /// Statements so far, for the failure report.
    pub(super) log: Vec<String>,
}

impl Owner {
    pub(super) fn new(tables: &[Table]) -> Owner {
        let connection = Connection::open_in_memory().expect("SQLite in memory");
        connection.execute_batch("PRAGMA case_sensitive_like = ON").expect("LIKE as in PostgreSQL");
        for table in tables {
            connection.execute_batch(&table.sqlite_ddl()).expect("valid DDL");
        }
        let described = tables.iter().map(|table| (table.clone(), table.schema())).collect();
        let seen = vec![BTreeMap::new(); tables.len()];
        Owner { connection, tables: described, seen, next_id: 1, erring: false, log: Vec::new() }
    }

    /// Runs one random statement; one that violates a constraint changes nothing, as it would for its owner.
    pub(super) fn change(&mut self, rng: &mut SmallRng) {
        let owned: Vec<&Table> = self.tables.iter().map(|it| &it.0).filter(|it| it.is_owners()).collect();
        let table = (*pick(rng, &owned)).clone();
        let statement = match rng.random_range(0..10) {
            0..6 => self.insert(rng, &table),
            6..9 => self.update(rng, &table),
            _ => format!("DELETE FROM main.{} WHERE {}", table.name, condition(rng, &table.fields, 1)),
        };
        if self.connection.execute(&statement, []).is_ok() {
            self.log.push(statement);
        }
    }

    fn insert(&mut self, rng: &mut SmallRng, table: &Table) -> String {
        let verb = pick(rng, &["INSERT", "INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE"]);
        // Now and then so many that they fill batches.
        let count = if rng.random_bool(0.03) { 40 } else { rng.random_range(1..4) };
        let rows: Vec<String> = (0..count)
            .map(|_| {
                let cells = table.fields.iter().map(|field| match (field.name.as_str(), rng.random_bool(0.15)) {
                    ("id", true) => rng.random_range(1..=self.next_id).to_string(),
                    ("id", false) => {
                        self.next_id += 1;
                        self.next_id.to_string()
                    }
                    (_, true) => "NULL".to_string(),
                    (_, false) => self.cell(rng, table, field),
                });
                format!("({})", cells.collect::<Vec<_>>().join(", "))
            })
            .collect();
        format!("{verb} INTO main.{} VALUES {}", table.name, rows.join(", "))
    }

    fn update(&self, rng: &mut SmallRng, table: &Table) -> String {
        let field: &Field = pick(rng, &table.fields);
        let value = match field.kind {
            Kind::Int if rng.random_bool(0.3) => format!("{} + 1", field.name),
            _ => self.cell(rng, table, field),
        };
        let verb = pick(rng, &["UPDATE", "UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE"]);
        format!("{verb} main.{} SET {} = {value} WHERE {}", table.name, field.name, condition(rng, &table.fields, 1))
    }

    /// A value as it is stored. Where nothing is compared with SQLite, there are some that it knows nothing of.
    fn cell(&self, rng: &mut SmallRng, table: &Table, field: &Field) -> String {
        let is_key = table.key.iter().any(|it| table.fields[*it].name == field.name);
        match field.kind {
            Kind::Bytes => pick(rng, &["x''", "x'61'", "x'ff'", "x'c3a9'", "x'c3'", "x'00'", "x'6100'"]).to_string(),
            Kind::Text if self.erring && !is_key && rng.random_bool(0.15) => "CAST(x'61ff' AS TEXT)".into(),
            Kind::Date if self.erring && rng.random_bool(0.3) => format!("'{}'", pick(rng, &EXTREMES).0),
            kind => literal(rng, kind),
        }
    }

    /// Runs one given statement, which must succeed.
    pub(super) fn execute(&mut self, statement: &str) {
        self.connection.execute(statement, []).unwrap_or_else(|error| panic!("{error}: {statement}"));
        self.log.push(statement.into());
    }

    /// What has changed since the last call, as the events of one source batch.
    pub(super) fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for (index, (table, schema)) in self.tables.iter().enumerate() {
            let now = rows(&self.connection, table, schema, self.erring);
            let before = &self.seen[index];
            let id = TableId(index);
            let gone = before.keys().filter(|key| !now.contains_key(*key));
            events.extend(gone.map(|key| Event::gone(id, key)));
            let changed = now.iter().filter(|(key, row)| before.get(*key) != Some(row));
            events.extend(changed.map(|(_, row)| Event::row(id, row.clone())));
            self.seen[index] = now;
        }
        events
    }

    /// Everything, as the events of a snapshot.
    pub(super) fn snapshot(&mut self) -> Vec<Event> {
        self.seen.iter_mut().for_each(BTreeMap::clear);
        self.events()
    }
}

fn rows(connection: &Connection, table: &Table, schema: &Schema, erring: bool) -> BTreeMap<Vec<u8>, Row> {
    let mut columns: Vec<String> = table.fields.iter().map(|it| it.name.clone()).collect();
    columns.extend(table.hidden());
    let mut statement = connection
        .prepare_cached(&format!("SELECT {} FROM main.{}", columns.join(", "), table.upstream))
        .expect("valid query");
    let mut builder = RowBuilder::new();
    let mut cursor = statement.query([]).expect("readable table");
    let mut rows = BTreeMap::new();
    while let Some(row) = cursor.next().expect("readable row") {
        let cells: Vec<Datum<'_>> = (0..columns.len())
            .map(|index| {
                let kind = table.fields.get(index).map_or(Kind::Int, |it| it.kind);
                match (row.get_ref(index).expect("readable cell"), kind) {
                    (ValueRef::Null, _) => Datum::Null,
                    (ValueRef::Integer(UNREADABLE), Kind::Int) if erring => Datum::Error("owner: no number"),
                    (ValueRef::Integer(it), Kind::Bool) => Datum::Boolean(it != 0),
                    (ValueRef::Integer(it), _) => Datum::Int(it),
                    (ValueRef::Real(it), Kind::Decimal) => Datum::Decimal((it * 100.0).round() as i128),
                    (ValueRef::Real(it), _) => Datum::Float(it),
                    (ValueRef::Text(it), Kind::Date) => Datum::Int(days(std::str::from_utf8(it).expect("UTF-8"))),
                    (ValueRef::Text(it), _) => {
                        std::str::from_utf8(it).map_or(Datum::Error("owner: no UTF-8"), Datum::Text)
                    }
                    (ValueRef::Blob(it), _) => Datum::Bytes(it),
                }
            })
            .collect();
        let mut key = Vec::new();
        schema.encode_key(|index| cells[index], &mut key);
        cells.iter().enumerate().for_each(|(index, cell)| builder.push(*cell, schema.data_type(index)));
        rows.insert(key.clone(), builder.finish(&key));
    }
    rows
}

/// The days since 1970 of a date of the domain.
fn days(text: &str) -> i64 {
    DATES.iter().chain(&EXTREMES).find(|it| it.0 == text).expect("a date of the domain").1
}

/// The date of so many days since 1970; one that is not of the domain as their number.
pub(super) fn date(days: i64) -> String {
    DATES.iter().chain(&EXTREMES).find(|it| it.1 == days).map_or_else(|| days.to_string(), |it| it.0.into())
}
