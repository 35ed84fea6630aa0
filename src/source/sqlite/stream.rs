//! One look at the log: the keys touched since a position, and what became of them, in one read transaction.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::fault::Fault;
use super::keys::Keys;
use super::layout::Layout;
use super::log::Head;
use super::shape::{LogKey, Shape};
use crate::change::{Event, RowBuilder};

/// A log that names more keys than this is not read key by key: the tables are copied again, in chunks.
pub(super) const MANY: usize = 1_000_000;

/// What a look at the log found.
#[derive(Debug)]
pub(super) enum Found {
    /// These facts, up to this line of the log.
    Events(Vec<Event>, Head),
    /// The line of our position is gone or another one: this is not the log we read.
    WentBack(String),
    /// These readers' tables must be copied.
    Copy(Vec<usize>),
    /// More keys than can be looked up at once.
    TooMany,
}

/// Reads the log behind `from`; must run inside a read transaction. `copied[i]` is the end of the log before table
/// `i` was last copied: announcements up to there are settled.
pub(super) fn read(
    connection: &Connection,
    layout: &Layout,
    from: Head,
    copied: &[i64],
    limit: usize,
    builder: &mut RowBuilder,
) -> Result<Found, Fault> {
    let columns: Vec<_> = (1..=layout.key_width).map(|it| format!("k{it}")).collect();
    let sql = format!("SELECT id, nonce, tbl, {} FROM _vantage_changes WHERE id >= ?1 ORDER BY id", columns.join(", "));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([from.id])?;
    let mut head = from;
    match rows.next()? {
        Some(row) if row.get_ref(0)?.as_i64() == Ok(from.id) && row.get_ref(1)?.as_i64() == Ok(from.nonce) => {}
        _ => return Ok(Found::WentBack(format!("change {} is no longer the one that was read", from.id))),
    }
    let mut keys: Vec<Keys> = layout.readers.iter().map(|_| Keys::default()).collect();
    let mut copy = vec![false; layout.readers.len()];
    let mut scratch = Vec::new();
    let (mut lines, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        let corrupt = |what: &str| {
            let id = row.get::<_, i64>(0).unwrap_or_default();
            Fault::Halt(format!(
                "change {id} of the log is corrupt: {what}; `vantage capture remove` and `install` begin a new log"
            ))
        };
        let integer = |column: usize, name: &str| {
            row.get_ref(column)?.as_i64().map_err(|_| corrupt(&format!("its {name} is no integer")))
        };
        head = Head { id: integer(0, "id")?, nonce: integer(1, "nonce")? };
        let table = integer(2, "table")?;
        if table <= 0 {
            let named = layout.readers.iter().enumerate().filter(|(_, it)| table == 0 || it.id == -table);
            named.filter(|(index, _)| head.id > copied[*index]).for_each(|it| copy[it.0] = true);
            if table != 0 && !layout.known.contains(&-table) {
                return Err(corrupt(&format!("there is no table {}", -table)));
            }
            continue;
        }
        if last.is_none_or(|it: usize| layout.readers[it].id != table) {
            last = layout.readers.iter().position(|it| it.id == table);
        }
        let Some(index) = last else {
            if layout.known.contains(&table) {
                continue;
            }
            return Err(corrupt(&format!("there is no table {table}")));
        };
        let shape = &layout.readers[index].shape;
        collect(row, shape, &mut keys[index], &mut scratch)
            .map_err(|it| it.unwrap_or_else(|| corrupt("its key is not of the table's kind")))?;
        lines += 1;
        if lines % 65_536 == 0 && keys.iter().map(Keys::len).sum::<usize>() > limit {
            return Ok(Found::TooMany);
        }
    }
    if copy.contains(&true) {
        return Ok(Found::Copy((0..copy.len()).filter(|it| copy[*it]).collect()));
    }
    let mut events = Vec::with_capacity(keys.iter().map(Keys::len).sum());
    for (reader, keys) in layout.readers.iter().zip(&mut keys) {
        reader.look_up(connection, keys, builder, &mut events)?;
    }
    Ok(Found::Events(events, head))
}

/// Adds the key in `row`; `Err(None)` when it cannot be one.
fn collect(
    row: &rusqlite::Row<'_>,
    shape: &Shape,
    keys: &mut Keys,
    scratch: &mut Vec<u8>,
) -> Result<(), Option<Fault>> {
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
    let mut values = Vec::with_capacity(width);
    for place in 0..width {
        match value(place)? {
            ValueRef::Null => return Err(None),
            it => values.push(it),
        }
    }
    keys.add(values.into_iter(), scratch);
    Ok(())
}
