//! The shape of an SQLite table as far as capture needs it: columns, the key its rows are logged by, constraints.
//!
//! A shape is either complete or refused with a reason; no constraint is overlooked.

use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::index::{self, Expression, index_text};
use super::types::{Affinity, affinity, is_plain_key};

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// The name as the file spells it.
    pub(super) name: String,
    pub(super) columns: Vec<ShapeColumn>,
    /// WITHOUT ROWID.
    pub(super) without_rowid: bool,
    /// The name by which the rowid can be addressed; some tables have columns of all three names.
    pub(super) rowid: Option<&'static str>,
    pub(super) key: LogKey,
    /// Every unique constraint besides the rowid, the primary key's included.
    pub(super) uniques: Vec<Unique>,
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ShapeColumn {
    pub(super) name: String,
    /// The declared type, as written.
    pub(super) declared: String,
    pub(super) not_null: bool,
    /// Whether REPLACE may put a default in the place of NULL.
    pub(super) has_default: bool,
    /// Of a generated column, the columns that are not, from which it is computed in the end.
    pub(super) generated: Option<Vec<usize>>,
    /// Why only its owner can read it: it is computed, at every look, by a function that only its owner has.
    pub(super) unreadable: Option<String>,
}

/// What identifies a row in the log.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LogKey {
    /// The rowid; the column that is its alias, if there is one.
    Rowid { alias: Option<usize> },
    /// The columns of a primary key or of a unique constraint.
    Columns {
        parts: Vec<Part>,
        /// Whether one of them may be NULL, and be so in several rows. The last part of the key is then the rowid, for
        /// those rows alone; it is NULL for all others.
        nullable: bool,
    },
}

/// A column under a collation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) column: usize,
    pub(super) collation: String,
}

/// A UNIQUE or PRIMARY KEY constraint or a unique index.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unique {
    pub(super) parts: Vec<UniquePart>,
    pub(super) is_primary: bool,
    /// The condition of a partial index.
    pub(super) filter: Option<Expression>,
}

/// What one place of a unique constraint compares.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum UniquePart {
    Column(Part),
    Expression(Expression),
}

/// Why there is no shape.
#[derive(Debug)]
pub(super) enum NoShape {
    /// There is no such table.
    Absent,
    /// It exists and cannot be captured.
    Refused(String),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for NoShape {
    fn from(error: rusqlite::Error) -> NoShape {
        NoShape::Sqlite(error)
    }
}

/// A table as `PRAGMA table_list` shows it.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    /// `table`, `view`, `virtual` or `shadow`.
    pub(super) kind: String,
    without_rowid: bool,
}

/// An identifier in double quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The tables of the file that belong to its owner, by name.
pub(super) fn tables(connection: &Connection) -> rusqlite::Result<Vec<Listed>> {
    let mut statement = connection.prepare_cached(
        "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' \
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_vantage\\_%' ESCAPE '\\' ORDER BY name",
    )?;
    let rows = statement
        .query_map([], |row| Ok(Listed { name: row.get(0)?, kind: row.get(1)?, without_rowid: row.get(2)? }))?;
    rows.collect()
}

/// The shape of the table called `name`.
pub(super) fn shape(connection: &Connection, name: &str) -> Result<Shape, NoShape> {
    let listed = connection
        .prepare_cached(
            "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
        )?
        .query_row([name], |row| Ok(Listed { name: row.get(0)?, kind: row.get(1)?, without_rowid: row.get(2)? }))
        .optional()?
        .ok_or(NoShape::Absent)?;
    match listed.kind.as_str() {
        "table" => {}
        "view" => return Err(NoShape::Refused("it is a view".into())),
        other => return Err(NoShape::Refused(format!("it is a {other} table"))),
    }
    let (columns, primary) = columns(connection, &listed.name)?;
    let uniques = uniques(connection, &listed.name, &columns)?;
    let taken = |name: &&&str| !columns.iter().any(|it| it.name.eq_ignore_ascii_case(name));
    let rowid = if listed.without_rowid { None } else { ["rowid", "_rowid_", "oid"].iter().find(taken).copied() };
    let not_null = |it: &Unique| it.parts.iter().all(|part| part.is_not_null(&columns));
    let key = match (primary.as_slice(), uniques.iter().find(|it| it.is_primary)) {
        // A primary key without an index of its own is the rowid under another name.
        ([column], None) => LogKey::Rowid { alias: Some(*column) },
        (_, Some(index)) if listed.without_rowid => LogKey::Columns { parts: index.columns(), nullable: false },
        // Under a collation that only its owner knows, a key could not be found again, but its rowid can.
        (_, Some(index)) if not_null(index) && index.columns().iter().all(Part::is_built_in) => {
            LogKey::Columns { parts: index.columns(), nullable: false }
        }
        _ if rowid.is_none() => LogKey::Rowid { alias: None },
        (_, Some(index)) if is_plain(index, &columns) => LogKey::Columns { parts: index.columns(), nullable: true },
        // Without a primary key the shortest constraint that never admits NULL is as good as one.
        _ => match uniques.iter().filter(|it| not_null(it) && is_plain(it, &columns)).min_by_key(|it| it.parts.len()) {
            Some(unique) => LogKey::Columns { parts: unique.columns(), nullable: false },
            None => LogKey::Rowid { alias: None },
        },
    };
    let shape = Shape { name: listed.name, columns, without_rowid: listed.without_rowid, rowid, key, uniques };
    refuse_unusable_key(&shape)?;
    refuse_unusable_uniques(&shape)?;
    Ok(shape)
}

