//! A value as a row: which field of the writer's schema is which column, worked out once for a schema.

use super::datum::Datum;
use super::schema::{Kind, Schema};
use crate::change::DataType;
use crate::source::format::encoding::{Encoding, Modes};
use crate::source::format::shape::Shape;
use crate::source::format::slots::Slots;

/// What a table wants of values of one kind.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Fields by name, with the places they are put at.
    pub(super) names: Vec<(String, usize)>,
    /// The place of a value that is no record.
    pub(super) only: Option<usize>,
    /// How many places there are.
    pub(super) width: usize,
    pub(super) modes: Modes,
}

/// How the values of one type become rows.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    width: usize,
    is_union: bool,
    branches: Vec<Branch>,
}

#[derive(Debug, Clone)]
enum Branch {
    Null,
    Record(Vec<Step>),
    Single(Place),
    /// A value that is no row.
    Other(usize),
}

/// One field of a record.
#[derive(Debug, Clone)]
struct Step {
    node: usize,
    place: Option<Place>,
}

/// Where a value is put, and how it is read there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    at: usize,
    is_union: bool,
    branches: Vec<(usize, Encoding)>,
}

impl Rows {
    /// Of the values of the type `at`.
    pub(super) fn new(schema: &Schema, at: usize, wanted: &Wanted, shape: &Shape) -> Rows {
        // A place behind the columns holds what the format itself looks at.
        let data_type = |at: usize| shape.schema.columns.get(at).map_or(DataType::Text, |it| it.data_type);
        let place = |node, at| Place::new(schema, node, at, data_type(at), wanted.modes);
        let branch = |at: usize| match &schema.node(at).kind {
            Kind::Null => Branch::Null,
            Kind::Record(fields) => {
                let step = |(name, node): &(String, usize)| {
                    let found = wanted.names.iter().find(|it| it.0 == *name);
                    Step { node: *node, place: found.map(|it| place(*node, it.1)) }
                };
                Branch::Record(fields.iter().map(step).collect())
            }
            _ => match wanted.only {
                Some(only) => Branch::Single(place(at, only)),
                None => Branch::Other(at),
            },
        };
        let branches = schema.branches(at).into_iter().map(branch).collect();
        Rows { width: wanted.width, is_union: schema.is_union(at), branches }
    }

    /// The row that follows; `None` for null.
    pub(super) fn read<'a>(&self, schema: &Schema, datum: &mut Datum<'a>) -> Result<Option<Slots<'a>>, String> {
        let branch = if self.is_union { datum.branch(self.branches.len())? } else { 0 };
        let mut slots = Slots::absent(self.width);
        match &self.branches[branch] {
            Branch::Null => return Ok(None),
            Branch::Record(steps) => {
                for step in steps {
                    match &step.place {
                        Some(place) => place.read(schema, datum, &mut slots)?,
                        None => datum.skip(schema, step.node)?,
                    }
                }
            }
            Branch::Single(place) => place.read(schema, datum, &mut slots)?,
            Branch::Other(at) => {
                datum.skip(schema, *at)?;
                return Err("the Avro value is no record".into());
            }
        }
        Ok(Some(slots))
    }
}

impl Place {
    /// Place `at`, for values of the type `node`.
    pub(super) fn new(schema: &Schema, node: usize, at: usize, data_type: DataType, modes: Modes) -> Place {
        let branch = |node: usize| (node, schema.encoding(node, data_type, modes));
        Place { at, is_union: schema.is_union(node), branches: schema.branches(node).into_iter().map(branch).collect() }
    }

    /// Puts the value that follows there.
    pub(super) fn read<'a>(&self, schema: &Schema, datum: &mut Datum<'a>, slots: &mut Slots<'a>) -> Result<(), String> {
        let branch = if self.is_union { datum.branch(self.branches.len())? } else { 0 };
        let (node, encoding) = self.branches[branch];
        slots.put(self.at, datum.value(schema, node)?, encoding);
        Ok(())
    }
}
