//! How large a statement becomes once every WITH query stands where it is named.
//!
//! Planning copies a WITH query for each mention, so a chain of them that each names the one before twice doubles at
//! every link. A condition on a computed column is rewritten into the columns below it, level by level, with a copy for
//! each mention. The sizes are multiplied out over the syntax tree, which costs no more than reading it, and a statement
//! beyond the limits is refused before anything is copied.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, Query, Select, SelectItem, Visit, Visitor};

use crate::serve::problem::Problem;

/// The most relations and SELECTs after expansion.
const MAX_RELATIONS: u64 = 1_000;
/// The most nodes of expressions after expansion.
const MAX_EXPRESSIONS: u64 = 100_000;
/// The most copies of one column that nested queries may make of it, should their computed columns be filtered.
const MAX_COPIES: u64 = 250_000;

/// The size of a query with everything it names put in place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) relations: u64,
    pub(super) expressions: u64,
    /// By how much a column of the innermost query can multiply.
    copies: u64,
}

impl Size {
    fn add(&mut self, other: Size) {
        self.relations = self.relations.saturating_add(other.relations);
        self.expressions = self.expressions.saturating_add(other.expressions);
        self.copies = self.copies.max(other.copies);
    }

    fn fits(&self) -> bool {
        self.relations <= MAX_RELATIONS && self.expressions <= MAX_EXPRESSIONS && self.copies <= MAX_COPIES
    }
}

/// The size of `query`, or the problem of its being too large. `views` are the sizes of the plain views it may name.
pub(super) fn measure(query: &Query, views: HashMap<String, Size>) -> Result<Size, Problem> {
    let mut meter = Meter { scopes: vec![Scope { known: views, ..Scope::default() }] };
    if let ControlFlow::Break(()) = query.visit(&mut meter) {
        let detail = format!(
            "with its WITH queries and computed columns put in place, the statement has more than {MAX_RELATIONS} \
             relations, {MAX_EXPRESSIONS} expressions or {MAX_COPIES} copies of a column"
        );
        return Err(Problem::new(axum::http::StatusCode::BAD_REQUEST, "54001", detail)
            .hint("a WITH query is planned once for each time it is named; declare a view for what is used often"));
    }
    Ok(meter.scopes.pop().map_or_else(Size::default, |it| it.size))
}

/// One query on the way from the outermost to the one being read.
#[derive(Default)]
struct Scope {
    size: Size,
    /// The most columns that one column of the result mentions.
    mentions: u64,
    /// The WITH queries read so far, by name.
    known: HashMap<String, Size>,
    /// Those to come: the address of each query's node, and its name. The tree does not move while it is read.
    coming: HashMap<usize, String>,
}

struct Meter {
    scopes: Vec<Scope>,
}

impl Meter {
    fn count(&mut self, size: Size) -> ControlFlow<()> {
        let Some(scope) = self.scopes.last_mut() else { return ControlFlow::Break(()) };
        scope.size.add(size);
        if scope.size.fits() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn size_of(&self, name: &ObjectName) -> Size {
        let one = Size { relations: 1, ..Size::default() };
        let [part] = &name.0[..] else { return one };
        let Some(ident) = part.as_ident() else { return one };
        let name = folded(ident);
        self.scopes.iter().rev().find_map(|it| it.known.get(&name)).copied().unwrap_or(one)
    }
}

impl Visitor for Meter {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut scope = Scope::default();
        for cte in query.with.iter().flat_map(|it| &it.cte_tables) {
            scope.coming.insert(std::ptr::from_ref(&*cte.query).addr(), folded(&cte.alias.name));
        }
        self.scopes.push(scope);
        // A query without SELECT and FROM (VALUES) is something, too.
        self.count(Size { relations: 1, ..Size::default() })
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let (Some(mut done), Some(outer)) = (self.scopes.pop(), self.scopes.last_mut()) else {
            return ControlFlow::Break(());
        };
        done.size.copies = done.size.copies.max(1).saturating_mul(done.mentions.max(1));
        if !done.size.fits() {
            return ControlFlow::Break(());
        }
        match outer.coming.remove(&std::ptr::from_ref(query).addr()) {
            Some(name) => {
                outer.known.insert(name, done.size);
                ControlFlow::Continue(())
            }
            None => self.count(done.size),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let most = select.projection.iter().map(mentions).max().unwrap_or(0);
        if let Some(scope) = self.scopes.last_mut() {
            scope.mentions = scope.mentions.max(most);
        }
        self.count(Size { relations: 1, ..Size::default() })
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.count(self.size_of(relation))
    }

