//! `*` over joins with USING or NATURAL, written out: the columns both sides share come first and once.
//!
//! DataFusion orders them by the names of the tables, and takes a shared column from whichever comes first. Which columns
//! a FROM clause has follows from the syntax alone, once the columns of the relations are known.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TableWithJoins, VisitMut, VisitorMut,
};

use super::syntax::Unsupported;

/// The most columns a row may have.
const MAX_COLUMNS: usize = 1_600;

/// Tells the columns of a relation by its name; `None`: there is no such relation.
pub(crate) type ColumnsOf<'a> = dyn Fn(&str) -> Option<Vec<String>> + 'a;

/// Writes out every `*` over merged columns, and USING for every NATURAL. The unnamed columns of `query` have got names.
pub(crate) fn expand_joined(query: &mut Query, relations: &ColumnsOf<'_>) -> Result<(), Unsupported> {
    match VisitMut::visit(query, &mut Expander { relations, scopes: Vec::new() }) {
        ControlFlow::Break(it) => Err(it),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// A column of a FROM clause.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    /// The table it is a column of, by the name it has there.
    qualifier: Option<Ident>,
}

struct Expander<'a> {
    relations: &'a ColumnsOf<'a>,
    /// By query around, the names of its WITH and their columns, where these can be known.
    scopes: Vec<Vec<(String, Option<Vec<String>>)>>,
}

