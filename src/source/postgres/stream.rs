//! From the messages of the stream to events: whole transactions, in the order in which they were committed.
//!
//! The protocol's first version is asked for: the server keeps a transaction until it commits, on its own disk when it is
//! large, and sends it whole. So one that is rolled back never comes here, and what is held of an open one is only what
//! is on its way. It is one epoch of the engine, which is made in memory: one that is too large for that is refused.

use std::collections::HashMap;
use std::time::Instant;

use super::fault::Fault;
use super::layout::Layout;
use super::pgoutput::{self, Old, Sent, Tuple};
use super::reader::{Reader, Value};
use super::seen::Seen;
use crate::change::{Change, Event, RowBuilder, TableId};

/// The transactions read and not sent on yet.
pub(super) struct Stream {
    /// By number at the server, what was last said of a table's columns.
    relations: HashMap<u32, Relation>,
    writer: Writer,
    /// What committed transactions did.
    pub(super) ready: Vec<Event>,
    /// The bytes of these.
    pub(super) ready_bytes: usize,
    /// When the newest of these transactions became known here.
    pub(super) seen_at: Option<Instant>,
    /// Everything committed up to here was read.
    pub(super) at: u64,
    /// The bytes that one transaction may have.
    most_bytes: usize,
}

/// Writes down what the open transaction does.
#[derive(Default)]
struct Writer {
    open: Option<Open>,
    builder: RowBuilder,
    key: Vec<u8>,
    old_key: Vec<u8>,
}

/// A transaction that has not come to its end.
struct Open {
    number: u32,
    /// What copies have seen of it already.
    seen_by: Vec<TableId>,
    events: Vec<Event>,
    bytes: usize,
    seen_at: Instant,
}

/// One table of the server.
enum Relation {
    /// Nothing is declared from it.
    Foreign,
    /// By reader, where its columns stand in the tuples; the error names one that does not fit.
    Followed { table: usize, places: Vec<Result<Vec<usize>, String>> },
}

impl Stream {
    /// Everything committed up to `at` was read; no transaction may have more than `most_bytes`.
    pub(super) fn new(at: u64, most_bytes: usize) -> Stream {
        Stream {
            relations: HashMap::new(),
            writer: Writer::default(),
            ready: Vec::new(),
            ready_bytes: 0,
            seen_at: None,
            at,
            most_bytes,
        }
    }

    /// Whether no transaction is on its way.
    pub(super) fn is_whole(&self) -> bool {
        self.writer.open.is_none()
    }

