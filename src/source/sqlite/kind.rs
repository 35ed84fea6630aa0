//! The kind `sqlite`: its options, and what a source of it can do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::capture;
use super::collation::collations;
use super::run::run;
use super::sample::sample;
use super::schema::describe;
use crate::catalog::{Problem, Source, Table};
use crate::change::{Position, Schema};
use crate::source::options::{Form, Known, Need, Reading};
use crate::source::{Claim, Connector, Finding, Kind, Link, SourceError, SourceSpec};

/// The kind.
pub(in crate::source) const KIND: Kind = Kind { name: "sqlite", connect };

const OPTIONS: &[Known] = &[Known {
    name: "path",
    aliases: &[],
    meaning: "the file it reads",
    need: Need::Required("services/catalog.db"),
    form: Form::Path,
}];

/// One SQLite file.
#[derive(Debug)]
struct Sqlite {
    path: PathBuf,
}

fn connect(source: &Source, tables: &[&Table], reading: &mut Reading<'_>) -> Option<Arc<dyn Connector>> {
    let options = reading.declared(source, tables, OPTIONS, &[]);
    let problems = tables.iter().flat_map(|it| unfit(it));
    let before = reading.problems.len();
    reading.problems.extend(problems);
    let (values, _) = options.filter(|_| reading.problems.len() == before)?;
    let path = values.path("path").expect("a required option");
    Some(Arc::new(Sqlite { path: path.into() }))
}

/// What of a declaration speaks of messages, of which a file has none.
fn unfit(table: &Table) -> Vec<Problem> {
    let format = table.format.iter().map(|it| {
        let problem = Problem::at(it.envelope.span, "a table of a SQLite file is made of rows: it has no format");
        problem.with_hint("leave it out")
    });
    let metadata = table.declared.iter().filter_map(|it| it.metadata.as_ref()).map(|it| {
        let problem =
            Problem::at(it.span, "a table of a SQLite file is made of rows: there is no metadata beside them");
        problem.with_hint("leave the column out")
    });
    format.chain(metadata).collect()
}

/// The file of a source of this kind; relative paths start at `base`.
pub fn path_of(source: &Source, base: &Path) -> Option<PathBuf> {
    let values = Reading::new(base).options(&source.options, OPTIONS, source.span, "")?;
    values.path("path").map(Path::to_path_buf)
}

/// A connector to the file at `path`.
pub fn open_file(path: impl Into<PathBuf>) -> Arc<dyn Connector> {
    Arc::new(Sqlite { path: path.into() })
}

impl Connector for Sqlite {
    fn describe(&self, table: &Table) -> Result<Schema, SourceError> {
        Ok(describe(&self.path, &table.upstream, &table.declared)?)
    }

    fn collations(&self, table: &Table) -> Result<Vec<(String, String)>, SourceError> {
        Ok(collations(&self.path, &table.upstream)?)
    }

    fn sample(&self, table: &Table, schema: &Schema) -> Result<Vec<Finding>, SourceError> {
        Ok(sample(&self.path, &table.upstream, schema)?)
    }

    fn obstacles(&self, tables: &[&Table]) -> Vec<String> {
        let upstream: Vec<String> = tables.iter().map(|it| it.upstream.clone()).collect();
        capture::obstacles(&self.path, &upstream)
    }

    /// Two sources over one file would each trim its change log behind their own progress, before the other has read it.
    fn claim(&self) -> Option<Claim> {
        // A file that is not there yet is known by its name only.
        let known = std::fs::canonicalize(&self.path).or_else(|_| std::path::absolute(&self.path));
        let path = known.unwrap_or_else(|_| self.path.clone());
        Some(Claim { what: "file", identity: path.display().to_string() })
    }

    fn run(&self, spec: &SourceSpec, from: Option<Position>, link: &Link) {
        run(&self.path, spec, from, link);
    }
}
