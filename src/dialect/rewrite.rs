//! Rewriting every expression of a plan, from the inside out, with names and types kept up to date.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

/// A copy of `plan` in which `rewrite` has had each expression, with the schema its columns are found in. Output columns
/// keep their names.
pub(super) fn rewrite_plan(
    plan: LogicalPlan,
    rewrite: &dyn Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let mut schema = merge_schema(&node.inputs());
        if node.inputs().is_empty() {
            schema.merge(node.schema());
        }
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let expr = expr.transform_up(|expr| rewrite(expr, &schema))?;
            Ok(expr.update_data(|expr| name.restore(expr)))
        })?;
        node.map_data(|node| match node {
            // Nothing but its rows says what types it has.
            LogicalPlan::Values(it) => LogicalPlanBuilder::values(it.values)?.build(),
            other => other.recompute_schema(),
        })
    });
    Ok(rewritten?.data)
}
