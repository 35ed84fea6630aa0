//! Access paths: which key or index answers a set of conditions, and the ranges it leads to.
//!
//! A path is a list of disjoint key ranges of the relation's own key or of one index, in ascending order. Conditions
//! that the ranges imply are dropped; all others are checked row by row, so every path gives the same rows. Rows with an
//! error in a column of the key lie outside the ranges; [`Path::error_ranges`] tells where.

use super::condition::{Condition, Operator, Test};
use super::served::Served;
use crate::change::{Collation, Column, DataType, Datum, KeyColumn, RelationId, Row, Value, encode_datum, prefix_end};
use crate::store::{Epoch, KeyRange, StoreError};

/// The most ranges that lists of values may multiply to.
const MAX_RANGES: usize = 4096;
/// How many conditions and key columns are looked at; a set of them is the bits of an u64.
const MAX_CONSIDERED: usize = 64;

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
    /// Prefixes of the rows that have the values asked for in the first columns of the key and an error in the next.
    errors: Vec<Vec<u8>>,
}

/// Where the values of a column lie in the rows a path leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    place: usize,
    pub(crate) data_type: DataType,
}

impl Cell {
    /// The cell of `row`.
    #[inline]
    pub(crate) fn of(self, row: &Row) -> Datum<'_> {
        row.get(self.place, self.data_type)
    }
}

impl Path {
    /// The relation whose rows lie under the ranges: the relation itself, or an index's entries.
    pub(crate) fn lies_in(&self, served: &Served) -> RelationId {
        self.index.map_or(served.relation.id, |at| served.relation.indexes[at].id)
    }

    /// Where `column`, which is needed, lies in the rows this path leads to.
    pub(crate) fn cell(&self, served: &Served, column: usize) -> Cell {
        let entry = self.index.filter(|_| self.covering).map(|at| &served.relation.indexes[at].include);
        // Column 0 of an entry is the indexed row's key.
        let included = entry.and_then(|it| it.iter().position(|included| *included == column)).map(|at| at + 1);
        Cell { place: included.unwrap_or(column), data_type: served.relation.schema.data_type(column) }
    }

    /// The relation's row behind a row this path led to; for error messages, which name the key.
    pub(crate) fn base_row(&self, epoch: &Epoch, served: &Served, row: &Row) -> Result<Row, StoreError> {
        if !self.covering {
            return Ok(row.clone());
        }
        epoch.get(served.relation.id, entry_key(row))?.ok_or_else(|| dangling(served))
    }

    /// Where those rows lie that the ranges pass by only because a column of the key could not be computed.
    pub(crate) fn error_ranges(&self, epoch: &Epoch, served: &Served) -> Result<Vec<KeyRange>, StoreError> {
        if self.full {
            return Ok(Vec::new());
        }
        let mut ranges = Vec::new();
        // The first column's errors are one range for all requests, so once in an epoch is enough to look.
        if let Some(first) = key_of(served, self.index).first().filter(|_| !served.is_error_free(self.index, epoch)) {
            let range = KeyRange::prefix(&[tag(Datum::Error(""), *first)]);
            if epoch.scan(self.lies_in(served), &range, false, 1)?.is_empty() {
                served.note_error_free(self.index, epoch);
            } else {
                ranges.push(range);
            }
        }
        ranges.extend(self.errors.iter().map(|it| KeyRange::prefix(it)));
        Ok(ranges)
    }
}

/// The key of the row an index entry stands for. Only for entries: their column 0 is Bytes.
pub(crate) fn entry_key(entry: &Row) -> &[u8] {
    match entry.get(0, DataType::Bytes) {
        Datum::Bytes(key) => key,
        _ => &[],
    }
}

/// The problem of an index entry without its row.
pub(crate) fn dangling(served: &Served) -> StoreError {
    StoreError::Corrupt(format!("an index of \"{}\" leads to a row that does not exist", served.relation.name))
}

/// The best path to rows that meet `conditions`, of which the columns `needed` are read, in `order` if it can be had.
pub(crate) fn choose(served: &Served, conditions: &[Condition], order: &[KeyColumn], needed: &[usize]) -> Path {
    let request = Request { served, conditions, order, needed };
    let mut best = request.weigh(None);
    // The first of equals wins: the key before the indexes, and those in order of declaration.
    for at in 0..served.relation.indexes.len() {
        let choice = request.weigh(Some(at));
        if choice.score > best.score {
            best = choice;
        }
    }
    request.path(best)
}

