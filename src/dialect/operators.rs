//! Operators of dates, times, intervals, bytes and patterns, which become calls of our functions.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, Like, Operator, cast};

use super::calls::{constant_integer, is_constant_text, own_call};
use super::own::Kind;
use super::said;

/// What `it` means; `None` when DataFusion means the same.
pub(super) fn binary(it: &BinaryExpr, schema: &DFSchema) -> Result<Option<Expr>> {
    let call = |name: &str, arguments: Vec<Expr>| -> Result<Option<Expr>> {
        Ok(Some(own_call(name, arguments, schema)?.expect("operators name functions of the table")))
    };
    let (left, right) = ((*it.left).clone(), (*it.right).clone());
    let kinds = (kind(&left, schema), kind(&right, schema));
    if let Some(narrowed) = narrowed(it.op, &left, &right, kinds) {
        return Ok(Some(narrowed));
    }
    match it.op {
        Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide => match of_times(it.op, kinds) {
            Some((name, false)) => call(name, vec![left, right]),
            Some((name, true)) => call(name, vec![right, left]),
            None => Ok(None),
        },
        Operator::StringConcat => concatenation(left, right, kinds, schema),
        Operator::RegexMatch => call("_matches", vec![left, right]),
        Operator::RegexIMatch => call("_matches_any_case", vec![left, right]),
        Operator::RegexNotMatch => Ok(call("_matches", vec![left, right])?.map(|it| !it)),
        Operator::RegexNotIMatch => Ok(call("_matches_any_case", vec![left, right])?.map(|it| !it)),
        operator if is_comparison(operator) && kinds == (Some(Kind::Interval), Some(Kind::Interval)) => {
            let (left, right) = (order(left, schema)?, order(right, schema)?);
            Ok(Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)))))
        }
        _ => Ok(None),
    }
}

/// `-interval`.
pub(super) fn negative(inner: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    if kind(inner, schema) != Some(Kind::Interval) {
        return Ok(None);
    }
    own_call("_interval_negative", vec![inner.clone()], schema)
}

/// `BETWEEN` of intervals.
pub(super) fn between(it: &Between, schema: &DFSchema) -> Result<Option<Expr>> {
    if kind(&it.expr, schema) != Some(Kind::Interval) {
        return Ok(None);
    }
    let part = |expr: &Expr| Ok::<_, DataFusionError>(Box::new(order(expr.clone(), schema)?));
    let between = Between::new(part(&it.expr)?, it.negated, part(&it.low)?, part(&it.high)?);
    Ok(Some(Expr::Between(between)))
}

/// `LIKE` with another letter for escapes, or of what is no text.
pub(super) fn like(it: &Like, schema: &DFSchema) -> Result<Option<Expr>> {
    if let Some(other) =
        [&it.expr, &it.pattern].into_iter().filter_map(|it| kind(it, schema)).find(|it| *it != Kind::Text)
    {
        return Err(said("0A000", format!("LIKE of {} is not supported; cast it to text", other.name())));
    }
    if let Expr::Literal(pattern, _) = &*it.pattern
        && it.escape_char.is_none()
        && let Some(pattern) = pattern.try_as_str().flatten()
        && (pattern.len() - pattern.trim_end_matches('\\').len()) % 2 == 1
    {
        return Err(said("22025", "LIKE pattern must not end with escape character"));
    }
    let Some(escape) = it.escape_char.filter(|it| *it != '\\') else { return Ok(None) };
    let escape = Expr::Literal(ScalarValue::Utf8(Some(escape.into())), None);
    let pattern = own_call("like_escape", vec![(*it.pattern).clone(), escape], schema)?;
    let pattern = Box::new(pattern.expect("the function is in the table of text functions"));
    Ok(Some(Expr::Like(Like { pattern, escape_char: None, ..it.clone() })))
}

