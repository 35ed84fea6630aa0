//! The base: a sight of the checkpointed rows that stays as it is, whatever is ingested later.

use std::sync::Arc;

use rocksdb::{DBRawIterator, ReadOptions, Snapshot};
use self_cell::self_cell;

use crate::change::{RelationId, Row};

use super::database::Database;
use super::error::StoreError;
use super::opening::{OPENING_ROWS, Opening, Openings, Span};
use super::range::{KeyRange, stored_key, write_stored_key};

/// How many misses are looked up in one call, which bounds the blocks pinned at a time.
const LOOKUP_KEYS_MAX: usize = 1024;

struct Sight<'a> {
    snapshot: Snapshot<'a>,
    reading: ReadOptions,
}

self_cell!(
    struct Pinned {
        owner: Arc<Database>,
        #[covariant]
        dependent: Sight,
    }
);

/// The checkpointed rows as of one checkpoint, whatever is ingested later.
pub(super) struct Base {
    pinned: Pinned,
    epoch: u64,
    openings: Openings,
}

impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Base").field("epoch", &self.epoch).finish()
    }
}

impl Base {
    /// What `database` holds now, which is the state after `epoch`.
    pub(super) fn new(database: Arc<Database>, epoch: u64) -> Base {
        let pinned = Pinned::new(database, |database| {
            let snapshot = database.rows().snapshot();
            let mut reading = ReadOptions::default();
            reading.set_snapshot(&snapshot);
            Sight { snapshot, reading }
        });
        Base { pinned, epoch, openings: Openings::default() }
    }

    /// The epoch whose state this is.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn get(&self, relation: RelationId, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let mut stored = Vec::new();
        write_stored_key(relation, key, &mut stored);
        let reading = &self.pinned.borrow_dependent().reading;
        let found = self.pinned.borrow_owner().rows().get_pinned_opt(&stored, reading)?;
        found.map(|value| row_of(&stored, &value)).transpose()
    }

    /// The rows of `keys`, which are sorted.
    pub(super) fn get_sorted(&self, relation: RelationId, keys: &[&[u8]]) -> Result<Vec<Option<Row>>, StoreError> {
        let database = self.pinned.borrow_owner();
        let family = database.family()?;
        let reading = &self.pinned.borrow_dependent().reading;
        let mut rows = Vec::with_capacity(keys.len());
        for keys in keys.chunks(LOOKUP_KEYS_MAX) {
            let stored: Vec<Vec<u8>> = keys.iter().map(|key| stored_key(relation, key)).collect();
            let found = database.rows().batched_multi_get_cf_opt(family, &stored, true, reading);
            for (stored, value) in stored.iter().zip(found) {
                rows.push(value?.map(|value| row_of(stored, &value)).transpose()?);
            }
        }
        Ok(rows)
    }

    /// A cursor over the rows of `range`, of which a reader wants about `limit`; `None` when the range holds nothing.
    pub(super) fn cursor(
        &self,
        relation: RelationId,
        range: &KeyRange,
        reverse: bool,
        limit: usize,
    ) -> Result<Option<BaseCursor<'_>>, StoreError> {
        let Some((lower, upper)) = range.stored(relation) else { return Ok(None) };
        let span = Span { lower, upper, reverse };
        let (opening, behind) = if limit <= OPENING_ROWS {
            (self.openings.get_or_read(&span, || self.read_opening(&span))?, None)
        } else {
            (Arc::default(), Some(self.iterator(span.clone())))
        };
        let mut cursor = BaseCursor { base: self, span, opening, at: 0, behind };
        cursor.go_on();
        Ok(Some(cursor))
    }

    fn read_opening(&self, span: &Span) -> Result<Opening, StoreError> {
        let mut rows = Vec::with_capacity(OPENING_ROWS);
        let mut found = self.iterator(span.clone());
        while rows.len() < OPENING_ROWS
            && let Some((stored, value)) = found.item()
        {
            rows.push(row_of(stored, value)?);
            step(&mut found, span.reverse);
        }
        found.status()?;
        Ok(Opening { is_all: !found.valid(), rows })
    }

    /// RocksDB's own cursor, at the first row of `span`.
    fn iterator(&self, span: Span) -> DBRawIterator<'_> {
        let mut reading = ReadOptions::default();
        reading.set_iterate_lower_bound(span.lower);
        if let Some(upper) = span.upper {
            reading.set_iterate_upper_bound(upper);
        }
        let mut rows = self.pinned.borrow_dependent().snapshot.raw_iterator_opt(reading);
        if span.reverse {
            rows.seek_to_last();
        } else {
            rows.seek_to_first();
        }
        rows
    }
}

/// A place among the checkpointed rows of a range: in its opening, or behind that.
pub(super) struct BaseCursor<'a> {
    base: &'a Base,
    span: Span,
    opening: Arc<Opening>,
    /// How much of the opening has been passed.
    at: usize,
    behind: Option<DBRawIterator<'a>>,
}

impl BaseCursor<'_> {
    /// The key of the row here; `None` at the end, unless reading failed.
    pub(super) fn key(&self) -> Result<Option<&[u8]>, StoreError> {
        match (self.opening.rows.get(self.at), &self.behind) {
            (Some(row), _) => Ok(Some(row.key())),
            (None, Some(behind)) => match behind.key() {
                Some(stored) => Ok(stored.get(4..)),
                None => behind.status().map(|()| None).map_err(StoreError::from),
            },
            (None, None) => Ok(None),
        }
    }

    pub(super) fn row(&self) -> Result<Option<Row>, StoreError> {
        match (self.opening.rows.get(self.at), &self.behind) {
            (Some(row), _) => Ok(Some(row.clone())),
            (None, Some(behind)) => behind.item().map(|(stored, value)| row_of(stored, value)).transpose(),
            (None, None) => Ok(None),
        }
    }

    pub(super) fn advance(&mut self) {
        if self.at < self.opening.rows.len() {
            self.at += 1;
            self.go_on();
        } else if let Some(behind) = &mut self.behind {
            step(behind, self.span.reverse);
        }
    }

    /// Goes on behind the opening once that is used up, unless it was all there is.
    fn go_on(&mut self) {
        if self.at < self.opening.rows.len() || self.opening.is_all || self.behind.is_some() {
            return;
        }
        let rest = self.opening.rows.last().map(|last| self.span.behind(last.key()));
        self.behind = rest.map(|rest| self.base.iterator(rest));
    }
}

fn step(rows: &mut DBRawIterator<'_>, reverse: bool) {
    if reverse {
        rows.prev();
    } else {
        rows.next();
    }
}

fn row_of(stored: &[u8], value: &[u8]) -> Result<Row, StoreError> {
    let row = Row::from_bytes(value).filter(|row| !row.is_tombstone() && stored.get(4..) == Some(row.key()));
    row.ok_or_else(|| StoreError::Corrupt(format!("the value stored under {stored:02x?} is not its row")))
}
