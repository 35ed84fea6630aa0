//! From what a catalog declares to connectors: each source by its kind, with everything that is wrong with any of them.

use std::path::Path;
use std::sync::Arc;

use super::options::Reading;
use super::{Connector, KINDS, Kind};
use crate::catalog::{Catalog, File, Problem, Source, Span, Table, did_you_mean};

/// The connectors of a catalog's sources, in its order.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Arc<dyn Connector>>);

impl Sources {
    /// The connector of source number `source`.
    pub fn get(&self, source: usize) -> &Arc<dyn Connector> {
        &self.0[source]
    }

    /// The connector of a table's source.
    pub fn of(&self, table: &Table) -> &Arc<dyn Connector> {
        &self.0[table.source]
    }
}

/// Reads what `catalog` declares of its sources and of how their tables are read; nothing is contacted. Relative paths
/// start at `base`. On failure the files are returned with the problems, so that these can be rendered.
pub fn connect(catalog: &Catalog, base: &Path) -> Result<Sources, (Vec<File>, Vec<Problem>)> {
    let mut reading = Reading::new(base);
    let mut connectors: Vec<Option<Arc<dyn Connector>>> = Vec::new();
    for (at, source) in catalog.sources.iter().enumerate() {
        let tables: Vec<&Table> = catalog.tables.iter().filter(|it| it.source == at).collect();
        let kind = KINDS.iter().find(|it| it.name == source.connector.text);
        let connector = match kind {
            Some(kind) => (kind.connect)(source, &tables, &mut reading),
            None => {
                reading.problems.push(unknown_kind(source, KINDS));
                None
            }
        };
        if let Some(connector) = &connector {
            let earlier = catalog.sources.iter().zip(&connectors);
            reading.problems.extend(claimed(source, &**connector, earlier));
            reading.problems.extend(tables.iter().filter_map(|it| unskippable(it, source, &**connector)));
        }
        connectors.push(connector);
    }
    let Reading { mut problems, exposed, .. } = reading;
    if problems.is_empty() {
        let made = connectors.into_iter().map(|it| it.expect("a source without a connector has a problem"));
        return Ok(Sources(made.collect()));
    }
    problems.sort_by_key(|it| it.span.map(|span| (span.file, span.start)));
    Err((without(&catalog.files, &exposed), problems))
}

fn unknown_kind(source: &Source, kinds: &[Kind]) -> Problem {
    let problem = Problem::at(source.connector.span, format!("there is no connector \"{}\"", source.connector.text));
    let names: Vec<String> = kinds.iter().map(|it| format!("'{}'", it.name)).collect();
    let near = did_you_mean(&source.connector.text, kinds.iter().map(|it| it.name));
    problem.with_hint(near.unwrap_or(format!("connectors: {}", names.join(", "))))
}

/// The problem of a table that would leave out what its source does not have.
fn unskippable(table: &Table, source: &Source, connector: &dyn Connector) -> Option<Problem> {
    let span = table.skips_errors.filter(|_| !connector.has_messages())?;
    let problem = Problem::at(span, format!("connector '{}' has no messages to skip", source.connector.text));
    Some(problem.with_hint("a value that has no place here is an error cell of its row; leave ON ERROR out"))
}

/// The problem of a source that claims what one of the `earlier` ones has.
fn claimed<'a>(
    source: &Source,
    connector: &dyn Connector,
    mut earlier: impl Iterator<Item = (&'a Source, &'a Option<Arc<dyn Connector>>)>,
) -> Option<Problem> {
    let claim = connector.claim()?;
    let (other, _) = earlier.find(|it| it.1.as_ref().is_some_and(|it| it.claim().as_ref() == Some(&claim)))?;
    let problem =
        Problem::at(source.connector.span, format!("source \"{}\" reads the same {}", other.name, claim.what));
    let hint = if other.is_unshared {
        "declare one source with CREATE SOURCE, and both tables FROM it".into()
    } else {
        format!("one source can have many tables: CREATE TABLE … FROM {}", other.name)
    };
    Some(problem.with_hint(hint))
}

/// The files with stars in these places.
pub(super) fn without(files: &[File], exposed: &[Span]) -> Vec<File> {
    let mut files = files.to_vec();
    for span in exposed {
        let text = &mut files[span.file].text;
        let stars = "*".repeat(span.end - span.start);
        text.replace_range(span.start..span.end, &stars);
    }
    files
}
