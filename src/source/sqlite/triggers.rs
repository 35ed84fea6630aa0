//! The triggers that log touched keys: their text is a function of a table's shape, so drift shows as another text.
//!
//! AFTER triggers log the old and the new key. With `recursive_triggers` off, REPLACE deletes rows without firing
//! anything, so BEFORE triggers log the keys of all rows equal to the new one on any unique constraint, as the
//! constraint compares. A key too many does no harm, since keys are only looked up again. Only columns are named that
//! a key or a unique constraint reads, which SQLite does not let the owner drop anyway while the constraint stands.
//!
//! Nobody but the writers deletes from the log: now and then a write takes the oldest lines away, in its own
//! transaction. So no reader ever holds the lock for writing, and no writer is refused because of one.

use super::index::Expression;
use super::log::{CHANGES, KEPT};
use super::shape::{LogKey, Part, Shape, Unique, UniquePart, quoted};
use super::types::Affinity;

/// How the scanned table is called inside a trigger, so that no table's own name gets in the way.
const EQUAL: &str = "\"_vantage_equal\"";
/// One write in so many looks whether the log is too long…
const WRITES_PER_CUT: i64 = 64;
/// …and deletes at most so many lines: more than are added in between, so that a long log becomes shorter, and few
/// enough for the write to take no noticeable time.
const CUT_LINES: i64 = 1024;

/// One trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trigger {
    pub(super) name: String,
    pub(super) sql: String,
}

/// What the name of every trigger of capture `id` begins with.
pub(super) fn prefix(id: i64) -> String {
    format!("_vantage_{id}_")
}

/// The triggers that capture a table of this shape under `id`.
pub(super) fn triggers(shape: &Shape, id: i64) -> Vec<Trigger> {
    let writer = Writer { shape, id };
    let cut = cut();
    let moved = writer.key("NEW").into_iter().zip(writer.key("OLD"));
    let moved: Vec<_> = moved.map(|(new, old)| format!("{new} COLLATE BINARY IS NOT {old}")).collect();
    let update_key = match &shape.key {
        LogKey::Columns { parts, nullable: false } => writer.update("AFTER", parts.iter().map(|it| it.column)),
        // The rowid has three more names, by any of which it may be set.
        LogKey::Columns { nullable: true, .. } | LogKey::Rowid { .. } => "AFTER UPDATE".into(),
    };
    let mut triggers = vec![
        writer.trigger("insert", "AFTER INSERT", &[], &[writer.log("NEW"), cut.clone()]),
        writer.trigger("update", "AFTER UPDATE", &[], &[writer.log("OLD"), cut.clone()]),
        writer.trigger("update_key", &update_key, &moved, &[writer.log("NEW")]),
        writer.trigger("delete", "AFTER DELETE", &[], &[writer.log("OLD"), cut]),
    ];
    let collisions = writer.collisions();
    if !collisions.is_empty() {
        let statements: Vec<_> = collisions.iter().flat_map(|it| it.statements.iter().cloned()).collect();
        triggers.push(writer.trigger("before_insert", "BEFORE INSERT", &[], &statements));
    }
    for (place, it) in collisions.iter().enumerate() {
        triggers.push(writer.trigger(&format!("before_update_{}", place + 1), &it.update, &it.moved, &it.statements));
    }
    triggers
}

/// The unique constraints, in words, by which a write that sets them looks for equal rows.
pub(super) fn lookups(shape: &Shape) -> Vec<String> {
    Writer { shape, id: 0 }.collisions().into_iter().filter_map(|it| it.words).collect()
}

/// Whether a write looks for a row of the same rowid although rows have another key.
pub(super) fn looks_for_rowid(shape: &Shape) -> bool {
    Writer { shape, id: 0 }.collisions().iter().any(|it| it.words.is_none())
}

/// The statement that keeps the log short. `random` decides, because the ids that one trigger sees may follow a
/// pattern. SQLite computes the bound once and reads from the lower end of the log, where it mostly stops at once.
fn cut() -> String {
    format!(
        "DELETE FROM \"{CHANGES}\" WHERE id <= CASE WHEN random() % {WRITES_PER_CUT} = 0 \
         THEN min((SELECT max(id) FROM \"{CHANGES}\") - {KEPT}, (SELECT min(id) FROM \"{CHANGES}\") + {}) ELSE 0 END",
        CUT_LINES - 1
    )
}

/// How rows that REPLACE may delete for one constraint are found.
struct Collision {
    /// The constraint; `None` for that of the rowid, which nobody declares.
    words: Option<String>,
    /// The event of updates that may move a row onto another.
    update: String,
    /// When one does; always, if empty.
    moved: Vec<String>,
    /// What logs the rows equal to NEW.
    statements: Vec<String>,
}

struct Writer<'a> {
    shape: &'a Shape,
    id: i64,
}

