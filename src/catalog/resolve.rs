//! Joins the declarations of all files into one catalog: every name means one thing, every view comes after what it
//! reads, and whatever does not fit is a problem.

use std::collections::{HashMap, HashSet};

use super::references::Reference;
use super::statement::{Declaration, Declared, Origin, TableDeclaration, ViewDeclaration};
use super::suggest::did_you_mean;
use super::{Catalog, File, Index, Name, Options, Problem, Source, Span, Table, View};

/// Builds the catalog from everything that was declared; problems are added to `problems`.
pub(crate) fn resolve(files: Vec<File>, declared: Vec<Declared>, problems: &mut Vec<Problem>) -> Catalog {
    let mut catalog = Catalog { files, ..Catalog::default() };
    let mut references: HashMap<String, Vec<Reference>> = HashMap::new();
    let mut relation_spans = Vec::new();
    let declared = without_duplicates(&catalog.files, declared, problems);
    let (sources, others): (Vec<_>, Vec<_>) =
        declared.into_iter().partition(|it| matches!(it.declaration, Declaration::Source { .. }));
    let is_own =
        |it: &&Declared| matches!(&it.declaration, Declaration::Table(it) if matches!(it.origin, Origin::Own(_)));
    let names = SourceNames {
        shared: sources.iter().map(|it| (it.name.text.clone(), it.name.span)).collect(),
        unshared: others.iter().filter(is_own).map(|it| it.name.text.clone()).collect(),
    };
    for Declared { name, declaration, doc, span } in sources.into_iter().chain(others) {
        match declaration {
            Declaration::Source { connector, options } => {
                let name = name.text;
                catalog.sources.push(Source { name, connector, options, is_unshared: false, doc, span });
            }
            Declaration::Table(table) => match place_table(&mut catalog, &names, name, *table) {
                Ok(table) => catalog.tables.push(Table { doc, span, ..table }),
                Err(problem) => problems.push(problem),
            },
            Declaration::View(view) => {
                let ViewDeclaration { columns, materialized, freshness, query_span, references: reads } = view;
                let depends_on = reads.iter().map(|it| it.name.clone()).collect();
                let query = catalog.files[query_span.file].text[query_span.start..query_span.end].to_string();
                references.insert(name.text.clone(), reads);
                let name = name.text;
                let view = View { name, columns, materialized, freshness, query, depends_on, doc, span, query_span };
                catalog.views.push(view);
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
                let problem = Problem::at(it.name.span, format!("\"{}\" is declared twice", it.name.text));
                problems.push(problem.with_hint(format!("the first one is at {}", place_of(files, *earlier))));
            }
            None => {
                first.insert((is_source, it.name.text.clone()), it.name.span);
                kept.push(it);
            }
        }
    }
    kept
}

/// The names of all sources: those declared by themselves, with their places, and those declared along with a table.
struct SourceNames {
    shared: HashMap<String, Span>,
    unshared: HashSet<String>,
}

/// Finds the source of a table, or adds the one that is declared along with it.
fn place_table(
    catalog: &mut Catalog,
    names: &SourceNames,
    name: Name,
    declared: TableDeclaration,
) -> Result<Table, Problem> {
    let TableDeclaration { columns, origin, upstream, options, format, skips_errors } = declared;
    let upstream = upstream.map_or_else(|| name.text.clone(), |it| it.text);
    let (source, options) = match origin {
        Origin::Shared(source) => {
            let known = names.shared.contains_key(&source.text);
            let at = catalog.sources.iter().position(|it| it.name == source.text).filter(|_| known);
            (at.ok_or_else(|| unknown_source(names, &source))?, options)
        }
        Origin::Own(connector) => {
            if let Some(earlier) = names.shared.get(&name.text) {
                let message =
                    format!("\"{}\" brings a source of its own, and there is another of this name", name.text);
                let place = place_of(&catalog.files, *earlier);
                let hint = format!("that one is at {place}; rename one of them, or write FROM {} TABLE '…'", name.text);
                return Err(Problem::at(name.span, message).with_hint(hint));
            }
            let source = Source { name: name.text.clone(), connector, options, is_unshared: true, ..Source::default() };
            catalog.sources.push(Source { span: name.span, ..source });
            (catalog.sources.len() - 1, Options::default())
        }
    };
    let declared = columns;
    Ok(Table { name: name.text, source, upstream, declared, options, format, skips_errors, ..Table::default() })
}

/// File and line, in words.
fn place_of(files: &[File], span: Span) -> String {
    let file = &files[span.file];
    format!("{}:{}", file.path, file.text[..span.start].matches('\n').count() + 1)
}

fn unknown_source(names: &SourceNames, name: &Name) -> Problem {
    if names.unshared.contains(&name.text) {
        let problem = Problem::at(name.span, format!("source \"{0}\" belongs to table \"{0}\" alone", name.text));
        return problem.with_hint("declare it by itself, with CREATE SOURCE, and both tables FROM it");
    }
    let problem = Problem::at(name.span, format!("source \"{}\" does not exist", name.text));
    let near = did_you_mean(&name.text, names.shared.keys().map(String::as_str));
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
