//! Access paths: which key or index answers a set of conditions, and the rows it leads to.
//!
//! A path is a list of disjoint key ranges of the relation's own key or of one index, in ascending order. Conditions
//! that the ranges imply are dropped; all others are checked row by row, so every path gives the same rows.

use super::condition::{Condition, Operator, Test};
use super::served::Served;
use crate::catalog::ServedIndex;
use crate::change::{Collation, Column, DataType, Datum, KeyColumn, Row, Value, encode_datum, prefix_end};
use crate::store::{Epoch, KeyRange, StoreError};

/// The most ranges that lists of values may multiply to.
const MAX_RANGES: usize = 4096;
/// How many rows are read at a time.
const CHUNK: usize = 1024;

// What makes a path better than another: finding single rows beats everything, then each key column with a fixed
// value, then an order that needs no sorting, then a range, and of equals the one without look-ups wins.
const WHOLE_KEY: u32 = 64;
const FIXED_COLUMN: u32 = 8;
const ORDERED: u32 = 6;
const BOUNDED: u32 = 4;
/// Leaving out the NULLs only; how much that saves is not known.
const PRESENT: u32 = 1;
const COVERING: u32 = 1;

/// How to get at the rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    /// The index; `None` is the relation's own key.
    pub(crate) index: Option<usize>,
    /// Disjoint and ascending.
    pub(crate) ranges: Vec<KeyRange>,
    /// Whether each range is one whole unique key, held in its start.
    pub(crate) points: bool,
    /// Whether rows come from the last range's end.
    pub(crate) reverse: bool,
    /// Conditions that the ranges do not imply.
    pub(crate) residual: Vec<Condition>,
    /// Whether rows come in the order asked for.
    pub(crate) ordered: bool,
    /// Whether the index entries hold every column that is needed.
    pub(crate) covering: bool,
    /// Whether every row of the relation is looked at.
    pub(crate) full: bool,
}

impl Path {
    /// The cell of `column` of the relation in a row this path led to.
    pub(crate) fn cell<'r>(&self, served: &Served, row: &'r Row, column: usize) -> Datum<'r> {
        let data_type = served.relation.schema.data_type(column);
        let covered = self.index.filter(|_| self.covering).map(|at| &served.relation.indexes[at].include);
        match covered.map(|it| it.iter().position(|included| *included == column)) {
            None => row.get(column, data_type),
            // Column 0 of an entry is the indexed row's key.
            Some(Some(at)) => row.get(at + 1, data_type),
            Some(None) => Datum::Error("the index does not hold this column"),
        }
    }

    /// The relation's row behind a row this path led to; for error messages, which name the key.
    pub(crate) fn base_row(&self, epoch: &Epoch, served: &Served, row: &Row) -> Result<Row, StoreError> {
        if !self.covering {
            return Ok(row.clone());
        }
        epoch.get(served.relation.id, entry_key(row))?.ok_or_else(|| dangling(served))
    }
}

/// The best path to rows that meet `conditions`, of which the columns `needed` are read, in `order` if it can be had.
pub(crate) fn choose(served: &Served, conditions: &[Condition], order: &[KeyColumn], needed: &[usize]) -> Path {
    let indexes = served.relation.indexes.iter().enumerate().map(|(at, index)| (Some(at), Some(index)));
    let candidates = std::iter::once((None, None)).chain(indexes);
    let scored = candidates.map(|(at, index)| candidate(served, at, index, conditions, order, needed));
    // The first of equals wins: the key before the indexes, and those in order of declaration.
    let best = scored.reduce(|best, it| if it.0 > best.0 { it } else { best });
    best.map_or_else(|| unreachable_path(conditions), |it| it.1)
}

// `choose` always has the key as a candidate; this is a full scan, should that ever change.
fn unreachable_path(conditions: &[Condition]) -> Path {
    Path {
        index: None,
        ranges: vec![KeyRange::all()],
        points: false,
        reverse: false,
        residual: conditions.to_vec(),
        ordered: false,
        covering: false,
        full: true,
    }
}

