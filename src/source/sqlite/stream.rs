//! One look at the log: the keys touched since a position, and what became of them, in one read transaction.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row as SqlRow};

use super::fault::Fault;
use super::keys::Keys;
use super::layout::{Followed, Layout};
use super::log::{Head, KEPT};
use super::shape::{LogKey, Shape};
use crate::change::{Event, RowBuilder, TableId};

/// A log that names more keys than this is not read key by key: the tables are copied again, in chunks.
const MANY: usize = 1_000_000;
/// After this many lines it is decided whether to read on.
const SLICE_LINES: usize = 65_536;

/// How far one look reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To the end of the log, which is then one consistent step.
    End,
    /// A slice, as long as every table is being copied and nothing is consistent yet: the keys of a long log, and
    /// their rows, are too many to be held at once.
    Slice,
}

/// What a look at the log found.
#[derive(Debug)]
pub(super) enum Found {
    /// These facts, up to this line, the end of the log.
    Events(Vec<Event>, Head),
    /// These facts, up to this line; there is more.
    Slice(Vec<Event>, Head),
    /// The line of our position is gone or another one, or later ones are missing: this is not the log we read.
    WentBack(String),
    /// These must be copied.
    Copy(Vec<TableId>),
    /// More keys than can be looked up at once.
    TooMany,
}

/// Reads the log behind `from`; must run inside a read transaction. `copied` is the end of the log before a table was
/// last copied: announcements up to there are settled.
pub(super) fn read(
    connection: &Connection,
    layout: &Layout,
    from: Head,
    copied: &BTreeMap<TableId, i64>,
    reach: Reach,
    builder: &mut RowBuilder,
) -> Result<Found, Fault> {
    let columns: Vec<_> = (1..=layout.key_width).map(|it| format!("k{it}")).collect();
    let sql = format!("SELECT id, nonce, tbl, {} FROM _vantage_changes WHERE id >= ?1 ORDER BY id", columns.join(", "));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([from.id])?;
    match rows.next()? {
        Some(row) if row.get_ref(0)?.as_i64() == Ok(from.id) && row.get_ref(1)?.as_i64() == Ok(from.nonce) => {}
        Some(row) if row.get_ref(0)?.as_i64().is_ok_and(|it| it > from.id) => {
            return Ok(Found::WentBack(format!(
                "the log no longer reaches back to change {}: writers keep about the last {KEPT} changes",
                from.id
            )));
        }
        _ => return Ok(Found::WentBack(format!("change {} is no longer the one that was read", from.id))),
    }
    let mut touched = Touched::new(layout, copied);
    let (mut head, mut lines, mut more) = (from, 0, false);
    while let Some(row) = rows.next()? {
        let last = head.id;
        head = touched.add(row)?;
        // Rolled back lines leave no gap: SQLite takes the numbers back with them.
        if head.id != last + 1 {
            return Ok(Found::WentBack(format!(
                "the changes between {last} and {} were deleted from the log",
                head.id
            )));
        }
        lines += 1;
        if lines % SLICE_LINES == 0 {
            if reach == Reach::Slice {
                more = true;
                break;
            }
            if touched.keys() > MANY {
                return Ok(Found::TooMany);
            }
        }
    }
    if !touched.announced.is_empty() {
        return Ok(Found::Copy(Vec::from_iter(touched.announced)));
    }
    let events = touched.look_up(connection, builder)?;
    Ok(if more { Found::Slice(events, head) } else { Found::Events(events, head) })
}

/// What the lines read so far touch.
struct Touched<'a> {
    layout: &'a Layout,
    copied: &'a BTreeMap<TableId, i64>,
    /// By table of the layout, the keys.
    keys: Vec<Keys>,
    /// What is to be copied.
    announced: BTreeSet<TableId>,
    /// The table of the last line: the next one is often of the same.
    last: Option<usize>,
    scratch: Vec<u8>,
}

