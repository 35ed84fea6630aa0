//! Scalars as text, for people.

use super::node::InputColumn;
use super::scalar::{Arithmetic, Call, Comparison, Scalar};
use crate::change::text::{decimal, text_of};
use crate::change::{DataType, Value, counted};

/// `scalar` in SQL's notation; `column` names columns.
pub(crate) fn show(scalar: &Scalar, calls: &[Call], column: &dyn Fn(InputColumn) -> String) -> String {
    let inner = |it: &Scalar| show(it, calls, column);
    let joined = |parts: &[Scalar], word: &str| format!("({})", parts.iter().map(inner).collect::<Vec<_>>().join(word));
    match scalar {
        Scalar::Column(it, _) => column(*it),
        Scalar::Literal(value, data_type) => constant(value, *data_type),
        Scalar::Call(number, _) => calls[*number].text.clone(),
        Scalar::Compare(comparison, left, right) => format!("{} {} {}", inner(left), sign(*comparison), inner(right)),
        Scalar::And(parts) => joined(parts, " AND "),
        Scalar::Or(parts) => joined(parts, " OR "),
        Scalar::Not(it) => match &**it {
            Scalar::IsNull(it) => format!("{} IS NOT NULL", inner(it)),
            other => format!("NOT ({})", inner(other)),
        },
        Scalar::IsNull(it) => format!("{} IS NULL", inner(it)),
        Scalar::Arithmetic(operator, left, right, _) => {
            let sign = match operator {
                Arithmetic::Add => "+",
                Arithmetic::Subtract => "-",
                Arithmetic::Multiply => "*",
                Arithmetic::Divide => "/",
                Arithmetic::Modulo => "%",
            };
            format!("({} {sign} {})", inner(left), inner(right))
        }
        Scalar::Negate(it, _) => format!("-{}", inner(it)),
        Scalar::Coalesce(parts, _) => format!("coalesce{}", joined(parts, ", ")),
        Scalar::Case { branches, otherwise, .. } => {
            let mut text = "CASE".to_string();
            for (condition, value) in branches {
                text += &format!(" WHEN {} THEN {}", inner(condition), inner(value));
            }
            if let Some(otherwise) = otherwise {
                text += &format!(" ELSE {}", inner(otherwise));
            }
            text + " END"
        }
        Scalar::Cast(it, data_type) => format!("{}::{data_type}", inner(it)),
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "<>",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
        Comparison::Distinct => "IS DISTINCT FROM",
        Comparison::NotDistinct => "IS NOT DISTINCT FROM",
    }
}

fn constant(value: &Value, data_type: DataType) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Error(message) => format!("error({message})"),
        Value::Boolean(it) => it.to_string(),
        Value::Int(it) => it.to_string(),
        Value::Float(it) => it.to_string(),
        Value::Decimal(it) => match data_type {
            DataType::Decimal { scale, .. } => text_of(|out| decimal::write(*it, scale, out)),
            _ => it.to_string(),
        },
        Value::Text(it) => format!("'{}'", it.replace('\'', "''")),
        Value::Bytes(it) => counted(it.len(), "byte"),
    }
}
