//! What a table takes of messages in Avro: keys, rows, and Debezium's events with two rows in them.

use std::sync::Arc;

use hashbrown::HashMap;

use super::datum::Datum;
use super::rows::{Place, Rows, Wanted};
use super::schema::{Kind, Schema};
use crate::change::DataType;
use crate::source::format::encoding::Modes;
use crate::source::format::message::Unread;
use crate::source::format::schemas::{Schemas, unframed};
use crate::source::format::shape::Shape;
use crate::source::format::slots::Slots;

/// What was worked out for each schema, by its id. A registry gives an id to one schema and never to another.
#[derive(Debug)]
struct Plans<P> {
    schemas: Arc<dyn Schemas>,
    known: HashMap<i64, (Schema, P)>,
}

impl<P> Plans<P> {
    fn new(schemas: &Arc<dyn Schemas>) -> Plans<P> {
        Plans { schemas: Arc::clone(schemas), known: HashMap::new() }
    }

    /// The plan of the schema that `bytes` name, and the value behind its id.
    fn plan<'a>(
        &mut self,
        bytes: &'a [u8],
        what: &str,
        make: impl FnOnce(&Schema) -> Result<P, String>,
    ) -> Result<(&Schema, &P, Datum<'a>), Unread> {
        let (id, rest) = unframed(bytes, self.schemas.id_bytes(), what)?;
        if !self.known.contains_key(&id) {
            let registered = self.schemas.get(id)?;
            let schema = Schema::parse(&registered.text, &registered.references);
            let named = |error| format!("schema {id}: {error}");
            let schema = schema.map_err(named)?;
            let plan = make(&schema).map_err(named)?;
            self.known.insert(id, (schema, plan));
        }
        let (schema, plan) = &self.known[&id];
        Ok((schema, plan, Datum::new(rest)))
    }

    /// What `read` makes of all of the value in `bytes`.
    fn read<'a, T>(
        &mut self,
        bytes: &'a [u8],
        what: &str,
        make: impl FnOnce(&Schema) -> Result<P, String>,
        read: impl FnOnce(&P, &Schema, &mut Datum<'a>) -> Result<T, String>,
    ) -> Result<T, Unread> {
        let (schema, plan, mut datum) = self.plan(bytes, what, make)?;
        let found = read(plan, schema, &mut datum).and_then(|it| datum.end().map(|()| it));
        found.map_err(|error| format!("{what}: {error}").into())
    }
}

/// Reads values that are rows.
#[derive(Debug)]
pub(in crate::source::format) struct Values {
    plans: Plans<Rows>,
    wanted: Wanted,
}

impl Values {
    /// Of the columns, and of a field `beside` them, whose place is behind them.
    pub(in crate::source::format) fn new(
        schemas: &Arc<dyn Schemas>,
        shape: &Shape,
        modes: Modes,
        beside: &str,
    ) -> Values {
        let mut names = named(shape.fields());
        names.push((beside.into(), shape.width()));
        Values { plans: Plans::new(schemas), wanted: Wanted { names, only: None, width: shape.width() + 1, modes } }
    }

    /// The row that `bytes` hold; `None` for null.
    pub(in crate::source::format) fn read<'a>(
        &mut self,
        bytes: &'a [u8],
        shape: &Shape,
    ) -> Result<Option<Slots<'a>>, Unread> {
        let make = |schema: &Schema| Ok(Rows::new(schema, schema.root, &self.wanted, shape));
        self.plans.read(bytes, "the value", make, |rows, schema, datum| rows.read(schema, datum))
    }
}

/// Reads keys.
#[derive(Debug)]
pub(in crate::source::format) struct Keys {
    plans: Plans<Rows>,
    wanted: Wanted,
}

impl Keys {
    pub(in crate::source::format) fn new(schemas: &Arc<dyn Schemas>, shape: &Shape, modes: Modes) -> Keys {
        let names = named(shape.key_fields());
        let only = if let [(_, only)] = names[..] { Some(only) } else { None };
        Keys { plans: Plans::new(schemas), wanted: Wanted { names, only, width: shape.width(), modes } }
    }

    /// What the key in `bytes` says; `None` for null.
    pub(in crate::source::format) fn read<'a>(
        &mut self,
        bytes: &'a [u8],
        shape: &Shape,
    ) -> Result<Option<Slots<'a>>, Unread> {
        let make = |schema: &Schema| Ok(Rows::new(schema, schema.root, &self.wanted, shape));
        self.plans.read(bytes, "the message's key", make, |rows, schema, datum| rows.read(schema, datum))
    }
}

fn named<'s>(fields: impl Iterator<Item = (&'s str, usize)>) -> Vec<(String, usize)> {
    fields.map(|(name, at)| (name.to_owned(), at)).collect()
}

/// An event of Debezium's.
#[derive(Debug)]
pub(in crate::source::format) struct Event<'a> {
    /// The row before and after.
    pub(in crate::source::format) sides: [Option<Slots<'a>>; 2],
    /// What is told beside them, in the order of the names.
    pub(in crate::source::format) told: Slots<'a>,
}

/// Reads Debezium's events.
#[derive(Debug)]
pub(in crate::source::format) struct Events {
    plans: Plans<Vec<Step>>,
    row: Wanted,
    /// The names of the fields that hold rows, and of those that are told beside them.
    sides: [&'static str; 2],
    told: &'static [&'static str],
}

/// One field of an envelope.
#[derive(Debug)]
enum Step {
    Skip(usize),
    /// A row.
    Side(usize, Rows),
    /// A value beside the rows.
    Told(Place),
}

impl Events {
    pub(in crate::source::format) fn new(
        schemas: &Arc<dyn Schemas>,
        shape: &Shape,
        modes: Modes,
        sides: [&'static str; 2],
        told: &'static [&'static str],
    ) -> Events {
        let row = Wanted { names: named(shape.fields()), only: None, width: shape.width(), modes };
        Events { plans: Plans::new(schemas), row, sides, told }
    }

    /// The event that `bytes` hold.
    pub(in crate::source::format) fn read<'a>(&mut self, bytes: &'a [u8], shape: &Shape) -> Result<Event<'a>, Unread> {
        let (sides, names, row) = (self.sides, self.told, &self.row);
        let make = |schema: &Schema| steps(schema, sides, names, row, shape);
        self.plans.read(bytes, "the event", make, |steps, schema, datum| {
            let mut event = Event { sides: [None, None], told: Slots::absent(names.len()) };
            for step in steps {
                match step {
                    Step::Skip(node) => datum.skip(schema, *node)?,
                    Step::Side(at, rows) => event.sides[*at] = rows.read(schema, datum)?,
                    Step::Told(place) => place.read(schema, datum, &mut event.told)?,
                }
            }
            Ok(event)
        })
    }
}

fn steps(schema: &Schema, sides: [&str; 2], told: &[&str], row: &Wanted, shape: &Shape) -> Result<Vec<Step>, String> {
    let Kind::Record(fields) = &schema.node(schema.root).kind else {
        return Err("it is no Debezium event: it is no record".into());
    };
    let step = |(name, node): &(String, usize)| {
        if let Some(at) = sides.iter().position(|it| it == name) {
            return Step::Side(at, Rows::new(schema, *node, row, shape));
        }
        match told.iter().position(|it| it == name) {
            Some(at) => Step::Told(Place::new(schema, *node, at, DataType::Text, row.modes)),
            None => Step::Skip(*node),
        }
    };
    Ok(fields.iter().map(step).collect())
}
