//! What of the declarations can be planned now, and why the rest cannot.
//!
//! Each table is described by itself, and a table or view that cannot be planned takes along only what reads it. A table
//! that has changed at its source is taken as it is now, unless it cannot be followed so, or a view that was planned
//! before could not be planned with that: then it stays as it was, its source finds that it does not fit, and what reads
//! it is stale, not gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::memory::Memory;
use super::options::{EngineError, EngineOptions};
use crate::catalog::{Catalog, Problem, Table};
use crate::change::Schema;
use crate::plan::{self, Graph};
use crate::source::{SourceError, Sources};
use crate::store::{RelationState, Unplanned};

/// The declarations, sorted out.
#[derive(Debug)]
pub struct Outline {
    /// The sources, as they are declared.
    pub sources: Sources,
    /// What can be planned: all sources, the tables whose columns are known, the views over these.
    pub catalog: Catalog,
    /// The schemas of its tables.
    pub schemas: Vec<Schema>,
    /// Its plan.
    pub graph: Graph,
    /// What cannot be planned now, in the order of the declarations.
    pub unplanned: Vec<Unplanned>,
    /// The views and indexes among these that do not fit what they read, each with what is wrong.
    pub problems: Vec<(String, Problem)>,
}

impl Outline {
    /// What is wrong with views and indexes that were never planned as they are declared: mistakes of the view files. What
    /// was planned before and cannot be now is its sources' doing.
    pub(super) fn mistakes(&self, declared: &Catalog, memory: &Memory) -> Vec<Problem> {
        let new = self.problems.iter().filter(|it| !memory.knows(declared, &it.0));
        new.map(|it| it.1.clone()).collect()
    }
}

/// What is known of one table.
struct Described {
    now: Result<Schema, SourceError>,
    before: Option<Schema>,
}

impl Described {
    fn schema(&self, keeps_before: bool) -> Option<&Schema> {
        if keeps_before && self.before.is_some() {
            self.before.as_ref()
        } else {
            self.now.as_ref().ok().or(self.before.as_ref())
        }
    }

    fn has_changed(&self) -> bool {
        matches!((&self.now, &self.before), (Ok(now), Some(before)) if now != before)
    }
}

/// Asks the sources for their tables, but for those that are `known`, and plans what can be planned.
pub(super) fn outline(
    declared: &Catalog,
    sources: &Sources,
    memory: &Memory,
    known: impl Fn(&Table) -> Option<Schema>,
) -> Outline {
    let describe = |table: &Table| {
        let now = known(table).map_or_else(|| sources.of(table).describe(table), Ok);
        Described { now, before: memory.schema(declared, table) }
    };
    let described: Vec<Described> = declared.tables.iter().map(describe).collect();
    // There would be nothing to put in the place of what is held.
    let is_followed = |it: &Table| sources.of(it).obstacles(&[it]).is_empty();
    let changed = (0..described.len()).filter(|it| described[*it].has_changed());
    let unfollowed: BTreeSet<usize> = changed.filter(|it| !is_followed(&declared.tables[*it])).collect();
    let now = sort_out(declared, sources, &described, &unfollowed);
    let broken = now.problems.iter().map(|it| &it.0).filter(|it| memory.knows(declared, it));
    let below = broken.flat_map(|it| tables_below(declared, it));
    let kept: BTreeSet<usize> = below.filter(|it| described[*it].has_changed()).chain(unfollowed.clone()).collect();
    if kept == unfollowed {
        return now;
    }
    let before = sort_out(declared, sources, &described, &kept);
    if before.problems.len() < now.problems.len() { before } else { now }
}

/// The tables that the view or index called `name` reads, through other views too.
fn tables_below(catalog: &Catalog, name: &str) -> BTreeSet<usize> {
    if let Some(table) = catalog.tables.iter().position(|it| it.name == name) {
        return BTreeSet::from([table]);
    }
    if let Some(index) = catalog.indexes.iter().find(|it| it.name == name) {
        return tables_below(catalog, &index.relation);
    }
    let view = catalog.views.iter().find(|it| it.name == name);
    view.iter().flat_map(|it| &it.depends_on).flat_map(|it| tables_below(catalog, it)).collect()
}

