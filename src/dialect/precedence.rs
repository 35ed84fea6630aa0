//! `a IS DISTINCT FROM b AND c` means `(a IS DISTINCT FROM b) AND c`.
//!
//! The parser takes everything behind FROM for what is compared, up to the next bracket or clause. Where that is so, the
//! operands and connectives are taken in the order in which they are written and put together again.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Query, UnaryOperator, Value, VisitMut, VisitorMut};

/// Puts the conditions of `query` together as they are meant.
pub(crate) fn regroup(query: &mut Query) {
    struct Regrouper;
    impl VisitorMut for Regrouper {
        type Break = ();
        // From the outside in: the first one met is the whole of what was written in a row.
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if swallows(expr) {
                let mut pieces = Vec::new();
                flatten(std::mem::replace(expr, Expr::Value(Value::Null.into())), &mut pieces);
                let mut pieces = pieces.into_iter().peekable();
                *expr = disjunction(&mut pieces);
            }
            ControlFlow::Continue(())
        }
    }
    // It never breaks off.
    let _ = VisitMut::visit(query, &mut Regrouper);
}

/// What is written in a row.
enum Piece {
    Not,
    And,
    Or,
    Operand(Box<Expr>),
}

type Pieces = std::iter::Peekable<std::vec::IntoIter<Piece>>;

/// Whether a comparison in the row that `expr` ends with has taken connectives for its own.
fn swallows(expr: &Expr) -> bool {
    match expr {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => is_connective(right) || swallows(right),
        Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, right, .. } => swallows(right),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => swallows(expr),
        _ => false,
    }
}

fn is_connective(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. })
}

fn flatten(expr: Expr, out: &mut Vec<Piece>) {
    match expr {
        Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
            flatten(*left, out);
            out.push(if op == BinaryOperator::And { Piece::And } else { Piece::Or });
            flatten(*right, out);
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
            out.push(Piece::Not);
            flatten(*expr, out);
        }
        Expr::IsDistinctFrom(left, right) => compared(*left, *right, Expr::IsDistinctFrom, out),
        Expr::IsNotDistinctFrom(left, right) => compared(*left, *right, Expr::IsNotDistinctFrom, out),
        other => out.push(Piece::Operand(Box::new(other))),
    }
}

/// The first operand of what was taken for the right side is the right side.
fn compared(left: Expr, right: Expr, make: fn(Box<Expr>, Box<Expr>) -> Expr, out: &mut Vec<Piece>) {
    let mut taken = Vec::new();
    flatten(right, &mut taken);
    let mut taken = taken.into_iter();
    let first = match taken.next() {
        Some(Piece::Operand(first)) => *first,
        // `NOT b` is compared as a whole.
        _ => match taken.next() {
            Some(Piece::Operand(inner)) => Expr::UnaryOp { op: UnaryOperator::Not, expr: inner },
            _ => Expr::Value(Value::Null.into()),
        },
    };
    out.push(Piece::Operand(Box::new(make(Box::new(left), Box::new(first)))));
    out.extend(taken);
}

fn disjunction(pieces: &mut Pieces) -> Expr {
    let mut left = conjunction(pieces);
    while pieces.next_if(|it| matches!(it, Piece::Or)).is_some() {
        left = connected(left, BinaryOperator::Or, conjunction(pieces));
    }
    left
}

fn conjunction(pieces: &mut Pieces) -> Expr {
    let mut left = negation(pieces);
    while pieces.next_if(|it| matches!(it, Piece::And)).is_some() {
        left = connected(left, BinaryOperator::And, negation(pieces));
    }
    left
}

fn negation(pieces: &mut Pieces) -> Expr {
    match pieces.next() {
        Some(Piece::Not) => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(negation(pieces)) },
        Some(Piece::Operand(it)) => *it,
        _ => unreachable!("an operand stands on each side of a connective"),
    }
}

fn connected(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn parsed(condition: &str) -> Box<Query> {
        let sql = format!("SELECT 1 WHERE {condition}");
        Parser::new(&PostgreSqlDialect {}).try_with_sql(&sql).unwrap().parse_query().unwrap()
    }

    /// Takes the brackets away that only say what is meant anyway.
    fn bare(query: &mut Query) {
        struct Barer;
        impl VisitorMut for Barer {
            type Break = ();
            fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
                while let Expr::Nested(inner) = expr {
                    *expr = std::mem::replace(inner, Expr::Value(Value::Null.into()));
                }
                ControlFlow::Continue(())
            }
        }
        let _ = VisitMut::visit(query, &mut Barer);
    }

    #[test]
    fn what_is_compared_ends_at_the_next_connective() {
        for (written, meant) in [
            ("a IS DISTINCT FROM b AND c", "(a IS DISTINCT FROM b) AND c"),
            ("a IS NOT DISTINCT FROM b OR c AND d", "(a IS NOT DISTINCT FROM b) OR (c AND d)"),
            ("a IS DISTINCT FROM b AND c OR d", "((a IS DISTINCT FROM b) AND c) OR d"),
            ("p AND a IS DISTINCT FROM b OR c", "(p AND (a IS DISTINCT FROM b)) OR c"),
            ("p OR q AND a IS DISTINCT FROM b AND c OR d", "(p OR ((q AND (a IS DISTINCT FROM b)) AND c)) OR d"),
            ("NOT a IS DISTINCT FROM b AND c", "(NOT (a IS DISTINCT FROM b)) AND c"),
            (
                "a IS DISTINCT FROM b AND c IS DISTINCT FROM d AND e",
                "((a IS DISTINCT FROM b) AND (c IS DISTINCT FROM d)) AND e",
            ),
            (
                "a IS DISTINCT FROM b AND NOT c IS NOT DISTINCT FROM d OR e",
                "((a IS DISTINCT FROM b) AND (NOT (c IS NOT DISTINCT FROM d))) OR e",
            ),
            ("a IS DISTINCT FROM b = c AND d", "(a IS DISTINCT FROM (b = c)) AND d"),
            ("a IS DISTINCT FROM (b AND c)", "a IS DISTINCT FROM (b AND c)"),
            ("(a IS DISTINCT FROM b AND c) OR d", "((a IS DISTINCT FROM b) AND c) OR d"),
            (
                "CASE WHEN a IS DISTINCT FROM b AND c THEN d IS DISTINCT FROM e OR f END",
                "CASE WHEN (a IS DISTINCT FROM b) AND c THEN (d IS DISTINCT FROM e) OR f END",
            ),
        ] {
            let (mut left, mut right) = (parsed(written), parsed(meant));
            regroup(&mut left);
            bare(&mut left);
            bare(&mut right);
            // Trees are equal whatever their places in the text.
            assert_eq!(left, right, "{written}");
        }
    }
}
