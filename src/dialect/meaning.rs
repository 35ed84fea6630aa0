//! Calls and operators that mean something else to DataFusion, put right before types are settled.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, cast, lit};
use datafusion::optimizer::AnalyzerRule;

use super::calls::{Calls, is_constant_text};
use super::mixed::with_one_type;
use super::own::Kind;
use super::rewrite::rewrite_plan;
use super::{operators, said};

/// The analyzer rule.
#[derive(Debug)]
pub(super) struct Meaning {
    calls: Calls,
}

impl Meaning {
    pub(super) fn new() -> Meaning {
        Meaning { calls: Calls::new() }
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let unified = with_one_type(expr, schema)?;
        let changed = unified.transformed;
        let expr = unified.data;
        let meant = match &expr {
            Expr::ScalarFunction(call) => self.calls.rewrite(call, schema)?,
            Expr::BinaryExpr(it) => operators::binary(it, schema)?,
            Expr::Negative(inner) => operators::negative(inner, schema)?,
            Expr::Between(it) => operators::between(it, schema)?,
            Expr::Like(it) => operators::like(it, schema)?,
            Expr::Cast(it) => named_type(it),
            Expr::AggregateFunction(it) => {
                check_filter(it.params.filter.as_deref(), schema)?;
                None
            }
            Expr::WindowFunction(it) => {
                check_filter(it.params.filter.as_deref(), schema)?;
                None
            }
            Expr::InList(it) if it.list.iter().any(|value| !matches!(value, Expr::Literal(..))) => Some(any_equal(it)),
            // `1e20` is a number of 21 digits; a negative scale would be a type nobody has.
            Expr::Literal(ScalarValue::Decimal128(Some(value), precision, scale), metadata) if *scale < 0 => {
                let precision = precision.saturating_add(scale.unsigned_abs()).min(DECIMAL128_MAX_PRECISION);
                let value = ScalarValue::Decimal128(Some(*value), precision, *scale);
                let value = value.cast_to(&DataType::Decimal128(precision, 0))?;
                Some(Expr::Literal(value, metadata.clone()))
            }
            _ => None,
        };
        Ok(match meant {
            Some(meant) => Transformed::yes(meant),
            None => Transformed::new_transformed(expr, changed),
        })
    }
}

/// Refuses what stands in FILTER and is neither true nor false: DataFusion would make it a truth value.
fn check_filter(filter: Option<&Expr>, schema: &DFSchema) -> Result<()> {
    let Some(filter) = filter.filter(|it| !is_constant_text(it)) else { return Ok(()) };
    match Kind::of(&filter.get_type(schema)?) {
        None | Some(Kind::Boolean) => Ok(()),
        Some(kind) => {
            let message = format!("argument of FILTER must be type boolean, not type {}", kind.name());
            Err(said("42804", message))
        }
    }
}

/// `x IN (a, b)` as `x = a OR x = b`: a list with values that are computed is not always looked through rightly.
fn any_equal(it: &InList) -> Expr {
    let equal = it.list.iter().map(|value| (*it.expr).clone().eq(value.clone()));
    let any = equal.reduce(Expr::or).unwrap_or_else(|| lit(false));
    if it.negated { !any } else { any }
}

/// A cast to a type that PostgreSQL knows by another name: a timestamp has microseconds, and `float` eight bytes.
fn named_type(it: &Cast) -> Option<Expr> {
    let target = match it.field.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Float32 => DataType::Float64,
        _ => return None,
    };
    Some(cast((*it.expr).clone(), target))
}

impl AnalyzerRule for Meaning {
    fn name(&self) -> &str {
        "postgresql_meaning"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_plan(plan, &|expr, schema| self.rewrite(expr, schema))
    }
}
