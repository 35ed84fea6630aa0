//! Comparisons of rows, `(a, b) > (1, 2)`, written out as comparisons of their parts, as PostgreSQL defines them: from
//! left to right, and the first pair that differs or holds a NULL decides.
//!
//! | written | means |
//! |---|---|
//! | `(a, b) = (x, y)` | `a = x AND b = y` |
//! | `(a, b) <> (x, y)` | `a <> x OR b <> y` |
//! | `(a, b) < (x, y)` | `a <= x AND (a < x OR b < y)` |
//! | `(a, b) IN ((x, y), …)` | `(a, b) = (x, y) OR …` |
//! | `(a, b) BETWEEN (x, y) AND (v, w)` | `(a, b) >= (x, y) AND (a, b) <= (v, w)` |
//! | `(a, b) IS DISTINCT FROM (x, y)` | `a IS DISTINCT FROM x OR b IS DISTINCT FROM y` |
//! | `(a, b) IS NULL`, `IS NOT NULL` | all of them are NULL, none of them is |
//!
//! The first condition of an order stands by itself, so that it can become a range of a key or an index.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, UnaryOperator, VisitMut, VisitorMut,
};

use super::syntax::Unsupported;
use crate::change::counted;

/// Writes out every comparison of rows in `query`, or says which cannot be.
pub(crate) fn expand_rows(query: &mut Query) -> Result<(), Unsupported> {
    match query.visit(&mut Expander) {
        ControlFlow::Break(it) => Err(it),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Expander;

impl VisitorMut for Expander {
    type Break = Unsupported;

    // Before its parts are visited: a row inside a row is met once the outer one is written out.
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Unsupported> {
        match Comparison::of(expr).map(Comparison::written_out) {
            None => ControlFlow::Continue(()),
            Some(Ok(it)) => {
                *expr = Expr::Nested(Box::new(it));
                ControlFlow::Continue(())
            }
            Some(Err(it)) => ControlFlow::Break(it),
        }
    }
}

/// An expression that compares rows.
struct Comparison<'a>(&'a Expr);

impl<'a> Comparison<'a> {
    fn of(expr: &'a Expr) -> Option<Comparison<'a>> {
        let compares = match expr {
            Expr::BinaryOp { left, right, .. }
            | Expr::IsDistinctFrom(left, right)
            | Expr::IsNotDistinctFrom(left, right) => is_row(left) || is_row(right),
            Expr::InList { expr: tested, list, .. } => is_row(tested) || list.iter().any(is_row),
            Expr::Between { expr: tested, .. }
            | Expr::IsNull(tested)
            | Expr::IsNotNull(tested)
            | Expr::InSubquery { expr: tested, .. } => is_row(tested),
            _ => false,
        };
        compares.then_some(Comparison(expr))
    }

    fn written_out(self) -> Result<Expr, Unsupported> {
        match self.0 {
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::IsDistinctFrom(left, right) => {
                let pairs = self.pairs(left, right)?.into_iter();
                Ok(any(pairs.map(|(a, b)| Expr::IsDistinctFrom(boxed(a), boxed(b))).collect()))
            }
            Expr::IsNotDistinctFrom(left, right) => {
                let pairs = self.pairs(left, right)?.into_iter();
                Ok(all(pairs.map(|(a, b)| Expr::IsNotDistinctFrom(boxed(a), boxed(b))).collect()))
            }
            Expr::InList { expr: tested, list, negated } => {
                let equal = list.iter().map(|it| self.equal(tested, it));
                Ok(negated_if(*negated, any(equal.collect::<Result<_, _>>()?)))
            }
            Expr::Between { expr: tested, negated, low, high } => {
                let low = self.ordered(tested, &BinaryOperator::GtEq, low)?;
                let high = self.ordered(tested, &BinaryOperator::LtEq, high)?;
                Ok(negated_if(*negated, all(vec![low, high])))
            }
            Expr::IsNull(tested) => Ok(all(self.parts(tested)?.iter().map(|it| Expr::IsNull(boxed(it))).collect())),
            Expr::IsNotNull(tested) => {
                Ok(all(self.parts(tested)?.iter().map(|it| Expr::IsNotNull(boxed(it))).collect()))
            }
            _ => Err(self.unsupported("write EXISTS or NOT EXISTS with the comparison inside")),
        }
    }

    fn binary(&self, left: &Expr, operator: &BinaryOperator, right: &Expr) -> Result<Expr, Unsupported> {
        match operator {
            BinaryOperator::Eq => self.equal(left, right),
            BinaryOperator::NotEq => {
                let pairs = self.pairs(left, right)?.into_iter();
                Ok(any(pairs.map(|(a, b)| binary(a, BinaryOperator::NotEq, b)).collect()))
            }
            BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq => {
                self.ordered(left, operator, right)
            }
            _ => Err(self.unsupported("rows are compared with =, <>, <, <=, > and >=")),
        }
    }

    fn equal(&self, left: &Expr, right: &Expr) -> Result<Expr, Unsupported> {
        let pairs = self.pairs(left, right)?.into_iter();
        Ok(all(pairs.map(|(a, b)| binary(a, BinaryOperator::Eq, b)).collect()))
    }

    /// `a <= x AND (a < x OR rest)`: where `a` is `x` that is `rest`, where either is NULL it is NULL or false as `rest`
    /// says, which is what an order does not let pass either.
    fn ordered(&self, left: &Expr, operator: &BinaryOperator, right: &Expr) -> Result<Expr, Unsupported> {
        let (strict, loose) = match operator {
            BinaryOperator::Lt | BinaryOperator::LtEq => (BinaryOperator::Lt, BinaryOperator::LtEq),
            _ => (BinaryOperator::Gt, BinaryOperator::GtEq),
        };
        let mut pairs = self.pairs(left, right)?;
        let Some((a, b)) = pairs.pop() else { return Err(self.unsupported("a row has at least one column")) };
        let mut out = binary(a, operator.clone(), b);
        for (a, b) in pairs.into_iter().rev() {
            let decided = any(vec![binary(a, strict.clone(), b), out]);
            out = all(vec![binary(a, loose.clone(), b), decided]);
        }
        Ok(out)
    }

    fn pairs<'e>(&self, left: &'e Expr, right: &'e Expr) -> Result<Vec<(&'e Expr, &'e Expr)>, Unsupported> {
        let (left, right) = (self.parts(left)?, self.parts(right)?);
        if left.len() == right.len() {
            return Ok(left.into_iter().zip(right).collect());
        }
        let message = format!(
            "a row of {} is compared with a row of {}",
            counted(left.len(), "column"),
            counted(right.len(), "column")
        );
        Err(Unsupported::new(message, "both rows need the same number of columns", self.0.to_string()))
    }

    fn parts<'e>(&self, expr: &'e Expr) -> Result<Vec<&'e Expr>, Unsupported> {
        parts(expr).ok_or_else(|| self.unsupported("write a row on both sides, like (a, b) > (1, 2)"))
    }

    fn unsupported(&self, hint: &'static str) -> Unsupported {
        Unsupported::new("this comparison of a row is not supported", hint, self.0.to_string())
    }
}

