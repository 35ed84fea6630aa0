//! A row: immutable bytes that are shared, never copied, on their way from source to reader.
//!
//! ```text
//! [key length u32][columns u16][flags u8][key][null bits][error bits, left-out bits][slots][reason][tail]
//! ```
//! Error bits, left-out bits and the reason are there only if flagged. All integers are little-endian; the key is the
//! relation's memcomparable key (see `key`). A slot of 8 bytes holds the value itself, or for variable types and errors
//! the offset (u32) and length (u32) of its bytes in the tail. A tombstone has a key and nothing else. A partial row says
//! nothing of the columns it leaves out; it is completed before anything is computed from it, and never stored. Of an
//! undecided row nobody knows whether it belongs to its relation, because a condition of it could not be computed; the
//! reason is one more slot, of a text. The format is stored on disk: the golden test must only ever be extended.

use std::fmt;
use std::sync::Arc;

use super::data_type::{DataType, Datum};
use super::schema::Schema;

const HEADER: usize = 7;
const FLAG_ERRORS: u8 = 1;
const FLAG_TOMBSTONE: u8 = 2;
const FLAG_PARTIAL: u8 = 4;
const FLAG_UNDECIDED: u8 = 8;
/// The flags of rows that are stored.
const STORED_FLAGS: u8 = FLAG_ERRORS | FLAG_TOMBSTONE | FLAG_UNDECIDED;

/// What stands in a column that no event has given a value yet.
const NEVER_SENT: &str = "the source has left this value out as unchanged, and no earlier row of this key was sent";

/// One row, or the tombstone of one. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Row(Arc<[u8]>);

