//! DataFusion expressions to [`Scalar`]s: what we compute ourselves becomes a row program, everything else a call.
//!
//! Integer and decimal arithmetic is always ours, since DataFusion wraps around. A call contains the largest tree of
//! functions that touches no arithmetic of ours, so that types we do not have (intervals, lists) may occur inside it.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType as Arrow, Field, Schema as ArrowSchema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, ScalarValue};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{BinaryExpr, Case, ColumnarValue, Expr, ExprSchemable, Operator, Volatility};
use datafusion::physical_expr::create_physical_expr;
use datafusion::sql::unparser::expr_to_sql;

use super::refusal::{Planned, Refusal};
use super::rewrite::Output;
use super::scalar::{Arithmetic, Call, Comparison, Scalar};
use super::types::{from_arrow, literal, require_type};
use crate::change::text::decimal;
use crate::change::{DataType, Value};
use crate::dialect;

/// Lowers expressions over one plan node's output: column `i` of `schema` is `outputs[i]`.
pub(crate) struct Lowering<'a> {
    pub(crate) schema: &'a DFSchema,
    pub(crate) outputs: &'a [Output],
    pub(crate) calls: &'a mut Vec<Call>,
}

/// The SQL text of an expression, for people.
pub(crate) fn text_of(expr: &Expr) -> String {
    let stripped = expr.clone().transform_up(|part| {
        Ok(match part {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
            Expr::Alias(alias) => Transformed::yes(*alias.expr),
            other => Transformed::no(other),
        })
    });
    let expr = stripped.map_or_else(|_| expr.clone(), |it| it.data);
    expr_to_sql(&expr).map_or_else(|_| expr.to_string(), |it| dialect::as_written(it).to_string())
}

