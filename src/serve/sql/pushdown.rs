//! SQL predicates as conditions on single columns, exactly or not at all.
//!
//! Who gives filters away gets each of them back in one of two forms: as conditions, or as it was. So whatever is asked
//! of a scan, and whatever became of a filter since the scan said it could take it, none is lost.

use datafusion::arrow::datatypes::DataType as Arrow;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator as SqlOperator};

use crate::change::{DataType, Value};
use crate::serve::condition::{Condition, Operator, Test};
use crate::serve::served::Served;

/// Filters, divided: a row meets all of them when it meets the conditions and the rest.
pub(super) struct Division {
    /// What a scan can check by itself.
    pub(super) conditions: Vec<Condition>,
    /// What must be computed; `None` when nothing is left.
    pub(super) rest: Option<Expr>,
}

/// Divides `filters`, all of which must hold.
pub(super) fn divide<'a>(served: &Served, filters: impl IntoIterator<Item = &'a Expr>) -> Division {
    let (mut taken, mut rest) = (Vec::new(), Vec::new());
    for filter in filters {
        match conditions(served, filter) {
            Some(conditions) => taken.extend(conditions),
            None => rest.push(filter.clone()),
        }
    }
    Division { conditions: taken, rest: conjunction(rest) }
}

/// The conditions that together are `expr`; `None` when it is not made of tests of single columns with constants.
fn conditions(served: &Served, expr: &Expr) -> Option<Vec<Condition>> {
    let is = |inner: &Expr, value| Some((boolean(served, inner)?, Test::Is(value)));
    let not = |test| Test::Not(Box::new(test));
    let (column, test) = match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: SqlOperator::And, right }) => {
            let mut all = conditions(served, left)?;
            all.extend(conditions(served, right)?);
            return Some(all);
        }
        Expr::BinaryExpr(BinaryExpr { op: SqlOperator::Or, .. }) | Expr::InList(InList { negated: false, .. }) => {
            let (column, values) = listed(served, expr)?;
            (column, Test::In(values))
        }
        Expr::BinaryExpr(it) => comparison(served, it)?,
        Expr::Between(it) if !it.negated => {
            let (column, data_type) = column(served, &it.expr)?;
            let bound = |operator, value| {
                Some(Condition { column, test: Test::Compare(operator, constant(value, data_type)?) })
            };
            return Some(vec![bound(Operator::GreaterOrEqual, &it.low)?, bound(Operator::LessOrEqual, &it.high)?]);
        }
        Expr::InList(it) => {
            let (column, values) = list(served, it)?;
            (column, not(Test::In(values)))
        }
        Expr::IsNull(inner) => (column(served, inner)?.0, Test::IsNull),
        Expr::IsNotNull(inner) => (column(served, inner)?.0, not(Test::IsNull)),
        Expr::Column(_) => is(expr, true)?,
        Expr::Not(inner) => is(inner, false)?,
        Expr::IsTrue(inner) => is(inner, true)?,
        Expr::IsFalse(inner) => is(inner, false)?,
        Expr::IsNotTrue(inner) => is(inner, true).map(|(column, test)| (column, not(test)))?,
        Expr::IsNotFalse(inner) => is(inner, false).map(|(column, test)| (column, not(test)))?,
        _ => return None,
    };
    Some(vec![Condition { column, test }])
}

/// The values `expr` allows for one column, when it is `=` or IN or several of them under OR.
fn listed(served: &Served, expr: &Expr) -> Option<(usize, Vec<Value>)> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: SqlOperator::Or, right }) => {
            let (column, mut values) = listed(served, left)?;
            let (other, more) = listed(served, right)?;
            values.extend(more);
            (column == other).then_some((column, values))
        }
        Expr::BinaryExpr(it) => match comparison(served, it)? {
            (column, Test::Compare(Operator::Equal, value)) => Some((column, vec![value])),
            _ => None,
        },
        Expr::InList(it) if !it.negated => list(served, it),
        _ => None,
    }
}

