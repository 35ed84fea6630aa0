//! A secondary index of a unique arrangement: the encoded values of some columns → the slots of their rows.
//!
//! Rows with NULL or an error in any of the columns are left out: no equality holds for them.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::change::{Collation, DataType, Datum, Delta, KeyColumn, Row, Schema, encode_datum};

/// From this many slots on a B-tree holds them, so that a hot key costs a logarithm and not a copy of its list.
const MANY: usize = 64;

#[derive(Debug)]
enum Slots {
    One(u32),
    Few(Vec<u32>),
    Many(BTreeSet<u32>),
}

/// Slots by the encoded values of some columns.
#[derive(Debug)]
pub(crate) struct Index {
    columns: Vec<(usize, DataType, Collation)>,
    entries: HashMap<Box<[u8]>, Slots, foldhash::fast::RandomState>,
    /// This epoch's deltas whose old row was under a key that their new row is not under.
    left: HashMap<Box<[u8]>, Vec<u32>, foldhash::fast::RandomState>,
    before: Vec<u8>,
    after: Vec<u8>,
    key_bytes: usize,
}

impl Index {
    pub(super) fn new(schema: &Schema, columns: &[usize]) -> Index {
        let column = |it: &usize| (*it, schema.columns[*it].data_type, schema.columns[*it].collation);
        Index {
            columns: columns.iter().map(column).collect(),
            entries: HashMap::default(),
            left: HashMap::default(),
            before: Vec::new(),
            after: Vec::new(),
            key_bytes: 0,
        }
    }

    pub(super) fn slots<'a>(&'a self, key: &[u8]) -> impl Iterator<Item = u32> + use<'a> {
        let (one, few, many) = match self.entries.get(key) {
            Some(Slots::One(it)) => (Some(*it), None, None),
            Some(Slots::Few(it)) => (None, Some(it), None),
            Some(Slots::Many(it)) => (None, None, Some(it)),
            None => (None, None, None),
        };
        one.into_iter().chain(few.into_iter().flatten().copied()).chain(many.into_iter().flatten().copied())
    }

    pub(super) fn left<'a>(&'a self, key: &[u8]) -> impl Iterator<Item = u32> + use<'a> {
        self.left.get(key).into_iter().flatten().copied()
    }

    /// Whether `row` belongs under `key`.
    pub(super) fn is_under(&self, row: &Row, key: &[u8]) -> bool {
        let mut own = Vec::with_capacity(key.len());
        encode(&self.columns, row, &mut own) && own == key
    }

    /// Remembers that the old row of delta number `at` was under a key its new row is not under.
    pub(super) fn note_left(&mut self, delta: &Delta, at: u32) {
        let Some(old) = &delta.old else { return };
        if !encode(&self.columns, old, &mut self.before) {
            return;
        }
        let stays = delta.new.as_ref().is_some_and(|it| encode(&self.columns, it, &mut self.after))
            && self.before == self.after;
        if !stays {
            match self.left.get_mut(&self.before[..]) {
                Some(list) => list.push(at),
                None => {
                    self.left.insert(self.before.as_slice().into(), vec![at]);
                }
            }
        }
    }

    /// Moves `slot` from the key of `old` to the key of `new`.
    pub(super) fn update(&mut self, slot: u32, old: Option<&Row>, new: Option<&Row>) {
        let had = old.is_some_and(|it| encode(&self.columns, it, &mut self.before));
        let has = new.is_some_and(|it| encode(&self.columns, it, &mut self.after));
        if had && has && self.before == self.after {
            return;
        }
        if had {
            self.remove(slot);
        }
        if has {
            self.insert(slot);
        }
    }

    pub(super) fn forget(&mut self) {
        self.left.clear();
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.left.clear();
        self.key_bytes = 0;
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let lists = self.entries.values().map(|it| match it {
            Slots::One(_) => 0,
            Slots::Few(list) => list.capacity() * 4,
            Slots::Many(set) => set.len() * 8,
        });
        self.entries.capacity() * (size_of::<(Box<[u8]>, Slots)>() + 1) + self.key_bytes + lists.sum::<usize>()
    }

    /// Adds `slot` under the key in `after`.
    fn insert(&mut self, slot: u32) {
        match self.entries.get_mut(&self.after[..]) {
            None => {
                self.key_bytes += self.after.len();
                self.entries.insert(self.after.as_slice().into(), Slots::One(slot));
            }
            Some(slots) => match slots {
                Slots::One(other) => {
                    let pair = [slot.min(*other), slot.max(*other)];
                    *slots = Slots::Few(pair.into());
                }
                Slots::Few(list) if list.len() < MANY => {
                    let at = list.partition_point(|it| *it < slot);
                    list.insert(at, slot);
                }
                Slots::Few(list) => *slots = Slots::Many(list.iter().copied().chain([slot]).collect()),
                Slots::Many(set) => {
                    set.insert(slot);
                }
            },
        }
    }

    /// Takes `slot` from under the key in `before`.
    fn remove(&mut self, slot: u32) {
        let Some(slots) = self.entries.get_mut(&self.before[..]) else { return };
        let empty = match slots {
            Slots::One(_) => true,
            Slots::Few(list) => {
                if let Ok(at) = list.binary_search(&slot) {
                    list.remove(at);
                }
                list.is_empty()
            }
            Slots::Many(set) => {
                set.remove(&slot);
                set.is_empty()
            }
        };
        if empty {
            self.entries.remove(&self.before[..]);
            self.key_bytes -= self.before.len();
        }
    }
}

/// The encoded columns of `row`, or `false` when NULL or an error is among them.
fn encode(columns: &[(usize, DataType, Collation)], row: &Row, out: &mut Vec<u8>) -> bool {
    out.clear();
    for (column, data_type, collation) in columns {
        match row.get(*column, *data_type) {
            Datum::Null | Datum::Error(_) => return false,
            datum => encode_datum(datum, KeyColumn::ascending(*column), *collation, out),
        }
    }
    true
}
