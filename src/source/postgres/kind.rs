//! The kind `postgres`: what a source of it can do.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::run::run;
use super::schema::schema;
use super::server::Server;
use super::session::{Session, Waiter};
use super::settings::{OF_SOURCE, OF_TABLE, Settings};
use super::shape::{Shape, shape};
use super::sql::TableName;
use crate::catalog::{Problem, Source, Table};
use crate::change::{Position, Schema};
use crate::source::options::Reading;
use crate::source::{Claim, Connector, ErrorKind, Kind, Link, SourceError, SourceSpec};

/// The kind.
pub(in crate::source) const KIND: Kind = Kind { name: "postgres", connect };
/// The same, as RisingWave calls it.
pub(in crate::source) const CDC: Kind = Kind { name: "postgres-cdc", connect };

/// So long an answer about the tables is taken for several questions that come together.
const FRESH: Duration = Duration::from_secs(1);

/// What the server said of the tables that are declared from it; the inner error says why one cannot be followed.
type Told = Result<BTreeMap<TableName, Option<Result<Shape, String>>>, Fault>;

/// One server.
#[derive(Debug)]
struct Postgres {
    settings: Settings,
    /// The tables that are declared from it.
    names: Vec<TableName>,
    told: Mutex<Option<(Instant, Told)>>,
}

fn connect(source: &Source, tables: &[&Table], reading: &mut Reading<'_>) -> Option<Arc<dyn Connector>> {
    let options = reading.declared(source, tables, OF_SOURCE, OF_TABLE);
    let before = reading.problems.len();
    reading.problems.extend(tables.iter().flat_map(|it| unfit(it)));
    let (values, _) = options.filter(|_| reading.problems.len() == before)?;
    let settings = Settings::new(source, &values, reading)?;
    let names = tables.iter().map(|it| settings.table_name(&it.upstream)).collect();
    Some(Arc::new(Postgres { settings, names, told: Mutex::new(None) }))
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
    /// What the server says of a table. All are asked about at once, since they are described one after another.
    fn shape(&self, table: &Table) -> Result<Shape, Fault> {
        let mut told = self.told.lock().unwrap_or_else(|it| it.into_inner());
        if told.as_ref().is_none_or(|(at, _)| at.elapsed() >= FRESH) {
            *told = Some((Instant::now(), self.ask()));
        }
        let (_, answer) = told.as_ref().expect("it was asked a moment ago");
        let name = self.settings.table_name(&table.upstream);
        match answer.as_ref().map_err(Fault::clone)?.get(&name) {
            Some(Some(Ok(shape))) => Ok(shape.clone()),
            Some(Some(Err(reason))) => Err(Fault::Halt(reason.clone())),
            // Somebody may be about to create it.
            Some(None) | None => Err(Fault::Retry(format!("{} has no table {}", self.settings.place(), name.shown()))),
        }
    }

    fn ask(&self) -> Told {
        let waiter = Waiter::new(Arc::new(AtomicBool::new(false)))?;
        let mut session = Session::open(&waiter, &self.settings, 0, 0)?;
        Server::known(&mut session, &self.settings)?;
        self.names.iter().map(|it| Ok((it.clone(), shape(&mut session, it)?))).collect()
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
        let Settings { host, port, slot, .. } = &self.settings;
        Some(Claim { what: "replication slot", identity: format!("{host}:{port}/{slot}") })
    }

    fn run(&self, spec: &SourceSpec, from: Option<Position>, link: &Link) {
        run(&self.settings, spec, from, link);
    }
}
