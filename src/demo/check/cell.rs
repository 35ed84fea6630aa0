//! One value of either side in a common form, so that equal means the same thing for a view and for SQLite.

use std::cmp::Ordering;

use rusqlite::types::ValueRef;

use crate::change::{DataType, Datum, pow10};

/// Two floats are equal within this relative difference: a sum may have been added up in another order.
const TOLERANCE: f64 = 1e-12;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i128),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// Not a value; equal to nothing SQLite has.
    Error(String),
}

impl Cell {
    /// A value as it is served.
    pub(super) fn served(datum: Datum<'_>, data_type: DataType) -> Cell {
        match datum {
            Datum::Null => Cell::Null,
            Datum::Error(message) => Cell::Error(message.to_owned()),
            Datum::Boolean(it) => Cell::Int(i128::from(it)),
            Datum::Int(it) => Cell::Int(i128::from(it)),
            Datum::Float(it) => Cell::Float(it),
            Datum::Decimal(it) => match data_type {
                DataType::Decimal { scale, .. } if scale > 0 => Cell::Float(it as f64 / pow10(scale) as f64),
                _ => Cell::Int(it),
            },
            Datum::Text(it) => Cell::Text(it.to_owned()),
            Datum::Bytes(it) => Cell::Bytes(it.to_vec()),
        }
    }

    /// A value of SQLite's for a column of `data_type`: SQLite's integers are floats where the column's are.
    pub(super) fn expected(value: ValueRef<'_>, data_type: DataType) -> Cell {
        let fraction = match data_type {
            DataType::Float64 => true,
            DataType::Decimal { scale, .. } => scale > 0,
            _ => false,
        };
        match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(it) if fraction => Cell::Float(it as f64),
            ValueRef::Integer(it) => Cell::Int(i128::from(it)),
            ValueRef::Real(it) => Cell::Float(it),
            ValueRef::Text(it) => Cell::Text(String::from_utf8_lossy(it).into_owned()),
            ValueRef::Blob(it) => Cell::Bytes(it.to_vec()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Cell::Null => 0,
            Cell::Int(_) => 1,
            Cell::Float(_) => 2,
            Cell::Text(_) => 3,
            Cell::Bytes(_) => 4,
            Cell::Error(_) => 5,
        }
    }

    fn compare(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
            (Cell::Float(a), Cell::Float(b)) => a.total_cmp(b),
            (Cell::Text(a), Cell::Text(b)) | (Cell::Error(a), Cell::Error(b)) => a.cmp(b),
            (Cell::Bytes(a), Cell::Bytes(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn equals(&self, other: &Cell) -> bool {
        match (self, other) {
            (Cell::Float(a), Cell::Float(b)) => {
                a.total_cmp(b).is_eq() || a == b || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
            }
            (Cell::Error(_), _) | (_, Cell::Error(_)) => false,
            _ => self == other,
        }
    }
}

/// An order of rows in which floats decide last, so that their last digits do not part rows that are equal.
pub(super) fn compare_rows(a: &[Cell], b: &[Cell]) -> Ordering {
    let is_float = |pair: &(&Cell, &Cell)| matches!(pair, (Cell::Float(_), Cell::Float(_)));
    let order = |pair: (&Cell, &Cell)| pair.0.compare(pair.1);
    let exact = a.iter().zip(b).filter(|pair| !is_float(pair)).map(order).find(|it| it.is_ne());
    let floats = || a.iter().zip(b).filter(is_float).map(order).find(|it| it.is_ne());
    exact.or_else(floats).unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// Whether two rows have the same values.
pub(super) fn equal_rows(a: &[Cell], b: &[Cell]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b))
}

/// A row as a person reads it.
pub(super) fn readable(columns: &[&str], row: &[Cell]) -> String {
    let cells = columns.iter().zip(row).map(|(column, cell)| match cell {
        Cell::Null => format!("{column}=NULL"),
        Cell::Int(it) => format!("{column}={it}"),
        Cell::Float(it) => format!("{column}={it:?}"),
        Cell::Text(it) => format!("{column}={it:?}"),
        Cell::Bytes(it) => format!("{column}={it:02x?}"),
        Cell::Error(it) => format!("{column}=error({it})"),
    });
    cells.collect::<Vec<_>>().join(" ")
}
