//! The journal: one entry an epoch, holding everything the epoch changed, until a checkpoint contains it.
//!
//! ```text
//! [format u8][checksum u64 of what follows][epoch u64][incarnation u64]
//! [count u32] × position                                changed positions
//! [count u32] × (key, present u8, value if present)     changed meta
//! [count u32] × (relation u32, row)                     changed rows and tombstones
//! ```
//! A position is the source's name, the log, the notation (u8: 0 number, 1 LSN) and, behind a count (u32), its parts:
//! name, place u64 and, behind a count (u32), the witness (i64 each). Integers are little-endian; names, logs, keys, values and rows are a u32 length and bytes. The
//! format is stored on disk: the golden test must only ever be extended. An entry that cannot be read back exactly
//! is a named error, it is never skipped.

use std::collections::BTreeMap;

use crate::change::{Notation, Place, Position, RelationId, Row};

use super::checksum::checksum;
use super::error::StoreError;
use super::log::FRAME;

const FORMAT: u8 = 2;
const HEADER: usize = 9;

/// Everything one epoch changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// New rows and tombstones, at most one for a relation and key, in any order.
    pub rows: Vec<(RelationId, Row)>,
    /// The positions that moved, by source name.
    pub positions: Vec<(String, Position)>,
    /// The engine's own notes by name; `None` removes one.
    pub meta: Vec<(String, Option<Vec<u8>>)>,
}

/// Replaces `out` by the entry of `commit`, behind the room its frame in the log takes.
pub(super) fn encode(epoch: u64, incarnation: u64, commit: &Commit, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[0; FRAME + HEADER]);
    out.extend_from_slice(&epoch.to_le_bytes());
    out.extend_from_slice(&incarnation.to_le_bytes());
    put_u32(commit.positions.len(), out);
    for (name, position) in &commit.positions {
        put_bytes(name.as_bytes(), out);
        put_position(position, out);
    }
    put_u32(commit.meta.len(), out);
    for (key, value) in &commit.meta {
        put_bytes(key.as_bytes(), out);
        out.push(u8::from(value.is_some()));
        if let Some(value) = value {
            put_bytes(value, out);
        }
    }
    put_u32(commit.rows.len(), out);
    for (relation, row) in &commit.rows {
        out.extend_from_slice(&relation.0.to_le_bytes());
        put_bytes(row.as_bytes(), out);
    }
    let (header, body) = out[FRAME..].split_at_mut(HEADER);
    header[0] = FORMAT;
    header[1..].copy_from_slice(&checksum(body).to_le_bytes());
}

/// An entry as it was read back.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) epoch: u64,
    pub(super) incarnation: u64,
    pub(super) commit: Commit,
}

/// Reads an entry that comes behind the one of epoch `last`.
pub(super) fn decode(last: u64, entry: &[u8]) -> Result<Entry, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("the journal entry behind epoch {last} {what}"));
    let (header, body) = entry.split_at_checked(HEADER).ok_or_else(|| corrupt("is cut off"))?;
    if header[0] != FORMAT {
        return Err(corrupt(&format!("has the unknown format {}", header[0])));
    }
    if header[1..] != checksum(body).to_le_bytes() {
        return Err(corrupt("does not match its checksum"));
    }
    let mut reader = Reader { rest: body };
    reader.entry().ok_or_else(|| corrupt("is malformed"))
}

fn put_position(position: &Position, out: &mut Vec<u8>) {
    put_bytes(position.log.as_bytes(), out);
    out.push(match position.notation {
        Notation::Number => 0,
        Notation::Lsn => 1,
    });
    put_u32(position.parts.len(), out);
    for (part, place) in &position.parts {
        put_bytes(part.as_bytes(), out);
        out.extend_from_slice(&place.at.to_le_bytes());
        put_u32(place.witness.len(), out);
        place.witness.iter().for_each(|it| out.extend_from_slice(&it.to_le_bytes()));
    }
}

fn put_u32(value: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value as u32).to_le_bytes());
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_u32(bytes.len(), out);
    out.extend_from_slice(bytes);
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn entry(&mut self) -> Option<Entry> {
        let (epoch, incarnation) = (self.u64()?, self.u64()?);
        let mut commit = Commit::default();
        for _ in 0..self.u32()? {
            commit.positions.push((self.text()?, self.position()?));
        }
        for _ in 0..self.u32()? {
            let key = self.text()?;
            let value = match self.take(1)? {
                [0] => None,
                [1] => Some(self.bytes()?.to_vec()),
                _ => return None,
            };
            commit.meta.push((key, value));
        }
        for _ in 0..self.u32()? {
            let relation = RelationId(self.u32()?);
            commit.rows.push((relation, Row::from_bytes(self.bytes()?)?));
        }
        self.rest.is_empty().then_some(Entry { epoch, incarnation, commit })
    }

    fn position(&mut self) -> Option<Position> {
        let log = self.text()?;
        let notation = match self.take(1)? {
            [0] => Notation::Number,
            [1] => Notation::Lsn,
            _ => return None,
        };
        let mut position = Position { log, notation, parts: BTreeMap::new() };
        for _ in 0..self.u32()? {
            let (part, at) = (self.text()?, self.u64()?);
            let mut witness = Vec::new();
            for _ in 0..self.u32()? {
                witness.push(self.u64()? as i64);
            }
            position.parts.insert(part, Place { at, witness });
        }
        Some(position)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn text(&mut self) -> Option<String> {
        Some(std::str::from_utf8(self.bytes()?).ok()?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Commit {
        Commit {
            rows: vec![(RelationId(3), Row::tombstone(b"k"))],
            positions: vec![("s".into(), Position { notation: Notation::Lsn, ..Position::whole("L", 5, &[-1]) })],
            meta: vec![("a".into(), Some(vec![9])), ("b".into(), None)],
        }
    }

    #[test]
    fn golden_bytes_never_change() {
        let mut entry = Vec::new();
        encode(258, 2, &sample(), &mut entry);
        let body = [
            &[2u8, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0][..],
            &[1, 0, 0, 0, 1, 0, 0, 0, b's', 1, 0, 0, 0, b'L', 1, 1, 0, 0, 0],
            &[0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
            &[255; 8],
            &[2, 0, 0, 0, 1, 0, 0, 0, b'a', 1, 1, 0, 0, 0, 9, 1, 0, 0, 0, b'b', 0],
            &[1, 0, 0, 0, 3, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, b'k'],
        ]
        .concat();
        let entry = &entry[FRAME..];
        assert_eq!(entry[0], 2);
        assert_eq!(entry[9..], body);
        assert_eq!(entry[1..9], checksum(&body).to_le_bytes());
    }

    #[test]
    fn entries_come_back_and_damage_is_named() {
        let mut entry = Vec::new();
        encode(7, 1, &sample(), &mut entry);
        let entry = &entry[FRAME..];
        assert_eq!(decode(6, entry).expect("own entry"), Entry { epoch: 7, incarnation: 1, commit: sample() });
        for at in 0..entry.len() {
            let mut damaged = entry.to_vec();
            damaged[at] ^= 4;
            let error = decode(6, &damaged).unwrap_err().to_string();
            assert!(error.contains("journal entry behind epoch 6"), "byte {at}: {error}");
            assert!(decode(6, &entry[..at]).is_err(), "cut at {at}");
        }
    }
}
