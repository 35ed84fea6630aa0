//! Subqueries in forms that DataFusion answers wrongly, put into forms that it answers rightly.
//!
//! `EXISTS (SELECT count(*) …)` is true whatever is counted, since an aggregate without GROUP BY has one row; joined with
//! what it is correlated by, as DataFusion does it, it would have none where nothing is counted. So wherever a subquery has
//! one row, or one under a condition, it is asked for its value instead of for its rows. `IN (SELECT …)` becomes EXISTS,
//! which joins without NULLs, and beside it, where they matter, the questions after them.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::count::count_all;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Distinct, Expr, ExprSchemable, FetchType, Limit, LogicalPlan, LogicalPlanBuilder,
    Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, SkipType, Subquery, Volatility, binary_expr,
    lit, not, when,
};

use super::optimizer::Reader;

/// A copy of `plan`, bound and not yet optimised, in which subqueries are asked for in a way that is answered rightly.
pub(crate) fn settle_subqueries(plan: LogicalPlan, reader: Reader) -> Result<LogicalPlan> {
    let settled = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        let is_filter = matches!(node, LogicalPlan::Filter(_));
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            // Views have no joins for EXISTS yet, and are told so in the words that stand in them.
            let rewrites = reader == Reader::Query;
            let rows = if is_filter && rewrites { truth(expr, &schema)? } else { Transformed::no(expr) };
            let settled = rows.transform_data(|expr| {
                expr.transform_up(|it| match it {
                    Expr::Exists(it) => exists(it),
                    Expr::InSubquery(it) => membership(it, &schema, reader),
                    Expr::ScalarSubquery(it) if reader == Reader::Query => scalar(it),
                    other => Ok(Transformed::no(other)),
                })
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

/// A condition of which only matters where it is true: IN needs no NULL there, and NOT IN asks where it is. What compares
/// a column of the query around it with itself would be dropped for always being true.
fn truth(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, right) = (truth(*left, schema)?, truth(*right, schema)?);
            let changed = left.transformed || right.transformed;
            Ok(Transformed::new_transformed(binary_expr(left.data, op, right.data), changed))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) if left == right && left.contains_outer() => {
            Ok(Transformed::yes(left.is_not_null()))
        }
        Expr::Not(inner) => match *inner {
            Expr::InSubquery(it) => truth(Expr::InSubquery(InSubquery { negated: !it.negated, ..it }), schema),
            other => Ok(Transformed::no(not(other))),
        },
        Expr::InSubquery(it) => Ok(match Membership::of(&it, schema)? {
            Some(parts) if !it.negated => Transformed::yes(parts.found),
            Some(Membership { found, unknown: Some(unknown) }) => Transformed::yes(not(found).and(not(unknown))),
            Some(Membership { found, unknown: None }) => Transformed::yes(not(found)),
            None => Transformed::no(Expr::InSubquery(it)),
        }),
        other => Ok(Transformed::no(other)),
    }
}

fn membership(it: InSubquery, schema: &DFSchema, reader: Reader) -> Result<Transformed<Expr>> {
    let plan = it.subquery.subquery.as_ref();
    let equal = |plan: &LogicalPlan| (*it.expr).clone().eq(value_of(plan.clone()));
    let present = match rows(plan)? {
        Rows::None => lit(false),
        Rows::One if !is_constant(plan) => equal(plan),
        Rows::OneIf(condition) => when(value_of(condition).is_true(), equal(plan)).otherwise(lit(false))?,
        _ if reader == Reader::View => return Ok(Transformed::no(Expr::InSubquery(it))),
        _ => match Membership::of(&it, schema)? {
            Some(Membership { found, unknown: None }) => found,
            Some(Membership { found, unknown: Some(unknown) }) => {
                let null = Expr::Literal(ScalarValue::Boolean(None), None);
                when(found, lit(true)).when(unknown, null).otherwise(lit(false))?
            }
            None => return Ok(Transformed::no(Expr::InSubquery(it))),
        },
    };
    Ok(Transformed::yes(if it.negated { not(present) } else { present }))
}

/// `SELECT x` without FROM has a value, but none that may depend on the query around it.
fn is_constant(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Projection(it) if matches!(&*it.input, LogicalPlan::EmptyRelation(_)))
}

/// `x IN (query)` in parts that have no NULL.
struct Membership {
    /// Some row of the query equals `x`.
    found: Expr,
    /// If none does, whether some may: the query has a NULL, or `x` is NULL and there are rows.
    unknown: Option<Expr>,
}

