//! The kind `postgres`: what a source of it can do.

use std::sync::Arc;

use super::asked::Asked;
use super::fault::Fault;
use super::run::run;
use super::schema::schema;
use super::settings::{OF_SOURCE, OF_TABLE, Settings};
use super::shape::Shape;
use crate::catalog::{Problem, Source, Table};
use crate::change::{Position, Schema};
use crate::source::options::Reading;
use crate::source::{Claim, Connector, ErrorKind, Kind, Link, SourceError, SourceSpec};

/// The kind.
pub(in crate::source) const KIND: Kind = Kind { name: "postgres", connect };
/// The same, as RisingWave calls it.
pub(in crate::source) const CDC: Kind = Kind { name: "postgres-cdc", connect };

/// One server.
#[derive(Debug)]
struct Postgres {
    settings: Arc<Settings>,
    asked: Asked,
}

fn connect(source: &Source, tables: &[&Table], reading: &mut Reading<'_>) -> Option<Arc<dyn Connector>> {
    let options = reading.declared(source, tables, OF_SOURCE, OF_TABLE);
    let before = reading.problems.len();
    reading.problems.extend(tables.iter().flat_map(|it| unfit(it)));
    let (values, _) = options.filter(|_| reading.problems.len() == before)?;
    let settings = Arc::new(Settings::new(source, &values, reading)?);
    let names = tables.iter().map(|it| settings.table_name(&it.upstream)).collect();
    let asked = Asked::new(Arc::clone(&settings), names);
    Some(Arc::new(Postgres { settings, asked }))
}

/// What of a declaration speaks of messages, of which there are none.
fn unfit(table: &Table) -> Vec<Problem> {
    let format = table.format.iter().map(|it| {
        let problem = Problem::at(it.envelope.span, "a table of PostgreSQL is made of rows: it has no format");
        problem.with_hint("leave it out")
    });
    let metadata = table.declared.iter().filter_map(|it| it.metadata.as_ref()).map(|it| {
        let problem = Problem::at(it.span, "a table of PostgreSQL is made of rows: there is no metadata beside them");
        problem.with_hint("leave the column out")
    });
    format.chain(metadata).collect()
}

impl Postgres {
    fn shape(&self, table: &Table) -> Result<Shape, Fault> {
        self.asked.shape(&self.settings.table_name(&table.upstream))
    }
}

impl Connector for Postgres {
    fn describe(&self, table: &Table) -> Result<Schema, SourceError> {
        let shape = self.shape(table)?;
        schema(&shape, &table.declared).map_err(|text| SourceError { kind: ErrorKind::NeedsPerson, text })
    }

    fn collations(&self, table: &Table) -> Result<Vec<(String, String)>, SourceError> {
        let shape = self.shape(table)?;
        Ok(shape.columns.into_iter().filter_map(|it| Some((it.name, it.lenient?))).collect())
    }

    /// Each of two readers of one slot would be told that the other's changes are not needed any more.
    fn claim(&self) -> Option<Claim> {
        let Settings { host, port, slot, .. } = &*self.settings;
        Some(Claim { what: "replication slot", identity: format!("{host}:{port}/{slot}") })
    }

    fn run(&self, spec: &SourceSpec, from: Option<Position>, link: &Link) {
        run(&self.settings, spec, from, link);
    }
}
