//! What is followed in one file, verified: the log's identity, and for each table its triggers, columns and key.
//!
//! SQLite counts schema changes. A layout is valid for one count; after that it is verified again, and what could
//! have been dropped and created anew in between is copied again.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::capture::{TableState, state_of};
use super::fault::{Fault, is_statements};
use super::fit::misfit;
use super::log::{self, Head, VERSION};
use super::reader::Reader;
use super::shape::Shape;
use crate::change::{Position, TableId};
use crate::source::{SourceSpec, TableSpec};

/// The verified shape of what is followed.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) uuid: String,
    pub(super) schema_version: i64,
    /// The tables of the file that are followed, each once.
    pub(super) tables: Vec<Followed>,
    /// What is declared and cannot be followed now, and why.
    pub(super) halted: BTreeMap<TableId, String>,
    /// What is declared and followed: everything that is not halted.
    pub(super) covers: Arc<[TableId]>,
    /// By name, the columns that tables got since they were planned with.
    pub(super) added: BTreeMap<String, Vec<String>>,
    /// The numbers of all tables that were ever captured.
    pub(super) known: HashSet<i64>,
    pub(super) key_width: usize,
    /// Every object that a statement of its own made, to account for schema changes.
    objects: HashSet<(String, String)>,
    has_virtual: bool,
}

/// One captured table of the file and everything that is declared from it: a line of the log about the table concerns
/// all of its readers, so none of them can be forgotten.
#[derive(Debug)]
pub(super) struct Followed {
    /// The number under which the log names the table.
    pub(super) id: i64,
    pub(super) shape: Shape,
    pub(super) readers: Vec<Reader>,
}

impl Followed {
    /// What is declared from it.
    pub(super) fn declared(&self) -> Vec<TableId> {
        self.readers.iter().map(|it| it.table).collect()
    }
}

