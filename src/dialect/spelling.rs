//! Spellings that DataFusion has no meaning for, or another, written as calls it leaves to us.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, GroupByExpr, Ident, Interval as Written, LimitClause, ObjectName, Query, Select, UnaryOperator,
    Value, VisitMut, VisitorMut,
};

use super::named;
use super::syntax::Unsupported;
use super::value::interval::Interval;
use super::value::unit::Unit;

/// Collations that compare bytewise, as everything here does.
const BYTEWISE: [&str; 4] = ["c", "posix", "ucs_basic", "default"];

/// Rewrites the expressions of `query`.
pub(crate) fn respell(query: &mut Query) -> Result<(), Unsupported> {
    match VisitMut::visit(query, &mut Speller) {
        ControlFlow::Break(it) => Err(it),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Speller;

impl VisitorMut for Speller {
    type Break = Unsupported;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Unsupported> {
        match limit_of_fetch(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(it) => ControlFlow::Break(it),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Unsupported> {
        group_for_having(select);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Unsupported> {
        if let Expr::Function(call) = expr {
            named::in_order(call)?;
        }
        let null = Expr::Value(Value::Null.with_empty_span());
        *expr = match std::mem::replace(expr, null) {
            Expr::Extract { field, expr, .. } => call("extract", vec![text(&field_name(&field)), *expr]),
            Expr::AtTimeZone { timestamp, time_zone } => call("timezone", vec![*time_zone, *timestamp]),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => negative(*expr),
            Expr::UnaryOp { op: UnaryOperator::PGAbs, expr } => call("abs", vec![*expr]),
            Expr::UnaryOp { op: UnaryOperator::PGSquareRoot, expr } => call("sqrt", vec![*expr]),
            Expr::UnaryOp { op: UnaryOperator::PGCubeRoot, expr } => call("cbrt", vec![*expr]),
            Expr::BinaryOp { left, op: BinaryOperator::PGStartsWith, right } => {
                call("starts_with", vec![*left, *right])
            }
            Expr::Interval(it) => match interval(it) {
                Ok(it) => it,
                Err(it) => return ControlFlow::Break(it),
            },
            Expr::Collate { expr, collation } if is_bytewise(&collation) => *expr,
            other => other,
        };
        ControlFlow::Continue(())
    }
}

/// `FETCH FIRST n ROWS ONLY` as LIMIT, since it would be passed over.
fn limit_of_fetch(query: &mut Query) -> Result<(), Unsupported> {
    let Some(fetch) = query.fetch.take() else { return Ok(()) };
    let refused = |message: &str| Err(Unsupported::new(message, "write ORDER BY … LIMIT n", "fetch"));
    if fetch.with_ties || fetch.percent {
        return refused("FETCH of a part of the rows, or WITH TIES, is not supported");
    }
    let clause =
        query.limit_clause.get_or_insert(LimitClause::LimitOffset { limit: None, offset: None, limit_by: Vec::new() });
    match clause {
        LimitClause::LimitOffset { limit: limit @ None, .. } => {
            *limit = Some(fetch.quantity.unwrap_or_else(|| number("1")));
            Ok(())
        }
        _ => refused("FETCH beside LIMIT is not supported"),
    }
}

/// HAVING makes one group of all rows, also where nothing aggregates.
fn group_for_having(select: &mut Select) {
    let is_ungrouped =
        matches!(&select.group_by, GroupByExpr::Expressions(by, modifiers) if by.is_empty() && modifiers.is_empty());
    if let Some(condition) = select.having.take_if(|_| is_ungrouped) {
        let mut count = call("count", Vec::new());
        if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut count {
            list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
        }
        let some = Expr::BinaryOp { left: Box::new(count), op: BinaryOperator::GtEq, right: Box::new(number("0")) };
        select.having = Some(Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(condition))),
            op: BinaryOperator::And,
            right: Box::new(some),
        });
    }
}

fn number(digits: &str) -> Expr {
    Expr::Value(Value::Number(digits.into(), false).with_empty_span())
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|it| FunctionArg::Unnamed(FunctionArgExpr::Expr(it))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn text(value: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.into()).with_empty_span())
}

/// A field as it is written, without the quotes it may have.
fn field_name(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(ident) => ident.value.clone(),
        other => other.to_string().trim_matches('\'').to_ascii_lowercase(),
    }
}

/// `-a ^ b` is `(-a) ^ b`: a sign belongs to what follows it before any operator does.
fn negative(inner: Expr) -> Expr {
    match inner {
        Expr::BinaryOp { left, op: BinaryOperator::PGExp, right } => {
            Expr::BinaryOp { left: Box::new(negative(*left)), op: BinaryOperator::PGExp, right }
        }
        // DataFusion puts the sign in front of the text, where it is that of the first number alone.
        inner @ Expr::Interval(_) => {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(Expr::Nested(Box::new(inner))) }
        }
        inner => Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(inner) },
    }
}

fn is_bytewise(collation: &ObjectName) -> bool {
    let name = collation.0.last().and_then(|it| it.as_ident()).map(|it| it.value.to_lowercase());
    name.is_some_and(|it| BYTEWISE.contains(&it.as_str()))
}

/// An interval in one of PostgreSQL's spellings, in the one spelling that DataFusion reads without a doubt.
fn interval(written: Written) -> Result<Expr, Unsupported> {
    let refused = |message: String| {
        Unsupported::new(message, "write it like INTERVAL '1 year 2 months 3 days 04:05:06'", "interval")
    };
    if written.leading_precision.is_some() || written.fractional_seconds_precision.is_some() {
        return Err(refused("an interval with a precision is not supported".into()));
    }
    let text = match &*written.value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(it) => it.clone(),
            other => return Err(refused(format!("INTERVAL {other} is not supported"))),
        },
        other => return Err(refused(format!("INTERVAL {other} is not supported"))),
    };
    let (leading, last) = (written.leading_field.as_ref(), written.last_field.as_ref());
    let unit = |field: &DateTimeField| {
        let unit = Unit::named(&field_name(field)).filter(|it| it.is_length());
        unit.ok_or_else(|| refused(format!("INTERVAL … {field} is not supported")))
    };
    let smallest = match last.or(leading) {
        Some(field) => Some(unit(field)?),
        None => None,
    };
    let parsed = Interval::parse(&text, smallest.unwrap_or(Unit::Second)).map_err(&refused)?;
    let parsed = match smallest {
        // What is smaller than the last field is left out.
        Some(unit) => parsed.restricted(unit),
        None => parsed,
    };
    let canonical = parsed.plain();
    let value = Box::new(self::text(&canonical));
    Ok(Expr::Interval(Written {
        value,
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    }))
}