    /// A transaction begins; copies may have seen it.
    pub(super) fn begin<'c>(&mut self, number: u32, copied: impl Iterator<Item = (&'c TableId, &'c Seen)>) {
        let seen_by = copied.filter(|it| it.1.has(number)).map(|it| *it.0).collect();
        self.writer.open = Some(Open { number, seen_by, events: Vec::new(), bytes: 0, seen_at: Instant::now() });
    }

    /// It has committed; everything up to `end` was read.
    pub(super) fn commit(&mut self, end: u64) {
        if let Some(open) = self.writer.open.take() {
            if self.ready.is_empty() {
                self.ready = open.events;
            } else {
                self.ready.extend(open.events);
            }
            self.ready_bytes += open.bytes;
            self.seen_at = Some(open.seen_at);
        }
        self.at = self.at.max(end);
    }

    /// The server has read its log up to `end`, and sent all that had committed.
    pub(super) fn alive(&mut self, end: u64) {
        if self.is_whole() {
            self.at = self.at.max(end);
        }
    }

    /// Takes one message of a transaction.
    pub(super) fn take(&mut self, layout: &Layout, message: &[u8]) -> Result<(), Misread> {
        let unreadable = || Misread::Fault(Fault::Retry("a message of the stream cannot be read".into()));
        match pgoutput::read(message).ok_or_else(unreadable)? {
            Sent::Relation { table: relation, columns } => {
                let known = layout.by_oid(relation).map_or(Relation::Foreign, |table| {
                    let places = layout.tables[table].readers.iter().map(|it| it.places(columns.iter().copied()));
                    Relation::Followed { table, places: places.collect() }
                });
                self.relations.insert(relation, known);
                Ok(())
            }
            Sent::Insert { table, new } => {
                self.each(layout, table, |it, reader, places| it.put(reader, places, &new, None))
            }
            Sent::Update { table, old, new } => {
                self.each(layout, table, |it, reader, places| it.put(reader, places, &new, old.as_ref()))
            }
            Sent::Delete { table, old } => {
                self.each(layout, table, |it, reader, places| it.delete(reader, places, &old))
            }
            Sent::Truncate { tables } => tables
                .into_iter()
                .try_for_each(|it| self.each(layout, it, |it, reader, _| it.push(Event::emptied(reader.table)))),
            Sent::Other => Ok(()),
        }
    }

    /// Does something for every reader of a table that has not seen this transaction in its copy.
    fn each(
        &mut self,
        layout: &Layout,
        relation: u32,
        mut apply: impl FnMut(&mut Writer, &Reader, &[usize]),
    ) -> Result<(), Misread> {
        let (table, places) = match self.relations.get(&relation) {
            Some(Relation::Followed { table, places }) => (*table, places),
            Some(Relation::Foreign) => return Ok(()),
            None => return Err(Misread::Fault(Fault::Retry("a table's rows came before its columns".into()))),
        };
        let mut misfits = Vec::new();
        for (reader, places) in layout.tables[table].readers.iter().zip(places) {
            match places {
                _ if self.writer.has_seen(reader.table) => {}
                Ok(places) => apply(&mut self.writer, reader, places),
                Err(column) => misfits.push((reader.table, column.clone())),
            }
        }
        if !misfits.is_empty() {
            return Err(Misread::Misfit(misfits));
        }
        match &self.writer.open {
            Some(open) if open.bytes > self.most_bytes => Err(Misread::Fault(Fault::TooLarge(open.number))),
            _ => Ok(()),
        }
    }
}

impl Writer {
    /// Whether the copy of `table` has what the open transaction does.
    fn has_seen(&self, table: TableId) -> bool {
        self.open.as_ref().is_some_and(|it| it.seen_by.contains(&table))
    }

    /// A row that is there now.
    fn put(&mut self, reader: &Reader, places: &[usize], new: &Tuple<'_>, old: Option<&Old<'_>>) {
        let is_key = |index: usize| reader.schema.key.iter().any(|it| it.column == index);
        let value = |index: usize| match (value(new, places[index]), old) {
            // Of the row before, the key is told in any case, and all of it where it is its replica identity.
            (Value::Unchanged, Some(old)) if old.is_whole || is_key(index) => self::value(&old.values, places[index]),
            (value, _) => value,
        };
        let Writer { builder, key, old_key, .. } = self;
        reader.key(value, key);
        let row = reader.row(value, key, builder);
        let moved = old.is_some_and(|old| {
            reader.key(|index| self::value(&old.values, places[index]), old_key);
            old_key != key
        });
        if moved && row.is_partial() {
            let event = Event::moved(reader.table, old_key, row);
            self.push(event);
            return;
        }
        if moved {
            let gone = Event::gone(reader.table, old_key);
            self.push(gone);
        }
        self.push(Event::row(reader.table, row));
    }

    fn delete(&mut self, reader: &Reader, places: &[usize], old: &Old<'_>) {
        reader.key(|index| value(&old.values, places[index]), &mut self.key);
        let gone = Event::gone(reader.table, &self.key);
        self.push(gone);
    }

    fn push(&mut self, event: Event) {
        let open = self.open.as_mut().expect("changes come inside a transaction");
        open.bytes += size_of::<Event>() + row_bytes(&event);
        open.events.push(event);
    }
}

fn row_bytes(event: &Event) -> usize {
    match &event.change {
        Change::Row(row) => row.as_bytes().len(),
        Change::Moved(moved) => moved.from.len() + moved.row.as_bytes().len(),
        Change::Emptied => 0,
    }
}

/// Why a message could not be taken.
pub(super) enum Misread {
    Fault(Fault),
    /// These tables had another shape when this was changed than the one that was verified: which column differs.
    Misfit(Vec<(TableId, String)>),
}

/// The server sends as many values as it has said there are columns.
fn value<'m>(tuple: &Tuple<'m>, place: usize) -> Value<'m> {
    tuple.get(place).copied().unwrap_or(Value::Null)
}