fn is_row(expr: &Expr) -> bool {
    parts(expr).is_some()
}

/// The columns of `(a, b)` or `ROW(a, b)`.
fn parts(expr: &Expr) -> Option<Vec<&Expr>> {
    match expr {
        Expr::Tuple(parts) => Some(parts.iter().collect()),
        Expr::Nested(inner) if is_row(inner) => parts(inner),
        Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("row") => {
            let FunctionArguments::List(list) = &call.args else { return None };
            let part = |it| match it {
                &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref part)) => Some(part),
                _ => None,
            };
            list.args.iter().map(part).collect()
        }
        _ => None,
    }
}

fn binary(left: &Expr, op: BinaryOperator, right: &Expr) -> Expr {
    Expr::BinaryOp { left: boxed(left), op, right: boxed(right) }
}

// What a comparison gets keeps its own brackets.
fn boxed(expr: &Expr) -> Box<Expr> {
    Box::new(match expr {
        Expr::BinaryOp { .. } => Expr::Nested(Box::new(expr.clone())),
        _ => expr.clone(),
    })
}

fn all(conditions: Vec<Expr>) -> Expr {
    join(conditions, &BinaryOperator::And)
}

fn any(conditions: Vec<Expr>) -> Expr {
    join(conditions, &BinaryOperator::Or)
}

/// Halved, not chained, so that a long list does not become a deep tree.
fn join(mut conditions: Vec<Expr>, op: &BinaryOperator) -> Expr {
    if conditions.len() == 1 {
        return Expr::Nested(Box::new(conditions.remove(0)));
    }
    let right = conditions.split_off(conditions.len() / 2);
    let side = |it| Box::new(join(it, op));
    Expr::Nested(Box::new(Expr::BinaryOp { left: side(conditions), op: op.clone(), right: side(right) }))
}

fn negated_if(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) } } else { expr }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn expanded(condition: &str) -> Result<String, String> {
        let sql = format!("SELECT 1 WHERE {condition}");
        let mut query = Parser::new(&PostgreSqlDialect {}).try_with_sql(&sql).unwrap().parse_query().unwrap();
        expand_rows(&mut query).map_err(|it| it.message)?;
        // Brackets around single conditions say nothing.
        Ok(query.to_string().replace("SELECT 1 WHERE ", ""))
    }

    #[test]
    fn rows_are_compared_part_by_part() {
        for (written, means) in [
            ("(a, b) = (1, 2)", "(((a = 1) AND (b = 2)))"),
            ("ROW(a, b) <> (1, 2)", "(((a <> 1) OR (b <> 2)))"),
            ("(a, b) < (1, 2)", "(((a <= 1) AND (((a < 1) OR (b < 2)))))"),
            ("(a, b) IS NULL", "(((a IS NULL) AND (b IS NULL)))"),
            ("(a, b) NOT IN ((1, 2))", "(NOT (((a = 1) AND (b = 2))))"),
            ("a = 1", "a = 1"),
        ] {
            let got = expanded(written);
            assert_eq!(got.as_deref(), Ok(means), "{written}");
        }
    }

    #[test]
    fn what_is_no_comparison_of_equal_rows_is_refused() {
        for written in [
            "(a, b) = (1, 2, 3)",
            "(a, b) = 1",
            "(a, b) + (1, 2) = 3",
            "(a, b) LIKE 'x' OR (a, b) = (SELECT 1, 2)",
            "(a, b) IN (SELECT 1, 2)",
            "a IN ((1, 2))",
            "(a, b) IN ((1, 2), 3)",
        ] {
            assert!(expanded(written).is_err(), "{written}");
        }
        assert_eq!(
            expanded("(a, b) = (1, 2, 3)"),
            Err("a row of 2 columns is compared with a row of 3 columns".into())
        );
    }
}
