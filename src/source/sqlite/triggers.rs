//! The triggers that log touched keys: their text is a function of a table's shape, so drift shows as another text.
//!
//! AFTER triggers log the old and the new key. With `recursive_triggers` off, REPLACE deletes rows without firing
//! anything, so BEFORE triggers log the keys of all rows equal to the new one on any unique constraint, under the
//! constraint's collation. Only key columns and columns of unique constraints are named, which SQLite does not let
//! the owner drop anyway while the constraint stands.

use super::log::CHANGES;
use super::shape::{Affinity, LogKey, Part, Shape, Unique, quoted};

/// How the scanned table is called inside a trigger, so that no table's own name gets in the way.
const EQUAL: &str = "\"_vantage_equal\"";

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
    let mut triggers = vec![
        writer.trigger("insert", "AFTER INSERT", "", &[writer.log("NEW")]),
        writer.trigger("update", "AFTER UPDATE", "", &[writer.log("OLD"), writer.log_new_if_other()]),
        writer.trigger("delete", "AFTER DELETE", "", &[writer.log("OLD")]),
    ];
    let (conditions, statements) = writer.equal_rows();
    if !statements.is_empty() {
        let moved = format!("WHEN {} ", conditions.join(" OR "));
        triggers.push(writer.trigger("before_insert", "BEFORE INSERT", "", &statements));
        triggers.push(writer.trigger("before_update", "BEFORE UPDATE", &moved, &statements));
    }
    triggers
}

struct Writer<'a> {
    shape: &'a Shape,
    id: i64,
}

impl Writer<'_> {
    fn trigger(&self, suffix: &str, event: &str, when: &str, statements: &[String]) -> Trigger {
        let name = format!("{}{suffix}", prefix(self.id));
        let table = quoted(&self.shape.name);
        let body = statements.join("; ");
        Trigger { sql: format!("CREATE TRIGGER {} {event} ON {table} {when}BEGIN {body}; END", quoted(&name)), name }
    }

    /// The key of the row called `row`, as expressions.
    fn key(&self, row: &str) -> Vec<String> {
        match &self.shape.key {
            LogKey::Rowid { .. } => self.shape.rowid_name().iter().map(|it| format!("{row}.{it}")).collect(),
            LogKey::Columns(parts) => parts.iter().map(|it| self.column(row, it)).collect(),
        }
    }

    fn column(&self, row: &str, part: &Part) -> String {
        format!("{row}.{}", quoted(&self.shape.columns[part.column].name))
    }

    fn into(&self) -> String {
        let columns: Vec<_> = (1..=self.shape.key_width()).map(|it| format!("k{it}")).collect();
        format!("INSERT INTO \"{CHANGES}\"(tbl, {})", columns.join(", "))
    }

    fn log(&self, row: &str) -> String {
        format!("{} VALUES ({}, {})", self.into(), self.id, self.key(row).join(", "))
    }

    fn log_new_if_other(&self) -> String {
        let pairs = self.key("NEW").into_iter().zip(self.key("OLD"));
        let other: Vec<_> = pairs.map(|(new, old)| format!("{new} COLLATE BINARY IS NOT {old}")).collect();
        format!("{} SELECT {}, {} WHERE {}", self.into(), self.id, self.key("NEW").join(", "), other.join(" OR "))
    }

    /// For every constraint by which REPLACE may delete a row of another key: when an update touches it, and the
    /// statement that logs the rows equal to NEW on it.
    fn equal_rows(&self) -> (Vec<String>, Vec<String>) {
        let mut conditions = Vec::new();
        let mut statements = Vec::new();
        let select = format!(
            "{} SELECT {}, {} FROM {} AS {EQUAL} WHERE",
            self.into(),
            self.id,
            self.key(EQUAL).join(", "),
            quoted(&self.shape.name)
        );
        if let (LogKey::Columns(_), Some(rowid)) = (&self.shape.key, self.shape.rowid_name()) {
            conditions.push(format!("NEW.{rowid} IS NOT OLD.{rowid}"));
            statements.push(format!("{select} {EQUAL}.{rowid} = NEW.{rowid}"));
        }
        for unique in self.shape.uniques.iter().filter(|it| !self.is_logged_exactly(it)) {
            let side = |row: &str, it: &Part| format!("{} COLLATE {}", self.column(row, it), quoted(&it.collation));
            let parts = unique.parts.iter();
            conditions.extend(parts.map(|it| format!("{} IS NOT {}", side("NEW", it), self.column("OLD", it))));
            let parts = unique.parts.iter();
            let equal: Vec<_> = parts.map(|it| format!("{} = {}", side(EQUAL, it), self.column("NEW", it))).collect();
            statements.push(format!("{select} {}", equal.join(" AND ")));
        }
        (conditions, statements)
    }

    /// Whether rows equal on this constraint have the very key that is logged anyway.
    fn is_logged_exactly(&self, unique: &Unique) -> bool {
        let exact = |it: &Part| it.collation == "BINARY" && self.shape.columns[it.column].affinity() != Affinity::Blob;
        unique.is_primary && matches!(self.shape.key, LogKey::Columns(_)) && unique.parts.iter().all(exact)
    }
}
