//! The values of a row as a binary format has them, by column.

use super::encoding::Encoding;
use super::shape::{Field, Fields};
use super::value::Typed;

/// A value, and how it is written.
#[derive(Debug, Clone)]
struct Slot<'a> {
    field: Field<'a>,
    encoding: Encoding,
}

/// The values of a row.
#[derive(Debug, Clone)]
pub(super) struct Slots<'a>(Vec<Slot<'a>>);

impl<'a> Slots<'a> {
    /// So many, of which none is there.
    pub(super) fn absent(width: usize) -> Slots<'a> {
        Slots(vec![Slot { field: Field::Absent, encoding: Encoding::Plain }; width])
    }

    /// Puts a value at a place.
    pub(super) fn put(&mut self, at: usize, value: Typed<'a>, encoding: Encoding) {
        self.0[at] = Slot { field: Field::Typed(value), encoding };
    }

    /// The text at a place, if one is there.
    pub(super) fn text(&self, at: usize) -> Option<&str> {
        match &self.0[at].field {
            Field::Typed(Typed::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether something is there.
    pub(super) fn is_there(&self, at: usize) -> bool {
        self.0[at].field != Field::Absent
    }

    /// Whether something is there that is not null.
    pub(super) fn has(&self, at: usize) -> bool {
        !matches!(self.0[at].field, Field::Absent | Field::Typed(Typed::Null))
    }
}

impl<'a> Fields<'a> for Slots<'a> {
    fn field(&self, at: usize) -> Field<'a> {
        self.0[at].field.clone()
    }

    fn encoding(&self, at: usize) -> Option<Encoding> {
        Some(self.0[at].encoding)
    }
}
