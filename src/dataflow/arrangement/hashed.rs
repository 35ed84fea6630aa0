//! The unique arrangement: rows in a slab, found through a hash table that compares the key inside the row.

use hashbrown::HashTable;

use super::index::Index;
use crate::change::{Delta, Row, Schema};

/// No slot.
pub(crate) const NOT_FOUND: u32 = u32::MAX;

/// How many probes are made at a time: enough for their cache misses to overlap, few enough for the first-level cache.
pub(crate) const PROBES: usize = 128;

/// Which sight of a relation within an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// As it was before the epoch.
    Old,
    /// With the epoch's deltas.
    New,
}

/// A slot and the 32 bits of hash that the key's whole hash is made of: a probe reads a row only when it is almost
/// surely the right one, and the table grows without reading any.
#[derive(Debug, Clone, Copy)]
struct Entry {
    slot: u32,
    tag: u32,
}

/// Rows by unique key, with secondary indexes.
#[derive(Debug, Default)]
pub(crate) struct Hashed {
    rows: Vec<Option<Row>>,
    free: Vec<u32>,
    table: HashTable<Entry>,
    hasher: foldhash::fast::RandomState,
    pub(super) indexes: Vec<Index>,
    bytes: usize,
    /// Whether the old side is asked for.
    remembers: bool,
    /// By slot, which delta of this epoch made its row what it is.
    changed: hashbrown::HashMap<u32, u32, foldhash::fast::RandomState>,
    /// Deltas of this epoch that left no row, by hash of the key.
    deleted: HashTable<u32>,
}

impl Hashed {
    /// An empty arrangement; `remembers` when the old side will be asked for.
    pub(crate) fn new(schema: &Schema, indexes: &[Vec<usize>], remembers: bool) -> Hashed {
        let indexes = indexes.iter().map(|columns| Index::new(schema, columns)).collect();
        Hashed { indexes, remembers, ..Hashed::default() }
    }

    /// Whether the old side can be asked for.
    pub(crate) fn remembers(&self) -> bool {
        self.remembers
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The row in `slot`.
    #[inline]
    pub(crate) fn row(&self, slot: u32) -> Option<&Row> {
        self.rows.get(slot as usize)?.as_ref()
    }

    /// All rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().flatten()
    }

