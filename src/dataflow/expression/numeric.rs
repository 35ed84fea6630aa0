//! Exact arithmetic and casts: results as PostgreSQL gives them, and its errors instead of wrapped or clipped values.
//!
//! Decimals are `i128` counts of 10^-scale units; products and quotients go through 256 bits, so that only a *result*
//! that does not fit its type is an error.

use std::cmp::Ordering;

use crate::change::text::decimal;
use crate::change::{DataType, Datum, pow10};
use crate::plan::Arithmetic;

pub(crate) const DIVISION_BY_ZERO: &str = "division by zero";
pub(crate) const INTEGER_RANGE: &str = "integer out of range";
pub(crate) const BIGINT_RANGE: &str = "bigint out of range";
pub(crate) const NUMERIC_OVERFLOW: &str = "numeric field overflow";
pub(crate) const FLOAT_OVERFLOW: &str = "value out of range: overflow";
pub(crate) const FLOAT_UNDERFLOW: &str = "value out of range: underflow";
pub(crate) const UNSUPPORTED: &str = "operator does not exist for these types";

/// Messages of errors that arose here and do not say yet in which expression.
const FRESH: [&str; 7] =
    [DIVISION_BY_ZERO, INTEGER_RANGE, BIGINT_RANGE, NUMERIC_OVERFLOW, FLOAT_OVERFLOW, FLOAT_UNDERFLOW, UNSUPPORTED];

/// Whether an error text came from this file, so that the expression's text must still be put before it.
pub(crate) fn is_fresh(message: &str) -> bool {
    FRESH.contains(&message)
}

/// `left operator right` with a result of `result`; the operands are neither NULL nor errors.
pub(crate) fn arithmetic<'a>(
    operator: Arithmetic,
    (left, left_type): (Datum<'a>, DataType),
    (right, right_type): (Datum<'a>, DataType),
    result: DataType,
) -> Datum<'a> {
    let outcome = match (left, right) {
        (Datum::Int(left), Datum::Int(right)) => integer(operator, left, right, result).map(Datum::Int),
        (Datum::Float(left), Datum::Float(right)) => float(operator, left, right).map(Datum::Float),
        (Datum::Decimal(left), Datum::Decimal(right)) => {
            let scales = (scale_of(left_type), scale_of(right_type));
            decimal(operator, left, right, scales, result).map(Datum::Decimal)
        }
        _ => Err(UNSUPPORTED),
    };
    outcome.unwrap_or_else(Datum::Error)
}

/// The negative of a value that is neither NULL nor an error.
pub(crate) fn negate<'a>(value: Datum<'a>, result: DataType) -> Datum<'a> {
    let outcome = match value {
        Datum::Int(it) => fit_integer(it.checked_neg(), result).map(Datum::Int),
        Datum::Float(it) => Ok(Datum::Float(-it)),
        Datum::Decimal(it) => Ok(Datum::Decimal(-it)),
        _ => Err(UNSUPPORTED),
    };
    outcome.unwrap_or_else(Datum::Error)
}

/// A numeric cast of a value that is neither NULL nor an error.
pub(crate) fn cast<'a>(value: Datum<'a>, from: DataType, to: DataType) -> Datum<'a> {
    let outcome = match (value, to) {
        (Datum::Int(it), DataType::Float64) => Ok(Datum::Float(it as f64)),
        (Datum::Int(it), DataType::Decimal { precision, scale }) => {
            rescale(i128::from(it), 0, precision, scale).map(Datum::Decimal)
        }
        (Datum::Int(it), _) => fit_integer(Some(it), to).map(Datum::Int),
        (Datum::Float(it), DataType::Float64) => Ok(Datum::Float(it)),
        (Datum::Float(it), DataType::Decimal { precision, scale }) => {
            decimal::from_float(it, precision, scale).map(Datum::Decimal).map_err(|_| NUMERIC_OVERFLOW)
        }
        (Datum::Float(it), DataType::Int32 | DataType::Int64) => float_to_integer(it, to).map(Datum::Int),
        (Datum::Decimal(it), DataType::Float64) => Ok(Datum::Float(decimal_to_float(it, scale_of(from)))),
        (Datum::Decimal(it), DataType::Decimal { precision, scale }) => {
            rescale(it, scale_of(from), precision, scale).map(Datum::Decimal)
        }
        (Datum::Decimal(it), DataType::Int32 | DataType::Int64) => {
            let whole = decimal::divide_rounded(it, pow10(scale_of(from)));
            fit_integer(i64::try_from(whole).ok(), to).map(Datum::Int)
        }
        (value, to) if from == to => Ok(value),
        _ => Err(UNSUPPORTED),
    };
    outcome.unwrap_or_else(Datum::Error)
}

