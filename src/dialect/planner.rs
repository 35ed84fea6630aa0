//! What must mean PostgreSQL's already while a query is bound, since DataFusion finds no type for its own meaning.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::mixed::with_one_type;
use super::{operators, own};

/// Plans operators and syntax; ours first, where it has no meaning of its own DataFusion's.
pub(crate) fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    let ours: Arc<dyn ExprPlanner> = Arc::new(Planner);
    std::iter::once(ours).chain(SessionStateDefaults::default_expr_planners()).collect()
}

#[derive(Debug)]
struct Planner;

impl ExprPlanner for Planner {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let Some(operator) = operator(&raw.op) else { return Ok(PlannerResult::Original(raw)) };
        let (left, right) = (Box::new(raw.left.clone()), Box::new(raw.right.clone()));
        let unified = with_one_type(Expr::BinaryExpr(BinaryExpr::new(left, operator, right)), schema)?;
        let meant = match &unified.data {
            Expr::BinaryExpr(it) => operators::binary(it, schema)?,
            _ => None,
        };
        Ok(match meant {
            Some(meant) => PlannerResult::Planned(meant),
            None if unified.transformed => PlannerResult::Planned(unified.data),
            None => PlannerResult::Original(raw),
        })
    }

    fn plan_substring(&self, arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call("substring", arguments)))
    }

    fn plan_position(&self, arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call("_position", arguments)))
    }
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let (function, _) = own::find(name).expect("the function is in the table");
    Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))
}

/// The operators that may mean something else.
fn operator(operator: &BinaryOperator) -> Option<Operator> {
    Some(match operator {
        BinaryOperator::Plus => Operator::Plus,
        BinaryOperator::Minus => Operator::Minus,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::StringConcat => Operator::StringConcat,
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
}
