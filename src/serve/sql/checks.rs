//! Checkpoints in expressions, so that no work between two of them is long.
//!
//! An operator hands on a batch of at most some thousand rows, and a checkpoint stands before each (`operators`). What
//! computes more than that for one batch has its own: a join with a condition (it looks at all pairs before it hands on
//! those that meet it), functions and patterns (a batch may be long texts), an aggregate over the frame of each row of a
//! window. Those are put into the optimised logical plan, where nothing that optimises sees them any more. What would be
//! long for a single row is refused there: patterns that are made by the row, or large ones, and long arrays that are
//! compared with each other.

use std::sync::Arc;

use axum::http::StatusCode;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{ScalarFunction, WindowFunctionDefinition};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, BinaryExpr, ColumnarValue, Expr, LogicalPlan, Operator,
    ReturnFieldArgs, ReversedUDAF, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, SetMonotonicity, Signature,
    Volatility,
};

use super::watch::checkpoint;
use super::{patterns, width};
use crate::dialect::pattern_of;
use crate::serve::problem::Problem;

/// `plan`, which nothing optimises any more, with checkpoints in its expressions.
pub(super) fn in_expressions(plan: LogicalPlan) -> Result<LogicalPlan> {
    let pass = Pass::function(usize::MAX);
    let plan = plan.transform_up_with_subqueries(|node| {
        // The name of an aggregate has its FILTER in it.
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let checked = expr.transform_up(|it| check_in(it, &pass))?;
            Ok(if checked.transformed { checked.update_data(|it| name.restore(it)) } else { checked })
        })?;
        node.transform_data(|node| {
            Ok(match node {
                LogicalPlan::Join(mut join) if join.filter.is_some() => {
                    join.filter = join.filter.map(|it| passed(it, &pass));
                    Transformed::yes(LogicalPlan::Join(join))
                }
                other => Transformed::no(other),
            })
        })
    });
    Ok(plan?.data)
}

fn passed(expr: Expr, pass: &Arc<ScalarUDF>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(pass), vec![expr]))
}

/// `expr` with a checkpoint before it if it may take long.
fn check_in(expr: Expr, pass: &Arc<ScalarUDF>) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::ScalarFunction(mut call) => {
            if let Some(pattern) = pattern_of(&call) {
                patterns::check(pattern)?;
            }
            if QUADRATIC.contains(&call.name()) {
                let short = Pass::function(MAX_ITEMS);
                call.args = call.args.into_iter().map(|it| passed(it, &short)).collect();
                return Ok(Transformed::yes(Expr::ScalarFunction(call)));
            }
            // What is given as a constant may have to be one.
            match call.args.iter_mut().find(|it| !matches!(it, Expr::Literal(..))) {
                Some(first) => {
                    *first = passed(std::mem::take(first), pass);
                    Transformed::yes(Expr::ScalarFunction(call))
                }
                None => Transformed::no(Expr::ScalarFunction(call)),
            }
        }
        Expr::Like(mut like) => {
            like.expr = Box::new(passed(*like.expr, pass));
            Transformed::yes(Expr::Like(like))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_pattern(op) => {
            let left = Box::new(passed(*left, pass));
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::WindowFunction(mut call) => match call.fun {
            WindowFunctionDefinition::AggregateUDF(inner) => {
                let checked = AggregateUDF::new_from_impl(CheckedAggregate { inner });
                call.fun = WindowFunctionDefinition::AggregateUDF(Arc::new(checked));
                Transformed::yes(Expr::WindowFunction(call))
            }
            WindowFunctionDefinition::WindowUDF(_) => Transformed::no(Expr::WindowFunction(call)),
        },
        other => Transformed::no(other),
    })
}

/// Functions that look at all pairs of the elements of two arrays.
const QUADRATIC: [&str; 2] = ["array_has_all", "array_has_any"];
/// How many elements an array may have for those.
const MAX_ITEMS: usize = 1000;

fn is_pattern(op: Operator) -> bool {
    matches!(op, Operator::LikeMatch | Operator::ILikeMatch | Operator::NotLikeMatch | Operator::NotILikeMatch)
}

/// A function whose value is its argument, and which has the name of its argument.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Pass {
    signature: Signature,
    /// How many elements an array may have.
    max_items: usize,
}

impl Pass {
    fn function(max_items: usize) -> Arc<ScalarUDF> {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Pass { signature, max_items }))
    }

    fn check_items(&self, value: &ColumnarValue) -> Result<()> {
        let longest = match value {
            ColumnarValue::Array(array) => width::most_items(array),
            ColumnarValue::Scalar(value) => width::most_items(&value.to_array()?),
        };
        if longest <= self.max_items {
            return Ok(());
        }
        let detail = format!("arrays of more than {} elements cannot be compared with each other", self.max_items);
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "54000", detail)
            .hint("unnest the array and join, or declare a view that does");
        Err(DataFusionError::External(Box::new(problem)))
    }
}

impl ScalarUDFImpl for Pass {
    fn name(&self) -> &str {
        "checkpoint"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args[0].schema_name().to_string())
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args[0].to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::clone(&args.arg_fields[0]))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        checkpoint()?;
        let value = args.args.swap_remove(0);
        if self.max_items < usize::MAX {
            self.check_items(&value)?;
        }
        Ok(value)
    }
}

/// An aggregate with a checkpoint before each of its values, of which a window asks for one a row.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedAggregate {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for CheckedAggregate {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(arg_fields)
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(CheckedAccumulator(self.inner.accumulator(args)?)))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(CheckedAccumulator(self.inner.create_sliding_accumulator(args)?)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        beneficial_ordering: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = self.inner.as_ref().clone().with_beneficial_ordering(beneficial_ordering)?;
        Ok(inner.map(|it| Arc::new(CheckedAggregate { inner: Arc::new(it) }) as _))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Reversed(inner) => {
                ReversedUDAF::Reversed(Arc::new(AggregateUDF::new_from_impl(CheckedAggregate { inner })))
            }
            other => other,
        }
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner.supports_within_group_clause()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }
}

#[derive(Debug)]
struct CheckedAccumulator(Box<dyn Accumulator>);

impl Accumulator for CheckedAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        checkpoint()?;
        self.0.evaluate()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }
}