fn candidate(
    served: &Served,
    at: Option<usize>,
    index: Option<&ServedIndex>,
    conditions: &[Condition],
    order: &[KeyColumn],
    needed: &[usize],
) -> (u32, Path) {
    let schema = &served.relation.schema;
    let key: &[KeyColumn] = index.map_or(&schema.key, |it| &it.key);
    let mut narrowing = Narrowing::new(conditions);
    let mut depth = 0;
    let mut constant = Vec::new();
    for part in key {
        let collation = schema.columns[part.column].collation;
        match narrowing.equal(*part, collation) {
            Some(single) => constant.push(single),
            None => break,
        }
        depth += 1;
    }
    let next = key.get(depth).copied();
    let ranged = next.map_or(0, |part| narrowing.range(part, &schema.columns[part.column]));
    let points = index.is_none() && depth == key.len();
    let direction = direction(served, key, &constant, order);
    let residual = narrowing.residual();
    let covering = index.is_some_and(|it| {
        let mut columns = needed.iter().copied().chain(residual.iter().map(|it| it.column));
        columns.all(|column| it.include.contains(&column))
    });
    let full = depth == 0 && ranged == 0;
    let score = u32::from(points) * WHOLE_KEY
        + depth as u32 * FIXED_COLUMN
        + ranged
        + u32::from(direction.is_some() && !order.is_empty()) * ORDERED
        + u32::from(covering) * COVERING;
    let path = Path {
        index: at,
        ranges: narrowing.ranges(),
        points,
        reverse: direction.unwrap_or(false),
        residual,
        ordered: direction.is_some(),
        covering,
        full,
    };
    // An index that neither narrows nor orders only adds a look-up a row.
    let useless = full && index.is_some() && (order.is_empty() || direction.is_none());
    (if useless { 0 } else { score + 1 }, path)
}

/// Whether `key`'s order is `order` (`Some(false)`), its reverse (`Some(true)`) or neither. Parts that have one value
/// only (`constant`) may be skipped.
fn direction(served: &Served, key: &[KeyColumn], constant: &[bool], order: &[KeyColumn]) -> Option<bool> {
    let mut wanted =
        order.iter().filter(|it| !key.iter().zip(constant).any(|(part, single)| *single && part.column == it.column));
    let Some(mut want) = wanted.next() else { return Some(false) };
    let mut reverse = None;
    for (at, part) in key.iter().enumerate() {
        if constant.get(at) == Some(&true) {
            continue;
        }
        let column = &served.relation.schema.columns[part.column];
        let plain = column.data_type != DataType::Text || column.collation == Collation::Binary;
        let same = part.descending == want.descending && part.nulls_first == want.nulls_first;
        let opposite = part.descending != want.descending && (part.nulls_first != want.nulls_first || !column.nullable);
        let same = same || (part.descending == want.descending && !column.nullable);
        let fits = match reverse {
            None if same => Some(false),
            None if opposite => Some(true),
            Some(false) if same => Some(false),
            Some(true) if opposite => Some(true),
            _ => None,
        };
        if part.column != want.column || !plain || fits.is_none() {
            return None;
        }
        reverse = fits;
        match wanted.next() {
            Some(next) => want = next,
            None => return reverse,
        }
    }
    // The whole key has been matched: it is unique for the relation's own key, so what is left cannot matter there.
    (key.len() >= served.relation.schema.key.len() && std::ptr::eq(key, &*served.relation.schema.key))
        .then_some(reverse.unwrap_or(false))
}

/// Encoded prefixes that grow by one key column at a time, and the conditions they make superfluous.
struct Narrowing<'a> {
    conditions: &'a [Condition],
    implied: Vec<bool>,
    prefixes: Vec<Vec<u8>>,
    bounded: Option<Vec<KeyRange>>,
}

