//! Installing, inspecting and removing capture in an owner's SQLite file.
//!
//! Each command is one transaction of the file: afterwards a table is captured completely or not at all. Installing
//! twice changes nothing; whatever was written to a table while it was not captured is announced to readers by a
//! line in the log that tells them to copy the table again.

mod report;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior};

pub use report::{Report, TableReport, TableState};

use super::connect::{open_to_read, open_to_write};
use super::log::{self, KEPT, VERSION};
use super::shape::{self, NoShape, Shape};
use super::triggers::{Trigger, looks_for_rowid, lookups, prefix, triggers};

/// How long a command waits for other programs' writes to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two attempts, where SQLite does not wait itself.
const PAUSE: Duration = Duration::from_millis(5);

/// Why a command failed; the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file is not there.
    #[error("there is no file {0}")]
    NoFile(PathBuf),
    /// A named table is not there.
    #[error("{path} has no table {table:?}")]
    NoTable {
        /// The file.
        path: PathBuf,
        /// The name.
        table: String,
    },
    /// The file cannot be read while it is written.
    #[error(
        "{path} stays in journal mode {mode:?}; capture needs WAL: close the programs that use the file and try again"
    )]
    NotWal {
        /// The file.
        path: PathBuf,
        /// The mode it is in.
        mode: String,
    },
    /// The log was made by a newer release.
    #[error("{path} has a change log of version {found}; this release knows versions up to {VERSION}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: i64,
    },
    /// Another program holds the lock for writing.
    #[error(
        "{path} is locked: another program has been writing or holding it for {} s; try again when that has ended",
        PATIENCE.as_secs()
    )]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// SQLite said no.
    #[error("{path}: {error}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Its words.
        error: rusqlite::Error,
    },
}

