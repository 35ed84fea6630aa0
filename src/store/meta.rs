//! Relation 0: what the store notes about itself and the engine's own notes, kept beside the rows.
//!
//! A checkpoint's file carries these too, so rows, positions and epoch change together by being taken in as one.
//!
//! | key in relation 0 | value |
//! |---|---|
//! | `e` | JSON: the epoch and incarnation of the checkpoint |
//! | `m` + name | a row with one Bytes cell: a note of the engine |
//! | `p` | JSON: the positions by source name |

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::change::{DataType, Datum, Position, RelationId, Row, RowBuilder};

use super::base::Base;
use super::database::Database;
use super::epoch::Positions;
use super::error::StoreError;
use super::range::{KeyRange, stored_key};

/// The relation of the store itself.
pub(super) const META: RelationId = RelationId(0);

const EPOCH: &[u8] = b"e";
const NOTE: u8 = b'm';
const POSITIONS: &[u8] = b"p";

/// Which checkpoint the rows of the database are of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CheckpointNote {
    pub(super) epoch: u64,
    pub(super) incarnation: u64,
}

/// The key and value that note the checkpoint; they come before every entry of a run.
pub(super) fn encode_checkpoint(note: CheckpointNote) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    Ok((stored_key(META, EPOCH), encode(&note)?))
}

/// The key and value that note the positions; they come behind every entry of relation 0 and before all others.
pub(super) fn encode_positions(positions: &Positions) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let positions: BTreeMap<&str, &Position> = positions.iter().map(|(name, it)| (&**name, &**it)).collect();
    Ok((stored_key(META, POSITIONS), encode(&positions)?))
}

/// The checkpoint the database holds; `None` before the first.
pub(super) fn read_checkpoint(database: &Database) -> Result<Option<CheckpointNote>, StoreError> {
    read(database, EPOCH)
}

/// The positions as of the checkpoint.
pub(super) fn read_positions(database: &Database) -> Result<Positions, StoreError> {
    let positions: BTreeMap<String, Position> = read(database, POSITIONS)?.unwrap_or_default();
    Ok(positions.into_iter().map(|(name, it)| (name.into(), Arc::new(it))).collect())
}

/// The engine's notes as of the checkpoint.
pub(super) fn read_notes(base: &Base) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
    let mut notes = BTreeMap::new();
    let cursor = base.cursor(META, &KeyRange::prefix(&[NOTE]), false, usize::MAX)?;
    let Some(mut cursor) = cursor else { return Ok(notes) };
    while cursor.key()?.is_some() {
        if let Some(row) = cursor.row()? {
            let (name, value) = note_of(&row)?;
            notes.insert(name, value);
        }
        cursor.advance();
    }
    Ok(notes)
}

/// The row of relation 0 a run holds for a changed note.
pub(super) fn note_row(name: &str, value: Option<&[u8]>) -> Row {
    let mut key = vec![NOTE];
    key.extend_from_slice(name.as_bytes());
    match value {
        None => Row::tombstone(&key),
        Some(value) => {
            let mut builder = RowBuilder::new();
            builder.push(Datum::Bytes(value), DataType::Bytes);
            builder.finish(&key)
        }
    }
}

/// Replaces the positions that moved, without touching what readers hold.
pub(super) fn move_positions(positions: &mut Arc<Positions>, moved: Vec<(String, Position)>) {
    if moved.is_empty() {
        return;
    }
    // Who holds the epoch before keeps its map; the names and positions in it are shared.
    let positions = Arc::make_mut(positions);
    for (name, position) in moved {
        let position = Arc::new(position);
        match positions.get_mut(name.as_str()) {
            Some(known) => *known = position,
            None => {
                positions.insert(name.into(), position);
            }
        }
    }
}

fn note_of(row: &Row) -> Result<(String, Vec<u8>), StoreError> {
    let corrupt = || StoreError::Corrupt(format!("the note under {:02x?} is malformed", row.key()));
    let name = row.key().get(1..).and_then(|name| std::str::from_utf8(name).ok()).ok_or_else(corrupt)?;
    if row.width() != 1 {
        return Err(corrupt());
    }
    match row.get(0, DataType::Bytes) {
        Datum::Bytes(value) => Ok((name.to_owned(), value.to_vec())),
        _ => Err(corrupt()),
    }
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Storage(format!("a note cannot be written: {error}")))
}

fn read<T: DeserializeOwned>(database: &Database, key: &[u8]) -> Result<Option<T>, StoreError> {
    let Some(value) = database.get(&stored_key(META, key))? else { return Ok(None) };
    let parsed = serde_json::from_slice(&value);
    parsed.map(Some).map_err(|error| StoreError::Corrupt(format!("the checkpoint's own note: {error}")))
}
