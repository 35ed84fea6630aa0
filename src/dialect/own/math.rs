//! Functions of numbers.

use super::cell::{Cell, Kind, Output};
use super::overload::{Function, Overload, Run};
use crate::dialect::value::Failure;

use Kind::{Float64, Int32, Int64};

const fn overload(takes: &'static [Kind], gives: Kind, run: Run) -> Overload {
    Overload { takes, gives, run }
}

/// The largest number whose factorial has at most 38 digits.
const MAX_FACTORIAL: i64 = 33;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "factorial",
        overloads: &[overload(&[Int64], Kind::Numeric { precision: 38, scale: 0 }, factorial)],
    },
    Function { name: "width_bucket", overloads: &[overload(&[Float64, Float64, Float64, Int32], Int32, width_bucket)] },
    Function {
        name: "gcd",
        overloads: &[
            overload(&[Int32, Int32], Int32, |it| gcd(it).map(Output::Int)),
            overload(&[Int64, Int64], Int64, |it| gcd(it).map(Output::Int)),
        ],
    },
    Function {
        name: "lcm",
        overloads: &[overload(&[Int32, Int32], Int32, lcm), overload(&[Int64, Int64], Int64, lcm)],
    },
    Function {
        name: "sign",
        overloads: &[overload(&[Float64], Float64, |it| {
            // What is not a number is neither positive nor negative.
            Ok(Output::Float(if it[0].float() > 0.0 {
                1.0
            } else if it[0].float() < 0.0 {
                -1.0
            } else {
                0.0
            }))
        })],
    },
];

fn factorial(it: &[Cell<'_>]) -> Result<Output, Failure> {
    match it[0].int() {
        it if it < 0 => Err("factorial of a negative number is undefined".into()),
        it if it > MAX_FACTORIAL => Err("value overflows numeric format".into()),
        it => Ok(Output::Numeric((1..=i128::from(it)).product())),
    }
}

fn width_bucket(it: &[Cell<'_>]) -> Result<Output, Failure> {
    let (operand, low, high, count) = (it[0].float(), it[1].float(), it[2].float(), it[3].int());
    if count <= 0 {
        return Err("count must be greater than zero".into());
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return Err("operand, lower bound, and upper bound cannot be NaN".into());
    }
    if !low.is_finite() || !high.is_finite() {
        return Err("lower and upper bounds must be finite".into());
    }
    if low == high {
        return Err("lower bound cannot equal upper bound".into());
    }
    let (before, after) = if low < high { (operand < low, operand >= high) } else { (operand > low, operand <= high) };
    let bucket = if before {
        0
    } else if after {
        count + 1
    } else {
        (count as f64 * ((operand - low) / (high - low))) as i64 + 1
    };
    Ok(Output::Int(bucket.min(count + 1)))
}

fn gcd(it: &[Cell<'_>]) -> Result<i64, Failure> {
    let (mut left, mut right) = (it[0].int().unsigned_abs(), it[1].int().unsigned_abs());
    while right != 0 {
        (left, right) = (right, left % right);
    }
    i64::try_from(left).map_err(|_| "bigint out of range".into())
}

fn lcm(it: &[Cell<'_>]) -> Result<Output, Failure> {
    let (left, right) = (it[0].int(), it[1].int());
    if left == 0 || right == 0 {
        return Ok(Output::Int(0));
    }
    let product = (left / gcd(it)?).checked_mul(right).and_then(i64::checked_abs);
    product.map(Output::Int).ok_or_else(|| "bigint out of range".into())
}
