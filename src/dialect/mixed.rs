//! Where doubles and decimals meet, both are doubles.
//!
//! DataFusion makes them decimals of thirty digits, which many doubles are not: comparing 1e20 with 0.5 would fail.
//! Arithmetic needs nothing, there it agrees with PostgreSQL.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};

/// Functions whose arguments have one type.
const SAME_TYPE: [&str; 5] = ["coalesce", "greatest", "least", "nullif", "nvl"];

/// `expr` with its decimals cast to doubles where its parts are to have one type and one of them is a double.
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

/// Casts the decimals among `parts` when there is a double; tells whether it did.
fn unify<'a>(parts: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) -> bool {
    // What has no type yet is neither.
    let typed: Vec<(DataType, &mut Expr)> =
        parts.into_iter().map(|it| (it.get_type(schema).unwrap_or(DataType::Null), it)).collect();
    if !typed.iter().any(|(it, _)| matches!(it, DataType::Float32 | DataType::Float64)) {
        return false;
    }
    let mut changed = false;
    for (data_type, expr) in typed {
        if data_type.is_decimal() {
            let decimal = std::mem::take(expr);
            *expr = datafusion::logical_expr::cast(decimal, DataType::Float64);
            changed = true;
        }
    }
    changed
}