impl Writer<'_> {
    fn trigger(&self, suffix: &str, event: &str, conditions: &[String], statements: &[String]) -> Trigger {
        let name = format!("{}{suffix}", prefix(self.id));
        let table = quoted(&self.shape.name);
        let when = match conditions {
            [] => String::new(),
            some => format!("WHEN {} ", some.join(" OR ")),
        };
        let body = statements.join("; ");
        Trigger { sql: format!("CREATE TRIGGER {} {event} ON {table} {when}BEGIN {body}; END", quoted(&name)), name }
    }

    /// The event of an update that may change one of `columns`. An update that sets none of them does not even
    /// compile the trigger, so it needs no collation or function the trigger uses.
    fn update(&self, time: &str, columns: impl Iterator<Item = usize>) -> String {
        let mut columns: Vec<_> = columns.flat_map(|it| self.shape.bases(it)).collect();
        columns.sort_unstable();
        columns.dedup();
        // The rowid has three more names to be set by.
        let is_rowid = |it: &usize| self.shape.key == LogKey::Rowid { alias: Some(*it) };
        if columns.is_empty() || columns.iter().any(is_rowid) {
            return format!("{time} UPDATE");
        }
        let names: Vec<_> = columns.iter().map(|it| quoted(&self.shape.columns[*it].name)).collect();
        format!("{time} UPDATE OF {}", names.join(", "))
    }

    /// The key of the row called `row`, as expressions.
    fn key(&self, row: &str) -> Vec<String> {
        match &self.shape.key {
            LogKey::Rowid { .. } => self.shape.rowid_name().iter().map(|it| format!("{row}.{it}")).collect(),
            LogKey::Columns { parts, .. } => {
                let columns = parts.iter().map(|it| self.column(row, it.column));
                columns.chain(self.shape.rowid_of_null(&format!("{row}."))).collect()
            }
        }
    }

    fn column(&self, row: &str, column: usize) -> String {
        format!("{row}.{}", quoted(&self.shape.columns[column].name))
    }

    fn into(&self) -> String {
        let columns: Vec<_> = (1..=self.shape.key_width()).map(|it| format!("k{it}")).collect();
        format!("INSERT INTO \"{CHANGES}\"(tbl, {})", columns.join(", "))
    }

    fn log(&self, row: &str) -> String {
        format!("{} VALUES ({}, {})", self.into(), self.id, self.key(row).join(", "))
    }

    /// The statement that logs the rows that fulfil `conditions`.
    fn log_where(&self, conditions: &[String]) -> String {
        format!(
            "{} SELECT {}, {} FROM {} AS {EQUAL} WHERE {}",
            self.into(),
            self.id,
            self.key(EQUAL).join(", "),
            quoted(&self.shape.name),
            conditions.join(" AND ")
        )
    }

    /// For every constraint by which REPLACE may delete a row of another key.
    fn collisions(&self) -> Vec<Collision> {
        let mut collisions = Vec::new();
        if let (LogKey::Columns { .. }, Some(rowid)) = (&self.shape.key, self.shape.rowid_name()) {
            collisions.push(Collision {
                words: None,
                update: "BEFORE UPDATE".into(),
                moved: vec![format!("NEW.{rowid} IS NOT OLD.{rowid}")],
                statements: vec![self.log_where(&[format!("{EQUAL}.{rowid} = NEW.{rowid}")])],
            });
        }
        let uniques = self.shape.uniques.iter().filter(|it| !self.is_logged_exactly(it));
        collisions.extend(uniques.map(|it| self.collision(it)));
        collisions
    }

    fn collision(&self, unique: &Unique) -> Collision {
        let parts = self.shape.known_parts(unique);
        let plain: Vec<Part> = unique.columns();
        let computed = || {
            let expressions = unique.parts.iter().filter_map(|it| match it {
                UniquePart::Expression(expression) => Some(expression),
                UniquePart::Column(_) => None,
            });
            expressions.chain(&unique.filter)
        };
        let read = plain.iter().map(|it| it.column).chain(computed().flat_map(|it| it.columns.iter().copied()));
        // What is computed may differ for values that are equal, so there any update of what it reads counts.
        let moved = match computed().next() {
            Some(_) => Vec::new(),
            None => plain
                .iter()
                .map(|it| format!("{} IS NOT {}", self.collated("NEW", it), self.column("OLD", it.column)))
                .collect(),
        };
        let equal = parts.iter().map(|it| match it {
            UniquePart::Column(part) => {
                format!("{} = {}", self.collated(EQUAL, part), self.column("NEW", part.column))
            }
            UniquePart::Expression(it) => format!("({}) = {}", it.text, self.computed_from_new(it)),
        });
        // With its own condition SQLite finds a partial index again.
        let filter = unique.filter.iter().map(|it| format!("({})", it.text));
        let equal: Vec<_> = equal.chain(filter).chain(self.mention_bases(&parts)).collect();
        let mut statements = vec![self.log_where(&equal)];
        statements.extend(self.announce_unknown(&parts));
        let update = match unique.filter.as_ref().is_some_and(|it| it.reads_rowid) {
            true => "BEFORE UPDATE".into(),
            false => self.update("BEFORE", read),
        };
        Collision { words: Some(self.shape.unique_words(unique)), update, moved, statements }
    }

    /// Conditions that are always true, but name what generated columns are computed from: SQLite gives an update's
    /// BEFORE triggers only the columns they name, and computes generated ones from these.
    fn mention_bases(&self, parts: &[&UniquePart]) -> Vec<String> {
        let read = parts.iter().flat_map(|it| match it {
            UniquePart::Column(part) => vec![part.column],
            UniquePart::Expression(it) => it.columns.clone(),
        });
        let generated = read.filter_map(|it| self.shape.columns[it].generated.clone());
        let mut bases: Vec<_> = generated.flatten().map(|it| self.column("NEW", it)).collect();
        bases.sort_unstable();
        bases.dedup();
        bases.iter().map(|it| format!("{it} IS {it}")).collect()
    }

    fn collated(&self, row: &str, part: &Part) -> String {
        format!("{} COLLATE {}", self.column(row, part.column), quoted(&part.collation))
    }

    /// The value of an index's expression for the row that is written: SQLite resolves it over a table of one row
    /// that has the columns' names, so that nothing needs to be known of what the expression says.
    fn computed_from_new(&self, expression: &Expression) -> String {
        if expression.columns.is_empty() {
            return format!("({})", expression.text);
        }
        let cells = expression.columns.iter().map(|it| {
            let (new, column) = (self.column("NEW", *it), &self.shape.columns[*it]);
            let name = quoted(&column.name);
            // NEW's columns have no affinity. A cast gives it to them, and leaves values of the usual classes alone.
            match affinity_name(column.affinity()).filter(|_| expression.compares) {
                Some(affinity) => format!("CAST({new} AS {affinity}) AS {name}"),
                None => format!("{new} AS {name}"),
            }
        });
        format!("(SELECT {} FROM (SELECT {}))", expression.text, cells.collect::<Vec<_>>().join(", "))
    }

    /// The statement that tells readers to copy the table again when it cannot be known before the write which rows
    /// are equal to NEW: REPLACE puts defaults in the place of NULLs later, and a comparison may see a value of a
    /// class that a column of its type seldom holds.
    fn announce_unknown(&self, parts: &[&UniquePart]) -> Option<String> {
        let mut conditions = Vec::new();
        for part in parts {
            let (columns, compares) = match part {
                UniquePart::Column(part) => (vec![part.column], false),
                UniquePart::Expression(it) => (it.columns.clone(), it.compares),
            };
            for index in columns {
                let (new, column) = (self.column("NEW", index), &self.shape.columns[index]);
                if column.not_null && column.has_default {
                    conditions.push(format!("{new} IS NULL"));
                }
                let classes = usual_classes(column.affinity()).filter(|_| compares);
                conditions.extend(classes.map(|it| format!("typeof({new}) NOT IN ({it}, 'null')")));
            }
        }
        let conditions = Some(conditions.join(" OR ")).filter(|it| !it.is_empty())?;
        Some(format!("INSERT INTO \"{CHANGES}\"(tbl) SELECT -{} WHERE {conditions}", self.id))
    }

    /// Whether rows equal on this constraint have the very key that is logged anyway.
    fn is_logged_exactly(&self, unique: &Unique) -> bool {
        let column = |it: &UniquePart| match it {
            UniquePart::Column(part) => Some(part.clone()),
            UniquePart::Expression(_) => None,
        };
        let exact = |it: &Part| it.collation == "BINARY" && self.shape.columns[it.column].affinity() != Affinity::Blob;
        match &self.shape.key {
            LogKey::Columns { parts, .. } => {
                let is_key = unique.filter.is_none() && unique.columns() == *parts;
                is_key && unique.parts.iter().all(|it| column(it).is_some_and(|it| exact(&it)))
            }
            LogKey::Rowid { alias } => unique.columns().iter().any(|it| Some(it.column) == *alias),
        }
    }
}

/// A type of this affinity, to which a cast changes none of [`usual_classes`].
fn affinity_name(affinity: Affinity) -> Option<&'static str> {
    match affinity {
        Affinity::Integer => Some("INTEGER"),
        Affinity::Real => Some("REAL"),
        Affinity::Numeric => Some("NUMERIC"),
        Affinity::Text => Some("TEXT"),
        Affinity::Blob => None,
    }
}

/// The storage classes that columns of an affinity usually hold.
fn usual_classes(affinity: Affinity) -> Option<&'static str> {
    match affinity {
        Affinity::Integer => Some("'integer'"),
        Affinity::Real => Some("'real'"),
        Affinity::Numeric => Some("'integer', 'real'"),
        Affinity::Text => Some("'text'"),
        Affinity::Blob => None,
    }
}