impl<'a> Touched<'a> {
    fn new(layout: &'a Layout, copied: &'a BTreeMap<TableId, i64>) -> Touched<'a> {
        let keys = layout.tables.iter().map(|_| Keys::default()).collect();
        Touched { layout, copied, keys, announced: BTreeSet::new(), last: None, scratch: Vec::new() }
    }

    /// Takes a line of the log in; its place.
    fn add(&mut self, row: &SqlRow<'_>) -> Result<Head, Fault> {
        let integer = |column: usize, name: &str| {
            row.get_ref(column)?.as_i64().map_err(|_| corrupt(row, &format!("its {name} is no integer")))
        };
        let head = Head { id: integer(0, "id")?, nonce: integer(1, "nonce")? };
        let table = integer(2, "table")?;
        if table <= 0 {
            self.announce(row, head.id, -table)?;
            return Ok(head);
        }
        let tables = &self.layout.tables;
        if self.last.is_none_or(|it| tables[it].id != table) {
            self.last = tables.iter().position(|it| it.id == table);
        }
        match self.last {
            Some(index) => {
                let collected = collect(row, &tables[index].shape, &mut self.keys[index], &mut self.scratch);
                collected.map_err(|it| it.unwrap_or_else(|| corrupt(row, "its key is not of the table's kind")))?;
            }
            None => self.check_known(row, table)?,
        }
        Ok(head)
    }

    /// A line that tells readers to copy a table; 0 stands for all tables.
    fn announce(&mut self, row: &SqlRow<'_>, id: i64, table: i64) -> Result<(), Fault> {
        let named = self.layout.tables.iter().filter(|it| table == 0 || it.id == table).flat_map(Followed::declared);
        let is_settled = |it: &TableId| self.copied.get(it).is_some_and(|copied| id <= *copied);
        self.announced.extend(named.filter(|it| !is_settled(it)));
        if table == 0 { Ok(()) } else { self.check_known(row, table) }
    }

    /// A table that is not followed here must at least have been captured once.
    fn check_known(&self, row: &SqlRow<'_>, table: i64) -> Result<(), Fault> {
        if self.layout.known.contains(&table) {
            Ok(())
        } else {
            Err(corrupt(row, &format!("there is no table {table}")))
        }
    }

    /// About how many keys there are.
    fn keys(&self) -> usize {
        self.keys.iter().map(Keys::len).sum()
    }

    /// What became of every key, for every declaration of its table.
    fn look_up(&mut self, connection: &Connection, builder: &mut RowBuilder) -> Result<Vec<Event>, Fault> {
        let mut events = Vec::with_capacity(self.keys());
        for (table, keys) in self.layout.tables.iter().zip(&mut self.keys) {
            for reader in &table.readers {
                let done = reader.look_up(connection, keys, builder, &mut events);
                done.map_err(|error| Fault::of_table(error, || table.declared()))?;
            }
        }
        Ok(events)
    }
}

fn corrupt(row: &SqlRow<'_>, what: &str) -> Fault {
    let id = row.get::<_, i64>(0).unwrap_or_default();
    Fault::Halt(format!(
        "change {id} of the log is corrupt: {what}; `vantage capture remove` and `install` begin a new log"
    ))
}

/// Adds the key in `row`; `Err(None)` when it cannot be one.
fn collect(row: &SqlRow<'_>, shape: &Shape, keys: &mut Keys, scratch: &mut Vec<u8>) -> Result<(), Option<Fault>> {
    let width = shape.key_width();
    let value = |place: usize| row.get_ref(3 + place).map_err(|it| Some(Fault::from(it)));
    match value(0)? {
        ValueRef::Integer(key) if width == 1 => {
            keys.add_integer(key);
            return Ok(());
        }
        _ if matches!(shape.key, LogKey::Rowid { .. }) => return Err(None),
        _ => {}
    }
    let values: Vec<ValueRef<'_>> = (0..width).map(value).collect::<Result<_, _>>()?;
    let is_null = |it: &ValueRef<'_>| matches!(it, ValueRef::Null);
    let whole = match &shape.key {
        // The rowid stands where a part of the key is NULL, and nowhere else.
        LogKey::Columns { parts, nullable: true } => {
            values[..parts.len()].iter().any(is_null) == matches!(values[parts.len()], ValueRef::Integer(_))
        }
        _ => !values.iter().any(is_null),
    };
    if !whole {
        return Err(None);
    }
    keys.add(values.into_iter(), scratch);
    Ok(())
}
