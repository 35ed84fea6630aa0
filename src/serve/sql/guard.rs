//! What a plan may be made of: an allow-list of nodes, expressions and functions.
//!
//! It looks at the plan, never at the text, so there is no spelling that slips through; what a new DataFusion adds is
//! refused until it is listed here. Queries that DataFusion answers wrongly are refused too, by name.

use axum::http::StatusCode;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility, WindowFunctionDefinition};

use super::functions;
use super::table::Table;
use crate::dialect;
use crate::serve::problem::Problem;
use crate::serve::served::Served;
use std::sync::Arc;

/// The most bytes the constants of one plan node may have.
const MAX_CONSTANT_BYTES: usize = 64 << 10;

/// What the walk learned about an accepted plan.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    /// The relations it reads, once each.
    pub(super) relations: Vec<Arc<Served>>,
    /// Whether it means the same at every call, so that its physical plan may be kept.
    pub(super) constant: bool,
}

/// Accepts `plan` or says why not.
pub(super) fn check(plan: &LogicalPlan) -> Result<Accepted, Problem> {
    let mut accepted = Accepted { relations: Vec::new(), constant: true };
    let mut problem = None;
    let walked = plan.apply_with_subqueries(|node| {
        let checked = check_node(node, &mut accepted).and_then(|()| check_expressions(node, &mut accepted));
        Ok(match checked {
            Ok(()) => TreeNodeRecursion::Continue,
            Err(it) => {
                problem = Some(it);
                TreeNodeRecursion::Stop
            }
        })
    });
    walked.map_err(|it| super::failure::problem(&it))?;
    problem.map_or(Ok(accepted), Err)
}

/// Refuses an optimised plan with too long constants, be they written, given or computed: for a batch of rows each of
/// them may be written as often as there are rows.
pub(super) fn check_constants(plan: &LogicalPlan) -> Result<(), Problem> {
    let mut longest = 0;
    let walked = plan.apply_with_subqueries(|node| {
        let mut bytes = 0;
        node.apply_expressions(|expr| {
            expr.apply(|it| {
                if let Expr::Literal(value, _) = it {
                    let text = value.try_as_str().flatten();
                    bytes += text.map_or_else(|| value.size() - size_of_val(value), str::len);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        longest = longest.max(bytes);
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map_err(|it| super::failure::problem(&it))?;
    if longest <= MAX_CONSTANT_BYTES {
        return Ok(());
    }
    let detail = format!("the constants of one step of the statement have more than {MAX_CONSTANT_BYTES} bytes");
    Err(Problem::new(StatusCode::BAD_REQUEST, "54000", detail))
}

fn check_node(node: &LogicalPlan, accepted: &mut Accepted) -> Result<(), Problem> {
    match node {
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source).map_err(|it| super::failure::problem(&it))?;
            let Some(table) = provider.downcast_ref::<Table>() else {
                return Err(read_only(format!("\"{}\" is not one of the served tables and views", scan.table_name)));
            };
            if accepted.relations.iter().all(|it| it.relation.name != table.served.relation.name) {
                accepted.relations.push(Arc::clone(&table.served));
            }
            Ok(())
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_) => Ok(()),
        LogicalPlan::RecursiveQuery(_) => Err(unsupported("WITH RECURSIVE")),
        LogicalPlan::Repartition(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::DescribeTable(_) => Err(read_only("only queries are answered")),
    }
}

fn check_expressions(node: &LogicalPlan, accepted: &mut Accepted) -> Result<(), Problem> {
    let mut problem = None;
    let walked = node.apply_expressions(|expr| {
        Ok(match check_expression(expr, accepted) {
            Ok(()) => TreeNodeRecursion::Continue,
            Err(it) => {
                problem = Some(it);
                TreeNodeRecursion::Stop
            }
        })
    });
    walked.map_err(|it| super::failure::problem(&it))?;
    problem.map_or(Ok(()), Err)
}

fn check_expression(expr: &Expr, accepted: &mut Accepted) -> Result<(), Problem> {
    let mut problem = None;
    let walked = expr.apply(|expr| {
        Ok(match check_one(expr, accepted) {
            Ok(()) => TreeNodeRecursion::Continue,
            Err(it) => {
                problem = Some(it);
                TreeNodeRecursion::Stop
            }
        })
    });
    walked.map_err(|it| super::failure::problem(&it))?;
    problem.map_or(Ok(()), Err)
}

fn check_one(expr: &Expr, accepted: &mut Accepted) -> Result<(), Problem> {
    let allowed = |known: bool, name: &str| {
        if known { Ok(()) } else { Err(no_function(name)) }
    };
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == dialect::NULLABLE => Ok(()),
        Expr::ScalarFunction(call) => {
            accepted.constant &= call.func.signature().volatility == Volatility::Immutable;
            allowed(functions::is_scalar(call.func.name()), call.func.name())
        }
        Expr::AggregateFunction(call) => allowed(functions::is_aggregate(call.func.name()), call.func.name()),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(it) => allowed(functions::is_aggregate(it.name()), it.name()),
            WindowFunctionDefinition::WindowUDF(it) => allowed(functions::is_window(it.name()), it.name()),
        },
        Expr::Alias(_)
        | Expr::Column(_)
        | Expr::Literal(..)
        | Expr::BinaryExpr(_)
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
        | Expr::InList(_)
        | Expr::Exists(_)
        | Expr::ScalarSubquery(_)
        | Expr::GroupingSet(_)
        | Expr::Placeholder(_)
        | Expr::OuterReferenceColumn(..)
        | Expr::Unnest(_) => Ok(()),
        // What `dialect` left of them would be joined without regard to NULLs.
        Expr::InSubquery(_) => Err(membership()),
        // DataFusion takes the pattern for a regular expression.
        Expr::SimilarTo(_) => Err(unsupported("SIMILAR TO").hint("use LIKE, or ~ with a regular expression")),
        Expr::ScalarVariable(..) => Err(read_only("variables cannot be read")),
        Expr::SetComparison(_) => Err(unsupported("a comparison with ANY or ALL of a subquery")),
        _ => Err(unsupported("an expression of this kind")),
    }
}

fn membership() -> Problem {
    unsupported("IN (subquery) here, in this form,").hint("write EXISTS or NOT EXISTS with the comparison inside")
}

/// The problem of a statement that is not a query.
pub(super) fn read_only(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "25006", detail).hint("this endpoint is read-only; write to the owning service")
}

/// The problem of a query that would be answered wrongly or not at all.
pub(super) fn unsupported(what: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "0A000", format!("{what} is not supported"))
}

fn no_function(name: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "42883", format!("the function {name} may not be called"))
}
