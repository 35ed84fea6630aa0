//! Where doubles and decimals meet, both are doubles; where dates and timestamps meet, both are timestamps of microseconds;
//! a constant text takes the type of what it stands beside.
//!
//! DataFusion makes the former decimals of thirty digits, which many doubles are not: comparing 1e20 with 0.5 would fail.
//! Arithmetic needs nothing, there it agrees with PostgreSQL. The latter it counts in nanoseconds, which end in 2262.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ExprSchemable, cast};

use super::calls::is_constant_text;
use super::operators::is_comparison;
use super::own::{self, Kind};
use super::said;

/// Functions whose arguments have one type.
const SAME_TYPE: [&str; 5] = ["coalesce", "greatest", "least", "nullif", "nvl"];

/// `expr` with casts where its parts are to have one type and DataFusion would choose another than PostgreSQL.
pub(super) fn with_one_type(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let changed = match &mut expr {
        Expr::BinaryExpr(it) if is_comparison(it.op) => unify([&mut *it.left, &mut *it.right], schema)?,
        Expr::Between(it) => unify([&mut *it.expr, &mut *it.low, &mut *it.high], schema)?,
        Expr::InList(it) => unify(std::iter::once(&mut *it.expr).chain(&mut it.list), schema)?,
        Expr::Case(it) => {
            let (conditions, values): (Vec<_>, Vec<_>) =
                it.when_then_expr.iter_mut().map(|(condition, value)| (&mut **condition, &mut **value)).unzip();
            let compared = match &mut it.expr {
                Some(operand) => unify(std::iter::once(&mut **operand).chain(conditions), schema)?,
                None => false,
            };
            let otherwise = it.else_expr.iter_mut().map(|it| &mut **it);
            unify(values.into_iter().chain(otherwise), schema)? || compared
        }
        Expr::ScalarFunction(it) if SAME_TYPE.contains(&it.name()) => unify(&mut it.args, schema)?,
        _ => false,
    };
    Ok(Transformed::new_transformed(expr, changed))
}

/// Casts those of `parts` that must give way to the others; tells whether it did.
fn unify<'a>(parts: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) -> Result<bool> {
    // What has no type yet meets nothing.
    let typed: Vec<(DataType, &mut Expr)> =
        parts.into_iter().map(|it| (it.get_type(schema).unwrap_or(DataType::Null), it)).collect();
    let wanted = wanted_of_constants(&typed)?;
    let has_double = typed.iter().any(|(it, _)| matches!(it, DataType::Float32 | DataType::Float64));
    let zones =
        typed.iter().filter_map(|(it, _)| if let DataType::Timestamp(_, zone) = it { Some(zone) } else { None });
    // One with a zone gives its zone to the others.
    let zone = zones.max_by_key(|it| it.is_some()).cloned();
    let mut changed = false;
    for (data_type, expr) in typed {
        let target = match (&wanted, data_type, &zone) {
            (Some(wanted), _, _) if is_text(expr) => text_as(wanted, expr),
            (_, it, _) if it.is_decimal() && has_double => DataType::Float64,
            (_, DataType::Date32 | DataType::Date64, Some(zone)) => microseconds(zone.clone()),
            (_, DataType::Timestamp(unit, zone), _) if unit != TimeUnit::Microsecond => microseconds(zone),
            _ => continue,
        };
        *expr = converted(std::mem::take(expr), &target)?;
        changed = true;
    }
    Ok(changed)
}

/// `expr` as `target`; a constant text is read at once.
pub(super) fn converted(expr: Expr, target: &DataType) -> Result<Expr> {
    match &expr {
        Expr::Literal(value, _) if Kind::of(target).is_some_and(|it| it != Kind::Text) => {
            match value.try_as_str().flatten() {
                Some(text) => Ok(Expr::Literal(own::constant(text, target)?, None)),
                None => Ok(cast(expr, target.clone())),
            }
        }
        _ => Ok(cast(expr, target.clone())),
    }
}

fn is_text(expr: &Expr) -> bool {
    is_constant_text(expr) && !matches!(expr, Expr::Literal(it, _) if it.is_null())
}

/// The type constant texts take from what they stand beside: PostgreSQL reads them as values of it. `None`: they are
/// texts. A text that is no constant goes with nothing else.
fn wanted_of_constants(typed: &[(DataType, &mut Expr)]) -> Result<Option<DataType>> {
    let others = typed.iter().filter(|(_, expr)| !is_constant_text(expr)).map(|(it, _)| it);
    let kinds: Vec<(Kind, &DataType)> = others.filter_map(|it| Some((Kind::of(it)?, it))).collect();
    let text = kinds.iter().find(|(it, _)| *it == Kind::Text);
    let other = kinds.iter().filter(|(it, _)| *it != Kind::Text).max_by_key(|(it, _)| strength(*it));
    match (text, other) {
        (Some(_), Some((other, _))) => {
            let message = format!("text and {} have no common type; cast one of them", other.name());
            Err(said("42804", message))
        }
        (_, Some((_, data_type))) => Ok(Some((*data_type).clone())),
        _ => Ok(None),
    }
}

/// Which of several types the others are converted to.
fn strength(kind: Kind) -> u8 {
    match kind {
        Kind::Float64 | Kind::TimestampTz => 4,
        Kind::Numeric { .. } | Kind::Timestamp => 3,
        Kind::Int64 | Kind::Date => 2,
        _ => 1,
    }
}

/// The type a constant text is read as beside `wanted`: a numeric keeps all its decimals.
fn text_as(wanted: &DataType, constant: &Expr) -> DataType {
    match wanted {
        it if it.is_decimal() => {
            let text = if let Expr::Literal(it, _) = constant { it.try_as_str().flatten() } else { None };
            let decimals = text.and_then(|it| it.trim().split_once('.')).map_or(0, |(_, it)| it.len());
            let scale = i8::try_from(decimals).unwrap_or(i8::MAX).min(DECIMAL128_MAX_PRECISION as i8);
            DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale)
        }
        DataType::Timestamp(_, zone) => microseconds(zone.clone()),
        other => other.clone(),
    }
}

fn microseconds(zone: Option<Arc<str>>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone)
}
