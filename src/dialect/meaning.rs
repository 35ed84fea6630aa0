//! Calls and operators that mean something else to DataFusion, put right before types are settled.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF, binary_expr, cast, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::function::{MODULO, redefined};
use super::mixed::with_one_type;
use super::rewrite::rewrite_plan;

/// The analyzer rule.
#[derive(Debug)]
pub(super) struct Meaning {
    /// By name: what is called instead. `EXTRACT` and the like come without a look-up of the name, so putting other
    /// functions in the registry would not be enough.
    redefined: HashMap<String, Arc<ScalarUDF>>,
}

impl Meaning {
    pub(super) fn new() -> Meaning {
        let all = SessionStateDefaults::default_scalar_functions();
        let redefined = all.into_iter().filter_map(redefined).map(|it| (it.name().to_owned(), it)).collect();
        Meaning { redefined }
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let expr = match with_one_type(expr, schema) {
            Transformed { data, transformed: true, .. } => return Ok(Transformed::yes(data)),
            Transformed { data, .. } => data,
        };
        match expr {
            Expr::ScalarFunction(call) => Ok(self.call(call)),
            Expr::Cast(it) => Ok(named_type(it)),
            Expr::InList(it) if it.list.iter().any(|value| !matches!(value, Expr::Literal(..))) => Ok(any_equal(it)),
            Expr::BinaryExpr(it) if matches!(it.op, Operator::Plus | Operator::Minus) => moved_date(it, schema),
            // `1e20` is a number of 21 digits; a negative scale would be a type nobody has.
            Expr::Literal(ScalarValue::Decimal128(Some(value), precision, scale), metadata) if scale < 0 => {
                let precision = precision.saturating_add(scale.unsigned_abs()).min(DECIMAL128_MAX_PRECISION);
                let value = ScalarValue::Decimal128(Some(value), precision, scale);
                let value = value.cast_to(&DataType::Decimal128(precision, 0))?;
                Ok(Transformed::yes(Expr::Literal(value, metadata)))
            }
            other => Ok(Transformed::no(other)),
        }
    }

    fn call(&self, mut call: ScalarFunction) -> Transformed<Expr> {
        if call.name() == MODULO && call.args.len() == 2 {
            let divisor = call.args.pop();
            let dividend = call.args.pop();
            if let (Some(dividend), Some(divisor)) = (dividend, divisor) {
                return Transformed::yes(binary_expr(dividend, Operator::Modulo, divisor));
            }
        }
        if matches!(call.name(), "round" | "trunc")
            && let Some(Expr::Literal(digits, _)) = call.args.get_mut(1)
            && let ScalarValue::Int64(Some(number)) = *digits
            && let Ok(number) = i32::try_from(number)
        {
            // The result's type follows from this constant only while no cast stands around it.
            *digits = ScalarValue::Int32(Some(number));
        }
        // Of one argument DataFusion's `log` is not exact where `log10` is.
        let name = if call.name() == "log" && call.args.len() == 1 { "log10" } else { call.name() };
        match self.redefined.get(name) {
            Some(function) => {
                call.func = Arc::clone(function);
                Transformed::yes(Expr::ScalarFunction(call))
            }
            None => Transformed::no(Expr::ScalarFunction(call)),
        }
    }
}

/// `x IN (a, b)` as `x = a OR x = b`: a list with values that are computed is not always looked through rightly.
fn any_equal(it: InList) -> Transformed<Expr> {
    let InList { expr, list, negated } = it;
    let equal = list.into_iter().map(|value| (*expr).clone().eq(value));
    let any = equal.reduce(Expr::or).unwrap_or_else(|| lit(false));
    Transformed::yes(if negated { !any } else { any })
}

/// A cast to a type that PostgreSQL knows by another name: a timestamp has microseconds, and `float` eight bytes.
fn named_type(it: Cast) -> Transformed<Expr> {
    let target = match it.field.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Float32 => DataType::Float64,
        _ => return Transformed::no(Expr::Cast(it)),
    };
    Transformed::yes(cast(*it.expr, target))
}

/// A date moved by an interval is a timestamp; DataFusion makes it a date, without the interval's hours.
fn moved_date(it: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    // What has no type yet is not a date.
    let type_of = |expr: &Expr| expr.get_type(schema).unwrap_or(DataType::Null);
    let (left, right) = (type_of(&it.left), type_of(&it.right));
    let is_date = |it: &DataType| matches!(it, DataType::Date32 | DataType::Date64);
    let is_interval = |it: &DataType| matches!(it, DataType::Interval(_));
    let at_midnight = |expr: Expr| cast(expr, DataType::Timestamp(TimeUnit::Microsecond, None));
    let (new_left, new_right) = if is_date(&left) && is_interval(&right) {
        (at_midnight(*it.left), *it.right)
    } else if is_interval(&left) && is_date(&right) {
        (*it.left, at_midnight(*it.right))
    } else {
        return Ok(Transformed::no(Expr::BinaryExpr(it)));
    };
    Ok(Transformed::yes(binary_expr(new_left, it.op, new_right)))
}

impl AnalyzerRule for Meaning {
    fn name(&self) -> &str {
        "postgresql_meaning"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_plan(plan, &|expr, schema| self.rewrite(expr, schema))
    }
}