impl Lowering<'_> {
    /// An expression as an output with its text.
    pub(crate) fn output(&mut self, expr: &Expr) -> Planned<Output> {
        let text = match expr {
            Expr::Column(column) => {
                let at = self.schema.index_of_column(column)?;
                return Ok(self.outputs[at].clone());
            }
            other => text_of(other),
        };
        Ok(Output { scalar: self.scalar(expr)?, text })
    }

    /// The parts of a condition that must all hold.
    pub(crate) fn conjuncts(&mut self, expr: &Expr) -> Planned<Vec<Scalar>> {
        Ok(match self.scalar(expr)? {
            Scalar::And(parts) => parts,
            Scalar::Literal(Value::Boolean(true), _) => Vec::new(),
            other => vec![other],
        })
    }

    /// One expression.
    pub(crate) fn scalar(&mut self, expr: &Expr) -> Planned<Scalar> {
        if !self.is_ours(expr)? {
            return self.call(expr);
        }
        Ok(match expr {
            Expr::Alias(alias) => self.scalar(&alias.expr)?,
            Expr::Column(column) => self.outputs[self.schema.index_of_column(column)?].scalar.clone(),
            Expr::Literal(value, _) => match literal(value) {
                Some((value, data_type)) => Scalar::Literal(value, data_type),
                None => return self.call(expr),
            },
            Expr::BinaryExpr(binary) => self.binary(binary)?,
            Expr::Not(inner) => Scalar::Not(Box::new(self.scalar(inner)?)),
            Expr::IsNull(inner) | Expr::IsUnknown(inner) => Scalar::IsNull(Box::new(self.scalar(inner)?)),
            Expr::IsNotNull(inner) | Expr::IsNotUnknown(inner) => {
                Scalar::Not(Box::new(Scalar::IsNull(Box::new(self.scalar(inner)?))))
            }
            Expr::IsTrue(inner) => self.is_boolean(inner, true, Comparison::NotDistinct)?,
            Expr::IsFalse(inner) => self.is_boolean(inner, false, Comparison::NotDistinct)?,
            Expr::IsNotTrue(inner) => self.is_boolean(inner, true, Comparison::Distinct)?,
            Expr::IsNotFalse(inner) => self.is_boolean(inner, false, Comparison::Distinct)?,
            Expr::Negative(inner) => {
                let inner = self.scalar(inner)?;
                let data_type = inner.data_type();
                Scalar::Negate(Box::new(inner), data_type)
            }
            Expr::Between(between) => {
                let value = self.scalar(&between.expr)?;
                let (low, high) = (self.scalar(&between.low)?, self.scalar(&between.high)?);
                let parts = vec![
                    compare(Comparison::GreaterOrEqual, value.clone(), low),
                    compare(Comparison::LessOrEqual, value, high),
                ];
                negated(Scalar::And(parts), between.negated)
            }
            Expr::InList(list) => {
                let value = self.scalar(&list.expr)?;
                let mut parts = Vec::with_capacity(list.list.len());
                for item in &list.list {
                    parts.push(compare(Comparison::Equal, value.clone(), self.scalar(item)?));
                }
                negated(Scalar::Or(parts), list.negated)
            }
            Expr::Case(case) => self.case(case, expr)?,
            Expr::Cast(cast) => {
                let target = require_type(cast.field.data_type(), &text_of(expr))?;
                convert(self.scalar(&cast.expr)?, target)
            }
            Expr::ScalarFunction(function) => self.function(function, expr)?,
            other => return self.call(other),
        })
    }

    /// Whether the operator at the top of `expr` is one of ours; its parts may still be calls.
    fn is_ours(&self, expr: &Expr) -> Planned<bool> {
        let type_of = |it: &Expr| -> Planned<Arrow> { Ok(it.get_type(self.schema)?) };
        let known = |it: &Expr| -> Planned<bool> { Ok(from_arrow(&type_of(it)?).is_some()) };
        Ok(match expr {
            Expr::Alias(alias) => self.is_ours(&alias.expr)?,
            Expr::Column(_) => true,
            Expr::Literal(value, _) => literal(value).is_some(),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let operands = [type_of(left)?, type_of(right)?];
                match op {
                    Operator::And | Operator::Or => true,
                    Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo => {
                        operands.iter().all(Arrow::is_numeric)
                    }
                    op => comparison(*op).is_some() && known(left)? && known(right)? && comparable(&operands),
                }
            }
            Expr::Not(_) | Expr::IsTrue(_) | Expr::IsFalse(_) | Expr::IsNotTrue(_) | Expr::IsNotFalse(_) => true,
            Expr::IsNull(it) | Expr::IsNotNull(it) | Expr::IsUnknown(it) | Expr::IsNotUnknown(it) => known(it)?,
            Expr::Negative(it) => type_of(it)?.is_numeric(),
            Expr::Between(it) => known(&it.expr)? && known(&it.low)? && known(&it.high)?,
            Expr::InList(it) => known(&it.expr)?,
            Expr::Case(_) => known(expr)?,
            Expr::Cast(cast) => {
                let (from, to) = (type_of(&cast.expr)?, cast.field.data_type());
                let numeric = |it: &Arrow| it.is_numeric();
                let same = from_arrow(&from).is_some() && from_arrow(&from) == from_arrow(to);
                same || (numeric(&from) && numeric(to)) || from == Arrow::Null && from_arrow(to).is_some()
            }
            Expr::ScalarFunction(function) => {
                matches!(function.name(), "coalesce" | "nvl" | "ifnull" | "nvl2" | "nullif") && known(expr)?
            }
            _ => false,
        })
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Planned<Scalar> {
        let (left, right) = (self.scalar(&binary.left)?, self.scalar(&binary.right)?);
        if let Some(comparison) = comparison(binary.op) {
            return Ok(compare(comparison, left, right));
        }
        let operator = match binary.op {
            Operator::And => return Ok(and(left, right)),
            Operator::Or => return Ok(or(left, right)),
            Operator::Plus => Arithmetic::Add,
            Operator::Minus => Arithmetic::Subtract,
            Operator::Multiply => Arithmetic::Multiply,
            Operator::Divide => Arithmetic::Divide,
            _ => Arithmetic::Modulo,
        };
        let expr = Expr::BinaryExpr(binary.clone());
        let planned = require_type(&expr.get_type(self.schema)?, &text_of(&expr))?;
        let is_decimal = |it: &Scalar| matches!(it.data_type(), DataType::Decimal { .. });
        let (left, right, data_type) = match planned {
            DataType::Decimal { .. } => {
                let exact = |it: Scalar| {
                    if is_decimal(&it) { it } else { convert(it, DataType::Decimal { precision: 20, scale: 0 }) }
                };
                (exact(left), exact(right), planned)
            }
            DataType::Float64 => (convert(left, planned), convert(right, planned), planned),
            _ => {
                let wide = left.data_type() == DataType::Int64 || right.data_type() == DataType::Int64;
                let data_type = if wide { DataType::Int64 } else { DataType::Int32 };
                (convert(left, data_type), convert(right, data_type), data_type)
            }
        };
        Ok(Scalar::Arithmetic(operator, Box::new(left), Box::new(right), data_type))
    }

    fn is_boolean(&mut self, inner: &Expr, value: bool, comparison: Comparison) -> Planned<Scalar> {
        let constant = Scalar::Literal(Value::Boolean(value), DataType::Boolean);
        Ok(Scalar::Compare(comparison, Box::new(self.scalar(inner)?), Box::new(constant)))
    }

    fn case(&mut self, case: &Case, whole: &Expr) -> Planned<Scalar> {
        let data_type = require_type(&whole.get_type(self.schema)?, &text_of(whole))?;
        let operand = case.expr.as_ref().map(|it| self.scalar(it)).transpose()?;
        let mut branches = Vec::with_capacity(case.when_then_expr.len());
        for (when, then) in &case.when_then_expr {
            let when = self.scalar(when)?;
            let condition = match &operand {
                Some(operand) => compare(Comparison::Equal, operand.clone(), when),
                None => when,
            };
            branches.push((condition, convert(self.scalar(then)?, data_type)));
        }
        let otherwise = match &case.else_expr {
            Some(expr) => Some(Box::new(convert(self.scalar(expr)?, data_type))),
            None => None,
        };
        Ok(Scalar::Case { branches, otherwise, data_type })
    }

    /// The functions that look at their arguments one by one; as calls they would compute what they never look at.
    fn function(&mut self, function: &ScalarFunction, whole: &Expr) -> Planned<Scalar> {
        let data_type = require_type(&whole.get_type(self.schema)?, &text_of(whole))?;
        let mut arguments = Vec::with_capacity(function.args.len());
        for argument in &function.args {
            arguments.push(self.scalar(argument)?);
        }
        Ok(match (function.name(), &arguments[..]) {
            ("nullif", [left, right]) => Scalar::Case {
                branches: vec![(
                    compare(Comparison::Equal, left.clone(), right.clone()),
                    Scalar::Literal(Value::Null, data_type),
                )],
                otherwise: Some(Box::new(convert(left.clone(), data_type))),
                data_type,
            },
            ("nvl2", [tested, present, absent]) => Scalar::Case {
                branches: vec![(Scalar::IsNull(Box::new(tested.clone())), convert(absent.clone(), data_type))],
                otherwise: Some(Box::new(convert(present.clone(), data_type))),
                data_type,
            },
            _ => Scalar::Coalesce(arguments.into_iter().map(|it| convert(it, data_type)).collect(), data_type),
        })
    }

    /// Anything else: DataFusion computes it from columns a0, a1, ….
    fn call(&mut self, expr: &Expr) -> Planned<Scalar> {
        let text = text_of(expr);
        let data_type = require_type(&expr.get_type(self.schema)?, &text)?;
        let mut arguments: Vec<(Scalar, Arrow)> = Vec::new();
        let mut refusal = None;
        let mut is_root = true;
        let planned = expr.clone().transform_down(|part| {
            check_function(&part).unwrap_or_else(|it| {
                refusal.get_or_insert(it);
            });
            let ours = !std::mem::take(&mut is_root)
                && !matches!(part, Expr::Literal(..))
                && match self.is_ours(&part) {
                    Ok(it) => it,
                    Err(it) => {
                        refusal.get_or_insert(it);
                        false
                    }
                };
            if refusal.is_some() {
                return Ok(Transformed::new(part, false, TreeNodeRecursion::Stop));
            }
            if !ours {
                return Ok(Transformed::no(part));
            }
            match (self.scalar(&part), part.get_type(self.schema)) {
                (Ok(scalar), Ok(arrow)) => {
                    let known = arguments.iter().position(|it| it.0 == scalar && it.1 == arrow);
                    let at = known.unwrap_or_else(|| {
                        arguments.push((scalar, arrow));
                        arguments.len() - 1
                    });
                    let column = Expr::Column(Column::new_unqualified(format!("a{at}")));
                    Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
                }
                (scalar, _) => {
                    refusal.get_or_insert(scalar.err().unwrap_or_else(|| Refusal::new(format!("{text} has no type"))));
                    Ok(Transformed::new(part, false, TreeNodeRecursion::Stop))
                }
            }
        })?;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let (arguments, argument_types): (Vec<_>, Vec<_>) = arguments.into_iter().unzip();
        self.finish_call(&planned.data, text, arguments, argument_types, data_type)
    }

    fn finish_call(
        &mut self,
        expr: &Expr,
        text: String,
        arguments: Vec<Scalar>,
        argument_types: Vec<Arrow>,
        data_type: DataType,
    ) -> Planned<Scalar> {
        let fields = argument_types.iter().enumerate().map(|(at, it)| Field::new(format!("a{at}"), it.clone(), true));
        let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
        let df_schema = DFSchema::try_from(schema.as_ref().clone())?;
        let context = PhysicalPlanningContext::default();
        let physical = create_physical_expr(expr, &df_schema, &ExecutionProps::new(), &context)?;
        if arguments.is_empty() {
            // It has one value for all time, so it is computed now; an error is the value of every row.
            let options = RecordBatchOptions::new().with_row_count(Some(1));
            let batch = RecordBatch::try_new_with_options(schema, Vec::new(), &options);
            let value = batch.map_err(Into::into).and_then(|batch| physical.evaluate(&batch));
            let value = value.and_then(|it| match it {
                ColumnarValue::Scalar(it) => Ok(it),
                ColumnarValue::Array(it) => ScalarValue::try_from_array(&it, 0),
            });
            let value = match value.and_then(|it| it.cast_to(&data_type.to_arrow())) {
                Ok(it) => literal(&it).map_or(Value::Null, |(value, _)| value),
                Err(error) => Value::Error(format!("{text}: {}", cell_error(&error))),
            };
            return Ok(Scalar::Literal(value, data_type));
        }
        let known = self
            .calls
            .iter()
            .position(|it| *it.expr == *physical && it.arguments == arguments && it.argument_types == argument_types);
        let number = known.unwrap_or_else(|| {
            self.calls.push(Call { text, arguments, argument_types, expr: physical, data_type });
            self.calls.len() - 1
        });
        Ok(Scalar::Call(number, data_type))
    }
}