impl<'a> Narrowing<'a> {
    fn new(conditions: &'a [Condition]) -> Narrowing<'a> {
        let implied = vec![false; conditions.len()];
        Narrowing { conditions, implied, prefixes: vec![Vec::new()], bounded: None }
    }

    /// Extends the prefixes by `part` if a condition fixes it; tells whether to a single value.
    fn equal(&mut self, part: KeyColumn, collation: Collation) -> Option<bool> {
        let (at, values) = self.conditions.iter().enumerate().find_map(|(at, condition)| {
            let fixed = fixed_values(condition).filter(|_| condition.column == part.column)?;
            (fixed.len() * self.prefixes.len() <= MAX_RANGES).then_some((at, fixed))
        })?;
        let mut encoded: Vec<Vec<u8>> = values
            .iter()
            .map(|value| {
                let mut out = Vec::new();
                encode_datum(value.as_datum(), part, collation, &mut out);
                out
            })
            .collect();
        encoded.sort_unstable();
        encoded.dedup();
        let single = encoded.len() == 1;
        let extend = |prefix: &Vec<u8>| encoded.iter().map(|it| [&prefix[..], it].concat()).collect::<Vec<_>>();
        self.prefixes = self.prefixes.iter().flat_map(extend).collect();
        // Under another collation the key finds too much, and the condition must be checked all the same.
        let text = values.iter().any(|it| matches!(it, Value::Text(_)));
        self.implied[at] = !text || collation == Collation::Binary;
        Some(single && self.implied[at])
    }

    /// Narrows the last prefixes by conditions like `column > value` and `column IS NOT NULL`; tells what that is
    /// worth, which is nothing when there are none.
    fn range(&mut self, part: KeyColumn, column: &Column) -> u32 {
        let collation = column.collation;
        let mut values: Vec<(Bound, Vec<u8>)> = Vec::new();
        let mut worth = 0;
        for (at, condition) in self.conditions.iter().enumerate() {
            let present = matches!(&condition.test, Test::Not(inner) if **inner == Test::IsNull);
            if present && condition.column == part.column && column.nullable {
                self.implied[at] = true;
                worth = worth.max(PRESENT);
            }
            let Test::Compare(operator, value) = &condition.test else { continue };
            let ordered = collation == Collation::Binary || !matches!(value, Value::Text(_));
            if condition.column != part.column || !ordered || *value == Value::Null {
                continue;
            }
            let Some(bounds) = bounds(*operator, value, part) else { continue };
            values.extend(bounds);
            self.implied[at] = true;
            worth = BOUNDED;
        }
        if worth == 0 {
            return 0;
        }
        let mut tag = Vec::new();
        encode_datum(Datum::Boolean(false), part, Collation::Binary, &mut tag);
        tag.truncate(1);
        let narrowed = self.prefixes.iter().filter_map(|prefix| {
            // Between the first and the last value: NULL and error cells lie outside.
            let values_only = [&prefix[..], &tag].concat();
            let (mut start, mut end) = (values_only.clone(), prefix_end(&values_only)?);
            for (bound, value) in &values {
                let value = [&prefix[..], value].concat();
                match bound {
                    Bound::Start => start = start.max(value),
                    Bound::End => end = end.min(value),
                }
            }
            (start < end)
                .then_some(KeyRange { start: std::ops::Bound::Included(start), end: std::ops::Bound::Excluded(end) })
        });
        self.bounded = Some(narrowed.collect());
        worth
    }

    fn residual(&self) -> Vec<Condition> {
        let left = self.conditions.iter().zip(&self.implied).filter(|(_, implied)| !**implied);
        left.map(|(condition, _)| condition.clone()).collect()
    }

    fn ranges(self) -> Vec<KeyRange> {
        self.bounded.unwrap_or_else(|| self.prefixes.iter().map(|it| KeyRange::prefix(it)).collect())
    }
}

#[derive(Clone, Copy)]
enum Bound {
    /// Keys from here on.
    Start,
    /// Keys before this.
    End,
}

/// The limit `operator value` sets, as bytes behind a prefix: a start is inclusive, an end exclusive.
fn bounds(operator: Operator, value: &Value, part: KeyColumn) -> Option<Vec<(Bound, Vec<u8>)>> {
    let mut encoded = Vec::new();
    encode_datum(value.as_datum(), part, Collation::Binary, &mut encoded);
    let behind = prefix_end(&encoded)?;
    Some(vec![match (operator, part.descending) {
        (Operator::Greater, false) | (Operator::Less, true) => (Bound::Start, behind),
        (Operator::GreaterOrEqual, false) | (Operator::LessOrEqual, true) => (Bound::Start, encoded),
        (Operator::Less, false) | (Operator::Greater, true) => (Bound::End, encoded),
        (Operator::LessOrEqual, false) | (Operator::GreaterOrEqual, true) => (Bound::End, behind),
        (Operator::Equal | Operator::NotEqual, _) => return None,
    }])
}

/// The values a condition allows, when it lists them.
fn fixed_values(condition: &Condition) -> Option<Vec<Value>> {
    match &condition.test {
        Test::Compare(Operator::Equal, value) if *value != Value::Null => Some(vec![value.clone()]),
        Test::In(values) => Some(values.iter().filter(|it| **it != Value::Null).cloned().collect()),
        Test::IsNull => Some(vec![Value::Null]),
        Test::Is(it) => Some(vec![Value::Boolean(*it)]),
        _ => None,
    }
}

/// One row a path leads to.
#[derive(Debug)]
pub(crate) struct Hit {
    /// What lies under the path: the index entry, or the row itself.
    pub(crate) at: Row,
    /// Where the columns are: the entry if the index covers them, else the row.
    pub(crate) row: Row,
}

/// Walks a path chunk by chunk, from its beginning or behind a key seen before.
#[derive(Debug)]
pub(crate) struct Walk {
    ranges: Vec<KeyRange>,
    examined: usize,
}

impl Walk {
    /// A walk over `path`, behind the path key `after` if there is one.
    pub(crate) fn new(path: &Path, after: Option<&[u8]>) -> Walk {
        let mut ranges = path.ranges.clone();
        if let Some(after) = after {
            ranges = ranges.into_iter().filter_map(|it| behind(it, after, path.reverse)).collect();
        }
        // The next range is taken from the end.
        if !path.reverse {
            ranges.reverse();
        }
        Walk { ranges, examined: 0 }
    }

