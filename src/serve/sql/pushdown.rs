//! SQL predicates as conditions on single columns, exactly or not at all.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator as SqlOperator};

use crate::change::{DataType, Value};
use crate::serve::condition::{Condition, Operator, Test};
use crate::serve::served::Served;

/// The conditions that together are `expr`; `None` when it is not made of tests of single columns with constants.
pub(super) fn conditions(served: &Served, expr: &Expr) -> Option<Vec<Condition>> {
    let one = |column, test| Some(vec![Condition { column, test }]);
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: SqlOperator::And, right }) => {
            let mut all = conditions(served, left)?;
            all.extend(conditions(served, right)?);
            Some(all)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: SqlOperator::Or, right }) => {
            let (column, mut values) = listed(served, left)?;
            let (other, more) = listed(served, right)?;
            values.extend(more);
            if column == other { one(column, Test::In(values)) } else { None }
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (column, operator, value) = match (column(served, left), column(served, right)) {
                (Some(column), None) => (column, operator(*op)?, right),
                (None, Some(column)) => (column, operator(op.swap()?)?, left),
                _ => return None,
            };
            one(column, Test::Compare(operator, constant(value, served.relation.schema.data_type(column))?))
        }
        Expr::InList(list) => {
            let column = column(served, &list.expr)?;
            let data_type = served.relation.schema.data_type(column);
            let values = list.list.iter().map(|it| constant(it, data_type)).collect::<Option<_>>()?;
            let test = Test::In(values);
            one(column, if list.negated { Test::Not(Box::new(test)) } else { test })
        }
        Expr::IsNull(inner) => one(column(served, inner)?, Test::IsNull),
        Expr::IsNotNull(inner) => one(column(served, inner)?, Test::Not(Box::new(Test::IsNull))),
        Expr::Column(_) => one(boolean(served, expr)?, Test::Is(true)),
        Expr::Not(inner) => one(boolean(served, inner)?, Test::Is(false)),
        _ => None,
    }
}

/// The values `expr` allows for one column, when it is `=` or IN or several of them under OR.
fn listed(served: &Served, expr: &Expr) -> Option<(usize, Vec<Value>)> {
    match conditions(served, expr)?.pop()? {
        Condition { column, test: Test::Compare(Operator::Equal, value) } => Some((column, vec![value])),
        Condition { column, test: Test::In(values) } => Some((column, values)),
        _ => None,
    }
    .filter(|_| !matches!(expr, Expr::BinaryExpr(BinaryExpr { op: SqlOperator::And, .. })))
}

fn column(served: &Served, expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Column(column) => served.relation.schema.index_of(&column.name),
        _ => None,
    }
}

fn boolean(served: &Served, expr: &Expr) -> Option<usize> {
    column(served, expr).filter(|it| served.relation.schema.data_type(*it) == DataType::Boolean)
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

/// The constant `expr` as a value of a column of `data_type`; only when it already has that type, so that no
/// conversion of ours can differ from DataFusion's.
fn constant(expr: &Expr, data_type: DataType) -> Option<Value> {
    let Expr::Literal(scalar, _) = expr else { return None };
    if let (DataType::Text, ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text)) = (data_type, scalar) {
        return Some(text.clone().map_or(Value::Null, Value::Text));
    }
    if scalar.data_type() != data_type.to_arrow() {
        return None;
    }
    Some(match scalar {
        _ if scalar.is_null() => Value::Null,
        ScalarValue::Boolean(Some(it)) => Value::Boolean(*it),
        ScalarValue::Int32(Some(it)) | ScalarValue::Date32(Some(it)) => Value::Int(i64::from(*it)),
        ScalarValue::Int64(Some(it)) | ScalarValue::TimestampMicrosecond(Some(it), _) => Value::Int(*it),
        ScalarValue::Float64(Some(it)) => Value::Float(*it),
        ScalarValue::Decimal128(Some(it), ..) => Value::Decimal(*it),
        ScalarValue::Utf8(Some(it)) => Value::Text(it.clone()),
        ScalarValue::Binary(Some(it)) => Value::Bytes(it.clone()),
        _ => return None,
    })
}
