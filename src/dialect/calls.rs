//! Calls of functions: which of our own a call means, and what DataFusion's are called with.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::execution::SessionStateDefaults;
use datafusion::functions::expr_fn::nullif;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, ScalarUDF, binary_expr, cast, lit, when};

use super::function::{MODULO, redefined};
use super::mixed::converted;
use super::own::{self, Kind};

/// Functions that count in unsigned integers where PostgreSQL has `integer`.
const COUNTING: [&str; 3] = ["array_ndims", "array_position", "cardinality"];

/// Calls as PostgreSQL means them.
#[derive(Debug)]
pub(super) struct Calls {
    /// By name: what is called instead. Some syntax comes without a look-up of the name, so putting other functions in
    /// the registry would not be enough.
    redefined: HashMap<String, Arc<ScalarUDF>>,
}

impl Calls {
    pub(super) fn new() -> Calls {
        let all = SessionStateDefaults::default_scalar_functions();
        let meant = |it: Arc<ScalarUDF>| if it.name() == "coalesce" { Some(it) } else { redefined(it) };
        let redefined = all.into_iter().filter_map(meant).map(|it| (it.name().to_owned(), it)).collect();
        Calls { redefined }
    }

    /// What `call` means; `None` when it is meant as it is.
    pub(super) fn rewrite(&self, call: &ScalarFunction, schema: &DFSchema) -> Result<Option<Expr>> {
        let kind = |at: usize| call.args.get(at).and_then(|it| kind_of(it, schema));
        let name = match call.name() {
            // Of the two spellings DataFusion has one; of the functions behind POSITION, only that of text.
            "substr" => "substring",
            "signum" => "sign",
            "strpos" if kind(0) == Some(Kind::Bytes) || kind(1) == Some(Kind::Bytes) => "_position",
            name => name,
        };
        if let ("sign" | "ceil" | "floor", Some(Kind::Numeric { precision, scale })) = (name, kind(0)) {
            return own_numeric(name, call.args[0].clone(), precision, scale);
        }
        if let Some(own) = own_call(name, call.args.clone(), schema)? {
            return Ok(Some(own));
        }
        Ok(match (call.name(), &call.args[..]) {
            ("round" | "trunc", [value]) if matches!(kind(0), Some(Kind::Int32 | Kind::Int64)) => {
                Some(self.of_double(call, value))
            }
            // Numerics of two scales are compared as they are, which are not equal to it.
            ("nullif", [value, other])
                if kind(0) != kind(1)
                    && matches!((kind(0), kind(1)), (Some(Kind::Numeric { .. }), Some(Kind::Numeric { .. }))) =>
            {
                let null = Expr::Literal(ScalarValue::try_from(value.get_type(schema)?)?, None);
                Some(when(value.clone().eq(other.clone()), null).otherwise(value.clone())?)
            }
            // It would have nanoseconds.
            ("now", []) => Some(cast(Expr::ScalarFunction(call.clone()), Kind::TimestampTz.arrow())),
            ("array_length", arguments) => {
                let length = cast(Expr::ScalarFunction(call.clone()), DataType::Int32);
                let _ = arguments;
                // An empty array has no first dimension.
                Some(nullif(length, lit(0i32)))
            }
            ("array_element", [array, place]) => {
                // What is before the first element is nothing, not the end.
                let inside = when(place.clone().gt(lit(0i64)), place.clone()).end()?;
                let is_first = constant_integer(place).is_some_and(|it| it > 0) || matches!(place, Expr::Case(_));
                let place = if is_first { return Ok(None) } else { inside };
                let function = Arc::clone(&call.func);
                Some(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![array.clone(), place])))
            }
            (MODULO, [dividend, divisor]) => Some(binary_expr(dividend.clone(), Operator::Modulo, divisor.clone())),
            ("concat" | "concat_ws", arguments) => {
                let texts = arguments.iter().map(|it| letters(it, schema)).collect::<Result<_>>()?;
                Some(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&call.func), texts)))
            }
            (name, _) if COUNTING.contains(&name) => Some(cast(Expr::ScalarFunction(call.clone()), DataType::Int32)),
            ("round" | "trunc", [value, digits]) => Some(self.rounding(call, exact(value, kind(0)), digits)),
            // Of one argument DataFusion's `log` is not exact where `log10` is.
            ("log", [_]) => self.named("log10", call),
            (name, _) => self.named(name, call),
        })
    }

    /// A call of a function that PostgreSQL has for doubles, where there is an integer.
    fn of_double(&self, call: &ScalarFunction, value: &Expr) -> Expr {
        let function = self.redefined.get(call.name()).unwrap_or(&call.func);
        let value = cast(value.clone(), DataType::Float64);
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), vec![value]))
    }

    fn named(&self, name: &str, call: &ScalarFunction) -> Option<Expr> {
        let function = Arc::clone(self.redefined.get(name)?);
        Some(Expr::ScalarFunction(ScalarFunction::new_udf(function, call.args.clone())))
    }

    /// The result's type follows from the number of digits only while no cast stands around it.
    fn rounding(&self, call: &ScalarFunction, value: Expr, digits: &Expr) -> Expr {
        let digits = match digits {
            Expr::Literal(ScalarValue::Int64(Some(number)), metadata) => match i32::try_from(*number) {
                Ok(number) => Expr::Literal(ScalarValue::Int32(Some(number)), metadata.clone()),
                Err(_) => digits.clone(),
            },
            other => other.clone(),
        };
        let function = self.redefined.get(call.name()).unwrap_or(&call.func);
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), vec![value, digits]))
    }
}