fn key_of(served: &Served, index: Option<usize>) -> &[KeyColumn] {
    index.map_or(&served.relation.schema.key, |at| &served.relation.indexes[at].key)
}

/// What a path is chosen for.
struct Request<'a> {
    served: &'a Served,
    conditions: &'a [Condition],
    order: &'a [KeyColumn],
    needed: &'a [usize],
}

/// A candidate: what it comes to is known before anything is encoded for it.
#[derive(Debug, Clone, Copy)]
struct Choice {
    index: Option<usize>,
    /// How many leading columns of the key have fixed values.
    depth: usize,
    /// Those of the conditions that the ranges imply.
    implied: u64,
    /// Whether the next column is narrowed as well.
    ranged: bool,
    direction: Option<bool>,
    covering: bool,
    score: u32,
}

/// A condition that fixes a column of a key.
struct Fixed {
    condition: usize,
    /// How many values it allows.
    values: usize,
    /// Whether the key finds no more than the condition lets through.
    exact: bool,
    /// Whether all values are the same.
    single: bool,
}

impl Request<'_> {
    fn column(&self, part: KeyColumn) -> &Column {
        &self.served.relation.schema.columns[part.column]
    }

    fn weigh(&self, index: Option<usize>) -> Choice {
        let key = key_of(self.served, index);
        let (mut depth, mut ranges, mut implied, mut constant) = (0, 1, 0, 0);
        for part in key.iter().take(MAX_CONSIDERED) {
            let Some(fixed) = self.fixed_by(*part, ranges) else { break };
            implied |= u64::from(fixed.exact) << fixed.condition;
            constant |= u64::from(fixed.exact && fixed.single) << depth;
            ranges *= fixed.values;
            depth += 1;
        }
        let (worth, bounding) = key.get(depth).map_or((0, 0), |part| self.bounded_by(*part));
        implied |= bounding;
        let points = index.is_none() && depth == key.len();
        let direction = self.direction(index, depth, constant);
        let covering = index.is_some_and(|at| {
            let residual = self.conditions.iter().enumerate().filter(|(at, _)| !has(implied, *at));
            let residual = residual.map(|(_, condition)| condition.column);
            let ordering = self.order.iter().map(|it| it.column);
            let mut columns = self.needed.iter().copied().chain(ordering).chain(residual);
            columns.all(|column| self.served.relation.indexes[at].include.contains(&column))
        });
        let orders = direction.is_some() && !self.order.is_empty();
        let narrows = depth > 0 || worth > 0;
        let score = u32::from(points) * WHOLE_KEY
            + depth as u32 * FIXED_COLUMN
            + worth
            + u32::from(orders) * ORDERED
            + u32::from(covering) * COVERING;
        // An index that neither narrows nor orders only adds a look-up a row.
        let useful = narrows || orders || index.is_none();
        let score = if useful { score + 1 } else { 0 };
        Choice { index, depth, implied, ranged: worth > 0, direction, covering, score }
    }

    /// The condition that fixes `part`, of which there are `ranges` ranges already.
    fn fixed_by(&self, part: KeyColumn, ranges: usize) -> Option<Fixed> {
        let conditions = self.conditions.iter().take(MAX_CONSIDERED).enumerate();
        conditions.filter(|(_, it)| it.column == part.column).find_map(|(condition, it)| {
            let listed = fixed_values(&it.test)?;
            let values = listed.clone().count();
            // Under another collation the key finds too much, and the condition must be checked all the same.
            let binary = self.column(part).collation == Collation::Binary;
            let exact = binary || !listed.clone().any(|it| matches!(it, Datum::Text(_)));
            let single = values > 0 && listed.clone().all(|it| Some(it) == listed.clone().next());
            (values * ranges <= MAX_RANGES).then_some(Fixed { condition, values, exact, single })
        })
    }

    /// What conditions like `column > value` and `column IS NOT NULL` on `part` are worth, and which they are.
    fn bounded_by(&self, part: KeyColumn) -> (u32, u64) {
        let (mut worth, mut conditions) = (0, 0);
        for (at, condition) in self.conditions.iter().take(MAX_CONSIDERED).enumerate() {
            let one = match condition.column == part.column {
                true if is_presence(&condition.test) && self.column(part).nullable => PRESENT,
                true if bound_of(&condition.test, self.column(part)).is_some() => BOUNDED,
                _ => continue,
            };
            worth = worth.max(one);
            conditions |= 1 << at;
        }
        (worth, conditions)
    }

    /// Whether the key's order is the one asked for (`Some(false)`), its reverse (`Some(true)`) or neither. Of the first
    /// `depth` columns those that have one value only (`constant`) may be skipped.
    fn direction(&self, index: Option<usize>, depth: usize, constant: u64) -> Option<bool> {
        let key = key_of(self.served, index);
        let is_constant = |at: usize| at < depth && has(constant, at);
        let skipped = |it: &&KeyColumn| {
            key.iter().take(depth).enumerate().any(|(at, part)| is_constant(at) && part.column == it.column)
        };
        let mut wanted = self.order.iter().filter(|it| !skipped(it));
        let Some(mut want) = wanted.next() else { return Some(false) };
        let mut reverse = None;
        for (at, part) in key.iter().enumerate() {
            if is_constant(at) {
                continue;
            }
            let column = self.column(*part);
            let plain = column.data_type != DataType::Text || column.collation == Collation::Binary;
            let nulls = part.nulls_first == want.nulls_first;
            let same = part.descending == want.descending && (nulls || !column.nullable);
            let opposite = part.descending != want.descending && (!nulls || !column.nullable);
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
        // The whole key has been matched: the relation's own is unique, so what is left to order by cannot matter there.
        index.is_none().then_some(reverse.unwrap_or(false))
    }

    /// The path of the choice that was made.
    fn path(&self, choice: Choice) -> Path {
        let key = key_of(self.served, choice.index);
        let mut prefixes = vec![Vec::with_capacity(16 * (choice.depth + 1))];
        let mut errors = Vec::new();
        let mut ranges = 1;
        for (at, part) in key.iter().take(choice.depth).enumerate() {
            if at > 0 {
                errors.extend(prefixes.iter().map(|it| with_error(it, *part)));
            }
            if let Some(fixed) = self.fixed_by(*part, ranges) {
                ranges *= fixed.values;
                self.fix(&self.conditions[fixed.condition].test, *part, &mut prefixes);
            }
        }
        let ranges = match key.get(choice.depth).filter(|_| choice.ranged) {
            Some(part) => {
                if choice.depth > 0 {
                    errors.extend(prefixes.iter().map(|it| with_error(it, *part)));
                }
                self.bound(*part, &prefixes)
            }
            None => prefixes.iter().map(|it| KeyRange::prefix(it)).collect(),
        };
        let residual = self.conditions.iter().enumerate().filter(|(at, _)| !has(choice.implied, *at));
        Path {
            index: choice.index,
            ranges,
            points: choice.index.is_none() && choice.depth == key.len(),
            reverse: choice.direction.unwrap_or(false),
            residual: residual.map(|(_, condition)| condition.clone()).collect(),
            ordered: choice.direction.is_some(),
            covering: choice.covering,
            full: choice.depth == 0 && !choice.ranged,
            errors,
        }
    }

    /// Extends every prefix by each value of `part` that `test` allows.
    fn fix(&self, test: &Test, part: KeyColumn, prefixes: &mut Vec<Vec<u8>>) {
        let collation = self.column(part).collation;
        let encode = |value, out: &mut Vec<u8>| encode_datum(value, part, collation, out);
        let Some(values) = fixed_values(test) else { return };
        if let (1, Some(value)) = (values.clone().count(), values.clone().next()) {
            return prefixes.iter_mut().for_each(|prefix| encode(value, prefix));
        }
        let encoded = values.map(|value| {
            let mut out = Vec::new();
            encode(value, &mut out);
            out
        });
        let mut encoded: Vec<Vec<u8>> = encoded.collect();
        encoded.sort_unstable();
        encoded.dedup();
        let extend = |prefix: &Vec<u8>| encoded.iter().map(|it| [&prefix[..], it].concat()).collect::<Vec<_>>();
        *prefixes = prefixes.iter().flat_map(extend).collect();
    }

    /// The ranges below `prefixes` in which `part` is within its bounds.
    fn bound(&self, part: KeyColumn, prefixes: &[Vec<u8>]) -> Vec<KeyRange> {
        let conditions = self.conditions.iter().take(MAX_CONSIDERED).filter(|it| it.column == part.column);
        let bounds = conditions.filter_map(|it| bound_of(&it.test, self.column(part)));
        let bounds: Vec<(Bound, Vec<u8>)> =
            bounds.filter_map(|(operator, value)| limit(operator, value, part)).collect();
        let narrowed = prefixes.iter().filter_map(|prefix| {
            // Between the first and the last value: NULL and error cells lie outside.
            let values_only = [&prefix[..], &[tag(Datum::Boolean(false), part)]].concat();
            let (mut start, mut end) = (values_only.clone(), prefix_end(&values_only)?);
            for (bound, value) in &bounds {
                let value = [&prefix[..], value].concat();
                match bound {
                    Bound::Start => start = start.max(value),
                    Bound::End => end = end.min(value),
                }
            }
            (start < end)
                .then_some(KeyRange { start: std::ops::Bound::Included(start), end: std::ops::Bound::Excluded(end) })
        });
        narrowed.collect()
    }
}

