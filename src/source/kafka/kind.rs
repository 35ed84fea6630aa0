//! The kind `kafka`: its options, and what a source of it can do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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
    /// By name.
    pub(super) tables: BTreeMap<String, TableOfTopic>,
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
    let (values, _) = options.filter(|_| reading.problems.len() == before)?;
    let registry = Registry::of(source, &values, reading).map(Arc::new);
    if registry.is_none() && reading.problems.len() == before {
        let in_want = made.values().filter_map(|it| it.layout.registered());
        reading.problems.extend(in_want.map(without_registry));
    }
    if reading.problems.len() > before {
        return None;
    }
    let resync = values.text("on_gap") == Some("resync");
    Some(Arc::new(Kafka { connection: Connection::of(&values), registry, resync, tables: made }))
}

/// The problem of a table whose messages name schemas that nobody has.
fn without_registry(at: Span) -> Problem {
    let problem =
        Problem::at(at, "messages in Avro name their schemas, and the source does not say which registry has them");
    problem.with_hint("add schema.registry.url = 'http://…' to the options of the source")
}

/// What is wrong with the name of a topic.
fn unfit(topic: &str, table: &Table) -> Option<Problem> {
    let fits = topic.len() <= 249 && topic.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-".contains(&it));
    (topic.is_empty() || !fits || topic == "." || topic == "..").then(|| {
        let problem = Problem::at(table.span, format!("no topic can be called \"{topic}\""));
        problem.with_hint("topics have names of letters, digits, points, _ and -, at most 249 of them")
    })
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

    fn run(&self, spec: &SourceSpec, from: Option<Position>, link: &Link) {
        run(self, spec, from, link);
    }
}
