//! Walking an access path: its rows, chunk by chunk.

use std::ops::Bound::{Excluded, Included, Unbounded};

use super::access::{Path, dangling, entry_key};
use super::served::Served;
use crate::change::{RelationId, Row};
use crate::store::{Epoch, KeyRange, StoreError};

/// How many rows are read at a time at most.
pub(crate) const CHUNK: usize = 1024;
/// About how many bytes are read at a time; before it is known how long rows are, [`FIRST`] rows.
const CHUNK_BYTES: usize = 512 << 10;
const FIRST: usize = 128;
/// How many ranges are looked into at a time, be there rows or not.
const RANGES: usize = 64;

/// One row a path leads to.
#[derive(Debug)]
pub(crate) struct Hit {
    /// Where the columns are: the index entry if the index covers them, else the relation's row.
    pub(crate) row: Row,
    /// The index entry that led to the row, if it is another.
    entry: Option<Row>,
}

impl Hit {
    /// About how many bytes it keeps.
    pub(crate) fn bytes(&self) -> usize {
        self.row.as_bytes().len() + self.entry.as_ref().map_or(0, |it| it.as_bytes().len())
    }

    /// Its place on the path.
    pub(crate) fn path_key(&self) -> &[u8] {
        self.entry.as_ref().unwrap_or(&self.row).key()
    }
}

/// What is left of a walk over a path.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The next one is the last.
    ranges: Vec<KeyRange>,
    lies_in: RelationId,
    points: bool,
    reverse: bool,
    /// Whether rows are index entries and the relation's rows have to be looked up.
    looks_up: bool,
    examined: usize,
    /// How many rows are read next at most.
    chunk: usize,
}

impl Walk {
    /// A walk over `ranges`, those of `path`, behind the path key `after` if there is one.
    pub(crate) fn new(path: &Path, served: &Served, mut ranges: Vec<KeyRange>, after: Option<&[u8]>) -> Walk {
        if let Some(after) = after {
            ranges = ranges.into_iter().filter_map(|it| behind(it, after, path.reverse)).collect();
        }
        if !path.reverse {
            ranges.reverse();
        }
        Walk {
            ranges,
            lies_in: path.lies_in(served),
            points: path.points,
            reverse: path.reverse,
            looks_up: path.index.is_some() && !path.covering,
            examined: 0,
            chunk: FIRST,
        }
    }

    /// A walk over the rows that `path` passes by only because of errors, and which are the relation's rows always.
    pub(crate) fn over_errors(path: &Path, served: &Served, epoch: &Epoch) -> Result<Walk, StoreError> {
        Ok(Walk {
            ranges: path.error_ranges(epoch, served)?,
            lies_in: path.lies_in(served),
            points: false,
            reverse: false,
            looks_up: path.index.is_some(),
            examined: 0,
            chunk: FIRST,
        })
    }

    /// How many rows and ranges were looked at.
    pub(crate) fn examined(&self) -> usize {
        self.examined
    }

    /// Whether nothing is left.
    pub(crate) fn is_at_end(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The next rows, about `wanted` of them, but not more than a caller may take without letting others run: there may
    /// be none, and more behind. `None` at the end. Residual conditions are not checked here.
    pub(crate) fn next(
        &mut self,
        epoch: &Epoch,
        served: &Served,
        wanted: usize,
    ) -> Result<Option<Vec<Hit>>, StoreError> {
        if self.is_at_end() {
            return Ok(None);
        }
        let found = if self.points { self.points(epoch)? } else { self.scan(epoch, wanted.clamp(1, self.chunk))? };
        if !self.looks_up {
            self.learn(&found);
            return Ok(Some(found.into_iter().map(|row| Hit { row, entry: None }).collect()));
        }
        let keys: Vec<Vec<u8>> = found.iter().map(|it| entry_key(it).to_vec()).collect();
        let rows = epoch.get_many(served.relation.id, &keys)?;
        let rows = rows.into_iter().map(|it| it.ok_or_else(|| dangling(served))).collect::<Result<Vec<Row>, _>>()?;
        self.learn(&rows);
        Ok(Some(rows.into_iter().zip(found).map(|(row, entry)| Hit { row, entry: Some(entry) }).collect()))
    }

    /// Reads about as many bytes the next time as it should, if rows go on to be as long as these.
    fn learn(&mut self, rows: &[Row]) {
        let bytes: usize = rows.iter().map(|it| it.as_bytes().len()).sum();
        if let Some(mean) = bytes.checked_div(rows.len()) {
            self.chunk = (CHUNK_BYTES / mean.max(1)).clamp(1, CHUNK);
        }
    }

    fn scan(&mut self, epoch: &Epoch, wanted: usize) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        for _ in 0..RANGES {
            let Some(range) = self.ranges.pop() else { break };
            let room = wanted - found.len();
            let rows = epoch.scan(self.lies_in, &range, self.reverse, room)?;
            // To find nothing is work, too.
            self.examined += rows.len().max(1);
            if rows.len() == room {
                self.ranges.extend(rows.last().and_then(|it| behind(range, it.key(), self.reverse)));
            }
            if found.is_empty() {
                found = rows;
            } else {
                found.extend(rows);
            }
            if found.len() == wanted {
                break;
            }
        }
        Ok(found)
    }

    fn points(&mut self, epoch: &Epoch) -> Result<Vec<Row>, StoreError> {
        let taken = self.ranges.split_off(self.ranges.len().saturating_sub(RANGES));
        let key = |range: KeyRange| if let Included(key) = range.start { Some(key) } else { None };
        let keys: Vec<Vec<u8>> = taken.into_iter().rev().filter_map(key).collect();
        self.examined += keys.len();
        Ok(epoch.get_many(self.lies_in, &keys)?.into_iter().flatten().collect())
    }
}

/// The part of `range` behind `key` in the direction of the walk; `None` when nothing is left.
fn behind(range: KeyRange, key: &[u8], reverse: bool) -> Option<KeyRange> {
    // The least key greater than another is that one with a zero byte behind it.
    let mut start = match range.start {
        Included(it) => it,
        Excluded(it) => [&it[..], &[0]].concat(),
        Unbounded => Vec::new(),
    };
    let mut end = match range.end {
        Included(it) => Some([&it[..], &[0]].concat()),
        Excluded(it) => Some(it),
        Unbounded => None,
    };
    if reverse {
        end = Some(end.map_or_else(|| key.to_vec(), |it| it.min(key.to_vec())));
    } else {
        start = start.max([key, &[0]].concat());
    }
    let empty = end.as_ref().is_some_and(|it| start >= *it);
    (!empty).then_some(KeyRange { start: Included(start), end: end.map_or(Unbounded, Excluded) })
}