impl Layout {
    /// Verifies the file; must run inside a read transaction. Tables in `broken` are halted whatever they look like. What
    /// concerns the log as a whole is a fault; what concerns one table halts what is declared from it.
    pub(super) fn verify(
        connection: &Connection,
        spec: &SourceSpec,
        path: &Path,
        broken: &BTreeMap<TableId, String>,
    ) -> Result<Layout, Fault> {
        let install = format!("run `vantage capture install {}`", path.display());
        let identity = log::identity(connection)?
            .ok_or_else(|| Fault::Halt(format!("capture is not installed in {}: {install}", path.display())))?;
        if identity.version > VERSION {
            return Err(Fault::Halt(format!(
                "the change log of {} has version {}; this release knows versions up to {VERSION}",
                path.display(),
                identity.version
            )));
        }
        if identity.is_outdated() {
            return Err(Fault::Halt(format!("the change log was made by an earlier release: {install}")));
        }
        let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(Fault::Halt(format!("{} is in journal mode {mode}, not wal: {install}", path.display())));
        }
        let known = connection
            .prepare_cached("SELECT id FROM _vantage_tables")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let (objects, has_virtual) = objects(connection)?;
        let mut layout = Layout {
            uuid: identity.uuid,
            schema_version: log::schema_version(connection)?,
            tables: Vec::new(),
            halted: broken.clone(),
            covers: Arc::default(),
            added: BTreeMap::new(),
            known,
            key_width: log::width(connection)?,
            objects,
            has_virtual,
        };
        for specs in by_upstream(&spec.tables) {
            layout.add(connection, &specs, &install)?;
        }
        let readers = layout.tables.iter().flat_map(Followed::declared);
        layout.covers = readers.collect();
        let declared = spec.tables.len();
        assert_eq!(
            layout.covers.len() + layout.halted.len(),
            declared,
            "what is declared is either followed or halted"
        );
        Ok(layout)
    }

    /// Takes one table of the file in, from which `specs` are declared.
    fn add(&mut self, connection: &Connection, specs: &[&TableSpec], install: &str) -> Result<(), Fault> {
        let name = &specs[0].declaration.upstream;
        let state = match state_of(connection, name, true) {
            Err(error) if is_statements(&error) => Err(format!("its shape cannot be read: {error}")),
            Err(error) => return Err(error.into()),
            Ok((TableState::Captured { .. }, Some(found))) => Ok(found),
            Ok((TableState::Drifted { reason }, _)) => Err(format!("drifted: {reason}; {install}")),
            Ok((TableState::Refused { reason }, _)) => Err(format!("it cannot be captured: {reason}")),
            Ok((TableState::Absent, _)) => Err(format!(
                "drifted: it is gone; create it anew and {install}, or take it and what reads it out of the view files"
            )),
            Ok(_) => Err(format!("it is not captured: {install}")),
        };
        let (shape, id) = match state {
            Ok(found) => found,
            Err(reason) => {
                specs.iter().for_each(|it| _ = self.halted.entry(it.table).or_insert(reason.clone()));
                return Ok(());
            }
        };
        let mut readers = Vec::new();
        for spec in specs.iter().filter(|it| !self.halted.contains_key(&it.table)).collect::<Vec<_>>() {
            let reader = misfit(spec, &shape).map(|added| (Reader::new(spec, &shape), added));
            match reader {
                Err(reason) => _ = self.halted.insert(spec.table, format!("drifted: {reason}")),
                Ok((reader, added)) => match reader.prepare(connection) {
                    Err(error) if is_statements(&error) => {
                        self.halted.insert(spec.table, format!("its rows cannot be read: {error}"));
                    }
                    prepared => {
                        prepared?;
                        readers.push(reader);
                        if !added.is_empty() {
                            self.added.insert(shape.name.clone(), added);
                        }
                    }
                },
            }
        }
        if !readers.is_empty() {
            self.tables.push(Followed { id, shape, readers });
        }
        Ok(())
    }

    /// The position at a line of the log. It carries the line's nonce, which tells a re-used id from the one that was
    /// read, and the count of schema changes, so that a change made while nobody looked is noticed.
    pub(super) fn position(&self, head: Head) -> Position {
        Position::whole(&self.uuid, head.id as u64, &[head.nonce, self.schema_version])
    }

    /// The line of the log and the count of schema changes that [`Layout::position`] put into a position.
    pub(super) fn read_position(position: &Position) -> (Head, i64) {
        let place = position.only();
        let [nonce, schema_version] = place.witness[..] else {
            unreachable!("a position in a change log carries a nonce and a count of schema changes")
        };
        (Head { id: place.at as i64, nonce }, schema_version)
    }

    /// The reader of a table that is followed.
    pub(super) fn find(&self, table: TableId) -> (&Followed, &Reader) {
        let mut readers = self.tables.iter().flat_map(|it| it.readers.iter().map(move |reader| (it, reader)));
        readers.find(|it| it.1.table == table).expect("only what is followed is copied")
    }

    /// What is declared from tables that may hold other rows than the log tells, after the schema changed from `before`
    /// to this.
    pub(super) fn doubtful(&self, before: &Layout) -> Vec<TableId> {
        let steps = self.schema_version.wrapping_sub(before.schema_version);
        let added = self.objects.difference(&before.objects).count() as i64;
        // Every new object took one statement. When that accounts for all, none was left to touch our tables.
        let explained = !self.has_virtual && steps == added;
        self.doubtful_after(if explained { 0 } else { steps }, steps)
    }

    /// The same when only the earlier count of schema changes is known.
    pub(super) fn doubtful_since(&self, schema_version: i64) -> Vec<TableId> {
        let steps = self.schema_version.wrapping_sub(schema_version);
        self.doubtful_after(steps, steps)
    }

    /// One statement cannot take a trigger or table away and bring it back, but it may be a VACUUM.
    fn doubtful_after(&self, unexplained: i64, steps: i64) -> Vec<TableId> {
        let all = !(0..=1).contains(&unexplained);
        let renumbered = steps != 0 && unexplained != 0;
        let doubtful = |it: &&Followed| all || (renumbered && it.shape.is_renumbered_by_vacuum());
        self.tables.iter().filter(doubtful).flat_map(Followed::declared).collect()
    }
}

/// What is declared, by the table of the file it is declared from; SQLite ignores the case of ASCII letters in names.
fn by_upstream(specs: &[TableSpec]) -> Vec<Vec<&TableSpec>> {
    let mut tables: BTreeMap<String, Vec<&TableSpec>> = BTreeMap::new();
    specs.iter().for_each(|it| tables.entry(it.declaration.upstream.to_ascii_lowercase()).or_default().push(it));
    tables.into_values().collect()
}

/// The objects that a statement of their own made, and whether there are virtual tables. SQLite makes its own tables
/// beside others, several with one statement.
fn objects(connection: &Connection) -> rusqlite::Result<(HashSet<(String, String)>, bool)> {
    let mut statement = connection.prepare_cached(
        "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let mut rows = statement.query([])?;
    let mut objects = HashSet::new();
    let mut has_virtual = false;
    while let Some(row) = rows.next()? {
        let sql: String = row.get(2)?;
        has_virtual |= sql.to_ascii_uppercase().starts_with("CREATE VIRTUAL");
        objects.insert((row.get(0)?, row.get(1)?));
    }
    Ok((objects, has_virtual))
}
