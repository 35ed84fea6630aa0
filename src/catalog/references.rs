//! Which relations a query reads: every name in FROM, JOIN and subqueries that is not one of its own WITH names.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart, Query, Visit, Visitor};

use super::Span;
use super::tokens::LineMap;

/// A relation mentioned by a query.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) span: Span,
}

/// The relations `query` reads, each once, in order of mention; places are those in `text`, file number `file`.
pub(crate) fn references(query: &Query, file: usize, text: &str) -> Vec<Reference> {
    let mut collector = Collector { file, lines: LineMap::new(text), scopes: Vec::new(), found: Vec::new() };
    let _ = query.visit(&mut collector);
    collector.found
}

struct Collector<'a> {
    file: usize,
    lines: LineMap<'a>,
    scopes: Vec<Scope>,
    found: Vec<Reference>,
}

/// The WITH names of one query: each is visible once its own query has been passed (at once when RECURSIVE).
#[derive(Default)]
struct Scope {
    visible: HashSet<String>,
    pending: HashMap<*const Query, String>,
}

impl Visitor for Collector<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut scope = Scope::default();
        for cte in query.with.iter().flat_map(|it| &it.cte_tables) {
            scope.pending.insert(&*cte.query, normalized(&cte.alias.name));
        }
        if query.with.as_ref().is_some_and(|it| it.recursive) {
            scope.visible = scope.pending.values().cloned().collect();
        }
        self.scopes.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.scopes.pop();
        if let Some(scope) = self.scopes.last_mut()
            && let Some(name) = scope.pending.remove(&std::ptr::from_ref(query))
        {
            scope.visible.insert(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let parts: Vec<&Ident> = relation.0.iter().filter_map(ObjectNamePart::as_ident).collect();
        let name = parts.iter().map(|it| normalized(it)).collect::<Vec<_>>().join(".");
        let own = self.scopes.iter().any(|it| it.visible.contains(&name));
        if let (Some(first), Some(last), false) = (parts.first(), parts.last(), own)
            && !self.found.iter().any(|it| it.name == name)
        {
            let (start, end) = (first.span.start, last.span.end);
            let span = Span {
                file: self.file,
                start: self.lines.offset(start.line, start.column),
                end: self.lines.offset(end.line, end.column),
            };
            self.found.push(Reference { name, span });
        }
        ControlFlow::Continue(())
    }
}

fn normalized(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}