fn list(served: &Served, it: &InList) -> Option<(usize, Vec<Value>)> {
    let (column, data_type) = column(served, &it.expr)?;
    let values = it.list.iter().map(|it| constant(it, data_type)).collect::<Option<_>>()?;
    Some((column, values))
}

/// A comparison of a column with a constant.
fn comparison(served: &Served, it: &BinaryExpr) -> Option<(usize, Test)> {
    let BinaryExpr { left, op, right } = it;
    let ((column, data_type), operator, value) = match (column(served, left), column(served, right)) {
        (Some(column), None) => (column, operator(*op)?, right),
        (None, Some(column)) => (column, operator(op.swap()?)?, left),
        _ => return None,
    };
    Some((column, Test::Compare(operator, constant(value, data_type)?)))
}

/// A column, also where it was only cast to compare it with a constant of a wider type, and its own type.
fn column(served: &Served, expr: &Expr) -> Option<(usize, DataType)> {
    let schema = &served.relation.schema;
    match expr {
        Expr::Column(column) => schema.index_of(&column.name).map(|it| (it, schema.data_type(it))),
        Expr::Cast(cast) => match &*cast.expr {
            Expr::Column(_) => column(served, &cast.expr).filter(|(_, it)| is_wider(cast.field.data_type(), *it)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether every value of `narrow` is one of `wide`, and they compare there as they do here.
fn is_wider(wide: &Arrow, narrow: DataType) -> bool {
    let whole_digits = |precision: u8, scale: i8| i16::from(precision) - i16::from(scale);
    match (narrow, wide) {
        (DataType::Int32, Arrow::Int64) | (DataType::Text, Arrow::LargeUtf8 | Arrow::Utf8View) => true,
        (DataType::Int32, Arrow::Decimal128(precision, scale)) => whole_digits(*precision, *scale) >= 10,
        (DataType::Int64, Arrow::Decimal128(precision, scale)) => whole_digits(*precision, *scale) >= 19,
        (DataType::Decimal { .. }, Arrow::Decimal128(precision, scale)) => match narrow.to_arrow() {
            Arrow::Decimal128(own_precision, own_scale) => {
                *scale >= own_scale && whole_digits(*precision, *scale) >= whole_digits(own_precision, own_scale)
            }
            _ => false,
        },
        _ => narrow.to_arrow() == *wide,
    }
}

fn boolean(served: &Served, expr: &Expr) -> Option<usize> {
    column(served, expr).filter(|(_, it)| *it == DataType::Boolean).map(|(column, _)| column)
}

fn operator(op: SqlOperator) -> Option<Operator> {
    Some(match op {
        SqlOperator::Eq => Operator::Equal,
        SqlOperator::NotEq => Operator::NotEqual,
        SqlOperator::Lt => Operator::Less,
        SqlOperator::LtEq => Operator::LessOrEqual,
        SqlOperator::Gt => Operator::Greater,
        SqlOperator::GtEq => Operator::GreaterOrEqual,
        _ => return None,
    })
}

/// The constant `expr` as a value of a column of `data_type`; only when it is one, so that no conversion of ours can
/// differ from DataFusion's.
fn constant(expr: &Expr, data_type: DataType) -> Option<Value> {
    let Expr::Literal(written, _) = expr else { return None };
    let scalar = written.cast_to(&data_type.to_arrow()).ok()?;
    if scalar.cast_to(&written.data_type()).ok()? != *written {
        return None;
    }
    Some(match scalar {
        _ if scalar.is_null() => Value::Null,
        ScalarValue::Boolean(Some(it)) => Value::Boolean(it),
        ScalarValue::Int32(Some(it)) | ScalarValue::Date32(Some(it)) => Value::Int(i64::from(it)),
        ScalarValue::Int64(Some(it)) | ScalarValue::TimestampMicrosecond(Some(it), _) => Value::Int(it),
        ScalarValue::Float64(Some(it)) => Value::Float(it),
        ScalarValue::Decimal128(Some(it), ..) => Value::Decimal(it),
        ScalarValue::Utf8(Some(it)) => Value::Text(it),
        ScalarValue::Binary(Some(it)) => Value::Bytes(it),
        _ => return None,
    })
}
