//! Joins the declarations of all files into one catalog: every name means one thing, every view comes after what it
//! reads, and whatever does not fit is a problem.

use std::collections::HashMap;

use super::references::Reference;
use super::statement::{Declaration, Declared};
use super::suggest::did_you_mean;
use super::{Catalog, Connector, File, Index, Problem, Source, Span, Table, View};

/// Builds the catalog from everything that was declared; problems are added to `problems`.
pub(crate) fn resolve(files: Vec<File>, declared: Vec<Declared>, problems: &mut Vec<Problem>) -> Catalog {
    let mut catalog = Catalog { files, ..Catalog::default() };
    let mut references: HashMap<String, Vec<Reference>> = HashMap::new();
    let mut relation_spans = Vec::new();
    let declared = without_duplicates(&catalog.files, declared, problems);
    let (sources, others): (Vec<_>, Vec<_>) =
        declared.into_iter().partition(|it| matches!(it.declaration, Declaration::Source { .. }));
    for Declared { name, declaration, doc, span } in sources.into_iter().chain(others) {
        match declaration {
            Declaration::Source { connector } => {
                problems.extend(shares_a_file(&catalog.sources, &connector, name.span));
                catalog.sources.push(Source { name: name.text, connector, doc, span });
            }
            Declaration::Table { columns, source, upstream } => {
                match catalog.sources.iter().position(|it| it.name == source.text) {
                    Some(source) => {
                        let table = Table { name: name.text, source, upstream, declared: columns, doc, span };
                        catalog.tables.push(table);
                    }
                    None => problems.push(unknown_source(&catalog, &source.text, source.span)),
                }
            }
            Declaration::View { columns, materialized, query_span, references: reads } => {
                let depends_on = reads.iter().map(|it| it.name.clone()).collect();
                let query = catalog.files[query_span.file].text[query_span.start..query_span.end].to_string();
                references.insert(name.text.clone(), reads);
                let name = name.text;
                catalog.views.push(View { name, columns, materialized, query, depends_on, doc, span, query_span });
            }
            Declaration::Index { relation, columns, include } => {
                relation_spans.push(relation.span);
                catalog.indexes.push(Index { name: name.text, relation: relation.text, columns, include, span });
            }
        }
    }
    check_references(&catalog, &references, problems);
    sort_views(&mut catalog, &references, problems);
    for (index, span) in catalog.indexes.iter().zip(relation_spans) {
        if !knows(&catalog.tables, &catalog.views, &index.relation) {
            problems.push(unknown_relation(&catalog.tables, &catalog.views, &index.relation, span));
        } else if catalog.views.iter().any(|it| it.name == index.relation && !it.materialized) {
            let message = format!("view \"{}\" is not kept, so it cannot have an index", index.relation);
            problems.push(Problem::at(span, message).with_hint("declare it with CREATE MATERIALIZED VIEW"));
        }
    }
    catalog
}

/// Sources have their own names; tables, views and indexes share one set of names, as in PostgreSQL.
fn without_duplicates(files: &[File], declared: Vec<Declared>, problems: &mut Vec<Problem>) -> Vec<Declared> {
    let mut first: HashMap<(bool, String), Span> = HashMap::new();
    let mut kept = Vec::new();
    for it in declared {
        let is_source = matches!(it.declaration, Declaration::Source { .. });
        match first.get(&(is_source, it.name.text.clone())) {
            Some(earlier) => {
                let file = &files[earlier.file];
                let line = file.text[..earlier.start].matches('\n').count() + 1;
                let problem = Problem::at(it.name.span, format!("\"{}\" is declared twice", it.name.text));
                problems.push(problem.with_hint(format!("the first one is at {}:{line}", file.path)));
            }
            None => {
                first.insert((is_source, it.name.text.clone()), it.name.span);
                kept.push(it);
            }
        }
    }
    kept
}

/// Two sources over one file would each trim its change log behind their own progress, before the other has read it.
fn shares_a_file(sources: &[Source], connector: &Connector, span: Span) -> Option<Problem> {
    let file = |connector: &Connector| {
        let Connector::Sqlite { path } = connector;
        // A file that is not there yet is known by its name only.
        let known = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        known.unwrap_or_else(|_| path.into())
    };
    let other = sources.iter().find(|it| file(&it.connector) == file(connector))?;
    let problem = Problem::at(span, format!("source \"{}\" reads the same file", other.name));
    Some(problem.with_hint(format!("one source can have many tables: CREATE TABLE … FROM {}", other.name)))
}

fn unknown_source(catalog: &Catalog, name: &str, span: Span) -> Problem {
    let problem = Problem::at(span, format!("source \"{name}\" does not exist"));
    let near = did_you_mean(name, catalog.sources.iter().map(|it| it.name.as_str()));
    problem.with_hint(near.unwrap_or("declare it with CREATE SOURCE".into()))
}

fn knows(tables: &[Table], views: &[View], name: &str) -> bool {
    tables.iter().any(|it| it.name == name) || views.iter().any(|it| it.name == name)
}

fn unknown_relation(tables: &[Table], views: &[View], name: &str, span: Span) -> Problem {
    let problem = Problem::at(span, format!("relation \"{name}\" does not exist"));
    let names = tables.iter().map(|it| it.name.as_str()).chain(views.iter().map(|it| it.name.as_str()));
    problem.with_hint(did_you_mean(name, names).unwrap_or("declare it with CREATE TABLE … FROM or CREATE VIEW".into()))
}

fn check_references(catalog: &Catalog, references: &HashMap<String, Vec<Reference>>, problems: &mut Vec<Problem>) {
    for view in &catalog.views {
        for reference in &references[&view.name] {
            if !knows(&catalog.tables, &catalog.views, &reference.name) {
                problems.push(unknown_relation(&catalog.tables, &catalog.views, &reference.name, reference.span));
            }
        }
    }
}

/// Puts every view behind those it reads, otherwise keeping the order of the files; a circle is a problem.
fn sort_views(catalog: &mut Catalog, references: &HashMap<String, Vec<Reference>>, problems: &mut Vec<Problem>) {
    let mut waiting = std::mem::take(&mut catalog.views);
    loop {
        let blocked = |view: &View| view.depends_on.iter().any(|it| waiting.iter().any(|other| other.name == *it));
        let Some(next) = waiting.iter().position(|it| !blocked(it)) else { break };
        catalog.views.push(waiting.remove(next));
    }
    let Some(start) = waiting.first() else { return };
    // Every waiting view reads a waiting one, so following them must come back to one seen before.
    let mut path: Vec<&Reference> = Vec::new();
    let mut name = start.name.as_str();
    while let Some(next) = references[name].iter().find(|it| waiting.iter().any(|other| other.name == it.name)) {
        if let Some(from) = path.iter().position(|it| it.name == next.name) {
            path.drain(..from);
            break;
        }
        path.push(next);
        name = &next.name;
    }
    let Some(first) = path.first() else { return };
    let circle: Vec<&str> = path.iter().map(|it| it.name.as_str()).chain([first.name.as_str()]).collect();
    let reading = path.get(1).unwrap_or(first);
    let problem = Problem::at(reading.span, format!("views read each other in a circle: {}", circle.join(" → ")));
    problems.push(problem.with_hint("a view can only read tables and views that do not depend on it"));
}
