//! Constants computed before a query is planned, and nothing else: what an expression of constants is, and what AND, OR
//! and NOT of a constant are whatever the other side is.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, Volatility, lit,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_expr::create_physical_expr;

/// Functions that DataFusion does not compute but replaces: by CASE, or by the time.
const REPLACED: [&str; 5] = ["coalesce", "current_date", "now", "nvl", "nvl2"];

/// The optimizer rule.
#[derive(Debug)]
pub(super) struct FoldConstants;

impl OptimizerRule for FoldConstants {
    fn name(&self) -> &str {
        "fold_constants"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let context = SimplifyContext::builder()
            .with_config_options(config.options())
            .with_query_execution_start_time(config.query_execution_start_time())
            .build();
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let folded = expr.transform_up(|it| fold(it, &context))?;
            Ok(folded.update_data(|it| name.restore(it)))
        })
    }
}

fn fold(expr: Expr, context: &SimplifyContext) -> Result<Transformed<Expr>> {
    match expr {
        Expr::ScalarFunction(call) if REPLACED.contains(&call.name()) => replaced(call, context),
        Expr::BinaryExpr(it) if matches!(it.op, Operator::And | Operator::Or) => Ok(joined(it)),
        expr if is_foldable(&expr)? => Ok(match value(&expr) {
            Ok(value) => Transformed::yes(Expr::Literal(value, None)),
            // It may be in a branch that is never taken; where it is, it fails again.
            Err(_) => Transformed::no(expr),
        }),
        other => Ok(Transformed::no(other)),
    }
}

fn replaced(call: ScalarFunction, context: &SimplifyContext) -> Result<Transformed<Expr>> {
    let ScalarFunction { func, args } = call;
    Ok(match func.simplify(args, context)? {
        ExprSimplifyResult::Simplified(expr) => Transformed::yes(expr),
        ExprSimplifyResult::Original(args) => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
    })
}

/// AND and OR where a side is constant. What decides alone, decides even beside what could not be computed.
fn joined(it: BinaryExpr) -> Transformed<Expr> {
    let constant = |it: &Expr| match it {
        Expr::Literal(ScalarValue::Boolean(value), _) => *value,
        _ => None,
    };
    let deciding = it.op == Operator::Or;
    match (constant(&it.left), constant(&it.right)) {
        (Some(value), _) | (_, Some(value)) if value == deciding => Transformed::yes(lit(deciding)),
        (Some(_), _) => Transformed::yes(*it.right),
        (_, Some(_)) => Transformed::yes(*it.left),
        _ => Transformed::no(Expr::BinaryExpr(it)),
    }
}

/// Whether `expr` is computed from constants only, and always the same.
fn is_foldable(expr: &Expr) -> Result<bool> {
    let by_itself = match expr {
        Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_) => true,
        Expr::ScalarFunction(call) => call.func.signature().volatility == Volatility::Immutable,
        _ => false,
    };
    let mut constant = by_itself;
    if by_itself {
        expr.apply_children(|it| {
            constant &= matches!(it, Expr::Literal(..));
            Ok(if constant { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        })?;
    }
    Ok(constant)
}

/// The value of an expression of constants, in the type the expression has.
fn value(expr: &Expr) -> Result<ScalarValue> {
    let schema = DFSchema::empty();
    let physical = create_physical_expr(expr, &schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    let value = match physical.evaluate(&batch)? {
        ColumnarValue::Scalar(it) => it,
        ColumnarValue::Array(it) => ScalarValue::try_from_array(&it, 0)?,
    };
    let wanted = expr.get_type(&schema)?;
    if value.data_type() == wanted { Ok(value) } else { value.cast_to(&wanted) }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{case, cast, col, not};

    use super::*;

    fn folded(expr: Expr) -> Expr {
        expr.transform_up(|it| fold(it, &SimplifyContext::default())).expect("folds").data
    }

    #[test]
    fn constants_are_computed_and_nothing_else() {
        let a = || col("a");
        let null = || Expr::Literal(ScalarValue::Boolean(None), None);
        let cases = [
            (lit(1).eq(lit(1)), lit(true)),
            (cast(lit(7_i32), datafusion::arrow::datatypes::DataType::Int64), lit(7_i64)),
            (a().and(lit(true)), a()),
            (lit(false).and(a()), lit(false)),
            (a().or(lit(1).eq(lit(1))), lit(true)),
            (a().or(lit(false)), a()),
            (not(lit(true)), lit(false)),
            // What is unknown stays so.
            (a().and(null()), a().and(null())),
            (a().or(null()), a().or(null())),
            (a().eq(a()), a().eq(a())),
            (
                a().in_list(vec![lit(1)], false).and(a().in_list(vec![lit(2)], false)),
                a().in_list(vec![lit(1)], false).and(a().in_list(vec![lit(2)], false)),
            ),
            (a().like(lit("%")), a().like(lit("%"))),
            // What fails may never be reached.
            (lit(1_i64) / lit(0_i64), lit(1_i64) / lit(0_i64)),
        ];
        for (expr, wanted) in cases {
            assert_eq!(folded(expr.clone()), wanted, "{expr}");
        }
        let branch = case(lit(true)).when(lit(true), lit(1)).end().expect("a case");
        assert_eq!(folded(branch), lit(1));
    }
}