impl Row {
    /// The mark that the row with `key` is gone.
    pub fn tombstone(key: &[u8]) -> Row {
        let mut bytes = Vec::with_capacity(HEADER + key.len());
        bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&[0, 0, FLAG_TOMBSTONE]);
        bytes.extend_from_slice(key);
        Row(bytes.into())
    }

    /// Takes bytes written by [`Row::as_bytes`]; `None` when they cannot be a row that was stored.
    pub fn from_bytes(bytes: &[u8]) -> Option<Row> {
        if bytes.len() < HEADER || bytes[6] & !STORED_FLAGS != 0 {
            return None;
        }
        let row = Row(bytes.into());
        let fixed = row.slots() + 8 * row.slot_count();
        let end = if row.is_tombstone() { HEADER + row.key_len() } else { fixed };
        (bytes.len() >= end).then_some(row)
    }

    /// The bytes, as they are stored.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The encoded unique key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        &self.0[HEADER..HEADER + self.key_len()]
    }

    /// Whether this marks a deletion.
    #[inline]
    pub fn is_tombstone(&self) -> bool {
        self.0[6] & FLAG_TOMBSTONE != 0
    }

    /// The number of columns.
    #[inline]
    pub fn width(&self) -> usize {
        usize::from(u16::from_le_bytes([self.0[4], self.0[5]]))
    }

    /// Whether any cell is an error.
    #[inline]
    pub fn has_errors(&self) -> bool {
        self.0[6] & FLAG_ERRORS != 0
    }

    /// The error because of which nobody knows whether the row belongs to its relation; `None` when it does.
    #[inline]
    pub fn undecided(&self) -> Option<&str> {
        if self.0[6] & FLAG_UNDECIDED == 0 {
            return None;
        }
        Some(std::str::from_utf8(self.tail_of(self.width())).unwrap_or("unreadable error text"))
    }

    /// Whether it leaves columns out: these are as they were.
    #[inline]
    pub fn is_partial(&self) -> bool {
        self.0[6] & FLAG_PARTIAL != 0
    }

    /// Whether column `index` is left out.
    pub fn leaves_out(&self, index: usize) -> bool {
        let bitmap = self.width().div_ceil(8);
        let before = if self.has_errors() { 2 * bitmap } else { bitmap };
        self.is_partial() && self.bit(HEADER + self.key_len() + before, index)
    }

    /// This partial row over the one that was there `before` (which may be partial itself; a tombstone is as none): what
    /// it leaves out is taken from there, and is an error cell where nothing was there.
    #[must_use]
    pub fn over(&self, before: Option<&Row>, schema: &Schema) -> Row {
        let before = before.filter(|it| !it.is_tombstone());
        let mut builder = RowBuilder::new();
        for (index, column) in schema.columns.iter().enumerate() {
            match if self.leaves_out(index) { before } else { Some(self) } {
                Some(row) if row.leaves_out(index) => builder.leave_out(),
                Some(row) => builder.copy(row, index, column.data_type),
                None => builder.push(Datum::Error(NEVER_SENT), column.data_type),
            }
        }
        builder.finish(self.key())
    }

    /// Everything behind the key; equal exactly when all cells are equal (rows of one schema).
    pub fn body(&self) -> &[u8] {
        &self.0[HEADER + self.key_len()..]
    }

    /// The cell of column `index`, which must be of `data_type`.
    #[inline]
    pub fn get(&self, index: usize, data_type: DataType) -> Datum<'_> {
        let nulls = HEADER + self.key_len();
        if self.bit(nulls, index) {
            return Datum::Null;
        }
        if self.has_errors() && self.bit(nulls + self.width().div_ceil(8), index) {
            return Datum::Error(std::str::from_utf8(self.tail_of(index)).unwrap_or("unreadable error text"));
        }
        let slot = self.slot(index);
        match data_type {
            DataType::Boolean => Datum::Boolean(slot != 0),
            DataType::Float64 => Datum::Float(f64::from_bits(slot)),
            DataType::Text => Datum::Text(std::str::from_utf8(self.tail_of(index)).unwrap_or("\u{FFFD}")),
            DataType::Bytes => Datum::Bytes(self.tail_of(index)),
            DataType::Decimal { precision, .. } if precision > 18 => {
                let bytes: [u8; 16] = self.tail_of(index).try_into().unwrap_or_default();
                Datum::Decimal(i128::from_le_bytes(bytes))
            }
            DataType::Decimal { .. } => Datum::Decimal(i128::from(slot as i64)),
            _ => Datum::Int(slot as i64),
        }
    }

    #[inline]
    fn key_len(&self) -> usize {
        u32::from_le_bytes([self.0[0], self.0[1], self.0[2], self.0[3]]) as usize
    }

    #[inline]
    fn bit(&self, start: usize, index: usize) -> bool {
        self.0[start + index / 8] >> (index % 8) & 1 != 0
    }

    #[inline]
    fn slots(&self) -> usize {
        // Not `count_ones`: that is a dozen instructions on a processor of the baseline, and this runs for every cell.
        let [errors, partial] = [FLAG_ERRORS, FLAG_PARTIAL].map(|flag| usize::from(self.0[6] & flag != 0));
        let bitmaps = 1 + errors + partial;
        HEADER + self.key_len() + bitmaps * self.width().div_ceil(8)
    }

    /// The slots of the columns, and that of the reason.
    #[inline]
    fn slot_count(&self) -> usize {
        self.width() + usize::from(self.0[6] & FLAG_UNDECIDED != 0)
    }

    #[inline]
    fn slot(&self, index: usize) -> u64 {
        let at = self.slots() + 8 * index;
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[at..at + 8]);
        u64::from_le_bytes(bytes)
    }

    #[inline]
    fn tail_of(&self, index: usize) -> &[u8] {
        let slot = self.slot(index);
        let start = self.slots() + 8 * self.slot_count() + (slot as u32) as usize;
        &self.0[start..start + (slot >> 32) as usize]
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_tombstone() { "tombstone" } else { "row" };
        write!(f, "{kind}({} columns, key {:02x?})", self.width(), self.key())
    }
}

/// Builds rows one after another, reusing its buffers: `push` each cell in order, then `finish`.
#[derive(Debug, Default)]
pub struct RowBuilder {
    nulls: Vec<u8>,
    errors: Vec<u8>,
    /// By column, whether it is left out; empty while none is.
    left_out: Vec<u8>,
    slots: Vec<u8>,
    tail: Vec<u8>,
    bytes: Vec<u8>,
    width: usize,
    has_errors: bool,
    undecided: Option<String>,
}

impl RowBuilder {
    /// An empty builder.
    pub fn new() -> RowBuilder {
        RowBuilder::default()
    }