/// Plans with the schemas of now, and of before for the tables in `kept`.
fn sort_out(declared: &Catalog, sources: &Sources, described: &[Described], kept: &BTreeSet<usize>) -> Outline {
    let mut missing: BTreeMap<String, RelationState> = BTreeMap::new();
    let mut schemas = Vec::new();
    for (at, (table, described)) in declared.tables.iter().zip(described).enumerate() {
        match (described.schema(kept.contains(&at)), &described.now) {
            (Some(schema), _) => schemas.push(schema.clone()),
            (None, Err(error)) => {
                let reason = format!("source \"{}\": {error}", declared.sources[table.source].name);
                let state = if error.is_transient() {
                    RelationState::Waiting { reason }
                } else {
                    RelationState::Failed { reason }
                };
                missing.insert(table.name.clone(), state);
            }
            (None, Ok(_)) => unreachable!("what is described now has a schema"),
        }
    }
    let catalog = remainder(declared, &mut missing);
    let (catalog, graph, problems) = match plan::plan_each(&catalog, &schemas) {
        Ok(graph) => (catalog, graph, Vec::new()),
        Err(problems) => {
            for (name, problem) in &problems {
                missing.insert(name.clone(), RelationState::Failed { reason: problem.brief(&declared.files) });
            }
            let catalog = remainder(declared, &mut missing);
            let graph = plan::plan_each(&catalog, &schemas);
            (catalog, graph.expect("what cannot be planned was taken out"), problems)
        }
    };
    let unplanned = unplanned(declared, &missing);
    Outline { sources: sources.clone(), catalog, schemas, graph, unplanned, problems }
}

/// The catalog without what is missing and what reads it, which is missing then too.
fn remainder(declared: &Catalog, missing: &mut BTreeMap<String, RelationState>) -> Catalog {
    // Views come behind what they read.
    for view in &declared.views {
        let mut read = view.depends_on.iter().filter_map(|it| Some((it, missing.get(it)?)));
        if let Some((name, state)) = read.next()
            && !missing.contains_key(&view.name)
        {
            let state = through(name, state);
            missing.insert(view.name.clone(), state);
        }
    }
    for index in &declared.indexes {
        if let Some(state) = missing.get(&index.relation) {
            missing.insert(index.name.clone(), through(&index.relation, state));
        }
    }
    declared.without(&missing.keys().cloned().collect())
}

/// The state of what reads the relation called `name`, which is missing.
fn through(name: &str, state: &RelationState) -> RelationState {
    let told = |reason: &String| match reason.starts_with("it reads ") {
        true => reason.clone(),
        false => format!("it reads \"{name}\": {reason}"),
    };
    match state {
        RelationState::Waiting { reason } => RelationState::Waiting { reason: told(reason) },
        RelationState::Failed { reason } => RelationState::Failed { reason: told(reason) },
        other => unreachable!("what is missing waits or has failed, it is not {}", other.word()),
    }
}

fn unplanned(declared: &Catalog, missing: &BTreeMap<String, RelationState>) -> Vec<Unplanned> {
    let one = |name: &str, kind, doc: &str, query: &str| {
        let state = missing.get(name)?.clone();
        Some(Unplanned { name: name.into(), kind, doc: doc.into(), query: query.into(), state })
    };
    let tables = declared.tables.iter().filter_map(|it| one(&it.name, "table", &it.doc, ""));
    let views = declared.views.iter().filter_map(|it| one(&it.name, "view", &it.doc, &it.query));
    let indexes = declared.indexes.iter().filter(|it| !missing.contains_key(&it.relation));
    tables.chain(views).chain(indexes.filter_map(|it| one(&it.name, "index", "", ""))).collect()
}

/// Parses, describes and plans the view files of one directory, touching no state.
pub fn plan_directory(views: &Path) -> Result<(Catalog, Outline), EngineError> {
    let (catalog, sources) = EngineOptions::new(views, "").read_catalog()?;
    // Nothing is remembered anywhere.
    let outline = outline(&catalog, &sources, &Memory::default(), |_| None);
    Ok((catalog, outline))
}
