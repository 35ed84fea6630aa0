//! Casts, written or implied, that are PostgreSQL's and not Arrow's.

use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

use super::own;
use super::rewrite::rewrite_plan;

/// The analyzer rule, which comes when types are settled: casts become calls where there is a function for them.
#[derive(Debug)]
pub(super) struct Casting;

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::Cast(it) = expr else { return Ok(Transformed::no(expr)) };
    let target = it.field.data_type().clone();
    let Some(function) = own::converted(&it.expr.get_type(schema)?, &target) else {
        return Ok(Transformed::no(Expr::Cast(it)));
    };
    let call = Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![*it.expr]));
    // What a function gives is the type all of a kind have here.
    let gives = call.get_type(schema)?;
    Ok(Transformed::yes(if gives == target { call } else { cast(call, target) }))
}

impl AnalyzerRule for Casting {
    fn name(&self) -> &str {
        "casting"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_plan(plan, &rewrite)
    }
}