impl Shape {
    /// The column called `name`; SQLite ignores the case of ASCII letters.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|it| it.name.eq_ignore_ascii_case(name))
    }

    /// How many values a logged key has.
    pub(super) fn key_width(&self) -> usize {
        match &self.key {
            LogKey::Rowid { .. } => 1,
            LogKey::Columns { parts, nullable } => parts.len() + usize::from(*nullable),
        }
    }

    /// The columns of the key; `None` when it is the rowid and no column stands for it.
    pub(super) fn key_parts(&self) -> Option<Vec<Part>> {
        match &self.key {
            LogKey::Columns { parts, .. } => Some(parts.clone()),
            LogKey::Rowid { alias } => alias.map(|column| vec![Part { column, collation: "BINARY".into() }]),
        }
    }

    /// What addresses the rowid: its alias or one of its three names, quoted.
    pub(super) fn rowid_name(&self) -> Option<String> {
        match self.key {
            LogKey::Rowid { alias: Some(column) } => Some(quoted(&self.columns[column].name)),
            _ => self.rowid.map(quoted),
        }
    }

    /// The rowid of the row called `row` (with a point behind it, or nothing) where a part of its key is NULL, as an
    /// expression; `None` when no part can be.
    pub(super) fn rowid_of_null(&self, row: &str) -> Option<String> {
        let LogKey::Columns { parts, nullable: true } = &self.key else { return None };
        let is_null = |it: &Part| format!("{row}{} IS NULL", quoted(&self.columns[it.column].name));
        let nulls: Vec<String> = parts.iter().map(is_null).collect();
        let rowid = self.rowid_name()?;
        Some(format!("CASE WHEN {} THEN {row}{rowid} END", nulls.join(" OR ")))
    }

    /// The key in words.
    pub(super) fn key_words(&self) -> String {
        let Some(parts) = self.key_parts() else { return "rowid".into() };
        let is_primary = |it: &Unique| it.is_primary && it.columns() == parts;
        let primary = matches!(self.key, LogKey::Rowid { .. }) || self.uniques.iter().any(is_primary);
        let kind = if primary { "primary key" } else { "unique key" };
        format!("{kind} ({})", parts.iter().map(|it| self.part_words(it)).collect::<Vec<_>>().join(", "))
    }

    /// What a unique constraint compares and can be computed from a row before it is written: a rowid cannot, SQLite
    /// may not have chosen it yet.
    pub(super) fn known_parts<'a>(&self, unique: &'a Unique) -> Vec<&'a UniquePart> {
        let LogKey::Rowid { alias: Some(rowid) } = self.key else { return unique.parts.iter().collect() };
        let reads_rowid = |part: &UniquePart| match part {
            UniquePart::Column(it) => it.column != rowid && self.bases(it.column).contains(&rowid),
            UniquePart::Expression(it) => it.columns.iter().any(|it| self.bases(*it).contains(&rowid)),
        };
        unique.parts.iter().filter(|it| !reads_rowid(it)).collect()
    }

    /// The columns that are set when `column` is: itself, or those it is generated from.
    pub(super) fn bases(&self, column: usize) -> Vec<usize> {
        self.columns[column].generated.clone().unwrap_or_else(|| vec![column])
    }

    /// A unique constraint in words.
    pub(super) fn unique_words(&self, unique: &Unique) -> String {
        let words = unique.parts.iter().map(|it| match it {
            UniquePart::Column(part) => self.part_words(part),
            UniquePart::Expression(expression) => expression.text.clone(),
        });
        let words = words.collect::<Vec<_>>().join(", ");
        match &unique.filter {
            Some(filter) => format!("({words}) WHERE {}", filter.text),
            None => format!("({words})"),
        }
    }

    fn part_words(&self, part: &Part) -> String {
        match part.collation.as_str() {
            "BINARY" => self.columns[part.column].name.clone(),
            other => format!("{} COLLATE {other}", self.columns[part.column].name),
        }
    }

    /// Whether VACUUM may give rows other keys.
    pub(super) fn is_renumbered_by_vacuum(&self) -> bool {
        matches!(self.key, LogKey::Rowid { alias: None } | LogKey::Columns { nullable: true, .. })
    }
}