/// The order of two values of one type, as PostgreSQL sorts them; `None` when they are not comparable.
pub(crate) fn compare(left: Datum<'_>, right: Datum<'_>) -> Option<Ordering> {
    Some(match (left, right) {
        (Datum::Int(left), Datum::Int(right)) => left.cmp(&right),
        (Datum::Text(left), Datum::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Datum::Decimal(left), Datum::Decimal(right)) => left.cmp(&right),
        (Datum::Float(left), Datum::Float(right)) => match (left.is_nan(), right.is_nan()) {
            (false, false) => left.partial_cmp(&right)?,
            (left, right) => left.cmp(&right),
        },
        (Datum::Boolean(left), Datum::Boolean(right)) => left.cmp(&right),
        (Datum::Bytes(left), Datum::Bytes(right)) => left.cmp(right),
        _ => return None,
    })
}

/// The scale of a decimal type, 0 for others.
pub(crate) fn scale_of(data_type: DataType) -> u8 {
    match data_type {
        DataType::Decimal { scale, .. } => scale,
        _ => 0,
    }
}

/// `value` at scale `from` as a decimal(`precision`, `to`), rounded half away from zero.
pub(crate) fn rescale(value: i128, from: u8, precision: u8, to: u8) -> Result<i128, &'static str> {
    decimal::rescale(value, i32::from(from), precision, to).map_err(|_| NUMERIC_OVERFLOW)
}

/// `left × right ÷ divisor`, rounded half away from zero; `None` when it does not fit.
pub(crate) fn multiply_divide(left: i128, right: i128, divisor: i128) -> Option<i128> {
    let negative = (left < 0) ^ (right < 0) ^ (divisor < 0);
    let divisor = divisor.unsigned_abs();
    let (quotient, remainder) = match left.unsigned_abs().checked_mul(right.unsigned_abs()) {
        Some(product) => (product / divisor, product % divisor),
        None => {
            let (high, low) = widening_multiply(left.unsigned_abs(), right.unsigned_abs());
            divide_wide(high, low, divisor)?
        }
    };
    let up = remainder >= divisor - remainder;
    let magnitude = quotient.checked_add(u128::from(up))?;
    let magnitude = i128::try_from(magnitude).ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

/// The nearest double.
pub(crate) fn decimal_to_float(value: i128, scale: u8) -> f64 {
    if value.unsigned_abs() < 1 << 53 && scale <= 22 {
        // Both numbers are exact doubles, so one division rounds correctly.
        return value as f64 / pow10(scale) as f64;
    }
    format!("{value}e-{scale}").parse().unwrap_or(f64::NAN)
}

fn integer(operator: Arithmetic, left: i64, right: i64, result: DataType) -> Result<i64, &'static str> {
    let value = match operator {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide | Arithmetic::Modulo if right == 0 => return Err(DIVISION_BY_ZERO),
        Arithmetic::Divide => left.checked_div(right),
        Arithmetic::Modulo => Some(left.wrapping_rem(right)),
    };
    fit_integer(value, result)
}

fn fit_integer(value: Option<i64>, result: DataType) -> Result<i64, &'static str> {
    match result {
        DataType::Int32 | DataType::Date => value.filter(|it| i32::try_from(*it).is_ok()).ok_or(INTEGER_RANGE),
        _ => value.ok_or(BIGINT_RANGE),
    }
}

