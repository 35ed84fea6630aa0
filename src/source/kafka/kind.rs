//! The kind `kafka`: its options, and what a source of it can do.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::options::{Connection, OF_SOURCE};
use super::run::run;
use crate::catalog::{Problem, Source, Table};
use crate::change::{Position, Schema};
use crate::source::format::Layout;
use crate::source::options::Reading;
use crate::source::{Connector, Kind, Link, SourceError, SourceSpec};

/// The kind.
pub(in crate::source) const KIND: Kind = Kind { name: "kafka", connect };

/// The topics of one cluster that one source reads.
#[derive(Debug)]
pub(super) struct Kafka {
    pub(super) connection: Connection,
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
    let options = reading.declared(source, tables, OF_SOURCE, &[]);
    let mut made = BTreeMap::new();
    for table in tables {
        reading.problems.extend(unfit(&table.upstream, table));
        let layout = Layout::of(table, reading);
        made.extend(layout.map(|layout| (table.name.clone(), TableOfTopic { topic: table.upstream.clone(), layout })));
    }
    let (values, _) = options.filter(|_| reading.problems.len() == before)?;
    let resync = values.text("on_gap") == Some("resync");
    Some(Arc::new(Kafka { connection: Connection::of(&values), resync, tables: made }))
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
