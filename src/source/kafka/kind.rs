//! The kind `kafka`: its options, and what a source of it can do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::fault::Fault;
use super::options::{Connection, OF_SOURCE};
use super::run::run;
use crate::catalog::{Problem, Source, Span, Table};
use crate::change::{Position, Schema};
use crate::source::format::{Layout, Schemas};
use crate::source::options::Reading;
use crate::source::registry::{OPTIONS, Registry};
use crate::source::{Connector, Kind, Link, SourceError, SourceSpec};

/// The kind.
pub(in crate::source) const KIND: Kind = Kind { name: "kafka", connect };

/// The topics of one cluster that one source reads.
#[derive(Debug)]
pub(super) struct Kafka {
    pub(super) connection: Connection,
    /// Who has the schemas that messages name.
    registry: Option<Arc<Registry>>,
    /// Whether a table is copied again when its topic does not go on where it was read up to.
    pub(super) resync: bool,
    /// How transactions are applied whole, where that was asked for.
    pub(super) transactions: Option<Transactions>,
    /// By name.
    pub(super) tables: BTreeMap<String, TableOfTopic>,
}

/// How transactions are applied whole.
#[derive(Debug)]
pub(super) struct Transactions {
    /// The topic that says where they end.
    pub(super) topic: String,
    /// How long the rest of one is waited for.
    pub(super) wait: Duration,
    /// How much may wait before reading pauses.
    pub(super) most_bytes: usize,
}

/// A table that is made of the messages of a topic.
#[derive(Debug)]
pub(super) struct TableOfTopic {
    pub(super) topic: String,
    pub(super) layout: Layout,
}

fn connect(source: &Source, tables: &[&Table], reading: &mut Reading<'_>) -> Option<Arc<dyn Connector>> {
    let before = reading.problems.len();
    let options = reading.declared(source, tables, &[OF_SOURCE, &OPTIONS[..]].concat(), &[]);
    let mut made = BTreeMap::new();
    for table in tables {
        reading.problems.extend(unfit(&table.upstream, table));
        let layout = Layout::of(table, reading);
        made.extend(layout.map(|layout| (table.name.clone(), TableOfTopic { topic: table.upstream.clone(), layout })));
    }
    reading.problems.extend(unfit_transactions(source, tables));
    let (values, _) = options.filter(|_| reading.problems.len() == before)?;
    let registry = Registry::of(source, &values, reading).map(Arc::new);
    if registry.is_none() && reading.problems.len() == before {
        let in_want = made.values().filter_map(|it| it.layout.registered());
        reading.problems.extend(in_want.map(without_registry));
    }
    if values.text("transaction.topic").is_some() {
        let in_avro = made.values().filter_map(|it| it.layout.registered());
        reading.problems.extend(in_avro.map(untold_transactions));
    }
    if reading.problems.len() > before {
        return None;
    }
    let resync = values.text("on_gap") == Some("resync");
    let transactions = values.text("transaction.topic").map(|topic| Transactions {
        topic: topic.into(),
        wait: values.duration("transaction.wait").expect("it has a default"),
        most_bytes: values.number("transaction.held.kbytes").expect("it has a default") as usize * 1024,
    });
    Some(Arc::new(Kafka { connection: Connection::of(&values), registry, resync, transactions, tables: made }))
}

/// What is wrong with the topic that says where transactions end.
fn unfit_transactions(source: &Source, tables: &[&Table]) -> Option<Problem> {
    let (_, topic) = source.options.iter().find(|it| it.0.text == "transaction.topic")?;
    if !is_topic(&topic.text) {
        return Some(no_topic(&topic.text, topic.span));
    }
    let table = tables.iter().find(|it| it.upstream == topic.text)?;
    let problem = Problem::at(table.span, format!("topic \"{}\" says where transactions end", topic.text));
    Some(problem.with_hint("it has no rows for a table; the rows are in the topics of the database's tables"))
}

/// The problem of a table whose messages do not say where they belong in a way that is read.
fn untold_transactions(at: Span) -> Problem {
    let problem = Problem::at(at, "transactions are applied whole only where events are in JSON");
    problem.with_hint("leave transaction.topic out, or have the connector write JSON")
}

/// The problem of a table whose messages name schemas that nobody has.
fn without_registry(at: Span) -> Problem {
    let problem =
        Problem::at(at, "messages in Avro name their schemas, and the source does not say which registry has them");
    problem.with_hint("add schema.registry.url = 'http://…' to the options of the source")
}

/// What is wrong with the name of a topic.
fn unfit(topic: &str, table: &Table) -> Option<Problem> {
    (!is_topic(topic)).then(|| no_topic(topic, table.span))
}

fn is_topic(name: &str) -> bool {
    let fits = name.len() <= 249 && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-".contains(&it));
    fits && !name.is_empty() && name != "." && name != ".."
}

fn no_topic(name: &str, span: Span) -> Problem {
    let problem = Problem::at(span, format!("no topic can be called \"{name}\""));
    problem.with_hint("topics have names of letters, digits, points, _ and -, at most 249 of them")
}

impl Kafka {
    /// The schemas that messages name, for a source that runs until `stop` is set.
    pub(super) fn schemas(&self, stop: &Arc<AtomicBool>) -> Result<Option<Arc<dyn Schemas>>, Fault> {
        Ok(self.registry.as_ref().map(|it| it.open(stop)).transpose()?)
    }

    /// What was declared of a table.
    pub(super) fn table(&self, table: &Table) -> &TableOfTopic {
        self.tables.get(&table.name).expect("a connector is asked for the tables it was made with")
    }
}

impl Connector for Kafka {
    fn describe(&self, table: &Table) -> Result<Schema, SourceError> {
        Ok(self.table(table).layout.schema().clone())
    }

    fn has_messages(&self) -> bool {
        true
    }

    fn run(&self, spec: &SourceSpec, from: Option<Position>, link: &Link) {
        run(self, spec, from, link);
    }
}