    /// Appends a cell of a column of `data_type`.
    #[inline]
    pub fn push(&mut self, datum: Datum<'_>, data_type: DataType) {
        let index = self.width;
        self.width += 1;
        if index.is_multiple_of(8) {
            self.nulls.push(0);
            self.errors.push(0);
        }
        let slot = match datum {
            Datum::Null => {
                self.nulls[index / 8] |= 1 << (index % 8);
                0
            }
            Datum::Error(message) => {
                self.errors[index / 8] |= 1 << (index % 8);
                self.has_errors = true;
                self.append(message.as_bytes())
            }
            Datum::Boolean(it) => u64::from(it),
            Datum::Int(it) => it as u64,
            // One representation each for zero and NaN, so that equal rows have equal bytes.
            Datum::Float(0.0) => 0,
            Datum::Float(it) if it.is_nan() => f64::NAN.abs().to_bits(),
            Datum::Float(it) => it.to_bits(),
            Datum::Decimal(it) if data_type.is_variable() => self.append(&it.to_le_bytes()),
            Datum::Decimal(it) => it as i64 as u64,
            Datum::Text(it) => self.append(it.as_bytes()),
            Datum::Bytes(it) => self.append(it),
        };
        self.slots.extend_from_slice(&slot.to_le_bytes());
    }

    /// Appends column `index` of `row`, which is of `data_type`, without looking into it.
    #[inline]
    pub fn copy(&mut self, row: &Row, index: usize, data_type: DataType) {
        let nulls = HEADER + row.key_len();
        let null = row.bit(nulls, index);
        let error = !null && row.has_errors() && row.bit(nulls + row.width().div_ceil(8), index);
        let at = self.width;
        self.width += 1;
        if at.is_multiple_of(8) {
            self.nulls.push(0);
            self.errors.push(0);
        }
        self.nulls[at / 8] |= u8::from(null) << (at % 8);
        self.errors[at / 8] |= u8::from(error) << (at % 8);
        self.has_errors |= error;
        let slot = match (null, error || data_type.is_variable()) {
            (true, _) => 0,
            (false, true) => self.append(row.tail_of(index)),
            (false, false) => row.slot(index),
        };
        self.slots.extend_from_slice(&slot.to_le_bytes());
    }

    /// Leaves the next column out, as one that is as it was; the row is a partial one.
    pub fn leave_out(&mut self) {
        let index = self.width;
        self.push(Datum::Null, DataType::Boolean);
        self.left_out.resize(self.nulls.len(), 0);
        self.left_out[index / 8] |= 1 << (index % 8);
    }

    /// Says of the row being built that nobody knows whether it belongs to its relation, and why.
    pub fn mark_undecided(&mut self, reason: &str) {
        self.undecided = Some(reason.into());
    }

    /// The row of the cells pushed since the last `finish`, under the encoded `key`.
    pub fn finish(&mut self, key: &[u8]) -> Row {
        let mut flags = if self.has_errors { FLAG_ERRORS } else { 0 };
        if let Some(reason) = self.undecided.take() {
            flags |= FLAG_UNDECIDED;
            let slot = self.append(reason.as_bytes());
            self.slots.extend_from_slice(&slot.to_le_bytes());
        }
        if !self.left_out.is_empty() {
            flags |= FLAG_PARTIAL;
            self.left_out.resize(self.nulls.len(), 0);
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&(self.width as u16).to_le_bytes());
        self.bytes.push(flags);
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(&self.nulls);
        if self.has_errors {
            self.bytes.extend_from_slice(&self.errors);
        }
        self.bytes.extend_from_slice(&self.left_out);
        self.bytes.extend_from_slice(&self.slots);
        self.bytes.extend_from_slice(&self.tail);
        self.nulls.clear();
        self.errors.clear();
        self.left_out.clear();
        self.slots.clear();
        self.tail.clear();
        self.width = 0;
        self.has_errors = false;
        Row(Arc::from(&self.bytes[..]))
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) -> u64 {
        let offset = self.tail.len() as u64;
        self.tail.extend_from_slice(bytes);
        offset | (bytes.len() as u64) << 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Column, KeyColumn};

    const WIDE: DataType = DataType::Decimal { precision: 38, scale: 2 };
    const NARROW: DataType = DataType::Decimal { precision: 10, scale: 2 };

    #[test]
    fn cells_come_back_as_they_were_pushed() {
        let cells = [
            (Datum::Int(-7), DataType::Int64),
            (Datum::Text("naïve"), DataType::Text),
            (Datum::Null, DataType::Text),
            (Datum::Float(0.25), DataType::Float64),
            (Datum::Decimal(-12_345), NARROW),
            (Datum::Decimal(i128::MAX), WIDE),
            (Datum::Boolean(true), DataType::Boolean),
            (Datum::Bytes(&[0, 255]), DataType::Bytes),
            (Datum::Error("1 / 0"), DataType::Int64),
        ];
        let mut builder = RowBuilder::new();
        for round in 0..2 {
            cells.iter().for_each(|(datum, data_type)| builder.push(*datum, *data_type));
            let row = builder.finish(b"key");
            let row = Row::from_bytes(row.as_bytes()).expect("own bytes");
            assert_eq!(row.key(), b"key", "round {round}");
            assert!(row.has_errors());
            for (index, (datum, data_type)) in cells.iter().enumerate() {
                assert_eq!(row.get(index, *data_type), *datum);
            }
        }
    }