fn float(operator: Arithmetic, left: f64, right: f64) -> Result<f64, &'static str> {
    let shrinks = matches!(operator, Arithmetic::Multiply | Arithmetic::Divide);
    let value = match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide | Arithmetic::Modulo if right == 0.0 && !left.is_nan() => return Err(DIVISION_BY_ZERO),
        Arithmetic::Divide => left / right,
        Arithmetic::Modulo => left % right,
    };
    if value.is_infinite() && left.is_finite() && right.is_finite() {
        return Err(FLOAT_OVERFLOW);
    }
    if shrinks && value == 0.0 && left != 0.0 && right != 0.0 && right.is_finite() {
        return Err(FLOAT_UNDERFLOW);
    }
    Ok(value)
}

fn decimal(
    operator: Arithmetic,
    left: i128,
    right: i128,
    (left_scale, right_scale): (u8, u8),
    result: DataType,
) -> Result<i128, &'static str> {
    let DataType::Decimal { precision, scale } = result else { return Err(UNSUPPORTED) };
    let common = left_scale.max(right_scale);
    let align = |value: i128, from: u8| value.checked_mul(pow10(common - from)).ok_or(NUMERIC_OVERFLOW);
    match operator {
        Arithmetic::Divide | Arithmetic::Modulo if right == 0 => Err(DIVISION_BY_ZERO),
        Arithmetic::Add | Arithmetic::Subtract => {
            let (left, right) = (align(left, left_scale)?, align(right, right_scale)?);
            let add = matches!(operator, Arithmetic::Add);
            let value = if add { left.checked_add(right) } else { left.checked_sub(right) };
            rescale(value.ok_or(NUMERIC_OVERFLOW)?, common, precision, scale)
        }
        Arithmetic::Multiply => {
            let digits = i32::from(left_scale) + i32::from(right_scale) - i32::from(scale);
            scaled(left, right, 1, -digits, precision)
        }
        Arithmetic::Divide => {
            let digits = i32::from(scale) - i32::from(left_scale) + i32::from(right_scale);
            scaled(left, 1, right, digits, precision)
        }
        Arithmetic::Modulo => {
            let (left, right) = (align(left, left_scale)?, align(right, right_scale)?);
            rescale(left.wrapping_rem(right), common, precision, scale)
        }
    }
}

/// `left × right ÷ divisor × 10^digits` within `precision` digits.
fn scaled(left: i128, right: i128, divisor: i128, digits: i32, precision: u8) -> Result<i128, &'static str> {
    let power = u8::try_from(digits.unsigned_abs()).ok().filter(|it| *it <= 38).map(pow10).ok_or(NUMERIC_OVERFLOW)?;
    let value = match (digits >= 0, right == 1) {
        (true, true) => multiply_divide(left, power, divisor),
        (true, false) => left.checked_mul(right).and_then(|it| it.checked_mul(power)),
        (false, true) => divisor.checked_mul(power).map_or(Some(0), |it| multiply_divide(left, 1, it)),
        (false, false) => multiply_divide(left, right, power),
    };
    value.and_then(|it| decimal::fit(it, precision).ok()).ok_or(NUMERIC_OVERFLOW)
}

fn float_to_integer(value: f64, to: DataType) -> Result<i64, &'static str> {
    let rounded = value.round_ties_even();
    // 2^63 is the first double beyond i64; the comparison is false for NaN.
    let inside = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded);
    fit_integer(inside.then_some(rounded as i64), to)
}

fn widening_multiply(left: u128, right: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (left_high, left_low) = (left >> 64, left & LOW);
    let (right_high, right_low) = (right >> 64, right & LOW);
    let bottom = left_low * right_low;
    let first = left_high * right_low + (bottom >> 64);
    let second = left_low * right_high + (first & LOW);
    (left_high * right_high + (first >> 64) + (second >> 64), second << 64 | bottom & LOW)
}