impl Unique {
    /// The columns among its parts.
    pub(super) fn columns(&self) -> Vec<Part> {
        let column = |it: &UniquePart| match it {
            UniquePart::Column(part) => Some(part.clone()),
            UniquePart::Expression(_) => None,
        };
        self.parts.iter().filter_map(column).collect()
    }
}

impl UniquePart {
    fn is_not_null(&self, columns: &[ShapeColumn]) -> bool {
        matches!(self, UniquePart::Column(part) if columns[part.column].not_null)
    }
}

impl Part {
    /// Whether SQLite itself has the collation.
    pub(super) fn is_built_in(&self) -> bool {
        matches!(self.collation.as_str(), "BINARY" | "NOCASE" | "RTRIM")
    }
}

impl ShapeColumn {
    pub(super) fn affinity(&self) -> Affinity {
        affinity(&self.declared)
    }
}

/// The columns, and which of them are the primary key in its order.
fn columns(connection: &Connection, table: &str) -> Result<(Vec<ShapeColumn>, Vec<usize>), NoShape> {
    let mut statement = connection.prepare_cached(
        "SELECT name, type, \"notnull\", pk, dflt_value IS NOT NULL, hidden >= 2 \
         FROM pragma_table_xinfo(?1) ORDER BY cid",
    )?;
    let mut rows = statement.query([table])?;
    let mut columns = Vec::new();
    let mut primary: Vec<(i64, usize)> = Vec::new();
    while let Some(row) = rows.next()? {
        let place: i64 = row.get(3)?;
        if place > 0 {
            primary.push((place, columns.len()));
        }
        // SQLite appends this to the type of a generated column.
        let declared: String = row.get::<_, Option<String>>(1)?.unwrap_or_default();
        let upper = declared.to_ascii_uppercase();
        let end = upper.find("GENERATED ALWAYS").unwrap_or(declared.len());
        columns.push(ShapeColumn {
            name: row.get(0)?,
            declared: declared[..end].trim().into(),
            not_null: row.get(2)?,
            has_default: row.get(4)?,
            generated: row.get::<_, bool>(5)?.then(Vec::new),
            unreadable: None,
        });
    }
    if columns.iter().any(|it| it.generated.is_some()) {
        find_bases(connection, table, &mut columns)?;
    }
    find_unreadable(connection, table, &mut columns)?;
    primary.sort_unstable();
    Ok((columns, primary.into_iter().map(|it| it.1).collect()))
}

/// Finds out from which columns the generated ones are computed.
fn find_bases(connection: &Connection, table: &str, columns: &mut [ShapeColumn]) -> Result<(), NoShape> {
    let sql: String = connection
        .prepare_cached("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1")?
        .query_row([table], |row| row.get(0))?;
    let names: Vec<&str> = columns.iter().map(|it| it.name.as_str()).collect();
    let unclear = || NoShape::Refused("the statement of its generated columns is not understood".into());
    let computed = index::generated(&sql, &names).ok_or_else(unclear)?;
    for index in 0..columns.len() {
        if columns[index].generated.is_none() {
            continue;
        }
        let (mut seen, mut left, mut bases) = (vec![index], vec![index], Vec::new());
        while let Some(column) = left.pop() {
            match &computed[column] {
                Some(expression) => {
                    let new: Vec<_> = expression.columns.iter().filter(|it| !seen.contains(it)).copied().collect();
                    seen.extend(&new);
                    left.extend(new);
                }
                None if columns[column].generated.is_some() => return Err(unclear()),
                None => bases.push(column),
            }
        }
        columns[index].generated = Some(bases);
    }
    Ok(())
}

