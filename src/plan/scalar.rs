//! Scalar expressions over the rows at hand.
//!
//! SQL's three-valued logic, with a fourth state: a cell that could not be computed is an error value. It travels
//! through expressions as NULL does, but `IS NULL` of it is that error too, and only an expression that really needs
//! it becomes one: `CASE` and `COALESCE` look at no branch they do not take, `FALSE AND error` is false.

use std::sync::Arc;

use datafusion::physical_expr::PhysicalExpr;

use super::node::InputColumn;
use crate::change::{DataType, Value};

/// How two values are compared. Both sides have one type; the planner adds casts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `IS DISTINCT FROM`
    Distinct,
    /// `IS NOT DISTINCT FROM`
    NotDistinct,
}

/// `+ - * / %`; both sides and the result have one type (decimals: the operands keep their own scales).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`; integers truncate, division by zero is an error.
    Divide,
    /// `%`
    Modulo,
}

/// One expression over the input rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A column of one of the input rows; NULL when that row is absent (outer joins).
    Column(InputColumn, DataType),
    /// A constant.
    Literal(Value, DataType),
    /// The result of the program's call number n.
    Call(usize, DataType),
    /// A comparison; Boolean.
    Compare(Comparison, Box<Scalar>, Box<Scalar>),
    /// Three-valued AND.
    And(Vec<Scalar>),
    /// Three-valued OR.
    Or(Vec<Scalar>),
    /// Three-valued NOT.
    Not(Box<Scalar>),
    /// `IS NULL`.
    IsNull(Box<Scalar>),
    /// Arithmetic with a result of the given type; overflow and division by zero are errors.
    Arithmetic(Arithmetic, Box<Scalar>, Box<Scalar>, DataType),
    /// Unary minus.
    Negate(Box<Scalar>, DataType),
    /// The first value that is not NULL.
    Coalesce(Vec<Scalar>, DataType),
    /// `CASE WHEN condition THEN value … ELSE value END`.
    Case {
        /// Conditions (Boolean) and values.
        branches: Vec<(Scalar, Scalar)>,
        /// The value when no condition is true; `None` is NULL.
        otherwise: Option<Box<Scalar>>,
        /// The type of the values.
        data_type: DataType,
    },
    /// Numeric casts: integer ↔ integer, integer/decimal → float, float → integer/decimal (rounded as PostgreSQL
    /// does, half to even for float → integer), integer ↔ decimal, decimal ↔ decimal. Out of range is an error.
    Cast(Box<Scalar>, DataType),
}

impl Scalar {
    /// The type of the value.
    pub fn data_type(&self) -> DataType {
        match self {
            Scalar::Column(_, it) | Scalar::Literal(_, it) | Scalar::Call(_, it) => *it,
            Scalar::Compare(..) | Scalar::And(_) | Scalar::Or(_) | Scalar::Not(_) | Scalar::IsNull(_) => {
                DataType::Boolean
            }
            Scalar::Arithmetic(_, _, _, it) | Scalar::Negate(_, it) | Scalar::Coalesce(_, it) => *it,
            Scalar::Cast(_, it) => *it,
            Scalar::Case { data_type, .. } => *data_type,
        }
    }
}

/// A function that runs as a DataFusion physical expression over one Arrow batch an epoch. Its arguments may use
/// earlier calls of the same program, never later ones.
#[derive(Debug, Clone)]
pub struct Call {
    /// The SQL text, for explain, errors and the fingerprint.
    pub text: String,
    /// The arguments: argument `i` is column `i` of the expression's input batch, cast to `argument_types[i]`.
    pub arguments: Vec<Scalar>,
    /// The Arrow types the expression was planned with.
    pub argument_types: Vec<datafusion::arrow::datatypes::DataType>,
    /// The expression.
    pub expr: Arc<dyn PhysicalExpr>,
    /// The type of the result; the Arrow result is cast to it.
    pub data_type: DataType,
}

/// Expressions evaluated together over the same input rows: the calls first, then filter and outputs.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Calls in order of dependence.
    pub calls: Vec<Call>,
    /// Rows for which this is not true are dropped; an error here makes every non-key output an error.
    pub filter: Option<Scalar>,
    /// One per output column.
    pub outputs: Vec<Scalar>,
    /// The SQL text of each output, for errors: "price / quantity: division by zero".
    pub texts: Vec<String>,
}
