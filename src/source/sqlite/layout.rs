//! What is followed in one file, verified: the log's identity, and for each table its triggers, columns and key.
//!
//! SQLite counts schema changes. A layout is valid for one count; after that it is verified again, and what could
//! have been dropped and created anew in between is copied again.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::Connection;

use super::capture::{TableState, state_of};
use super::fault::Fault;
use super::log::{self, VERSION};
use super::reader::Reader;
use super::shape::ShapeColumn;
use crate::source::SourceSpec;

/// The verified shape of what is followed.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) uuid: String,
    pub(super) schema_version: i64,
    pub(super) readers: Vec<Reader>,
    /// The numbers of all tables that were ever captured.
    pub(super) known: HashSet<i64>,
    pub(super) key_width: usize,
    /// Every object that a statement of its own made, to account for schema changes.
    objects: HashSet<(String, String)>,
    has_virtual: bool,
}

impl Layout {
    /// Verifies the file; must run inside a read transaction.
    pub(super) fn verify(connection: &Connection, spec: &SourceSpec, path: &Path) -> Result<Layout, Fault> {
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
        let mut readers = Vec::new();
        for table in &spec.tables {
            let name = &table.upstream;
            let halt = |what: String| Fault::Halt(format!("drifted: table {name:?}: {what}"));
            match state_of(connection, name, true)? {
                (TableState::Captured { .. }, Some((shape, id))) => {
                    readers.push(Reader::new(table, shape, id).map_err(|it| Fault::Halt(format!("drifted: {it}")))?);
                }
                (TableState::Drifted { reason }, _) => return Err(halt(format!("{reason}; {install}"))),
                (TableState::Refused { reason }, _) => return Err(halt(format!("it cannot be captured: {reason}"))),
                (TableState::Absent, _) => return Err(halt("it is gone".into())),
                _ => return Err(Fault::Halt(format!("table {name:?} is not captured: {install}"))),
            }
        }
        let known = connection
            .prepare_cached("SELECT id FROM _vantage_tables")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let (objects, has_virtual) = objects(connection)?;
        Ok(Layout {
            uuid: identity.uuid,
            schema_version: log::schema_version(connection)?,
            readers,
            known,
            key_width: log::width(connection)?,
            objects,
            has_virtual,
        })
    }

    /// The identity of the log that positions carry: with the count of schema changes, so that a change made while
    /// nobody looked is noticed.
    pub(super) fn log(&self) -> String {
        format!("{}/{}", self.uuid, self.schema_version)
    }

    /// Which readers' tables may hold other rows than the log tells, after the schema changed from `before` to this.
    pub(super) fn doubtful(&self, before: &Layout) -> Vec<usize> {
        let steps = self.schema_version.wrapping_sub(before.schema_version);
        let added = self.objects.difference(&before.objects).count() as i64;
        // Every new object took one statement. When that accounts for all, none was left to touch our tables.
        let explained = !self.has_virtual && steps == added;
        self.doubtful_after(if explained { 0 } else { steps }, steps)
    }

    /// The same when only the earlier count of schema changes is known.
    pub(super) fn doubtful_since(&self, schema_version: i64) -> Vec<usize> {
        let steps = self.schema_version.wrapping_sub(schema_version);
        self.doubtful_after(steps, steps)
    }

    /// One statement cannot take a trigger or table away and bring it back, but it may be a VACUUM.
    fn doubtful_after(&self, unexplained: i64, steps: i64) -> Vec<usize> {
        let readers = self.readers.iter().enumerate();
        let all = !(0..=1).contains(&unexplained);
        let renumbered = steps != 0 && unexplained != 0;
        readers.filter(|(_, it)| all || (renumbered && it.shape.is_renumbered_by_vacuum())).map(|it| it.0).collect()
    }

    /// The columns of every reader's table, for [`Layout::retyped`].
    pub(super) fn columns(&self) -> Vec<Vec<ShapeColumn>> {
        self.readers.iter().map(|it| it.shape.columns.clone()).collect()
    }

    /// The first column whose declared type is not what it was.
    pub(super) fn retyped(&self, before: &[Vec<ShapeColumn>]) -> Option<String> {
        for (now, then) in self.readers.iter().zip(before) {
            for column in then {
                let found = now.shape.column(&column.name).map(|it| &now.shape.columns[it].declared);
                if let Some(found) = found.filter(|it| !it.eq_ignore_ascii_case(&column.declared)) {
                    return Some(format!(
                        "drifted: column {:?} of table {:?} changed its type from {:?} to {found:?}; restart to take the new one",
                        column.name, now.upstream, column.declared
                    ));
                }
            }
        }
        None
    }
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