/// Why a cell could not be computed.
pub(crate) fn cell_error(error: &DataFusionError) -> String {
    let told = dialect::tell(error);
    // What is not recognised tells more in its own words.
    if told.reference.is_some() { error.strip_backtrace() } else { told.message }
}

/// Refuses what has no lasting value, or no value at all here.
fn check_function(expr: &Expr) -> Planned<()> {
    match expr {
        Expr::ScalarFunction(function) if matches!(function.name(), "struct" | "named_struct") => {
            let refusal = Refusal::new("rows as values are not supported").at_words("(");
            Err(refusal.hint("compare column by column: a = 1 AND b = 2"))
        }
        Expr::SimilarTo(_) => {
            let refusal = Refusal::new("SIMILAR TO is not supported").at_words("similar to");
            Err(refusal.hint("use LIKE, or ~ with a regular expression"))
        }
        Expr::ScalarFunction(function) => match function.func.signature().volatility {
            Volatility::Immutable => Ok(()),
            Volatility::Stable => {
                let message = format!(
                    "{}() changes with time, so a view that uses it would change without any event",
                    function.name()
                );
                Err(Refusal::new(message).at_words(function.name()).hint("compare with the time when the view is read"))
            }
            Volatility::Volatile => {
                let message =
                    format!("{}() has a new value at every call, so there is no right answer to keep", function.name());
                Err(Refusal::new(message).at_words(function.name()).hint("use columns of the tables only"))
            }
        },
        Expr::Exists(_) => {
            let refusal = Refusal::new("EXISTS (SELECT …) cannot be kept up to date yet").at_words("exists");
            Err(refusal.hint("JOIN with (SELECT DISTINCT …), or LEFT JOIN it and test IS NULL"))
        }
        Expr::InSubquery(_) => {
            let refusal = Refusal::new("IN (SELECT …) cannot be kept up to date yet").at_words("in (select");
            Err(refusal.hint("JOIN with (SELECT DISTINCT …), or LEFT JOIN it and test IS NULL"))
        }
        Expr::SetComparison(_) | Expr::ScalarSubquery(_) => {
            Err(Refusal::new("a subquery at this place cannot be kept").hint("write it as a JOIN"))
        }
        Expr::OuterReferenceColumn(_, column) => {
            Err(Refusal::new(format!("this use of the outer column {column} cannot be kept"))
                .hint("write it as a JOIN"))
        }
        Expr::Placeholder(it) => Err(Refusal::new("a view has no parameters").at_words(it.id.as_str())),
        Expr::Unnest(_) => Err(Refusal::new("unnest() is not supported").at_words("unnest")),
        _ => Ok(()),
    }
}