    /// The hash under which `key` is kept here.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        hash(&self.hasher, key)
    }

    /// The slot that almost surely holds the key with this hash: touches the table only, so that the cache misses
    /// of many probes in a row overlap. Settled by [`Hashed::confirm`].
    #[inline]
    pub(crate) fn candidate(&self, hash: u64) -> u32 {
        self.table.find(hash, |it| it.tag == hash as u32).map_or(NOT_FOUND, |it| it.slot)
    }

    /// Reads a little of the row in `slot`, so that its cache miss overlaps with those of the rows asked for next.
    #[inline]
    pub(crate) fn touch(&self, slot: u32) -> u8 {
        self.row(slot).map_or(0, |row| row.as_bytes()[0])
    }

    /// The slot of `key`, given the [`Hashed::candidate`] of its hash.
    #[inline]
    pub(crate) fn confirm(&self, candidate: u32, hash: u64, key: &[u8]) -> u32 {
        match self.row(candidate) {
            Some(row) if row.key() == key => candidate,
            None if candidate == NOT_FOUND => NOT_FOUND,
            _ => self.slot(hash, key),
        }
    }

    /// Appends the slots of `keys` in their order. All table look-ups come first, then all first touches of rows, then
    /// all comparisons, so that the cache misses overlap; best for [`PROBES`] keys at a time.
    pub(crate) fn find_all<'k>(&self, keys: impl Iterator<Item = &'k [u8]> + Clone, slots: &mut Vec<u32>) {
        let from = slots.len();
        slots.extend(keys.clone().map(|key| self.candidate(self.hash(key))));
        std::hint::black_box(slots[from..].iter().fold(0, |sum, it| sum ^ self.touch(*it)));
        for (slot, key) in slots[from..].iter_mut().zip(keys) {
            match self.row(*slot) {
                Some(row) if row.key() == key => {}
                None if *slot == NOT_FOUND => {}
                _ => *slot = self.find(key),
            }
        }
    }

    /// The slot of `key`.
    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> u32 {
        self.slot(self.hash(key), key)
    }

    /// The row with `key` now.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Row> {
        self.row(self.find(key))
    }

    /// The row with `key` on one side; `deltas` are this epoch's.
    pub(crate) fn get_side<'a>(&'a self, side: Side, key: &[u8], deltas: &'a [Delta]) -> Option<&'a Row> {
        let hash = self.hash(key);
        let slot = self.slot(hash, key);
        if side == Side::New || deltas.is_empty() {
            return self.row(slot);
        }
        if slot != NOT_FOUND {
            return match self.changed.get(&slot) {
                Some(delta) => deltas[*delta as usize].old.as_ref(),
                None => self.row(slot),
            };
        }
        let deleted = self.deleted.find(hash, |it| deltas[*it as usize].key() == key)?;
        deltas[*deleted as usize].old.as_ref()
    }

    /// The slots of the rows whose columns of index number `index` encode to `key` now.
    pub(crate) fn slots_by<'a>(&'a self, index: usize, key: &[u8]) -> impl Iterator<Item = u32> + use<'a> {
        self.indexes[index].slots(key)
    }

    /// Appends the rows whose columns of index number `index` encode to `key` on one side.
    pub(crate) fn rows_by<'a>(
        &'a self,
        side: Side,
        index: usize,
        key: &[u8],
        deltas: &'a [Delta],
        out: &mut Vec<&'a Row>,
    ) {
        let index = &self.indexes[index];
        let old = side == Side::Old && !deltas.is_empty();
        for slot in index.slots(key) {
            match self.changed.get(&slot).filter(|_| old) {
                // A row that came to this key in this epoch was elsewhere before; one that left is added below.
                Some(delta) => {
                    let was = deltas[*delta as usize].old.as_ref();
                    out.extend(was.filter(|it| index.is_under(it, key)));
                }
                None => out.extend(self.row(slot)),
            }
        }
        if old {
            out.extend(index.left(key).filter_map(|delta| deltas[delta as usize].old.as_ref()));
        }
    }

    /// Whether any row's columns of index number `index` encode to `key` on one side.
    pub(crate) fn any_by(&self, side: Side, index: usize, key: &[u8], deltas: &[Delta]) -> bool {
        let index = &self.indexes[index];
        if side == Side::New || deltas.is_empty() {
            return index.slots(key).next().is_some();
        }
        let stayed = |slot: u32| match self.changed.get(&slot) {
            Some(delta) => deltas[*delta as usize].old.as_ref().is_some_and(|it| index.is_under(it, key)),
            None => true,
        };
        index.left(key).next().is_some() || index.slots(key).any(stayed)
    }

    /// Makes room for `additional` rows.
    pub(crate) fn reserve(&mut self, additional: usize) {
        self.rows.reserve(additional);
        self.table.reserve(additional, |it| widened(it.tag));
    }

    /// Puts a row in; the row that had its key before, if any, is replaced.
    pub(crate) fn insert(&mut self, row: Row) -> u32 {
        let hash = self.hash(row.key());
        match self.slot(hash, row.key()) {
            NOT_FOUND => self.add(hash, row),
            slot => self.replace(slot, row),
        }
    }

    /// As [`Hashed::insert`]; where `old` is the very row that is here its key need not be compared.
    fn put(&mut self, old: Option<&Row>, row: Row) -> u32 {
        let hash = self.hash(row.key());
        let known = old.and_then(|old| {
            let is_old = |it: &Row| std::ptr::eq(it.as_bytes(), old.as_bytes());
            self.table.find(hash, |it| it.tag == hash as u32 && self.row(it.slot).is_some_and(is_old))
        });
        match known.map_or_else(|| self.slot(hash, row.key()), |it| it.slot) {
            NOT_FOUND => self.add(hash, row),
            slot => self.replace(slot, row),
        }
    }

    fn replace(&mut self, slot: u32, row: Row) -> u32 {
        self.bytes += row.as_bytes().len();
        let old = self.rows[slot as usize].replace(row);
        self.bytes -= old.as_ref().map_or(0, |it| it.as_bytes().len());
        let new = self.rows[slot as usize].as_ref();
        self.indexes.iter_mut().for_each(|it| it.update(slot, old.as_ref(), new));
        slot
    }

    fn add(&mut self, hash: u64, row: Row) -> u32 {
        self.bytes += row.as_bytes().len();
        let rows = &mut self.rows;
        let slot = self.free.pop().unwrap_or_else(|| {
            rows.push(None);
            (rows.len() - 1) as u32
        });
        rows[slot as usize] = Some(row);
        self.table.insert_unique(hash, Entry { slot, tag: hash as u32 }, |it| widened(it.tag));
        let new = self.rows[slot as usize].as_ref();
        self.indexes.iter_mut().for_each(|it| it.update(slot, None, new));
        slot
    }

    /// Takes the row with `key` out.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Row> {
        let hash = self.hash(key);
        let rows = &mut self.rows;
        let same = |it: &Entry| it.tag == hash as u32 && holds(rows, it.slot, key);
        let slot = self.table.find_entry(hash, same).ok()?.remove().0.slot;
        let old = rows[slot as usize].take();
        self.free.push(slot);
        self.indexes.iter_mut().for_each(|it| it.update(slot, old.as_ref(), None));
        self.bytes -= old.as_ref().map_or(0, |it| it.as_bytes().len());
        old
    }

    /// Takes this epoch's deltas in: the new side has them, the old side has not, until [`Hashed::forget`].
    pub(crate) fn apply(&mut self, deltas: &[Delta]) {
        for (at, delta) in deltas.iter().enumerate() {
            if at.is_multiple_of(PROBES) {
                self.warm(&deltas[at..deltas.len().min(at + PROBES)]);
            }
            let at = at as u32;
            if self.remembers {
                self.indexes.iter_mut().for_each(|it| it.note_left(delta, at));
            }
            match &delta.new {
                Some(row) => {
                    let slot = self.put(delta.old.as_ref(), row.clone());
                    if self.remembers {
                        self.changed.insert(slot, at);
                    }
                }
                None => {
                    self.remove(delta.key());
                    if self.remembers {
                        let hasher = &self.hasher;
                        let rehash = |it: &u32| hash(hasher, deltas[*it as usize].key());
                        self.deleted.insert_unique(hash(hasher, delta.key()), at, rehash);
                    }
                }
            }
        }
    }

    /// Reads the table and the slab where `deltas` belong, so that the cache misses overlap.
    fn warm(&self, deltas: &[Delta]) {
        let length = |it: u32| self.row(it).map_or(0, |row| row.as_bytes().len());
        let lengths = deltas.iter().map(|it| length(self.candidate(self.hash(it.key()))));
        std::hint::black_box(lengths.fold(0, |sum, it| sum ^ it));
    }

    /// Ends the epoch: old is new.
    pub(crate) fn forget(&mut self) {
        if self.remembers {
            self.changed.clear();
            self.deleted.clear();
            self.indexes.iter_mut().for_each(Index::forget);
        }
    }

    /// Drops all rows.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.free.clear();
        self.table.clear();
        self.bytes = 0;
        self.indexes.iter_mut().for_each(Index::clear);
        self.forget();
    }

    /// An estimate of the memory held: the rows' bytes, the slab, the table and the indexes.
    pub(crate) fn memory_bytes(&self) -> usize {
        const ROW_OVERHEAD: usize = 16;
        let slab = self.rows.capacity() * size_of::<Option<Row>>() + self.len() * ROW_OVERHEAD;
        let table = self.table.capacity() * (size_of::<Entry>() + 1);
        self.bytes + slab + table + self.indexes.iter().map(Index::memory_bytes).sum::<usize>()
    }

    #[inline]
    fn slot(&self, hash: u64, key: &[u8]) -> u32 {
        let same = |it: &Entry| it.tag == hash as u32 && holds(&self.rows, it.slot, key);
        self.table.find(hash, same).map_or(NOT_FOUND, |it| it.slot)
    }
}

fn hash(hasher: &foldhash::fast::RandomState, key: &[u8]) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut state = hasher.build_hasher();
    state.write(key);
    let hash = state.finish();
    widened((hash ^ hash >> 32) as u32)
}

/// The hash the table uses: the tag below, because buckets are chosen by the lower bits, and its bits mixed above,
/// where the table takes what it compares first.
fn widened(tag: u32) -> u64 {
    u64::from(tag.wrapping_mul(0x9E37_79B1)) << 32 | u64::from(tag)
}

fn holds(rows: &[Option<Row>], slot: u32, key: &[u8]) -> bool {
    rows[slot as usize].as_ref().is_some_and(|row| row.key() == key)
}
