//! Where doubles and decimals meet, both are doubles; where dates and timestamps meet, both are timestamps of microseconds.
//!
//! DataFusion makes the former decimals of thirty digits, which many doubles are not: comparing 1e20 with 0.5 would fail.
//! Arithmetic needs nothing, there it agrees with PostgreSQL. The latter it counts in nanoseconds, which end in 2262.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, cast};

/// Functions whose arguments have one type.
const SAME_TYPE: [&str; 5] = ["coalesce", "greatest", "least", "nullif", "nvl"];

/// `expr` with casts where its parts are to have one type and DataFusion would choose another than PostgreSQL.
pub(super) fn with_one_type(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let changed = match &mut expr {
        Expr::BinaryExpr(it) if is_comparison(it.op) => unify([&mut *it.left, &mut *it.right], schema),
        Expr::Between(it) => unify([&mut *it.expr, &mut *it.low, &mut *it.high], schema),
        Expr::InList(it) => unify(std::iter::once(&mut *it.expr).chain(&mut it.list), schema),
        Expr::Case(it) => {
            let (conditions, values): (Vec<_>, Vec<_>) =
                it.when_then_expr.iter_mut().map(|(condition, value)| (&mut **condition, &mut **value)).unzip();
            let compared = match &mut it.expr {
                Some(operand) => unify(std::iter::once(&mut **operand).chain(conditions), schema),
                None => false,
            };
            let otherwise = it.else_expr.iter_mut().map(|it| &mut **it);
            unify(values.into_iter().chain(otherwise), schema) || compared
        }
        Expr::ScalarFunction(it) if SAME_TYPE.contains(&it.name()) => unify(&mut it.args, schema),
        _ => false,
    };
    Transformed::new_transformed(expr, changed)
}

fn is_comparison(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// Casts those of `parts` that must give way to the others; tells whether it did.
fn unify<'a>(parts: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) -> bool {
    // What has no type yet meets nothing.
    let typed: Vec<(DataType, &mut Expr)> =
        parts.into_iter().map(|it| (it.get_type(schema).unwrap_or(DataType::Null), it)).collect();
    let has_double = typed.iter().any(|(it, _)| matches!(it, DataType::Float32 | DataType::Float64));
    let zones =
        typed.iter().filter_map(|(it, _)| if let DataType::Timestamp(_, zone) = it { Some(zone) } else { None });
    // One with a zone gives its zone to the others.
    let zone = zones.max_by_key(|it| it.is_some()).cloned();
    let mut changed = false;
    for (data_type, expr) in typed {
        let target = match (data_type, &zone) {
            (it, _) if it.is_decimal() && has_double => DataType::Float64,
            (DataType::Date32 | DataType::Date64, Some(zone)) => microseconds(zone.clone()),
            (DataType::Timestamp(unit, zone), _) if unit != TimeUnit::Microsecond => microseconds(zone),
            _ => continue,
        };
        *expr = cast(std::mem::take(expr), target);
        changed = true;
    }
    changed
}

fn microseconds(zone: Option<Arc<str>>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone)
}