fn comparison(operator: Operator) -> Option<Comparison> {
    Some(match operator {
        Operator::Eq => Comparison::Equal,
        Operator::NotEq => Comparison::NotEqual,
        Operator::Lt => Comparison::Less,
        Operator::LtEq => Comparison::LessOrEqual,
        Operator::Gt => Comparison::Greater,
        Operator::GtEq => Comparison::GreaterOrEqual,
        Operator::IsDistinctFrom => Comparison::Distinct,
        Operator::IsNotDistinctFrom => Comparison::NotDistinct,
        _ => return None,
    })
}

/// Whether both sides are of one kind, so that at most numbers must be converted.
fn comparable(operands: &[Arrow; 2]) -> bool {
    let [left, right] = operands;
    from_arrow(left) == from_arrow(right) || left.is_numeric() && right.is_numeric()
}

/// A comparison of two values, brought to one type.
pub(crate) fn compare(comparison: Comparison, left: Scalar, right: Scalar) -> Scalar {
    let data_type = common_type(left.data_type(), right.data_type());
    Scalar::Compare(comparison, Box::new(convert(left, data_type)), Box::new(convert(right, data_type)))
}

/// The type in which values of both types can be compared without loss where there is one.
fn common_type(left: DataType, right: DataType) -> DataType {
    use DataType::{Decimal, Float64, Int32, Int64};
    let digits = |it: DataType| match it {
        Decimal { precision, scale } => (precision - scale, scale),
        Int32 => (10, 0),
        _ => (19, 0),
    };
    match (left, right) {
        (left, right) if left == right => left,
        (Float64, _) | (_, Float64) => Float64,
        (Decimal { .. }, _) | (_, Decimal { .. }) => {
            let ((left_whole, left_scale), (right_whole, right_scale)) = (digits(left), digits(right));
            let scale = left_scale.max(right_scale);
            Decimal { precision: (left_whole.max(right_whole) + scale).min(38), scale }
        }
        (Int32, Int64) | (Int64, Int32) => Int64,
        (left, _) => left,
    }
}