    fn pre_visit_expr(&mut self, _expr: &Expr) -> ControlFlow<()> {
        self.count(Size { expressions: 1, ..Size::default() })
    }
}

/// How many columns `item` mentions.
fn mentions(item: &SelectItem) -> u64 {
    struct Columns(u64);
    impl Visitor for Columns {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.0 += u64::from(matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)));
            ControlFlow::Continue(())
        }
    }
    let mut columns = Columns(0);
    // It never breaks off.
    let _ = item.visit(&mut columns);
    columns.0
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Statement;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn relations(sql: &str) -> Option<u64> {
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        let Statement::Query(query) = parsed else { panic!("{sql}") };
        measure(&query, HashMap::new()).ok().map(|it| it.relations)
    }

    #[test]
    fn every_mention_counts() {
        let one = relations("SELECT 1 FROM t").unwrap();
        assert_eq!(relations("SELECT 1 FROM t, t u"), Some(one + 1));
        let twice = relations("WITH a AS (SELECT 1 FROM t) SELECT 1 FROM a, A b").unwrap();
        assert_eq!(twice, 2 * one + 2);
        let shadowed =
            relations("WITH a AS (SELECT 1 FROM t, t, t) SELECT * FROM (WITH a AS (SELECT 1) SELECT 1 FROM a) x");
        assert!(shadowed.unwrap() < 9);
    }

    #[test]
    fn chains_that_double_are_refused() {
        let chain = |length: usize, first: &str, tail: &str| {
            let links: Vec<String> =
                (1..length).map(|at| format!("c{at} AS (SELECT 1 FROM c{} a, c{0} b)", at - 1)).collect();
            format!("WITH c0 AS ({first}), {} {tail}", links.join(", "))
        };
        for first in ["SELECT 1 FROM t", "SELECT 1", "VALUES (1)"] {
            assert!(relations(&chain(7, first, "SELECT 1 FROM c6")).is_some());
            assert_eq!(relations(&chain(29, first, "SELECT 1 FROM c28")), None);
            // What nothing names is planned all the same.
            assert_eq!(relations(&chain(29, first, "SELECT 1")), None);
            assert_eq!(relations(&format!("SELECT * FROM ({}) x", chain(29, first, "SELECT 1 FROM c28"))), None);
        }
        let doubled = |levels: usize| {
            let links: Vec<String> =
                (1..=levels).map(|at| format!("t{at} AS (SELECT x + x AS x FROM t{})", at - 1)).collect();
            format!("WITH {} SELECT x FROM t{levels} WHERE x = 1", links.join(", "))
        };
        assert!(relations(&doubled(10)).is_some());
        assert_eq!(relations(&doubled(30)), None);
        let list = (0..3000).map(|it| it.to_string()).collect::<Vec<_>>().join(",");
        let wide = |mentions: usize| {
            let from: Vec<String> = (0..mentions).map(|at| format!("a AS a{at}")).collect();
            format!("WITH a AS (SELECT 1 FROM t WHERE x IN ({list})) SELECT 1 FROM {}", from.join(", "))
        };
        assert!(relations(&wide(3)).is_some());
        assert_eq!(relations(&wide(100)), None);
    }
}
