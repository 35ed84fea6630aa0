//! The ordered arrangement: rows in the order of their encoded keys, read group by group from the front.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use super::hashed::Side;
use crate::change::{Delta, Row};

/// A row that compares by its key.
#[derive(Debug)]
struct ByKey(Row);

impl Borrow<[u8]> for ByKey {
    fn borrow(&self) -> &[u8] {
        self.0.key()
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &ByKey) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for ByKey {}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &ByKey) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &ByKey) -> Ordering {
        self.0.key().cmp(other.0.key())
    }
}

/// Rows in key order.
#[derive(Debug, Default)]
pub(crate) struct Ordered {
    rows: BTreeSet<ByKey>,
    bytes: usize,
}

impl Ordered {
    /// The rows whose keys start with `prefix` on one side, in key order; `deltas` are this epoch's, sorted by key.
    pub(crate) fn group<'a>(
        &'a self,
        side: Side,
        prefix: &'a [u8],
        deltas: &'a [Delta],
    ) -> impl Iterator<Item = &'a Row> {
        let deltas = if side == Side::New { &[] } else { deltas };
        let from = deltas.partition_point(|it| it.key() < prefix);
        let until = from + deltas[from..].partition_point(|it| it.key().starts_with(prefix));
        let range = (Bound::Included(prefix), Bound::Unbounded);
        let rows = self.rows.range::<[u8], _>(range).map(|it| &it.0);
        let rows = rows.take_while(move |it| it.key().starts_with(prefix));
        OldRows { rows: rows.peekable(), deltas: deltas[from..until].iter().peekable() }
    }

    /// The first row whose key starts with `prefix` now.
    pub(crate) fn first(&self, prefix: &[u8]) -> Option<&Row> {
        self.first_from(prefix).filter(|it| it.key().starts_with(prefix))
    }

    /// The first row whose key is not less than `key` now.
    pub(crate) fn first_from(&self, key: &[u8]) -> Option<&Row> {
        self.rows.range::<[u8], _>((Bound::Included(key), Bound::Unbounded)).next().map(|it| &it.0)
    }

    /// All rows in key order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().map(|it| &it.0)
    }

    /// Puts a row in; the row that had its key before, if any, is replaced.
    pub(crate) fn insert(&mut self, row: Row) {
        self.bytes += row.as_bytes().len();
        if let Some(ByKey(old)) = self.rows.replace(ByKey(row)) {
            self.bytes -= old.as_bytes().len();
        }
    }

    /// Takes this epoch's deltas in.
    pub(crate) fn apply(&mut self, deltas: &[Delta]) {
        for delta in deltas {
            match &delta.new {
                Some(row) => self.insert(row.clone()),
                None => {
                    if let Some(ByKey(old)) = self.rows.take(delta.key()) {
                        self.bytes -= old.as_bytes().len();
                    }
                }
            }
        }
    }

    /// Drops all rows.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.bytes = 0;
    }

    /// An estimate of the memory held.
    pub(crate) fn memory_bytes(&self) -> usize {
        const ENTRY: usize = 40;
        self.bytes + self.rows.len() * ENTRY
    }
}

/// The new rows with this epoch's deltas undone, in key order.
struct OldRows<'a, R: Iterator<Item = &'a Row>> {
    rows: std::iter::Peekable<R>,
    deltas: std::iter::Peekable<std::slice::Iter<'a, Delta>>,
}

impl<'a, R: Iterator<Item = &'a Row>> Iterator for OldRows<'a, R> {
    type Item = &'a Row;

    fn next(&mut self) -> Option<&'a Row> {
        loop {
            let Some(delta) = self.deltas.peek() else { return self.rows.next() };
            match self.rows.peek().map_or(Ordering::Greater, |it| it.key().cmp(delta.key())) {
                Ordering::Less => return self.rows.next(),
                Ordering::Equal => {
                    self.rows.next();
                }
                Ordering::Greater => {}
            }
            let old = self.deltas.next().and_then(|it| it.old.as_ref());
            if old.is_some() {
                return old;
            }
        }
    }
}