/// 256 bits by 128, bit by bit: only values beyond 128 bits come here.
fn divide_wide(high: u128, low: u128, divisor: u128) -> Option<(u128, u128)> {
    if high >= divisor {
        return None;
    }
    let (mut remainder, mut quotient) = (high, 0u128);
    for bit in (0..128).rev() {
        let carry = remainder >> 127 != 0;
        remainder = remainder << 1 | (low >> bit & 1);
        quotient <<= 1;
        if carry || remainder >= divisor {
            remainder = remainder.wrapping_sub(divisor);
            quotient |= 1;
        }
    }
    Some((quotient, remainder))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn decimal_type(precision: u8, scale: u8) -> DataType {
        DataType::Decimal { precision, scale }
    }

    fn int(operator: Arithmetic, left: i64, right: i64) -> Datum<'static> {
        let of = |it| (Datum::Int(it), DataType::Int32);
        arithmetic(operator, of(left), of(right), DataType::Int32)
    }

    #[test]
    fn integers_truncate_and_never_wrap() {
        assert_eq!(int(Arithmetic::Divide, -7, 2), Datum::Int(-3));
        assert_eq!(int(Arithmetic::Modulo, -7, 2), Datum::Int(-1));
        assert_eq!(int(Arithmetic::Modulo, i64::MIN, -1), Datum::Int(0));
        assert_eq!(int(Arithmetic::Divide, 1, 0), Datum::Error(DIVISION_BY_ZERO));
        assert_eq!(int(Arithmetic::Add, i64::from(i32::MAX), 1), Datum::Error(INTEGER_RANGE));
        let big = (Datum::Int(i64::MAX), DataType::Int64);
        assert_eq!(arithmetic(Arithmetic::Add, big, big, DataType::Int64), Datum::Error(BIGINT_RANGE));
    }

    #[test]
    fn decimals_round_half_away_from_zero() {
        let of = |units, scale| (Datum::Decimal(units), decimal_type(20, scale));
        let run = |operator, left, right, result| arithmetic(operator, left, right, result);
        assert_eq!(run(Arithmetic::Divide, of(1, 0), of(3, 0), decimal_type(20, 4)), Datum::Decimal(3333));
        assert_eq!(run(Arithmetic::Divide, of(-5, 1), of(10, 1), decimal_type(20, 0)), Datum::Decimal(-1));
        assert_eq!(run(Arithmetic::Multiply, of(15, 1), of(-5, 1), decimal_type(20, 1)), Datum::Decimal(-8));
        assert_eq!(run(Arithmetic::Add, of(105, 2), of(1, 1), decimal_type(20, 1)), Datum::Decimal(12));
        assert_eq!(run(Arithmetic::Add, of(9, 0), of(1, 0), decimal_type(1, 0)), Datum::Error(NUMERIC_OVERFLOW));
    }

    #[test]
    fn wide_products_are_exact() {
        let big = 10i128.pow(30);
        assert_eq!(multiply_divide(big, big, 10i128.pow(35)), Some(10i128.pow(25)));
        assert_eq!(multiply_divide(big, big, 1), None);
        assert_eq!(multiply_divide(-7, 1, 2), Some(-4));
    }

    #[test]
    fn casts_round_as_postgresql_does() {
        let float = |it| cast(Datum::Float(it), DataType::Float64, DataType::Int32);
        assert_eq!((float(2.5), float(3.5), float(-0.5)), (Datum::Int(2), Datum::Int(4), Datum::Int(0)));
        assert_eq!(float(3e9), Datum::Error(INTEGER_RANGE));
        assert_eq!(float(f64::NAN), Datum::Error(INTEGER_RANGE));
        assert_eq!(
            cast(Datum::Float(0.1 + 0.2), DataType::Float64, decimal_type(38, 20)),
            Datum::Decimal(3 * pow10(19))
        );
        assert_eq!(cast(Datum::Decimal(25), decimal_type(5, 1), DataType::Int64), Datum::Int(3));
        assert_eq!(cast(Datum::Decimal(7), decimal_type(5, 1), DataType::Float64), Datum::Float(0.7));
        assert_eq!(cast(Datum::Int(100), DataType::Int32, decimal_type(4, 2)), Datum::Error(NUMERIC_OVERFLOW));
    }

    #[test]
    fn nan_is_equal_to_itself_and_the_greatest() {
        let order = |left, right| compare(Datum::Float(left), Datum::Float(right));
        assert_eq!(order(f64::NAN, f64::NAN), Some(Ordering::Equal));
        assert_eq!(order(f64::INFINITY, f64::NAN), Some(Ordering::Less));
        assert_eq!(order(-0.0, 0.0), Some(Ordering::Equal));
    }
}