fn has(set: u64, at: usize) -> bool {
    at < MAX_CONSIDERED && set >> at & 1 == 1
}

/// The byte that begins every encoded value of the kind of `datum`.
fn tag(datum: Datum<'_>, part: KeyColumn) -> u8 {
    let mut encoded = Vec::with_capacity(4);
    encode_datum(datum, part, Collation::Binary, &mut encoded);
    encoded[0]
}

fn with_error(prefix: &[u8], part: KeyColumn) -> Vec<u8> {
    [prefix, &[tag(Datum::Error(""), part)]].concat()
}

fn is_presence(test: &Test) -> bool {
    matches!(test, Test::Not(inner) if **inner == Test::IsNull)
}

/// The comparison of `column` that bounds a range of its values, if `test` is one.
fn bound_of<'a>(test: &'a Test, column: &Column) -> Option<(Operator, &'a Value)> {
    let Test::Compare(operator, value) = test else { return None };
    let ordered = column.collation == Collation::Binary || !matches!(value, Value::Text(_));
    let bounds = ordered && *value != Value::Null && !matches!(operator, Operator::Equal | Operator::NotEqual);
    bounds.then_some((*operator, value))
}

#[derive(Clone, Copy)]
enum Bound {
    /// Keys from here on.
    Start,
    /// Keys before this.
    End,
}

