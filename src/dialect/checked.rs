//! Integer `+ - *` and unary minus that fail instead of wrapping, and floats that are not divided by zero.
//!
//! DataFusion's operators wrap around, and give infinity; an analyzer rule, run after types are settled, replaces them
//! by functions that use Arrow's checked kernels. The functions are not registered, so no query can name them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::kernels::numeric::{add, div, mul, sub};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, binary_expr, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::arguments::over_arrays;
use super::rewrite::rewrite_plan;

/// The analyzer rule.
#[derive(Debug)]
pub(super) struct CheckArithmetic {
    add: Arc<ScalarUDF>,
    subtract: Arc<ScalarUDF>,
    multiply: Arc<ScalarUDF>,
    divide: Arc<ScalarUDF>,
}

impl CheckArithmetic {
    pub(super) fn new() -> CheckArithmetic {
        let function = |operation| Arc::new(ScalarUDF::new_from_impl(Checked::new(operation)));
        CheckArithmetic {
            add: function(Operation::Add),
            subtract: function(Operation::Subtract),
            multiply: function(Operation::Multiply),
            divide: function(Operation::Divide),
        }
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let call = |function: &Arc<ScalarUDF>, left, right| {
            Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), vec![left, right])))
        };
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let function = match op {
                    Operator::Plus => &self.add,
                    Operator::Minus => &self.subtract,
                    Operator::Multiply => &self.multiply,
                    Operator::Divide => &self.divide,
                    _ => return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))),
                };
                let (left_type, right_type) = (left.get_type(schema)?, right.get_type(schema)?);
                let checked =
                    if op == Operator::Divide { left_type == DataType::Float64 } else { left_type.is_integer() };
                let is_signed_zero =
                    left_type == DataType::Float64 && matches!(op, Operator::Multiply | Operator::Divide);
                if checked && left_type == right_type {
                    let result = call(function, *left, *right);
                    return Ok(if is_signed_zero { result.update_data(with_one_zero) } else { result });
                }
                if is_signed_zero && left_type == right_type {
                    return Ok(Transformed::yes(with_one_zero(binary_expr(*left, op, *right))));
                }
                Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })))
            }
            Expr::Negative(inner) => {
                let data_type = inner.get_type(schema)?;
                if data_type.is_integer() {
                    let zero = Expr::Literal(ScalarValue::new_zero(&data_type)?, None);
                    return Ok(call(&self.subtract, zero, *inner));
                }
                if data_type == DataType::Float64 {
                    return Ok(Transformed::yes(with_one_zero(Expr::Negative(inner))));
                }
                Ok(Transformed::no(Expr::Negative(inner)))
            }
            // `round(-0.4)`, and texts read as doubles.
            Expr::ScalarFunction(it) => {
                let call = Expr::ScalarFunction(it);
                let is_double = call.get_type(schema)? == DataType::Float64;
                Ok(if is_double { Transformed::yes(with_one_zero(call)) } else { Transformed::no(call) })
            }
            Expr::Literal(ScalarValue::Float64(Some(0.0)), metadata) => {
                Ok(Transformed::yes(Expr::Literal(ScalarValue::Float64(Some(0.0)), metadata)))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

/// The double `expr` with a zero that has no sign: Arrow compares and groups 0 and -0 as two values, SQL as one.
fn with_one_zero(expr: Expr) -> Expr {
    binary_expr(expr, Operator::Plus, lit(0.0))
}

impl AnalyzerRule for CheckArithmetic {
    fn name(&self) -> &str {
        "check_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_plan(plan, &|expr, schema| self.rewrite(expr, schema))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    signature: Signature,
}

impl Checked {
    fn new(operation: Operation) -> Checked {
        Checked { operation, signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "checked_add",
            Operation::Subtract => "checked_subtract",
            Operation::Multiply => "checked_multiply",
            Operation::Divide => "checked_divide",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let first = arg_types.first().cloned();
        first.ok_or_else(|| DataFusionError::Internal("checked arithmetic takes two arguments".into()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        over_arrays(args, |arrays| {
            let [left, right] = arrays else {
                return Err(DataFusionError::Internal("checked arithmetic takes two arguments".into()));
            };
            Ok(match self.operation {
                Operation::Add => add(left, right),
                Operation::Subtract => sub(left, right),
                Operation::Multiply => mul(left, right),
                Operation::Divide => {
                    let divisors = right.as_primitive::<Float64Type>();
                    // A divisor counts only where there is something to divide.
                    if (0..right.len())
                        .any(|row| left.is_valid(row) && right.is_valid(row) && divisors.value(row) == 0.0)
                    {
                        return Err(ArrowError::DivideByZero.into());
                    }
                    div(left, right)
                }
            }?)
        })
    }
}