impl VisitorMut for Expander<'_> {
    type Break = Unsupported;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Unsupported> {
        self.scopes.push(Vec::new());
        for cte in query.with.iter().flat_map(|it| &it.cte_tables) {
            let columns = self.columns_of_cte(cte);
            if let Some(scope) = self.scopes.last_mut() {
                scope.push((folded(&cte.alias.name), columns));
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Unsupported> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Unsupported> {
        match self.expand(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(it) => ControlFlow::Break(it),
        }
    }
}

impl Expander<'_> {
    fn expand(&self, select: &mut Select) -> Result<(), Unsupported> {
        if !select.from.iter().any(merges) {
            return Ok(());
        }
        for from in &mut select.from {
            self.name_natural(from)?;
        }
        self.qualify_conditions(select);
        if !select.projection.iter().any(|it| matches!(it, SelectItem::Wildcard(_))) {
            return Ok(());
        }
        let columns = self.columns_of_from(&select.from).ok_or_else(|| unknown("SELECT *"))?;
        let expanded = std::mem::take(&mut select.projection).into_iter().flat_map(|item| match item {
            SelectItem::Wildcard(_) => columns.iter().map(item_of).collect(),
            other => vec![other],
        });
        select.projection = expanded.collect();
        Ok(())
    }

    /// Says in WHERE and ON whose the shared columns are, where DataFusion takes them for ambiguous.
    fn qualify_conditions(&self, select: &mut Select) {
        for from in &mut select.from {
            for at in 0..from.joins.len() {
                let (before, join) = (from.joins[..at].to_vec(), &mut from.joins[at].join_operator);
                if let Some(JoinConstraint::On(condition)) = constraint_mut(join) {
                    let columns = self.columns_of_joins(&from.relation, &before);
                    qualify(condition, &before, columns.unwrap_or_default());
                }
            }
        }
        if let Some(condition) = &mut select.selection {
            let joins: Vec<Join> = select.from.iter().flat_map(|it| it.joins.clone()).collect();
            qualify(condition, &joins, self.columns_of_from(&select.from).unwrap_or_default());
        }
    }

    /// NATURAL as the USING it stands for.
    fn name_natural(&self, from: &mut TableWithJoins) -> Result<(), Unsupported> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = &mut from.relation {
            self.name_natural(table_with_joins)?;
        }
        for at in 0..from.joins.len() {
            if let TableFactor::NestedJoin { table_with_joins, .. } = &mut from.joins[at].relation {
                self.name_natural(table_with_joins)?;
            }
            if !matches!(constraint(&from.joins[at].join_operator), Some(JoinConstraint::Natural)) {
                continue;
            }
            let left = self.columns_of_joins(&from.relation, &from.joins[..at]).ok_or_else(|| unknown("NATURAL"))?;
            let right = self.columns_of_factor(&from.joins[at].relation).ok_or_else(|| unknown("NATURAL"))?;
            let is_shared = |it: &&Column| right.iter().any(|other| other.name == it.name);
            let shared: Vec<ObjectName> =
                left.iter().filter(is_shared).map(|it| ObjectName::from(vec![quoted(&it.name)])).collect();
            let named = if shared.is_empty() {
                JoinConstraint::On(Expr::Value(true_value()))
            } else {
                JoinConstraint::Using(shared)
            };
            if let Some(constraint) = constraint_mut(&mut from.joins[at].join_operator) {
                *constraint = named;
            }
        }
        Ok(())
    }

    fn columns_of_cte(&self, cte: &Cte) -> Option<Vec<String>> {
        renamed(self.columns_of_query(&cte.query)?, &cte.alias)
    }

    fn columns_of_query(&self, query: &Query) -> Option<Vec<String>> {
        if query.with.is_some() {
            // Its own names are not among the scopes here.
            let mut inner = Expander { relations: self.relations, scopes: self.scopes.clone() };
            let mut query = query.clone();
            let _ = inner.pre_visit_query(&mut query);
            return inner.columns_of_body(&query.body);
        }
        self.columns_of_body(&query.body)
    }

    fn columns_of_body(&self, body: &SetExpr) -> Option<Vec<String>> {
        match body {
            SetExpr::Select(select) => self.columns_of_select(select),
            SetExpr::Query(query) => self.columns_of_query(query),
            SetExpr::SetOperation { left, .. } => self.columns_of_body(left),
            SetExpr::Values(values) => Some((1..=values.rows.first()?.len()).map(|it| format!("column{it}")).collect()),
            _ => None,
        }
    }

    fn columns_of_select(&self, select: &Select) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(Expr::Identifier(ident)) => names.push(folded(ident)),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => names.push(folded(parts.last()?)),
                SelectItem::ExprWithAlias { alias, .. } => names.push(folded(alias)),
                SelectItem::Wildcard(_) => {
                    names.extend(self.columns_of_from(&select.from)?.into_iter().map(|it| it.name));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let qualifier = last_name(name)?;
                    let columns = self.columns_of_from(&select.from)?;
                    let own = |it: &Column| it.qualifier.as_ref().is_some_and(|it| folded(it) == qualifier);
                    names.extend(columns.into_iter().filter(own).map(|it| it.name));
                }
                _ => return None,
            }
        }
        (names.len() <= MAX_COLUMNS).then_some(names)
    }

    fn columns_of_from(&self, from: &[TableWithJoins]) -> Option<Vec<Column>> {
        let mut columns = Vec::new();
        for it in from {
            columns.extend(self.columns_of_joins(&it.relation, &it.joins)?);
        }
        (columns.len() <= MAX_COLUMNS).then_some(columns)
    }

    fn columns_of_joins(&self, relation: &TableFactor, joins: &[Join]) -> Option<Vec<Column>> {
        let mut columns = self.columns_of_factor(relation)?;
        for join in joins {
            let right = self.columns_of_factor(&join.relation)?;
            let shared: Vec<String> = match constraint(&join.join_operator) {
                Some(JoinConstraint::Using(names)) => names.iter().map(last_name).collect::<Option<_>>()?,
                Some(JoinConstraint::Natural) => {
                    let is_shared = |it: &&Column| right.iter().any(|other| other.name == it.name);
                    columns.iter().filter(is_shared).map(|it| it.name.clone()).collect()
                }
                _ => Vec::new(),
            };
            // Of an inner or left join, the left column is the shared one.
            let merged = shared.iter().map(|name| columns.iter().find(|it| it.name == *name).cloned());
            let merged = merged.collect::<Option<Vec<_>>>()?;
            let rest = |columns: Vec<Column>| columns.into_iter().filter(|it| !shared.contains(&it.name));
            columns = merged.into_iter().chain(rest(columns.clone())).chain(rest(right)).collect();
        }
        (columns.len() <= MAX_COLUMNS).then_some(columns)
    }

    fn columns_of_factor(&self, factor: &TableFactor) -> Option<Vec<Column>> {
        let (names, qualifier) = match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let columns = self.columns_of_relation(name)?;
                let qualifier = match alias {
                    Some(alias) => alias.name.clone(),
                    None => name.0.last()?.as_ident()?.clone(),
                };
                (alias.iter().try_fold(columns, renamed)?, qualifier)
            }
            TableFactor::Derived { subquery, alias: Some(alias), .. } => {
                (renamed(self.columns_of_query(subquery)?, alias)?, alias.name.clone())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                return self.columns_of_joins(&table_with_joins.relation, &table_with_joins.joins);
            }
            _ => return None,
        };
        let column = |name| Column { name, qualifier: Some(qualifier.clone()) };
        Some(names.into_iter().map(column).collect())
    }

    fn columns_of_relation(&self, name: &ObjectName) -> Option<Vec<String>> {
        let last = last_name(name)?;
        if name.0.len() == 1 {
            let known = self.scopes.iter().rev().flat_map(|it| it.iter().rev()).find(|(it, _)| *it == last);
            if let Some((_, columns)) = known {
                return columns.clone();
            }
        }
        (self.relations)(&last)
    }
}