/// A call of our function `name`; `None` when there is none of that name.
pub(super) fn own_call(name: &str, arguments: Vec<Expr>, schema: &DFSchema) -> Result<Option<Expr>> {
    let Some((udf, function)) = own::find(name) else { return Ok(None) };
    let kinds: Vec<Option<Kind>> = arguments.iter().map(|it| kind_of(it, schema)).collect();
    let overload = own::resolve(function, &kinds)?;
    let exact = arguments.into_iter().zip(overload.takes).map(|(argument, kind)| {
        let is_exact = argument.get_type(schema).is_ok_and(|it| it == kind.arrow());
        if is_exact { Ok(argument) } else { converted(argument, &kind.arrow()) }
    });
    Ok(Some(Expr::ScalarFunction(ScalarFunction::new_udf(udf, exact.collect::<Result<_>>()?))))
}

/// The kind of an argument: `None` for a constant text, NULL or a parameter, which are what is wanted of them. A constant
/// integer is no longer than it has to be.
fn kind_of(argument: &Expr, schema: &DFSchema) -> Option<Kind> {
    if is_constant_text(argument) || matches!(argument, Expr::Placeholder(_)) {
        return None;
    }
    if let Some(value) = constant_integer(argument) {
        return Some(if i32::try_from(value).is_ok() { Kind::Int32 } else { Kind::Int64 });
    }
    Kind::of(&argument.get_type(schema).ok()?)
}

/// Whether a constant takes the type that is wanted of it.
pub(super) fn is_constant_text(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null() || value.try_as_str().is_some(),
        _ => false,
    }
}

/// An integer that is rounded to so many digits is a numeric.
fn exact(value: &Expr, kind: Option<Kind>) -> Expr {
    match kind {
        Some(Kind::Int32 | Kind::Int64) => cast(value.clone(), DataType::Decimal128(20, 0)),
        _ => value.clone(),
    }
}

/// A rounded numeric, or the sign of one, which are numerics without decimals.
fn own_numeric(name: &str, value: Expr, precision: u8, scale: u8) -> Result<Option<Expr>> {
    let function = own::rounding(name, precision, scale);
    Ok(function.map(|it| Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(it), vec![value]))))
}

pub(super) fn constant_integer(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::Int64(value), _) => *value,
        Expr::Negative(inner) => constant_integer(inner)?.checked_neg(),
        _ => None,
    }
}

/// An argument of `concat` as text, where a truth value is a letter.
fn letters(argument: &Expr, schema: &DFSchema) -> Result<Expr> {
    let data_type = argument.get_type(schema).unwrap_or(DataType::Null);
    Ok(match data_type {
        DataType::Utf8 | DataType::Null => argument.clone(),
        DataType::Boolean => own_call("_boolean_letter", vec![argument.clone()], schema)?
            .expect("the function is in the table of text functions"),
        _ => cast(argument.clone(), DataType::Utf8),
    })
}