/// A constant integer beside an `integer` is one, so that the result is: PostgreSQL's constants are no longer than they
/// have to be.
fn narrowed(operator: Operator, left: &Expr, right: &Expr, kinds: (Option<Kind>, Option<Kind>)) -> Option<Expr> {
    use Operator::{
        BitwiseAnd, BitwiseOr, BitwiseShiftLeft, BitwiseShiftRight, BitwiseXor, Divide, Minus, Modulo, Multiply, Plus,
    };
    let narrow = |expr: &Expr| match constant_integer(expr).map(i32::try_from) {
        Some(Ok(it)) => Some(Expr::Literal(ScalarValue::Int32(Some(it)), None)),
        _ => None,
    };
    let applies = matches!(
        operator,
        Plus | Minus
            | Multiply
            | Divide
            | Modulo
            | BitwiseAnd
            | BitwiseOr
            | BitwiseXor
            | BitwiseShiftLeft
            | BitwiseShiftRight
    );
    let (left, right) = match kinds {
        _ if !applies => return None,
        (Some(Kind::Int32), Some(Kind::Int64)) => (left.clone(), narrow(right)?),
        (Some(Kind::Int64), Some(Kind::Int32)) => (narrow(left)?, right.clone()),
        _ => return None,
    };
    Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right))))
}

fn kind(expr: &Expr, schema: &DFSchema) -> Option<Kind> {
    // What has no type yet is of no kind.
    expr.get_type(schema).ok().as_ref().and_then(Kind::of)
}

/// The function for an operator of times, and whether its operands change places.
fn of_times(operator: Operator, kinds: (Option<Kind>, Option<Kind>)) -> Option<(&'static str, bool)> {
    use Kind::{Date, Float64, Int32, Int64, Interval, Numeric, Timestamp, TimestampTz};
    use Operator::{Minus, Multiply, Plus};
    Some(match (operator, kinds) {
        (Plus, (Some(Date | Timestamp | TimestampTz), Some(Interval))) => ("_moved", false),
        (Plus, (Some(Interval), Some(Date | Timestamp | TimestampTz))) => ("_moved", true),
        (Minus, (Some(Date | Timestamp | TimestampTz), Some(Interval))) => ("_moved_back", false),
        (Plus, (Some(Date), Some(Int32 | Int64))) => ("_day_moved", false),
        (Plus, (Some(Int32 | Int64), Some(Date))) => ("_day_moved", true),
        (Minus, (Some(Date), Some(Int32 | Int64))) => ("_day_moved_back", false),
        (Minus, (Some(Date), Some(Date))) => ("_days_between", false),
        (Minus, (Some(Date | Timestamp | TimestampTz), Some(Date | Timestamp | TimestampTz))) => {
            ("_time_between", false)
        }
        (Plus, (Some(Interval), Some(Interval))) => ("_interval_plus", false),
        (Minus, (Some(Interval), Some(Interval))) => ("_interval_minus", false),
        (Multiply, (Some(Interval), Some(Int32 | Int64 | Float64 | Numeric { .. }))) => ("_interval_times", false),
        (Multiply, (Some(Int32 | Int64 | Float64 | Numeric { .. }), Some(Interval))) => ("_interval_times", true),
        (Operator::Divide, (Some(Interval), Some(Int32 | Int64 | Float64 | Numeric { .. }))) => {
            ("_interval_divided", false)
        }
        _ => return None,
    })
}

/// `||` of bytes, or of a text and something else, which is cast to text.
fn concatenation(
    left: Expr,
    right: Expr,
    kinds: (Option<Kind>, Option<Kind>),
    schema: &DFSchema,
) -> Result<Option<Expr>> {
    let bytes = |kind, expr: &Expr| kind == Some(Kind::Bytes) || is_constant_text(expr);
    if kinds.0 == Some(Kind::Bytes) && bytes(kinds.1, &right) || kinds.1 == Some(Kind::Bytes) && bytes(kinds.0, &left) {
        return own_call("_bytes_concat", vec![left, right], schema);
    }
    let as_text = |kind, expr: Expr| match kind {
        None | Some(Kind::Text | Kind::Texts) => expr,
        Some(_) => cast(expr, DataType::Utf8),
    };
    match kinds {
        (Some(Kind::Text), Some(_)) | (Some(_), Some(Kind::Text)) if kinds.0 != kinds.1 => {
            let (left, right) = (as_text(kinds.0, left), as_text(kinds.1, right));
            Ok(Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), Operator::StringConcat, Box::new(right)))))
        }
        (Some(left), Some(right)) if left != Kind::Text && left != Kind::Texts && right != Kind::Texts => {
            let message = format!("operator does not exist: {} || {}", left.name(), right.name());
            Err(said("42883", message))
        }
        _ => Ok(None),
    }
}

/// What an interval is ordered by.
fn order(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(own_call("_interval_order", vec![expr], schema)?.expect("the function is in the table of times"))
}

pub(super) fn is_comparison(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}
