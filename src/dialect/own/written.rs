//! Operators and syntax behind which there is a function here, as they are written: for messages and `explain`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator, VisitMut,
    VisitorMut,
};

/// The operators of two sides.
const BINARY: [(&str, BinaryOperator); 13] = [
    ("_bytes_concat", BinaryOperator::StringConcat),
    ("_day_moved", BinaryOperator::Plus),
    ("_day_moved_back", BinaryOperator::Minus),
    ("_days_between", BinaryOperator::Minus),
    ("_interval_divided", BinaryOperator::Divide),
    ("_interval_minus", BinaryOperator::Minus),
    ("_interval_plus", BinaryOperator::Plus),
    ("_interval_times", BinaryOperator::Multiply),
    ("_matches", BinaryOperator::PGRegexMatch),
    ("_matches_any_case", BinaryOperator::PGRegexIMatch),
    ("_moved", BinaryOperator::Plus),
    ("_moved_back", BinaryOperator::Minus),
    ("_time_between", BinaryOperator::Minus),
];

/// `expr` with operators for calls of the functions behind them.
pub(crate) fn as_written(mut expr: Expr) -> Expr {
    // It never breaks off.
    let _ = expr.visit(&mut Writer);
    expr
}

/// What does not exist where `name` takes no arguments of these types.
pub(super) fn missing(name: &str, types: &[&str]) -> String {
    let operator = BINARY.iter().find(|it| it.0 == name);
    match (operator, types) {
        (Some((_, sign)), [left, right]) => format!("operator does not exist: {left} {sign} {right}"),
        (None, [inner]) if name == "_interval_negative" => format!("operator does not exist: - {inner}"),
        _ => format!("function {}({}) does not exist", name.trim_start_matches('_'), types.join(", ")),
    }
}

struct Writer;

impl VisitorMut for Writer {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(call) = expr
            && let Some(written) = written(call)
        {
            *expr = written;
        }
        ControlFlow::Continue(())
    }
}

fn written(call: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &call.args else { return None };
    let argument = |it: &FunctionArg| match it {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(it)) => Some(it.clone()),
        _ => None,
    };
    let arguments = list.args.iter().map(argument).collect::<Option<Vec<_>>>()?;
    let name = call.name.0.last()?.as_ident()?.value.as_str();
    let operator = BINARY.iter().find(|it| it.0 == name).map(|it| it.1.clone());
    Some(match (operator, name, <[Expr; 2]>::try_from(arguments)) {
        (Some(op), _, Ok([left, right])) => Expr::BinaryOp { left: operand(left), op, right: operand(right) },
        (None, "_position", Ok([text, part])) => Expr::Position { expr: Box::new(part), r#in: Box::new(text) },
        (None, "_interval_negative", Err(one)) => {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: operand(one.into_iter().next()?) }
        }
        (None, "_interval_order" | "_boolean_letter", Err(one)) => one.into_iter().next()?,
        _ => return None,
    })
}

fn operand(expr: Expr) -> Box<Expr> {
    Box::new(match expr {
        Expr::BinaryOp { .. } | Expr::UnaryOp { .. } => Expr::Nested(Box::new(expr)),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn functions_behind_operators_are_written_as_these() {
        for (called, shown) in [
            ("_moved(a, _interval_times(i, 2)) > b", "a + (i * 2) > b"),
            ("lower(_bytes_concat(a, b))", "lower(a || b)"),
            ("NOT _matches(a, 'x')", "NOT a ~ 'x'"),
            ("_interval_order(_interval_negative(a)) = 1", "-a = 1"),
            ("_position(a, b)", "POSITION(b IN a)"),
        ] {
            let parsed = Parser::new(&PostgreSqlDialect {}).try_with_sql(called).and_then(|mut it| it.parse_expr());
            assert_eq!(as_written(parsed.expect(called)).to_string(), shown);
        }
    }

    #[test]
    fn every_function_that_cannot_be_called_is_written_in_another_way() {
        let all = super::super::CHAPTERS.iter().flat_map(|it| it.iter());
        for function in all.filter(|it| it.name.starts_with('_')) {
            let types = vec!["date"; function.overloads[0].takes.len()];
            let arguments = vec!["a"; types.len()].join(", ");
            let called = format!("{}({arguments})", function.name);
            let parsed = Parser::new(&PostgreSqlDialect {}).try_with_sql(&called).and_then(|mut it| it.parse_expr());
            let shown = as_written(parsed.expect(&called)).to_string();
            assert!(!shown.contains(function.name), "{shown}");
        }
    }
}
