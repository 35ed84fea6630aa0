//! The optimizer's rules: one list for views and for queries.
//!
//! Left out of DataFusion's own list is what is not always right. `SimplifyExpressions` loses NULLs (`a IN (1) AND a IN
//! (2)` becomes false, `a = a` true) and rewrites calls and patterns into what they mean to DataFusion; [`FoldConstants`]
//! takes its place. `RewriteSetComparison`, `UnionsToFilter` and `EliminateJoin` trust in what is declared or drop rows
//! that differ in NULLs; `FilterNullJoinKeys` is for joins that are nobody's here; and the rules for structs have nothing
//! to do.
//!
//! Views take those rules only that hold for every later state of the data and whose results can be kept. Constant
//! folding is not among them, since it freezes now(); filters and joins are taken apart by the planner of views, which
//! needs no push-down.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::decorrelate_lateral_join::DecorrelateLateralJoin;
use datafusion::optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion::optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion::optimizer::eliminate_duplicated_expr::EliminateDuplicatedExpr;
use datafusion::optimizer::eliminate_filter::EliminateFilter;
use datafusion::optimizer::eliminate_group_by_constant::EliminateGroupByConstant;
use datafusion::optimizer::eliminate_limit::EliminateLimit;
use datafusion::optimizer::eliminate_outer_join::EliminateOuterJoin;
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::optimize_unions::OptimizeUnions;
use datafusion::optimizer::propagate_empty_relation::PropagateEmptyRelation;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::push_down_limit::PushDownLimit;
use datafusion::optimizer::replace_distinct_aggregate::ReplaceDistinctWithAggregate;
use datafusion::optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;
use datafusion::optimizer::single_distinct_to_groupby::SingleDistinctToGroupBy;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::fold::FoldConstants;

/// Who reads the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A view, which is kept for every later state of the data.
    View,
    /// A query, which is answered once.
    Query,
}

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rules in their order.
pub(crate) fn optimizer(reader: Reader) -> Vec<Rule> {
    let both = |rule: Rule| Some(rule);
    let query = |rule: Rule| (reader == Reader::Query).then_some(rule);
    let rules = [
        query(Arc::new(OptimizeUnions::new())),
        query(Arc::new(FoldConstants)),
        both(Arc::new(ReplaceDistinctWithAggregate::new())),
        query(Arc::new(DecorrelatePredicateSubquery::new())),
        both(Arc::new(ScalarSubqueryToJoin::new())),
        query(Arc::new(DecorrelateLateralJoin::new())),
        query(Arc::new(ExtractEquijoinPredicate::new())),
        query(Arc::new(EliminateDuplicatedExpr::new())),
        query(Arc::new(EliminateFilter::new())),
        query(Arc::new(EliminateCrossJoin::new())),
        query(Arc::new(EliminateLimit::new())),
        query(Arc::new(PropagateEmptyRelation::new())),
        query(Arc::new(EliminateOuterJoin::new())),
        // A filter cannot go below a limit, so limits go first.
        query(Arc::new(PushDownLimit::new())),
        query(Arc::new(PushDownFilters(PushDownFilter::new()))),
        match reader {
            Reader::View => Some(Arc::new(SingleDistinctToGroupBy::new())),
            Reader::Query => Some(Arc::new(SingleDistinct(SingleDistinctToGroupBy::new()))),
        },
        query(Arc::new(EliminateGroupByConstant::new())),
        query(Arc::new(CommonExpressions(CommonSubexprEliminate::new()))),
        both(Arc::new(OptimizeProjections::new())),
    ];
    rules.into_iter().flatten().collect()
}

/// `CommonSubexprEliminate`, but not where there are constant times with a zone and without: DataFusion takes them for
/// the same value, and so for one expression, when they count the same microseconds.
#[derive(Debug)]
struct CommonExpressions(CommonSubexprEliminate);

impl OptimizerRule for CommonExpressions {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let (mut zoned, mut plain) = (false, false);
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|it| {
                    if let Expr::Literal(value, _) = it
                        && let DataType::Timestamp(_, zone) = value.data_type()
                    {
                        zoned |= zone.is_some();
                        plain |= zone.is_none();
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        if zoned && plain { Ok(Transformed::no(plan)) } else { self.0.rewrite(plan, config) }
    }
}

/// `SingleDistinctToGroupBy`, but not where a sum stands beside the DISTINCT: adding up sums, it would change its type.
#[derive(Debug)]
struct SingleDistinct(SingleDistinctToGroupBy);

impl OptimizerRule for SingleDistinct {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let is_plain_sum = |it: &Expr| match it.clone().unalias() {
            Expr::AggregateFunction(call) => call.func.name() == "sum" && !call.params.distinct,
            _ => false,
        };
        match &plan {
            LogicalPlan::Aggregate(it) if it.aggr_expr.iter().any(is_plain_sum) => Ok(Transformed::no(plan)),
            _ => self.0.rewrite(plan, config),
        }
    }
}

/// `PushDownFilter`, but not below an aggregate without GROUP BY: that has a row of what is left of no rows at all.
#[derive(Debug)]
struct PushDownFilters(PushDownFilter);

impl OptimizerRule for PushDownFilters {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Filter(it) if matches!(&*it.input, LogicalPlan::Aggregate(it) if it.group_expr.is_empty()) => {
                Ok(Transformed::no(plan))
            }
            _ => self.0.rewrite(plan, config),
        }
    }
}