    /// How many rows were looked at.
    pub(crate) fn examined(&self) -> usize {
        self.examined
    }

    /// The next rows, about `wanted` of them; empty at the end. Residual conditions are not checked here.
    pub(crate) fn next(
        &mut self,
        epoch: &Epoch,
        served: &Served,
        path: &Path,
        wanted: usize,
    ) -> Result<Vec<Hit>, StoreError> {
        let wanted = wanted.clamp(1, CHUNK);
        if path.points {
            return self.next_points(epoch, served, wanted);
        }
        let mut found = Vec::new();
        while let Some(range) = self.ranges.pop() {
            let room = wanted - found.len();
            let lies_in = path.index.map_or(served.relation.id, |at| served.relation.indexes[at].id);
            let rows = epoch.scan(lies_in, &range, path.reverse, room)?;
            let more =
                if rows.len() < room { None } else { rows.last().and_then(|it| behind(range, it.key(), path.reverse)) };
            self.ranges.extend(more);
            found.extend(rows);
            if found.len() >= wanted {
                break;
            }
        }
        self.examined += found.len();
        if path.index.is_none() || path.covering {
            return Ok(found.into_iter().map(|row| Hit { at: row.clone(), row }).collect());
        }
        let keys: Vec<Vec<u8>> = found.iter().map(|it| entry_key(it).to_vec()).collect();
        let rows = epoch.get_many(served.relation.id, &keys)?;
        let pairs = found.into_iter().zip(rows);
        pairs.map(|(at, row)| Ok(Hit { at, row: row.ok_or_else(|| dangling(served))? })).collect()
    }

    fn next_points(&mut self, epoch: &Epoch, served: &Served, wanted: usize) -> Result<Vec<Hit>, StoreError> {
        while !self.ranges.is_empty() {
            let left = self.ranges.len().saturating_sub(wanted);
            let taken = self.ranges.split_off(left);
            let start = |range: &KeyRange| match &range.start {
                std::ops::Bound::Included(key) => Some(key.clone()),
                _ => None,
            };
            let keys: Vec<Vec<u8>> = taken.iter().rev().filter_map(start).collect();
            self.examined += keys.len();
            let rows: Vec<Row> = epoch.get_many(served.relation.id, &keys)?.into_iter().flatten().collect();
            if !rows.is_empty() {
                return Ok(rows.into_iter().map(|row| Hit { at: row.clone(), row }).collect());
            }
        }
        Ok(Vec::new())
    }
}

/// The part of `range` behind `key` in the direction of the walk; `None` when nothing is left.
fn behind(range: KeyRange, key: &[u8], reverse: bool) -> Option<KeyRange> {
    use std::ops::Bound::{Excluded, Included, Unbounded};
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

/// The key of the row an index entry stands for. Only for entries: their column 0 is Bytes.
pub(crate) fn entry_key(entry: &Row) -> &[u8] {
    match entry.get(0, DataType::Bytes) {
        Datum::Bytes(key) => key,
        _ => &[],
    }
}

fn dangling(served: &Served) -> StoreError {
    StoreError::Corrupt(format!("an index of \"{}\" leads to a row that does not exist", served.relation.name))
}