impl Membership {
    /// The parts of `it`; `None` where DataFusion has no way to ask for them.
    fn of(it: &InSubquery, schema: &DFSchema) -> Result<Option<Membership>> {
        let plan = it.subquery.subquery.as_ref();
        if it.expr.contains_outer() || has_subquery(&it.expr)? || matches!(rows(plan)?, Rows::One | Rows::OneIf(_)) {
            return Ok(None);
        }
        let subject = it.expr.as_ref().clone().transform_up(|part| match part {
            Expr::Column(column) => {
                let (_, field) = schema.qualified_field_from_column(&column)?;
                Ok(Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(field), column)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        let Some((rows, listed)) = listing(plan)? else { return Ok(None) };
        let present = |condition: Option<Expr>| -> Result<Expr> {
            let rows = LogicalPlanBuilder::from(rows.clone());
            let rows = if let Some(condition) = condition { rows.filter(condition)? } else { rows };
            let plan = rows.build()?;
            let outer_ref_columns = plan.all_out_ref_exprs();
            let subquery = Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Default::default() };
            Ok(Expr::Exists(Exists { subquery, negated: false }))
        };
        let equal = truth(listed.clone().eq(subject.data), rows.schema())?;
        let found = present(Some(equal.data))?;
        let mut unknown = None;
        if listed.nullable(rows.schema())? {
            unknown = Some(present(Some(listed.is_null()))?);
        }
        if it.expr.nullable(schema)? {
            let without = it.expr.as_ref().clone().is_null().and(present(None)?);
            unknown = Some(unknown.map_or(without.clone(), |it| it.or(without)));
        }
        // Each part contains the query: queries inside of it would multiply with every level.
        let mut nested = false;
        plan.apply(|node| {
            node.apply_expressions(|expr| {
                nested |= has_subquery(expr)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok((unknown.is_none() || !nested).then_some(Membership { found, unknown }))
    }
}

/// The rows of a query of one column, and the expression over them that is the column; `None` where DataFusion could not
/// join with it. How often a row is there and in which order does not matter.
fn listing(plan: &LogicalPlan) -> Result<Option<(LogicalPlan, Expr)>> {
    Ok(match plan {
        LogicalPlan::Sort(it) if it.fetch.is_none() => listing(&it.input)?,
        LogicalPlan::Distinct(Distinct::All(input)) => listing(input)?,
        LogicalPlan::Projection(it) => match &it.expr[..] {
            [column] => Some((it.input.as_ref().clone(), column.clone().unalias())),
            _ => None,
        },
        other if other.all_out_ref_exprs().is_empty() => {
            // An alias keeps the column apart from those below that have its name.
            let rows = LogicalPlanBuilder::from(other.clone()).alias("listed")?.build()?;
            let column = Expr::Column(rows.schema().columns().swap_remove(0));
            Some((rows, column))
        }
        _ => None,
    })
}

fn has_subquery(expr: &Expr) -> Result<bool> {
    expr.exists(|it| {
        Ok(matches!(it, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_)))
    })
}

/// A query as a value is NULL when it has no row, whatever its column says of NULLs.
fn scalar(it: Subquery) -> Result<Transformed<Expr>> {
    if !it.outer_ref_columns.is_empty() || matches!(rows(&it.subquery)?, Rows::One) {
        return Ok(Transformed::no(Expr::ScalarSubquery(it)));
    }
    let column = it.subquery.schema().columns().swap_remove(0);
    let value = ScalarUDF::new_from_impl(Nullable::new()).call(vec![Expr::Column(column)]);
    let plan = LogicalPlanBuilder::from(it.subquery.as_ref().clone()).project([value])?.build()?;
    Ok(Transformed::yes(value_of(plan)))
}

/// The name of a function that is its argument, and says that it may be NULL.
pub(crate) const NULLABLE: &str = "nullable";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Nullable {
    signature: Signature,
}

impl Nullable {
    fn new() -> Nullable {
        // It is not computed beforehand, so that it stays.
        Nullable { signature: Signature::any(1, Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Nullable {
    fn name(&self) -> &str {
        NULLABLE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let first = arg_types.first().cloned();
        first.ok_or_else(|| DataFusionError::Internal(format!("{NULLABLE} takes an argument")))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args.pop().ok_or_else(|| DataFusionError::Internal(format!("{NULLABLE} takes an argument")))
    }
}

/// The value of a query of one row and one column.
fn value_of(plan: LogicalPlan) -> Expr {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Expr::ScalarSubquery(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Default::default() })
}
