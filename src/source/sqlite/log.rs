//! The change log inside the owner's file: its tables, its identity and its head.
//!
//! `_vantage_changes` holds one line a touched key: `tbl` is the number of the captured table (its negative: "the
//! whole table may have changed, copy it again"), `k1…` the key as it is stored, `nonce` a random number that tells
//! a re-used id from the one that was read. Writers keep the newest [`KEPT`] lines, whoever has read them: a reader
//! whose last line is gone copies the tables again, so the log bridges a time and is nobody's only copy of anything.

use rusqlite::{Connection, OptionalExtension};

/// The log; its `id` is the position.
pub(super) const CHANGES: &str = "_vantage_changes";
/// The numbers of captured tables.
pub(super) const TABLES: &str = "_vantage_tables";
/// One line: the identity of the log.
pub(super) const LOG: &str = "_vantage_log";
/// The layout of these tables and of what the triggers write; a newer one is refused, an older one made anew.
pub(super) const VERSION: i64 = 2;
/// About how many lines the log keeps: as many keys as are worth looking up, instead of copying the tables again.
pub(super) const KEPT: i64 = 1_000_000;

/// The identity of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uuid: String,
    pub(super) version: i64,
}

/// The newest line of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: i64,
    pub(super) nonce: i64,
}

impl Identity {
    /// Whether an earlier release made the log, which this one neither reads nor writes.
    pub(super) fn is_outdated(&self) -> bool {
        self.version < VERSION
    }
}

/// Whether the file has a log at all.
pub(super) fn exists(connection: &Connection) -> rusqlite::Result<bool> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN (?1, ?2, ?3)")?
        .query_row([CHANGES, TABLES, LOG], |row| row.get(0))?;
    Ok(count == 3)
}

/// The identity of the log, if there is one.
pub(super) fn identity(connection: &Connection) -> rusqlite::Result<Option<Identity>> {
    if !exists(connection)? {
        return Ok(None);
    }
    connection
        .prepare_cached("SELECT uuid, version FROM _vantage_log")?
        .query_row([], |row| Ok(Identity { uuid: row.get(0)?, version: row.get(1)? }))
        .optional()
}

/// The newest line; `None` when somebody emptied the log.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Option<Head>> {
    connection
        .prepare_cached("SELECT id, nonce FROM _vantage_changes ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| Ok(Head { id: row.get(0)?, nonce: row.get(1)? }))
        .optional()
}

/// How many lines the log holds.
pub(super) fn lines(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM _vantage_changes", [], |row| row.get(0))
}

/// The tables that are captured, whether they are still there or not, by name.
pub(super) fn captured(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare_cached("SELECT name FROM _vantage_tables WHERE NOT retired ORDER BY name")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// How many key columns the log has.
pub(super) fn width(connection: &Connection) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("SELECT count(*) FROM pragma_table_info(?1) WHERE name GLOB 'k[0-9]*'")?
        .query_row([CHANGES], |row| row.get::<_, i64>(0))
        .map(|it| it as usize)
}

/// The number under which the table called `name` is captured now.
pub(super) fn current_id(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM _vantage_tables WHERE name = ?1 COLLATE NOCASE AND NOT retired")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// SQLite's counter of schema changes.
pub(super) fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA schema_version")?.query_row([], |row| row.get(0))
}