/// Captures the named tables, or all there are when none is named. Switches the file to WAL mode, and waits for
/// writes that are under way.
pub fn install(path: &Path, tables: &[String]) -> Result<Report, CaptureError> {
    let mut connection = open(path)?;
    // What is refused is refused before the file is put into another mode.
    refuse_newer(path, &connection)?;
    let mut tables = chosen(path, &connection, tables)?;
    let before = switch_to_wal(path, &connection)?;
    let mut notes = Vec::new();
    if before != "wal" {
        notes.push(format!("journal mode changed from {before} to wal; it stays so until capture is removed"));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(at(path))?;
    let earlier = create_log(&transaction, &before).map_err(at(path))?;
    if let Some(earlier) = earlier {
        notes.push("the change log of an earlier release was made anew; its readers copy the tables again".into());
        tables.extend(earlier);
        tables.sort();
        tables.dedup();
    }
    let mut reports = Vec::new();
    for name in tables {
        let state = install_table(&transaction, &name, &mut notes).map_err(at(path))?;
        reports.push(TableReport { table: name, state });
    }
    if log::head(&transaction).map_err(at(path))?.is_none() {
        transaction.execute("INSERT INTO _vantage_changes(tbl) VALUES (0)", []).map_err(at(path))?;
    }
    let log = log::identity(&transaction).map_err(at(path))?.map(|it| it.uuid);
    transaction.commit().map_err(at(path))?;
    Ok(Report { path: path.into(), log, tables: reports, problems: Vec::new(), notes })
}

/// What is captured, what that costs the owner, what is not captured, and what no longer fits.
pub fn status(path: &Path, tables: &[String]) -> Result<Report, CaptureError> {
    exists(path)?;
    let connection = open_to_read(path).map_err(at(path))?;
    connection.busy_timeout(PATIENCE).map_err(at(path))?;
    let transaction = connection.unchecked_transaction().map_err(at(path))?;
    refuse_newer(path, &transaction)?;
    let identity = log::identity(&transaction).map_err(at(path))?;
    let (mut reports, mut problems, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for name in chosen(path, &transaction, tables)? {
        let (state, shape) = state_of(&transaction, &name, identity.is_some()).map_err(at(path))?;
        notes.extend(shape.iter().flat_map(|it| unreadable(&it.0)));
        reports.push(TableReport { table: name, state });
    }
    match &identity {
        None => notes.push("no change log is installed".into()),
        Some(identity) if identity.is_outdated() => {
            problems.push("the change log was made by an earlier release: run `vantage capture install`".into());
        }
        Some(_) => match log::head(&transaction).map_err(at(path))? {
            Some(head) => {
                let lines = log::lines(&transaction).map_err(at(path))?;
                notes.push(format!(
                    "the change log ends at {} and holds {lines} changes; writers keep about the last {KEPT}",
                    head.id
                ));
            }
            None => problems.push("the change log is empty: run `vantage capture install`".into()),
        },
    }
    let mode = journal_mode(&transaction).map_err(at(path))?;
    if identity.is_some() && mode != "wal" {
        problems.push(format!("journal mode is {mode}, capture needs wal: run `vantage capture install`"));
    }
    Ok(Report { path: path.into(), log: identity.map(|it| it.uuid), tables: reports, problems, notes })
}

/// What keeps the named tables from being followed, in words. That a file or table is not there is for others to say.
pub(in crate::source) fn obstacles(path: &Path, tables: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for table in tables {
        match status(path, std::slice::from_ref(table)) {
            Ok(report) => {
                found.extend(report.problems);
                let open = report.tables.iter().filter(|it| !matches!(it.state, TableState::Captured { .. }));
                found.extend(open.map(|it| format!("table {:?}: {}", it.table, it.state)));
            }
            Err(CaptureError::NoFile(_) | CaptureError::NoTable { .. }) => {}
            Err(error) => found.push(error.to_string()),
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Takes the triggers of the named tables away; when none is named, those of all tables and the log with them.
pub fn remove(path: &Path, tables: &[String]) -> Result<Report, CaptureError> {
    let mut connection = open(path)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(at(path))?;
    refuse_newer(path, &transaction)?;
    let installed = log::identity(&transaction).map_err(at(path))?.is_some();
    let mut reports = Vec::new();
    for name in chosen(path, &transaction, tables)? {
        let state = match installed {
            true => remove_table(&transaction, &name).map_err(at(path))?,
            false => TableState::Missing,
        };
        reports.push(TableReport { table: name, state });
    }
    let mut notes = Vec::new();
    let mut before = None;
    if tables.is_empty() {
        before = drop_log(&transaction).map_err(at(path))?;
    }
    transaction.commit().map_err(at(path))?;
    if let Some(mode) = before.filter(|it| it != "wal") {
        notes.push(restore_journal_mode(&connection, &mode));
    }
    Ok(Report { path: path.into(), log: None, tables: reports, problems: Vec::new(), notes })
}

/// How the capture of one table stands. `installed` tells whether the file has a log.
pub(super) fn state_of(
    connection: &Connection,
    name: &str,
    installed: bool,
) -> rusqlite::Result<(TableState, Option<(Shape, i64)>)> {
    let shape = match shape::shape(connection, name) {
        Ok(shape) => shape,
        Err(NoShape::Absent) => return Ok((TableState::Absent, None)),
        Err(NoShape::Refused(reason)) => return Ok((TableState::Refused { reason }, None)),
        Err(NoShape::Sqlite(error)) => return Err(error),
    };
    let id = if installed { log::current_id(connection, name)? } else { None };
    let Some(id) = id else {
        return Ok((TableState::Missing, None));
    };
    let wanted = triggers(&shape, id);
    let state = match drift(&wanted, &installed_triggers(connection, id)?, &shape.name) {
        Some(reason) => TableState::Drifted { reason },
        None if log::width(connection)? < shape.key_width() => {
            TableState::Drifted { reason: "the change log has too few key columns".into() }
        }
        None => captured(&shape),
    };
    Ok((state, Some((shape, id))))
}

fn captured(shape: &Shape) -> TableState {
    TableState::Captured { by: shape.key_words(), rowid: looks_for_rowid(shape), lookups: lookups(shape) }
}

/// Notes on columns that are captured with their rows, but cannot be read here.
fn unreadable(shape: &Shape) -> Vec<String> {
    let note = |name: &str, reason: &str| {
        format!(
            "column {name:?} of table {:?} can only be read by its owner ({reason}); declare the table without it",
            shape.name
        )
    };
    shape.columns.iter().filter_map(|it| it.unreadable.as_ref().map(|reason| note(&it.name, reason))).collect()
}

fn drift(wanted: &[Trigger], found: &[(Trigger, String)], table: &str) -> Option<String> {
    for trigger in wanted {
        match found.iter().find(|it| it.0.name == trigger.name) {
            None => return Some(format!("trigger {} is missing", trigger.name)),
            Some((_, on)) if !on.eq_ignore_ascii_case(table) => {
                return Some(format!("trigger {} is on table {on:?}", trigger.name));
            }
            Some((found, _)) if found.sql != trigger.sql => {
                return Some(format!("trigger {} no longer fits the table", trigger.name));
            }
            Some(_) => {}
        }
    }
    let extra = found.iter().find(|it| !wanted.iter().any(|wanted| wanted.name == it.0.name));
    extra.map(|it| format!("trigger {} no longer fits the table", it.0.name))
}

fn installed_triggers(connection: &Connection, id: i64) -> rusqlite::Result<Vec<(Trigger, String)>> {
    let prefix = prefix(id);
    let mut statement = connection.prepare_cached(
        "SELECT name, sql, tbl_name FROM sqlite_schema WHERE type = 'trigger' AND substr(name, 1, length(?1)) = ?1",
    )?;
    let rows = statement.query_map([&prefix], |row| {
        Ok((Trigger { name: row.get(0)?, sql: row.get::<_, Option<String>>(1)?.unwrap_or_default() }, row.get(2)?))
    })?;
    rows.collect()
}

fn install_table(transaction: &Transaction<'_>, name: &str, notes: &mut Vec<String>) -> rusqlite::Result<TableState> {
    let (state, found) = state_of(transaction, name, true)?;
    match (&state, found) {
        (TableState::Missing, _) => {}
        (TableState::Drifted { .. }, Some((_, id))) => retire(transaction, id)?,
        (TableState::Absent, _) => {
            log::current_id(transaction, name)?.map(|id| retire(transaction, id)).transpose()?;
            return Ok(TableState::Forgotten);
        }
        (_, found) => {
            notes.extend(found.iter().flat_map(|it| unreadable(&it.0)));
            return Ok(state);
        }
    }
    let shape = match shape::shape(transaction, name) {
        Ok(shape) => shape,
        Err(NoShape::Sqlite(error)) => return Err(error),
        Err(NoShape::Refused(reason)) => return Ok(TableState::Refused { reason }),
        Err(NoShape::Absent) => return Ok(TableState::Absent),
    };
    // A renamed table brings the triggers of its old name along.
    drop_triggers(
        transaction,
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE \
         AND name GLOB '_vantage_[0-9]*'",
        &shape.name,
    )?;
    for column in log::width(transaction)? + 1..=shape.key_width() {
        transaction.execute_batch(&format!("ALTER TABLE _vantage_changes ADD COLUMN k{column}"))?;
    }
    let id: i64 =
        transaction.query_row("SELECT coalesce(max(id), 0) + 1 FROM _vantage_tables", [], |row| row.get(0))?;
    transaction.execute("INSERT INTO _vantage_tables(id, name, retired) VALUES (?1, ?2, 0)", (id, &shape.name))?;
    for trigger in triggers(&shape, id) {
        transaction.execute_batch(&trigger.sql)?;
    }
    // Nobody knows what was written before the triggers stood.
    transaction.execute("INSERT INTO _vantage_changes(tbl) VALUES (?1)", [-id])?;
    notes.extend(unreadable(&shape));
    Ok(captured(&shape))
}

fn remove_table(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<TableState> {
    match log::current_id(transaction, name)? {
        Some(id) => {
            retire(transaction, id)?;
            Ok(TableState::Removed)
        }
        None => Ok(TableState::Missing),
    }
}

/// Ends a capture: its number is never used again, because old lines of the log may still carry it.
fn retire(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
    drop_triggers(
        transaction,
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND substr(name, 1, length(?1)) = ?1",
        &prefix(id),
    )?;
    transaction.execute("UPDATE _vantage_tables SET retired = 1 WHERE id = ?1", [id])?;
    Ok(())
}

fn drop_triggers(transaction: &Transaction<'_>, select: &str, argument: &str) -> rusqlite::Result<()> {
    let names: Vec<String> =
        transaction.prepare(select)?.query_map([argument], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    names.iter().try_for_each(|it| transaction.execute_batch(&format!("DROP TRIGGER {}", shape::quoted(it))))
}

/// Makes the log, where there is none of this release; the tables that one of an earlier release was about.
fn create_log(transaction: &Transaction<'_>, journal_mode: &str) -> rusqlite::Result<Option<Vec<String>>> {
    let found = log::identity(transaction)?;
    let earlier = match &found {
        Some(identity) if !identity.is_outdated() => return Ok(None),
        Some(_) => Some(log::captured(transaction)?),
        None => None,
    };
    // Whatever is left of an earlier log is of no use without its identity.
    let before = drop_log(transaction)?;
    transaction.execute_batch(
        "CREATE TABLE _vantage_changes(id INTEGER PRIMARY KEY, tbl INTEGER NOT NULL, \
         nonce INTEGER NOT NULL DEFAULT (random()), k1);
         CREATE TABLE _vantage_tables(id INTEGER PRIMARY KEY, name TEXT NOT NULL, retired INTEGER NOT NULL);
         CREATE TABLE _vantage_log(uuid TEXT NOT NULL, version INTEGER NOT NULL, journal_mode TEXT NOT NULL);",
    )?;
    transaction.execute(
        "INSERT INTO _vantage_log VALUES (lower(hex(randomblob(16))), ?1, ?2)",
        (VERSION, before.as_deref().unwrap_or(journal_mode)),
    )?;
    Ok(earlier)
}

/// Drops every trigger and table of ours; returns the journal mode the file had before capture.
fn drop_log(transaction: &Transaction<'_>) -> rusqlite::Result<Option<String>> {
    let mode = match log::exists(transaction)? {
        true => transaction.query_row("SELECT journal_mode FROM _vantage_log", [], |row| row.get(0)).optional()?,
        false => None,
    };
    drop_triggers(
        transaction,
        "SELECT name FROM sqlite_schema WHERE type = ?1 AND name GLOB '_vantage_[0-9]*'",
        "trigger",
    )?;
    transaction.execute_batch(
        "DROP TABLE IF EXISTS _vantage_changes; DROP TABLE IF EXISTS _vantage_tables; DROP TABLE IF EXISTS _vantage_log;",
    )?;
    Ok(mode)
}

/// Puts the file into WAL mode; the mode it was in. SQLite does not wait here for a write that is under way.
fn switch_to_wal(path: &Path, connection: &Connection) -> Result<String, CaptureError> {
    let before = journal_mode(connection).map_err(at(path))?;
    if before == "wal" {
        return Ok(before);
    }
    // Were SQLite to wait for readers, it would keep writers out meanwhile.
    connection.busy_timeout(Duration::ZERO).map_err(at(path))?;
    let end = Instant::now() + PATIENCE;
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Ok(mode) if mode == "wal" => break,
            Ok(mode) => return Err(CaptureError::NotWal { path: path.into(), mode }),
            Err(error) if is_busy(&error) && Instant::now() < end => thread::sleep(PAUSE),
            Err(error) => return Err(at(path)(error)),
        }
    }
    connection.busy_timeout(PATIENCE).map_err(at(path))?;
    Ok(before)
}

fn restore_journal_mode(connection: &Connection, mode: &str) -> String {
    let words = "delete truncate persist memory off";
    if !words.split(' ').any(|it| it == mode) {
        return format!("journal mode stays wal: {mode:?} is no journal mode");
    }
    // One attempt: while SQLite waits for other programs here, it keeps further ones out.
    let outcome = connection.busy_timeout(Duration::ZERO).and_then(|()| {
        connection.query_row(&format!("PRAGMA journal_mode = {mode}"), [], |row| row.get::<_, String>(0))
    });
    let later = format!("when they have ended, `PRAGMA journal_mode = {mode}` changes it back");
    match outcome {
        Ok(now) if now == mode => format!("journal mode changed back to {mode}"),
        Ok(now) => format!("journal mode stays {now}: other programs use the file; {later}"),
        Err(error) if is_busy(&error) => format!("journal mode stays wal: other programs use the file; {later}"),
        Err(error) => format!("journal mode stays wal: {error}"),
    }
}

/// The tables a command is about, as the file spells them: of those that are there, and those that were captured.
fn chosen(path: &Path, connection: &Connection, named: &[String]) -> Result<Vec<String>, CaptureError> {
    let there = shape::tables(connection).map_err(at(path))?;
    let installed = log::identity(connection).map_err(at(path))?.is_some();
    let captured = if installed { log::captured(connection).map_err(at(path))? } else { Vec::new() };
    let is_there = |name: &str| there.iter().any(|it| it.name.eq_ignore_ascii_case(name));
    let gone: Vec<String> = captured.into_iter().filter(|it| !is_there(it)).collect();
    if named.is_empty() {
        let kept = there.into_iter().filter(|it| it.kind != "shadow").map(|it| it.name);
        return Ok(kept.chain(gone).collect());
    }
    let find = |name: &String| {
        let all = there.iter().map(|it| &it.name).chain(&gone);
        let found = all.into_iter().find(|it| it.eq_ignore_ascii_case(name)).cloned();
        found.ok_or_else(|| CaptureError::NoTable { path: path.into(), table: name.clone() })
    };
    named.iter().map(find).collect()
}

fn refuse_newer(path: &Path, connection: &Connection) -> Result<(), CaptureError> {
    match log::identity(connection).map_err(at(path))? {
        Some(identity) if identity.version > VERSION => {
            Err(CaptureError::Newer { path: path.into(), found: identity.version })
        }
        _ => Ok(()),
    }
}

fn journal_mode(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))
}

fn exists(path: &Path) -> Result<(), CaptureError> {
    if path.is_file() { Ok(()) } else { Err(CaptureError::NoFile(path.into())) }
}

fn open(path: &Path) -> Result<Connection, CaptureError> {
    exists(path)?;
    open_to_write(path, PATIENCE).map_err(at(path))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn at(path: &Path) -> impl Fn(rusqlite::Error) -> CaptureError {
    move |error| match is_busy(&error) {
        true => CaptureError::Busy { path: path.into() },
        false => CaptureError::Sqlite { path: path.into(), error },
    }
}