/// Puts the table's name before the columns that `joins` have in common, and that no other of `columns` has the name of.
fn qualify(condition: &mut Expr, joins: &[Join], columns: Vec<Column>) {
    let mut shared = Vec::new();
    for join in joins {
        if let Some(JoinConstraint::Using(names)) = constraint(&join.join_operator) {
            shared.extend(names.iter().filter_map(last_name));
        }
    }
    let only = |name: String| {
        let mut named = columns.iter().filter(|it| it.name == name);
        named.next().filter(|_| named.next().is_none()).cloned()
    };
    let shared = shared.into_iter().filter_map(only).collect();
    // It never breaks off.
    let _ = condition.visit(&mut Qualifier { shared, depth: 0 });
}

/// Puts the table's name before shared columns.
struct Qualifier {
    shared: Vec<Column>,
    /// How many subqueries are around, whose own columns come first.
    depth: usize,
}

impl VisitorMut for Qualifier {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && self.depth == 0
            && let Some(column) = self.shared.iter().find(|it| it.name == folded(name))
            && let Some(qualifier) = &column.qualifier
        {
            // The name keeps its place in the statement.
            *expr = Expr::CompoundIdentifier(vec![qualifier.clone(), name.clone()]);
        }
        ControlFlow::Continue(())
    }
}

/// Whether any join of `from` has columns that both sides share.
fn merges(from: &TableWithJoins) -> bool {
    let nested = |it: &TableFactor| match it {
        TableFactor::NestedJoin { table_with_joins, .. } => merges(table_with_joins),
        _ => false,
    };
    let shares = |it: &Join| {
        nested(&it.relation)
            || matches!(constraint(&it.join_operator), Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
    };
    nested(&from.relation) || from.joins.iter().any(shares)
}

/// What rows of both sides go together by, where the join is of a kind that says so.
macro_rules! constraint_of {
    ($operator:expr) => {
        match $operator {
            JoinOperator::Join(it)
            | JoinOperator::Inner(it)
            | JoinOperator::Left(it)
            | JoinOperator::LeftOuter(it)
            | JoinOperator::Right(it)
            | JoinOperator::RightOuter(it)
            | JoinOperator::FullOuter(it) => Some(it),
            _ => None,
        }
    };
}

pub(super) fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    constraint_of!(operator)
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    constraint_of!(operator)
}