/// Asks SQLite for statements that read the columns, as following the table will.
fn find_unreadable(connection: &Connection, table: &str, columns: &mut [ShapeColumn]) -> Result<(), NoShape> {
    let refusal = |names: &[String]| -> rusqlite::Result<Option<String>> {
        let outcome = connection.prepare(&format!("SELECT {} FROM {}", names.join(", "), quoted(table)));
        match outcome.map(drop) {
            Ok(()) => Ok(None),
            // SQLite's general error: what the statement says cannot be.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => Ok(Some(words(&error))),
            Err(error) => Err(error),
        }
    };
    let names: Vec<String> = columns.iter().map(|it| quoted(&it.name)).collect();
    let Some(reason) = refusal(&names)? else { return Ok(()) };
    for (name, column) in names.into_iter().zip(columns.iter_mut()).filter(|it| it.1.generated.is_some()) {
        column.unreadable = refusal(&[name])?;
    }
    if columns.iter().any(|it| it.unreadable.is_some()) { Ok(()) } else { Err(NoShape::Refused(reason)) }
}

/// SQLite's message, without the statement it is about.
fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

fn uniques(connection: &Connection, table: &str, columns: &[ShapeColumn]) -> Result<Vec<Unique>, NoShape> {
    let mut list = connection.prepare_cached(
        "SELECT il.name, il.origin, il.partial, stored.sql FROM pragma_index_list(?1) AS il \
         LEFT JOIN sqlite_schema AS stored ON stored.type = 'index' AND stored.name = il.name \
         WHERE il.\"unique\" = 1 ORDER BY il.name",
    )?;
    type Listed = (String, String, bool, Option<String>);
    let indexes: Vec<Listed> = list
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let names: Vec<&str> = columns.iter().map(|it| it.name.as_str()).collect();
    let mut uniques = Vec::new();
    for (name, origin, partial, sql) in indexes {
        let unclear = || NoShape::Refused(format!("the statement of its unique index {name:?} is not understood"));
        let text = sql.map(|sql| index_text(&sql, &names).ok_or_else(unclear)).transpose()?;
        let (expressions, filter) = text.map_or((Vec::new(), None), |it| (it.parts, it.filter));
        if partial != filter.is_some() {
            return Err(unclear());
        }
        let mut info =
            connection.prepare_cached("SELECT cid, coll FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno")?;
        let mut rows = info.query([&name])?;
        let mut parts = Vec::new();
        while let Some(row) = rows.next()? {
            let column: i64 = row.get(0)?;
            parts.push(match usize::try_from(column) {
                Ok(column) => {
                    UniquePart::Column(Part { column, collation: row.get::<_, String>(1)?.to_ascii_uppercase() })
                }
                Err(_) => UniquePart::Expression(expressions.get(parts.len()).ok_or_else(unclear)?.clone()),
            });
        }
        uniques.push(Unique { parts, is_primary: origin == "pk", filter });
    }
    Ok(uniques)
}

/// Whether rows can be logged and asked for by the columns of `unique` in place of the rowid.
fn is_plain(unique: &Unique, columns: &[ShapeColumn]) -> bool {
    let is_plain = |part: &UniquePart| match part {
        UniquePart::Column(part) => {
            let column = &columns[part.column];
            part.is_built_in() && column.generated.is_none() && is_plain_key(&column.declared)
        }
        UniquePart::Expression(_) => false,
    };
    unique.filter.is_none() && unique.parts.iter().all(is_plain)
}

fn refuse_unusable_key(shape: &Shape) -> Result<(), NoShape> {
    match &shape.key {
        LogKey::Rowid { .. } if shape.rowid_name().is_none() => Err(NoShape::Refused(
            "it has no usable key: its columns take all names of the rowid (rowid, _rowid_, oid)".into(),
        )),
        LogKey::Rowid { .. } | LogKey::Columns { .. } => Ok(()),
    }
}

fn refuse_unusable_uniques(shape: &Shape) -> Result<(), NoShape> {
    match shape.uniques.iter().find(|it| shape.known_parts(it).is_empty()) {
        Some(unique) => Err(NoShape::Refused(format!(
            "a unique index on {} computes with the rowid only, so the rows REPLACE deletes cannot be known",
            shape.unique_words(unique)
        ))),
        None => Ok(()),
    }
}
