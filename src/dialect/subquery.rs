//! Subqueries in forms that DataFusion answers wrongly, put into forms that it answers rightly.
//!
//! `EXISTS (SELECT count(*) …)` is true whatever is counted, since an aggregate without GROUP BY has one row; joined with
//! what it is correlated by, as DataFusion does it, it would have none where nothing is counted. So wherever a subquery has
//! one row, or one under a condition, it is asked for its value instead of for its rows.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::functions_aggregate::count::count_all;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Expr, FetchType, Limit, LogicalPlan, LogicalPlanBuilder, SkipType, Subquery, lit, not, when,
};

/// A copy of `plan`, bound and not yet optimised, in which subqueries are asked for in a way that is answered rightly.
pub(crate) fn settle_subqueries(plan: LogicalPlan) -> Result<LogicalPlan> {
    let settled = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let settled = expr.transform_up(|it| match it {
                Expr::Exists(it) => exists(it),
                Expr::InSubquery(it) => membership(it),
                other => Ok(Transformed::no(other)),
            })?;
            Ok(settled.update_data(|it| name.restore(it)))
        })
    });
    Ok(settled?.data)
}

/// How many rows a query has.
enum Rows {
    None,
    One,
    /// One where the only row of this query is true, else none.
    OneIf(LogicalPlan),
    /// As many as this query has beyond the first so many.
    Beyond(usize, LogicalPlan),
    Any,
}

fn rows(plan: &LogicalPlan) -> Result<Rows> {
    Ok(match plan {
        LogicalPlan::Projection(it) => rows(&it.input)?,
        LogicalPlan::SubqueryAlias(it) => rows(&it.input)?,
        LogicalPlan::Window(it) => rows(&it.input)?,
        LogicalPlan::Sort(it) if it.fetch.is_none() => rows(&it.input)?,
        LogicalPlan::Limit(it) => limited(it)?,
        LogicalPlan::Aggregate(it) if it.group_expr.is_empty() => Rows::One,
        LogicalPlan::EmptyRelation(it) if it.produce_one_row => Rows::One,
        LogicalPlan::EmptyRelation(_) => Rows::None,
        LogicalPlan::Filter(it) => match &*it.input {
            LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
                let condition = LogicalPlanBuilder::from(it.input.as_ref().clone()).project([it.predicate.clone()])?;
                Rows::OneIf(condition.build()?)
            }
            _ => Rows::Any,
        },
        _ => Rows::Any,
    })
}

fn limited(limit: &Limit) -> Result<Rows> {
    let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (limit.get_skip_type()?, limit.get_fetch_type()?) else {
        return Ok(Rows::Any);
    };
    if fetch == Some(0) {
        return Ok(Rows::None);
    }
    Ok(match rows(&limit.input)? {
        Rows::Any if skip > 0 => Rows::Beyond(skip, limit.input.as_ref().clone()),
        Rows::Beyond(..) => Rows::Any,
        Rows::One | Rows::OneIf(_) if skip > 0 => Rows::None,
        other => other,
    })
}

fn exists(it: Exists) -> Result<Transformed<Expr>> {
    let Exists { subquery, negated } = it;
    let present = match rows(&subquery.subquery)? {
        Rows::None => lit(false),
        Rows::One => lit(true),
        Rows::OneIf(condition) => value_of(condition).is_true(),
        Rows::Beyond(skip, plan) => {
            let counted = LogicalPlanBuilder::from(plan).aggregate(Vec::<Expr>::new(), [count_all()])?.build()?;
            value_of(counted).gt(lit(i64::try_from(skip).unwrap_or(i64::MAX)))
        }
        Rows::Any => return Ok(Transformed::no(Expr::Exists(Exists { subquery, negated }))),
    };
    Ok(Transformed::yes(if negated { not(present) } else { present }))
}

fn membership(it: InSubquery) -> Result<Transformed<Expr>> {
    let plan = it.subquery.subquery.as_ref();
    let equal = |plan: &LogicalPlan| (*it.expr).clone().eq(value_of(plan.clone()));
    let present = match rows(plan)? {
        Rows::None => lit(false),
        // `SELECT x` without FROM has a value, but none that may depend on the query around it.
        Rows::One if !matches!(plan, LogicalPlan::Projection(it) if matches!(&*it.input, LogicalPlan::EmptyRelation(_))) => {
            equal(plan)
        }
        Rows::OneIf(condition) => when(value_of(condition).is_true(), equal(plan)).otherwise(lit(false))?,
        _ => return Ok(Transformed::no(Expr::InSubquery(it))),
    };
    Ok(Transformed::yes(if it.negated { not(present) } else { present }))
}

/// The value of a query of one row and one column.
fn value_of(plan: LogicalPlan) -> Expr {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Expr::ScalarSubquery(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Default::default() })
}