/// The columns under the names an alias gives to the first of them.
fn renamed(mut names: Vec<String>, alias: &TableAlias) -> Option<Vec<String>> {
    if alias.columns.len() > names.len() {
        return None;
    }
    for (name, given) in names.iter_mut().zip(&alias.columns) {
        *name = folded(&given.name);
    }
    Some(names)
}

fn item_of(column: &Column) -> SelectItem {
    let name = quoted(&column.name);
    SelectItem::UnnamedExpr(match &column.qualifier {
        Some(qualifier) => Expr::CompoundIdentifier(vec![qualifier.clone(), name]),
        None => Expr::Identifier(name),
    })
}

fn true_value() -> datafusion::sql::sqlparser::ast::ValueWithSpan {
    datafusion::sql::sqlparser::ast::Value::Boolean(true).with_empty_span()
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

fn last_name(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(ObjectNamePart::as_ident).map(folded)
}

/// Identifiers without quotes are folded to lower case.
fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

fn unknown(what: &str) -> Unsupported {
    let message =
        format!("{what} over a join with USING or NATURAL is not supported where a side's columns are not known");
    let hint = "name the columns, and join ON a column of one = a column of the other";
    Unsupported::new(message, hint, if what == "NATURAL" { "natural" } else { "using" })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn expanded(sql: &str) -> Result<String, String> {
        let parsed = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).and_then(|mut it| it.parse_query());
        let mut query = parsed.expect(sql);
        let columns = |name: &str| {
            let columns: &[&str] = match name {
                "zz" => &["b", "a"],
                "aa" => &["c", "a"],
                "mm" => &["d", "c"],
                _ => return None,
            };
            Some(columns.iter().map(|it| (*it).to_owned()).collect())
        };
        expand_joined(&mut query, &columns).map_err(|it| it.message)?;
        Ok(query.to_string().replace('"', ""))
    }

    #[test]
    fn shared_columns_come_first_and_once() {
        let cases = [
            ("SELECT * FROM zz JOIN aa USING (a)", "SELECT zz.a, zz.b, aa.c FROM zz JOIN aa USING(a)"),
            ("SELECT * FROM zz NATURAL JOIN aa", "SELECT zz.a, zz.b, aa.c FROM zz JOIN aa USING(a)"),
            (
                "SELECT * FROM zz x JOIN aa USING (a) JOIN mm USING (c)",
                "SELECT aa.c, x.a, x.b, mm.d FROM zz x JOIN aa USING(a) JOIN mm USING(c)",
            ),
            ("SELECT * FROM zz LEFT JOIN aa USING (a)", "SELECT zz.a, zz.b, aa.c FROM zz LEFT JOIN aa USING(a)"),
            (
                "WITH w (a, e) AS (SELECT * FROM aa) SELECT * FROM zz JOIN w USING (a)",
                "WITH w (a, e) AS (SELECT * FROM aa) SELECT zz.a, zz.b, w.e FROM zz JOIN w USING(a)",
            ),
            ("SELECT * FROM zz JOIN aa ON zz.a = aa.a", "SELECT * FROM zz JOIN aa ON zz.a = aa.a"),
            (
                "SELECT b FROM zz NATURAL LEFT JOIN aa WHERE a = 1 AND c IN (SELECT a FROM mm)",
                "SELECT b FROM zz LEFT JOIN aa USING(a) WHERE zz.a = 1 AND c IN (SELECT a FROM mm)",
            ),
            ("SELECT b FROM zz NATURAL JOIN (SELECT 1 AS x) q", "SELECT b FROM zz JOIN (SELECT 1 AS x) q ON true"),
        ];
        for (sql, wanted) in cases {
            assert_eq!(expanded(sql).expect(sql), wanted);
        }
        assert!(expanded("SELECT * FROM zz JOIN unnest(ARRAY[1]) u USING (a)").is_err());
    }
}
