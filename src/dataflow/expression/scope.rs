//! The interpreter of scalar expressions: SQL's three-valued logic with errors as a fourth state.
//!
//! An error costs only the expressions that really need it, and nothing here panics or allocates.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::numeric;
use crate::change::{DataType, Datum, Row, Value};
use crate::plan::{Comparison, InputColumn, Scalar};

/// One input of an expression.
#[derive(Debug, Clone, Default)]
pub(crate) enum Input<'r> {
    /// A row.
    Row(&'r Row),
    /// No row (outer joins): every column is NULL.
    #[default]
    Absent,
    /// The row could not be looked for: every column is this error.
    Error(Cow<'r, str>),
}

impl Input<'_> {
    /// The cell of `column`.
    pub(crate) fn cell(&self, column: usize, data_type: DataType) -> Datum<'_> {
        match self {
            Input::Row(row) => row.get(column, data_type),
            Input::Absent => Datum::Null,
            Input::Error(message) => Datum::Error(message),
        }
    }
}

/// Results of a program's calls: by call, by row.
pub(crate) type CallResults = Vec<Vec<Value>>;

/// What an expression sees: the input rows, and the results of the program's calls for them.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'s> {
    /// One a program input.
    pub(crate) inputs: &'s [Input<'s>],
    /// May be empty when the expression has no calls.
    pub(crate) calls: &'s [Vec<Value>],
    /// Which row of the calls' results.
    pub(crate) row: usize,
}

impl<'s> Scope<'s> {
    /// The value of `scalar`.
    pub(crate) fn eval(&self, scalar: &'s Scalar) -> Datum<'s> {
        match scalar {
            Scalar::Column(InputColumn { input, column }, data_type) => {
                self.inputs.get(*input).map_or(Datum::Null, |it| it.cell(*column, *data_type))
            }
            Scalar::Literal(value, _) => value.as_datum(),
            Scalar::Call(call, _) => {
                let result = self.calls.get(*call).and_then(|it| it.get(self.row));
                result.map_or(Datum::Error(numeric::UNSUPPORTED), Value::as_datum)
            }
            Scalar::Compare(comparison, left, right) => compare(*comparison, self.eval(left), self.eval(right)),
            Scalar::And(parts) => self.connect(parts, false),
            Scalar::Or(parts) => self.connect(parts, true),
            Scalar::Not(inner) => match self.eval(inner) {
                Datum::Boolean(it) => Datum::Boolean(!it),
                other => other,
            },
            Scalar::IsNull(inner) => match self.eval(inner) {
                error @ Datum::Error(_) => error,
                other => Datum::Boolean(matches!(other, Datum::Null)),
            },
            Scalar::Arithmetic(operator, left, right, result) => match (self.eval(left), self.eval(right)) {
                (error @ Datum::Error(_), _) | (_, error @ Datum::Error(_)) => error,
                (Datum::Null, _) | (_, Datum::Null) => Datum::Null,
                (a, b) => numeric::arithmetic(*operator, (a, left.data_type()), (b, right.data_type()), *result),
            },
            Scalar::Negate(inner, result) => match self.eval(inner) {
                other @ (Datum::Null | Datum::Error(_)) => other,
                value => numeric::negate(value, *result),
            },
            Scalar::Coalesce(parts, _) => {
                let mut values = parts.iter().map(|it| self.eval(it));
                values.find(|it| !matches!(it, Datum::Null)).unwrap_or(Datum::Null)
            }
            Scalar::Case { branches, otherwise, .. } => self.case(branches, otherwise.as_deref()),
            Scalar::Cast(inner, to) => match self.eval(inner) {
                other @ (Datum::Null | Datum::Error(_)) => other,
                value => numeric::cast(value, inner.data_type(), *to),
            },
        }
    }

    fn case(&self, branches: &'s [(Scalar, Scalar)], otherwise: Option<&'s Scalar>) -> Datum<'s> {
        for (condition, value) in branches {
            match self.eval(condition) {
                Datum::Boolean(true) => return self.eval(value),
                error @ Datum::Error(_) => return error,
                _ => {}
            }
        }
        otherwise.map_or(Datum::Null, |it| self.eval(it))
    }

    /// AND (`decisive` false) or OR (`decisive` true): a decisive part wins over an error, an error over NULL.
    fn connect(&self, parts: &'s [Scalar], decisive: bool) -> Datum<'s> {
        let mut outcome = Datum::Boolean(!decisive);
        for part in parts {
            match (self.eval(part), outcome) {
                (Datum::Boolean(it), _) if it == decisive => return Datum::Boolean(decisive),
                (error @ Datum::Error(_), Datum::Boolean(_) | Datum::Null) => outcome = error,
                (Datum::Null, Datum::Boolean(_)) => outcome = Datum::Null,
                _ => {}
            }
        }
        outcome
    }
}

fn compare<'a>(comparison: Comparison, left: Datum<'a>, right: Datum<'a>) -> Datum<'a> {
    let order = match (left, right) {
        (error @ Datum::Error(_), _) | (_, error @ Datum::Error(_)) => return error,
        (Datum::Null, Datum::Null) => None,
        (Datum::Null, _) | (_, Datum::Null) => {
            return match comparison {
                Comparison::Distinct => Datum::Boolean(true),
                Comparison::NotDistinct => Datum::Boolean(false),
                _ => Datum::Null,
            };
        }
        (left, right) => match numeric::compare(left, right) {
            Some(order) => Some(order),
            None => return Datum::Error(numeric::UNSUPPORTED),
        },
    };
    let Some(order) = order else {
        return match comparison {
            Comparison::Distinct => Datum::Boolean(false),
            Comparison::NotDistinct => Datum::Boolean(true),
            _ => Datum::Null,
        };
    };
    Datum::Boolean(match comparison {
        Comparison::Equal | Comparison::NotDistinct => order == Ordering::Equal,
        Comparison::NotEqual | Comparison::Distinct => order != Ordering::Equal,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterOrEqual => order != Ordering::Less,
    })
}
