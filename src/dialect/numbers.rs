//! Casts and quotients of numbers that round as PostgreSQL's do; DataFusion cuts off.
//!
//! A float becomes the nearest integer, half to even; a decimal half away from zero; and so does the last digit of a
//! quotient of decimals. Arrow rounds a decimal when it loses digits, so one more digit is all that is needed.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF, binary_expr, cast,
};
use datafusion::optimizer::AnalyzerRule;

use super::function::redefined;
use super::rewrite::rewrite_plan;

/// The analyzer rule.
#[derive(Debug)]
pub(super) struct RoundNumbers {
    /// Rounds floats half to even.
    round: Option<Arc<ScalarUDF>>,
}

impl RoundNumbers {
    pub(super) fn new() -> RoundNumbers {
        let all = SessionStateDefaults::default_scalar_functions();
        RoundNumbers { round: all.into_iter().find(|it| it.name() == "round").and_then(redefined) }
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        match expr {
            Expr::Cast(it) if it.field.data_type().is_integer() => self.rounded(it, schema),
            Expr::BinaryExpr(it) if it.op == Operator::Divide => quotient(it, schema),
            other => Ok(Transformed::no(other)),
        }
    }

    fn rounded(&self, it: Cast, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let target = it.field.data_type().clone();
        let rounded = match (it.expr.get_type(schema)?, &self.round) {
            (DataType::Float32 | DataType::Float64, Some(round)) => round.call(vec![cast(*it.expr, DataType::Float64)]),
            (DataType::Decimal128(_, scale), _) if scale > 0 => {
                cast(*it.expr, DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0))
            }
            _ => return Ok(Transformed::no(Expr::Cast(it))),
        };
        Ok(Transformed::yes(cast(rounded, target)))
    }
}

fn quotient(it: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (left, right) = (it.left.get_type(schema)?, it.right.get_type(schema)?);
    let (DataType::Decimal128(precision, scale), DataType::Decimal128(..)) = (&left, &right) else {
        return Ok(Transformed::no(Expr::BinaryExpr(it)));
    };
    // A dividend with one more digit has a quotient with one more.
    let (precision, scale) = (precision + 1, scale + 1);
    if precision > DECIMAL128_MAX_PRECISION {
        return Ok(Transformed::no(Expr::BinaryExpr(it)));
    }
    let wanted = Expr::BinaryExpr(it.clone()).get_type(schema)?;
    let finer = binary_expr(cast(*it.left, DataType::Decimal128(precision, scale)), Operator::Divide, *it.right);
    Ok(Transformed::yes(cast(finer, wanted)))
}

impl AnalyzerRule for RoundNumbers {
    fn name(&self) -> &str {
        "round_numbers"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_plan(plan, &|expr, schema| self.rewrite(expr, schema))
    }
}
