//! Equalities between columns of different inputs, and the classes of columns they make equal.

use std::collections::HashMap;

use super::flat::{Flat, Planner};
use super::node::InputColumn;
use super::scalar::{Comparison, Scalar};
use crate::change::{Collation, DataType};

/// `left = right`, as conjunct number `conjunct` of a list of conditions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Equality {
    pub(crate) left: InputColumn,
    pub(crate) right: InputColumn,
    pub(crate) conjunct: usize,
    /// Whether a probe with encoded keys finds exactly the equal values: not so when a column ignores case.
    pub(crate) exact: bool,
}

impl Equality {
    /// The column on the other side of `column`.
    pub(crate) fn other(&self, column: InputColumn) -> Option<InputColumn> {
        if self.left == column {
            Some(self.right)
        } else if self.right == column {
            Some(self.left)
        } else {
            None
        }
    }
}

/// The column that `scalar` is; integers of both widths are encoded alike, so widening does not count.
pub(crate) fn plain_column(scalar: &Scalar) -> Option<InputColumn> {
    match scalar {
        Scalar::Column(it, _) => Some(*it),
        Scalar::Cast(inner, DataType::Int64) if inner.data_type() == DataType::Int32 => plain_column(inner),
        _ => None,
    }
}

/// Whether equal values of both types have equal encodings.
pub(crate) fn same_encoding(left: DataType, right: DataType) -> bool {
    let is_integer = |it| matches!(it, DataType::Int32 | DataType::Int64);
    left == right || is_integer(left) && is_integer(right)
}

/// The equalities among `conditions` that a probe can follow.
pub(crate) fn equalities(planner: &Planner, flat: &Flat, conditions: &[Scalar]) -> Vec<Equality> {
    let mut found = Vec::new();
    for (conjunct, condition) in conditions.iter().enumerate() {
        let Scalar::Compare(Comparison::Equal, left, right) = condition else { continue };
        let (Some(left), Some(right)) = (plain_column(left), plain_column(right)) else { continue };
        let column = |it: InputColumn| &planner.builder.schema(flat.steps[it.input].node).columns[it.column];
        if left.input != right.input && same_encoding(column(left).data_type, column(right).data_type) {
            let exact = [left, right].iter().all(|it| column(*it).collation == Collation::Binary);
            found.push(Equality { left, right, conjunct, exact });
        }
    }
    found
}

/// Sets of columns that are equal in every output row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Classes {
    parent: HashMap<InputColumn, InputColumn>,
}

impl Classes {
    /// The classes made by `equalities`.
    pub(crate) fn new<'a>(equalities: impl IntoIterator<Item = &'a Equality>) -> Classes {
        let mut classes = Classes::default();
        for it in equalities {
            classes.join(it.left, it.right);
        }
        classes
    }

    pub(crate) fn join(&mut self, left: InputColumn, right: InputColumn) {
        let (left, right) = (self.root(left), self.root(right));
        if left != right {
            self.parent.insert(left, right);
        }
    }

    pub(crate) fn same(&self, left: InputColumn, right: InputColumn) -> bool {
        left == right || self.root(left) == self.root(right)
    }

    /// `column` and everything equal to it, in order.
    pub(crate) fn members(&self, column: InputColumn) -> Vec<InputColumn> {
        let root = self.root(column);
        let mut members: Vec<InputColumn> = self.parent.keys().copied().filter(|it| self.root(*it) == root).collect();
        members.extend([root, column]);
        members.sort_by_key(|it| (it.input, it.column));
        members.dedup();
        members
    }

    fn root(&self, mut column: InputColumn) -> InputColumn {
        while let Some(parent) = self.parent.get(&column) {
            column = *parent;
        }
        column
    }
}
