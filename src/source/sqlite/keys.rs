//! The set of keys of one table that a piece of the log names, each once, in an order that suits looking them up.

use std::collections::HashSet;

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

/// One value exactly as SQLite stores it; its text need not be UTF-8.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stored {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Stored {
    pub(super) fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Stored::Null => ValueRef::Null,
            Stored::Integer(it) => ValueRef::Integer(*it),
            Stored::Real(it) => ValueRef::Real(*it),
            Stored::Text(it) => ValueRef::Text(it),
            Stored::Blob(it) => ValueRef::Blob(it),
        }
    }
}

impl From<ValueRef<'_>> for Stored {
    fn from(value: ValueRef<'_>) -> Stored {
        match value {
            ValueRef::Null => Stored::Null,
            ValueRef::Integer(it) => Stored::Integer(it),
            ValueRef::Real(it) => Stored::Real(it),
            ValueRef::Text(it) => Stored::Text(it.into()),
            ValueRef::Blob(it) => Stored::Blob(it.into()),
        }
    }
}

impl ToSql for Stored {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.as_ref()))
    }
}

/// The keys: integers alone where they can be, else lists of stored values.
#[derive(Debug, Default)]
pub(super) struct Keys {
    integers: Vec<i64>,
    others: HashSet<Vec<u8>, foldhash::fast::RandomState>,
    /// How many of `integers` are known to be sorted and distinct.
    sorted: usize,
}

impl Keys {
    /// Adds a key of one integer.
    pub(super) fn add_integer(&mut self, key: i64) {
        // One row is often touched several times in a row.
        if self.integers.last() == Some(&key) {
            return;
        }
        self.integers.push(key);
        if self.integers.len() > 1024.max(2 * self.sorted) {
            self.compact();
        }
    }

    /// Adds a key of several values, or of one that is no integer.
    pub(super) fn add<'a>(&mut self, values: impl Iterator<Item = ValueRef<'a>>, scratch: &mut Vec<u8>) {
        scratch.clear();
        values.for_each(|it| encode(it, scratch));
        if !self.others.contains(scratch.as_slice()) {
            self.others.insert(scratch.clone());
        }
    }

    /// About how many there are: repeated integers may count up to twice.
    pub(super) fn len(&self) -> usize {
        self.integers.len() + self.others.len()
    }

    /// The integer keys, sorted.
    pub(super) fn integers(&mut self) -> &[i64] {
        self.compact();
        &self.integers
    }

    /// The other keys, sorted roughly as SQLite sorts them.
    pub(super) fn others(&self) -> Vec<Vec<Stored>> {
        let mut keys: Vec<_> = self.others.iter().collect();
        keys.sort_unstable();
        keys.into_iter().map(|it| decode(it)).collect()
    }

    fn compact(&mut self) {
        self.integers.sort_unstable();
        self.integers.dedup();
        self.sorted = self.integers.len();
    }
}

fn encode(value: ValueRef<'_>, out: &mut Vec<u8>) {
    let mut variable = |tag, bytes: &[u8]| {
        out.push(tag);
        out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        out.extend_from_slice(bytes);
    };
    match value {
        ValueRef::Null => out.push(0),
        ValueRef::Integer(it) => {
            out.push(1);
            out.extend_from_slice(&((it as u64) ^ (1 << 63)).to_be_bytes());
        }
        ValueRef::Real(it) => {
            out.push(2);
            out.extend_from_slice(&it.to_bits().to_be_bytes());
        }
        ValueRef::Text(it) => variable(3, it),
        ValueRef::Blob(it) => variable(4, it),
    }
}

fn decode(mut bytes: &[u8]) -> Vec<Stored> {
    let mut values = Vec::new();
    while let Some((tag, rest)) = bytes.split_first() {
        if *tag == 0 {
            values.push(Stored::Null);
            bytes = rest;
            continue;
        }
        let Some((word, rest)) = rest.split_first_chunk::<8>() else { break };
        let word = u64::from_be_bytes(*word);
        let length = if *tag >= 3 { word as usize } else { 0 };
        let (payload, rest) = rest.split_at(length.min(rest.len()));
        values.push(match tag {
            1 => Stored::Integer((word ^ (1 << 63)) as i64),
            2 => Stored::Real(f64::from_bits(word)),
            3 => Stored::Text(payload.into()),
            _ => Stored::Blob(payload.into()),
        });
        bytes = rest;
    }
    values
}