/// The limit `operator value` sets, as bytes behind a prefix: a start is inclusive, an end exclusive.
fn limit(operator: Operator, value: &Value, part: KeyColumn) -> Option<(Bound, Vec<u8>)> {
    let mut encoded = Vec::new();
    encode_datum(value.as_datum(), part, Collation::Binary, &mut encoded);
    let behind = prefix_end(&encoded)?;
    Some(match (operator, part.descending) {
        (Operator::Greater, false) | (Operator::Less, true) => (Bound::Start, behind),
        (Operator::GreaterOrEqual, false) | (Operator::LessOrEqual, true) => (Bound::Start, encoded),
        (Operator::Less, false) | (Operator::Greater, true) => (Bound::End, encoded),
        (Operator::LessOrEqual, false) | (Operator::GreaterOrEqual, true) => (Bound::End, behind),
        (Operator::Equal | Operator::NotEqual, _) => return None,
    })
}

/// The values a test allows, when it lists them.
fn fixed_values(test: &Test) -> Option<impl Iterator<Item = Datum<'_>> + Clone> {
    let (one, listed): (Option<Datum<'_>>, &[Value]) = match test {
        Test::Compare(Operator::Equal, value) if *value != Value::Null => (Some(value.as_datum()), &[]),
        Test::In(values) => (None, values),
        Test::IsNull => (Some(Datum::Null), &[]),
        Test::Is(it) => (Some(Datum::Boolean(*it)), &[]),
        _ => return None,
    };
    let listed = listed.iter().map(Value::as_datum).filter(|it| *it != Datum::Null);
    Some(one.into_iter().chain(listed))
}
