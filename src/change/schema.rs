//! The shape of a relation: its columns, which of them SQL may see, and its unique key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::data_type::{DataType, Datum};
use super::key::{Collation, KeyColumn, encode_datum, encode_key};

/// The number under which a stored relation's rows lie in the store; 0 is the store's own meta relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationId(pub u32);

/// The name of a hidden key column that tells rows apart whose visible key has a NULL in it; it is NULL in all others,
/// which the visible key tells apart alone.
pub const TIE: &str = "_tie";

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    /// The name as SQL sees it.
    pub name: String,
    /// The type.
    pub data_type: DataType,
    /// Whether NULL may occur.
    pub nullable: bool,
    /// How text is compared when the column is part of a key.
    pub collation: Collation,
}

impl Column {
    /// A nullable column with binary collation.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Column {
        Column { name: name.into(), data_type, nullable: true, collation: Collation::Binary }
    }
}

/// Columns and key of a relation. Every relation has a unique key; where SQL gives none, hidden columns
/// (those at `visible` and beyond) complete it, so that a multiset is a set of rows with different hidden keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Schema {
    /// All columns, the visible ones first.
    pub columns: Arc<[Column]>,
    /// How many leading columns SQL sees.
    pub visible: usize,
    /// The unique key, in encoding order.
    pub key: Arc<[KeyColumn]>,
}

impl Schema {
    /// The columns SQL sees.
    pub fn visible_columns(&self) -> &[Column] {
        &self.columns[..self.visible]
    }

    /// Whether rows can be addressed by visible columns: the unique key has no others, but for ties.
    pub fn has_visible_key(&self) -> bool {
        self.address().all(|it| it.column < self.visible)
    }

    /// The columns of the unique key by whose values a row is asked for, in order: all but the ties.
    pub fn address(&self) -> impl Iterator<Item = &KeyColumn> + Clone {
        self.key.iter().filter(|it| !self.is_tie(it.column))
    }

    /// Whether column `index` is a [`TIE`].
    pub fn is_tie(&self, index: usize) -> bool {
        index >= self.visible && self.columns[index].name == TIE
    }

    /// Appends the encoded unique key of the row with these values in the columns of [`Schema::address`].
    pub fn encode_address<'a>(&self, values: impl IntoIterator<Item = Datum<'a>>, out: &mut Vec<u8>) {
        let mut values = values.into_iter();
        for part in self.key.iter() {
            let datum = if self.is_tie(part.column) { Some(Datum::Null) } else { values.next() };
            // A key that is too short finds nothing.
            let Some(datum) = datum else { return };
            encode_datum(datum, *part, self.columns[part.column].collation, out);
        }
    }

    /// The position of the visible column called `name` (exact match).
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.visible_columns().iter().position(|it| it.name == name)
    }

    /// The type of column `index`.
    pub fn data_type(&self, index: usize) -> DataType {
        self.columns[index].data_type
    }

    /// Appends the encoded unique key of the row whose cell `i` is `cell(i)` to `out`.
    pub fn encode_key<'a>(&self, cell: impl Fn(usize) -> Datum<'a>, out: &mut Vec<u8>) {
        encode_key(&self.key, &self.columns, cell, out);
    }
}