    #[test]
    fn a_row_says_why_nobody_knows_whether_it_is_there() {
        let mut builder = RowBuilder::new();
        let mut row = |reason: Option<&str>| {
            builder.push(Datum::Int(7), DataType::Int64);
            builder.push(Datum::Text("seven"), DataType::Text);
            reason.into_iter().for_each(|it| builder.mark_undecided(it));
            builder.finish(b"k")
        };
        let (undecided, decided) = (row(Some("WHERE: division by zero")), row(None));
        assert_eq!((undecided.undecided(), decided.undecided()), (Some("WHERE: division by zero"), None));
        assert_ne!(undecided, decided);
        let stored = Row::from_bytes(undecided.as_bytes()).unwrap();
        assert_eq!(stored.undecided(), undecided.undecided());
        for row in [stored, decided] {
            assert_eq!(
                (row.get(0, DataType::Int64), row.get(1, DataType::Text)),
                (Datum::Int(7), Datum::Text("seven"))
            );
            assert_eq!(row.width(), 2);
        }
    }

    #[test]
    fn a_partial_row_is_completed_by_what_was_before() {
        let types = [DataType::Int64, DataType::Text, DataType::Text, WIDE];
        let schema = Schema {
            columns: types.iter().map(|it| Column::new("c", *it)).collect(),
            visible: types.len(),
            key: [KeyColumn::ascending(0)].into(),
        };
        let row = |cells: [Option<Datum<'_>>; 4]| {
            let mut builder = RowBuilder::new();
            for (cell, data_type) in cells.iter().zip(types) {
                match cell {
                    Some(it) => builder.push(*it, data_type),
                    None => builder.leave_out(),
                }
            }
            builder.finish(b"k")
        };
        let (seven, text) = (Some(Datum::Int(7)), |it| Some(Datum::Text(it)));
        let whole = row([seven, text("big"), Some(Datum::Null), Some(Datum::Error("no number"))]);
        let patch = row([seven, None, text("new"), None]);
        assert!(patch.is_partial() && !whole.is_partial());
        assert_eq!((0..4).map(|it| patch.leaves_out(it)).collect::<Vec<_>>(), [false, true, false, true]);
        let completed = row([seven, text("big"), text("new"), Some(Datum::Error("no number"))]);
        assert_eq!(patch.over(Some(&whole), &schema), completed);
        // Two partial rows in one batch are one, which is completed later.
        let both = row([seven, None, None, Some(Datum::Decimal(5))]).over(Some(&patch), &schema);
        assert_eq!(both, row([seven, None, text("new"), Some(Datum::Decimal(5))]));
        assert_eq!(both.over(Some(&whole), &schema), row([seven, text("big"), text("new"), Some(Datum::Decimal(5))]));
        let never = Some(Datum::Error(NEVER_SENT));
        for before in [None, Some(&Row::tombstone(b"k"))] {
            assert_eq!(patch.over(before, &schema), row([seven, never, text("new"), never]));
        }
        assert!(Row::from_bytes(patch.as_bytes()).is_none(), "a partial row is never stored");
    }

    #[test]
    fn golden_bytes_never_change() {
        let mut builder = RowBuilder::new();
        builder.push(Datum::Int(1), DataType::Int64);
        builder.push(Datum::Null, DataType::Int64);
        builder.push(Datum::Text("ab"), DataType::Text);
        let row = builder.finish(&[9]);
        let expected = [
            &[1u8, 0, 0, 0, 3, 0, 0, 9, 0b010][..],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            &[0; 8],
            &[0, 0, 0, 0, 2, 0, 0, 0],
            b"ab",
        ]
        .concat();
        assert_eq!(row.as_bytes(), expected);
        assert_eq!(Row::tombstone(&[9]).as_bytes(), [1, 0, 0, 0, 0, 0, 2, 9]);
    }

    #[test]
    fn short_bytes_are_no_row() {
        assert!(Row::from_bytes(&[]).is_none());
        assert!(Row::from_bytes(&[9, 0, 0, 0, 0, 0, 2, 1]).is_none());
        assert!(Row::from_bytes(&[0, 0, 0, 0, 3, 0, 0, 0]).is_none());
    }
}