/// `scalar` as `data_type`; constants are converted at once where that is exact.
pub(crate) fn convert(scalar: Scalar, data_type: DataType) -> Scalar {
    let from = scalar.data_type();
    if from == data_type {
        return scalar;
    }
    if let Scalar::Literal(value, _) = &scalar
        && let Some(value) = convert_constant(value, from, data_type)
    {
        return Scalar::Literal(value, data_type);
    }
    Scalar::Cast(Box::new(scalar), data_type)
}

fn convert_constant(value: &Value, from: DataType, to: DataType) -> Option<Value> {
    match (value, to) {
        (Value::Null, _) => Some(Value::Null),
        (Value::Int(it), DataType::Int32) => i32::try_from(*it).ok().map(|it| Value::Int(i64::from(it))),
        (Value::Int(it), DataType::Int64) if from == DataType::Int32 => Some(Value::Int(*it)),
        (Value::Int(it), DataType::Float64) => Some(Value::Float(*it as f64)),
        (Value::Int(it), DataType::Decimal { precision, scale }) => {
            decimal::from_integer(*it, precision, scale).ok().map(Value::Decimal)
        }
        (Value::Decimal(it), DataType::Decimal { precision, scale }) => match from {
            DataType::Decimal { scale: old, .. } if old <= scale => {
                decimal::rescale(*it, i32::from(old), precision, scale).ok().map(Value::Decimal)
            }
            _ => None,
        },
        _ => None,
    }
}

fn negated(scalar: Scalar, negated: bool) -> Scalar {
    if negated { Scalar::Not(Box::new(scalar)) } else { scalar }
}

fn and(left: Scalar, right: Scalar) -> Scalar {
    let parts = |it: Scalar| match it {
        Scalar::And(parts) => parts,
        other => vec![other],
    };
    Scalar::And([parts(left), parts(right)].concat())
}

fn or(left: Scalar, right: Scalar) -> Scalar {
    let parts = |it: Scalar| match it {
        Scalar::Or(parts) => parts,
        other => vec![other],
    };
    Scalar::Or([parts(left), parts(right)].concat())
}
